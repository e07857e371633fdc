# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Sockets that fail as no server will on request.

Each listens on a free loopback port, is a context manager, and has
``host``, ``port`` and ``stop()``. Those that accept also have
``connections``, the number of clients so far, and ``received``, what each
of them sent.
"""

from __future__ import annotations

import socket
import struct
import threading
from typing import TYPE_CHECKING

from tests.servers import process

if TYPE_CHECKING:
    from typing import Self

_CHUNK = 65536


class Refuse:
    """A port that refuses, and that nobody else can take meanwhile."""

    def __init__(self, host: str = process.LOOPBACK) -> None:
        self.host = host
        # Bound, but not listening.
        self._socket = socket.socket(
            socket.AF_INET6 if ':' in host else socket.AF_INET)
        self._socket.bind((host, 0))
        self.port: int = self._socket.getsockname()[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info) -> None:
        self.stop()

    def stop(self) -> None:
        """Close the port."""
        self._socket.close()


class Blackhole(Refuse):
    """A port whose packets get lost: connecting there hangs.

    A listener that never accepts and whose queue is full drops every
    further SYN, as a firewall does.
    """

    def __init__(self, host: str = process.LOOPBACK) -> None:
        super().__init__(host)
        self._socket.listen(0)
        self._queued: list[socket.socket] = []
        while self._enters_queue():
            pass

    def _enters_queue(self) -> bool:
        client = socket.socket(self._socket.family)
        client.settimeout(0.3)
        self._queued.append(client)
        try:
            client.connect((self.host, self.port))
        except TimeoutError:
            return False
        return True

    def stop(self) -> None:
        for client in self._queued:
            client.close()
        super().stop()


class Silent(Refuse):
    """Accepts, reads, and never answers."""

    def __init__(self, host: str = process.LOOPBACK) -> None:
        super().__init__(host)
        self.received: list[bytes] = []
        self._clients: list[socket.socket] = []
        self._stopping = threading.Event()
        self._socket.listen(64)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def connections(self) -> int:
        """How many clients came so far."""
        return len(self._clients)

    def greet(self, client: socket.socket) -> None:
        """What happens when a client has connected."""

    def answer(self, client: socket.socket, data: bytes) -> None:
        """What happens when it has sent *data*."""

    def stop(self) -> None:
        """Close the port and every connection."""
        self._stopping.set()
        # shutdown() wakes a thread that is blocked in accept or recv;
        # close() alone does not.
        for each in (self._socket, *self._clients):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()
        self._thread.join(5)

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            number = len(self._clients)
            self._clients.append(client)
            self.received.append(b'')
            threading.Thread(target=self._serve, args=(client, number),
                             daemon=True).start()

    def _serve(self, client: socket.socket, number: int) -> None:
        try:
            self.greet(client)
            while data := client.recv(_CHUNK):
                self.received[number] += data
                self.answer(client, data)
        except OSError:
            pass
        finally:
            client.close()


class Reset(Silent):
    """Accepts, and resets the connection at once."""

    def greet(self, client: socket.socket) -> None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                          struct.pack('ii', 1, 0))
        client.close()


class Close(Silent):
    """Accepts, and closes the connection at once, as HAProxy may."""

    def greet(self, client: socket.socket) -> None:
        client.shutdown(socket.SHUT_RDWR)


class Hangup(Silent):
    """Accepts, and closes the connection at the first byte it gets."""

    def answer(self, client: socket.socket, data: bytes) -> None:
        client.shutdown(socket.SHUT_RDWR)


class Greet(Silent):
    """Sends *data* to whoever connects, and then nothing (a half answer)."""

    def __init__(self, data: bytes, host: str = process.LOOPBACK) -> None:
        self.data = data
        super().__init__(host)

    def greet(self, client: socket.socket) -> None:
        client.sendall(self.data)


class Answer(Greet):
    """Says nothing first, and answers whatever it gets with *data*."""

    def greet(self, client: socket.socket) -> None:
        pass

    def answer(self, client: socket.socket, data: bytes) -> None:
        client.sendall(self.data)


class Say(Greet):
    """Sends *data* at the start and again whenever it gets something."""

    def answer(self, client: socket.socket, data: bytes) -> None:
        client.sendall(self.data)


class Drip(Greet):
    """Sends *data* over and over, one byte every *pause* seconds.

    :param first: waits for the client's first bytes where False.
    """

    def __init__(self, data: bytes, pause: float = 1.0, *,
                 first: bool = True, host: str = process.LOOPBACK) -> None:
        self.pause = pause
        self.first = first
        super().__init__(data, host)

    def greet(self, client: socket.socket) -> None:
        if self.first:
            self._drip(client)

    def answer(self, client: socket.socket, data: bytes) -> None:
        self._drip(client)

    def _drip(self, client: socket.socket) -> None:
        while True:
            for byte in self.data:
                client.sendall(bytes((byte,)))
                if self._stopping.wait(self.pause):
                    return


class Endless(Drip):
    """Sends *data* over and over, as fast as the client reads."""

    def __init__(self, data: bytes, *, first: bool = True,
                 host: str = process.LOOPBACK) -> None:
        super().__init__(data * max(1, _CHUNK // len(data)), 0.0,
                         first=first, host=host)

    def _drip(self, client: socket.socket) -> None:
        while not self._stopping.is_set():
            client.sendall(self.data)


class Http(Answer):
    """Answers every request with one HTTP response and closes."""

    def __init__(self, body: bytes = b'', status: str = '200 OK',
                 content_type: str = 'application/json',
                 host: str = process.LOOPBACK) -> None:
        head = (f'HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n'
                f'Content-Length: {len(body)}\r\nConnection: close\r\n\r\n')
        super().__init__(head.encode() + body, host)

    def answer(self, client: socket.socket, data: bytes) -> None:
        super().answer(client, data)
        client.shutdown(socket.SHUT_RDWR)


class Forward(Silent):
    """A way to a real server that falls silent at *until*.

    :param target: of :mod:`tests.servers`
    :param until: what a client sends last
    """

    def __init__(self, target, until: bytes) -> None:
        self.target = target
        self.until = until
        self._ahead: dict[socket.socket, socket.socket] = {}
        super().__init__()

    def greet(self, client: socket.socket) -> None:
        ahead = socket.create_connection((self.target.host, self.target.port))
        self._ahead[client] = ahead
        threading.Thread(target=self._return, args=(ahead, client),
                         daemon=True).start()

    def answer(self, client: socket.socket, data: bytes) -> None:
        if self.until not in data:
            self._ahead[client].sendall(data)

    def stop(self) -> None:
        for ahead in self._ahead.values():
            ahead.close()
        super().stop()

    def _return(self, ahead: socket.socket, client: socket.socket) -> None:
        try:
            while data := ahead.recv(_CHUNK):
                client.sendall(data)
        except OSError:
            pass

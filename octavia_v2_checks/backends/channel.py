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

"""Messages of plain data between a process and its child."""

from collections.abc import Callable
import marshal
import socket
import struct
import threading
from typing import Any

#: The length that precedes each message.
HEADER = struct.Struct('!I')


class Gone(Exception):
    """The other end of a channel is closed."""


class Channel:
    """Messages of plain data over a stream socket."""

    def __init__(self, sock: socket.socket):
        self._socket = sock
        # Threads of a client send messages too.
        self._sending = threading.Lock()

    def send(self, *message: Any) -> None:
        data = marshal.dumps(message)
        with self._sending:
            if self._socket.gettimeout() is not None:
                self._socket.settimeout(1)
            try:
                self._socket.sendall(HEADER.pack(len(data)) + data)
            except OSError:
                raise Gone from None

    def receive(self, left: Callable[[], float] = lambda: 0.0) -> tuple:
        """Return the next message.

        :param left: gives the seconds to wait; none for a child, which
            waits for as long as there is a parent
        :raises TimeoutError: if there are none left
        """
        (size,) = HEADER.unpack(self._exactly(HEADER.size, left))
        # Both ends are this program: nothing from a server is decoded here.
        return marshal.loads(self._exactly(size, left))  # noqa: S302

    def _exactly(self, size: int, left: Callable[[], float]) -> bytes:
        data = bytearray()
        while len(data) < size:
            if self._socket.gettimeout() is not None:
                self._socket.settimeout(max(left(), 1e-6))
            try:
                part = self._socket.recv(min(size - len(data), 1 << 20))
            except TimeoutError:
                raise
            except OSError:
                raise Gone from None
            if not part:
                raise Gone
            data += part
        return bytes(data)

    def close(self) -> None:
        self._socket.close()

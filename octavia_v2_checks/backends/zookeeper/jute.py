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

"""ZooKeeper's own protocol: as much of it as reading takes.

A session is all that is written on the server: ZooKeeper logs its beginning
and its end. Nothing here can create, change or delete a znode.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import enum
import struct
from typing import NamedTuple
from typing import TypeVar

from octavia_v2_checks import clock as clocks
from octavia_v2_checks.backends import net
from octavia_v2_checks.backends import stream as stream_

T = TypeVar('T')

#: What a server sends at most in one answer: four times its default limit.
_LIMIT = 16 * 1024 * 1024

_SESSION_MILLISECONDS = 5000


class Error(enum.IntEnum):
    """The error numbers that mean something to a reader."""

    NO_NODE = -101
    NO_AUTH = -102
    AUTH_FAILED = -115
    LOGIN_REQUIRED = -124


class Permission(enum.IntFlag):
    """Bits of an access control list."""

    READ = 1
    WRITE = 2
    CREATE = 4
    DELETE = 8
    ADMIN = 16


class Identity(NamedTuple):
    """Somebody, as an access control list names them."""

    scheme: str
    name: str


class Grant(NamedTuple):
    """One entry of an access control list."""

    permissions: Permission
    identity: Identity


class Malformed(Exception):
    """The other side does not speak ZooKeeper's protocol.

    :param data: the first bytes of what it said
    """

    def __init__(self, data: bytes = b''):
        super().__init__()
        self.data = data


class Refused(Exception):
    """The server answered a request with an error.

    :ivar code: ZooKeeper's number
    """

    def __init__(self, code: int):
        super().__init__(code)
        self.code = code


class Reader:
    """Takes an answer apart.

    :raises Malformed: for data that end too early or cannot be meant
    """

    def __init__(self, data: bytes):
        self._data = data
        self._at = 0

    def _unpack(self, form):
        end = self._at + struct.calcsize(form)
        if end > len(self._data):
            raise Malformed(self._data)
        value, = struct.unpack(form, self._data[self._at:end])
        self._at = end
        return value

    def int32(self) -> int:
        """Return a 32 bit number."""
        return self._unpack('>i')

    def int64(self) -> int:
        """Return a 64 bit number."""
        return self._unpack('>q')

    def buffer(self) -> bytes:
        """Return a byte string; -1 stands for none and reads as empty."""
        length = self.int32()
        end = self._at + max(0, length)
        if length < -1 or end > len(self._data):
            raise Malformed(self._data)
        value = self._data[self._at:end]
        self._at = end
        return value

    def text(self) -> str:
        """Return a text; bytes that are not UTF-8 are replaced."""
        return self.buffer().decode('utf-8', 'replace')

    def items(self, item: Callable[[], T]) -> list[T]:
        """Return a list whose items are read by ``item``."""
        count = self.int32()
        # No item is shorter than its four bytes of length.
        if count < -1 or count * 4 > len(self._data) - self._at:
            raise Malformed(self._data)
        return [item() for _ in range(count)]

    def identity(self) -> Identity:
        """Return a scheme and a name."""
        return Identity(self.text(), self.text())

    def grant(self) -> Grant:
        """Return an entry of an access control list."""
        return Grant(Permission(self.int32() & 31), self.identity())


def _text(value: str) -> bytes:
    data = value.encode()
    return struct.pack('>i', len(data)) + data


class Session:
    """A session for reading; a context manager.

    :param stream: a connection to a member, closed with the session
    :ivar peer: ``host:port`` of that member
    :raises net.Fault: ``timeout``
    :raises ConnectionError: if the member hangs up, as one without a
        quorum does
    :raises Malformed: if it is no ZooKeeper
    """

    def __init__(self, stream: stream_.Stream):
        self._stream = stream
        self.peer = stream.peer
        self._buffer = b''
        self._number = 0
        self._send(struct.pack('>iqiq', 0, 0, _SESSION_MILLISECONDS, 0)
                   + struct.pack('>i16s?', 16, b'', False))
        answer = self._receive()
        answer.int32()
        answer.int32()
        if not answer.int64():
            raise ConnectionResetError

    def __enter__(self) -> 'Session':
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the session, so that the server forgets it at once."""
        try:
            self._request(-11)
        except (net.Fault, ConnectionError, Malformed, Refused):
            # The server then forgets it when its time is over.
            pass
        self._stream.close()

    def exists(self, path: str) -> bool:
        """Return whether there is a znode of this path.

        This and the other questions raise what opening a session raises.

        :raises Refused: where the server demands a login
        """
        try:
            self._request(3, _text(path) + b'\0')
        except Refused as exc:
            if exc.code == Error.NO_NODE:
                return False
            raise
        return True

    def get_children(self, path: str) -> list[str]:
        """Return the names of the znodes below a path.

        :raises Refused: NO_NODE, NO_AUTH …
        """
        answer = self._request(8, _text(path) + b'\0')
        return answer.items(answer.text)

    def get_data(self, path: str) -> bytes:
        """Return the content of a znode.

        :raises Refused: NO_NODE, NO_AUTH …
        """
        return self._request(4, _text(path) + b'\0').buffer()

    def get_each_data(self, paths: Sequence[str]) -> Iterator[bytes | None]:
        """Yield the contents of znodes, asked for in one go.

        All of them must be taken before the next question. It is None for a
        znode that is not there.

        :raises Refused: NO_AUTH …
        """
        for number in [self._ask(4, _text(path) + b'\0') for path in paths]:
            try:
                yield self._answer(number).buffer()
            except Refused as exc:
                if exc.code != Error.NO_NODE:
                    raise
                yield None

    def renew(self, clock: clocks.Clock) -> None:
        """Give what is asked next a clock of its own."""
        self._stream.clock = clock

    def get_acl(self, path: str) -> list[Grant]:
        """Return who may do what with a znode.

        :raises Refused: NO_NODE, NO_AUTH …
        """
        answer = self._request(6, _text(path))
        return answer.items(answer.grant)

    def whoami(self) -> list[Identity]:
        """Return the identities that the server sees in this session.

        :raises Refused: before ZooKeeper 3.7
        """
        answer = self._request(107)
        return answer.items(answer.identity)

    def _request(self, kind: int, payload: bytes = b'') -> Reader:
        return self._answer(self._ask(kind, payload))

    def _ask(self, kind: int, payload: bytes) -> int:
        """Send a request and return its number."""
        self._number += 1
        self._send(struct.pack('>ii', self._number, kind) + payload)
        return self._number

    def _answer(self, asked: int) -> Reader:
        answer = self._receive()
        number = answer.int32()
        answer.int64()
        code = answer.int32()
        if number != asked:
            raise Malformed
        if code:
            raise Refused(code)
        return answer

    def _send(self, message: bytes) -> None:
        self._stream.send(struct.pack('>i', len(message)) + message)

    def _receive(self) -> Reader:
        length, = struct.unpack('>i', self._take(4))
        if not 0 <= length <= _LIMIT:
            raise Malformed
        return Reader(self._take(length))

    def _take(self, count: int) -> bytes:
        parts = [self._buffer]
        missing = count - len(self._buffer)
        while missing > 0:
            parts.append(self._stream.receive(min(missing, 65536)))
            missing -= len(parts[-1])
        data = b''.join(parts)
        self._buffer = data[count:]
        return data[:count]

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

"""The wire protocol of Redis, Valkey and Sentinel (RESP2), for reading only.

Written anew rather than taken from redis-py, whose import alone takes a
quarter of a second and whose time-outs start again with every byte.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import itertools
import re
from typing import Any
from typing import TypeAlias

from octavia_v2_checks.backends import stream as stream_

#: All that is ever carried out on a server. Everything else is only queued,
#: by :meth:`Client.would`, and thrown away. MULTI and EXEC are on the list
#: for the empty transaction, which shows whether they are permitted.
READS = frozenset({
    'HELLO', 'AUTH', 'SELECT', 'PING', 'INFO', 'CONFIG GET', 'WATCH',
    'MULTI', 'EXEC', 'DISCARD', 'SENTINEL MASTERS', 'SENTINEL CKQUORUM',
    'HLEN', 'HSCAN', 'HGETALL', 'HEXISTS', 'GET', 'PTTL',
    'EXISTS'})

#: Bytes of one reply. The largest real ones, INFO and SENTINEL MASTERS, have
#: some ten thousand.
LIMIT = 16 * 1024 * 1024

_LONGEST_LINE = 64 * 1024
_DEEPEST = 8
_HEAD = 1024
_NUMBER = re.compile(rb'-?\d{1,19}')
_WORD = re.compile(r'[A-Z][A-Z0-9]{0,31}(?= |$)')

Command: TypeAlias = Sequence[str | int]


@dataclasses.dataclass(frozen=True)
class ErrorReply:
    """A server's no.

    :ivar text: what it said; never shown, for it may repeat what was sent
    """

    text: str = dataclasses.field(repr=False)

    @property
    def word(self) -> str:
        """The error code, such as ``NOPERM``."""
        found = _WORD.match(self.text)
        return found[0] if found else 'ERR'


Reply: TypeAlias = str | bytes | int | ErrorReply | list[Any] | None


class Malformed(Exception):
    """The other side does not speak the protocol.

    :ivar seen: the first bytes of all that it said
    """

    def __init__(self, seen: bytes):
        super().__init__()
        self.seen = seen


class Reader:
    """Takes replies out of a stream of bytes.

    :param receive: returns the next bytes, at least one; what it raises goes
        through
    """

    def __init__(self, receive: Callable[[], bytes]):
        self._receive = receive
        self._buffer = b''
        self._at = 0
        self._left = LIMIT
        #: The first bytes of all that was received.
        self.head = b''

    def reply(self) -> Reply:
        """Return the next reply.

        :raises Malformed: for what is no reply, or one without an end
        """
        self._left = LIMIT
        return self._value(1)

    def items(self) -> Iterator[Reply] | ErrorReply:
        """Return the items of the next reply, an array of any length.

        All of them must be taken before the next reply.

        :raises Malformed: for what is no array
        """
        size = self._array()
        if isinstance(size, ErrorReply):
            return size
        return (self.reply() for _ in range(size))

    def scanned(self) -> Iterator[Reply] | ErrorReply:
        """Return the cursor of the next reply, that of a scan, then its items.

        All of them must be taken before the next reply.

        :raises Malformed: for what is no such reply
        """
        size = self._array()
        if isinstance(size, ErrorReply):
            return size
        if size != 2:
            raise Malformed(self.head)
        cursor, items = self.reply(), self.items()
        if isinstance(items, ErrorReply):
            raise Malformed(self.head)
        return itertools.chain([cursor], items)

    def _array(self):
        """Return the length of the array that is next, or an error."""
        self._left = LIMIT
        kind, rest = self._line()
        if kind == b'-':
            return ErrorReply(rest.decode('utf-8', 'replace'))
        if kind != b'*' or not rest.isdigit():
            raise Malformed(self.head)
        return int(rest)

    def _value(self, depth: int) -> Reply:
        kind, rest = self._line()
        if kind == b'+':
            return rest.decode('utf-8', 'replace')
        if kind == b'-':
            return ErrorReply(rest.decode('utf-8', 'replace'))
        if kind not in (b':', b'$', b'*') or not _NUMBER.fullmatch(rest):
            raise Malformed(self.head)
        number = int(rest)
        if kind == b':':
            return number
        if number == -1:
            return None
        if number < 0 or depth > _DEEPEST:
            raise Malformed(self.head)
        if kind == b'*':
            return [self._value(depth + 1) for _ in range(number)]
        return self._bulk(number)

    def _line(self) -> tuple[bytes, bytes]:
        """Return the first byte of a line, and the others."""
        while (end := self._buffer.find(b'\r\n', self._at)) < 0:
            size = len(self._buffer) - self._at
            # The first byte tells a stranger before its line has an end.
            if size and (self._buffer[self._at] not in b'+-:$*'
                         or size > _LONGEST_LINE):
                raise Malformed(self.head)
            self._fill()
        line = self._take(end - self._at)
        self._take(2)
        return line[:1], line[1:]

    def _bulk(self, size: int) -> bytes:
        if size > self._left:
            raise Malformed(self.head)
        self._fill(size + 2)
        data = self._take(size)
        if self._take(2) != b'\r\n':
            raise Malformed(self.head)
        return data

    def _take(self, count: int) -> bytes:
        self._left -= count
        if self._left < 0:
            raise Malformed(self.head)
        data = self._buffer[self._at:self._at + count]
        self._at += count
        return data

    def _fill(self, count: int | None = None) -> None:
        """Receive more: so much that there are count bytes, or just some."""
        parts = [self._buffer[self._at:]]
        missing = 1 if count is None else count - len(parts[0])
        while missing > 0:
            data = self._receive()
            missing -= len(data)
            parts.append(data)
            if len(self.head) < _HEAD:
                self.head += data[:_HEAD - len(self.head)]
        self._buffer, self._at = b''.join(parts), 0


def encode(command: Command) -> bytes:
    """Return a command as it goes over the wire."""
    parts = [b'*%d\r\n' % len(command)]
    for word in command:
        # An environment variable that is not UTF-8 comes with surrogates.
        data = str(word).encode('utf-8', 'surrogateescape')
        parts.append(b'$%d\r\n%s\r\n' % (len(data), data))
    return b''.join(parts)


class Client:
    """Asks questions on a stream, which belongs to the caller.

    Every method raises :class:`net.Fault` (``timeout`` or ``tls``),
    ConnectionError if the server hangs up, and :class:`Malformed`.
    """

    def __init__(self, stream: stream_.Stream):
        self._stream = stream
        self._reader = Reader(stream.receive)

    def pipeline(self, commands: Sequence[Command]) -> list[Reply]:
        """Return the answers to commands of :data:`READS`.

        :raises ValueError: for any other command
        """
        for command in commands:
            self._check(command)
        return self._ask(commands)

    def stream(self, command: Command) -> Iterator[Reply] | ErrorReply:
        """Return the items of one answer as they come, however many.

        Those of a scan come after its cursor.

        :raises ValueError: for a command that is not in :data:`READS`
        """
        self._check(command)
        self._stream.send(encode(command))
        if command[0] == 'HSCAN':
            return self._reader.scanned()
        return self._reader.items()

    def would(self, commands: Sequence[Command]
              ) -> list[Reply] | ErrorReply:
        """Ask what the server would say to commands, without running them.

        They are queued in a transaction, which is thrown away. The
        connection is of no use afterwards: an account that may not DISCARD
        stays in the transaction until the connection ends.

        :returns: one answer each, ``QUEUED`` or an error; or the error with
            which the server refused the transaction
        """
        multi, ping = self.pipeline([('MULTI',), ('PING',)])
        # Nothing that writes is sent before it is certain that the server,
        # or a proxy in front of it, does queue. Where EXEC is not permitted
        # the transaction was open before, and MULTI itself is an error.
        if ping != 'QUEUED' and not (
                multi == 'OK' and isinstance(ping, ErrorReply)):
            if isinstance(multi, ErrorReply):
                return multi
            raise Malformed(self._reader.head)
        return self._ask([*commands, ('DISCARD',)])[:-1]

    def _check(self, command):
        words = [str(w).upper() for w in command[:2]]
        if words[0] not in READS and ' '.join(words) not in READS:
            raise ValueError(f'{words[0]} is not a command that reads')

    def _ask(self, commands):
        self._stream.send(b''.join(map(encode, commands)))
        return [self._reader.reply() for _ in commands]

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

"""Connections of redis-py that send what reads, and nothing else.

Wrappers for redis-py: around its sockets, so that endless answers are cut off,
and around its parser, so that large postings are not kept.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import itertools
from typing import Any
from typing import TypeAlias

from octavia_v2_checks.backends.redis import refusals

#: All commands that are ever executed on a server. Everything else is only
#: queued, by :meth:`Guarded.queue`, in a transaction that cannot be executed,
#: and discarded. MULTI and EXEC are on the list for the empty transaction,
#: which shows whether they are permitted. redis-py itself sends those that
#: begin with CLIENT, about its own connection.
READS = frozenset({
    'HELLO', 'AUTH', 'SELECT', 'CLIENT SETINFO', 'CLIENT MAINT_NOTIFICATIONS',
    'PING', 'INFO', 'CONFIG GET', 'WATCH', 'MULTI', 'EXEC', 'DISCARD',
    'SENTINEL MASTERS', 'SENTINEL CKQUORUM', 'HLEN', 'HSCAN', 'HGETALL',
    'HEXISTS', 'GET', 'PTTL', 'EXISTS'})

#: Bytes of one answer. The largest real ones, INFO and SENTINEL MASTERS, have
#: some ten thousand; the one to a login has a hundred.
_LIMIT = 16 << 20
_LOGIN_LIMIT = 64 << 10

#: The first bytes of every answer in RESP2 and RESP3.
_FIRST = b'+-:$*_,#!=%~>(|'

_HEAD = 1024

#: Bytes of a long answer that redis-py has read, and may release.
_READ = 1 << 20

#: A command, word by word.
Command: TypeAlias = Sequence[str | int]


class Rubbish(Exception):
    """The other side does not speak the protocol."""


def check(command: Sequence[Any]) -> None:
    """Require that a command is one of :data:`READS`.

    :raises ValueError: if it is not
    """
    first, *others = command
    words = _text(first).upper().split() + [
        _text(w).upper() for w in others[:1]]
    if words[0] not in READS and ' '.join(words[:2]) not in READS:
        raise ValueError(f'{words[0]} is not a command that reads')


def _text(word: Any) -> str:
    return word.decode('latin-1') if isinstance(word, bytes) else str(word)


class _Metered:
    """A socket that counts what arrives.

    :param limit: gives the bytes that one answer may have
    """

    def __init__(self, sock: Any, limit: Callable[[], int]):
        self._sock = sock
        self._limit = limit
        #: The first bytes of all that was received.
        self.head = b''
        #: Bytes of the answer that is being received.
        self.count = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def sendall(self, data: bytes) -> None:
        try:
            self._sock.sendall(data)
        except TimeoutError:
            raise
        except OSError:
            pass  # What the server said before it hung up is read yet.

    def recv(self, *args: Any) -> bytes:
        data = self._sock.recv(*args)
        self._note(data)
        return data

    def recv_into(self, buffer: Any, *args: Any) -> int:
        size = self._sock.recv_into(buffer, *args)
        self._note(bytes(memoryview(buffer)[:size]))
        return size

    def _note(self, data: bytes) -> None:
        self.count += len(data)
        if len(self.head) < _HEAD:
            self.head += data[:_HEAD - len(self.head)]
            if self.head and self.head[0] not in _FIRST:
                raise Rubbish
        if self.count > self._limit():
            raise Rubbish


class Guarded:
    """What is added to a class of redis-py's connections."""

    #: The command that was sent last, '' before there was one.
    sent = ''
    _metered: _Metered | None = None
    _holding = False
    _limit = _LOGIN_LIMIT

    @property
    def head(self) -> bytes:
        """The first bytes that the server said."""
        return self._metered.head if self._metered else b''

    def _connect(self) -> Any:
        sock = super()._connect()  # type: ignore[misc]
        self._metered = _Metered(sock, lambda: self._limit)
        return self._metered

    def send_command(self, *args: Any, **kwargs: Any) -> None:
        check(args)
        self.sent = ' '.join(
            _text(a) for a in args[:2 if args[0] == 'CLIENT' else 1])
        super().send_command(*args, **kwargs)  # type: ignore[misc]

    def pack_command(self, *args: Any) -> Any:
        check(args)
        return super().pack_command(*args)  # type: ignore[misc]

    def pack_commands(self, commands: Iterable[Command]) -> Any:
        commands = list(commands)
        for command in commands:
            check(command)
        return super().pack_commands(commands)  # type: ignore[misc]

    def queued(self, commands: Iterable[Command]) -> Any:
        """Return packed commands that are to be queued, not executed."""
        return super().pack_commands(commands)  # type: ignore[misc]

    def disconnect(self, *args: Any, **kwargs: Any) -> None:
        if not self._holding:
            super().disconnect(*args, **kwargs)  # type: ignore[misc]

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep the connection open, even where redis-py would close it.

        What a server refuses can then be examined without a second login.
        """
        self._holding = True
        try:
            yield
        finally:
            self._holding = False

    def once_more(self, *command: str) -> Any:
        """Return the answer to a command after a login that was refused."""
        # redis-py would read the refusal again.
        self._parser.on_connect(self)  # type: ignore[attr-defined]
        self.send_command(*command)
        try:
            return plain(self.answer())
        except Exception:
            return None

    def logged_in(self) -> None:
        """Make errors of the parser of redis-py recoverable."""
        import redis
        self._limit = _LIMIT
        parser: Any = self._parser  # type: ignore[attr-defined]
        if hasattr(parser, '_buffer'):
            parser.parse_error = redis.ResponseError

    def answer(self) -> Any:
        """Return the next answer.

        :raises Exception: of redis-py, for an error for example
        """
        from redis import connection
        if self._metered:
            self._metered.count = 0
        # Not like the class for masters behind Sentinels: it disconnects from
        # a server that turns out to be a replica.
        plainly: Any = connection.AbstractConnection
        return plainly.read_response(self)

    @contextlib.contextmanager
    def shrinking(self, skip: int, shrink: Callable[[bytes], Any]
                  ) -> Iterator[None]:
        """Have every other text of an answer replaced while it arrives.

        A hundred thousand postings do not fit into memory, and their summaries
        are short.

        :param skip: texts that come before the first pair
        """
        buffer: Any = getattr(
            self._parser, '_buffer', None)  # type: ignore[attr-defined]
        self._limit, before = 1 << 62, self._limit
        if not hasattr(buffer, 'read'):
            yield  # hiredis, which has what arrives in memory at once
        else:
            numbers = itertools.count(-skip)
            read = buffer.read

            def shrunk(*args: Any, **kwargs: Any) -> Any:
                data = read(*args, **kwargs)
                _forget(buffer)
                number = next(numbers)
                return shrink(data) if number > 0 and number % 2 else data

            buffer.read = shrunk
            try:
                yield
            finally:
                del buffer.read
        self._limit = before


def _forget(buffer: Any) -> None:
    """Release what was read, which redis-py keeps until the answer ends."""
    stream = buffer._buffer
    if stream.tell() > _READ:
        rest = stream.read()
        stream.seek(0)
        stream.truncate()
        stream.write(rest)
        stream.seek(0)


def guarded(kind: type) -> type:
    """Return a class of redis-py connections that cannot write."""
    return type('GuardedConnection', (Guarded, kind), {})


def plain(answer: Any) -> Any:
    """Return an answer as plain data; a tuple stands for an error."""
    if isinstance(answer, Exception):
        return tuple(refusals.refusal(answer) or ('ERR', ''))
    if isinstance(answer, dict):
        return [plain(item) for pair in answer.items() for item in pair]
    if isinstance(answer, list | set):
        return [plain(item) for item in answer]
    return answer

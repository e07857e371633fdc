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

"""The kazoo of a worker, except that it only reads, and reports more.

Only a child process imports this module.
"""

import logging
import select
import threading
from typing import Any

from kazoo import client
from kazoo import exceptions
from kazoo import retry as retries
from kazoo.handlers import threading as handlers
from kazoo.protocol import connection as connections
from kazoo.protocol import serialization

#: What a server sends at most in one answer: four times its default limit.
_LIMIT = 16 * 1024 * 1024


class Malformed(Exception):
    """The other side does not speak ZooKeeper's protocol."""


class Lost(Exception):
    """The connection is lost, or there never was one."""


class Forbidden(Exception):
    """A request that is not a read was about to be sent."""


class WhoAmI:
    """Asks for the identities of this session; kazoo does not have this
    request.

    It is not a tuple like the requests of kazoo: without content it would be
    false, and kazoo would drop the answer.
    """

    type = 107

    @classmethod
    def serialize(cls) -> bytes:
        """Return the body of the request."""
        return b''

    @classmethod
    def deserialize(cls, data: bytes, offset: int) -> list[tuple[str, str]]:
        """Return schemes and names."""
        count, = serialization.int_struct.unpack_from(data, offset)
        offset += serialization.int_struct.size
        found = []
        for _ in range(count):
            scheme, offset = serialization.read_string(data, offset)
            name, offset = serialization.read_string(data, offset)
            found.append((scheme, name))
        return found


#: The only requests that leave this process, and their names in ZooKeeper.
READS = {
    serialization.Connect: 'createSession',
    serialization.Exists: 'exists',
    serialization.GetData: 'getData',
    serialization.GetChildren: 'getChildren',
    serialization.GetACL: 'getACL',
    WhoAmI: 'whoAmI',
    serialization.Ping: 'ping',
    serialization.Close: 'closeSession',
}


class _Handler(handlers.SequentialThreadingHandler):
    """The handler of kazoo, with a ``select`` that opens no new file each
    time.
    """

    def select(self, read, write, error, timeout=None):
        sockets = {s.fileno(): s for s in (*read, *write)}
        waiting = select.poll()
        for number, sock in sockets.items():
            waiting.register(number, (select.POLLIN if sock in read else 0)
                             | (select.POLLOUT if sock in write else 0))
        ready = [sockets[number] for number, _ in waiting.poll(
            None if timeout is None else max(0, timeout) * 1000)]
        return ([s for s in ready if s in read],
                [s for s in ready if s in write], [])


class _Log(logging.Handler):
    """Keeps the last exception that kazoo has logged."""

    error: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Examine a message of kazoo."""
        if record.exc_info:
            self.error = record.exc_info[1]


class Reader(client.KazooClient):
    """A client that refuses to write, and does not retry.

    :param arguments: the arguments of the client of a worker
    :ivar code: the last error number of the server
    :ivar answered: whether the last four-letter word had an answer
    """

    def __init__(self, **arguments: Any):
        self._log = _Log()
        logger = logging.Logger('kazoo', logging.WARNING)
        logger.addHandler(self._log)
        super().__init__(handler=_Handler(), logger=logger, **arguments)
        self.code: int | None = None
        self.answered = False
        self._ended = threading.Event()
        self._guard(self._connection)

    def _guard(self, connection):
        """Watch all that is sent, and what has to be reported."""
        submit, loop = connection._submit, connection.zk_loop
        read, header = connection._read, connection._read_header
        round_ = connection._connect_loop

        def guarded_submit(request, *args, **kwargs):
            if type(request) not in READS:
                raise Forbidden(type(request).__name__)
            return submit(request, *args, **kwargs)

        def bounded_read(length, timeout):
            if not 0 <= length <= _LIMIT:
                self._log.error = Malformed()
                raise exceptions.ConnectionDropped('not an answer of '
                                                   'ZooKeeper')
            return read(length, timeout)

        def noted_header(timeout):
            answer = header(timeout)
            self.code = answer[0].err or self.code
            return answer

        def single_round(retry):
            try:
                return round_(retry)
            except retries.ForceRetryError:
                return connections.STOP_CONNECTING

        def watched_loop():
            try:
                loop()
            except Exception as exc:
                self._log.error = exc
            finally:
                self._ended.set()

        connection._submit, connection.zk_loop = guarded_submit, watched_loop
        connection._read, connection._read_header = bounded_read, noted_header
        connection._connect_loop = single_round

    @property
    def error(self) -> BaseException | None:
        """What failed in kazoo, apart from the connection."""
        return self._log.error

    def command(self, cmd=b'ruok'):
        """Ask with a four-letter word; only words that read are allowed."""
        if cmd != b'envi':
            raise Forbidden(cmd)
        self.answered = False
        answer = super().command(cmd)
        self.answered = bool(answer)
        return answer

    def open(self) -> tuple[str, int]:
        """Begin a session.

        :returns: address and port of the server
        :raises Lost: if no member grants one
        """
        live = self.start_async()
        while not live.wait(0.005):
            if self._ended.is_set():
                raise Lost
        try:
            return self._connection._socket.getpeername()[:2]
        except (OSError, AttributeError):
            raise Lost from None

    def result(self, pending: Any) -> Any:
        """Return the answer to a request.

        :raises Lost: if there will be no answer
        :raises exceptions.ZookeeperError: for an error of the server
        """
        while not pending.ready():
            pending.wait(0.05)
            # kazoo forgets a request whose answer it does not understand.
            if self._ended.is_set() and not pending.ready():
                raise Lost
        try:
            return pending.get()
        except (exceptions.ConnectionLoss, exceptions.ConnectionClosedError,
                exceptions.SessionExpiredError):
            raise Lost from None

    def whoami(self) -> list[tuple[str, str]]:
        """Return the identities that the server sees in this session.

        :raises exceptions.ZookeeperError: before ZooKeeper 3.7
        """
        pending = self.handler.async_result()
        self._call(WhoAmI(), pending)
        return self.result(pending)

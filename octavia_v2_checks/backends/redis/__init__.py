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

"""The Redis jobboard: Redis or Valkey, alone or behind Sentinels.

All requests are sent by the client of a worker, in a child process; nothing is
written. See :data:`wire.READS` for all that is ever executed on a server.
"""

from collections.abc import Iterator
import contextlib

from octavia_v2_checks import clock as clocks
from octavia_v2_checks import findings
from octavia_v2_checks import settings as settings_
from octavia_v2_checks.backends import jobboard
from octavia_v2_checks.backends import net
from octavia_v2_checks.backends.redis import board as board_redis
from octavia_v2_checks.backends.redis import connection as redis_connection
from octavia_v2_checks.backends.redis import errors
from octavia_v2_checks.backends.redis import sentinel as redis_sentinel
from octavia_v2_checks.backends.redis import server as redis_server
from octavia_v2_checks.backends.redis.connection import Connection

_HOSTS = 'jobboard_backend_hosts'

#: Causes for which Sentinels consider a master down.
_NO_MASTER = frozenset({'unresolvable', 'refused', 'timeout', 'replica',
                        'wrong-protocol'})


class Redis:
    """The ``redis_taskflow_driver``.

    :raises findings.Blocked: for an option that a worker could not use
    """

    client = jobboard.Client('redis', 'redis', 'redis')

    def __init__(self, settings: settings_.Settings,
                 deadline: clocks.Deadline):
        self._deadline = deadline
        self._options = redis_connection.options_of(settings)
        self._namespace = settings.get('jobboard_backend_namespace')
        if not self._options[_HOSTS]:
            raise findings.Blocked(f'{_HOSTS} is empty',
                                   option=f'task_flow.{_HOSTS}')

    def probe(self) -> Iterator[net.Fault | str]:
        """Yield what is wrong, and as text what is in order."""
        try:
            watch = self._watch()
        except net.Fault as fault:
            yield fault
            return
        if watch is None:
            yield from self._examine(*self._first)
            return
        yield from watch.faults()
        master = watch.master
        if master is None:
            return
        said = list(self._examine(master.host, master.port))
        gone = [s for s in said if isinstance(s, net.Fault)
                and s.slug in _NO_MASTER]
        if master.down and not gone:
            yield watch.down(master, self._has_password)
        else:
            yield watch.fact()
        yield from said

    def connect(self) -> Connection:
        """Return the connection to the server that a worker would use.

        :raises net.Fault: where a worker would fail
        """
        watch = self._watch()
        if watch is None:
            return self._open(*self._first)
        master = watch.choice()
        connection = self._open(master.host, master.port)
        if master.down:
            raise watch.down(master, self._has_password)
        return connection

    def board(self) -> board_redis.RedisBoard:
        """Open the board, to list its jobs.

        :raises net.Fault: where a worker would fail
        """
        return board_redis.RedisBoard(self.connect(), self._namespace)

    @property
    def _first(self) -> tuple[str, int]:
        return (self._options[_HOSTS][0],
                self._options['jobboard_backend_port'])

    @property
    def _has_password(self) -> bool:
        return bool(self._options['jobboard_backend_password'])

    def _examine(self, host, port):
        try:
            for said in redis_server.probe(self._open(host, port),
                                           self._namespace):
                yield (said if isinstance(said, str)
                       else self._as_announced(said))
        except net.Fault as fault:
            yield fault

    def _server(self) -> Connection:
        """Return the process with the client, connected or not."""
        def make():
            with _usable():
                return Connection(redis_connection.to_redis(self._options),
                                  self._options, self._deadline)

        return self._deadline.shared('redis', make)

    def _watch(self) -> redis_sentinel.Watch | None:
        """Ask the Sentinels, if there are any."""
        def make():
            places = self._server().sentinels
            if places is None:
                return None
            with _usable():
                return redis_sentinel.Watch(
                    redis_connection.to_sentinel(self._options),
                    self._options, places, self._deadline)

        return self._deadline.shared('redis sentinels', make)

    def _open(self, host, port) -> Connection:
        def make():
            server = self._server()
            try:
                with _usable():
                    server.open(host, port)
            except net.Fault as fault:
                raise self._as_announced(fault) from None
            return server

        return self._deadline.shared(('redis', host, port), make)

    def _as_announced(self, fault: net.Fault) -> net.Fault:
        """Return the fault of a server that the Sentinels name, if any do.
        """
        watch = self._watch()
        if watch is None:
            return fault
        fault = watch.unfit(watch.unreached(fault))
        if fault.slug in _NO_MASTER:
            fault.text += ' The Sentinels name it as the master.'
        return fault


@contextlib.contextmanager
def _usable() -> Iterator[None]:
    """Turn an unusable option into Blocked."""
    try:
        yield
    except errors.Useless as exc:
        raise findings.Blocked(
            exc.reason, option=f'task_flow.{exc.option}') from None

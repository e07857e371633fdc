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

Everything is asked as a worker's client would: with its login, its TLS and
its choice among the hosts. Nothing is written; see :data:`resp.READS` for
all that is ever carried out on a server.
"""

from collections.abc import Iterator

from octavia_v2_checks import clock as clocks
from octavia_v2_checks import findings
from octavia_v2_checks import settings as settings_
from octavia_v2_checks.backends import jobboard
from octavia_v2_checks.backends import net
from octavia_v2_checks.backends.redis import board as board_redis
from octavia_v2_checks.backends.redis import connection as redis_connection
from octavia_v2_checks.backends.redis import sentinel as redis_sentinel
from octavia_v2_checks.backends.redis import server as redis_server
from octavia_v2_checks.backends.redis.connection import Connection

#: What explains why Sentinels hold a master for down.
_NO_MASTER = frozenset({'unresolvable', 'refused', 'timeout', 'replica',
                        'wrong-protocol'})


class Redis:
    """The ``redis_taskflow_driver``.

    :raises findings.Blocked: for an option that a worker could not use
    """

    client = jobboard.Client('redis', 'redis', 'redis')

    def __init__(self, settings: settings_.Settings,
                 deadline: clocks.Deadline):
        self._settings = settings
        self._deadline = deadline
        self._access = redis_connection.to_redis(settings)
        self._hosts = settings.get('jobboard_backend_hosts')
        self._port = settings.get('jobboard_backend_port')
        if not self._hosts:
            raise findings.Blocked(
                'jobboard_backend_hosts is empty',
                option='task_flow.jobboard_backend_hosts')

    def probe(self) -> Iterator[net.Fault | str]:
        """Yield what is wrong, and as text what was found to be right."""
        watch = self._watch()
        if watch is None:
            yield from self._examine(self._hosts[0], self._port)
            return
        yield from watch.faults()
        master = watch.master
        if master is None:
            return
        said = list(self._examine(master.host, master.port))
        gone = [s for s in said if isinstance(s, net.Fault)
                and s.slug in _NO_MASTER]
        for fault in gone:
            fault.text += ' The Sentinels name it as the master.'
        if master.down and not gone:
            yield watch.down(master)
        else:
            yield watch.fact()
        yield from said

    def connect(self) -> Connection:
        """Connect to the server that a worker would use.

        :raises net.Fault: where a worker would fail
        """
        host, port = self._hosts[0], self._port
        watch = self._watch()
        if watch is not None:
            master = watch.choice()
            host, port = master.host, master.port
        return Connection(self._access, host, port, self._deadline)

    def board(self) -> board_redis.RedisBoard:
        """Open the board, to see what lies on it.

        :raises net.Fault: where a worker would fail
        """
        return board_redis.RedisBoard(
            self.connect, self._settings.get('jobboard_backend_namespace'))

    def _examine(self, host, port):
        try:
            with Connection(self._access, host, port,
                            self._deadline) as connection:
                yield from redis_server.probe(
                    connection, self._settings.get(
                        'jobboard_backend_namespace'))
        except net.Fault as fault:
            yield fault

    def _watch(self) -> redis_sentinel.Watch | None:
        """Ask the Sentinels, if there are any."""
        name = self._settings.get('jobboard_redis_sentinel')
        if name is None:
            return None
        # TaskFlow takes the brackets of an IPv6 address off all but the
        # first host.
        first, *others = self._hosts
        hosts = [first, *(h.strip('[]') for h in others)]
        return redis_sentinel.Watch(
            redis_connection.to_sentinel(self._settings),
            [(h, self._port) for h in hosts], name, self._deadline)

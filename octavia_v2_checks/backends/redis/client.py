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

"""The redis-py of a worker, which answers questions in a child process.

It is created as TaskFlow creates it, but tries everything once, and uses the
connections of :mod:`wire`. A tuple among its answers is an error of the
server: the fields of an :class:`refusals.Refusal`.
"""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import itertools
import socket
from typing import Any

from octavia_v2_checks.backends import net
from octavia_v2_checks.backends.redis import asking
from octavia_v2_checks.backends.redis import errors
from octavia_v2_checks.backends.redis import posting
from octavia_v2_checks.backends.redis import refusals
from octavia_v2_checks.backends.redis import wire
from octavia_v2_checks.upstream import clients_redis
from octavia_v2_checks.upstream import versions

#: Names in redis-py of the flags of a master that is down.
_DOWN = (('is_odown', 'o_down'), ('is_sdown', 's_down'))

#: How many jobs one page has.
_PAGE = 200


def _arguments(options: Mapping[str, Any]) -> clients_redis.Arguments:
    return clients_redis.arguments(options, versions.numbers('taskflow'),
                                   versions.numbers('octavia'))


def _once() -> dict[str, Any]:
    """Return the arguments that keep redis-py from retrying."""
    from redis import backoff
    from redis import retry
    return {'retry': retry.Retry(backoff.NoBackoff(), 0),
            'retry_on_error': [], 'health_check_interval': 0}


def _client(given: clients_redis.Arguments) -> dict[str, Any]:
    """Return the arguments of the client, as redis-py expects them."""
    client = given.client | _once()
    if given.quiet and (versions.numbers('redis') or ()) >= (8,):
        from redis import maint_notifications
        client['maint_notifications_config'] = (
            maint_notifications.MaintNotificationsConfig(enabled=False))
    return client


def _manager(given: clients_redis.Arguments,
             sentinels: list[tuple[str, int]]) -> Any:
    from redis import sentinel
    return sentinel.Sentinel(
        sentinels, sentinel_kwargs=None if given.sentinel is None
        else given.sentinel | _once(), **_client(given))


class Server(asking.Asking):
    """The server with the jobs.

    Its methods raise :class:`net.Fault` where a worker would fail.
    """

    def prepare(self) -> list[tuple[str, int]] | None:
        """Create the client, and contact nothing.

        :returns: host and port of every Sentinel, None without Sentinel
        :raises errors.Useless: for an unusable option
        """
        try:
            given = _arguments(self._options)
        except Exception as exc:
            raise self._fails(exc) from None

        def make():
            import redis
            if given.sentinels is None:
                return redis.Redis(**_client(given))
            return _manager(given, given.sentinels).master_for(given.name)

        self._adopt(make)
        return given.sentinels

    def open(self, host: str, port: int) -> None:
        """Connect and log in.

        :param host: with Sentinel, of the master
        """
        self._place = (host, port)
        connection = self._connection

        def by_sentinel():
            connection.connect_to((host, port))

        managed = self._options['jobboard_redis_sentinel'] is not None
        self._connect(by_sentinel if managed else connection.connect,
                      net.endpoint(host, port))

    def would(self, commands: Sequence[wire.Command]) -> list[Any] | tuple:
        """Ask what would happen, without executing anything.

        :returns: one answer each, ``QUEUED`` or an error; or the error with
            which the server refused the transaction
        """
        multi, ping = self.ask([('MULTI',), ('PING',)])
        # No command that writes is sent before it is certain that the server,
        # or a proxy in front of it, queues. Where EXEC is not permitted, the
        # transaction is still open, and MULTI itself is an error.
        if ping != b'QUEUED' and not (
                multi == b'OK' and isinstance(ping, tuple)):
            if isinstance(multi, tuple):
                return multi
            raise self.stranger()
        # An invalid command: what is queued with it can only be discarded.
        wrong, = self.ask([('HLEN',)])
        if not isinstance(wrong, tuple):
            self.ask([('DISCARD',)])
            raise self.stranger()
        *answers, end = self._answers(
            self._connection.queued([*commands, ('DISCARD',)]),
            [str(c[0]) for c in commands] + ['DISCARD'])
        if isinstance(end, tuple):
            # Workers need no DISCARD, so their account may lack it.
            end, = self.ask([('EXEC',)])
            if end[:1] != ('EXECABORT',):
                self._connection.disconnect()
                self.open(*self._place)
        return answers

    def scan(self, key: str) -> Iterator[list[tuple]]:
        """Yield the postings in a hash, a page at a time.

        :returns: of each its key, and its :data:`posting.Summary` or Nones
        """
        cursor: Any = '0'
        while cursor != b'0':
            with self._connection.shrinking(1, posting.read):
                answer, = self.ask([('HSCAN', key, cursor, 'COUNT', _PAGE)])
            cursor, items = self._checked(answer, 'HSCAN', 2)
            yield list(self._postings(items))

    def load(self, key: str, most: int) -> None:
        """Fetch all postings in a hash at once, for :meth:`loaded`.

        :param most: how many of them are read
        """
        numbers = itertools.count()

        def read(data):
            return posting.read(data) if next(numbers) < most else None

        with self._connection.shrinking(0, read):
            answer, = self.ask([('HGETALL', key)])
        self._items = self._checked(answer, 'HGETALL')[:2 * most]

    def loaded(self) -> Iterator[list[tuple]]:
        """Yield what :meth:`load` has fetched as :meth:`scan` does."""
        items, self._items = self._items, []
        for start in range(0, len(items), 2 * _PAGE):
            yield list(self._postings(items[start:start + 2 * _PAGE]))

    def _checked(self, answer, command, size=None):
        if isinstance(answer, tuple):
            raise errors.fault(refusals.Refusal(*answer), command, self._peer,
                               self._access)
        if not isinstance(answer, list) or size not in (None, len(answer)):
            raise self.stranger()
        return answer

    def _postings(self, items):
        if not isinstance(items, list) or len(items) % 2:
            raise self.stranger()
        for key, found in zip(items[::2], items[1::2], strict=True):
            # With hiredis, an answer cannot be reduced while it arrives.
            summary = (posting.read(found) if isinstance(found, bytes)
                       else found)
            yield (key.decode('utf-8', 'replace'),
                   *(summary or (None, None, None)))


class Sentinel(asking.Asking):
    """One Sentinel."""

    def watch(self, host: str, port: int, name: str) -> dict[str, Any]:
        """Return what it says about its masters, as :class:`sentinel.Answer`.

        :raises net.Fault: if it does not answer; :class:`errors.Final` where
            redis-py asks no further Sentinel then
        :raises errors.Useless: for an unusable option
        """
        manager: list[Any] = []

        def make():
            manager.append(_manager(_arguments(self._options),
                                    [(host, port)]))
            return manager[0].sentinels[0]

        try:
            client = self._adopt(make)
            self._connect(self._connection.connect, net.endpoint(host, port))
            with self._understood():
                return self._watched(client, manager[0], name)
        except net.Fault as fault:
            if self._ends:
                raise errors.Final(*fault.plain()) from None
            raise

    def _watched(self, client, manager, name):
        self._connection.send_command('SENTINEL MASTERS')
        masters = client.parse_response(self._connection, 'SENTINEL MASTERS')
        state = masters.get(name)
        master = None
        if state:
            usable = manager.check_master_state(state, name)
            down = next((flag for field, flag in _DOWN if state[field]),
                        'no master')
            master = {
                'host': state['ip'], 'port': int(state['port']),
                'down': None if usable else down,
                # A refusal is an answer, but not one that counts.
                'answers': int(state.get('last-ping-reply', 0)) < int(
                    state.get('last-ok-ping-reply', 0)),
                'known': int(state['num-other-sentinels']) + 1,
                'quorum': int(state['quorum']),
                'run': str(state.get('runid', ''))}
        self._connection.send_command('SENTINEL CKQUORUM', name)
        quorum = self._answer()
        majority = not isinstance(quorum, tuple) or (
            False if quorum[0] == 'NOQUORUM' else None)
        return {'names': sorted(map(str, masters)), 'master': master,
                'majority': majority, 'here': self._is_here()}

    def _is_here(self) -> bool:
        """Whether the Sentinel runs on this host."""
        address = self._connection._sock.getpeername()[0]
        family = socket.AF_INET6 if ':' in address else socket.AF_INET
        with socket.socket(family) as own:
            try:
                own.bind((address, 0))
            except OSError:
                return False
        return True

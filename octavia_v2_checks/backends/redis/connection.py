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

"""The connection to Redis and Sentinel, by the client of a worker in a child.
"""

from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
from typing import Any

from octavia_v2_checks import clock as clocks
from octavia_v2_checks import settings as settings_
from octavia_v2_checks.backends import isolated
from octavia_v2_checks.backends import net
from octavia_v2_checks.backends import sniff
from octavia_v2_checks.backends.redis import errors
from octavia_v2_checks.backends.redis import refusals
from octavia_v2_checks.upstream import clients_redis
from octavia_v2_checks.upstream import switches

_CLIENT = 'octavia_v2_checks.backends.redis.client'

#: Part of the deadline that is reserved for what follows a listing in one
#: piece.
_RESERVE = 0.3

#: How many postings of such a listing are read: more than a check compares.
_MOST = 25000


def options_of(settings: settings_.Settings) -> dict[str, Any]:
    """Return the arguments of redis-py, as plain data.

    :raises findings.Blocked: for an option that a worker could not read
    """
    found = {name: settings.get(name) for name in clients_redis.OPTIONS}
    return {name: dict(value) if hasattr(value, 'items') else
            list(value) if isinstance(value, tuple) else value
            for name, value in found.items()}


def to_redis(options: dict[str, Any]) -> errors.Access:
    """Return the access to Redis itself."""
    return _access(
        options, 'Redis', 'jobboard_backend_username',
        'jobboard_backend_password', 'jobboard_redis_backend_ssl_options',
        options['jobboard_redis_backend_db'])


def to_sentinel(options: dict[str, Any]) -> errors.Access:
    """Return the access to the Sentinels, which shares nothing with that to
    Redis.
    """
    return _access(
        options, 'Sentinel', 'jobboard_redis_sentinel_username',
        'jobboard_redis_sentinel_password',
        'jobboard_redis_sentinel_ssl_options')


def _access(options, kind, user_option, password_option, tls_option,
            database=0):
    given = options[tls_option]
    return errors.Access(
        kind, options[user_option],
        switches.is_true(given.get('ssl', False)),
        bool(given.get('ssl_certfile')), user_option, password_option,
        tls_option, database)


def stranger(deadline: clocks.Deadline, fault: net.Fault, host: str,
             port: int, access: errors.Access) -> net.Fault:
    """Return a fault, or a better one where another kind of server answers."""
    detail = fault.detail or ''
    doubtful = {
        'timeout': detail != net.CONNECTING, 'refused': detail == 'closed',
        'wrong-protocol': detail == 'unknown',
        # These two come from a server that does speak TLS.
        'tls': detail != 'verify' and 'ALERT' not in detail}
    if not doubtful.get(fault.slug):
        return fault
    name = sniff.at(deadline, host, port)
    if name is None or name in access.expected:
        return fault
    return errors.stranger(name, net.endpoint(host, port), access)


class Connection:
    """A child process with the client of a worker; all checks may use it.

    Its methods raise :class:`net.Fault` where a worker would fail.

    :param deadline: each question has its share of it
    """

    def __init__(self, access: errors.Access, options: dict[str, Any],
                 deadline: clocks.Deadline):
        self.access = access
        self._deadline = deadline
        self._child = isolated.Child(deadline, f'{_CLIENT}:Server',
                                     tuple(access), options)
        #: Host and port of every Sentinel, None without Sentinel.
        self.sentinels = self._child.ask(
            'prepare', clock=clocks.Clock(deadline.left()))

    def open(self, host: str, port: int) -> None:
        """Connect and log in, once; required before any question.

        :param host: with Sentinel, of the master
        """
        self.peer = net.endpoint(host, port)
        self._place = (host, port)
        with self._identified():
            self._child.ask('open', host, port)

    def ask(self, commands: Sequence[Sequence[str | int]]) -> list[Any]:
        """Return the answers to commands that read."""
        with self._identified():
            return [_read(a) for a in self._child.ask('ask', commands)]

    def would(self, commands: Sequence[Sequence[str | int]]
              ) -> list[Any] | refusals.Refusal:
        """Ask what would happen; see :meth:`client.Server.would`."""
        with self._identified():
            answer = self._child.ask('would', commands)
        return (_read(answer) if isinstance(answer, tuple)
                else [_read(a) for a in answer])

    def postings(self, key: str) -> Iterator[list[tuple]]:
        """Yield the postings in a hash, a page at a time.

        :returns: key, name, uuid of the logbook, load balancer; Nones where
            workers cannot read it
        """
        try:
            yield from self._child.pages('scan', key)
        except net.Fault as fault:
            if fault.slug != 'missing-permission':
                raise
        else:
            return
        # Workers do not scan, so their account may not be allowed to; they
        # request all at once.
        left = self._deadline.left() - _RESERVE * self._deadline.seconds
        self._child.ask('load', key, _MOST,
                        clock=clocks.Clock(max(left, 0)))
        yield from self._child.pages('loaded')

    def fault(self, refused: refusals.Refusal, command: str) -> net.Fault:
        """Return the fault that an error stands for.

        :param command: the command, for the reader
        """
        return errors.fault(refused, command, self.peer, self.access)

    def stranger(self) -> net.Fault:
        """Return the fault of a server that does not speak the protocol of
        Redis.
        """
        return errors.stranger(None, self.peer, self.access)

    @contextlib.contextmanager
    def _identified(self) -> Iterator[None]:
        """Return the fault of another kind of server where Redis was expected.
        """
        try:
            yield
        except net.Fault as fault:
            raise stranger(self._deadline, fault, *self._place,
                           self.access) from None


def _read(answer: Any) -> Any:
    return refusals.Refusal(*answer) if isinstance(answer, tuple) else answer

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

"""One connection of redis-py in a child, and what goes wrong with it."""

from collections.abc import Callable
from collections.abc import Sequence
import errno
from typing import Any

from octavia_v2_checks.backends import net
from octavia_v2_checks.backends import sniff
from octavia_v2_checks.backends import stream
from octavia_v2_checks.backends import witness
from octavia_v2_checks.backends.redis import errors
from octavia_v2_checks.backends.redis import refusals
from octavia_v2_checks.backends.redis import wire
from octavia_v2_checks.upstream import broken
from octavia_v2_checks.upstream import versions

_TLS = 'jobboard_redis_backend_ssl_options'
_HOSTS = 'jobboard_backend_hosts'


class Asking:
    """One connection, and its faults in words.

    :param access: the fields of an :class:`errors.Access`
    :param options: the values of :data:`clients_redis.OPTIONS`
    """

    def __init__(self, access: tuple, options: dict[str, Any]):
        self._access = errors.Access(*access)
        self._options = options
        self._witness = witness.Witness()
        self._peer = ''
        self._connection: Any = None
        #: Why the connection is gone, once it is.
        self._lost: net.Portable | None = None
        #: Whether redis-py asks no further Sentinel after the last error.
        self._ends = False

    def _adopt(self, make: Callable[[], Any]) -> Any:
        """Return a new client; its connection is one of ours, and not open
        yet.

        :raises net.Fault: ``client-fails``
        :raises errors.Useless: for an unusable option
        """
        option = self._access.tls_option
        try:
            client = make()
            pool = client.connection_pool
            pool.connection_class = wire.guarded(pool.connection_class)
            self._connection = pool.make_connection()
        except Exception as exc:
            if type(exc).__name__ == 'RedisError':
                raise errors.Useless(
                    option, f'{option} has no valid ssl_cert_reqs') from None
            raise self._fails(exc) from None
        return client

    def _fails(self, exc: Exception) -> net.Fault:
        """Return the fault of a worker that stops before it contacts a server.
        """
        name = type(exc).__name__
        sentinel = self._options['jobboard_redis_sentinel'] is not None
        installed = versions.installed('taskflow')
        known = broken.lookup('taskflow', installed, 'sentinel-without-tls')
        if sentinel and name == 'TypeError' and known:
            return net.Fault(
                'client-fails', f'Workers stop with {name}: with TaskFlow '
                                f'{installed}, {known.fails}.',
                f'Set {_TLS} in [task_flow] to ssl:False, without any ssl_*, '
                f'or: {known.command}', option=_TLS)
        if sentinel and name == 'ValueError':
            return net.Fault(
                'client-fails', f'Workers stop with {name}: TaskFlow does not '
                                f'accept an entry of {_HOSTS} as a host.',
                f'Write only host names in {_HOSTS}; the port of all of them '
                'is jobboard_backend_port.', option=_HOSTS)
        return net.Fault(
            'client-fails', f'Workers stop with {name}, which redis-py raises '
                            'before it contacts a server.')

    def _connect(self, connect: Callable[[], None], peer: str) -> None:
        """Connect and log in, once.

        :raises net.Fault: where a worker would fail
        :raises errors.Useless: for an unusable option
        """
        self._peer = peer
        self._connection.redis_connect_func = self._log_in
        with self._understood():
            connect()
        self._connection.logged_in()

    def _log_in(self, connection: Any) -> None:
        """Do what redis-py does for a new connection."""
        with connection.held():
            try:
                connection.on_connect()
            except Exception as exc:
                refused = refusals.refusal(exc)
                if refused is None:
                    raise
                self._note(exc)
                raise self._login_fault(connection, refused) from None

    def _login_fault(self, connection, refused):
        access = self._access
        fault = errors.fault(refused, connection.sent, self._peer, access)
        if fault.slug == 'access-denied' and refused.word != 'DENIED':
            if connection.once_more('PING') == b'PONG':
                return errors.needs_no_login(self._peer, access)
        elif fault.slug == 'unknown-database':
            answer = connection.once_more('CONFIG', 'GET', 'databases')
            if isinstance(answer, list) and answer[1:]:
                return errors.unknown_database(self._peer, access, answer[1])
        return fault

    def _understood(self) -> '_Understood':
        return _Understood(self)

    def _note(self, exc: Exception) -> None:
        import redis
        self._ends = not isinstance(
            exc, redis.ConnectionError | redis.TimeoutError)

    def explain(self, exc: Exception) -> net.Portable:
        """Return what an exception of redis-py stands for."""
        self._note(exc)
        # Some releases ignore what a server says before it closes.
        refused = (refusals.refusal(exc)
                   or refusals.farewell(self._connection.head))
        if refused:
            return errors.fault(refused, self._connection.sent, self._peer,
                                self._access)
        seen = self._witness.fault
        if not seen and not self._connection.sent:
            # It was connected and said nothing: the cause is not the network.
            return self._unusable(exc)
        fault = errors.network(exc, self._peer, self._access, seen,
                               self._connection.socket_timeout)
        return fault or self.stranger()

    def _unusable(self, exc):
        """Return the fault of an error before the first request."""
        access = self._access
        cause = next((e for e in refusals.causes(exc) if isinstance(
            e, OSError | TypeError | ValueError)), None)
        if not access.tls or not cause:
            return self._fails(exc)
        if isinstance(cause, ConnectionError) or (
                isinstance(cause, OSError) and cause.errno == errno.ENOTCONN):
            return errors.tls(stream.insecure(self._peer, self._peer, cause),
                              access)
        return errors.Useless(
            access.tls_option, f'a file in {access.tls_option} cannot be used '
                               f'({type(cause).__name__})')

    def stranger(self) -> net.Fault:
        """Return the fault of a server that does not speak the protocol of
        Redis.
        """
        name = sniff.recognise(self._connection.head)
        if name in self._access.expected:
            name = None
        fault = errors.stranger(name, self._peer, self._access)
        if name in (None, 'an HTTP server'):
            fault.detail = 'unknown'
        return fault

    def lose(self, fault: net.Portable) -> None:
        """Remember why the connection is not usable any more."""
        self._lost = fault

    def ask(self, commands: Sequence[wire.Command]) -> list[Any]:
        """Return the answers to commands of :data:`wire.READS`.

        :raises net.Fault: if the connection fails
        """
        return self._answers(self._connection.pack_commands(commands),
                             [str(c[0]) for c in commands])

    def _answers(self, packed: Any, names: Sequence[str]) -> list[Any]:
        """Send commands, and return plain answers."""
        if self._lost:
            raise self._lost
        found = []
        with self._understood():
            self._connection.send_packed_command(packed)
            for name in names:
                self._connection.sent = name
                found.append(self._answer())
        return found

    def _answer(self) -> Any:
        try:
            return wire.plain(self._connection.answer())
        except Exception as exc:
            refused = refusals.refusal(exc)
            if refused is None:
                raise
            return tuple(refused)

    def close(self) -> None:
        """End the session."""
        if self._connection is not None:
            self._connection.disconnect()


class _Understood:
    """Turns whatever redis-py raises into a fault."""

    def __init__(self, asking: Asking):
        self._asking = asking

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, exc: Any, trace: Any) -> None:
        if isinstance(exc, net.Portable):
            self._asking.lose(exc)
        elif isinstance(exc, Exception) and not isinstance(exc, MemoryError):
            fault = self._asking.explain(exc)
            self._asking.lose(fault)
            raise fault from None

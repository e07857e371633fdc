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

"""Connecting to Redis and Sentinel as the client of a worker would."""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
import ssl
from typing import Any

from octavia_v2_checks import clock as clocks
from octavia_v2_checks import findings
from octavia_v2_checks import settings as settings_
from octavia_v2_checks.backends import net
from octavia_v2_checks.backends import sniff
from octavia_v2_checks.backends import stream as stream_
from octavia_v2_checks.backends.redis import errors as redis_errors
from octavia_v2_checks.backends.redis import resp
from octavia_v2_checks.upstream import versions

#: The release of redis-py that began to speak RESP3, and so to greet every
#: server with HELLO, which Redis knows from 6.0 on.
FIRST_WITH_HELLO = 8

#: The release of redis-py that began to compare the host name with the
#: certificate.
_FIRST_WITH_HOST_NAME = 6

_TRUE = ('1', 't', 'true', 'on', 'y', 'yes')
_VERIFY = {'none': ssl.CERT_NONE, 'optional': ssl.CERT_OPTIONAL,
           'required': ssl.CERT_REQUIRED}


@dataclasses.dataclass(frozen=True)
class Access:
    """The way in to one kind of server, and the options that describe it.

    :ivar kind: ``Redis`` or ``Sentinel``
    :ivar tls: context for TLS, or None for plain text
    :ivar certificate: whether a client certificate is configured
    :ivar hello: whether the worker's client begins with HELLO
    :ivar user_option: name of the ``[task_flow]`` option; so are the next
    """

    kind: str
    username: str | None
    password: str | None = dataclasses.field(repr=False)
    tls: ssl.SSLContext | None
    certificate: bool
    hello: bool
    user_option: str
    password_option: str
    tls_option: str
    database: int = 0

    @property
    def user(self) -> str:
        """The account that the server sees."""
        return self.username or 'default'


def _major() -> int | None:
    version = versions.installed('redis') or ''
    number = version.partition('.')[0]
    return int(number) if number.isdigit() else None


def to_redis(settings: settings_.Settings) -> Access:
    """Return the way in to Redis itself.

    :raises findings.Blocked: for an option that a worker could not use
    """
    return _access(
        settings, 'Redis', 'jobboard_backend_username',
        'jobboard_backend_password', 'jobboard_redis_backend_ssl_options',
        settings.get('jobboard_redis_backend_db'))


def to_sentinel(settings: settings_.Settings) -> Access:
    """Return the way in to the Sentinels, which shares nothing with Redis'.

    :raises findings.Blocked: for an option that a worker could not use
    """
    return _access(
        settings, 'Sentinel', 'jobboard_redis_sentinel_username',
        'jobboard_redis_sentinel_password',
        'jobboard_redis_sentinel_ssl_options')


def _access(settings, kind, user_option, password_option, tls_option,
            database=0):
    # Without redis-py here, assume the release that TaskFlow asks for today.
    major = _major()
    given = settings.get(tls_option)
    return Access(
        kind, settings.get(user_option), settings.get(password_option),
        _tls(given, tls_option, major), bool(given.get('ssl_certfile')),
        major is None or major >= FIRST_WITH_HELLO,
        user_option, password_option, tls_option, database)


def _tls(given: Mapping[str, Any], option: str, major: int | None
         ) -> ssl.SSLContext | None:
    """Return the context that redis-py would make, None for plain text."""
    if str(given.get('ssl', False)).strip().lower() not in _TRUE:
        return None
    verify = _VERIFY.get(str(given.get('ssl_cert_reqs', 'required')))
    if verify is None:
        raise findings.Blocked(
            f'{option} has no valid ssl_cert_reqs',
            option=f'task_flow.{option}')
    context = ssl.create_default_context()
    context.check_hostname = bool(verify) and (
        major is None or major >= _FIRST_WITH_HOST_NAME)
    context.verify_mode = verify
    certificate, key = given.get('ssl_certfile'), given.get('ssl_keyfile')
    if key and not certificate:
        raise findings.Blocked(
            f'{option} has an ssl_keyfile and no ssl_certfile',
            option=f'task_flow.{option}')
    try:
        if certificate:
            # Without an answer here OpenSSL asks the terminal, and waits.
            context.load_cert_chain(certificate, key, lambda: '')
        if given.get('ssl_ca_certs') is not None:
            context.load_verify_locations(given['ssl_ca_certs'])
    except OSError as exc:
        raise findings.Blocked(
            f'a file in {option} is of no use ({type(exc).__name__})',
            option=f'task_flow.{option}') from None
    return context


class Connection:
    """A connection, logged in and in the right database.

    One clock runs for all of it. It is a context manager. Every method
    raises :class:`net.Fault`, and nothing else.

    :param deadline: its share for one probe is what the connection has
    """

    def __init__(self, access: Access, host: str, port: int,
                 deadline: clocks.Deadline):
        self.access = access
        self._place = (host, port)
        self._deadline = deadline
        self._stream = stream_.Stream(host, port, deadline.probe())
        self.peer = self._stream.peer
        try:
            if access.tls:
                with self._understood():
                    self._stream.start_tls(access.tls, host)
            self._client = resp.Client(self._stream)
            self._log_in()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> 'Connection':
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def call(self, *command: str | int) -> resp.Reply:
        """Return the answer to one command of :data:`resp.READS`."""
        return self.pipeline([command])[0]

    def pipeline(self, commands: Sequence[resp.Command]) -> list[resp.Reply]:
        """Return the answers to commands of :data:`resp.READS`."""
        with self._understood():
            return self._client.pipeline(commands)

    def stream(self, *command: str | int) -> Iterator[Any]:
        """Yield the items of one long answer; see :meth:`resp.Client.stream`.
        """
        with self._understood():
            answer = self._client.stream(command)
            if isinstance(answer, resp.ErrorReply):
                raise self.fault(answer, str(command[0]))
            yield from answer

    def renew(self) -> None:
        """Give what is asked next a clock of its own."""
        self._stream.clock = self._deadline.probe()

    def would(self, commands: Sequence[resp.Command]
              ) -> list[resp.Reply] | resp.ErrorReply:
        """Ask what would happen; see :meth:`resp.Client.would`."""
        with self._understood():
            return self._client.would(commands)

    def fault(self, error: resp.ErrorReply, command: str) -> net.Fault:
        """Return the fault that an error stands for.

        :param command: what was asked, for the reader
        """
        return redis_errors.fault(error, command, self.peer, self.access)

    def stranger(self) -> net.Fault:
        """Return the fault of a server with words that no Redis has."""
        return redis_errors.stranger(None, self.peer, self.access)

    @property
    def _expected(self):
        return ('TLS',) if self.access.tls else ('Redis', 'a Redis Sentinel')

    def _log_in(self):
        access = self.access
        credentials: list[str] = []
        if access.username or access.password:
            credentials = ['AUTH', access.user, access.password or '']
        if access.hello:
            self._greet(['HELLO', '2', *credentials])
        elif credentials:
            self._authenticate(credentials)
        if access.database:
            answer = self.call('SELECT', access.database)
            if isinstance(answer, resp.ErrorReply):
                raise self._select_fault(answer)

    def _greet(self, command):
        answer = self.call(*command)
        if isinstance(answer, resp.ErrorReply):
            raise self._login_fault(answer, 'HELLO')
        if not isinstance(answer, list) or b'proto' not in answer:
            raise self.stranger()

    def _authenticate(self, credentials):
        """Log in as redis-py before 8.0 does."""
        if not self.access.username:
            del credentials[1]
        answer = self.call(*credentials)
        if redis_errors.is_wrong_number_of_arguments(answer):
            # Redis before 6.0 knows no users; redis-py then leaves it out.
            answer = self.call('AUTH', credentials[-1])
        if isinstance(answer, resp.ErrorReply):
            raise self._login_fault(answer, 'AUTH')
        if answer != 'OK':
            raise self.stranger()

    def _login_fault(self, error, command):
        fault = self.fault(error, command)
        if fault.slug == 'access-denied' and error.word != 'DENIED' and (
                self.call('PING') == 'PONG'):
            return redis_errors.needs_no_login(self.peer, self.access)
        return fault

    def _select_fault(self, error):
        fault = self.fault(error, 'SELECT')
        if fault.slug == 'unknown-database':
            answer = self.call('CONFIG', 'GET', 'databases')
            if isinstance(answer, list) and answer[1:]:
                return redis_errors.unknown_database(
                    self.peer, self.access, answer[1])
        return fault

    @contextlib.contextmanager
    def _understood(self) -> Iterator[None]:
        """Make a Fault, with a name to it, of whatever goes wrong."""
        try:
            yield
        except resp.Malformed as exc:
            raise self._stranger(exc.seen) from None
        except ConnectionError:
            raise self._instead(net.Fault(
                'refused', f'{self.peer} closed the connection before it had '
                f'answered.', host=self.peer)) from None
        except net.Fault as fault:
            if fault.slug == 'tls':
                fault = redis_errors.tls(fault, self.access)
            # These two are said by a server that does speak TLS.
            if fault.detail != 'verify' and 'ALERT' not in (
                    fault.detail or ''):
                fault = self._instead(fault)
            raise fault from None

    def _stranger(self, seen):
        name = sniff.recognise(seen)
        if name in (None, 'an HTTP server'):
            name = self._identify() or name
        if name in self._expected:
            name = None
        return redis_errors.stranger(name, self.peer, self.access)

    def _instead(self, fault):
        """Return the fault, or a better one where a stranger answers."""
        name = self._identify()
        if name is None or name in self._expected:
            return fault
        return redis_errors.stranger(name, self.peer, self.access)

    def _identify(self):
        return sniff.identify(*self._place, sniff.second_look(self._deadline))

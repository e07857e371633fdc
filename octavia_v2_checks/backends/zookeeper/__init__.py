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

"""The ZooKeeper jobboard.

Each member is asked on its own, side by side, with the four-letter words
that every ZooKeeper answers without a session. Where a worker sees a single
time-out, they tell which member is down, which lost its quorum, and which
hides its version. One session then reads who may do what.
"""

from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import dataclasses
import functools
import re
import shlex
import ssl
import sys
from urllib import parse

from oslo_utils import strutils

from octavia_v2_checks import clock as clocks
from octavia_v2_checks import findings
from octavia_v2_checks import settings as settings_
from octavia_v2_checks.backends import jobboard
from octavia_v2_checks.backends import net
from octavia_v2_checks.backends import parallel
from octavia_v2_checks.backends import sniff
from octavia_v2_checks.backends import stream as stream_
from octavia_v2_checks.backends.zookeeper import access
from octavia_v2_checks.backends.zookeeper import board as board_zookeeper
from octavia_v2_checks.backends.zookeeper import jute
from octavia_v2_checks.upstream import versions

#: TaskFlow refuses older servers: they know no transactions.
MINIMUM = (3, 4, 0)

#: Releases of kazoo that hand the port to ssl as the host name when TaskFlow
#: asks for the version.
BROKEN_WITH_TLS = ('2.11.0',)

_HOSTS = 'jobboard_backend_hosts'
_TLS = 'jobboard_zookeeper_ssl_options'
_LIMIT = 65536
_HIDDEN = 'is not executed because it is not in the whitelist'
_MODE = re.compile(r'^Mode: ([a-z-]+)$', re.M)
_VERSION = re.compile(r'^zookeeper\.version=(\d+(?:\.\d+)+)', re.M)


@dataclasses.dataclass
class Member:
    """One server, and what it said.

    :ivar fault: why it is of no use to a worker, or None
    :ivar mode: ``leader``, ``follower``, ``observer``, ``standalone``,
        ``read-only``, or None where it does not tell
    :ivar serves: whether it lets clients in
    :ivar version: None where it does not tell
    """

    host: str
    port: int
    fault: net.Fault | None = None
    mode: str | None = None
    serves: bool = False
    version: tuple[int, ...] | None = None

    @property
    def peer(self) -> str:
        """``host:port``"""
        return net.endpoint(self.host, self.port)


class ZooKeeper:
    """A ZooKeeper ensemble, or a single server.

    :param settings: names the members; a worker uses all of them
    :param deadline: the time of the whole run
    """

    client = jobboard.Client('kazoo', 'kazoo', 'zookeeper')

    def __init__(self, settings: settings_.Settings,
                 deadline: clocks.Deadline):
        self._settings = settings
        self._deadline = deadline

    def probe(self) -> Iterator[net.Fault | str]:
        """Yield what is wrong, and as text what was found to be right."""
        yield from self._client_faults()
        members = self.members()
        serving = [m for m in members if m.serves]
        if not serving:
            yield from _nobody_serves(members)
            return
        yield from _down(members)
        yield from _separate(serving)
        yield from _versions(members)
        try:
            with self.session(serving) as session:
                yield from access.faults(session, self._settings.get(
                    'jobboard_backend_namespace'))
        except net.Fault as exc:
            yield exc

    def members(self) -> list[Member]:
        """Ask every member, side by side.

        :raises findings.Blocked: for hosts or files a worker cannot use
        """
        tls = self._tls()

        def ask(member):
            try:
                self._examine(member, tls)
            except net.Fault as exc:
                member.fault = self._explain(exc)
            return member

        return parallel.run([functools.partial(ask, member)
                             for member in self._listed()])

    @contextlib.contextmanager
    def session(self, members: Sequence[Member]) -> Iterator[jute.Session]:
        """Open a session with the first of some members that grants one.

        :param members: those that serve
        :raises net.Fault: where none does
        """
        for number, member in enumerate(members, 1):
            try:
                with _faults(member.peer):
                    session = jute.Session(stream_.Stream(
                        member.host, member.port, self._deadline.probe(),
                        self._tls()))
                break
            except net.Fault:
                if number == len(members):
                    raise
        with session, _faults(member.peer):
            yield session

    @contextlib.contextmanager
    def board(self) -> Iterator[board_zookeeper.ZooKeeperBoard]:
        """Open the board, to see what lies on it.

        :raises net.Fault: where no member serves
        """
        members = self.members()
        serving = [m for m in members if m.serves]
        if not serving:
            raise next(_nobody_serves(members))
        with self.session(serving) as session:
            yield board_zookeeper.ZooKeeperBoard(
                session, '/' + self._settings.get(
                    'jobboard_backend_namespace'), self._deadline)

    def _listed(self):
        """Return the members as kazoo understands what Octavia gives it."""
        port = self._settings.get('jobboard_backend_port')
        members = []
        for text in self._settings.get('jobboard_backend_hosts'):
            try:
                url = parse.urlsplit(f'zookeeper://{text}:{port}')
                usable = url.port == port and '/' not in text
            except ValueError:
                usable = False
            if not usable or not url.hostname:
                raise findings.Blocked(
                    f'{_HOSTS} has an entry that kazoo takes for no host',
                    option=f'task_flow.{_HOSTS}')
            members.append(Member(url.hostname, port))
        if not members:
            raise findings.Blocked(f'{_HOSTS} is empty',
                                   option=f'task_flow.{_HOSTS}')
        return members

    def _tls(self):
        """Return the context that kazoo would make, None for plain text."""
        options = self._settings.get(_TLS)
        if not strutils.bool_from_string(options.get('use_ssl', False)):
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_default_certs()
        context.check_hostname = False
        if not strutils.bool_from_string(
                options.get('verify_certs', True), default=True):
            context.verify_mode = ssl.CERT_NONE
        if options.get('certfile') and options.get('keyfile'):
            try:
                # Without a password, OpenSSL would ask on the terminal.
                context.load_cert_chain(
                    options['certfile'], options['keyfile'],
                    options.get('keyfile_password') or '')
            except OSError:
                raise findings.Blocked(
                    f'certfile and keyfile in {_TLS} cannot be loaded',
                    option=f'task_flow.{_TLS}') from None
        return context

    def _client_faults(self):
        version = versions.installed('kazoo')
        if version in BROKEN_WITH_TLS and self._tls():
            yield net.Fault(
                'client-broken',
                f'kazoo {version} is installed, and use_ssl is on in {_TLS}. '
                f'This release fails with AttributeError as soon as TaskFlow '
                f'asks a ZooKeeper for its version over TLS.',
                f"{shlex.quote(sys.executable)} -m pip install "
                f"'kazoo!={version}'", option=_TLS)

    def _examine(self, member, tls):
        """Ask one member, and write its answers down.

        :raises net.Fault: where it does not answer
        """
        status = self._word('srvr', member, tls)
        version = _VERSION.search(self._word('envi', member, tls))
        mode = _MODE.search(status)
        member.mode = mode[1] if mode else None
        if version:
            member.version = tuple(int(n) for n in version[1].split('.'))
        # One that hides srvr too may serve; the session will tell.
        member.serves = (_HIDDEN in status if not mode
                         else member.mode != 'read-only')
        if not member.serves:
            member.fault = net.Fault(
                'no-quorum', f'{member.peer} answers that it '
                + ('serves readers only, because it has lost the others.'
                   if mode else 'is not serving requests.'),
                host=member.peer)

    def _word(self, word, member, tls):
        """Return the answer to a four-letter word.

        :raises net.Fault: where it is none of a ZooKeeper's
        """
        expected = tuple(t.encode() for t in (
            'Zookeeper version: ', 'This ZooKeeper instance is not ',
            'Environment:', f'{word} {_HIDDEN}'))
        data, fault, ended = b'', None, False
        try:
            with stream_.Stream(member.host, member.port,
                                self._deadline.probe(), tls) as stream:
                stream.send(word.encode())
                while len(data) < _LIMIT and any(
                        t.startswith(data[:len(t)]) for t in expected):
                    data += stream.receive()
        except ConnectionError:
            ended = True
        except net.Fault as exc:
            fault = exc
        if ended and data.startswith(expected):
            return data.decode('utf-8', 'replace')
        raise self._stranger(member, tls, data, fault) or fault or net.Fault(
            'wrong-protocol' if data else 'refused',
            f'{member.peer} does not answer as a ZooKeeper does.' if data
            else f'{member.peer} closed the connection without an answer.',
            host=member.peer)

    def _explain(self, fault):
        """Add the option that mends a TLS fault."""
        if fault.slug != 'tls':
            return fault
        remedy = None
        options = self._settings.get(_TLS)
        if fault.detail == 'verify':
            remedy = (f'Add the authority that signed it to the system store '
                      f'of every controller, or name its file in the '
                      f'variable SSL_CERT_FILE of every Octavia service: '
                      f'{_TLS} has no key for it.')
        elif 'ALERT' in (fault.detail or '') and not (
                options.get('certfile') and options.get('keyfile')):
            remedy = (f'Name a client certificate and its key as certfile '
                      f'and keyfile in {_TLS}; one alone is ignored.')
        return net.Fault('tls', fault.text, remedy, fault.host, _TLS,
                         fault.detail)

    def _stranger(self, member, tls, data, fault):
        """Return the fault of another kind of server, if there is one."""
        if fault and (fault.slug not in ('timeout', 'tls')
                      or fault.detail == 'verify'
                      or 'ALERT' in (fault.detail or '')):
            return None
        name = sniff.recognise(data) or sniff.identify(
            member.host, member.port, sniff.second_look(self._deadline))
        if name == ('TLS' if tls else 'ZooKeeper') or not name:
            return None
        if name == 'ZooKeeper':
            text = f'is ZooKeeper without TLS, and use_ssl is on in {_TLS}.'
            remedy = (f'Set {_TLS} in [task_flow] to use_ssl:False, or turn '
                      f'TLS on at the server.')
        elif name == 'TLS':
            text = f'expects TLS, and use_ssl is off in {_TLS}.'
            remedy = f'Set {_TLS} in [task_flow] to use_ssl:True'
        else:
            return sniff.stranger(member.peer, name, 'ZooKeeper')
        return net.Fault('wrong-protocol', f'{member.peer} {text}', remedy,
                         host=member.peer, option=_TLS)


@contextlib.contextmanager
def _faults(peer):
    """Turn what a session raises into faults."""
    try:
        yield
    except ConnectionError:
        raise net.Fault(
            'refused', f'{peer} closed the connection instead of serving a '
            f'session, as it does with more clients than maxClientCnxns in '
            f'zoo.cfg, or when it has just lost its quorum.',
            host=peer) from None
    except jute.Malformed:
        raise net.Fault(
            'wrong-protocol', f'{peer} does not speak the protocol of '
            f'ZooKeeper.', host=peer) from None
    except jute.Refused as exc:
        if exc.code in (jute.Error.AUTH_FAILED, jute.Error.LOGIN_REQUIRED):
            raise net.Fault(
                'auth-unsupported', f'{peer} serves only clients that log '
                f'in, and Octavia cannot log in to ZooKeeper.',
                host=peer) from None
        raise net.Fault(
            'undetermined', f'{peer} refused to answer (ZooKeeper error '
            f'{exc.code}).', host=peer) from None


def _nobody_serves(members):
    said = [m for m in members if m.fault.slug == 'no-quorum']
    if not said:
        yield from (m.fault for m in members)
        return
    read_only = any(m.mode for m in said)
    yield net.Fault(
        'not-writable' if read_only else 'no-quorum',
        ' '.join(m.fault.text for m in members),
        'Start the missing members: more than half of all must reach each '
        'other.', host=said[0].peer)


def _down(members):
    for member in members:
        if member.fault:
            yield net.Fault('member-down', member.fault.text,
                            member.fault.remedy, host=member.peer)


def _separate(serving):
    """Find servers that workers take for one ensemble and that are not."""
    alone = [m for m in serving if m.mode == 'standalone']
    leaders = [m for m in serving if m.mode == 'leader']
    heads = alone + leaders
    if len(serving) > 1 and (alone or len(leaders) > 1):
        yield net.Fault(
            'split-ensemble', f'{len(serving)} servers serve, and '
            + ' and '.join(f'{m.peer} is {m.mode}' for m in heads) + '.',
            host=heads[0].peer)


def _versions(members):
    answering = [m for m in members if m.version or m.serves]
    hidden = [m for m in answering if not m.version]
    if hidden:
        names = ', '.join(m.peer for m in hidden)
        yield net.Fault(
            'version-hidden', f'These do not answer the four-letter word '
            f'envi, and a worker may connect to any of them: {names}.',
            host=hidden[0].peer)
    for member in answering:
        if member.version and member.version < MINIMUM:
            yield net.Fault(
                'server-old', f'{member.peer} is ZooKeeper '
                f'{_dotted(member.version)}; TaskFlow needs '
                f'{_dotted(MINIMUM)} or later.', host=member.peer)
    known = sorted({m.version for m in answering if m.version})
    shown = ' and '.join(map(_dotted, known)) or 'of unknown version'
    yield f'ZooKeeper {shown}: ' + ', '.join(
        f'{m.peer} ({m.mode or "serving"})'
        for m in members if m.serves) + '.'


def _dotted(version):
    return '.'.join(map(str, version))

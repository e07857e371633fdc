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

All members are asked in parallel, with the four-letter words that every
ZooKeeper answers without a session (``words``); their answers are combined
(``members``). Then the client of a worker begins one session (``session``, and
``reader``, which keeps it from writing), which reads the permissions
(``access``) and the jobs (``board``).
"""

from collections.abc import Iterator
import contextlib
import ssl
from typing import Any
from typing import NamedTuple

from octavia_v2_checks import clock as clocks
from octavia_v2_checks import findings
from octavia_v2_checks import settings as settings_
from octavia_v2_checks.backends import isolated
from octavia_v2_checks.backends import jobboard
from octavia_v2_checks.backends import net
from octavia_v2_checks.backends.zookeeper import board as board_zookeeper
from octavia_v2_checks.backends.zookeeper import members as members_
from octavia_v2_checks.backends.zookeeper import words
from octavia_v2_checks.upstream import broken
from octavia_v2_checks.upstream import clients_zookeeper
from octavia_v2_checks.upstream import versions

_HOSTS = 'jobboard_backend_hosts'
_NAMESPACE = 'jobboard_backend_namespace'

_SESSION = 'octavia_v2_checks.backends.zookeeper.session:Session'


class _Session(NamedTuple):
    """An open session.

    :ivar child: in which it is
    :ivar peer: ``host:port`` of the member that it is with
    :ivar fault: why kazoo does not get the version of that member, or None
    :ivar hidden: whether that is because the server does not report it
    """

    child: isolated.Child
    peer: str
    fault: net.Fault | None
    hidden: bool


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
        """Yield what is wrong, and as text what is in order."""
        members = self.members()
        serving = [m for m in members if m.serves]
        if not serving:
            yield from members_.nobody_serves(members)
            return
        yield from members_.down(members, clients_zookeeper.patience(
            versions.installed('octavia')))
        session, fault = None, None
        try:
            session = self._session()
        except net.Fault as exc:
            fault = exc
        yield from members_.separate(
            self._deadline, self._arguments(), serving,
            session.peer if session else None)
        yield from members_.versions(members)
        # A missing client is reported elsewhere.
        if fault and fault.slug != 'client-missing':
            yield fault
        if session:
            yield from self._session_faults(session, serving, self._broken())

    def members(self) -> list[members_.Member]:
        """Ask all members in parallel, once in a run.

        :raises findings.Blocked: for hosts or files a worker cannot use
        """
        return self._deadline.shared('zookeeper members', self._ask_members)

    @contextlib.contextmanager
    def board(self) -> Iterator[board_zookeeper.ZooKeeperBoard]:
        """Open the board, to list its jobs.

        :raises net.Fault: where no member serves
        """
        session = self._session()
        yield board_zookeeper.ZooKeeperBoard(session.child, session.peer,
                                             self._paths())

    def _arguments(self) -> dict[str, Any]:
        """Return the arguments of the client of a worker.

        :raises findings.Blocked: for hosts that kazoo does not accept
        """
        names = self._settings.get(_HOSTS)
        if not names:
            raise findings.Blocked(f'{_HOSTS} is empty',
                                   option=f'task_flow.{_HOSTS}')
        ensemble = clients_zookeeper.hosts(
            names, self._settings.get('jobboard_backend_port'))
        try:
            usable = bool(clients_zookeeper.members(ensemble))
        except ValueError:
            usable = False
        if not usable or '://' in ensemble:
            raise findings.Blocked(
                f'{_HOSTS} has an entry that kazoo does not accept as a host',
                option=f'task_flow.{_HOSTS}')
        return clients_zookeeper.client(ensemble,
                                        self._settings.get(members_.TLS))

    def _paths(self) -> clients_zookeeper.Paths:
        """Return the znodes of the jobboard.

        :raises findings.Blocked: for a namespace that kazoo refuses
        """
        _, chroot = clients_zookeeper.members(self._arguments()['hosts'])
        try:
            return clients_zookeeper.paths(self._settings.get(_NAMESPACE),
                                           chroot)
        except ValueError:
            raise findings.Blocked(
                f'{_NAMESPACE} makes a path that kazoo refuses',
                option=f'task_flow.{_NAMESPACE}') from None

    def _broken(self) -> bool:
        """Whether the client is known not to work; checks/jobboard reports
        that.
        """
        return bool(self._arguments()['use_ssl'] and broken.lookup(
            'kazoo', versions.installed('kazoo'), 'tls'))

    def _ask_members(self):
        arguments = self._arguments()
        self._paths()
        if arguments['use_ssl']:
            try:
                words.load_certificate(
                    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), arguments)
            except OSError:
                raise findings.Blocked(
                    f'certfile and keyfile in {members_.TLS} cannot be '
                    f'loaded', option=f'task_flow.{members_.TLS}') from None
        # It imports kazoo while the members answer.
        self._child().begin('load')
        listed, _ = clients_zookeeper.members(arguments['hosts'])
        return members_.ask(self._deadline, arguments, listed)

    def _child(self) -> isolated.Child:
        """Return the process in which the session is, or will be."""
        return self._deadline.shared('zookeeper child', lambda: isolated.Child(
            self._deadline, _SESSION, self._arguments(),
            self._settings.get(_NAMESPACE)))

    def _session(self) -> _Session:
        """Return the session of this run.

        :raises net.Fault: where no member grants one, always the same
        """
        return self._deadline.shared('zookeeper session', self._begin)

    def _begin(self):
        members = self.members()
        serving = [m for m in members if m.serves]
        if not serving:
            raise next(members_.nobody_serves(members))
        child = self._child()
        child.finish()
        # kazoo tries them one after the other.
        seconds = self._deadline.probe().seconds * len(serving)
        said = child.ask(
            'connect', [(m.peer, m.address, m.port) for m in serving],
            clock=clocks.Clock(min(seconds, self._deadline.left())))
        fault = said['fault'] and net.Fault(*said['fault'])
        return _Session(child, said['peer'], fault,
                        not fault and not said['version'])

    def _session_faults(self, session, serving, is_broken):
        """Yield the faults that a worker meets once it has a session.

        :param is_broken: whether faults of the client are reported already
        """
        if session.fault and not (
                is_broken and session.fault.slug == 'client-fails'):
            yield session.fault
        if session.hidden and all(m.version for m in serving):
            yield net.Fault(
                'version-hidden', f'{session.peer} does not report its '
                                  'version to kazoo.', host=session.peer)
        try:
            for fault in session.child.ask('faults'):
                yield net.Fault(*fault)
        except net.Fault as exc:
            yield exc

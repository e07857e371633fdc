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

"""The etcd jobboard.

etcd3gw, through which TaskFlow talks to etcd, uses the library requests. What
that library takes from the environment (proxies, credentials, CA certificates)
is used here too, and reported, because the shell of an operator and a service
seldom have the same environment.
"""

from collections.abc import Iterator
import contextlib
from typing import Any

from octavia_v2_checks import clock as clocks
from octavia_v2_checks import settings as settings_
from octavia_v2_checks.backends import jobboard
from octavia_v2_checks.backends import net
from octavia_v2_checks.backends.etcd import board as board_etcd
from octavia_v2_checks.backends.etcd import cluster
from octavia_v2_checks.backends.etcd import server as server_
from octavia_v2_checks.upstream import clients_etcd

#: The first release with a gateway.
MINIMUM = (3, 0)


class Etcd:
    """An etcd server: the first of the hosts, as for a worker.

    :param settings: names the server
    :param deadline: the time of the whole run
    """

    client = jobboard.Client('etcd3gw', 'etcd3gw', 'etcd')

    def __init__(self, settings: settings_.Settings,
                 deadline: clocks.Deadline):
        self._settings = settings
        self._deadline = deadline

    def probe(self) -> Iterator[net.Fault | str]:
        """Yield what is wrong, and as text what is in order."""
        server = self._server()
        try:
            yield from server.environment()
            found = self._state()
        except net.Fault as exc:
            yield exc
            return
        yield from found
        release = server.connect()
        yield f'etcd {_dotted(release or ())} at {server.peer}.'

    @contextlib.contextmanager
    def board(self) -> Iterator[board_etcd.EtcdBoard]:
        """Open the board, to list its jobs.

        :raises net.Fault: where a worker would fail
        """
        self._state()
        yield board_etcd.EtcdBoard(self._server(), self._namespace())

    def _server(self):
        return self._deadline.shared(server_.Server, lambda: server_.Server(
            self._settings, self._deadline))

    def _namespace(self):
        return self._settings.get('jobboard_backend_namespace')

    def _state(self) -> list[net.Fault]:
        """Return what is wrong with a server that can be queried.

        :raises net.Fault: of one that cannot, the same for all callers
        """
        return self._deadline.shared(Etcd, self._look)

    def _look(self):
        server = self._server()
        release = server.connect()
        if release and release < MINIMUM:
            raise net.Fault(
                'server-old', f'{server.peer} is etcd {_dotted(release)}; '
                f'TaskFlow needs {_dotted(MINIMUM)} or later.',
                host=server.peer)
        status = self._seen(server, 'status')
        if status['learner']:
            raise _learning(server, status)
        if 'CORRUPT' in status['alarms']:
            raise _corrupt(server)
        members = self._seen(server, 'members')
        wrong = list(cluster.faults(server.peer, status, members,
                                    server.neighbour))
        if not status['leader']:
            raise wrong[0]
        if 'NOSPACE' in status['alarms']:
            wrong.insert(0, _full(server, status))
        server.ask('count', clients_etcd.jobs(self._namespace()))
        return wrong

    def _seen(self, server, question) -> Any:
        """Return the status that the server reports.

        :raises net.Fault: of another kind where it answers only the requests
            of workers
        """
        try:
            return server.ask(question, plain=True)
        except net.Fault as exc:
            if exc.slug != 'wrong-protocol':
                raise server.explained(exc) from None
            try:
                server.ask('count', clients_etcd.jobs(self._namespace()),
                           plain=True)
            except net.Fault:
                raise server.explained(exc) from None
        raise net.Fault(
            'undetermined', f'{server.peer} answers the requests of a worker, '
                            'but not status requests: whether it accepts '
                            'writes could not be '
                            'determined.', 'Allow maintenance/status and '
                                           'cluster/member/list in the proxy '
                                           'in front of etcd; both only '
                                           'read.', host=server.peer)


def _full(server, status):
    command = f'etcdctl --endpoints={server.url}'
    return net.Fault(
        'out-of-space', f'{server.peer} has used up its space and accepts no '
                        'writes until its alarm NOSPACE is cleared.',
        f'{command} compact {status["revision"]} && {command} defrag && '
        f'{command} alarm disarm', host=server.peer)


def _corrupt(server):
    return net.Fault(
        'not-writable', f'{server.peer} has found that its data differs from '
                        'that of the other members (alarm CORRUPT), and '
                        'accepts no '
                        'requests.', 'Remove the corrupt member with etcdctl '
                                     'member remove, and add it again with an '
                                     'empty data directory.', host=server.peer)


def _learning(server, status):
    """Return the fault of a member that serves no clients yet."""
    number = cluster.hexadecimal(status['member'])
    return net.Fault(
        'not-writable', f'{server.peer} is a learner: it copies the data of '
                        'the other members, and serves no clients.',
        'Name a voting member first in jobboard_backend_hosts, or promote '
        'this one through a voting member: etcdctl --endpoints=VOTER member '
        f'promote {number}', host=server.peer)


def _dotted(release):
    return '.'.join(map(str, release))

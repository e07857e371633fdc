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

"""ZooKeeper as a worker meets it: the check and TaskFlow itself agree."""

import contextlib
import json
import re
import socket
import ssl
import sys
import threading

from kazoo import exceptions as kazoo_exceptions
from kazoo import security
import pytest
from taskflow import exceptions
from taskflow.jobs import backends

from octavia_v2_checks import clock
from octavia_v2_checks.backends import isolated
from octavia_v2_checks.backends import net
from octavia_v2_checks.backends import zookeeper as backend
from octavia_v2_checks.upstream import clients_zookeeper
from tests import clients
from tests import jobboards
from tests import probing
from tests import worker_board
from tests.functional import test_provision
from tests.functional import test_zookeeper
from tests.functional import test_zookeeper_access
from tests.functional import test_zookeeper_faults
from tests.jobboards import peer
from tests.servers import scripts
from tests.servers import zookeeper as zookeeper_server

TLS = test_zookeeper_faults.TLS


@pytest.fixture
def probe(write_config):
    return jobboards.Prober(write_config, 'zookeeper_taskflow_driver')


@pytest.fixture
def server():
    """One whose znodes are nobody else's."""
    with zookeeper_server.ZooKeeper() as started:
        yield started


def zk_cli(server, text):
    """Do what a text says to do there."""
    test_provision.feed(
        '/usr/share/zookeeper/bin/zkCli.sh', '-server', peer(server),
        statements=text.removeprefix('In zkCli.sh: ').split('; '))


def board_of(probe, server, **options):
    """Open the board of a configuration, as the check of it does."""
    return probe.backend(backend.ZooKeeper, server.hosts, server.port,
                         **options).board()


@contextlib.contextmanager
def taskflow(server, namespace):
    with backends.backend(namespace, {
            'board': 'zookeeper', 'path': f'/{namespace}',
            'hosts': f'{server.host}:{server.port}'}) as board:
        yield board


@pytest.mark.parametrize('namespace', [
    'board', 'a/b', 'x/', 'x/x', 'job', 'jobs/job', 'a b', 'trash',
    '/x', 'a//b', '//'])
def test_namespaces(probe, server, namespace):
    """TaskFlow posts, claims and trashes; all of it is found."""
    paths = clients_zookeeper.paths(namespace)
    with taskflow(server, namespace) as board:
        for _ in range(3):
            board.post('job', details={})
        jobs = list(board.iterjobs(ensure_fresh=True))
        assert len(jobs) == 3
        claimable = True
        try:
            for job in jobs[:2]:
                worker_board.known(board, board.claim, job, 'me')
            worker_board.known(board, board.trash, jobs[0], 'me')
        except exceptions.NotFound:
            claimable = False
        assert paths.claimable == claimable
        with board_of(probe, server,
                      jobboard_backend_namespace=namespace) as seen:
            assert seen.count() == (2 if claimable else 3)
            owners = [job.owner for page in seen.pages() for job in page]
            assert owners.count('me') == (1 if claimable else 0)
            assert seen.trashed() == (1 if claimable else 0)
            emptying = seen.emptying() if claimable else None
    assert probe(server, jobboard_backend_namespace=namespace) == []
    if emptying:
        zk_cli(server, emptying)
        with board_of(probe, server,
                      jobboard_backend_namespace=namespace) as seen:
            assert seen.trashed() == 0


def test_characters(server):
    """What the server takes in a path is what we say that it takes."""
    ends = (0x01, 0x1f, 0x7f, 0x9f, 0xe000, 0xf8ff, 0xfff0, 0xffff, 0x10000,
            0x1f388, 0x10ffff)
    with test_zookeeper._client(server) as client:
        for number in {n + step for n in ends for step in (-1, 0, 1)}:
            if number in (0, 0xd7ff + 1, 0xdfff, 0x110000):
                continue  # no file can hold them, or they are no characters
            try:
                client.create(f'/a{chr(number)}b')
                refused = False
            except kazoo_exceptions.BadArgumentsError:
                refused = True
            assert refused == bool(re.search(
                clients_zookeeper.REFUSED, chr(number))), hex(number)


def test_a_chroot(probe, server):
    """Octavia appends the port to it, so the host needs its own."""
    hosts = ['127.0.0.1', f'localhost:{server.port}/oct']
    path = probe.config(hosts, server.port)
    with test_zookeeper._client(server) as client:
        assert probe(hosts, server.port) == []
        assert client.get_children('/') == ['zookeeper']
        assert clients.work(path) == {'jobs': []}
        root = f'/oct:{server.port}'
        job = client.create(f'{root}/octavia_jobboard/job', json.dumps(
            {'name': 'a', 'uuid': '1'}).encode(), sequence=True)
        assert clients.work(path) == {'jobs': ['a']}
        opened = probe.backend(backend.ZooKeeper, hosts, server.port)
        with opened.board() as board:
            (found,), = board.pages()
            assert found.name == 'a'
            zk_cli(server, board.removal([found.key]))
        assert not client.exists(job)


@pytest.mark.parametrize('hosts', [
    ['127.0.0.1', '127.0.0.1'], ['127.0.0.1', 'localhost'],
    ['127.0.0.1', '127.0.0.2'], ['127.0.0.2', '127.0.0.1', '127.0.0.3']])
def test_one_server_by_several_names(probe, hosts):
    server = zookeeper_server.ZooKeeper()
    server.members[0].host = '0.0.0.0'
    with server:
        assert probe(hosts, server.port) == []
        assert clients.work(probe.config(hosts, server.port)) == {'jobs': []}


def test_separate_servers_at_the_same_transaction(probe):
    """Each has its own, whatever number it has."""
    with test_zookeeper.Separate(2) as servers:
        # The second then is where the first gets by our session.
        from kazoo.client import KazooClient
        client = KazooClient(peer(servers.members[1]))
        client.start()
        found = probing.only(probe(servers), 'jobboard.split-ensemble')
        client.stop()
        assert all(peer(m) in found.message for m in servers.members)


class Terminator(scripts.Silent):
    """Ends TLS in front of a server, for clients that name the host."""

    def __init__(self, server, certificate):
        self._server = server
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate.cert, certificate.key)
        self._context.sni_callback = self._named
        super().__init__()

    def _named(self, sock, name, context):
        return None if name else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    def greet(self, client):
        with (self._context.wrap_socket(client, server_side=True) as near,
              socket.create_connection(
                  (self._server.host, self._server.port)) as far):
            back = threading.Thread(target=self._copy, args=(far, near),
                                    daemon=True)
            back.start()
            self._copy(near, far)
            back.join(5)

    def _copy(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


def test_tls_for_clients_that_name_the_host(probe, server, authority,
                                            monkeypatch):
    monkeypatch.setenv('SSL_CERT_FILE', authority.cert)
    tls = {TLS: {'use_ssl': True}}
    with Terminator(server, authority.server('sni')) as front:
        found = probing.only(probe(['localhost'], front.port, **tls),
                             'jobboard.client-fails')
        assert 'SNI' in found.message and 'SSLError' in found.message
        assert found.host == f'localhost:{front.port}'
        done = clients.work(probe.config(['localhost'], front.port, **tls))
        assert done['error'] == 'JobFailure'


def test_first_members_that_lose_packets(probe, server):
    """A worker waits ten seconds for each, and then gives up."""
    with contextlib.ExitStack() as stack:
        lost = [stack.enter_context(scripts.Blackhole(
            host, server.port)) for host in ('127.0.0.8', '127.0.0.9')]
        hosts = [each.host for each in lost] + server.hosts
        options = {'timeout': 1, 'deadline': 10}
        found = probe(hosts, server.port, **options)
        assert probing.ids(found) == ['jobboard.timeout',
                                      'jobboard.member-down']
        assert 'end of jobboard_backend_hosts' in found[0].remedy
        done = clients.work(probe.config(hosts, server.port))
        assert done['error'] == 'JobFailure'
        # As the remedy says.
        hosts = server.hosts + hosts[:2]
        found = probe(hosts, server.port, **options)
        assert probing.ids(found) == ['jobboard.member-down'] * 2
        assert clients.work(probe.config(hosts, server.port)) == {'jobs': []}


def test_what_the_others_are_looked_up_with(probe, server):
    """ZooKeeper 3.9 wants READ for that, and earlier releases do not."""
    def acl(**rights):
        return [security.make_acl('world', 'anyone', admin=True, **rights)]

    with test_zookeeper._client(server) as client:
        for path in ('/board', '/.trash', '/.entities/conductor'):
            client.ensure_path(path)
        for path in ('/.trash', '/.entities/conductor'):
            client.set_acls(path, acl(create=True))
        found = probe(server, jobboard_backend_namespace='board')
        try:
            test_zookeeper_access._work(server, 'board')
        except exceptions.JobFailure:
            assert probing.ids(found) == ['jobboard.missing-permission'] * 2
            for each in found:
                assert 'READ' in each.message
                test_zookeeper_access._run_remedy(each.remedy)
            assert probe(server, jobboard_backend_namespace='board') == []
            test_zookeeper_access._work(server, 'board')
        else:
            assert found == []


class Writer:
    """Tries all that kazoo can write, in a child process."""

    def __init__(self, arguments):
        from octavia_v2_checks.backends.zookeeper import reader
        self._make = lambda: reader.Reader(**arguments)

    def write(self, question, *args):
        """Return what comes of it."""
        client = self._make()
        client.open()
        try:
            client.result(getattr(client, question)(*args))
        except Exception as exc:
            return type(exc).__name__, type(client.error).__name__
        return None


@pytest.mark.parametrize('question, args', [
    ('create_async', ('/written',)), ('delete_async', ('/zookeeper',)),
    ('set_async', ('/zookeeper', b'x')), ('sync_async', ('/',)),
    ('ensure_path_async', ('/a/b',)), ('add_auth_async', ('digest', 'a:b'))])
def test_nothing_else_than_reading_is_sent(server, question, args):
    arguments = clients_zookeeper.client(f'{server.host}:{server.port}', {})
    run = clock.Deadline(20, 10)
    with test_zookeeper._only_sessions(server):
        child = isolated.Child(
            run, f'{__name__}:Writer', arguments)
        assert child.ask('write', question, *args) == ('Lost', 'Forbidden')
        run.close()


def test_words_that_change_something(server):
    from octavia_v2_checks.backends.zookeeper import reader
    client = reader.Reader(hosts=f'{server.host}:{server.port}')
    client.open()
    with pytest.raises(reader.Forbidden):
        client.command(b'srst')
    client.stop()


@pytest.mark.parametrize('code', ['', 'raise SystemError'])
def test_a_client_that_is_not_whole(probe, server, tmp_path, monkeypatch,
                                    code):
    package = tmp_path / 'kazoo'
    package.mkdir()
    (package / '__init__.py').write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    for name in [n for n in sys.modules if n.startswith('kazoo')
                 or n.endswith('zookeeper.reader')]:
        monkeypatch.delitem(sys.modules, name)
    found = probing.only(probe(server), 'jobboard.client-fails')
    assert 'kazoo' in found.message
    with pytest.raises(net.Fault), board_of(probe, server):
        pass


def test_no_client(probe, server, monkeypatch):
    """The members are looked at all the same, and the board is not."""
    monkeypatch.setitem(sys.modules, 'kazoo', None)
    probing.only(probe(server), 'jobboard.client-missing')
    with pytest.raises(net.Fault) as caught, board_of(probe, server):
        pass
    assert caught.value.slug == 'client-missing'

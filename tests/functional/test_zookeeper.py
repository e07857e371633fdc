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

"""The ZooKeeper jobboard, on real servers and on sockets that fail."""

import contextlib
import os
import re
import signal
import socket
import struct

import pytest

from octavia_v2_checks.backends import zookeeper as backend
from tests import clients
from tests import jobboards
from tests import probing
from tests.jobboards import peer
from tests.servers import process
from tests.servers import scripts
from tests.servers import zookeeper as zookeeper_server

DRIVER = 'zookeeper_taskflow_driver'


class Separate(zookeeper_server.ZooKeeper):
    """Servers that were never told of each other."""

    def quorum(self):
        return []


@pytest.fixture(scope='module')
def trio():
    """Three members; whoever stops one starts it again."""
    with zookeeper_server.ZooKeeper(3) as ensemble:
        yield ensemble


@pytest.fixture
def probe(write_config):
    return jobboards.Prober(write_config, DRIVER)


@contextlib.contextmanager
def _client(ensemble):
    client = ensemble.client()
    try:
        yield client
    finally:
        client.stop()
        client.close()


def _tree(client, path='/'):
    """Every znode with its data, its ACL and its history."""
    data, stat = client.get(path)
    tree = {path: (data, stat.czxid, stat.mzxid, stat.cversion, stat.aversion,
                   client.get_acls(path)[0])}
    for name in client.get_children(path):
        tree |= _tree(client, f'{path.rstrip("/")}/{name}')
    return tree


def _transactions(member):
    """The kinds of the transactions in a member's log, in their order.

    -10 begins a session and -11 ends it; everything else changes something.
    """
    kinds = []
    for log in sorted((member.dir / 'data' / 'version-2').glob('log.*')):
        data = log.read_bytes()
        assert data[:4] == b'ZKLG'
        at = 16
        while at + 12 <= len(data):
            length, = struct.unpack('>i', data[at + 8:at + 12])
            if not length:
                break
            header = data[at + 12:at + 44]
            kinds.append(struct.unpack('>qiqqi', header)[4])
            at += 12 + length + 1
    return kinds


@contextlib.contextmanager
def _only_sessions(ensemble):
    """Fail if anything else than sessions is written meanwhile."""
    before = [len(_transactions(m)) for m in ensemble.members]
    yield
    for member, count in zip(ensemble.members, before, strict=True):
        assert set(_transactions(member)[count:]) <= {-10, -11}


def test_healthy_and_no_namespace_yet(probe, trio):
    with _only_sessions(trio):
        assert probe(trio) == []
    with _client(trio) as client:
        assert client.get_children('/') == ['zookeeper']
        tree = _tree(client)
        assert probe(trio) == []
        assert _tree(client) == tree


def test_healthy_with_jobs(probe, trio):
    with _client(trio) as client:
        for path in ('/busy/job0000000000', '/.trash', '/.entities/conductor'):
            client.create(path, b'{}', makepath=True)
        client.create('/busy/job0000000000.lock', b'{}', ephemeral=True)
        tree = _tree(client)
        with _only_sessions(trio):
            assert probe(trio, jobboard_backend_namespace='busy') == []
        assert _tree(client) == tree
        assert '/busy/job0000000000.lock' in tree


def test_the_log_would_tell_of_a_write(trio):
    with pytest.raises(AssertionError):
        with _only_sessions(trio), _client(trio) as client:
            client.create('/written', b'')
            client.delete('/written')
            client.sync('/')


def test_the_facts_name_every_member(probe, trio):
    board = probe.backend(backend.ZooKeeper, trio.hosts, trio.port)
    fact, = board.probe()
    assert re.match(r'ZooKeeper 3\.\d+\.\d+: ', fact)
    for member in trio.members:
        assert f'{peer(member)} ({member.mode()})' in fact


def test_the_board_is_read(probe, zookeeper):
    with _client(zookeeper) as client:
        client.create('/board/job0000000000', b'{"name": "a"}', makepath=True)
        client.create('/board/job0000000000.lock', b'{"owner": "me"}')
        opened = probe.backend(backend.ZooKeeper, zookeeper.hosts,
                               zookeeper.port,
                               jobboard_backend_namespace='board')
        with opened.board() as board:
            assert board.count() == 1
            (job,), = board.pages()
            assert (job.key, job.name, job.owner) == (
                'job0000000000', 'a', 'me')
            assert board.trashed() == 0 and board.workers() == []
        client.delete('/board', recursive=True)


def test_version_hidden(probe):
    with zookeeper_server.ZooKeeper(3, whitelist=None) as ensemble:
        found = probing.only(probe(ensemble), 'jobboard.version-hidden')
        assert all(peer(m) in found.message for m in ensemble.members)
        line, = re.findall(r'4lw\S+=\S*\w', found.remedy)
        for member in ensemble.members[:2]:
            with member.config.open('a') as config:
                config.write(f'{line}\n')
            member.restart()
        process.wait_until(ensemble.healthy, 'it did not come back')
        found = probing.only(probe(ensemble), 'jobboard.version-hidden')
        assert found.host == peer(ensemble.members[2])
        assert peer(ensemble.members[0]) not in found.message
        with ensemble.members[2].config.open('a') as config:
            config.write(f'{line}\n')
        ensemble.members[2].restart()
        process.wait_until(ensemble.healthy, 'it did not come back')
        assert probe(ensemble) == []


def test_hides_srvr_as_well(probe, zookeeper):
    class Shy(scripts.Silent):
        """Hides every word, and passes everything else on."""

        def answer(self, client, data):
            if data in (b'srvr', b'envi'):
                client.sendall(data + b' is not executed because it is not '
                               b'in the whitelist.\n')
                client.shutdown(socket.SHUT_RDWR)
                return
            with socket.create_connection(
                    (zookeeper.host, zookeeper.port), 5) as server:
                while data:
                    server.sendall(data)
                    client.sendall(server.recv(65536))
                    data = client.recv(65536)

    with Shy() as server:
        found = probe([server.host], server.port)
    probing.only(found, 'jobboard.version-hidden')


def test_member_down(probe, trio):
    victim = trio.members[1]
    victim.kill()
    try:
        process.wait_until(
            lambda: all(m.mode() for m in (trio.members[0], trio.members[2])),
            'the others did not go on')
        with _only_sessions(trio):
            found = probing.only(probe(trio), 'jobboard.member-down')
        assert found.host == peer(victim)
        assert 'refused' in found.message
    finally:
        trio.start()
    assert probe(trio) == []


def test_member_stopped(probe, trio):
    victim = next(m for m in trio.members if m.mode() == 'follower')
    os.kill(victim.pid, signal.SIGSTOP)
    try:
        found = probing.only(probe(trio, deadline=10, timeout=1),
                             'jobboard.member-down')
        assert found.host == peer(victim)
        assert 'did not answer' in found.message
    finally:
        os.kill(victim.pid, signal.SIGCONT)
    process.wait_until(trio.healthy, 'it did not come back')
    assert probe(trio) == []


def test_member_without_address(probe, trio):
    found = probing.only(
        probe([*trio.hosts, 'no-such-host.invalid'], trio.port),
        'jobboard.member-down')
    assert 'no-such-host.invalid' in found.message


def test_no_quorum(probe, trio):
    for member in trio.members[1:]:
        member.kill()
    try:
        process.wait_until(lambda: trio.members[0].mode() is None,
                           'it still serves')
        with _only_sessions(trio):
            found = probing.only(probe(trio), 'jobboard.no-quorum')
        assert found.host == peer(trio.members[0])
        for member in trio.members[1:]:
            assert f'{peer(member)} refused' in found.message
    finally:
        trio.start()
    assert probe(trio) == []


def test_all_members_down(probe, trio):
    trio.kill()
    try:
        found = probe(trio)
        assert probing.ids(found) == ['jobboard.refused'] * 3
        assert {f.host for f in found} == {peer(m) for m in trio.members}
    finally:
        trio.start()
    assert probe(trio) == []


def test_read_only_mode(probe):
    with zookeeper_server.ZooKeeper(3, read_only=True) as ensemble:
        assert probe(ensemble) == []
        for member in ensemble.members[1:]:
            member.kill()
        process.wait_until(
            lambda: ensemble.members[0].mode() == 'read-only',
            'it is not read-only')
        found = probing.only(probe(ensemble), 'jobboard.not-writable')
        assert found.host == peer(ensemble.members[0])
        assert 'is read-only' in found.message


def test_separate_servers(probe):
    with Separate(2) as servers:
        found = probing.only(probe(servers), 'jobboard.split-ensemble')
        assert all(peer(m) in found.message for m in servers.members)
        assert 'one server only' in found.remedy
        assert probe(servers.hosts[:1], servers.port) == []


class Old(scripts.Silent):
    """A ZooKeeper of a release that nobody packages any more."""

    def answer(self, client, data):
        client.sendall({
            b'srvr': b'Zookeeper version: 3.3.6-1366786, built on 07/29/2012'
                     b'\nMode: standalone\nNode count: 4\n',
            b'envi': b'Environment:\nzookeeper.version=3.3.6-1366786, built '
                     b'on 07/29/2012\n'}.get(data, b''))
        client.shutdown(socket.SHUT_RDWR)


def test_server_old(probe):
    with Old() as server:
        found = probe([server.host], server.port)
    # A script opens no session.
    assert probing.ids(found) == ['jobboard.server-old', 'jobboard.refused']
    assert '3.3.6' in found[0].message and found[0].host == peer(server)


def test_session_needs_a_login(probe):
    with zookeeper_server.ZooKeeper(properties={
            'zookeeper.enforce.auth.enabled': 'true',
            'zookeeper.enforce.auth.schemes': 'digest'}) as server:
        found = probing.only(probe(server), 'jobboard.auth-unsupported')
        assert found.host == peer(server)


@pytest.mark.parametrize('limit, others', [(2, 2), (2, 1), (1, 0)])
def test_too_many_clients(probe, limit, others):
    """TaskFlow asks for the version on a second connection."""
    with zookeeper_server.ZooKeeper(maxClientCnxns=limit) as server:
        with contextlib.ExitStack() as stack:
            for _ in range(others):
                stack.enter_context(_client(server))
            found = probing.only(probe(server), 'jobboard.refused')
            assert found.host == peer(server)
            assert 'maxClientCnxns' in found.message
            # JobFailure, or what a socket raises.
            assert 'error' in clients.work(
                probe.config(server.hosts, server.port))
        if limit > 1:
            process.wait_until(lambda: not probe(server), 'still full', 20)
            assert clients.work(probe.config(server.hosts, server.port)) == {
                'jobs': []}

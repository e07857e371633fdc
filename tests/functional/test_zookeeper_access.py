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

"""What a worker may do on ZooKeeper, and how to grant it more."""

import contextlib
import re
import shlex
import subprocess

from kazoo import security
import pytest
from taskflow import exceptions

from tests import jobboards
from tests import probing
from tests import worker_board
from tests.jobboards import peer
from tests.servers import process
from tests.servers import zookeeper as zookeeper_server


@pytest.fixture
def probe(write_config):
    return jobboards.Prober(write_config, 'zookeeper_taskflow_driver')


@contextlib.contextmanager
def _client(ensemble):
    client = ensemble.client()
    try:
        yield client
    finally:
        client.stop()
        client.close()


def _run_remedy(remedy):
    """Run a command of zkCli.sh, which Debian keeps out of the PATH."""
    words = shlex.split(remedy)
    assert words[0] == 'zkCli.sh'
    words[0] = process.find('zkCli.sh', '/usr/share/zookeeper/bin/zkCli.sh')
    done = subprocess.run(words, capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize('given, missing', [
    ({'read': True, 'admin': True}, 'CREATE, DELETE'),
    ({'create': True, 'delete': True, 'write': True, 'admin': True}, 'READ'),
    ({'create': True, 'read': True, 'admin': True}, 'DELETE'),
])
def test_missing_permission(probe, zookeeper, given, missing):
    name = probing.name('acl')
    with _client(zookeeper) as client:
        client.create(f'/{name}', b'',
                      acl=[security.make_acl('world', 'anyone', **given)])
        found = probing.only(
            probe(zookeeper, jobboard_backend_namespace=name),
            'jobboard.missing-permission')
        assert f'/{name}' in found.message and missing in found.message
        assert found.host == peer(zookeeper)
        _run_remedy(found.remedy)
        assert probe(zookeeper, jobboard_backend_namespace=name) == []
        granted = client.get_acls(f'/{name}')[0][0]
        assert granted.perms == security.make_acl(
            'world', 'anyone', **given, **dict.fromkeys(
                {'read', 'create', 'delete'} - set(given), True)).perms


@pytest.mark.parametrize('path', ['/', '/.trash', '/.entities/conductor'])
def test_missing_permission_beside_the_board(probe, path):
    with zookeeper_server.ZooKeeper() as server, _client(server) as client:
        for each in ('/.trash', '/.entities/conductor'):
            client.ensure_path(each)
        assert probe(server) == []
        client.set_acls(path, [security.make_acl(
            'world', 'anyone', read=True, admin=True)])
        found = probing.only(probe(server), 'jobboard.missing-permission')
        assert f'{path} on {peer(server)} grants CREATE' in found.message
        _run_remedy(found.remedy)
        assert probe(server) == []


def test_login_needed(probe, zookeeper):
    name = probing.name('acl')
    secret = security.make_digest_acl('octavia', probing.PASSWORD, all=True)
    reader = security.make_acl('world', 'anyone', read=True)
    with _client(zookeeper) as client:
        client.create(f'/{name}', b'', acl=[secret, reader])
        found = probing.only(
            probe(zookeeper, jobboard_backend_namespace=name),
            'jobboard.auth-unsupported')
        assert f'/{name}' in found.message
        client.add_auth('digest', f'octavia:{probing.PASSWORD}')
        added = re.search(r'world:anyone:([a-z]+)', found.remedy)[1]
        letters = {'r': 'read', 'c': 'create', 'd': 'delete'}
        client.set_acls(f'/{name}', [secret, security.make_acl(
            'world', 'anyone', **{letters[a]: True for a in added})])
        assert probe(zookeeper, jobboard_backend_namespace=name) == []


def test_nothing_may_be_seen(probe, zookeeper):
    name = probing.name('acl')
    with _client(zookeeper) as client:
        client.create(f'/{name}', b'', acl=[security.make_digest_acl(
            'octavia', probing.PASSWORD, all=True)])
        found = probing.only(
            probe(zookeeper, jobboard_backend_namespace=name),
            'jobboard.missing-permission')
        assert f'/{name}' in found.message
        assert 'world:anyone:cdr' in found.remedy


@pytest.mark.parametrize('network, slugs', [
    ('127.0.0.1', []), ('127.0.0.0/8', []),
    ('192.0.2.0/24', ['jobboard.missing-permission'])])
def test_open_to_addresses(probe, zookeeper, network, slugs):
    name = probing.name('acl')
    with _client(zookeeper) as client:
        client.create(f'/{name}', b'', acl=[
            security.make_acl('ip', network, all=True),
            security.make_acl('world', 'anyone', read=True, admin=True)])
        found = probe(zookeeper, jobboard_backend_namespace=name)
        assert probing.ids(found) == slugs
        for finding in found:
            _run_remedy(finding.remedy)
            assert probe(zookeeper, jobboard_backend_namespace=name) == []
            assert len(client.get_acls(f'/{name}')[0]) == 2


def _work(server, name):
    """All that a worker does with the board, by TaskFlow itself."""
    from taskflow.jobs import backends
    from taskflow.types import entity
    worker = entity.Entity('conductor', 'worker', {})
    with backends.backend(name, {
            'board': 'zookeeper', 'path': f'/{name}',
            'hosts': f'{server.host}:{server.port}'}) as board:
        board.register_entity(worker)
        for end in (board.consume, board.trash):
            job = board.post('job', details={})
            for step in (board.claim, board.abandon, board.claim, end):
                worker_board.known(board, step, job, worker.name)


def test_what_is_asked_for_is_what_a_worker_needs(probe):
    def acl(**rights):
        return [security.make_acl('world', 'anyone', **rights)]

    with zookeeper_server.ZooKeeper() as server, _client(server) as client:
        client.ensure_path('/.entities/conductor')
        # To be looked up takes a separate permission since then.
        seen = client.server_version() >= (3, 9)
        for path, rights in (
                ('/board', {'read': True, 'create': True, 'delete': True}),
                ('/.trash', {'create': True, 'read': seen}),
                ('/.entities/conductor', {'create': True, 'read': seen}),
                ('/.entities', {'read': True}), ('/', {'read': True})):
            client.ensure_path(path)
            client.set_acls(path, acl(admin=True, **rights))
        assert probe(server, jobboard_backend_namespace='board') == []
        _work(server, 'board')
        client.set_acls('/board', acl(read=True, create=True))
        probing.only(probe(server, jobboard_backend_namespace='board'),
                     'jobboard.missing-permission')
        with pytest.raises(exceptions.JobFailure):
            _work(server, 'board')

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

"""What a worker passes to kazoo, compared with TaskFlow and kazoo."""

from hypothesis import given
from hypothesis import strategies as st
import pytest

from octavia_v2_checks.upstream import clients_zookeeper

hosts_ = pytest.importorskip('kazoo.hosts')
kazoo_utils = pytest.importorskip('taskflow.utils.kazoo_utils')


@pytest.mark.parametrize('options', [
    {}, {'use_ssl': 'False'}, {'use_ssl': 'yes', 'verify_certs': 'no'},
    {'use_ssl': True, 'certfile': '/c', 'keyfile': '/k',
     'keyfile_password': 'p', 'verify_certs': 'nonsense'},
    {'use_ssl': 'nonsense', 'keyfile': ''}])
def test_the_client(monkeypatch, options):
    made = {}

    def client(**arguments):
        made.update(arguments)

    monkeypatch.setattr(kazoo_utils.client, 'KazooClient', client)
    ensemble = clients_zookeeper.hosts(['zk1', 'zk2'], 2181)
    kazoo_utils.make_client({'hosts': ensemble} | options)
    del made['logger']
    assert clients_zookeeper.client(ensemble, options) == made


def _outcome(function, text):
    try:
        return function(text)
    except ValueError:
        return 'ValueError'


def _kazoo(text):
    from kazoo.protocol import paths
    listed, chroot = hosts_.collect_hosts(text)
    return listed, paths.normpath(chroot) if chroot else ''


@pytest.mark.parametrize('text', [
    'zk1:2181', 'zk1:2181,zk2:2182', 'ZK1:2181', '[::1]:2181', '::1:2181',
    '[::1:2181', 'zk1:2181:2181', 'zk1:2181/oct', 'zk1:2181,zk2/oct:2181',
    'zk1/oct:2181,zk2:2181', 'zk1:2181//', 'zk1:2181/a//b/', 'zk1:0', '',
    ':2181', 'a@zk1:2181', ' zk1:2181, zk2:2181', 'zk1:99999', 'zk1/.:2181'])
def test_hosts(text):
    assert _outcome(clients_zookeeper.members, text) == _outcome(_kazoo, text)


@given(st.text('ab1:/,.[]@ -', max_size=16))
def test_any_hosts(text):
    assert _outcome(clients_zookeeper.members, text) == _outcome(_kazoo, text)


@given(st.text('ajob/. é', max_size=12))
def test_any_namespace(namespace):
    """TaskFlow's paths, as kazoo sends them."""
    from kazoo.protocol import paths as kazoo_paths
    from taskflow.jobs.backends import impl_zookeeper
    board = impl_zookeeper.ZookeeperJobBoard(
        'board', {'path': f'/{namespace}'}, client=_Client())

    def sent(path, chroot='/oct'):
        return kazoo_paths._prefix_root(chroot, path)

    try:
        job = kazoo_paths.normpath(kazoo_paths.join(board.path, 'job0'))
        sent(board.trash_path)
    except ValueError:
        with pytest.raises(ValueError, match=''):
            clients_zookeeper.paths(namespace, '/oct')
        return
    found = clients_zookeeper.paths(namespace, '/oct')
    assert found.board == sent(board.path)
    assert found.made == sent(board.trash_path)
    assert found.conductors == sent(
        kazoo_paths.join(board.entity_path, 'conductor'))
    assert found.claimable == (
        kazoo_paths.join(board.path, 'job0') == job)
    if found.claimable:
        trashed = sent(job.replace(board.path, board.trash_path))
        assert trashed.startswith(f'{found.trash}/{found.trashed}'.replace(
            '//', '/'))


class _Client:
    def add_listener(self, listener):
        """What a board does with a client before it connects."""


@pytest.mark.parametrize('version, seconds', [
    (None, 10), ('16.1.0', 10), ('18.0.0', 10), ('19.0.0', 15),
    ('20.0.0.0rc1', 15)])
def test_patience(version, seconds):
    assert clients_zookeeper.patience(version) == seconds

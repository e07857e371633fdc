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

"""The etcd jobboard, on real servers in every state they get into."""

import base64
import os
import re
import signal
import subprocess
import urllib.error

import pytest

from octavia_v2_checks.backends import etcd as backend
from tests import jobboards
from tests import probing
from tests.jobboards import peer
from tests.servers import etcd as etcd_server
from tests.servers import forward
from tests.servers import process
from tests.servers import scripts

pytestmark = pytest.mark.usefixtures('no_environment')

DRIVER = 'etcd_taskflow_driver'


@pytest.fixture
def probe(write_config):
    return jobboards.Prober(write_config, DRIVER)


@pytest.fixture(scope='module')
def trio():
    """Three members; whoever stops one starts it again."""
    with etcd_server.Etcd(3) as cluster:
        yield cluster


def _encode(text):
    return base64.b64encode(text.encode()).decode()


def _put(server, key, value):
    server.call('/v3/kv/put', {'key': _encode(key), 'value': _encode(value)})


def _everything(server):
    """The whole store, its leases, and the last entry of the log."""
    kept = server.call('/v3/kv/range', {'key': _encode('\0'),
                                        'range_end': _encode('\0')})
    leases = server.call('/v3/lease/leases', {})
    status = server.call('/v3/maintenance/status', {})
    return (kept['header']['revision'], kept.get('kvs'),
            leases.get('leases'), status['raftIndex'])


def _run(remedy, **environment):
    """Run a remedy that is a command line."""
    process.find('etcdctl')
    done = subprocess.run(
        remedy, shell=True, capture_output=True, text=True, timeout=60,
        stdin=subprocess.DEVNULL, env={**os.environ, **environment})
    assert done.returncode == 0, done.stdout + done.stderr


def test_healthy(probe, trio):
    before = _everything(trio)
    assert probe(trio) == []
    assert _everything(trio) == before


def test_healthy_with_jobs(probe, trio):
    lease = trio.call('/v3/lease/grant', {'TTL': 600})['ID']
    for suffix in ('data', 'lock', 'last_modified'):
        _put(trio, f'/taskflow/jobs/busy/job1.{suffix}', '{}')
    before = _everything(trio)
    assert probe(trio, jobboard_backend_namespace='busy') == []
    assert _everything(trio) == before
    trio.call('/v3/lease/revoke', {'ID': lease})


def test_everything_would_show_a_write(trio):
    before = _everything(trio)
    _put(trio, 'written', 'x')
    trio.call('/v3/kv/deleterange', {'key': _encode('written')})
    assert _everything(trio) != before


def test_the_fact_names_the_server(probe, trio):
    board = probe.backend(backend.Etcd, trio.hosts, trio.port)
    fact, = board.probe()
    assert re.fullmatch(rf'etcd 3\.\d+\.\d+ at {peer(trio)}\.', fact)


def test_reads_the_board(probe, etcd):
    _put(etcd, '/taskflow/jobs/board/job1.data', '{"name": "a"}')
    _put(etcd, '/taskflow/jobs/board/job1.lock', '')
    _put(etcd, '/taskflow/jobs/boarding/job1.data', '')
    server = probe.backend(backend.Etcd, [etcd.host], etcd.port,
                           jobboard_backend_namespace='board')
    with server.board() as board:
        assert board.count() == 1 and board.trashed() == 0
        (job,), = board.pages()
    assert (job.key, job.name, job.owner) == ('1', 'a', 'unknown')


def test_the_other_hosts_are_not_used(probe, etcd):
    assert probe([etcd.host, 'no-such-host.invalid'], etcd.port) == []


def test_member_down(probe, trio):
    victim = trio.members[2]
    victim.kill()
    try:
        process.wait_until(trio.members[0].healthy, 'no leader')
        before = _everything(trio)
        found = probing.only(probe(trio), 'jobboard.member-down')
        assert _everything(trio) == before
        assert found.host == peer(victim) and 'refused' in found.message
    finally:
        trio.start()
    assert probe(trio) == []


def test_member_stopped(probe, trio):
    victim = trio.members[1]
    os.kill(victim.pid, signal.SIGSTOP)
    try:
        process.wait_until(trio.members[0].healthy, 'no leader')
        found = probing.only(probe(trio, deadline=10, timeout=1),
                             'jobboard.member-down')
        assert found.host == peer(victim)
        assert 'did not answer' in found.message
    finally:
        os.kill(victim.pid, signal.SIGCONT)
    process.wait_until(trio.healthy, 'it did not come back')
    assert probe(trio) == []


def test_member_that_never_started(probe):
    with etcd_server.Etcd(3, strict_reconfig_check='false') as cluster:
        cluster.call('/v3/cluster/member/add',
                     {'peerURLs': ['http://127.0.0.9:1']})
        found = probing.only(probe(cluster), 'jobboard.member-down')
        assert 'never started' in found.message
        command = re.search(r'etcdctl member remove \w+', found.remedy)[0]
        _run(f'{command} --endpoints={cluster.url()}')
        assert probe(cluster) == []


def test_members_at_addresses_of_their_own_machine(probe, trio):
    trio.members[2].kill()
    try:
        process.wait_until(trio.members[0].healthy, 'no leader')
        # A name of this machine that does not look like one: what the
        # members advertise is then taken for another machine's loopback.
        assert probe(['127.1'], trio.port) == []
    finally:
        trio.start()


def test_no_quorum(probe, trio):
    for member in trio.members[1:]:
        member.kill()
    try:
        process.wait_until(lambda: not trio.members[0].healthy(),
                           'it still has a leader')
        found = probing.only(probe(trio), 'jobboard.no-quorum')
        assert found.host == peer(trio)
        assert '1 of 3' in found.message
        for member in trio.members[1:]:
            assert f'{peer(member)} refused' in found.message
    finally:
        trio.start()
    assert probe(trio) == []


def test_the_server_itself_down(probe, trio):
    trio.members[0].kill()
    try:
        assert probing.only(probe(trio), 'jobboard.refused'
                            ).host == peer(trio)
    finally:
        trio.start()
    assert probe(trio) == []


class Cuttable(etcd_server.Etcd):
    """Members that reach each other through forwarders only."""

    def __init__(self):
        super().__init__(3)
        self.forwarders = []
        for member in self.members:
            port = int(member.peer_url.rpartition(':')[2])
            forwarder = forward.Forwarder(member.host, port)
            self.forwarders.append(forwarder)
            member.peer_url = f'http://{member.host}:{forwarder.port}'
            member.argv = self._listening(member, port)

    def _listening(self, member, port):
        original = member.argv

        def argv():
            return [re.sub(r'(--listen-peer-urls=.*:)\d+', rf'\g<1>{port}', a)
                    for a in original()]

        return argv

    def cut(self):
        for forwarder in self.forwarders:
            forwarder.stop()

    def close(self):
        super().close()
        self.cut()


def test_members_that_do_not_reach_each_other(probe):
    with Cuttable() as cluster:
        assert probe(cluster) == []
        cluster.cut()
        process.wait_until(
            lambda: not any(m.healthy() for m in cluster.members),
            'there is still a leader')
        found = probing.only(probe(cluster), 'jobboard.not-writable')
        assert found.host == peer(cluster)
        for member in cluster.members[1:]:
            assert f'{peer(member)} knows no leader' in found.message


def test_corrupt(probe):
    with etcd_server.Etcd() as server:
        member = server.call('/v3/maintenance/status', {}
                             )['header']['member_id']
        server.call('/v3/maintenance/alarm', {
            'action': 'ACTIVATE', 'memberID': member, 'alarm': 'CORRUPT'})
        found = probe(server)
        assert probing.ids(found)[0] == 'jobboard.not-writable'
        assert 'CORRUPT' in found[0].message
        assert found[0].host == peer(server)


def test_out_of_space(probe):
    with etcd_server.Etcd(quota_backend_bytes=2 * 1024 * 1024) as server:
        assert probe(server) == []
        with pytest.raises(urllib.error.HTTPError):
            for _ in range(20):
                _put(server, 'big', 'x' * 300_000)
        before = _everything(server)
        found = probing.only(probe(server), 'jobboard.out-of-space')
        assert _everything(server) == before
        assert found.host == peer(server)
        _run(found.remedy)
        assert probe(server) == []
        _put(server, 'small', 'x')


def test_login_needed(probe):
    with etcd_server.Etcd() as server:
        server.call('/v3/auth/user/add',
                    {'name': 'root', 'password': probing.PASSWORD})
        server.call('/v3/auth/role/add', {'name': 'root'})
        server.call('/v3/auth/user/grant', {'user': 'root', 'role': 'root'})
        assert probe(server) == []
        server.call('/v3/auth/enable', {})
        found = probing.only(probe(
            server, jobboard_backend_username='root',
            jobboard_backend_password=probing.PASSWORD.replace('$', '$$')),
            'jobboard.auth-unsupported')
        assert found.host == peer(server)
        _run(found.remedy, ETCDCTL_PASSWORD=probing.PASSWORD)
        assert probe(server) == []


def test_server_old(probe):
    with scripts.Http(b'{"etcdserver":"2.3.8","etcdcluster":"2.3.0"}'
                      ) as server:
        found = probing.only(probe([server.host], server.port),
                             'jobboard.server-old')
    assert '2.3.8' in found.message and found.host == peer(server)


@pytest.mark.parametrize('path', ['/v3/', '/v3beta/'])
def test_api_path(probe, etcd, path):
    assert probe(etcd, jobboard_etcd_api_path=path) == []


@pytest.mark.parametrize('path', ['/v3alpha/', '/v3', 'v3/', '/v3 /',
                                  '/a\u00e4/'])
def test_wrong_api_path(probe, etcd, path):
    found = probing.only(probe(etcd, jobboard_etcd_api_path=path),
                         'jobboard.wrong-protocol')
    assert found.option == 'task_flow.jobboard_etcd_api_path'
    assert found.host == peer(etcd)
    name, value = re.fullmatch(r'Set (\w+) in \[task_flow\] to (\S+)',
                               found.remedy).groups()
    assert probe(etcd, **{name: value}) == []


def test_api_path_of_the_environment(probe, etcd, monkeypatch):
    monkeypatch.setenv('ETCD3GW_API_PATH', '/v3/')
    found = probing.only(probe(etcd), 'jobboard.environment')
    variable, = re.findall(r'Unset (\w+)', found.remedy)
    assert probe(etcd, jobboard_etcd_api_path='/v3/') == []
    monkeypatch.setenv(variable, '/v3alpha/')
    assert probing.ids(probe(etcd)) == ['jobboard.environment',
                                        'jobboard.wrong-protocol']
    monkeypatch.delenv(variable)
    assert probe(etcd) == []


def test_the_timeout_of_the_worker(probe):
    with scripts.Silent() as server:
        found = probing.only(probe(
            [server.host], server.port, deadline=20, timeout=15,
            jobboard_etcd_timeout=1), 'jobboard.timeout')
    assert 'within 1 s' in found.message and found.host == peer(server)

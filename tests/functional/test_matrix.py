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

"""Every backend, every fault, through the real command.

One thing is wrong in each cell and the rest of the system is healthy, so
one finding must be made, in the row it belongs to, and no other.
"""

from collections.abc import Callable
import concurrent.futures
import contextlib
import dataclasses
import os
import pathlib
import re
import signal
import sys
from typing import Any
from urllib import parse

import pytest

from tests import cells
from tests import doors
from tests import migrations
from tests import sentinels
from tests.functional import test_zookeeper_faults
from tests.servers import etcd as etcd_server
from tests.servers import mariadb as mariadb_server
from tests.servers import postgres as postgres_server
from tests.servers import process
from tests.servers import redis as redis_server
from tests.servers import scripts
from tests.servers import zookeeper as zookeeper_server

#: Long enough for a machine that has other things to do: what is at fault
#: here takes no longer than the probes, and there is a test of the deadline.
DEADLINE = 10.0

#: Runs of the command at the same time: they mostly wait.
AT_ONCE = 3

#: The resolver of the system is not ours to stop, so its place is taken.
DEAF_RESOLVER = (sys.executable, '-c', """
import socket, sys, threading
real = socket.getaddrinfo
def getaddrinfo(host, *args, **kwargs):
    if host == 'deaf.example':
        threading.Event().wait()
    return real(host, *args, **kwargs)
socket.getaddrinfo = getaddrinfo
from octavia_v2_checks import cli
code = cli.main()
for thread in threading.enumerate():
    if not thread.daemon and thread is not threading.main_thread():
        print('HELD by', thread.name, file=sys.stderr)
sys.exit(code)
""")

GREETING = b'\x4a\0\0\0\x0a10.11.6-MariaDB\0'
VERSION = (b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n'
           b'Content-Length: 44\r\n\r\n{"etcdserver":"3.4')


@dataclasses.dataclass(frozen=True)
class Kind:
    """A backend, and what a server of its kind says.

    :ivar right: the beginning of a right answer
    :ivar endless: a part of an answer that could go on for ever
    :ivar first: whether the server speaks first
    """

    server: Callable[[], Any]
    right: bytes
    endless: bytes
    first: bool = False
    dialect: str | None = None
    options: dict[str, object] = dataclasses.field(default_factory=dict)

    @property
    def area(self) -> str:
        return 'persistence' if self.dialect else 'jobboard'

    def at(self, host, port):
        """The options that have this backend at a place."""
        if self.dialect:
            password = parse.quote(cells.PASSWORD, safe='')
            return {'persistence_connection': (
                f'{self.dialect}://octavia:{password}@{host}:{port}/p')}
        return self.options | {'jobboard_backend_hosts': host,
                               'jobboard_backend_port': port}


SENTINEL = {
    'jobboard_redis_sentinel': sentinels.NAME,
    'jobboard_redis_sentinel_password': cells.written(cells.PASSWORD)}
ZOOKEEPER = {'jobboard_backend_driver': 'zookeeper_taskflow_driver',
             'jobboard_backend_password': None}
ETCD = {'jobboard_backend_driver': 'etcd_taskflow_driver',
        'jobboard_backend_password': None}

KINDS = {
    'mysql': Kind(mariadb_server.MariaDB, GREETING, GREETING, first=True,
                  dialect='mysql+pymysql'),
    'postgresql': Kind(postgres_server.PostgreSQL, b'S', b'S',
                       dialect='postgresql+psycopg2'),
    'redis': Kind(redis_server.Redis, b'*14\r\n$6\r\nserv', b'+OK\r\n'),
    'sentinel': Kind(redis_server.Redis, b'*14\r\n$6\r\nserv', b'+OK\r\n',
                     options=SENTINEL),
    'zookeeper': Kind(
        zookeeper_server.ZooKeeper, test_zookeeper_faults.SRVR[:30],
        test_zookeeper_faults.SRVR, options=ZOOKEEPER),
    'etcd': Kind(etcd_server.Etcd, VERSION, VERSION, options=ETCD),
}

#: Each starts what answers at the backend's place.
SCRIPTS = {
    'refused': lambda kind: scripts.Refuse(),
    'dropped': lambda kind: scripts.Blackhole(),
    'silent': lambda kind: scripts.Silent(),
    'half': lambda kind: (scripts.Greet if kind.first else scripts.Answer)(
        kind.right),
    'reset': lambda kind: scripts.Reset(),
    'closed': lambda kind: scripts.Close(),
    'slow': lambda kind: scripts.Drip(kind.right, first=kind.first),
    'endless': lambda kind: scripts.Endless(kind.endless, first=kind.first),
    'garbage': lambda kind: scripts.Say(bytes(range(255, 0, -1))),
}

#: What is found, for every backend alike.
FAULTS = {
    'refused': 'refused', 'dropped': 'timeout', 'silent': 'timeout',
    'half': 'timeout', 'reset': 'refused', 'closed': 'refused',
    'slow': 'timeout', 'endless': 'wrong-protocol',
    'garbage': 'wrong-protocol', 'killed': 'refused',
    'name unknown': 'unresolvable', 'name server silent': 'unresolvable',
}


@pytest.fixture(scope='module')
def healthy_redis():
    """One that would keep the jobs over a restart."""
    with redis_server.Redis(save=('3600', '1')) as server:
        yield server


@pytest.fixture(scope='module')
def system(mariadb, healthy_redis, tmp_path_factory):
    return cells.System(tmp_path_factory.mktemp('matrix'), mariadb,
                        healthy_redis)


@pytest.fixture(scope='module')
def pool():
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as threads:
        yield threads


@pytest.fixture(scope='module', params=KINDS)
def batch(request, system, pool):
    """All faults of one backend, begun at once: fault -> (place, run)."""
    kind = KINDS[request.param]
    runs = {}
    with contextlib.ExitStack() as stack:
        victim = stack.enter_context(kind.server())
        runs['killed'] = killed(pool, kind, system, victim)
        for fault, script in SCRIPTS.items():
            server = stack.enter_context(script(kind))
            runs[fault] = begin(pool, kind, system, server.host, server.port)
        runs['name unknown'] = begin(
            pool, kind, system, 'no-such-host.invalid', 4444)
        runs['name server silent'] = begin(
            pool, kind, system, 'deaf.example', 4444, before=DEAF_RESOLVER)
        yield kind, runs


def begin(pool, kind, system, host, port, **options):
    config = system.config(**kind.at(host, port))
    return f'{host}:{port}', pool.submit(
        cells.check, config, deadline=DEADLINE, **options)


def killed(pool, kind, system, server):
    """Run with a server that lets us in, and then is killed."""
    before = connections(server.port)
    os.kill(server.pid, signal.SIGSTOP)
    peer, run = begin(pool, kind, system, server.host, server.port)
    process.wait_until(
        lambda: connections(server.port) > before or run.done(), 'no client')
    server.kill()
    return peer, run


def connections(port):
    """How many clients a server has, whether it knows of them or not."""
    tables = (pathlib.Path('/proc/net', name).read_text()
              for name in ('tcp', 'tcp6'))
    return sum(len(re.findall(rf'^ *\d+: \w+:{port:04X} \w+:\w+ 01', table,
                              re.M)) for table in tables)


def ended_well(outcome, code):
    """Every run ends in time, by itself, and says no secret."""
    assert outcome.code == code, outcome.text
    assert outcome.document['duration'] < DEADLINE + 1
    assert outcome.seconds < cells.START_UP + DEADLINE + 1
    assert outcome.lingered < 5
    assert 'Traceback' not in outcome.stderr
    assert 'HELD' not in outcome.stderr
    assert cells.leaks(outcome.text) == []


def test_healthy(system):
    outcome = cells.check(system.config())
    ended_well(outcome, 0)
    assert outcome.ids == []


@pytest.mark.parametrize('fault', FAULTS)
def test_fault(batch, fault):
    kind, runs = batch
    peer, run = runs[fault]
    outcome = run.result()
    ended_well(outcome, 2)
    assert outcome.ids == [f'{kind.area}.{FAULTS[fault]}'], outcome.stdout
    finding, = outcome.findings
    assert finding['host'] == peer
    assert peer.partition(':')[0] in finding['message'] and finding['remedy']


@pytest.mark.parametrize('name', KINDS)
def test_deadline(system, name):
    """It ends the run whatever one question may take."""
    kind = KINDS[name]
    with scripts.Silent() as server:
        # One at a time: all would tell what they know in the same moment.
        outcome = cells.check(
            system.config(**kind.at(server.host, server.port)),
            timeout=60.0, deadline=2.0)
    ended_well(outcome, 2)
    assert outcome.document['duration'] < 2 + 1
    # That of its questions ends a moment before, so it is named.
    assert outcome.ids == [f'{kind.area}.timeout']


def ensemble_options(servers):
    return {'jobboard_backend_hosts': [s.host for s in servers],
            'jobboard_backend_port': servers[0].port}


def ids_and_hosts(system, code, **options):
    outcome = cells.check(system.config(**options))
    ended_well(outcome, code)
    return [(f['id'], f['host']) for f in outcome.findings]


def peers(servers):
    return [f'{s.host}:{s.port}' for s in servers]


def test_members_of_zookeeper(system):
    with zookeeper_server.ZooKeeper(3) as ensemble:
        options = ZOOKEEPER | ensemble_options(ensemble.members)
        first, second, third = ensemble.members
        assert ids_and_hosts(system, 0, **options) == []
        third.kill()
        process.wait_until(lambda: {first.mode(), second.mode()} == {
            'leader', 'follower'}, 'no vote')
        assert ids_and_hosts(system, 1, **options) == [
            ('jobboard.member-down', *peers([third]))]
        second.kill()
        process.wait_until(lambda: not first.mode(), 'still serving')
        assert ids_and_hosts(system, 2, **options) == [
            ('jobboard.no-quorum', *peers([first]))]


def test_members_of_etcd(system):
    """Octavia has use for the first host only; etcd tells the others."""
    with etcd_server.Etcd(3) as cluster:
        options = ETCD | ensemble_options(cluster.members[:1])
        first, second, third = cluster.members
        assert ids_and_hosts(system, 0, **options) == []
        third.kill()
        process.wait_until(first.healthy, 'no vote')
        assert ids_and_hosts(system, 1, **options) == [
            ('jobboard.member-down', *peers([third]))]
        second.kill()
        process.wait_until(lambda: not first.healthy(), 'still a leader')
        assert ids_and_hosts(system, 2, **options) == [
            ('jobboard.no-quorum', *peers([first]))]
        second.start(wait=False)
        third.start()
        first.kill()
        assert ids_and_hosts(system, 2, **options) == [
            ('jobboard.refused', *peers([first]))]


def has_quorum(sentinel):
    import redis
    try:
        sentinel.command('SENTINEL', 'CKQUORUM', sentinel.master_name)
    except redis.ResponseError:
        return False
    return True


def test_members_of_sentinel(system):
    with (redis_server.Redis(save=('3600', '1')) as master,
          sentinels.ensemble(master) as trio):
        options = SENTINEL | ensemble_options(trio)
        first, second, third = trio
        assert ids_and_hosts(system, 0, **options) == []
        third.kill()
        assert ids_and_hosts(system, 1, **options) == [
            ('jobboard.member-down', *peers([third]))]
        second.kill()
        process.wait_until(lambda: not has_quorum(first),
                           'a Sentinel that notices the others are gone')
        assert sorted(ids_and_hosts(system, 1, **options)) == [
            ('jobboard.member-down', *peers([second])),
            ('jobboard.member-down', *peers([third])),
            ('jobboard.sentinel-quorum', *peers([first]))]
        first.kill()
        assert {id_ for id_, _ in ids_and_hosts(system, 2, **options)} == {
            'jobboard.refused'}


def test_members_of_postgresql(system, postgres):
    user, database = 'matrix', 'matrix_persistence'
    text = cells.PASSWORD.replace("'", "''")
    postgres.execute(f"CREATE ROLE {user} LOGIN PASSWORD '{text}'")
    postgres.execute(f'CREATE DATABASE {database} OWNER {user}')
    migrations.migrate(postgres.url(user, cells.PASSWORD, database),
                       'head')
    with scripts.Refuse() as one, scripts.Refuse() as two:
        login = f'{user}:{parse.quote(cells.PASSWORD, safe="")}'

        def look(code, *servers):
            hosts = '&'.join(f'host={peer}' for peer in peers(servers))
            return ids_and_hosts(system, code, persistence_connection=(
                f'postgresql+psycopg2://{login}@/{database}?{hosts}'))

        assert look(0, postgres, postgres) == []
        assert look(1, one, postgres) == [
            ('persistence.member-down', *peers([one]))]
        assert look(1, one, two, postgres) == [
            ('persistence.member-down', peer) for peer in peers([one, two])]
        assert look(2, one, two) == [
            ('persistence.refused', ','.join(peers([one, two])))]


@pytest.mark.parametrize('database, jobboard', [
    ('postgresql', 'sentinel'), ('mysql', 'zookeeper'), ('mysql', 'etcd')])
def test_silent_servers_through_the_stock_command(system, database,
                                                  jobboard):
    """The hook ends in time as well; the rest is octavia-status itself."""
    with scripts.Silent() as one, scripts.Silent() as two:
        config = system.config(
            {'octavia_v2_checks': {'probe_timeout': 2, 'deadline': 10}},
            **KINDS[database].at(one.host, one.port),
            **KINDS[jobboard].at(two.host, two.port))
        done = doors.stock(config)
    assert done.code == 2
    assert done.ids == {'persistence.timeout', 'jobboard.timeout'}
    assert all(peer in done.text for peer in peers([one, two]))
    assert cells.leaks(done.text) == []

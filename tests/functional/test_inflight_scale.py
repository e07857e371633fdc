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

"""Thousands of jobs: all are counted, and the memory stays flat."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from octavia_v2_checks.backends.redis import board as redis_board
from octavia_v2_checks.checks import inflight
from tests import boards
from tests import commands
from tests import databases
from tests import filling
from tests import probing
from tests import redis_probing
from tests.servers import redis as redis_server
from tests.servers import zookeeper as zookeeper_server

#: More than are compared one by one.
CROWD = 40000

#: The command, with another limit of what is compared, and then the most
#: memory that it has had.
RUN = """
import sys
from octavia_v2_checks import cli
from octavia_v2_checks.backends.redis import board as redis_board
from octavia_v2_checks.checks import inflight
inflight._CROWD = int(sys.argv.pop(1))
cli.main()
print(*[line for line in open('/proc/self/status')
        if line.startswith('VmHWM')], file=sys.stderr)
"""

PLACES = {'redis': boards.RedisPlace, 'zookeeper': boards.ZooKeeperPlace,
          'etcd': boards.EtcdPlace}


@pytest.fixture(scope='module')
def redis():
    """One whose jobs other tests need not copy."""
    with redis_server.Redis(save='') as server:
        yield server


@pytest.fixture(scope='module')
def zookeeper():
    """One with room for many jobs."""
    with zookeeper_server.ZooKeeper(memory='512m') as server:
        yield server


def filled(driver, server, mariadb, write_config, count, atoms=2, **options):
    """A filled board, and a file that names it."""
    url, sql = databases.mysql(mariadb)
    place = PLACES[driver](server, url, sql, write_config)
    getattr(filling, driver)(server, place.namespace, count, **options)
    filling.mariadb(mariadb, url.rpartition('/')[2], count, atoms)
    place.close()
    return place


@pytest.fixture
def fill(request, mariadb, write_config):
    """A function: a filled board on a server of this module."""
    def make(driver, count, **options):
        return filled(driver, request.getfixturevalue(driver), mariadb,
                      write_config, count, **options)

    return make


@pytest.fixture(scope='module')
def hundred_thousand(redis, mariadb, tmp_path_factory):
    """A board with so many jobs."""
    folder = tmp_path_factory.mktemp('hundred-thousand')
    return filled('redis', redis, mariadb, commands.config_writer(folder),
                  100000, atoms=0)


def look(place, crowd=inflight._CROWD):
    """Run the check; its row, and the texts of its findings.

    It must have stayed below 100 MiB.
    """
    done = subprocess.run(
        [sys.executable, '-c', RUN, str(crowd), '--config-file',
         str(place.config()), 'upgrade', 'check', '--only', 'inflight',
         '--json', '--deadline', '60', '--probe-timeout', '20'],
        capture_output=True, text=True, env=commands.environment(), cwd='/')
    check, = json.loads(done.stdout)['checks']
    assert int(done.stderr.split()[-2]) < 100 * 1024
    return check, {f['id']: f['message'] for f in check['findings']}


@pytest.mark.parametrize('driver, jobs', [
    ('redis', 8000), ('zookeeper', 4000), ('etcd', 3000)])
def test_many_jobs(fill, driver, jobs):
    """All are counted; with a lower limit, all are, and some looked at."""
    place = fill(driver, jobs)
    check, found = look(place)
    assert set(found) == {'inflight.jobs-waiting', 'inflight.jobs-claimed',
                          'inflight.jobs-orphaned'}
    # A quarter is claimed, a quarter was, and half was never touched.
    assert found['inflight.jobs-claimed'].startswith(f'{jobs // 4} jobs')
    assert found['inflight.jobs-orphaned'].startswith(f'{jobs // 4} jobs')
    assert found['inflight.jobs-waiting'].startswith(f'{jobs // 2} jobs')
    assert f'and {jobs // 2 - 5} more' in found['inflight.jobs-waiting']
    assert len(check['details']) < 5000
    too_many(place, jobs, jobs - 1)


def test_too_many_jobs(fill):
    too_many(fill('redis', CROWD), CROWD)


def too_many(place, jobs, crowd=inflight._CROWD):
    """The numbers are exact, some jobs are looked at, and it is a failure."""
    check, found = look(place, crowd)
    assert check['result'] == 2
    unknown = found.pop('inflight.undetermined')
    assert f'has {jobs} jobs' in unknown
    assert f'{jobs} unfinished flows' in unknown
    read = int(re.search(r'(\d+) jobs and 2000 flows were compared',
                         unknown)[1])
    assert 2000 <= read < jobs
    assert set(found) <= {'inflight.jobs-waiting', 'inflight.jobs-claimed',
                          'inflight.jobs-orphaned'}
    numbers = [int(re.match(rf'(\d+) jobs of {read} read', text)[1])
               for text in found.values()]
    assert sum(numbers) == read


@pytest.mark.parametrize('driver', PLACES)
def test_large_postings(fill, driver):
    """More in one page than a server may answer at once, one at a time."""
    _, found = look(fill(driver, 60, payload='x' * 500000))
    assert set(found) == {'inflight.jobs-waiting', 'inflight.jobs-claimed',
                          'inflight.jobs-orphaned'}, found
    assert found['inflight.jobs-waiting'].startswith('30 jobs')


def test_too_many_jobs_that_cannot_be_built(fill, mariadb, monkeypatch):
    monkeypatch.setattr(inflight, '_CROWD', 10)
    place = fill('redis', 20)
    config = place.config()
    healthy = probing.probe('inflight', config)
    assert 'inflight.flow-unresolvable' not in probing.ids(healthy)
    mariadb.execute("UPDATE flowdetails SET meta = REPLACE(meta, '"
                    + boards.LISTENER + "', 'octavia.gone.function')",
                    place.url.rpartition('/')[2])
    found = {f.id: f for f in probing.probe('inflight', config)}
    assert '20 jobs cannot be resumed: octavia.gone.function' in (
        found['inflight.flow-unresolvable'].message)
    assert 'inflight.undetermined' in found


def test_jobs_that_take_too_long(fill, redis, monkeypatch):
    """Without +hscan, a server sends all of them at once."""
    monkeypatch.setattr(inflight, '_CROWD', 10)
    place = fill('redis', 20)
    pages = redis_board.RedisBoard.pages

    def stop(board):
        os.kill(redis.pid, signal.SIGSTOP)
        return pages(board)

    monkeypatch.setattr(redis_board.RedisBoard, 'pages', stop)
    try:
        found = probing.only(probing.probe('inflight', place.config(), 6, 1),
                             'inflight.undetermined')
    finally:
        os.kill(redis.pid, signal.SIGCONT)
    assert 'has 20 jobs' in found.message
    assert ' 0 jobs and 20 flows were compared' in found.message


class Memory(threading.Thread):
    """Watches how much memory a process and its children use together."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self._pid = pid
        self.most = 0
        self.start()

    def run(self):
        while used := sum(map(self._used, self._family(self._pid))):
            self.most = max(self.most, used)
            time.sleep(0.02)

    def _family(self, pid):
        yield pid
        try:
            children = pathlib.Path(f'/proc/{pid}/task/{pid}/children')
            for child in children.read_text().split():
                yield from self._family(int(child))
        except OSError:
            pass

    def _used(self, pid):
        """KiB; what processes share is divided among them."""
        try:
            text = pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text()
        except OSError:
            return 0
        found = re.search(r'^Pss: +(\d+) kB', text, re.M)
        return int(found[1]) if found else 0


@pytest.mark.parametrize('scans', [True, False])
def test_a_hundred_thousand_jobs(hundred_thousand, redis, scans):
    """Within the default deadline, in 150 MiB, whatever the account may."""
    place = hundred_thousand
    account = redis_probing.Account(redis, None)
    redis.command('ACL', 'SETUSER', account.name, f'~{place.namespace}:*',
                  *(['+hscan'] if scans else []))
    config = place.config(
        jobboard_backend_username=account.name,
        jobboard_backend_password=probing.PASSWORD.replace('$', '$$'))
    begin = time.monotonic()
    with subprocess.Popen(
            [commands.script('octavia-v2-checks'), '--config-file',
             str(config), 'upgrade', 'check', '--only', 'inflight,jobboard',
             '--json'], stdout=subprocess.PIPE, text=True, cwd='/',
            env=commands.environment()) as process:
        memory = Memory(process.pid)
        report = json.loads(process.stdout.read())
    assert time.monotonic() - begin < 20 + 1 + 5
    jobboard, inflight_ = report['checks'][-2:]
    assert jobboard['result'] == 0, jobboard
    found = {f['id']: f['message'] for f in inflight_['findings']}
    assert 'has 100000 jobs' in found['inflight.undetermined']
    assert set(found) - {'inflight.undetermined'} <= {
        'inflight.jobs-waiting', 'inflight.jobs-claimed',
        'inflight.jobs-orphaned'} and len(found) > 1
    assert 50 << 10 < memory.most < 150 << 10

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
import re
import subprocess
import sys

from octavia_v2_checks.checks import inflight
from tests import boards
from tests import commands
from tests import filling
from tests import probing
from tests.functional import test_inflight

JOBS = 20000
CROWD = 40000

#: The command, and then the most memory that it has had.
RUN = """
import sys
from octavia_v2_checks import cli
cli.main()
print(*[line for line in open('/proc/self/status')
        if line.startswith('VmHWM')], file=sys.stderr)
"""


def look(redis, mariadb, write_config, count):
    """Fill a board; the row, and the most memory that it took, in KiB."""
    url, sql = test_inflight.mysql(mariadb)
    place = boards.RedisPlace(redis, url, sql, write_config)
    filling.redis(redis, place.namespace, count)
    filling.mariadb(mariadb, url.rpartition('/')[2], count, atoms=2)
    place.close()
    done = subprocess.run(
        [sys.executable, '-c', RUN, '--config-file', str(place.config()),
         'upgrade', 'check', '--only', 'inflight', '--json', '--deadline',
         '60'], capture_output=True, text=True, env=commands.environment(),
        cwd='/')
    check, = json.loads(done.stdout)['checks']
    return check, int(done.stderr.split()[-2])


def test_many_jobs(redis, mariadb, write_config):
    check, peak = look(redis, mariadb, write_config, JOBS)
    found = {f['id']: f['message'] for f in check['findings']}
    assert set(found) == {'inflight.jobs-waiting', 'inflight.jobs-claimed',
                          'inflight.jobs-orphaned'}
    # A quarter is claimed, a quarter was, and half was never touched.
    assert found['inflight.jobs-claimed'].startswith(f'{JOBS // 4} jobs')
    assert found['inflight.jobs-orphaned'].startswith(f'{JOBS // 4} jobs')
    assert found['inflight.jobs-waiting'].startswith(f'{JOBS // 2} jobs')
    assert f'and {JOBS // 2 - 5} more' in found['inflight.jobs-waiting']
    assert peak < 100 * 1024
    assert len(check['details']) < 5000


def test_too_many_jobs(redis, mariadb, write_config):
    """The numbers are exact, some jobs are looked at, and it is a failure."""
    check, peak = look(redis, mariadb, write_config, CROWD)
    found = {f['id']: f['message'] for f in check['findings']}
    assert check['result'] == 2
    unknown = found.pop('inflight.undetermined')
    assert f'has {CROWD} jobs' in unknown
    assert f'{CROWD} unfinished flows' in unknown
    read = int(re.search(r'(\d+) jobs and 2000 flows were looked at',
                         unknown)[1])
    assert 2000 <= read < CROWD / 2
    assert set(found) == {'inflight.jobs-waiting', 'inflight.jobs-claimed',
                          'inflight.jobs-orphaned'}
    numbers = [int(re.match(rf'(\d+) jobs of {read} looked at', text)[1])
               for text in found.values()]
    assert sum(numbers) == read
    assert peak < 100 * 1024


def test_too_many_jobs_that_cannot_be_built(redis, mariadb, write_config,
                                            monkeypatch):
    url, _ = test_inflight.mysql(mariadb)
    place = boards.RedisPlace(redis, url, None, write_config)
    monkeypatch.setattr(inflight, '_CROWD', 10)
    filling.redis(redis, place.namespace, 20)
    filling.mariadb(mariadb, url.rpartition('/')[2], 20, atoms=1)
    place.close()
    config = place.config()
    healthy = probing.probe('inflight', config)
    assert 'inflight.flow-unresolvable' not in probing.ids(healthy)
    mariadb.execute("UPDATE flowdetails SET meta = REPLACE(meta, '"
                    + boards.LISTENER + "', 'octavia.gone.function')",
                    url.rpartition('/')[2])
    found = {f.id: f for f in probing.probe('inflight', config)}
    assert '20 jobs cannot be taken up: octavia.gone.function' in (
        found['inflight.flow-unresolvable'].message)
    assert 'inflight.undetermined' in found

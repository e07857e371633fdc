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

"""Twenty thousand jobs: all are counted, and the memory stays flat."""

import json
import subprocess
import sys

from tests import boards
from tests import commands
from tests import filling
from tests.functional import test_inflight

JOBS = 20000

#: The command, and then the most memory that it has had.
RUN = """
import sys
from octavia_v2_checks import cli
cli.main()
print(*[line for line in open('/proc/self/status')
        if line.startswith('VmHWM')], file=sys.stderr)
"""


def test_many_jobs(redis, mariadb, write_config):
    url, sql = test_inflight.mysql(mariadb)
    place = boards.RedisPlace(redis, url, sql, write_config)
    filling.redis(redis, place.namespace, JOBS)
    filling.mariadb(mariadb, url.rpartition('/')[2], JOBS, atoms=2)
    place.close()
    done = subprocess.run(
        [sys.executable, '-c', RUN, '--config-file', str(place.config()),
         'upgrade', 'check', '--only', 'inflight', '--json', '--deadline',
         '60'], capture_output=True, text=True, env=commands.environment(),
        cwd='/')
    check, = json.loads(done.stdout)['checks']
    found = {f['id']: f['message'] for f in check['findings']}
    assert set(found) == {'inflight.jobs-waiting', 'inflight.jobs-claimed',
                          'inflight.jobs-orphaned'}
    # A quarter is claimed, a quarter was, and half was never touched.
    assert found['inflight.jobs-claimed'].startswith(f'{JOBS // 4} jobs')
    assert found['inflight.jobs-orphaned'].startswith(f'{JOBS // 4} jobs')
    assert found['inflight.jobs-waiting'].startswith(f'{JOBS // 2} jobs')
    assert f'and {JOBS // 2 - 5} more' in found['inflight.jobs-waiting']
    assert int(done.stderr.split()[-2]) < 100 * 1024, done.stderr
    assert len(check['details']) < 5000

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

"""How the look at work in flight grows with the board.

Usage: python -m benchmarks.inflight [JOBS]...

Fills a Redis and a MariaDB on loopback with that many jobs (1000, 10000 and
100000 without an argument) and ten tasks for each, then runs the check in a
process of its own, and beside it TaskFlow's own iterjobs() on the same board.
Prints wall time, peak memory, and the ratio of the times.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

from tests import commands
from tests import filling
from tests.servers import mariadb
from tests.servers import redis

ITERJOBS = """
import sys
from taskflow.jobs import backends
with backends.backend('x', {'board': 'redis', 'port': int(sys.argv[1]),
                            'host': '127.0.0.1', 'ssl': False,
                            'namespace': sys.argv[2]}) as board:
    assert sum(1 for job in board.iterjobs(ensure_fresh=True)) == int(
        sys.argv[3])
"""


def measure(argv):
    """Run a command; return its wall time, peak in MiB, and output."""
    began = time.perf_counter()
    with tempfile.TemporaryFile('w+') as output:
        process = subprocess.Popen(argv, stdout=output, cwd='/',
                                   env=commands.environment())
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0
        spent = time.perf_counter() - began
        output.seek(0)
        return spent, usage.ru_maxrss / 1024, output.read()


def main():
    """Print the curve."""
    sizes = [int(a) for a in sys.argv[1:]] or [1000, 10000, 100000]
    print(f'{"jobs":>8} {"check":>8} {"peak":>9} {"iterjobs":>9} '
          f'{"peak":>9} {"ratio":>6}')
    for count in sizes:
        with (mariadb.MariaDB(innodb_buffer_pool_size='256M') as database,
              redis.Redis() as board,
              tempfile.TemporaryDirectory() as folder):
            database.execute('CREATE DATABASE octavia_persistence')
            config = pathlib.Path(folder, 'octavia.conf')
            config.write_text(commands.config_text({'task_flow': {
                'jobboard_enabled': True,
                'persistence_connection': database.url(),
                'jobboard_backend_port': board.port,
                'jobboard_backend_namespace': 'board'}}))
            commands.db_manage(config, 'upgrade_persistence')
            filling.redis(board, 'board', count)
            filling.mariadb(database, 'octavia_persistence', count)
            ours, our_peak, said = measure(
                [commands.script('octavia-v2-checks'), '--config-file',
                 str(config), 'upgrade', 'check', '--only', 'inflight'])
            theirs, their_peak, _ = measure(
                [sys.executable, '-c', ITERJOBS, str(board.port), 'board',
                 str(count)])
            print(f'{count:8} {ours:7.2f}s {our_peak:5.0f} MiB '
                  f'{theirs:8.2f}s {their_peak:5.0f} MiB '
                  f'{ours / theirs:6.2f}', flush=True)
            if 'undetermined' in said:
                print('         not all of it was read within the deadline')


if __name__ == '__main__':
    main()

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

Beside it is TaskFlow's own ``iterjobs()`` on the same board, which is what
there is without us: it lists, and joins with nothing.
"""

from collections.abc import Iterator
import pathlib
import sys

from benchmarks import timing
from tests import commands
from tests import filling
from tests.servers import mariadb
from tests.servers import redis

SIZES = (1000, 10000, 100000)
GOAL = 0.05

ITERJOBS = """
import sys
from taskflow.jobs import backends
with backends.backend('x', {'board': 'redis', 'port': int(sys.argv[1]),
                            'host': '127.0.0.1', 'ssl': False,
                            'namespace': sys.argv[2]}) as board:
    assert sum(1 for job in board.iterjobs(ensure_fresh=True)) == int(
        sys.argv[3])
"""


def figures(runs: int, folder: pathlib.Path) -> Iterator[timing.Figure]:
    """Yield the curve, on Redis and MariaDB, with ten tasks for each job."""
    plain = commands.environment()
    # A file: pyperf keeps the command, and takes no line breaks in it.
    listing = folder / 'iterjobs.py'
    listing.write_text(ITERJOBS)
    for count in SIZES:
        part = f'work in flight, {count:,} jobs on Redis'
        with (mariadb.MariaDB(innodb_buffer_pool_size='256M') as database,
              redis.Redis() as board):
            database.execute('CREATE DATABASE octavia_persistence')
            config = folder / f'{count}.conf'
            config.write_text(commands.config_text({'task_flow': {
                'jobboard_enabled': True,
                'persistence_connection': database.url(),
                'jobboard_backend_port': board.port,
                'jobboard_backend_namespace': 'board'}}))
            commands.db_manage(config, 'upgrade_persistence')
            filling.redis(board, 'board', count)
            filling.mariadb(database, 'octavia_persistence', count)
            # TaskFlow asks once for each job: minutes, on a large board.
            some = runs if count < 10000 else 1
            base = f'{count:,} jobs, iterjobs()'
            yield timing.Figure(part, base, **timing.command(
                [sys.executable, str(listing), str(board.port), 'board',
                 str(count)], plain, some))
            yield timing.Figure(
                part, f'{count:,} jobs, our check', base=base,
                goal=GOAL if count == max(SIZES) else None,
                **timing.command(
                    [commands.script('octavia-v2-checks'), '--config-file',
                     str(config), 'upgrade', 'check', '--only', 'inflight'],
                    plain, runs if count < 100000 else min(runs, 3)))

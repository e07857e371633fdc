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
import json
import pathlib
import sys

from benchmarks import timing
from tests import commands
from tests import filling
from tests.servers import etcd
from tests.servers import mariadb
from tests.servers import redis
from tests.servers import zookeeper

SIZES = (1000, 10000, 100000)
GOAL = 0.05

ITERJOBS = """
import json
import sys
from taskflow.jobs import backends
with backends.backend('x', json.loads(sys.argv[1])) as board:
    assert sum(1 for job in board.iterjobs(ensure_fresh=True)) == int(
        sys.argv[2])
"""

#: Each server, and how TaskFlow is told of it.
BOARDS = {
    'redis': (redis.Redis, lambda server: {
        'host': server.host, 'port': server.port, 'ssl': False,
        'namespace': 'board'}),
    'zookeeper': (lambda: zookeeper.ZooKeeper(memory='2g'), lambda server: {
        'hosts': f'{server.host}:{server.port}', 'path': '/board'}),
    'etcd': (etcd.Etcd, lambda server: {
        'host': server.host, 'port': server.port, 'path': 'board'})}


def figures(runs: int, folder: pathlib.Path) -> Iterator[timing.Figure]:
    """Yield the curve of each backend, with ten tasks for each job."""
    listing = folder / 'iterjobs.py'
    # A file: pyperf keeps the command, and takes no line breaks in it.
    listing.write_text(ITERJOBS)
    for count in SIZES:
        with mariadb.MariaDB(innodb_buffer_pool_size='1G') as database:
            database.execute('CREATE DATABASE octavia_persistence')
            config = folder / f'{count}.conf'
            config.write_text(commands.config_text({'task_flow': {
                'persistence_connection': database.url()}}))
            commands.db_manage(config, 'upgrade_persistence')
            filling.mariadb(database, 'octavia_persistence', count)
            for driver in BOARDS:
                yield from _board(driver, count, database.url(), listing,
                                  runs)


def _board(driver, count, url, listing, runs):
    make, options = BOARDS[driver]
    part = f'work in flight, {count:,} jobs on {driver}'
    base = f'{driver}, {count:,} jobs, iterjobs()'
    plain = commands.environment()
    with make() as server:
        config = listing.with_name(f'{driver}-{count}.conf')
        config.write_text(commands.config_text({'task_flow': {
            'jobboard_enabled': True,
            'jobboard_backend_driver': f'{driver}_taskflow_driver',
            'jobboard_backend_hosts': server.host,
            'jobboard_backend_port': server.port,
            'jobboard_backend_namespace': 'board',
            'persistence_connection': url}}))
        getattr(filling, driver)(server, 'board', count)
        # TaskFlow asks for each job by itself: minutes, on a large board.
        yield timing.Figure(part, base, **timing.command(
            [sys.executable, str(listing), json.dumps(
                {'board': driver} | options(server)), str(count)], plain,
            runs if count < 10000 else 1))
        yield timing.Figure(
            part, f'{driver}, {count:,} jobs, our check', base=base,
            goal=GOAL if count == max(SIZES) else None,
            **timing.command(
                [commands.script('octavia-v2-checks'), '--config-file',
                 str(config), 'upgrade', 'check', '--only', 'inflight'],
                plain, runs))

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

"""How long a fault keeps one waiting."""

from collections.abc import Iterator
import pathlib
import subprocess
import sys
import time

from benchmarks import healthy
from benchmarks import timing
from tests import commands
from tests.servers import mariadb
from tests.servers import redis
from tests.servers import scripts

PART = 'faults: {}'

#: Seconds after which the stock command is stopped.
PATIENCE = 60

DEADLINE = 20

_KINDS = {'refused': scripts.Refuse, 'silent': scripts.Silent,
          'dropped': scripts.Blackhole}

_DRIVERS = {'Redis': 'redis_taskflow_driver',
            'ZooKeeper': 'zookeeper_taskflow_driver',
            'etcd': 'etcd_taskflow_driver'}


def figures(runs: int, folder: pathlib.Path) -> Iterator[timing.Figure]:
    """Yield ours and the stock command's time for each fault of a server.

    The stock command runs once each: it needs minutes. A refusal may take a
    second more than the start, for which the imports stand. With SQLite the
    stock command would not look at the jobboard.
    """
    config = folder / 'fault.conf'
    start = timing.command([sys.executable, '-c', healthy.FLOOR],
                           commands.environment(), runs)
    with (redis.Redis('--appendonly', 'yes') as board,
          mariadb.MariaDB() as database):
        database.execute('CREATE DATABASE octavia_persistence')
        config.write_text(commands.config_text({'task_flow': {
            'persistence_connection': database.url()}}))
        commands.db_manage(config, 'upgrade_persistence')
        for kind, server in _KINDS.items():
            limit = 1 + (start['seconds'] if kind == 'refused' else DEADLINE)
            for name in ('MariaDB', *_DRIVERS):
                with server() as faulty:
                    config.write_text(commands.config_text({
                        'task_flow': _options(name, faulty, board,
                                              database)}))
                    yield from _pair(kind, name, str(config), runs, limit)


def _options(name, faulty, board, database):
    options = {'jobboard_enabled': True, 'jobboard_expiration_time': 100}
    if name == 'MariaDB':
        return options | {
            'persistence_connection':
                f'mysql+pymysql://octavia:octavia@{faulty.host}:'
                f'{faulty.port}/octavia_persistence',
            'jobboard_backend_port': board.port}
    return options | {
        'persistence_connection': database.url(),
        'jobboard_backend_driver': _DRIVERS[name],
        'jobboard_backend_hosts': faulty.host,
        'jobboard_backend_port': faulty.port}


def _pair(kind, name, config, runs, limit):
    part = PART.format(kind)
    plain = commands.environment()
    stock = f'{name} {kind}, octavia-status'
    began = time.perf_counter()
    note = ''
    try:
        subprocess.run(
            [commands.script('octavia-status'), '--config-file', config,
             'upgrade', 'check'], env=plain, cwd='/', timeout=PATIENCE,
            capture_output=True)
    except subprocess.TimeoutExpired:
        note = f'stopped after {PATIENCE} s'
    yield timing.Figure(part, stock, time.perf_counter() - began, note=note)
    own = [commands.script('octavia-v2-checks'), '--config-file', config,
           'upgrade', 'check', '--deadline', str(DEADLINE)]
    yield timing.Figure(part, f'{name} {kind}, octavia-v2-checks', base=stock,
                        limit=limit,
                        **timing.command(own, plain, runs))

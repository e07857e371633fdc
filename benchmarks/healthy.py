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

"""Whole commands on healthy servers, beside the stock ones and the floor."""

from collections.abc import Iterator
import pathlib
import sys

from benchmarks import timing
from tests import commands
from tests.servers import mariadb
from tests.servers import redis

PART = 'healthy Redis and MariaDB'
OFF = 'jobboard off'

#: What the job needs at least: nothing can be faster than importing it.
FLOOR = 'import oslo_config.cfg, sqlalchemy, pymysql, redis'

_SOURCE = {'OS_DEFAULT__CONFIG_SOURCE': 'octavia_v2_checks'}
_HOOK = _SOURCE | {'OS_OCTAVIA_V2_CHECKS__DRIVER': 'octavia_v2_checks'}
#: oslo.config loads all drivers, castellan among them, and finds none.
_NO_DRIVER = _SOURCE | {'OS_OCTAVIA_V2_CHECKS__DRIVER': 'nothing'}


def figures(runs: int, folder: pathlib.Path) -> Iterator[timing.Figure]:
    """Yield the figures of the commands that everybody runs."""
    with (mariadb.MariaDB() as database,
          redis.Redis('--appendonly', 'yes') as board):
        database.execute('CREATE DATABASE octavia_persistence')
        config = folder / 'octavia.conf'
        config.write_text(commands.config_text({'task_flow': {
            'jobboard_enabled': True, 'jobboard_expiration_time': 100,
            'persistence_connection': database.url(),
            'jobboard_backend_port': board.port}}))
        commands.db_manage(config, 'upgrade_persistence')
        off = folder / 'off.conf'
        off.write_text('[task_flow]\njobboard_enabled = false\n')
        yield from _healthy(runs, str(config))
        yield from _off(runs, str(off))


def _healthy(runs, config):
    stock = [commands.script('octavia-status'), '--config-file', config,
             'upgrade', 'check']
    own = [commands.script('octavia-v2-checks'), '--config-file', config,
           'upgrade', 'check']
    plain = commands.environment()
    hook = commands.environment(**_HOOK)
    measured = timing.command(own, plain, runs)
    for name, argv, environment, base, goal in (
            ('octavia-status', stock, plain, None, None),
            ('octavia-status with a source that has no driver', stock,
             commands.environment(**_NO_DRIVER), 'octavia-status', None),
            ('octavia-status with our rows', stock, hook, 'octavia-status',
             1.1),
            ('the imports that a check needs', [sys.executable, '-c', FLOOR],
             plain, None, None)):
        yield timing.Figure(PART, name, base=base, goal=goal,
                            **timing.command(argv, environment, runs))
    yield timing.Figure(PART, 'octavia-v2-checks', base='octavia-status',
                        goal=0.3, thrift=0.8, **measured)
    yield timing.Figure(PART, 'octavia-v2-checks', goal=1.15, **measured,
                        base='the imports that a check needs')


def _off(runs, config):
    own = commands.script('octavia-v2-checks')
    plain = commands.environment()
    floor = 'import oslo_config.cfg'
    for name, argv, base in (
            (floor, [sys.executable, '-c', floor], None),
            ('list', [own, 'list'], floor),
            ('upgrade check', [own, '--config-file', config, 'upgrade',
                               'check'], floor)):
        yield timing.Figure(OFF, name, base=base, goal=base and 1.2,
                            **timing.command(argv, plain, runs))

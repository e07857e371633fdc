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

"""Large databases, and how the server finds what the checks ask for."""

from collections.abc import Iterator
import pathlib
import re

from benchmarks import timing
from tests import commands
from tests import filling
from tests import octavia_board
from tests.servers import mariadb
from tests.servers import redis

PART = 'large databases'
FLOWS = 100_000
ATOMS = 10
LOAD_BALANCERS = 100_000

_ASKED = re.compile(r'\t\s*\d+ Query\t(SELECT .*)')


def figures(runs: int, folder: pathlib.Path) -> Iterator[timing.Figure]:
    """Yield the figures; each has the plans of its statements as a note."""
    with (mariadb.MariaDB(innodb_buffer_pool_size='1G',
                          general_log=True) as database,
          redis.Redis('--appendonly', 'yes') as board):
        database.execute('CREATE DATABASE octavia_persistence; '
                         'CREATE DATABASE octavia')
        config = folder / 'scale.conf'
        config.write_text(commands.config_text({
            'database': {'connection': database.url(database='octavia')},
            'task_flow': {
                'jobboard_enabled': True,
                'persistence_connection': database.url(),
                'jobboard_backend_port': board.port}}))
        commands.db_manage(config, 'upgrade_persistence')
        octavia_board.run(config, 'tables')
        for name, check in (
                ('persistence', 'a small database, persistence'),
                ('resources', 'a small database, resources')):
            yield _figure(database, config, name, check, runs, None, None)
        filling.mariadb(database, 'octavia_persistence', FLOWS, ATOMS)
        _load_balancers(database)
        database.execute('ANALYZE TABLE octavia.load_balancer, '
                         'octavia_persistence.flowdetails, '
                         'octavia_persistence.logbooks')
        for check, what, base in (
                ('persistence', f'{FLOWS * ATOMS:,} atom details, persistence',
                 'a small database, persistence'),
                ('migration', f'{FLOWS * ATOMS:,} atom details, migration',
                 None),
                ('resources', f'{LOAD_BALANCERS:,} load balancers, resources',
                 'a small database, resources')):
            yield _figure(database, config, check, what, runs, base, 1.0)


def _load_balancers(database):
    columns = ('name, provider, topology, provisioning_status, '
               'operating_status, enabled')
    database.execute(
        f"INSERT INTO load_balancer (id, created_at, updated_at, {columns}) "
        f"SELECT CONCAT('00000009-0000-4000-8000-', LPAD(seq, 12, '0')), "
        f"utc_timestamp(), utc_timestamp(), 'lb', 'amphora', 'SINGLE', "
        f"'ACTIVE', 'ONLINE', 1 FROM seq_1_to_{LOAD_BALANCERS}", 'octavia')


def _figure(database, config, check, what, runs, base, limit):
    argv = [commands.script('octavia-v2-checks'), '--config-file',
            str(config), 'upgrade', 'check', '--only', check]
    database.general_log.write_text('')
    figure = timing.command(argv, commands.environment(), runs)
    return timing.Figure(PART, what, base=base, limit=limit,
                         note=_plans(database), **figure)


def _plans(database):
    """Return how the server finds the rows of each statement it was asked."""
    asked = dict.fromkeys(_ASKED.findall(database.general_log.read_text(
        errors='replace')))
    plans = []
    for statement in asked:
        if ' FROM ' not in statement or 'information_schema' in (
                statement.lower()):
            continue
        schema = ('octavia' if 'provisioning_status' in statement
                  else 'octavia_persistence')
        for row in database.execute(f'EXPLAIN {statement}', schema):
            _, _, table, access, _, key, _, _, rows, *_ = row
            if table:
                plans.append(f'{table}: {access} by {key or "no index"}, '
                             f'{rows} rows')
    return '; '.join(dict.fromkeys(plans))

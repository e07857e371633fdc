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

"""How long the checks take, beside the stock command on the same servers.

Usage: python -m benchmarks.compare [RUNS]

Starts a MariaDB and a Redis on loopback, migrates with octavia-db-manage,
and times whole commands, taking turns so that the machine's mood falls on
all of them. Prints medians and ratios.
"""

import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

from tests import commands
from tests.servers import mariadb
from tests.servers import redis

#: What the job needs at least: nothing can be faster than importing it.
FLOOR = 'import oslo_config.cfg, sqlalchemy, pymysql, redis'


def measure(argv, environment):
    """Run a command; return its wall time in seconds and peak in MiB."""
    began = time.perf_counter()
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    # 1 is a verdict: there are warnings.
    if process.returncode > 1:
        raise SystemExit(f'{argv} ended with {process.returncode}')
    return time.perf_counter() - began, usage.ru_maxrss / 1024


def cases(config):
    """Return name -> (arguments, environment, name it is compared with)."""
    plain = commands.environment()
    hook = commands.environment(
        OS_DEFAULT__CONFIG_SOURCE='octavia_v2_checks',
        OS_OCTAVIA_V2_CHECKS__DRIVER='octavia_v2_checks')
    stock = [commands.script('octavia-status'), '--config-file', config,
             'upgrade', 'check']
    own = [commands.script('octavia-v2-checks')]
    python = [sys.executable, '-c']
    return {
        'stock check': (stock, plain, None),
        'our check': ([*own, '--config-file', config, 'upgrade', 'check'],
                      plain, 'stock check'),
        'stock check with our rows': (stock, hook, 'stock check'),
        'floor of a check': ([*python, FLOOR], plain, 'our check'),
        'our list': ([*own, 'list'], plain, 'floor of a list'),
        'floor of a list': ([*python, 'import oslo_config.cfg'], plain, None),
        'oslo-config-validator': (
            [commands.script('oslo-config-validator'), '--namespace',
             'octavia', '--input-file', config], plain, None),
        'our validate': ([*own, 'validate', config], plain,
                         'oslo-config-validator'),
    }


def main():
    """Print the table."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with (mariadb.MariaDB() as database,
          redis.Redis('--appendonly', 'yes') as board,
          tempfile.TemporaryDirectory() as folder):
        database.execute('CREATE DATABASE octavia_persistence')
        config = pathlib.Path(folder, 'octavia.conf')
        config.write_text(commands.config_text({'task_flow': {
            'jobboard_enabled': True, 'jobboard_expiration_time': 100,
            'persistence_connection': database.url(),
            'jobboard_backend_port': board.port}}))
        commands.db_manage(config, 'upgrade_persistence')
        todo = cases(str(config))
        results = {name: [] for name in todo}
        for turn in range(runs + 1):
            for name, (argv, environment, _) in todo.items():
                figure = measure(argv, environment)
                # The first turn warms the caches of the file system.
                if turn:
                    results[name].append(figure)
    print(f'{"":27} {"wall s":>8} {"±":>6} {"MiB":>6}  ratio')
    medians = {name: statistics.median(t for t, _ in figures)
               for name, figures in results.items()}
    for name, figures in results.items():
        times = [t for t, _ in figures]
        base = todo[name][2]
        ratio = (f'{medians[name] / medians[base]:.2f} of {base}'
                 if base else '')
        print(f'{name:27} {medians[name]:8.3f} '
              f'{statistics.pstdev(times):6.3f} '
              f'{max(m for _, m in figures):6.0f}  {ratio}')
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f'{runs} runs each; {children.ru_utime:.0f} s of processor time')


if __name__ == '__main__':
    main()

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

"""The verdicts of the stock command and ours, side by side.

Usage: python -m benchmarks.differential [PAGE]

Brings about every cell of benchmarks.differential_cells on servers on
loopback, runs ``octavia-status upgrade check`` as it is and then
``octavia-v2-checks upgrade check``, and writes the page of the documentation
that compares them. Fails where ours does not find what is to be found.
"""

import concurrent.futures
import contextlib
from importlib import metadata
import json
import pathlib
import subprocess
import sys
import tempfile
import textwrap
import time
from typing import NamedTuple

from benchmarks import differential_cells
from tests import commands
from tests.servers import mariadb
from tests.servers import redis

PAGE = pathlib.Path('doc/source/user/differential.rst')

#: Seconds that the stock command gets.
LIMIT = 60

#: Cells at a time, where it mostly waits, and seconds between the start of
#: one and of the next, so that they do not slow each other down.
AT_ONCE = 4
PAUSE = 5

STOCK_ROW = 'AmphoraV2 Check'

LEVELS = ('Success', 'Warning', 'Failure')

HEAD = """\
==========
Comparison
==========

.. Written by "tox -e differential"; changes are lost when it runs again.

``octavia-status upgrade check`` has the row "AmphoraV2 Check". It imports the
drivers and opens a connection. Each line below is a system
that was set up for it on real servers, with the verdict of that row and with
the verdict of octavia-v2-checks, and the seconds that the two commands took.
Both had their default settings. The stock command was stopped after {limit}
seconds; its own limits are eight minutes and more for a database, and none for
etcd.

{summary}

.. list-table::
   :header-rows: 1
   :widths: 30 16 30 24

   * - System
     - octavia-status
     - octavia-v2-checks
     - Why
"""

TAIL = """
Octavia {octavia}, TaskFlow {taskflow}, redis {redis}, kazoo {kazoo}, etcd3gw
{etcd3gw}, PyMySQL {PyMySQL}, on two processors, up to {at_once} systems at a
time.
"""


class Line(NamedTuple):
    """What the two commands said.

    :ivar stock: verdict of the stock row, None for none in time
    :ivar level: our verdict
    :ivar ids: our findings
    """

    cell: differential_cells.Cell
    stock: str | None
    stock_seconds: float
    level: str
    ids: list[str]
    seconds: float


def timed(*argv):
    """Run a command; return its exit code, stdout and seconds."""
    begin = time.monotonic()
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            cwd='/', env=commands.environment(), timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return None, '', time.monotonic() - begin
    return done.returncode, done.stdout, time.monotonic() - begin


def ask_stock(config):
    """Return the verdict of the stock row, and the seconds."""
    code, said, seconds = timed(
        commands.script('octavia-status'), '--config-file', str(config),
        'upgrade', 'check', '--json')
    if code is None:
        return None, seconds
    try:
        rows = json.loads(said)['checks']
    except ValueError:
        return f'Traceback, exit code {code}', seconds
    return next(LEVELS[row['result']] for row in rows
                if row['check'] == STOCK_ROW), seconds


def ask_ours(cell, config):
    """Return our verdict, the findings, and the seconds."""
    code, said, seconds = timed(
        commands.script('octavia-v2-checks'), '--config-file', str(config),
        'upgrade', 'check', '--json')
    ids = [f['id'] for row in json.loads(said)['checks']
           for f in row['findings']]
    if not set(cell.ids) <= set(ids) or bool(code) != bool(cell.ids):
        raise SystemExit(f'{cell.title}: {code} {ids}, not {cell.ids}')
    return LEVELS[code], ids, seconds


def lines(lab):
    """Yield the lines, those that take long side by side."""
    slow = [c for c in differential_cells.CELLS if c.slow]
    with (contextlib.ExitStack() as stack,
          concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool):
        for cell in differential_cells.CELLS:
            if cell not in slow:
                with cell.make(lab) as config:
                    # Ours first, because the other may write.
                    ours = ask_ours(cell, config)
                    yield Line(cell, *ask_stock(config), *ours)
        waiting = []
        for cell in slow:
            config = stack.enter_context(cell.make(lab))
            ours = ask_ours(cell, config)
            waiting.append((cell, pool.submit(ask_stock, config), ours))
            time.sleep(PAUSE)
        for cell, stock, ours in waiting:
            yield Line(cell, *stock.result(), *ours)


def row(line):
    """Return the cells of a line as a row of a list-table."""
    stock = ('**nothing**' if line.stock is None
             else line.stock if line.stock == line.level
             else f'**{line.stock}**')
    shown = ', '.join(f'``{id_}``' for id_ in dict.fromkeys(line.ids))
    why = line.cell.why
    if line.stock is None:
        why = f'After {LIMIT} s the stock command had no result.'
    return '\n'.join([
        f'   * - {line.cell.title}',
        f'     - {stock}, {line.stock_seconds:.1f} s',
        f'     - {line.level}{": " if shown else ""}{shown}, '
        f'{line.seconds:.1f} s',
        f'     - {why}'])


def page(found):
    """Return the page."""
    late = sum(line.stock is None for line in found)
    alike = sum(line.stock == line.level for line in found)
    silent = sum(line.stock == 'Success' != line.level for line in found)
    summary = (
        f'Of {len(found)} systems the stock row judges {alike} as '
        f'octavia-v2-checks does. It passes {silent} in which workers fail '
        f'or jobs get lost, has no result for {late} within {LIMIT} '
        f'seconds, and judges {len(found) - alike - silent - late} '
        f'differently.')
    versions = {name: metadata.version(name) for name in (
        'octavia', 'taskflow', 'redis', 'kazoo', 'etcd3gw', 'PyMySQL')}
    return (HEAD.format(limit=LIMIT, summary=textwrap.fill(summary, 78))
            + '\n'.join(map(row, found)) + '\n'
            + TAIL.format(at_once=AT_ONCE, **versions))


def main():
    """Write the page."""
    target = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    with (mariadb.MariaDB() as database,
          redis.Redis(**differential_cells.SAVE) as board,
          tempfile.TemporaryDirectory() as folder):
        lab = differential_cells.Lab(pathlib.Path(folder), database, board)
        found = []
        for line in lines(lab):
            print(line.cell.title, line.stock, f'{line.stock_seconds:.1f}',
                  line.level, line.ids, f'{line.seconds:.1f}', flush=True)
            found.append(line)
    target.write_text(page(found), encoding='utf-8')


if __name__ == '__main__':
    main()

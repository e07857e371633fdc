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


"""Brings cases about, lets the check judge them, and a worker work.

A case is prepared in the main thread, which starts what servers it needs,
and judged in a lane. Lanes work side by side, each on a database and a
jobboard that no other lane uses at the time.
"""

from collections.abc import Callable
from collections.abc import Iterator
import concurrent.futures
import contextlib
import dataclasses
import json
import pathlib
import subprocess
import sys
from typing import Any

from tests import commands
from tests.truth import changes
from tests.truth import databases
from tests.truth import jobboards
from tests.truth import lab as labs
from tests.truth import stricter
from tests.truth import systems

#: Cases that are judged at the same time: most of it is waiting.
LANES = 2

#: Seconds after which a worker that has not finished a flow fails, at first
#: and before a verdict is called wrong.
SECONDS = 12
PATIENCE = 60

#: Seconds that the stock command gets.
STOCK_SECONDS = 60
STOCK_LANES = 4

#: Variables that change how clients connect, which a case may set itself.
_CHANGING = ('REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE', 'SSL_CERT_FILE',
             'SSL_CERT_DIR', 'ETCD3GW_API_PATH')

_ROOT = pathlib.Path(__file__).parents[2]

#: Seconds after which a check is ended by force; none gets as far.
_HANGS = 60.0

_STOCK_ROW = 'AmphoraV2 Check'


@dataclasses.dataclass
class Outcome:
    """What came of a case.

    :ivar level: the exit code of "upgrade check"
    :ivar failures: ids and messages of its findings that are failures
    :ivar works: whether a worker has finished a flow
    :ivar said: what that worker has said
    :ivar again: whether it took a second look to agree
    :ivar stock: result of the stock row; 3 for a traceback, None for none
        in time or not asked
    """

    name: str
    level: int
    failures: list[tuple[str, str]]
    works: bool
    said: dict[str, Any]
    again: bool = False
    stock: int | None = None
    asked_stock: bool = False

    @property
    def board(self) -> str:
        """The family of the jobboard."""
        return jobboards.board.kinds[self.name.split('/')[1]].family

    @property
    def is_certain(self) -> bool:
        """Whether another look, with more time, can show nothing else."""
        if self.kind.startswith('false'):
            return False
        # What only takes long looks like what hangs.
        hangs = not self.works and not self.said['classes']
        return not hangs or any(id_.endswith('.timeout')
                                for id_, _ in self.failures)

    @property
    def kind(self) -> str:
        """``agreement``, ``false pass``, ``false alarm`` or ``stricter``."""
        passes = self.level < 2
        if passes == self.works:
            return 'agreement'
        if passes:
            return 'false pass'
        return ('stricter' if stricter.reason(self.failures)
                else 'false alarm')

    @property
    def stock_kind(self) -> str | None:
        """The same of the stock row, ``traceback`` or ``nothing``.

        None if it was not asked.
        """
        if not self.asked_stock:
            return None
        if self.stock in (None, 3):
            return 'nothing' if self.stock is None else 'traceback'
        passes = self.stock < 2
        if passes == self.works:
            return 'agreement'
        return 'false pass' if passes else 'false alarm'


class Case:
    """A case, ready to be judged.

    :ivar system: its servers and options
    :ivar path: its configuration file
    """

    def __init__(self, lab: labs.Lab, name: str):
        self.name = name
        database, board, *names = name.split('/')
        self.system = systems.system(
            lab, lab.server(f'database {database}', _made(
                lab, databases.database.kinds[database])),
            lab.server(f'board {board}', _made(
                lab, jobboards.board.kinds[board])))
        for each in names:
            changes.apply(each, self.system)
        folder = lab.directory / lab.name('case')
        folder.mkdir()
        self.path = str(folder / 'octavia.conf')
        with open(self.path, 'w', encoding='utf-8') as stream:
            stream.write(self.system.text())

    @property
    def environ(self) -> dict[str, str]:
        """What its processes have in their environment."""
        clean = {name: value for name, value in commands.environment().items()
                 if not name.lower().endswith('_proxy')
                 and name not in _CHANGING}
        return clean | self.system.environ

    def reset(self) -> None:
        """Take away what cases have left, and agree on what it changes."""
        self.system.database.reset()
        self.system.board.reset()
        for agreement in self.system.agreements:
            # A server need not take every text for a name.
            with contextlib.suppress(Exception):
                agreement()


def _made(lab, kind):
    """Let a kind be made once, and never be closed by itself."""
    return lambda: contextlib.nullcontext(kind.make(lab))


def judge(case: Case) -> Outcome:
    """Judge a case, and again if the verdict seems to be wrong."""
    outcome = _judge(case, SECONDS)
    if outcome.is_certain:
        return outcome
    return dataclasses.replace(_judge(case, PATIENCE), again=True)


def ask_stock(case: Case) -> int | None:
    """The result of the stock row, as :class:`Outcome` has it."""
    case.reset()
    try:
        done = _module('tests.truth.stock', case, STOCK_SECONDS,
                       '--config-file', case.path, 'upgrade', 'check',
                       '--json')
    except subprocess.TimeoutExpired:
        return None
    try:
        rows = json.loads(done.stdout.splitlines()[-1])['checks']
    except (IndexError, ValueError):
        return 3
    return next(row['result'] for row in rows if row['check'] == _STOCK_ROW)


def _judge(case, seconds):
    case.reset()
    level, failures = _ask(case)
    said = _work(case, seconds)
    return Outcome(case.name, level, failures, said['works'], said)


def _ask(case):
    done = commands.ended(
        [commands.script('octavia-v2-checks'), '--config-file', case.path,
         'upgrade', 'check', '--json'], case.environ, _HANGS)
    if done.returncode not in (0, 1, 2):
        raise RuntimeError(f'{case.name}: {done}')
    return done.returncode, [
        (f['id'], f['message']) for row in json.loads(done.stdout)['checks']
        for f in row['findings'] if f['severity'] == 'failure']


def _work(case, seconds):
    done = _module('tests.truth.worker', case, 2 * seconds, case.path,
                   str(seconds))
    try:
        return json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise RuntimeError(f'{case.name}: {done}') from None


def _module(name, case, limit, *args):
    return commands.ended([sys.executable, '-m', name, *args], case.environ,
                          limit, _ROOT)


def run(lab: labs.Lab, names: list[str], lanes: int = LANES,
        task: Callable[[Case], Any] = judge
        ) -> Iterator[tuple[str, Any]]:
    """Yield names of cases, and what a task makes of them, as they end.

    What a task raises is yielded, too.

    :param lanes: how many at a time
    :param task: what is done with a case
    """
    with concurrent.futures.ThreadPoolExecutor(lanes) as pool:
        waiting = list(names)
        busy: dict[concurrent.futures.Future, Case] = {}
        while waiting or busy:
            used = {part for case in busy.values()
                    for part in case.name.split('/')[:2]}
            name = next((n for n in waiting if not used & set(
                n.split('/')[:2])), None)
            if name is not None and len(busy) < lanes:
                waiting.remove(name)
                case = Case(lab, name)
                busy[pool.submit(task, case)] = case
                continue
            done, _ = concurrent.futures.wait(
                busy, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in done:
                yield busy.pop(future).name, (
                    future.exception() or future.result())

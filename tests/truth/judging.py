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
import queue
from typing import Any

from tests import commands
from tests.truth import changes
from tests.truth import databases
from tests.truth import jobboards
from tests.truth import lab as labs
from tests.truth import stricter
from tests.truth import worker
from tests.truth import zygote

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

#: A module that workers are not to import.
_STOCK = 'tests.truth.stock'
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
        self.system = changes.system(
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


class Lane:
    """A process that forks judges and workers, one after the other."""

    def __enter__(self) -> 'Lane':
        self._zygote = zygote.Zygote(*worker.MODULES).__enter__()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._zygote.__exit__(*exc_info)

    def judge(self, case: Case) -> Outcome:
        """Judge a case, and again if the verdict seems to be wrong."""
        outcome = self._judge(case, SECONDS)
        if outcome.is_certain:
            return outcome
        return dataclasses.replace(self._judge(case, PATIENCE), again=True)

    def _judge(self, case, seconds):
        case.reset()
        level, failures = self._ask(case)
        said = self._work(case, seconds)
        return Outcome(case.name, level, failures, said['works'], said)

    def _ask(self, case):
        done = self._zygote.run(
            'own', '--config-file', case.path, 'upgrade', 'check', '--json',
            environ=case.environ)
        if done.code not in (0, 1, 2):
            raise RuntimeError(f'{case.name}: {done.code} {done.text}')
        return done.code, [(f['id'], f['message']) for f in done.findings
                           if f['severity'] == 'failure']

    def _work(self, case, seconds):
        done = self._zygote.run(
            worker.__name__, case.path, str(seconds), environ=case.environ,
            limit=2 * seconds)
        try:
            return json.loads(done.stdout.splitlines()[-1])
        except (IndexError, ValueError):
            raise RuntimeError(
                f'{case.name}: {done.code} {done.text}') from None

    def ask_stock(self, case: Case) -> int | None:
        """The result of the stock row, as :class:`Outcome` has it."""
        case.reset()
        done = self._zygote.run(
            _STOCK, '--config-file', case.path, 'upgrade', 'check',
            '--json', environ=case.environ, limit=STOCK_SECONDS)
        if done.code == -9:
            return None
        try:
            rows = json.loads(done.stdout.splitlines()[-1])['checks']
        except (IndexError, ValueError):
            return 3
        return next(row['result'] for row in rows
                    if row['check'] == _STOCK_ROW)


def run(lab: labs.Lab, names: list[str], lanes: int = LANES,
        task: Callable[[Lane, Case], Any] = Lane.judge
        ) -> Iterator[tuple[str, Any]]:
    """Yield names of cases, and what a task makes of them, as they end.

    What a task raises is yielded, too.

    :param task: what a lane does with a case
    """
    free: queue.SimpleQueue[Lane] = queue.SimpleQueue()
    with (contextlib.ExitStack() as stack,
          concurrent.futures.ThreadPoolExecutor(lanes) as pool):
        for _ in range(lanes):
            free.put(stack.enter_context(Lane()))

        def go(case):
            lane = free.get()
            try:
                return task(lane, case)
            finally:
                free.put(lane)

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
                busy[pool.submit(go, case)] = case
                continue
            done, _ = concurrent.futures.wait(
                busy, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in done:
                yield busy.pop(future).name, (
                    future.exception() or future.result())

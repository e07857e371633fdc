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


"""What came of a run, in numbers, and the record of the runs.

The record is a JSON document: the Octavia and its libraries -> the numbers.
"""

import collections
import dataclasses
from importlib import metadata
import json
import pathlib
import platform
from typing import Any

from tests.truth import judging
from tests.truth import stricter

_LIBRARIES = ('octavia', 'taskflow', 'oslo.config', 'SQLAlchemy', 'PyMySQL',
              'psycopg2-binary', 'redis', 'kazoo', 'etcd3gw')

KINDS = ('agreement', 'stricter', 'false pass', 'false alarm')
STOCK_KINDS = ('agreement', 'false pass', 'false alarm', 'traceback',
               'nothing')


class Log:
    """The outcomes of a run, kept in a file as they come.

    :param names: of its cases
    :param resume: whether to begin with what the file has

    :ivar outcomes: the last one of each case
    :ivar once_wrong: cases whose verdict was wrong at any time
    """

    def __init__(self, seed: int, names: list[str], resume: bool):
        self.seed = seed
        self.outcomes: dict[str, judging.Outcome] = {}
        self.once_wrong: set[str] = set()
        self._names = names
        folder = pathlib.Path(__file__).parents[2] / '.tox' / 'truth-runs'
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / (f'{metadata.version("octavia")}-'
                               f'{metadata.version("taskflow")}-{seed}.jsonl')
        if not resume:
            self._path.write_text('')
        elif self._path.exists():
            for line in self._path.read_text().splitlines():
                self._keep(judging.Outcome(**json.loads(line)))

    def _keep(self, outcome):
        outcome.failures = [(id_, said) for id_, said in outcome.failures]
        if outcome.name in self._names:
            self.outcomes[outcome.name] = outcome
            if outcome.kind.startswith('false'):
                self.once_wrong.add(outcome.name)

    def add(self, outcome: judging.Outcome) -> None:
        """Keep an outcome."""
        self._keep(outcome)
        with self._path.open('a') as stream:
            stream.write(json.dumps(dataclasses.asdict(outcome)) + '\n')

    def missing(self) -> list[str]:
        """Cases that were not judged yet, or wrong."""
        return [name for name in self._names if name not in self.outcomes
                or self.outcomes[name].kind.startswith('false')]

    def missing_stock(self, number: int) -> list[str]:
        """Those of the first cases that the stock check has not judged."""
        return [name for name in self._names[:number]
                if name in self.outcomes
                and self.outcomes[name].stock_kind in (None, 'traceback')]


def summary(log: Log) -> dict[str, Any]:
    """The numbers of a run."""
    outcomes = list(log.outcomes.values())
    boards: dict[str, collections.Counter] = {}
    for outcome in outcomes:
        count = boards.setdefault(outcome.board, collections.Counter())
        count['cases'] += 1
        count['works'] += outcome.works
        count[outcome.kind] += 1
        if outcome.asked_stock:
            count['stock cases'] += 1
            count[f'stock {outcome.stock_kind}'] += 1
    wrong = sorted([o.name, o.kind] for o in outcomes
                   if o.kind.startswith('false'))
    return {
        'python': platform.python_version(), 'seed': log.seed,
        'libraries': {name: metadata.version(name) for name in _LIBRARIES},
        'boards': {name: dict(count)
                   for name, count in sorted(boards.items())},
        'wrong': wrong,
        'corrected': sorted(log.once_wrong - {name for name, _ in wrong}),
        'reasons': dict(collections.Counter(
            stricter.reason(o.failures) for o in outcomes
            if o.kind == 'stricter'))}


def total(found: dict[str, Any], what: str) -> int:
    """A number of all jobboards together."""
    return sum(count.get(what, 0) for count in found['boards'].values())


def lines(found: dict[str, Any]):
    """Yield a run as text."""
    for name, count in found['boards'].items():
        yield f'{name}: ' + ', '.join(
            f'{number} {what}' for what, number in count.items())
    yield f'seed {found["seed"]}: ' + ', '.join(
        f'{total(found, what)} {what}' for what in ('cases', *KINDS))
    for what, kind in found['wrong']:
        yield f'{kind}: {what}'


def read(path: pathlib.Path) -> dict[str, Any]:
    """The record; empty if there is none."""
    return json.loads(path.read_text()) if path.exists() else {}


def write(path: pathlib.Path, found: dict[str, Any]) -> None:
    """Put a run into the record, in the place of the one before."""
    libraries = found['libraries']
    name = f'{libraries["octavia"]}, TaskFlow {libraries["taskflow"]}'
    record = read(path) | {name: found}
    path.write_text(json.dumps(
        record, indent=1, sort_keys=True) + '\n')

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


"""Makes a page of the documentation of the record of the runs.

Usage: python -m tests.truth.page
"""

from collections.abc import Iterable
import pathlib
from typing import Any

from tests.truth import record

FOLDER = pathlib.Path(__file__).parents[2] / 'doc/source/user'
RECORD = FOLDER / 'truth.json'
PAGE = FOLDER / 'truth.rst'

HEAD = """\
=====================
How often it is right
=====================

.. Written by "tox -e truth" from truth.json; changes are lost when it runs.

A verdict is a prediction: with Success or Warning a worker can do its work,
with Failure it cannot. The tests compare it with what workers do. They draw
systems (a database and a jobboard, with or without a login, TLS and client
certificates, alone or in an ensemble, sound or spoilt) and configurations: one
that fits the system, in which up to two options of ``[task_flow]`` have
another value, are written in another way, or hold an odd text. They start the
servers, run ``octavia-v2-checks upgrade check``, and then let the poster and
the conductor of the installed Octavia run a flow with that configuration. A
worker that is not done in a minute has failed.

Verdicts
========

False pass
   Success or Warning, and the worker fails.
False alarm
   Failure, and the worker works.
Stricter
   Failure and the worker works, for a reason: see below.

.. list-table::
   :header-rows: 1

   * - Octavia
     - Jobboard
     - Cases
     - Worker works
     - Verdict agrees
     - Stricter
     - False passes
     - False alarms
"""

STRICTER = """
Stricter on purpose
===================

Each of these is a failure although a worker can do its work at the time:

.. list-table::
   :header-rows: 1

   * - Why
     - Cases
"""

STOCK = """
The stock check
===============

The row "AmphoraV2 Check" of ``octavia-status upgrade check`` of the same
releases, asked about the first of the same systems. The rows beside it were
left out, for up to Octavia 16 one of them ends the command with a traceback
here. It was stopped after {seconds} seconds.

.. list-table::
   :header-rows: 1

   * - Octavia
     - Cases
     - Verdict agrees
     - False passes
     - False alarms
     - Traceback
     - Nothing in time
"""

TAIL = """
How it is made
==============

{releases}

``tests/truth/`` has the tables of systems and changes, and what each case that
was judged wrong once has become: a line of ``tests/truth/fixed.py``, which
every run of the tests judges. A run with the same seed and libraries draws the
same cases:

.. code-block:: console

   $ tox -e truth -- --cases 500 --seed 1
   $ tox -e truth -- --case mariadb/redis-acl/backend_port=closed

What no case shows: that another controller finishes what a dead one has begun.
Only :doc:`drill` proves that. Systems of other kinds than those in the tables
were not looked at, and no server was asked while it was under load.
"""


def row(*cells: Any) -> str:
    """A row of a list-table."""
    return '   * - ' + '\n     - '.join(map(str, cells))


def _verdicts(runs: dict[str, Any]) -> Iterable[str]:
    for name, found in runs.items():
        for board, count in found['boards'].items():
            yield row(name, board, *(count.get(what, 0) for what in (
                'cases', 'works', *record.KINDS)))
        yield row(f'**{name}**', '**all**', *(
            record.total(found, what)
            for what in ('cases', 'works', *record.KINDS)))


def _wrong(runs: dict[str, Any]) -> Iterable[str]:
    for name, found in runs.items():
        for case, kind in found['wrong']:
            yield f'* Octavia {name}: {kind}, ``{case}``'


def _corrected(runs: dict[str, Any]) -> Iterable[str]:
    for name, found in runs.items():
        for case in found['corrected']:
            yield f'* Octavia {name}: ``{case}``'


def _reasons(runs: dict[str, Any]) -> Iterable[str]:
    reasons = {reason for found in runs.values()
               for reason in found['reasons']}
    for reason in sorted(reasons):
        yield row(reason, sum(found['reasons'].get(reason, 0)
                              for found in runs.values()))


def _stock(runs: dict[str, Any]) -> Iterable[str]:
    for name, found in runs.items():
        yield row(name, *(record.total(found, f'stock {what}') for what in (
            'cases', *record.STOCK_KINDS)))


def _releases(runs: dict[str, Any]) -> Iterable[str]:
    for name, found in runs.items():
        libraries = ', '.join(
            f'{library} {version}' for library, version in
            found['libraries'].items() if library != 'octavia')
        yield (f'Octavia {name}\n   Python {found["python"]}, {libraries}; '
               f'seed {found["seed"]}.')


def _key(name: str) -> tuple[list[int], str]:
    release = name.partition(',')[0]
    return [int(part) for part in release.split('.')], name


def render(runs: dict[str, Any]) -> str:
    """The page."""
    runs = {name: runs[name] for name in sorted(runs, key=_key)}
    wrong, corrected = list(_wrong(runs)), list(_corrected(runs))
    return '\n'.join([
        HEAD + '\n'.join(_verdicts(runs)), '',
        *(['Wrong verdicts:', '', *wrong] if wrong else [
            'No verdict was wrong.']),
        *(['', 'Wrong when the run began, fixed, and judged again:', '',
           *corrected] if corrected else []),
        STRICTER + '\n'.join(_reasons(runs)),
        STOCK.format(seconds=60) + '\n'.join(_stock(runs)),
        TAIL.format(releases='\n'.join(_releases(runs)))])


def main() -> None:
    """Write the page."""
    PAGE.write_text(render(record.read(RECORD)))


if __name__ == '__main__':
    main()

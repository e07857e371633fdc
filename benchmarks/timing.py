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

"""Whole commands, timed by pyperf, each in processes of its own."""

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import pathlib
import subprocess
import sys
import tempfile

import pyperf

#: A verdict of 1 or 2 is a result; anything above is a command that broke.
_VERDICT = ('sh', '-c', '"$@" >/dev/null 2>&1; test $? -le 2', 'sh')


@dataclasses.dataclass(frozen=True)
class Figure:
    """One line of the table.

    :ivar part: what it belongs to, a heading
    :ivar seconds: the median of all runs
    :ivar spread: their standard deviation, in seconds; None for one run
    :ivar peak: memory of all its processes together, in MiB; what they
        share counts once; None where it was not measured
    :ivar base: name of the figure of the same part it is compared with
    :ivar goal: at most this ratio to it
    :ivar thrift: at most this ratio to its memory
    :ivar limit: at most this number of seconds
    :ivar note: what else there is to say
    """

    part: str
    name: str
    seconds: float
    spread: float | None = None
    peak: float | None = None
    runs: int = 1
    base: str | None = None
    goal: float | None = None
    thrift: float | None = None
    limit: float | None = None
    note: str = ''


def command(argv: Sequence[str], environment: Mapping[str, str],
            runs: int) -> dict:
    """Time a command, after one run that warms the file system's caches.

    What is timed once, because it takes minutes, is run once.

    :returns: ``seconds``, ``spread``, ``peak`` and ``runs`` of a
        :class:`Figure`
    :raises subprocess.CalledProcessError: if it ends with more than 2
    """
    program = [*_VERDICT, *argv]
    if runs > 1:
        subprocess.run(program, env=environment, cwd='/', check=True)
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, 'pyperf.json')
        subprocess.run(
            [sys.executable, '-m', 'pyperf', 'command', '--quiet',
             '--copy-env', '--processes', str(runs), '--values', '1',
             '--warmups', '0', '--loops', '1', '--output', str(file), '--',
             *program], env=environment, cwd='/', check=True,
            stdout=subprocess.DEVNULL)
        found = pyperf.Benchmark.load(str(file))
    return {'seconds': found.median(), 'runs': runs, 'spread':
            found.stdev() if runs > 1 else None,
            'peak': _memory(program, environment) if runs > 1 else None}


def _memory(argv, environment):
    """Run a command once more, and look at its memory all the time.

    That takes a processor, so it is not the run that is timed.
    """
    most = 0
    process = subprocess.Popen(argv, env=environment, cwd='/')
    while process.poll() is None:
        most = max(most, sum(map(_share, _family(process.pid))))
    return most / 1024


def _family(pid):
    """Return a process and all that descend from it."""
    found = [pid]
    for one in found:
        try:
            for task in pathlib.Path(f'/proc/{one}/task').iterdir():
                found += map(int, (task / 'children').read_text().split())
        except OSError:
            pass  # it has ended
    return found


def _share(pid):
    """Return what is a process's own, and its share of the rest, in KiB."""
    try:
        lines = pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines.splitlines()
                 if line.startswith('Pss:')), 0)

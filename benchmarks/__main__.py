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

"""How long it all takes: a table, a JSON document, a plot.

Usage: python -m benchmarks [--runs N] [--only PART,..] [--write FOLDER]

Starts servers on loopback and times whole commands with pyperf. Prints each
figure as it is there, and at the end which goals were missed. With --write,
``benchmarks.json``, ``.csv`` and ``.svg`` go into a folder. What is there of
parts that were not run now is kept.
"""

import argparse
import csv
import dataclasses
import json
import os
import pathlib
import platform
import tempfile

from benchmarks import faults
from benchmarks import healthy
from benchmarks import hosts
from benchmarks import inflight
from benchmarks import scale
from benchmarks import timing
from benchmarks import validate

PARTS = {'healthy': healthy, 'validate': validate, 'hosts': hosts,
         'faults': faults, 'scale': scale, 'inflight': inflight}


def main() -> None:
    """Run the parts, and show and write what came out."""
    parser = argparse.ArgumentParser(prog='python -m benchmarks')
    parser.add_argument('--runs', type=int, default=10)
    parser.add_argument('--only', type=lambda text: text.split(','),
                        default=list(PARTS), metavar='PART,..',
                        help=', '.join(PARTS))
    parser.add_argument('--write', type=pathlib.Path, metavar='FOLDER')
    args = parser.parse_args()
    # Compiling each module anew would be timed with the rest.
    os.environ.pop('PYTHONDONTWRITEBYTECODE', None)
    found: list[timing.Figure] = []
    print(f'{"":52} {"median s":>9} {"±":>7} {"MiB":>5} {"runs":>4}  ratio')
    for name in args.only:
        with tempfile.TemporaryDirectory() as folder:
            for figure in PARTS[name].figures(args.runs,
                                              pathlib.Path(folder)):
                if not found or found[-1].part != figure.part:
                    print(figure.part)
                found.append(figure)
                print(_line(figure, found), flush=True)
    missed = [f for f in found if _missed(f, found)]
    goals = sum(bool(f.goal or f.thrift or f.limit) for f in found)
    print(f'{len(missed)} of {goals} goals missed'
          + ''.join(f'\n  {f.part}: {f.name}' for f in missed))
    if args.write:
        _write(args.write, found)


def _ratio(figure, found, field='seconds'):
    """Return the ratio to the figure it is compared with, or None."""
    base = next((f for f in found if f.part == figure.part
                 and f.name == figure.base), None)
    if not base or not getattr(base, field) or not getattr(figure, field):
        return None
    return getattr(figure, field) / getattr(base, field)


def _missed(figure, found):
    return any(is_ and most and is_ > most for is_, most in (
        (_ratio(figure, found), figure.goal),
        (_ratio(figure, found, 'peak'), figure.thrift),
        (figure.seconds, figure.limit)))


def _line(figure, found):
    ratio = _ratio(figure, found)
    spread = f'{figure.spread:7.3f}' if figure.spread is not None else ' ' * 7
    peak = f'{figure.peak:5.0f}' if figure.peak is not None else ' ' * 5
    words = [f'{ratio:.2f} of {figure.base}' if ratio else '',
             f'goal {figure.goal:g}' if figure.goal else '',
             f'memory {_ratio(figure, found, "peak"):.2f}, goal '
             f'{figure.thrift:g}' if figure.thrift else '',
             f'limit {figure.limit:.3g} s' if figure.limit else '',
             'MISSED' if _missed(figure, found) else '', figure.note]
    return (f'  {figure.name:50} {figure.seconds:9.3f} {spread} {peak} '
            f'{figure.runs:4}  {", ".join(w for w in words if w)}')


def _write(folder, new):
    folder.mkdir(parents=True, exist_ok=True)
    found = _merged(folder / 'benchmarks.json', new)
    document = {
        'python': platform.python_version(), 'machine': platform.platform(),
        'processors': os.cpu_count(),
        'figures': [dataclasses.asdict(f) | {'ratio': _ratio(f, found)}
                    for f in found]}
    for name, put in (('benchmarks.json', lambda path: path.write_text(
            json.dumps(document, indent=2) + '\n')),
                      ('benchmarks.csv', lambda path: _table(path, found)),
                      ('benchmarks.svg', lambda path: _plot(path, found))):
        temporary = folder / f'.{name}'
        put(temporary)
        os.replace(temporary, folder / name)


def _merged(path, new):
    """Return figures, each part in its old place."""
    old = []
    if path.exists():
        for fields in json.loads(path.read_text())['figures']:
            del fields['ratio']
            old.append(timing.Figure(**fields))
    order = list(dict.fromkeys(f.part for f in [*old, *new]))
    measured = {f.part for f in new}
    return sorted([*(f for f in old if f.part not in measured), *new],
                  key=lambda f: order.index(f.part))


def _table(path, found):
    """Write the figures as a page of the documentation shows them."""
    with path.open('w', newline='') as stream:
        rows = csv.writer(stream, lineterminator='\n')
        part = None
        for f in found:
            ratio = _ratio(f, found)
            goal = (f'at most {f.goal:g}' if f.goal else
                    f'at most {f.limit:.3g} s' if f.limit else '')
            if f.thrift:
                goal += (f'; memory {_ratio(f, found, "peak"):.2f}, at most '
                         f'{f.thrift:g}')
            rows.writerow([
                f.part if f.part != part else '', f.name, f'{f.seconds:.3f}',
                '' if f.spread is None else f'{f.spread:.3f}',
                '' if f.peak is None else f'{f.peak:.0f}', f.runs,
                f'{ratio:.2f} of {f.base}' if ratio else '',
                f'{goal}: missed' if _missed(f, found) else goal])
            part = f.part


def _plot(path, found):
    """Draw a bar for each figure, on a logarithmic axis of seconds."""
    import matplotlib as mpl
    mpl.use('svg')
    # Text stays text, and the file the same for the same figures.
    mpl.rcParams.update({'svg.fonttype': 'none', 'svg.hashsalt': 'octavia'})
    from matplotlib import pyplot
    labels = [f'{f.name}' for f in found]
    # Blue and orange: told apart by those who do not see red and green.
    colours = ['#e69f00' if f.name.startswith(('octavia-status', 'oslo-'))
               or f.name.endswith(('octavia-status', 'iterjobs()'))
               else '#0072b2' for f in found]
    figure, axes = pyplot.subplots(figsize=(9, 0.22 * len(found) + 1))
    places = range(len(found))
    axes.barh(places, [f.seconds for f in found], color=colours,
              xerr=[f.spread or 0 for f in found])
    axes.set_yticks(places, labels, fontsize=7)
    axes.invert_yaxis()
    axes.set_xscale('log')
    axes.set_xlabel('seconds, median and standard deviation; '
                    'orange: what there was before')
    figure.tight_layout()
    figure.savefig(path, format='svg', metadata={'Date': None})
    pyplot.close(figure)


if __name__ == '__main__':
    main()

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

"""``list`` and ``explain``: the catalogue of findings."""

import json

from octavia_v2_checks import arguments
from octavia_v2_checks import catalogue

#: Columns that a title needs behind the id of its finding.
_READABLE = 30


def add(commands):
    """Add the commands to the parser."""
    _add_list(commands)
    _add_explain(commands)


def _add_list(commands):
    listing = commands.add_parser(
        'list', help='print every check and every finding id')
    arguments.format_argument(listing, 'table', 'json')
    listing.set_defaults(run=_list)


def _add_explain(commands):
    explain = commands.add_parser(
        'explain', help='explain what a finding means and how to fix it')
    explain.add_argument('id', metavar='ID',
                         help='a finding such as migration.behind, or one '
                              f'of: {", ".join(catalogue.AREAS)}; '
                              '"octavia-v2-checks list" prints all findings')
    explain.set_defaults(run=_explain)


def _list(args) -> int:
    from octavia_v2_checks import output
    if args.format == 'json':
        shown = json.dumps([
            {'id': id_, 'title': title, 'findings': [
                {'id': e.id, 'severity': e.severity.lower(),
                 'title': e.title} for e in catalogue.area(id_).values()]}
            for id_, title in catalogue.AREAS.items()], indent=2)
    else:
        shown = '\n'.join(_table())
    output.show(shown, args.format)
    return 0


def _table():
    """Yield a line for each finding, more where the terminal is narrow."""
    from octavia_v2_checks.reports import layout
    widest = max(len(e.id) for e in catalogue.entries())
    for id_, title in catalogue.AREAS.items():
        yield f'{id_}: {title}'
        for entry in catalogue.area(id_).values():
            first = f'{_heading(entry):<{widest + 4}}  {_severity(entry):<7}  '
            if layout.width() - len(first) < _READABLE:
                yield first.rstrip()
                first = ' ' * 4
            yield from layout.fill(entry.title, first)
        yield ''
    yield (f'{len(catalogue.entries())} findings of {len(catalogue.CHECKS)} '
           f'checks and the drill.')
    yield 'Read on: octavia-v2-checks explain ID'


def _heading(entry):
    from octavia_v2_checks import findings
    from octavia_v2_checks.reports import layout
    sign = layout.signs().of(findings.Severity[entry.severity])
    return f'  {sign} {entry.id}'


def _severity(entry):
    return entry.severity.lower()


def _explain(args) -> int:
    from octavia_v2_checks import output
    if args.id in catalogue.AREAS:
        shown = _area(args.id)
    else:
        known = {e.id: e for e in catalogue.entries()}
        if args.id not in known:
            raise arguments.unknown(
                'id', args.id, known,
                '"octavia-v2-checks list" prints all of them')
        shown = _entry(known[args.id])
    output.show('\n'.join(shown))
    return 0


def _area(id_):
    """Yield the findings of a check, each with what it means."""
    from octavia_v2_checks.reports import layout
    yield f'{id_}: {catalogue.AREAS[id_]}'
    for entry in catalogue.area(id_).values():
        yield ''
        yield f'{_heading(entry)}  {_severity(entry)}'
        yield from layout.fill(entry.title, ' ' * 4)


def _entry(entry):
    """Yield what a finding means, why it matters and how to fix it."""
    from octavia_v2_checks.reports import layout
    yield f'{_heading(entry).lstrip()}  {_severity(entry)}'
    yield from layout.fill(entry.title, ' ' * 2)
    yield from ('', 'Why it matters')
    yield from layout.fill(entry.why, ' ' * 2)
    yield from ('', 'How to fix it')
    yield from layout.remedy(entry.remedy, ' ' * 2)
    yield from ('', f'On the web: {layout.page(entry.id)}')

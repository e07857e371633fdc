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

"""``list`` and ``explain``: what there is to find."""

import json
import textwrap

from octavia_v2_checks import arguments
from octavia_v2_checks import catalogue


def add(commands):
    """Add the commands to the parser."""
    _add_list(commands)
    _add_explain(commands)


def _add_list(commands):
    listing = commands.add_parser(
        'list', help='print every check and every finding id')
    listing.add_argument('--format', choices=('table', 'json'),
                         default='table')
    listing.set_defaults(run=_list)


def _add_explain(commands):
    explain = commands.add_parser(
        'explain', help='say what a finding means and how to fix it')
    explain.add_argument('id', metavar='ID',
                         help='a finding id such as migration.behind, or a '
                              'check id')
    explain.set_defaults(run=_explain)


def _list(args) -> int:
    from octavia_v2_checks import output
    lines = []
    if args.format == 'json':
        lines.append(json.dumps([
            {'id': id_, 'title': title, 'findings': [
                {'id': e.id, 'severity': e.severity.lower(),
                 'title': e.title} for e in catalogue.area(id_).values()]}
            for id_, title in catalogue.AREAS.items()], indent=2))
    else:
        width = max(len(e.id) for e in catalogue.entries())
        for id_, title in catalogue.AREAS.items():
            lines.append(f'{id_}: {title}')
            lines += [f'  {e.id:<{width}}  {e.severity.lower():<7}  {e.title}'
                      for e in catalogue.area(id_).values()]
    output.show('\n'.join(lines))
    return 0


def _explain(args) -> int:
    from octavia_v2_checks import output
    if args.id in catalogue.AREAS:
        output.show('\n'.join([
            f'{args.id}: {catalogue.AREAS[args.id]}', '',
            *(f'  {id_}' for id_ in catalogue.area(args.id))]))
        return 0
    known = {e.id: e for e in catalogue.entries()}
    if args.id not in known:
        raise arguments.unknown('id', args.id, known,
                       '"octavia-v2-checks list" prints all of them')
    entry = known[args.id]
    output.show('\n\n'.join([
        f'{entry.id} ({entry.severity.lower()})',
        *(textwrap.fill(title + text, 78, break_on_hyphens=False)
          for title, text in (('', entry.title),
                              ('Why it matters: ', entry.why),
                              ('How to fix it: ', entry.remedy)))]))
    return 0

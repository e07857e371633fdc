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

"""The catalogue of findings as a page, and a role that refers to it.

The directive ``finding-list`` takes no argument and prints every check: a
table of its findings, and then each finding with a label ``finding-ID``, its
severity, an example, why it matters and the remedy. The role ``finding``
takes an id and links to it; an id that does not exist is a warning, and so an
error. The examples were recorded by tools/finding-examples.
"""

import json
import pathlib
import textwrap

from docutils import nodes
from docutils import statemachine
from sphinx import roles
from sphinx.util import docutils
from sphinx.util import nodes as sphinx_nodes

from octavia_v2_checks import catalogue

EXAMPLES = pathlib.Path(__file__).with_name('examples.json')


def _lines() -> list[str]:
    examples = json.loads(EXAMPLES.read_text('utf-8'))
    lines = []
    for check, title in catalogue.AREAS.items():
        heading = title.removeprefix('AmphoraV2 ').capitalize()
        lines += [f'.. _findings-{check}:', '', heading, '-' * len(heading),
                  '']
        if check in catalogue.CHECKS:
            lines += [f'Row "{title}", check ``{check}``.', '']
        entries = catalogue.area(check).values()
        lines += _summary(entries)
        for entry in entries:
            lines += _entry(entry, examples.get(entry.id))
    return lines


def _summary(entries) -> list[str]:
    """Return a table: a line for each finding."""
    lines = ['.. list-table::', '   :header-rows: 1', '   :widths: 30 10 60',
             '   :class: findings', '', '   * - Finding', '     - Severity',
             '     - Meaning']
    for entry in entries:
        lines += [f'   * - :ref:`finding-{entry.id}`',
                  f'     - {entry.severity.capitalize()}',
                  f'     - {_literal(entry.title)}']
    return [*lines, '']


def _entry(entry, example: str | None) -> list[str]:
    """Return the section of a finding."""
    heading = f'``{entry.id}``'
    lines = [f'.. _finding-{entry.id}:', '', heading, '~' * len(heading), '',
             _literal(entry.title), '',
             f':Severity: {entry.severity.capitalize()}',
             f':Why it matters: {_literal(entry.why)}']
    if example:
        lines += [':Example:', '   .. code-block:: none', '',
                  *(f'      {line}' for line in textwrap.wrap(
                      example, 74, break_long_words=False,
                      break_on_hyphens=False)), '']
    return [*lines, f':Remedy: {_literal(entry.remedy)}', '']


def _literal(text: str) -> str:
    """The catalogue is plain text: nothing in it is markup."""
    for mark in '\\*`_|':
        text = text.replace(mark, f'\\{mark}')
    return text


class FindingList(docutils.SphinxDirective):
    """Every finding id, from the catalogue."""

    def run(self) -> list[nodes.Node]:
        content = statemachine.StringList(_lines(), source='catalogue')
        node = nodes.section(document=self.state.document)
        sphinx_nodes.nested_parse_with_titles(self.state, content, node)
        return node.children


class FindingReference(roles.XRefRole):
    """An id of the catalogue, shown as it is."""

    def process_link(self, env, refnode, has_explicit_title, title, target):
        """Refer to the label that the directive makes."""
        refnode['refdomain'] = 'std'
        refnode['reftype'] = 'ref'
        refnode['refexplicit'] = True
        return title, f'finding-{target}'


def setup(app):
    """Register the directive and the role."""
    app.add_directive('finding-list', FindingList)
    app.add_role('finding', FindingReference(warn_dangling=True))
    return {'parallel_read_safe': True}

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

"""The table of oslo.upgradecheck, and below it what to do, ready to copy."""

import textwrap

from octavia_v2_checks import engine
from octavia_v2_checks.findings import Severity
from octavia_v2_checks.reports.text import printable

WIDTH = 74


def render(report: engine.Report) -> str:
    """Return the report for a terminal.

    Remedies are below the table and unwrapped: SQL that is broken into lines
    between bars cannot be copied.
    """
    rule = f'+{"-" * (WIDTH + 2)}+'
    lines = [rule, _cell('Upgrade Check Results'), rule]
    for row in report.rows:
        lines += [_cell(f'Check: {row.title}'),
                  _cell(f'Result: {row.severity.name.capitalize()}')]
        texts = [f'{f.id}{_waived(f)}: {f.message}' for f in row.findings]
        if row.blocked_by or not texts:
            texts.append(row.note or 'None')
        for text in texts:
            lines += [_cell(part) for part in textwrap.wrap(
                f'Details: {text}', WIDTH, subsequent_indent='  ',
                break_on_hyphens=False)]
        lines.append(rule)
    if report.skipped:
        lines.append(f'Skipped: {", ".join(report.skipped)}')
    return printable('\n'.join(lines + _remedies(report)))


def _cell(text):
    return f'| {text:<{WIDTH}} |'


def _waived(finding):
    return f' ({finding.waived.as_text()})' if finding.waived else ''


def _remedies(report):
    wrong = report.to_do
    if not wrong:
        return []
    title = ('To do first:' if report.severity is Severity.FAILURE
             else 'Warnings:')
    lines = ['', title]
    for number, finding in enumerate(wrong, 1):
        lines += [f'{number}. {finding.id}', f'   {finding.remedy}']
    return lines

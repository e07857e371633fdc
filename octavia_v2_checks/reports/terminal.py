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

"""The report for people: what was checked, is it safe, what to do."""

from collections.abc import Iterable
from collections.abc import Iterator

from octavia_v2_checks import engine
from octavia_v2_checks.findings import Finding
from octavia_v2_checks.findings import Severity
from octavia_v2_checks.reports import layout
from octavia_v2_checks.reports import text
from octavia_v2_checks.reports import verdict


def render(report: engine.Report) -> str:
    """Return the whole report."""
    signs = layout.signs()
    lines = [*_header(report), '']
    for row in report.rows:
        lines += [layout.one_line(row.title), *_row(row), '']
    if report.skipped:
        skipped = ', '.join(map(layout.one_line, report.skipped))
        lines += [*layout.fill(f'Skipped: {skipped}', f'{signs.none} '), '']
    for title, severity in (('Failures', Severity.FAILURE),
                            ('Warnings', Severity.WARNING)):
        wrong = [f for f in report.to_do if f.counts is severity]
        if wrong:
            lines += [title, *_remedies(wrong), '']
    return text.printable('\n'.join([*lines, *_closing(report)]))


def render_short(report: engine.Report) -> str:
    """Return the failures, and the verdict."""
    signs = layout.signs()
    lines = []
    for row in report.rows:
        for found in row.findings:
            if found.counts is Severity.FAILURE:
                lines += layout.fill(
                    f'{found.id}: {found.message}{layout.place(found)}',
                    f'{signs.failure} ')
        if row.blocked_by and row.blocked_by.counts:
            lines += layout.fill(f'{row.id}: {row.note}', f'{signs.none} ')
    return text.printable('\n'.join([*lines, *layout.fill(sentence(report))]))


def _header(report: engine.Report) -> Iterator[str]:
    target = (f', target release {report.target_release}'
              if report.target_release else '')
    yield from layout.header(report.host, (
        ('Octavia', (report.octavia or 'not installed here') + target),
        ('Files', ', '.join(report.config_files) or 'none'),
        ('Servers', ', '.join(report.servers) or 'none contacted')))


def _row(row: engine.Row) -> Iterator[str]:
    signs = layout.signs()
    for found in row.findings:
        yield f'  {layout.heading(found)}'
        yield from layout.fill(found.message, ' ' * 4)
    passed = row.applies and not row.blocked_by
    for fact in row.facts:
        yield from layout.fill(
            fact, f'  {signs.good if passed else signs.none} ')
    if not row.facts and verdict.complete(row) and not any(
            f.counts for f in row.findings):
        yield f'  {signs.good} nothing {"else " if row.findings else ""}wrong'


def _remedies(wrong: Iterable[Finding]) -> Iterator[str]:
    for place, found in enumerate(wrong, 1):
        yield f'{place:>2}. {found.id}'
        yield from layout.remedy(layout.one_line(found.remedy or ''), ' ' * 4)


def _closing(report: engine.Report) -> Iterator[str]:
    yield from layout.fill(sentence(report))
    yield from layout.read_on(report.to_do)


def sentence(report: engine.Report) -> str:
    """Return the verdict: what was counted, how long it took, what follows."""
    found = [f for row in report.rows for f in row.findings]
    unseen = [f for f in found if f.counts is Severity.FAILURE
              and f.id.endswith(verdict.UNDETERMINED)]
    dark = len(unseen) + sum(verdict.of(row) is verdict.Verdict.BLOCKED
                             for row in report.rows)
    counts = layout.counted(f for f in found if f not in unseen)
    if dark:
        counts.append(f'{dark} not checked')
    if report.skipped:
        counts.append(layout.number(len(report.skipped), 'check', ' skipped'))
    return (f'{", ".join(counts) or "Nothing found"} in '
            f'{report.duration:.1f} s. {_advice(report)}')


def _advice(report: engine.Report) -> str:
    if report.severity is Severity.FAILURE:
        return 'Do not upgrade yet.'
    if report.skipped:
        return 'What was skipped may still be wrong.'
    if report.severity is Severity.WARNING:
        return 'Ready to upgrade, once the warnings have been read.'
    return 'Ready to upgrade.'

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

"""What a person sees: what was looked at, is it safe, what is to be done."""

from collections.abc import Iterator
import re
import shutil
import sys
import textwrap
from typing import NamedTuple

from octavia_v2_checks import engine
from octavia_v2_checks.findings import Finding
from octavia_v2_checks.findings import Severity
from octavia_v2_checks.reports import text
from octavia_v2_checks.reports import verdict
from octavia_v2_checks.upstream import versions

#: Where the page of each finding is.
PAGES = ('https://docs.openstack.org/octavia-v2-checks/latest/findings.html'
         '#finding-')

NARROW, WIDE = 60, 160

#: How a remedy that is nothing but a command begins, and where that is typed.
_TYPED = (
    (re.compile(r'(ALTER|CREATE|DROP|FLUSH|GRANT|INSERT|RESET|REVOKE|SET|'
                r'TRUNCATE|UPDATE) '),
     'On the database, as an administrator:'),
    (re.compile(r'(octavia-db-manage|octavia-v2-checks) '),
     'On a controller:'),
    (re.compile(r'(\S*python\S* -m )?pip install '),
     'In the environment of Octavia:'),
)

#: A sentence that says where the command behind it is typed.
_PLACE = re.compile(r'((?:In|On) [^:;]{3,80}:) (?=\S)')


class Signs(NamedTuple):
    """What stands before a line."""

    good: str
    warning: str
    failure: str
    none: str

    def of(self, severity: Severity) -> str:
        """Return the sign of a severity that counts."""
        return (self.good, self.warning, self.failure)[severity]


def signs() -> Signs:
    """Return the signs that stdout can show."""
    shown = Signs('✓', '!', '✗', '–')  # noqa: RUF001 - it is a dash
    try:
        ''.join(shown).encode(sys.stdout.encoding or 'ascii')
    except (UnicodeError, LookupError):
        return Signs('+', '!', 'x', '-')
    return shown


def width() -> int:
    """Return the columns that are used."""
    return min(max(shutil.get_terminal_size((80, 24)).columns, NARROW), WIDE)


def render(report: engine.Report) -> str:
    """Return the whole report."""
    lines = [*_header(report), '']
    for row in report.rows:
        lines += [_one_line(row.title), *_row(row), '']
    for id_ in report.skipped:
        lines.append(f'{signs().none} {_one_line(id_)}: skipped')
    if report.skipped:
        lines.append('')
    for title, severity in (('Failures', Severity.FAILURE),
                            ('Warnings', Severity.WARNING)):
        wrong = [f for f in report.to_do if f.counts is severity]
        if wrong:
            lines += [title, *_remedies(wrong), '']
    return text.printable('\n'.join([*lines, *_closing(report)]))


def render_short(report: engine.Report) -> str:
    """Return the failures, and the verdict."""
    lines = []
    for row in report.rows:
        for found in row.findings:
            if found.counts is Severity.FAILURE:
                lines += _wrapped(f'{found.id}: {found.message}'
                                  f'{_place(found)}', signs().failure)
        if row.blocked_by and row.blocked_by.counts:
            lines += _wrapped(f'{row.id}: {row.note}', signs().none)
    return text.printable('\n'.join([*lines, sentence(report)]))


def _header(report: engine.Report) -> Iterator[str]:
    version = versions.installed('octavia-v2-checks')
    yield f'octavia-v2-checks {version} on {report.host}'
    target = (f', target release {report.target_release}'
              if report.target_release else '')
    for name, value in (
            ('Octavia', (report.octavia or 'not installed here') + target),
            ('Files', ', '.join(report.config_files) or 'none'),
            ('Servers', ', '.join(report.servers) or 'none contacted')):
        yield from textwrap.wrap(
            f'{name + ":":<9}{value}', width(), subsequent_indent=' ' * 9,
            break_long_words=False, break_on_hyphens=False)


def _row(row: engine.Row) -> Iterator[str]:
    for found in row.findings:
        sign = signs().of(found.counts) if found.counts else signs().none
        waived = (f' ({_one_line(found.waived.as_text())})' if found.waived
                  else '')
        yield f'  {sign} {found.id}{waived}{_place(found)}'
        yield from _wrapped(found.message, ' ', '  ')
    passed = row.applies and not row.blocked_by
    for fact in row.facts:
        yield from _wrapped(fact, signs().good if passed else signs().none,
                            '  ')
    if not row.facts and verdict.complete(row) and not any(
            f.counts for f in row.findings):
        yield (f'  {signs().good} nothing '
               f'{"else " if row.findings else ""}wrong')


def _wrapped(said: str, sign: str, indent: str = '') -> list[str]:
    return textwrap.wrap(
        said, width(), initial_indent=f'{indent}{sign} ',
        subsequent_indent=f'{indent}  ', break_long_words=False,
        break_on_hyphens=False)


def _place(found: Finding) -> str:
    where = text.place(found)
    return f'  [{_one_line(where)}]' if where else ''


def _one_line(said: str) -> str:
    return ' '.join(said.split())


def _remedies(wrong: list[Finding]) -> Iterator[str]:
    for number, found in enumerate(wrong, 1):
        yield f'{number:>2}. {found.id}'
        yield from remedy(_one_line(found.remedy or ''), ' ' * 4)


def remedy(said: str, indent: str) -> Iterator[str]:
    """Yield the lines of a remedy: prose wrapped, what is typed left whole.

    A command that we had broken into lines could not be copied.
    """
    for pattern, place in _TYPED:
        if pattern.match(said):
            yield indent + place
            yield f'{indent}  {said}'
            return
    parts = _PLACE.split(said, maxsplit=1)
    if len(parts) == 3:
        before, place, command = parts
        yield from textwrap.wrap(
            before + place, width(), initial_indent=indent,
            subsequent_indent=indent, break_long_words=False,
            break_on_hyphens=False)
        yield f'{indent}  {command}'
    elif re.search(r'[;=`$|<>]|--|\S/\S', said):
        yield indent + said
    else:
        yield from textwrap.wrap(
            said, width(), initial_indent=indent, subsequent_indent=indent,
            break_long_words=False, break_on_hyphens=False)


def _closing(report: engine.Report) -> Iterator[str]:
    yield sentence(report)
    if report.to_do:
        worst = report.to_do[0].id
        yield f'Read on: octavia-v2-checks explain {worst}'
        yield f'         {PAGES}{worst.replace(".", "-")}'


def sentence(report: engine.Report) -> str:
    """Return the verdict: what was counted, how long it took, what follows."""
    found = [f for row in report.rows for f in row.findings]
    failures = [f for f in found if f.counts is Severity.FAILURE]
    unseen = sum(f.id.endswith(verdict.UNDETERMINED) for f in failures)
    waiting = sum(verdict.of(row) is verdict.Verdict.BLOCKED
                  for row in report.rows)
    counts = [
        _number(len(failures) - unseen, 'failure'),
        _number(sum(f.counts is Severity.WARNING for f in found), 'warning'),
        _number(sum(bool(f.waived) for f in found), 'finding', ' waived'),
        f'{unseen + waiting} not checked' if unseen + waiting else '',
        _number(len(report.skipped), 'check', ' skipped')]
    said = ', '.join(c for c in counts if c) or 'Nothing found'
    return f'{said} in {report.duration:.1f} s. {_advice(report)}'


def _number(count: int, what: str, more: str = '') -> str:
    return f'{count} {what}{"" if count == 1 else "s"}{more}' if count else ''


def _advice(report: engine.Report) -> str:
    if report.severity is Severity.FAILURE:
        return 'Do not upgrade yet.'
    if report.skipped:
        return 'What was skipped may still be wrong.'
    if report.severity is Severity.WARNING:
        return 'Ready to upgrade, once the warnings have been read.'
    return 'Ready to upgrade.'

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

"""The static rules, and their findings line by line."""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import json
import socket
import textwrap

from octavia_v2_checks import judging
from octavia_v2_checks import settings as settings_
from octavia_v2_checks.checks import config
from octavia_v2_checks.findings import Finding
from octavia_v2_checks.findings import Severity
from octavia_v2_checks.reports import layout
from octavia_v2_checks.reports import sarif
from octavia_v2_checks.reports import text
from octavia_v2_checks.settings import redact
from octavia_v2_checks.upstream import versions

SCHEMA_VERSION = 1


def run(settings: settings_.Settings, target_release: str | None
        ) -> list[Finding]:
    """Return all findings of the rules, worst first, free of secrets.

    :param target_release: the Octavia release to check for; the installed one
        if None
    :raises settings.UsageError: for an unknown release
    """
    found = judging.judged(
        'config', config.mistakes(settings, target_release),
        settings)
    return sorted(found, key=lambda f: (-f.severity, f.many > 1,
                                        f.file or '', f.line or 0))


def exit_code(findings: Iterable[Finding]) -> int:
    """Return 0, 1 or 2, as ``upgrade check`` does."""
    return int(max((f.counts for f in findings), default=Severity.SUCCESS))


def render(form: str, findings: list[Finding],
           settings: settings_.Settings) -> str:
    """Return the findings as ``text``, ``table``, ``json`` or ``sarif``."""
    if form == 'json':
        return json.dumps({
            'schema_version': SCHEMA_VERSION,
            'result': exit_code(findings),
            'findings': [f.as_dict() for f in findings]}, indent=2)
    if form == 'sarif':
        return sarif.render(findings, settings)
    if form == 'table':
        return _table(findings, settings)
    return text.printable('\n'.join(_text(findings, settings)))


def _text(findings: Sequence[Finding], settings: settings_.Settings
          ) -> Iterator[str]:
    clean = settings.redactor
    yield from layout.header(clean(socket.gethostname()), (
        ('Octavia', versions.installed('octavia') or 'not installed here'),
        ('Files', ', '.join(clean(f.path) for f in settings.files)
         or 'none')))
    yield ''
    for title, severity in (('Failures', Severity.FAILURE),
                            ('Warnings', Severity.WARNING),
                            ('Waived', Severity.SUCCESS)):
        said = [f for f in findings if f.counts is severity]
        if said:
            yield title
        for finding in said:
            yield from _said(finding, settings)
            yield ''
    for fact in config.scope(settings):
        yield from layout.fill(fact, f'{layout.signs().good} ')
    counts = ', '.join(layout.counted(findings)) or 'Nothing found'
    advice = ('Correct the configuration before you upgrade.'
              if exit_code(findings) == Severity.FAILURE else
              'The servers were not asked: octavia-v2-checks upgrade check '
              'does.')
    yield from layout.fill(f'{counts}. {advice}')
    yield from layout.read_on(f for f in findings if f.counts)


def _said(finding: Finding, settings: settings_.Settings) -> Iterator[str]:
    yield f'  {layout.heading(finding)}'
    shown = settings.excerpt(finding.file, finding.line)
    if shown and redact.MASK not in shown:
        yield f'    | {shown}'
    yield from layout.fill(finding.message, ' ' * 4)
    if finding.remedy:
        label = '    Remedy: '
        first, *rest = layout.remedy(layout.one_line(finding.remedy),
                                     ' ' * len(label))
        yield label + first.lstrip()
        yield from rest


def _table(findings, settings):
    lines = []
    for finding in findings:
        place = f'{finding.file}:{finding.line}' if finding.line else (
            finding.file or finding.option or 'configuration')
        lines.append(f'{place}: {finding.severity.name.lower()}: '
                     f'{finding.id}'
                     + (f' ({finding.waived.as_text()})' if finding.waived
                        else ''))
        shown = settings.excerpt(finding.file, finding.line)
        if shown:
            lines.append(f'    | {shown}')
        lines += textwrap.wrap(
            finding.message, 78, initial_indent='    ',
            subsequent_indent='    ', break_on_hyphens=False)
        if finding.remedy:
            # Not wrapped: a command on two lines cannot be copied.
            lines.append(f'    Remedy: {finding.remedy}')
        lines.append('')
    count = {s: sum(f.many for f in findings if f.counts is s)
             for s in Severity}
    if not findings:
        return f'{len(settings.files)} file(s) read, nothing found.'
    return text.printable('\n'.join([
        *lines, f'{count[Severity.FAILURE]} failure(s), '
        f'{count[Severity.WARNING]} warning(s)']))

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

"""One HTML page that loads nothing and runs no script."""

import base64
import hashlib
import html
from importlib import resources

from octavia_v2_checks import catalogue
from octavia_v2_checks import engine
from octavia_v2_checks.findings import Finding
from octavia_v2_checks.findings import Severity
from octavia_v2_checks.reports import text
from octavia_v2_checks.reports import verdict
from octavia_v2_checks.reports.verdict import Verdict
from octavia_v2_checks.upstream import versions

#: Class, sign and word: colour is never the only indication.
_BADGES = {
    Verdict.SUCCESS: ('success', '\N{CHECK MARK}', 'Success'),
    Verdict.WARNING: ('warning', '!', 'Warning'),
    Verdict.FAILURE: ('failure', '\N{MULTIPLICATION X}', 'Failure'),
    Verdict.UNDETERMINED: ('failure', '?', 'Failure: undetermined'),
    Verdict.BLOCKED: ('failure', '?', 'Failure: not checked'),
    Verdict.NOT_APPLICABLE: ('quiet', '\N{EN DASH}', 'Does not apply'),
}

_HEADLINES = {
    Severity.SUCCESS: 'Success: nothing wrong was found',
    Severity.WARNING: 'Warning: it works, but needs attention',
    Severity.FAILURE: 'Failure: fix this before you upgrade',
}

#: A finding and the id of its element.
Anchored = tuple[str, Finding]


def render(report: engine.Report) -> str:
    """Return one page, in ASCII: a pipe may have any encoding."""
    style = (resources.files('octavia_v2_checks') / 'data' / 'report.css'
             ).read_text('utf-8')
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest())
    rows = [(row, [(f'finding-{number}-{place}', f)
                   for place, f in enumerate(row.findings, 1)])
            for number, row in enumerate(report.rows, 1)]
    found = [pair for _, findings in rows for pair in findings]
    page = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; \
style-src 'sha256-{digest.decode()}'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{report.severity.name.capitalize()} - Octavia amphorav2 checks</title>
<style>{style}</style>
</head>
<body>
{_header(report, found)}
<main>
{_to_do(report, found)}
<section>
<h2>Checks</h2>
{''.join(_row(row, findings) for row, findings in rows)}
{''.join(map(_left_out, report.skipped))}
</section>
</main>
{_footer(report)}
</body>
</html>"""
    return page.encode('ascii', 'xmlcharrefreplace').decode('ascii')


def _escape(value: str) -> str:
    return html.escape(text.printable(value))


def _badge(kind: str, sign: str, word: str) -> str:
    return (f'<span class="badge {kind}"><span aria-hidden="true">{sign}'
            f'</span> {word}</span>')


def _header(report: engine.Report, found: list[Anchored]) -> str:
    waived = sum(f.many for _, f in found if f.waived)
    headline = _HEADLINES[report.severity]
    if waived and report.severity is Severity.SUCCESS:
        headline = 'Success: what was found is waived'
    counts = [
        (sum(f.many for _, f in found if f.counts is Severity.FAILURE),
         'failure'),
        (sum(f.many for _, f in found if f.counts is Severity.WARNING),
         'warning'),
        (waived, 'waived finding')]
    counts = [c for c in counts if c[0]] + [(len(report.rows), 'check')]
    told = ', '.join(f'{n} {word}{"s" * (n != 1)}' for n, word in counts)
    return f"""<header class="{report.severity.name.lower()}">
<p>Octavia amphorav2 checks</p>
<h1>{headline}</h1>
<p>{told}</p>
</header>"""


def _to_do(report: engine.Report, found: list[Anchored]) -> str:
    todo = report.to_do
    if not todo:
        return ''
    anchors = {id(one): anchor for anchor, one in found}
    items = ''.join(
        f'<li><a href="#{anchors[id(one)]}"><code>{_escape(one.id)}</code>'
        f'</a> ({one.severity.name.lower()})<br>{_escape(one.message)}</li>\n'
        for one in todo)
    title = ('What to do first' if todo[0].severity is Severity.FAILURE
             else 'Warnings')
    return f'<section>\n<h2>{title}</h2>\n<ol>\n{items}</ol>\n</section>'


def _row(row: engine.Row, findings: list[Anchored]) -> str:
    note = (f'<p>{_escape(row.note)}</p>\n'
            if row.note and (row.blocked_by or not findings) else '')
    badge = _BADGES[verdict.of(row)]
    if row.blocked_by and row.severity is Severity.SUCCESS:
        badge = 'quiet', '?', 'Not checked'
    return f"""<article class="check">
<h3>{_escape(row.title)} {_badge(*badge)}</h3>
<p class="small"><code>{_escape(row.id)}</code>, {row.duration:.2f} s</p>
{note}{''.join(_finding(*pair) for pair in findings)}</article>
"""


def _finding(anchor: str, finding: Finding) -> str:
    kind, sign, word = _BADGES[Verdict(finding.severity.name.lower())]
    waived = ''
    if finding.waived:
        kind, word = 'quiet', f'{word}, waived until {finding.waived.until}'
        waived = (f'<p class="small">Waived: '
                  f'{_escape(finding.waived.reason)}</p>\n')
    where = ''.join(
        f'<div><dt>{title}</dt><dd><code>{_escape(value)}</code></dd></div>'
        for title, value in (('At', text.place(finding)),
                             ('Option', finding.option),
                             ('Host', finding.host)) if value)
    return ''.join([
        f'<section class="finding" id="{anchor}">\n'
        f'<h4><code>{_escape(finding.id)}</code> '
        f'{_badge(kind, sign, word)}</h4>\n',
        f'<p class="message">{_escape(finding.message)}</p>\n',
        waived,
        f'<dl>{where}</dl>\n' if where else '',
        f'<h5>Remedy</h5>\n<pre>{_escape(finding.remedy)}</pre>\n'
        if finding.remedy else '',
        '</section>\n'])


def _left_out(id_: str) -> str:
    title = catalogue.CHECKS.get(id_, id_)
    return f"""<article class="check">
<h3>{_escape(title)} {_badge('quiet', '&ndash;', 'Skipped')}</h3>
<p class="small"><code>{_escape(id_)}</code>, skipped on request</p>
</article>
"""


def _footer(report: engine.Report) -> str:
    facts = ''.join(
        f'<div><dt>{title}</dt><dd>{_escape(value or "not installed")}</dd>'
        '</div>\n' for title, value in (
            ('Host', report.host),
            ('Started', f'{report.started:%Y-%m-%d %H:%M:%S} UTC'),
            ('Duration', f'{report.duration:.2f} s'),
            ('octavia-v2-checks', versions.installed('octavia-v2-checks')),
            ('Octavia', report.octavia), ('TaskFlow', report.taskflow)))
    return (f'<footer>\n<h2>About this run</h2>\n<dl>\n{facts}</dl>\n'
            '</footer>')

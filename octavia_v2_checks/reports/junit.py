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

"""JUnit XML: one test case for each row.

A case fails exactly if its row is a Failure, so the document has a failure or
an error exactly if the command exits with 2. A warning passes, whatever
``--fail-level`` is, and is reported on system-out.
"""

from xml.etree import ElementTree

from octavia_v2_checks import engine
from octavia_v2_checks.findings import Finding
from octavia_v2_checks.findings import Severity
from octavia_v2_checks.reports import text
from octavia_v2_checks.reports import verdict
from octavia_v2_checks.reports.verdict import Verdict
from octavia_v2_checks.upstream import versions

NAME = 'octavia-v2-checks'

#: The element in a test case; a failure was checked, of an error nothing is
#: known.
_ELEMENTS = {Verdict.FAILURE: 'failure', Verdict.UNDETERMINED: 'error',
             Verdict.BLOCKED: 'error', Verdict.NOT_APPLICABLE: 'skipped'}


def render(report: engine.Report) -> str:
    """Return one document, in ASCII: a pipe may have any encoding."""
    suite = ElementTree.Element('testsuite', {
        'name': NAME,
        'hostname': text.printable(report.host),
        # The format has no time zone; this is UTC.
        'timestamp': f'{report.started:%Y-%m-%dT%H:%M:%S}',
        'time': f'{report.duration:.3f}'})
    properties = ElementTree.SubElement(suite, 'properties')
    for name, value in ((NAME, versions.installed(NAME)),
                        ('octavia', report.octavia),
                        ('taskflow', report.taskflow)):
        ElementTree.SubElement(properties, 'property', {
            'name': name, 'value': value or 'not installed'})
    for row in report.rows:
        _case(suite, row)
    for id_ in report.skipped:
        _outcome(_named(suite, id_), 'skipped', 'skipped on request')
    suites = ElementTree.Element('testsuites', {'name': NAME})
    suites.append(suite)
    for name, tag in (('tests', 'testcase'), ('failures', 'failure'),
                      ('errors', 'error')):
        number = str(len(suite.findall(f'.//{tag}')))
        suites.set(name, number)
        suite.set(name, number)
    suite.set('skipped', str(len(suite.findall('.//skipped'))))
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, 'us-ascii',
                                xml_declaration=True).decode('ascii')


def _named(suite: ElementTree.Element, id_: str,
           duration: float = 0.0) -> ElementTree.Element:
    return ElementTree.SubElement(suite, 'testcase', {
        'classname': NAME, 'name': text.printable(id_),
        'time': f'{duration:.3f}'})


def _case(suite: ElementTree.Element, row: engine.Row) -> None:
    case = _named(suite, row.id, row.duration)
    said = '\n\n'.join(map(_text, row.findings))
    found = verdict.of(row)
    element = _ELEMENTS.get(found)
    if element == 'error' and row.severity is not Severity.FAILURE:
        # Prevented by a finding that is waived.
        element = 'skipped'
    if element == 'skipped' or found is Verdict.BLOCKED:
        _outcome(case, element, row.note,
                 row.blocked_by and row.blocked_by.id, said)
    elif element:
        worst = max(row.findings, key=lambda f: (
            f.counts, not f.id.endswith(verdict.UNDETERMINED)))
        _outcome(case, element, f'{worst.id}: {worst.message}', worst.id,
                 said)
    elif said or row.note:
        ElementTree.SubElement(case, 'system-out').text = text.printable(
            said or row.note or '')


def _outcome(case, element, message, type_=None, said=None):
    outcome = ElementTree.SubElement(
        case, element, {'message': text.printable(message or '')})
    if type_:
        outcome.set('type', text.printable(type_))
    if said:
        outcome.text = text.printable(said)


def _text(finding: Finding) -> str:
    waived = f', {finding.waived.as_text()}' if finding.waived else ''
    lines = [f'{finding.id} ({finding.severity.name.lower()}{waived}): '
             f'{finding.message}']
    for title, value in (('At', text.place(finding)),
                         ('Option', finding.option), ('Host', finding.host),
                         ('Remedy', finding.remedy)):
        if value:
            lines.append(f'{title}: {value}')
    return '\n'.join(lines)

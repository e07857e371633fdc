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

"""The timeline of a drill, in the formats of a drill."""

import json
import textwrap
from xml.etree import ElementTree

from octavia_v2_checks.drill import result as results
from octavia_v2_checks.findings import Severity
from octavia_v2_checks.reports import text

_SUITE = 'octavia-v2-checks drill'


def _table(result: results.Result) -> str:
    lines = []
    if result.id:
        lines.append(f'Drill {result.id} on {result.host}, '
                     f'{result.flows} flow(s), in {result.namespace}')
    before = 0.0
    for step in result.steps:
        lines.append(f'{step.at:8.2f} s  +{step.at - before:6.2f} s  '
                     f'{step.name:<11}  {results.STEPS[step.name]}')
        before = step.at
    after = result.resumed_after
    if after is not None:
        lines.append(f'Resumed {after:.2f} s after the kill; claims should '
                     f'end after {result.claim:g} s.')
    for ids, what in ((result.earlier, 'Removed the remains of'),
                      (result.spared, 'Not removed, because in use:')):
        if ids:
            lines.append(f'{what} {", ".join(ids)}')
    for finding in result.findings:
        lines += ['', *textwrap.wrap(
            f'{finding.severity.name.lower()}: {finding.id}: '
            f'{finding.message}', 78, break_on_hyphens=False)]
        # Not wrapped: a command in two lines cannot be copied.
        lines.append(f'Remedy: {finding.remedy}')
    verdict = ('Interrupted' if result.interrupted
               else result.severity.name.capitalize())
    return text.printable('\n'.join([*lines, '', f'Result: {verdict}']))


def _json(result: results.Result) -> str:
    return json.dumps({
        'schema_version': results.SCHEMA_VERSION,
        'name': 'Drill Results',
        'result': int(result.severity),
        'interrupted': result.interrupted,
        'drill': result.id,
        'namespace': result.namespace,
        'host': result.host,
        'octavia': result.octavia,
        'taskflow': result.taskflow,
        'started': f'{result.started:%Y-%m-%dT%H:%M:%SZ}',
        'duration': round(result.duration, 3),
        'flows': result.flows,
        'claim': result.claim,
        'steps': [{'step': s.name, 'at': round(s.at, 3)}
                  for s in result.steps],
        'resumed_after': (None if result.resumed_after is None
                          else round(result.resumed_after, 3)),
        'failed': result.failed,
        'findings': [f.as_dict() for f in result.findings],
        'removed': result.earlier,
        'spared': result.spared,
    }, indent=2)


def _junit(result: results.Result) -> str:
    """Return a test case for each step; a warning passes."""
    suite = ElementTree.Element('testsuite', {
        'name': _SUITE, 'hostname': text.printable(result.host),
        'timestamp': f'{result.started:%Y-%m-%dT%H:%M:%S}',
        'time': f'{result.duration:.3f}'})
    before = 0.0
    for name in result.plan or ('loaded',):
        at = result.at(name)
        case = ElementTree.SubElement(suite, 'testcase', {
            'classname': _SUITE, 'name': name,
            'time': f'{(at or before) - before:.3f}'})
        before = at or before
        found = [f for f in result.findings if result.step_of(f) == name]
        for finding in found:
            _outcome(case, finding)
        if at is None and not found:
            ElementTree.SubElement(case, 'skipped',
                                   {'message': 'this step was not reached'})
    suites = ElementTree.Element('testsuites', {'name': _SUITE})
    suites.append(suite)
    for name, tag in (('tests', 'testcase'), ('failures', 'failure'),
                      ('errors', 'error')):
        for element in (suites, suite):
            element.set(name, str(len(suite.findall(f'.//{tag}'))))
    suite.set('skipped', str(len(suite.findall('.//skipped'))))
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, 'us-ascii',
                                xml_declaration=True).decode('ascii')


def _outcome(case, finding):
    said = text.printable(finding.as_text())
    if finding.severity is not Severity.FAILURE:
        ElementTree.SubElement(case, 'system-out').text = said
        return
    tag = 'error' if finding.id.endswith('.undetermined') else 'failure'
    ElementTree.SubElement(case, tag, {
        'type': finding.id,
        'message': text.printable(finding.message)}).text = said


RENDER = {'table': _table, 'json': _json, 'junit': _junit}

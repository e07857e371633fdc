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

"""One line for Icinga and Nagios, performance data, and details."""

from octavia_v2_checks import engine
from octavia_v2_checks.findings import Severity
from octavia_v2_checks.reports import text
from octavia_v2_checks.reports import verdict

_STATES = {Severity.SUCCESS: 'OK', Severity.WARNING: 'WARNING',
           Severity.FAILURE: 'CRITICAL'}


def render(report: engine.Report) -> str:
    """Return the output of a plug-in; the exit code is the command's."""
    found = [f for row in report.rows for f in row.findings]
    counted = sorted((f for f in found if f.counts),
                     key=lambda f: -f.severity)
    said = ', '.join(dict.fromkeys(f.id for f in counted)) or ', '.join(
        f'{row.id} {verdict.of(row).value}' for row in report.rows)
    numbers = ' '.join([
        *(f'{name}={sum(f.counts is severity for f in found)}'
          for name, severity in (('failures', Severity.FAILURE),
                                 ('warnings', Severity.WARNING))),
        f'waived={sum(bool(f.waived) for f in found)}',
        f'duration={report.duration:.3f}s'])
    lines = [f'OCTAVIA {_STATES[report.severity]} - {_plain(said)} | '
             f'{numbers}']
    for row in report.rows:
        lines.append(_plain(f'{row.id}: {verdict.of(row).value}'))
        lines += [_plain(f'- {f.as_text()}') for f in row.findings]
        if row.blocked_by and row.note:
            lines.append(_plain(f'- {row.note}'))
    lines += [f'{_plain(id_)}: skipped' for id_ in report.skipped]
    return '\n'.join(lines)


def _plain(said: str) -> str:
    """Return a text as one line without the separator of performance data."""
    return text.printable(' '.join(said.split())).replace('|', '¦')

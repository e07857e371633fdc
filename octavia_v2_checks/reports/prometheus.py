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

"""Metrics for the textfile collector of Prometheus' node_exporter.

Labels contain ids and versions, never a message, so their number is bounded.
"""

import collections
from collections.abc import Iterable
from collections.abc import Mapping

from octavia_v2_checks import catalogue
from octavia_v2_checks import engine
from octavia_v2_checks.reports import text
from octavia_v2_checks.reports import verdict
from octavia_v2_checks.upstream import versions

PREFIX = 'octavia_v2_checks_'

Samples = Iterable[tuple[Mapping[str, str], float]]


def render(report: engine.Report) -> str:
    """Return the metrics in Prometheus' text format."""
    rows = report.rows
    lines: list[str] = []
    for name, help_, samples in (
            ('result', 'Result of a check: 0 success, 1 warning, 2 failure.',
             [({'check': r.id}, int(r.severity)) for r in rows]),
            ('complete', 'Whether a check is complete.',
             [({'check': r.id}, verdict.complete(r)) for r in rows]
             + [({'check': id_}, 0) for id_ in report.skipped]),
            ('finding', 'Number of findings; 0 only where the check is '
             'complete.', _findings(rows)),
            ('check_duration_seconds', 'How long a check took.',
             [({'check': r.id}, round(r.duration, 3)) for r in rows]),
            ('duration_seconds', 'How long the run took.',
             [({}, round(report.duration, 3))]),
            ('start_time_seconds', 'When the run began, in seconds since '
             '1970.', [({}, round(report.started.timestamp(), 3))]),
            ('build_info', 'Installed versions, empty for what is not '
             'installed.', [({
                 'version': versions.installed('octavia-v2-checks') or '',
                 'octavia': report.octavia or '',
                 'taskflow': report.taskflow or ''}, 1)])):
        lines += _metric(PREFIX + name, help_, samples)
    return '\n'.join(lines)


def _findings(rows: Iterable[engine.Row]) -> Samples:
    """Count findings by id, with 0 for absent ones of the catalogue.

    Ids of incomplete checks are omitted: 0 would resolve an alert without a
    reason.
    """
    counts: collections.Counter[tuple[str, str, str]] = collections.Counter()
    for row in rows:
        if row.id in catalogue.CHECKS and verdict.complete(row):
            for entry in catalogue.area(row.id).values():
                counts[entry.id, entry.severity.lower(), 'false'] = 0
        for f in row.findings:
            counts[f.id, f.severity.name.lower(),
                   'true' if f.waived else 'false'] += f.many
    return [({'id': id_, 'severity': severity, 'waived': waived}, count)
            for (id_, severity, waived), count in counts.items()]


def _metric(name: str, help_: str, samples: Samples) -> list[str]:
    lines = [f'# HELP {name} {help_}', f'# TYPE {name} gauge']
    for labels, value in samples:
        pairs = ','.join(f'{k}="{_escape(v)}"' for k, v in labels.items())
        lines.append(f'{name}{{{pairs}}} {value:.15g}' if pairs
                     else f'{name} {value:.15g}')
    return lines


def _escape(value: str) -> str:
    return (text.printable(value).replace('\\', r'\\').replace('\n', r'\n')
            .replace('"', r'\"'))

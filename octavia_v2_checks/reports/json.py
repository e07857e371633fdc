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

"""JSON: a superset of what ``octavia-status upgrade check --json`` prints."""

import json

from octavia_v2_checks import engine
from octavia_v2_checks.reports import verdict

SCHEMA_VERSION = 1


def render(report: engine.Report) -> str:
    """Return one JSON document."""
    return json.dumps({
        'name': 'Upgrade Check Results',
        'schema_version': SCHEMA_VERSION,
        'result': int(report.severity),
        'checks': [{
            'check': row.title,
            'result': int(row.severity),
            'details': row.details,
            'id': row.id,
            'verdict': verdict.of(row).value,
            'duration': round(row.duration, 3),
            'findings': [f.as_dict() for f in row.findings],
        } for row in report.rows],
        'skipped': list(report.skipped),
        'octavia': report.octavia,
        'taskflow': report.taskflow,
        'target_release': report.target_release,
        'config_files': list(report.config_files),
        'servers': list(report.servers),
        'started': report.started.isoformat(timespec='seconds'),
        'duration': round(report.duration, 3),
        'host': report.host,
        'resumption': report.resumption,
    }, indent=2)

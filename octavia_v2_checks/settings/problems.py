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

"""Files that oslo.config cannot read at all, as findings."""

from octavia_v2_checks import findings
from octavia_v2_checks.settings import inifile

_IDS = {'parse': 'config.parse-error', 'encoding': 'config.encoding'}


def finding_of(file: inifile.ConfigFile, problem: inifile.Problem
               ) -> findings.Finding:
    """Return the finding of a line that stops the services."""
    return findings.finding(
        _IDS[problem.kind],
        f'{file.path}, line {problem.line}: {problem.text}.',
        file=file.path, line=problem.line)

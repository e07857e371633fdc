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

"""Files that oslo.config cannot read at all."""

from collections.abc import Iterator

from octavia_v2_checks.checks.config.view import View
from octavia_v2_checks.findings import Finding
from octavia_v2_checks.settings import problems


def unreadable(view: View) -> Iterator[Finding]:
    """Yield every line that stops the services that read the file."""
    for file in view.settings.files:
        for problem in file.problems:
            yield problems.finding_of(file, problem)


RULES = [unreadable]

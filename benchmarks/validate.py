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

"""How the cost of validate grows with the number of files."""

from collections.abc import Iterator
import pathlib

from benchmarks import timing
from tests import commands

PART = 'validate'
COUNTS = (1, 100, 1000)

FRAGMENT = """[task_flow]
jobboard_enabled = true
jobboard_expiration_time = 100
jobboard_backend_hosts = 192.0.2.11
persistence_connection = mysql+pymysql://octavia:pw-{0}@192.0.2.1/persistence
"""


def figures(runs: int, folder: pathlib.Path) -> Iterator[timing.Figure]:
    """Yield the figures; oslo-config-validator takes one file a call."""
    files = []
    for number in range(max(COUNTS)):
        path = folder / f'{number:04}.conf'
        path.write_text(FRAGMENT.format(number))
        files.append(str(path))
    plain = commands.environment()
    stock = 'oslo-config-validator, 1 file'
    yield timing.Figure(PART, stock, **timing.command(
        [commands.script('oslo-config-validator'), '--namespace', 'octavia',
         '--input-file', files[0]], plain, runs))
    for count in COUNTS:
        yield timing.Figure(
            PART, f'validate, {count} file{"s" * (count > 1)}', base=stock,
            goal=0.5 if count == 1 else None, **timing.command(
                [commands.script('octavia-v2-checks'), 'validate',
                 *files[:count]], plain, runs))

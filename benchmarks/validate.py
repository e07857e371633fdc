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
"""How the cost of validate grows with the number of files.

Usage: python -m benchmarks.validate [RUNS]

oslo-config-validator takes one file a call, so it is timed on one.
"""

import pathlib
import statistics
import sys
import tempfile

from benchmarks import compare
from tests import commands

COUNTS = (1, 100, 1000)

FRAGMENT = """[task_flow]
jobboard_enabled = true
jobboard_expiration_time = 100
jobboard_backend_hosts = 192.0.2.11
persistence_connection = mysql+pymysql://octavia:pw-{0}@192.0.2.1/persistence
"""


def median(argv, runs):
    """Return the median wall time of a command, in seconds."""
    environment = commands.environment()
    return statistics.median(
        compare.measure(argv, environment)[0] for _ in range(runs))


def main():
    """Print the table."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for number in range(max(COUNTS)):
            path = pathlib.Path(folder, f'{number:04}.conf')
            path.write_text(FRAGMENT.format(number))
            files.append(str(path))
        stock = median([commands.script('oslo-config-validator'),
                        '--namespace', 'octavia', '--input-file', files[0]],
                       runs)
        print(f'oslo-config-validator, 1 file: {stock:.3f} s')
        for count in COUNTS:
            ours = median([commands.script('octavia-v2-checks'), 'validate',
                           *files[:count]], runs)
            print(f'validate, {count} file(s): {ours:.3f} s, '
                  f'{ours / stock:.2f} of oslo-config-validator on one')


if __name__ == '__main__':
    main()

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

"""Names, places and releases of options, and files as such."""

from tests.unit.fragments import Case
from tests.unit.fragments import OFF
from tests.unit.fragments import SENTINEL

PRESENT = [
    Case('parse-error', '[task_flow]\njobboard_enabled true§\n'),
    Case('parse-error', '[task_flow]\nengine = serial\n[task_flow§\n'),
    Case('parse-error', '[task_flow]\nengine = serial\n[]§\n'),
    Case('parse-error', '[DEFAULT]\n\n  engine = serial§\n'),
    Case('parse-error', 'engine = serial§\n[task_flow]\n'),
    Case('parse-error', '[task_flow]\n= serial§\n'),
    Case('encoding', '\ufeff[task_flow]§\nengine = serial\n'),

    Case('unknown-option', 'jobboard_backend_host = 10.0.0.1§\n'),
    Case('unknown-option', 'Engine = serial§\n'),
    Case('unknown-option', 'jobboard-enabled = true§\n'),
    Case('unknown-option', 'something_else = 1§\n'),
    Case('unknown-option', '[octavia_v2_checks]\ndead_line = 5§\n'),
    Case('unknown-option', '[octavia-v2-checks]\ndeadline = 5§\n'),
    Case('unknown-option', '[DEFAULT]\njobboard_enable = true§\n'),
    # Nothing follows from what an option that is only misspelt would cause.
    Case('unknown-option',
         '[task_flow]\njobboard_enabled = true\n'
         'persistence_conection = mysql+pymysql://o:pw@db/p§\n'),
    Case('unknown-option',
         '[task_flow]\njobboard_enable = true§\n'
         'jobboard_backend_hosts = 10.0.0.1\n'),

    Case('unknown-option', '[task_flow]\n',
         environ={'OS_TASK_FLOW__JOBBOARD_HOSTS': '10.0.0.1'}),

    Case('misplaced-option', '[DEFAULT]\njobboard_enabled = true§\n'),
    Case('misplaced-option', '[taskflow]\nengine = serial§\n'),
    Case('misplaced-option', '[task-flow]\nmax_workers = 3§\n'),
    Case('misplaced-option', '[task_flow ]\nengine = serial§\n'),
    Case('misplaced-option', '[controller_worker]\n'
         'persistence_connection = mysql+pymysql://o:pw@db/p§\n'),
    Case('misplaced-option', '[octavia_v2_checks]\ndisable_revert = true§\n'),
    Case('misplaced-option',
         '[DEFAULT]\ndebug = true\n  [task_flow]§\n  engine = serial\n'),
    Case('parse-error',
         '[octavia_v2_checks]\nreport_file = json:/tmp/a\0b§\n'),

    Case('duplicate-option', 'engine = serial\nengine = parallel§\n'),
    Case('duplicate-option',
         '[task_flow]\nengine = serial\n[database]\n\n'
         '[TASK_FLOW]\nengine = serial§\n'),
    Case('duplicate-option', '[database]\nconnection = sqlite:////a\n'
         'connection = sqlite:////b§\n'),

    Case('env-override', 'engine = serial§\n',
         environ={'OS_TASK_FLOW__ENGINE': 'parallel'}),

    Case('release', SENTINEL + 'jobboard_redis_sentinel_password = pw§\n',
         release='14.0'),
    Case('release', 'jobboard_redis_backend_db = 1§\n', release='15.0'),
    Case('release', 'jobboard_redis_backend_db = 1§\n', release='2024.2'),
    Case('release', 'jobboard_backend_username = octavia§\n', release='13'),
    Case('release',
         'jobboard_backend_driver = etcd_taskflow_driver§\n'
         'jobboard_backend_port = 2379\n', release='15.0.0'),
    Case('release', '[task_flow]\njobboard_enabled = false§\n',
         release='6.0'),

    Case('waiver-expired', '[octavia_v2_checks]\n'
         'waivers = jobboard.refused until=2020-01-31 reason=moving§\n'
         'waivers = jobboard.timeout until=9999-12-31 reason=moving\n'),
    Case('waiver-unknown', '[octavia_v2_checks]\n'
         'waivers = jobboard.refused until=9999-12-31 reason=moving\n'
         'waivers = jobboard.refusd host=a until=9999-12-31 reason=b§\n'),
]

ABSENT = [
    Case('waiver-expired', '[octavia_v2_checks]\nwaivers = jobboard.refused '
         'until=9999-12-31 reason=never opened\nwaivers =\n'),
    Case('waiver-unknown', '[octavia_v2_checks]\n'
         'waivers = jobboard.refused until=9999-12-31 reason=a\n'
         'waivers = acme.host until=9999-12-31 reason=of another package\n'),
    Case('parse-error', '# comment\n; comment\n[task_flow]\n\n'
         'jobboard_enabled: true\njobboard_backend_hosts = 10.0.0.1,\n'
         '  \n\t# not a comment, but after a blank line\n'
         .replace('\t#', '#')
         + 'persistence_connection = mysql+pymysql://o:pw@db/p\n'),
    Case('encoding', '# für später\n[task_flow]\nengine = serial\n'),
    Case('unknown-option', '[DEFAULT]\nsomething = 1\n[whatever]\nx = 1\n'),
    Case('unknown-option', '[nova]\nengine = x\nmax_workers = x\n'),
    Case('unknown-option', 'engine = serial\n',
         environ={'OS_TASK_FLOW__MAX_WORKERS': '2', 'OS_OTHER__X': '1',
                  'OS_TASK_FLOW': 'x'}),
    Case('misplaced-option', '[TASK_FLOW]\nengine = serial\n'),
    Case('misplaced-option', '[Task_Flow]\nengine = serial\n'),
    Case('misplaced-option', '[workers]\nmax_workers = 5\n'),
    Case('duplicate-option', '[task_flow]\nengine = serial\n'
         '[other]\nengine = serial\n'),
    Case('env-override', 'max_workers = 3\n',
         environ={'OS_TASK_FLOW__ENGINE': 'serial'}),
    Case('env-override', 'engine = serial\n',
         environ={'OS_TASK_FLOW__ENGINE': 'serial'}),
    Case('release', 'jobboard_redis_backend_db = 1\n', release='16.0'),
    Case('release', 'jobboard_redis_backend_db = 1\n', release='2025.1'),
    Case('release', OFF + 'jobboard_etcd_timeout = 5\n', release='15.0'),
]

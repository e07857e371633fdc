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
"""The hook in whatever release of Octavia is installed.

``tox -e octavia14`` … ``octavia19`` run this file with each release. It
needs no server, so that old libraries are the only thing that differs.
"""

import json

from tests import commands
from tests import doors
from tests.servers import scripts


def rows(done):
    document = json.loads(done.stdout.splitlines()[-1])
    return {row['check']: row for row in document['checks']}


def test_disabled_jobboard(write_config):
    done = commands.status(write_config(jobboard_enabled=False), 'upgrade',
                           'check', '--json', hook=True)
    found = rows(done)
    assert list(found)[:len(doors.TITLES)] == list(doors.TITLES)
    assert {found[title]['result'] for title in doors.TITLES} == {0}
    assert 'AmphoraV2 Check' not in found
    # Where a stock row cannot run with these libraries, it alone fails.
    others = [row for title, row in found.items()
              if title not in doors.TITLES and row['result']]
    assert all('NoSuchOptError' in row['details'] for row in others)
    assert done.returncode == (2 if others else 0)


def test_faults(write_config):
    with scripts.Refuse() as nobody:
        config = write_config(
            jobboard_enabled=True, jobboard_backend_hosts=nobody.host,
            jobboard_backend_port=nobody.port,
            persistence_connection=f'mysql+pymysql://octavia:secret-4711@'
                                   f'{nobody.host}:{nobody.port}/p')
        done = commands.status(config, 'upgrade', 'check', '--json',
                               hook=True)
        found = rows(done)
        titles = {id_: title for title, id_ in doors.TITLES.items()}
        assert 'persistence.refused' in (
            found[titles['persistence']]['details'])
        assert 'jobboard.refused' in found[titles['jobboard']]['details']
        assert 'Not checked' in found[titles['migration']]['details']
        assert done.returncode == 2
        assert 'secret-4711' not in done.stdout + done.stderr


def test_table(write_config):
    done = commands.status(write_config(jobboard_enabled=False), hook=True)
    for title in doors.TITLES:
        assert f'Check: {title}' in done.stdout
    assert 'Traceback' not in done.stdout

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

"""The oldest releases that requirements.txt and setup.cfg admit.

Octavia needs newer ones, so it makes the tables from the tests' own
environment, and the command runs where it is not installed.
"""

import configparser
import pathlib
import re

import pytest

from tests import clients
from tests import commands
from tests import probing
from tests.servers import scripts

pytestmark = pytest.mark.lowest

ROOT = pathlib.Path(__file__).parents[2]

BOARDS = {'redis': 'redis_taskflow_driver',
          'zookeeper': 'zookeeper_taskflow_driver',
          'etcd': 'etcd_taskflow_driver'}


def floors():
    """Each requirement, with >= made ==."""
    config = configparser.ConfigParser()
    config.read(ROOT / 'setup.cfg')
    text = (ROOT / 'requirements.txt').read_text() + config['extras']['all']
    return [re.sub('[>~]=', '==', line.split('#')[0].strip())
            for line in text.splitlines() if '>=' in line]


RELEASE = clients.Release(*floors())


@pytest.fixture(params=['mysql', 'postgresql'])
def url(request):
    """A persistence database."""
    name = probing.name('lowest_')
    if request.param == 'mysql':
        server = request.getfixturevalue('mariadb')
        server.execute(f'CREATE DATABASE {name}')
        return server.url(database=name)
    server = request.getfixturevalue('postgres')
    server.execute(f"CREATE USER {name} PASSWORD 'lowest'")
    server.execute(f'CREATE DATABASE {name} OWNER {name}')
    return server.url(name, 'lowest', name)


@pytest.mark.parametrize('board', BOARDS)
def test_healthy(request, write_config, url, board):
    server = request.getfixturevalue(board)
    path = write_config(
        jobboard_enabled=True, persistence_connection=url,
        jobboard_backend_driver=BOARDS[board],
        jobboard_backend_hosts=server.host,
        jobboard_backend_port=server.port,
        # The default of the oldest etcd3gw is of an etcd before 3.4.
        jobboard_etcd_api_path='/v3/' if board == 'etcd' else None,
        jobboard_backend_namespace=probing.name('lowest'))
    found = RELEASE.probe('migration', path)
    assert [f.id for f in found] == ['migration.uninitialised']
    commands.db_manage(path, 'upgrade_persistence')
    for check in 'config', 'persistence', 'migration', 'inflight':
        assert RELEASE.probe(check, path) == []
    assert {f.id for f in RELEASE.probe('jobboard', path)} <= {
        'jobboard.not-durable'}


@pytest.mark.parametrize('board', BOARDS)
def test_refused(write_config, board):
    with scripts.Refuse() as server:
        path = write_config(
            jobboard_enabled=True, jobboard_backend_hosts=server.host,
            jobboard_backend_driver=BOARDS[board],
            jobboard_backend_port=server.port, persistence_connection=(
                f'mysql+pymysql://u:p@{server.host}:{server.port}/p'))
        for check in 'persistence', 'jobboard':
            found, = RELEASE.probe(check, path)
            assert found.id == f'{check}.refused'

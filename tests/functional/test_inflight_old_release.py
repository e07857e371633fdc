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

"""A board that an older Octavia wrote, read next to the current Octavia.

The older release goes into a separate virtual environment, which takes
minutes: that is why these tests are among the workers'.
"""

import json
import pathlib
import subprocess
import sys

import pytest

from tests import boards
from tests import commands
from tests import databases
from tests import octavia_board
from tests import probing
from tests.functional.test_inflight_workers import JOB

pytestmark = pytest.mark.workers

OLD = ('octavia>=17,<18', 'taskflow<6', 'redis', 'kazoo', 'etcd3gw',
       'PyMySQL', 'cryptography', 'pytest', 'SQLAlchemy<2.1')


@pytest.fixture(scope='module')
def old(tmp_path_factory):
    """The Python of an environment with Octavia 17 and its TaskFlow."""
    folder = tmp_path_factory.mktemp('octavia17')
    subprocess.run([sys.executable, '-m', 'venv', str(folder)], check=True)
    python = folder / 'bin' / 'python'
    subprocess.run([str(python), '-m', 'pip', 'install', '--quiet', *OLD],
                   check=True, timeout=1200)
    return python


class Cloud:
    """A board, and a database that only the old release has migrated."""

    def __init__(self, old, place, mariadb):
        url, self.sql = databases.mysql(mariadb)
        self.config = place.config(
            {'DEFAULT': {'transport_url': 'fake://'}},
            persistence_connection=url)
        self.old = old
        subprocess.run(
            [str(pathlib.Path(old).with_name('octavia-db-manage')),
             '--config-file', str(self.config), 'upgrade_persistence'],
            check=True, capture_output=True, cwd='/',
            env=commands.environment())

    def post(self, *jobs):
        """Let the old release post jobs."""
        process = octavia_board.start(
            self.config, 'post', python=str(self.old), text=json.dumps([
                {'args': [], 'kwargs': {}, 'store': {}} | job
                for job in jobs]))
        errors = process.communicate(timeout=120)[1]
        assert process.returncode == 0, errors[-3000:]

    def probe(self):
        return probing.probe('inflight', self.config)


@pytest.fixture
def cloud(old, redis, mariadb, write_config):
    place = boards.RedisPlace(redis, *databases.mysql(mariadb),
                              write_config)
    yield Cloud(old, place, mariadb)
    place.close()


def test_what_the_old_release_posted(cloud):
    cloud.post(JOB, JOB)
    found = probing.only(cloud.probe(), 'inflight.jobs-waiting')
    assert found.message.startswith('2 jobs')
    assert boards.LOAD_BALANCER in found.message
    assert boards.PAYLOAD not in repr(found)


def test_what_the_new_release_cannot_build(cloud):
    cloud.post(JOB)
    cloud.sql("UPDATE flowdetails SET meta = REPLACE(meta, "
              "'get_update_listener_flow', 'get_flow_of_seventeen')")
    found = {f.id: f for f in cloud.probe()}
    assert 'get_flow_of_seventeen' in (
        found['inflight.flow-unresolvable'].message)

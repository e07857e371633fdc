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

"""Real work: Octavia's poster, flows, tasks and conductor.

Nova, Neutron and the amphorae are Octavia's own no-op drivers; its database
is real. A lock on a row of it holds a flow in the middle.
"""

import contextlib
import time

import pytest

from tests import boards
from tests import databases
from tests import octavia_board
from tests import probing
from tests.servers import process

pytestmark = pytest.mark.workers

NOOP = {'amphora_driver': 'amphora_noop_driver',
        'compute_driver': 'compute_noop_driver',
        'network_driver': 'network_noop_driver',
        'image_driver': 'image_noop_driver',
        'volume_driver': 'volume_noop_driver'}
JOB = {'factory': boards.LISTENER, 'store': {
    'listener': {'listener_id': octavia_board.LISTENER,
                 'name': boards.PAYLOAD,
                 'loadbalancer_id': boards.LOAD_BALANCER},
    'update_dict': {}, 'listeners': [],
    'loadbalancer_id': boards.LOAD_BALANCER}}


class Cloud:
    """A load balancer in Octavia's database, and a board for its jobs."""

    def __init__(self, place, mariadb, expiration):
        self.place = place
        self.mariadb = mariadb
        self.database = probing.name('octavia_')
        mariadb.execute(f'CREATE DATABASE {self.database}')
        self.config = place.config(
            {'DEFAULT': {'transport_url': 'fake://'},
             'database': {'connection': mariadb.url(
                 database=self.database)},
             'controller_worker': NOOP},
            jobboard_expiration_time=expiration)
        octavia_board.run(self.config, 'tables')

    def sql(self, statements):
        return self.mariadb.execute(statements, self.database)

    def status(self):
        """The provisioning status of the load balancer."""
        return self.sql('SELECT provisioning_status FROM load_balancer')[
            0][0]

    def probe(self):
        return self.place.probe(config=self.config)

    def post(self, count=1):
        octavia_board.post(self.config, *[JOB] * count)

    @contextlib.contextmanager
    def conductor(self, name='conductor'):
        running = octavia_board.start(self.config, 'conduct', name)
        try:
            yield running
        finally:
            running.kill()
            running.communicate()

    @contextlib.contextmanager
    def held(self):
        """Keep any flow from writing to the load balancer's row."""
        with self.mariadb.connect(self.database) as connection:
            connection.autocommit(False)
            with connection.cursor() as cursor:
                cursor.execute('SELECT id FROM load_balancer FOR UPDATE')
            yield
            connection.rollback()

    def atoms(self):
        """Task -> its state, of all flows."""
        return dict(self.mariadb.execute(
            'SELECT name, state FROM atomdetails',
            self.place.url.rpartition('/')[2]))

    def until(self, condition, what):
        process.wait_until(condition, what, 60)


@pytest.fixture
def make_cloud(redis, mariadb, write_config):
    def make(expiration=30):
        place = boards.RedisPlace(redis, *databases.mysql(mariadb),
                                  write_config)
        return Cloud(place, mariadb, expiration)

    return make


@pytest.fixture
def cloud(make_cloud):
    return make_cloud()


def test_worker_killed_in_the_middle_of_a_flow(make_cloud):
    cloud = make_cloud(expiration=8)
    cloud.post()
    waiting = probing.only(cloud.probe(), 'inflight.jobs-waiting')
    assert boards.LOAD_BALANCER in waiting.message
    with cloud.held(), cloud.conductor('first') as running:
        cloud.until(lambda: 'SUCCESS' in [
            state for name, state in cloud.atoms().items()
            if name.endswith('ListenersUpdate')], 'the flow did not begin')
        found = probing.only(cloud.probe(), 'inflight.jobs-claimed')
        assert 'first (1)' in found.message
        assert boards.LOAD_BALANCER in found.message
        running.kill()
        running.wait()
    cloud.until(lambda: probing.ids(cloud.probe()) == [
        'inflight.jobs-orphaned'], 'the job was not seen to be orphaned')
    orphan, = cloud.probe()
    assert boards.LOAD_BALANCER in orphan.message
    assert 'get_update_listener_flow-' in orphan.message
    assert cloud.status() == 'PENDING_UPDATE'
    # What the remedy says: a worker of the same release.
    with cloud.conductor('second'):
        cloud.until(lambda: cloud.probe() == [], 'the flow was not resumed')
    assert cloud.status() == 'ACTIVE'


def test_board_lost_in_the_middle_of_a_flow(cloud):
    cloud.post()
    with cloud.held(), cloud.conductor() as running:
        cloud.until(lambda: 'SUCCESS' in [
            state for name, state in cloud.atoms().items()
            if name.endswith('ListenersUpdate')], 'the flow did not begin')
        running.kill()
        running.wait()
    with cloud.place.server.client() as client:
        client.delete(*client.keys(f'{cloud.place.namespace}*'))
    found = probing.only(cloud.probe(), 'inflight.flow-without-job')
    assert 'get_update_listener_flow-' in found.message
    assert f'(load balancer {boards.LOAD_BALANCER}, ' in found.message
    cloud.place.run_sql(found.remedy)
    assert cloud.probe() == []


def test_what_flow_unresolvable_predicts(cloud):
    """The job in the trash, the logbook gone, the load balancer PENDING."""
    cloud.post()
    cloud.place.sql("UPDATE flowdetails SET meta = REPLACE(meta, "
                    "'get_update_listener_flow', 'get_renamed_flow')")
    found = cloud.probe()
    assert probing.ids(found) == ['inflight.flow-unresolvable',
                                  'inflight.jobs-waiting']
    assert 'get_renamed_flow' in found[0].message
    with cloud.conductor():
        cloud.until(lambda: probing.ids(cloud.probe()) == [
            'inflight.jobs-trashed'], 'the job was not trashed')
    assert cloud.place.state()
    assert cloud.mariadb.execute(
        'SELECT COUNT(*) FROM logbooks',
        cloud.place.url.rpartition('/')[2])[0][0] == 0
    assert cloud.status() == 'PENDING_UPDATE'


def test_what_job_without_logbook_predicts(cloud):
    cloud.post()
    cloud.place.sql('DELETE FROM logbooks')
    found = cloud.probe()
    assert probing.ids(found) == ['inflight.job-without-logbook',
                                  'inflight.jobs-waiting']
    with cloud.conductor():
        cloud.until(lambda: probing.ids(cloud.probe()) == [
            'inflight.jobs-trashed'], 'the job was not trashed')
    assert cloud.status() == 'PENDING_UPDATE'


def test_no_false_alarm_while_workers_are_busy(cloud):
    """Jobs that come and go between two questions are no mismatch."""
    import json
    looks = 0
    with cloud.conductor('one'), cloud.conductor('two'):
        poster = octavia_board.start(
            cloud.config, 'post', text=json.dumps(
                [JOB | {'args': [], 'kwargs': {}}] * 30))
        try:
            end = time.monotonic() + 240
            while time.monotonic() < end:
                ids = set(probing.ids(cloud.probe()))
                assert ids <= {'inflight.jobs-waiting',
                               'inflight.jobs-claimed'}
                looks += bool(ids)
                if poster.poll() is not None and not ids:
                    break
        finally:
            poster.kill()
            errors = poster.communicate()[1]
    assert poster.returncode == 0, errors[-2000:]
    assert looks >= 5
    assert cloud.probe() == []
    assert cloud.status() == 'ACTIVE'

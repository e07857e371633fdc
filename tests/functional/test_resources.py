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

"""Stuck load balancers, in a database with the tables of Octavia itself."""

import re

import pytest

from octavia_v2_checks.checks import resources
from tests import boards
from tests import commands
from tests import databases
from tests import octavia_board
from tests import probing
from tests.servers import scripts

LOAD_BALANCER = octavia_board.LOAD_BALANCER
LISTENER = octavia_board.LISTENER
OLD = "'2020-01-01 00:00:00'"


class Cloud:
    """Octavia's own database, and a board."""

    def __init__(self, place, mariadb, template=None):
        self.place = place
        self.mariadb = mariadb
        self.database = probing.name('octavia_')
        mariadb.execute(f'CREATE DATABASE {self.database}')
        self.url = mariadb.url(database=self.database)
        if template:
            self._copy(template)
        else:
            octavia_board.run(self.config(), 'tables')

    def _copy(self, template):
        """Take over the tables of another, which takes no Octavia."""
        statements = ['SET foreign_key_checks = 0']
        for name, in template.sql('SHOW TABLES'):
            statements += [
                template.sql(f'SHOW CREATE TABLE {name}')[0][1],
                f'INSERT INTO {name} SELECT * FROM '
                f'{template.database}.{name}']
        self.sql('; '.join(statements))

    def config(self, **options):
        return self.place.config(
            {'database': {'connection': self.url}}, **options)

    def sql(self, statements):
        return self.mariadb.execute(statements, self.database)

    def probe(self, **options):
        return probing.probe('resources', self.config(**options))

    def age(self, *tables):
        """Make the state of what is in some tables an old one."""
        for table in tables:
            self.sql(f'UPDATE {table} SET updated_at = {OLD}')


@pytest.fixture(scope='module')
def template(redis, mariadb, tmp_path_factory):
    """A cloud that no test changes."""
    folder = tmp_path_factory.mktemp('template')

    def write(sections, **task_flow):
        path = folder / 'octavia.conf'
        path.write_text(commands.config_text(
            sections | {'task_flow': task_flow}))
        return path

    place = boards.RedisPlace(redis, *databases.mysql(mariadb), write)
    yield Cloud(place, mariadb)
    place.close()


@pytest.fixture
def cloud(redis, mariadb, write_config, template):
    place = boards.RedisPlace(redis, *databases.mysql(mariadb),
                              write_config)
    yield Cloud(place, mariadb, template)
    place.close()


def test_pending(cloud):
    # Requests that have just come are not stuck.
    assert cloud.probe() == []
    cloud.age('load_balancer', 'listener')
    found = probing.only(cloud.probe(), 'resources.pending')
    assert f'load balancer {LOAD_BALANCER} in PENDING_UPDATE' in found.message
    assert f'listener {LISTENER} in PENDING_UPDATE' in found.message
    assert '2020-01-01 00:00:00' in found.message
    assert found.remedy.endswith(
        f'Then: openstack loadbalancer failover {LOAD_BALANCER}')
    run(cloud, found.remedy)
    assert cloud.probe() == []
    assert cloud.sql('SELECT provisioning_status FROM load_balancer') == [
        ('ERROR',)]


def run(cloud, remedy):
    """Run the SQL of a remedy."""
    statements = re.findall(r'UPDATE .*?;', remedy)
    assert statements, remedy
    for statement in statements:
        cloud.sql(statement)


def test_pending_create(cloud):
    """What was never there cannot fail over."""
    cloud.sql("UPDATE load_balancer SET provisioning_status = "
              "'PENDING_CREATE'")
    cloud.age('load_balancer')
    found = probing.only(cloud.probe(), 'resources.pending')
    assert found.remedy.endswith(
        f'openstack loadbalancer delete --cascade {LOAD_BALANCER}')


def test_pending_active(cloud):
    cloud.age('load_balancer', 'listener')
    with cloud.place.board() as board:
        job = cloud.place.post(board, load_balancer='another')
        probing.only(cloud.probe(), 'resources.pending')
        other = cloud.place.post(board)
        found = probing.only(cloud.probe(), 'resources.pending-active')
        assert LOAD_BALANCER in found.message
        # What the remedy says: a worker finishes the job.
        boards.finish(cloud.place, board, [job, other])
        cloud.sql("UPDATE load_balancer SET provisioning_status = 'ACTIVE'; "
                  "UPDATE listener SET provisioning_status = 'ACTIVE'")
    assert cloud.probe() == []


CHILDREN = {
    'pool': ("INSERT INTO pool (id, load_balancer_id, protocol, "
             "lb_algorithm, {columns}) VALUES ('p', '{lb}', 'TCP', "
             "'ROUND_ROBIN', {values})"),
    'member': ("INSERT INTO member (id, pool_id, ip_address, protocol_port, "
               "backup, {columns}) VALUES ('m', 'p', '192.0.2.2', 80, 0, "
               "{values})"),
    'health_monitor': ("INSERT INTO health_monitor (id, pool_id, type, "
                       "delay, timeout, fall_threshold, rise_threshold, "
                       "{columns}) VALUES ('h', 'p', 'TCP', 1, 1, 1, 1, "
                       "{values})"),
    'l7policy': ("INSERT INTO l7policy (id, listener_id, action, position, "
                 "{columns}) VALUES ('y', '{listener}', 'REJECT', 1, "
                 "{values})"),
    'l7rule': ("INSERT INTO l7rule (id, l7policy_id, type, compare_type, "
               "value, invert, {columns}) VALUES ('r', 'y', 'PATH', "
               "'EQUAL_TO', '/', 0, {values})"),
}


def test_children(cloud):
    """Every kind of thing, below a load balancer that is well."""
    cloud.sql("UPDATE load_balancer SET provisioning_status = 'ACTIVE'; "
              "UPDATE listener SET provisioning_status = 'ACTIVE'")
    columns = {
        row[0] for row in cloud.sql(
            "SELECT TABLE_NAME FROM information_schema.COLUMNS WHERE "
            "TABLE_SCHEMA = DATABASE() AND COLUMN_NAME = "
            "'provisioning_status'")}
    assert columns == {table for table, _ in resources._KINDS.values()}
    for table, statement in CHILDREN.items():
        names = 'enabled, provisioning_status, operating_status, updated_at'
        values = f"1, 'PENDING_UPDATE', 'ONLINE', {OLD}"
        if 'health' in table or 'l7' in table:
            names = names.replace('operating_status, ', '')
            values = values.replace("'ONLINE', ", '')
        cloud.sql("SET foreign_key_checks = 0, sql_mode = ''; "
                  + statement.format(columns=names, values=values,
                                     lb=LOAD_BALANCER, listener=LISTENER))
    found = probing.only(cloud.probe(), 'resources.pending')
    for shown in ('pool p', 'member m', 'health monitor h', 'L7 policy y',
                  'L7 rule r'):
        assert f'{shown} in PENDING_UPDATE' in found.message
    assert found.remedy.count(LOAD_BALANCER) == 1
    run(cloud, found.remedy)
    assert cloud.probe() == []


def test_other_providers_are_left_alone(cloud):
    cloud.age('load_balancer', 'listener')
    cloud.sql("UPDATE load_balancer SET provider = 'ovn'")
    assert cloud.probe() == []


def test_without_octavia_s_database(cloud):
    with pytest.raises(probing.NotApplicable) as caught:
        probing.probe('resources', cloud.place.config())
    assert '[database] connection is not set' in caught.value.args[0]


def test_without_a_jobboard(cloud):
    with pytest.raises(probing.NotApplicable):
        cloud.probe(jobboard_enabled=False)


def test_undetermined(cloud, mariadb):
    with scripts.Refuse() as script:
        cloud.url = (f'mysql+pymysql://octavia:secret-9@{script.host}:'
                     f'{script.port}/octavia')
        found = probing.only(cloud.probe(), 'resources.undetermined')
        assert str(script.port) in found.message
        assert found.option == 'database.connection'
        assert 'secret-9' not in repr(found)
    for url in ('nonsense', 'mysql+nodriver://u@h/d'):
        cloud.url = url
        found = probing.only(cloud.probe(), 'resources.undetermined')
        assert 'URL' in found.message
    empty = probing.name('octavia_')
    mariadb.execute(f'CREATE DATABASE {empty}')
    cloud.url = mariadb.url(database=empty)
    found = probing.only(cloud.probe(), 'resources.undetermined')
    assert '1146' in found.message


def test_the_persistence_database(cloud):
    """What config.persistence-shared says is not said a second time."""
    cloud.url = cloud.place.url
    with pytest.raises(probing.Blocked) as caught:
        cloud.probe()
    assert caught.value.cause.id == 'config.persistence-shared'
    assert 'config.persistence-shared' in probing.ids(
        probing.probe('config', cloud.config()))


def test_jobboard_refused(cloud):
    cloud.age('load_balancer')
    with scripts.Refuse() as script:
        with pytest.raises(probing.Blocked) as caught:
            cloud.probe(jobboard_backend_hosts=script.host,
                        jobboard_backend_port=script.port)
    assert caught.value.cause.id == 'jobboard.refused'


def test_nothing_is_changed(cloud):
    cloud.age('load_balancer')
    with cloud.place.board() as board:
        cloud.place.post(board)
        before = cloud.place.state(), cloud.sql(
            'CHECKSUM TABLE load_balancer, listener')
        assert len(cloud.probe()) == 1
        assert before == (cloud.place.state(), cloud.sql(
            'CHECKSUM TABLE load_balancer, listener'))

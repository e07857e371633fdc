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

"""Stuck resources in the tables of each release, and on PostgreSQL.

Octavia's migrations are one line that no release rewrites, so those of the
installed Octavia make the tables of an older release too, when they end at
its last revision. What is in the tables is put there at the first of them,
and goes through the rest of the migrations as it does in an upgrade.
"""

import datetime
from importlib import util
import os
import types

from alembic import command
from alembic import config as alembic_config
from alembic import script
import pytest

from octavia_v2_checks.checks import resources
from octavia_v2_checks.upstream import versions
from tests import boards
from tests import commands
from tests import databases
from tests import octavia_board
from tests import probing
from tests.functional import test_resources

#: Release -> the revision of Octavia's own tables in its first and its last
#: wheel on PyPI: the one that no other file below
#: ``octavia/db/migration/alembic_migrations/versions`` calls its
#: ``down_revision``.
HEADS = {14: 'db2a73e82626', 15: 'db2a73e82626', 16: 'fabf4983846b',
         17: 'fabf4983846b', 18: 'fabf4983846b', 19: 'fabf4983846b'}

ID = boards.LOAD_BALANCER

_STATE = {'provisioning_status': 'ACTIVE', 'enabled': True}
_ONLINE = _STATE | {'operating_status': 'ONLINE'}

#: One of each kind: table -> columns. Parents come first.
ROWS = {
    'load_balancer': _ONLINE | {
        'id': ID, 'name': 'lb', 'provider': 'amphora'},
    'listener': _ONLINE | {
        'id': octavia_board.LISTENER, 'load_balancer_id': ID,
        'protocol': 'TCP', 'protocol_port': 80, 'peer_port': 1025},
    'pool': _ONLINE | {
        'id': 'pool', 'load_balancer_id': ID, 'protocol': 'TCP',
        'lb_algorithm': 'ROUND_ROBIN', 'tls_enabled': False},
    'member': _ONLINE | {
        'id': 'member', 'pool_id': 'pool', 'ip_address': '192.0.2.2',
        'protocol_port': 80, 'backup': False},
    'health_monitor': _ONLINE | {
        'id': 'monitor', 'pool_id': 'pool', 'type': 'TCP', 'delay': 1,
        'timeout': 1, 'fall_threshold': 1, 'rise_threshold': 1},
    'l7policy': _ONLINE | {
        'id': 'policy', 'listener_id': octavia_board.LISTENER,
        'action': 'REJECT', 'position': 1},
    'l7rule': _ONLINE | {
        'id': 'rule', 'l7policy_id': 'policy', 'type': 'PATH',
        'compare_type': 'EQUAL_TO', 'value': '/', 'invert': False},
}


def scripts():
    """The folder of the installed Octavia's own migrations."""
    return os.path.join(os.path.dirname(util.find_spec('octavia').origin),
                        'db', 'migration', 'alembic_migrations')


def inserts(tables):
    """The statements that put rows of ``ROWS`` there."""
    return '; '.join(
        f'INSERT INTO {table} ({", ".join(ROWS[table])}) VALUES '
        f'{tuple(ROWS[table].values())}' for table in tables)


class Cloud(test_resources.Cloud):
    """A database that is there, and a board."""

    def __init__(self, place, server, database, url):
        self.place = place
        self.mariadb = server
        self.database = database
        self.url = url


@pytest.fixture
def place(redis, write_config, tmp_path):
    place = boards.RedisPlace(redis, *databases.sqlite(tmp_path),
                              write_config)
    yield place
    place.close()


class History:
    """One database that goes from release to release."""

    def __init__(self, mariadb):
        self.mariadb = mariadb
        self.database = probing.name('octavia_')
        self.url = mariadb.url(database=self.database)
        mariadb.execute(f'CREATE DATABASE {self.database}')
        self.upgrade(next(iter(HEADS.values())))
        mariadb.execute(inserts(ROWS), self.database)

    def upgrade(self, revision):
        """Run Octavia's own migrations up to a revision."""
        config = alembic_config.Config()
        config.set_main_option('script_location', scripts())
        config.octavia_config = types.SimpleNamespace(
            database=types.SimpleNamespace(connection=self.url))
        command.upgrade(config, revision)
        assert self.mariadb.execute(
            'SELECT version_num FROM alembic_version', self.database) == [
                (revision,)]


@pytest.fixture(scope='module')
def history(mariadb):
    return History(mariadb)


@pytest.fixture(scope='module', params=dict.fromkeys(HEADS.values()),
                ids=lambda revision: '-'.join(
                    str(r) for r, head in HEADS.items() if head == revision))
def release(request, history):
    """The history when it has come to the releases with one revision."""
    history.upgrade(request.param)
    return history


@pytest.fixture
def cloud(release, place):
    return Cloud(place, release.mariadb, release.database, release.url)


def test_heads_are_those_of_the_installed_octavia():
    release = int(versions.installed('octavia').partition('.')[0])
    assert script.ScriptDirectory(
        scripts()).get_current_head() == HEADS[release]


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Nothing changes here between two looks."""
    monkeypatch.setattr(resources, '_PAUSE', 0)


def test_every_kind_in_the_tables_of_a_release(cloud):
    tables = {row[0] for row in cloud.sql(
        "SELECT TABLE_NAME FROM information_schema.COLUMNS WHERE "
        "TABLE_SCHEMA = DATABASE() AND COLUMN_NAME = "
        "'provisioning_status'")}
    assert tables == set(ROWS)
    # A message names no more than five.
    first, *others = ROWS
    stuck(cloud, first, *others[:2])
    stuck(cloud, *others[2:])


@pytest.fixture(scope='module')
def tables_on_postgresql(postgres, tmp_path_factory):
    """A database with the tables of Octavia's models, and their rows.

    Its migrations do not run there: revision ``9bf4d21caaea`` drops the
    constraint ``PRIMARY``, a name that only MySQL gives.
    """
    name = probing.name('octavia_')
    postgres.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'pg-secret'")
    postgres.execute(f'CREATE DATABASE {name} OWNER {name}')
    config = tmp_path_factory.mktemp('models') / 'octavia.conf'
    config.write_text(commands.config_text({'database': {
        'connection': postgres.url(name, 'pg-secret', name)}}))
    octavia_board.run(config, 'tables')
    postgres.execute('SET session_replication_role = replica; ' + inserts(
        list(ROWS)[2:]), name)
    return name


@pytest.fixture(params=['postgresql+psycopg2', 'postgresql+psycopg'])
def on_postgresql(request, postgres, tables_on_postgresql, place):
    name = probing.name('octavia_')
    postgres.execute(f'CREATE DATABASE {name} TEMPLATE '
                     f'{tables_on_postgresql}')
    return Cloud(place, postgres, name, postgres.url(
        tables_on_postgresql, 'pg-secret', name, driver=request.param))


def test_every_kind_on_postgresql(on_postgresql):
    first, *others = ROWS
    stuck(on_postgresql, first, *others[:2])
    stuck(on_postgresql, *others[2:])


def test_account_that_may_not_read_all(cloud):
    user = probing.name('reader')
    cloud.sql(f"CREATE USER {user} IDENTIFIED BY 'secret-9'; " + '; '.join(
        f'GRANT SELECT ON {table} TO {user}' for table in list(ROWS)[:-1]))
    cloud.url = cloud.mariadb.url(user, 'secret-9', cloud.database)
    denied(cloud, f"`{cloud.database}`.* TO '{user}'@'%'")


def test_account_that_may_not_read_all_on_postgresql(on_postgresql,
                                                     postgres):
    cloud = on_postgresql
    user = probing.name('reader')
    cloud.sql(f"CREATE ROLE {user} LOGIN PASSWORD 'secret-9'; GRANT SELECT "
              f'ON {", ".join(list(ROWS)[:-1])} TO {user}')
    cloud.url = postgres.url(user, 'secret-9', cloud.database)
    denied(cloud, f'TO "{user}"')


def denied(cloud, account):
    """See that what cannot be read is no pass, and let it be read."""
    found = probing.only(cloud.probe(), 'resources.undetermined')
    assert 'may not read its tables' in found.message
    assert 'secret-9' not in repr(found)
    assert account in found.remedy
    cloud.sql(found.remedy)
    assert cloud.probe() == []


def stuck(cloud, *tables):
    """See what is in some tables well, stuck, and fixed."""
    assert cloud.probe() == []
    now = datetime.datetime.now(datetime.timezone.utc)
    for table in tables:
        cloud.sql(f'UPDATE {table} SET provisioning_status = '
                  f"'PENDING_UPDATE', updated_at = '{now:%F %T}'")
    assert cloud.probe() == []
    cloud.age(*tables)
    found = probing.only(cloud.probe(), 'resources.pending')
    kinds = {table: kind for kind, (table, _) in resources._KINDS.items()}
    for table in tables:
        (id_,), = cloud.sql(f'SELECT id FROM {table}')
        assert (f'{kinds[table]} {id_} in PENDING_UPDATE since 2020-01-01'
                in found.message)
    assert f'openstack loadbalancer failover {ID}' in found.remedy
    test_resources.run(cloud, found.remedy)
    assert cloud.probe() == []
    for table in tables:
        assert cloud.sql(f'SELECT provisioning_status FROM {table}') == [
            ('ERROR',)]

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

"""The migration check, and the rights that a pending migration needs."""

import pytest

from tests import migrations
from tests import mysql_probing as mysql
from tests import probing


@pytest.fixture
def mysql_place(mariadb, write_config):
    return migrations.MySQL(mariadb, write_config)


def test_upgrade_privileges(mysql_place):
    spot = mysql_place
    spot.server.execute(
        f'REVOKE ALL PRIVILEGES ON {spot.database}.* FROM {spot.account}; '
        f'GRANT SELECT, INSERT, UPDATE, DELETE ON {spot.database}.* TO '
        f'{spot.account}')
    found = spot.probe()
    assert probing.ids(found) == ['migration.uninitialised',
                                  'migration.upgrade-privileges']
    assert 'CREATE' in found[1].message
    spot.sql(found[1].remedy)
    assert probing.ids(spot.probe()) == ['migration.uninitialised']
    migrations.run_remedy(spot, found[0].remedy)
    assert spot.probe() == []


@pytest.mark.parametrize('level', [6, 9])
def test_upgrade_privileges_later(mysql_place, level):
    spot = mysql_place
    migrations.migrate(spot.url, migrations.IDS[level])
    spot.server.execute(
        f'REVOKE ALL PRIVILEGES ON {spot.database}.* FROM {spot.account}; '
        f'GRANT SELECT, INSERT, UPDATE, DELETE ON {spot.database}.* TO '
        f'{spot.account}')
    behind, rights = spot.probe()
    assert rights.id == 'migration.upgrade-privileges'
    spot.sql(rights.remedy)
    assert probing.ids(spot.probe()) == ['migration.behind']
    migrations.run_remedy(spot, behind.remedy)
    assert spot.probe() == []


def test_rights_through_a_role_are_no_warning(mysql_place):
    spot = mysql_place
    role = probing.name('role')
    spot.server.execute(
        f'REVOKE ALL PRIVILEGES ON {spot.database}.* FROM {spot.account}; '
        f'CREATE ROLE {role}; GRANT {mysql.ALL} ON {spot.database}.* TO '
        f'{role}; GRANT {role} TO {spot.account}; SET DEFAULT ROLE {role} '
        f'FOR {spot.account}')
    assert probing.ids(spot.probe()) == ['migration.uninitialised']


def test_upgrade_privileges_on_postgresql(postgres, write_config):
    spot = migrations.PostgreSQL(postgres, write_config)
    other = probing.name('octavia')
    postgres.execute(f"CREATE ROLE {other} LOGIN PASSWORD 'pg-secret'")
    spot.url = postgres.url(other, 'pg-secret', spot.database)
    found = spot.probe()
    assert probing.ids(found) == ['migration.uninitialised',
                                  'migration.upgrade-privileges']
    spot.sql(found[1].remedy)
    assert probing.ids(spot.probe()) == ['migration.uninitialised']
    migrations.run_remedy(spot, found[0].remedy)
    assert spot.probe() == []


def test_tables_of_another_owner(postgres, write_config):
    spot = migrations.PostgreSQL(postgres, write_config)
    migrations.migrate(spot.url, migrations.IDS[7])
    other = probing.name('octavia')
    postgres.execute(f"CREATE ROLE {other} LOGIN PASSWORD 'pg-secret'")
    spot.sql(f'GRANT ALL ON ALL TABLES IN SCHEMA public TO {other}')
    spot.sql(f'GRANT CREATE ON SCHEMA public TO {other}')
    spot.url = postgres.url(other, 'pg-secret', spot.database)
    _, rights = spot.probe()
    assert rights.id == 'migration.upgrade-privileges'
    for statement in rights.remedy.split(';'):
        if statement.strip():
            spot.sql(statement)
    assert probing.ids(spot.probe()) == ['migration.behind']

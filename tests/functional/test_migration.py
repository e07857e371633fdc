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

"""The migration check, on databases that TaskFlow itself has migrated."""

import os
import shlex
import subprocess
import sys

import pytest
import sqlalchemy

from octavia_v2_checks import clock
from octavia_v2_checks import settings
from octavia_v2_checks.upstream import revisions
from tests import migrations
from tests import mysql_probing as mysql
from tests import probing


@pytest.fixture(params=['mysql', 'postgresql'])
def place(request, write_config):
    server = request.getfixturevalue(
        {'mysql': 'mariadb', 'postgresql': 'postgres'}[request.param])
    kind = {'mysql': migrations.MySQL,
            'postgresql': migrations.PostgreSQL}[request.param]
    return kind(server, write_config)


@pytest.fixture
def mysql_place(mariadb, write_config):
    return migrations.MySQL(mariadb, write_config)


def test_the_built_in_chain_is_that_of_the_installed_taskflow():
    from alembic import script
    import taskflow.persistence.backends.sqlalchemy as package
    folder = os.path.join(os.path.dirname(package.__file__), 'alembic')
    scripts = script.ScriptDirectory(folder)
    theirs = [r.revision for r in scripts.walk_revisions()][::-1]
    assert [r.id for r in revisions.chain()] == theirs
    assert theirs[:len(migrations.IDS)] == migrations.IDS


def test_reading_the_chain_imports_nothing():
    code = ('import sys; from octavia_v2_checks.upstream import revisions; '
            'assert len(revisions.chain()) >= 11; revisions.octavia_ids(); '
            'sys.exit(any(m in sys.modules for m in '
            '("taskflow", "alembic", "sqlalchemy", "octavia.db")))')
    assert subprocess.run([sys.executable, '-c', code]).returncode == 0


def test_octavia_head_is_known():
    assert revisions.OCTAVIA_HEAD in revisions.octavia_ids()
    assert len(revisions.octavia_ids()) > 50


def test_uninitialised(place):
    found = probing.only(place.probe(), 'migration.uninitialised')
    assert place.database in found.message
    migrations.run_remedy(place, found.remedy)
    assert place.probe() == []


def test_behind(place):
    """At every revision; the remedy is run at one of them."""
    for level, revision in enumerate(migrations.IDS[:-1]):
        migrations.migrate(place.url, revision)
        found = probing.only(place.probe(), 'migration.behind')
        assert revision in found.message
        for pending in revisions.KNOWN[level + 1:]:
            assert pending.id in found.message
            assert pending.brings in found.message
    migrations.run_remedy(place, found.remedy)
    assert place.probe() == []


@pytest.fixture
def broken_taskflow(older_client):
    """A function: TaskFlow looks like a release that cannot migrate."""
    def pretend(version='6.0.0'):
        older_client(version, 'taskflow')

    return pretend


def sound(spot, remedy):
    """Do what a remedy says, with pip already done: this TaskFlow is sound.
    """
    pip, _, command = remedy.partition(' && ')
    assert pip == (f"{shlex.quote(sys.executable)} -m pip install "
                   f"'taskflow~=6.0.1'")
    migrations.run_remedy(spot, command)


def test_taskflow_that_cannot_migrate(mysql_place, broken_taskflow):
    """tests/functional/test_broken.py does so with the real release."""
    broken_taskflow()
    found = mysql_place.probe()
    assert probing.ids(found) == ['migration.uninitialised',
                                  'migration.taskflow-broken']
    assert 'TaskFlow 6.0.0' in found[1].message
    assert found[0].remedy.startswith(f'{found[1].remedy} && ')
    migrations.migrate(mysql_place.url, migrations.IDS[9])
    found = mysql_place.probe()
    assert probing.ids(found) == ['migration.behind',
                                  'migration.taskflow-broken']
    sound(mysql_place, found[0].remedy)
    # Nothing is pending, so there is nothing that it cannot do.
    assert mysql_place.probe() == []


def test_no_remedy_has_a_command_that_fails(mysql_place, broken_taskflow):
    broken_taskflow()
    migrations.migrate(mysql_place.url, migrations.IDS[9])
    mysql_place.sql(f"UPDATE alembic_version SET version_num = "
                    f"'{migrations.HEAD}'")
    found = probing.only(mysql_place.probe(), 'migration.incomplete')
    sql, _, command = found.remedy.rpartition(' then run ')
    for statement in sql.split(';'):
        if statement.strip():
            mysql_place.sql(statement)
    sound(mysql_place, command)
    assert mysql_place.probe() == []


def test_the_same_taskflow_on_postgresql(postgres, write_config,
                                         broken_taskflow):
    spot = migrations.PostgreSQL(postgres, write_config)
    broken_taskflow()
    probing.only(spot.probe(), 'migration.uninitialised')


def test_old_taskflow_with_sqlalchemy_2(place, broken_taskflow,
                                        older_client):
    older_client('2.0.54', 'SQLAlchemy')
    broken_taskflow('5.6.1')
    found = place.probe()
    assert probing.ids(found) == ['migration.uninitialised',
                                  'migration.taskflow-broken']
    assert shlex.split(found[1].remedy)[-1] == 'taskflow~=5.7.0'
    older_client('1.4.54', 'SQLAlchemy')
    probing.only(place.probe(), 'migration.uninitialised')


def test_head(place):
    migrations.migrate(place.url, 'head')
    assert place.probe() == []


@pytest.mark.parametrize('change', [
    None, 'DELETE FROM alembic_version', 'DROP TABLE alembic_version',
    "INSERT INTO alembic_version VALUES ('40fc8c914bd2')"])
def test_alembic_reads_the_same(place, change):
    """Whose import would take as long as all the rest."""
    from alembic.runtime import migration as alembic_migration

    from octavia_v2_checks.backends import database
    from octavia_v2_checks.checks import migration
    migrations.migrate(place.url, migrations.HEAD)
    if change:
        place.sql(change)
    engine = sqlalchemy.create_engine(place.url)
    with engine.connect() as connection:
        heads = alembic_migration.MigrationContext.configure(
            connection).get_current_heads()
    engine.dispose()
    run = clock.Deadline(20, 5)
    with database.shared(place.url, run) as base:
        look = migration._Look(base, settings.load([(
            'file', str(place.config()))]))
    run.close()
    assert look.versions == sorted(heads)


def test_older_taskflow_installed(place, monkeypatch):
    """A database from the future, as an old release sees it."""
    migrations.migrate(place.url, 'head')
    monkeypatch.setattr(revisions, 'chain', lambda: revisions.KNOWN[:-1])
    found = probing.only(place.probe(), 'migration.ahead')
    assert migrations.HEAD in found.message
    assert found.remedy == "pip install 'taskflow>=6.0.1'"


def test_revision_from_the_future(place):
    migrations.migrate(place.url, 'head')
    place.sql("UPDATE alembic_version SET version_num = 'feedfacecafe'")
    found = probing.only(place.probe(), 'migration.ahead')
    assert 'feedfacecafe' in found.message


def test_octavia_installed_first(mysql_place, octavia_db_manage):
    spot = mysql_place
    config = spot.write_config(
        sections={'database': {'connection': spot.url}},
        jobboard_enabled=True, persistence_connection=spot.url)
    octavia_db_manage(config, 'upgrade', 'head')
    found = probing.only(spot.probe(), 'migration.foreign')
    assert 'octavia_persistence' in found.remedy


def test_octavia_beside_taskflow(place):
    """TaskFlow's revision, but Octavia's tables are there too."""
    migrations.migrate(place.url, 'head')
    place.sql('CREATE TABLE load_balancer (id VARCHAR(36))')
    probing.only(place.probe(), 'migration.foreign')


def test_revision_of_octavia_without_its_tables(place):
    migrations.migrate(place.url, 'head')
    place.sql(f"UPDATE alembic_version SET version_num = "
              f"'{revisions.OCTAVIA_HEAD}'")
    found = probing.only(place.probe(), 'migration.foreign')
    assert revisions.OCTAVIA_HEAD in found.message


def test_foreign_remedy(mariadb, write_config):
    """Run its SQL, follow its words, and see success."""
    spot = migrations.MySQL(mariadb, write_config)
    migrations.migrate(spot.url, 'head')
    spot.sql('CREATE TABLE load_balancer (id VARCHAR(36))')
    found = probing.only(spot.probe(), 'migration.foreign')
    sql, _, rest = found.remedy.partition('; then name ')
    new = rest.split()[0]
    spot.server.execute(sql)
    try:
        spot.database = new
        migrations.run_remedy(spot, f'octavia-db-manage --config-file '
                              f'{spot.config()} upgrade_persistence')
        assert spot.probe() == []
    finally:
        spot.server.execute(f'DROP DATABASE {new}')


@pytest.mark.parametrize('damage', [
    'DROP TABLE atomdetails',
    'ALTER TABLE flowdetails DROP COLUMN state',
    'ALTER TABLE atomdetails DROP COLUMN revert_failure',
])
def test_incomplete(place, damage):
    migrations.migrate(place.url, 'head')
    place.sql(damage)
    found = probing.only(place.probe(), 'migration.incomplete')
    assert damage.split()[-1] in found.message


@pytest.mark.parametrize('damage, named', [
    ('ALTER TABLE atomdetails MODIFY results TEXT', 'atomdetails.results'),
    ('ALTER TABLE flowdetails DROP INDEX flowdetails_uuid_idx',
     'flowdetails_uuid_idx'),
    ('ALTER TABLE logbooks DROP INDEX logbook_uuid_idx, ADD INDEX '
     'logbook_uuid_idx (uuid)', 'unique index logbook_uuid_idx'),
])
def test_incomplete_on_mysql(mysql_place, damage, named):
    migrations.migrate(mysql_place.url, 'head')
    mysql_place.sql(damage)
    found = probing.only(mysql_place.probe(), 'migration.incomplete')
    assert named in found.message


@pytest.mark.parametrize('level', [6, 8, 9])
def test_stamped_but_not_migrated(mysql_place, level):
    """The remedy sets the true revision and migrates from there."""
    migrations.migrate(mysql_place.url, migrations.IDS[level])
    mysql_place.sql(f"UPDATE alembic_version SET version_num = "
                    f"'{migrations.HEAD}'")
    found = probing.only(mysql_place.probe(), 'migration.incomplete')
    assert f"'{migrations.IDS[level]}'" in found.remedy
    migrations.run_remedy(mysql_place, found.remedy)
    assert mysql_place.probe() == []


@pytest.mark.parametrize('damage', [
    'DROP TABLE alembic_version', 'DELETE FROM alembic_version',
    f"INSERT INTO alembic_version VALUES ('{migrations.IDS[3]}')"])
def test_lost_version(place, damage):
    migrations.migrate(place.url, 'head')
    place.sql(damage)
    found = probing.only(place.probe(), 'migration.incomplete')
    migrations.run_remedy(place, found.remedy)
    assert place.probe() == []


def test_blocked_while_the_database_is_refused(write_config):
    from tests.servers import scripts
    with scripts.Refuse() as script:
        config = write_config(
            jobboard_enabled=True, persistence_connection=mysql.url(
                script.host, script.port))
        with pytest.raises(probing.Blocked) as caught:
            probing.probe('migration', config)
        cause = caught.value.cause
        assert cause.id == 'persistence.refused'
        assert cause.host == f'{script.host}:{script.port}'


def test_nothing_is_asked_without_a_jobboard(write_config):
    config = write_config(persistence_connection='mysql+pymysql://u@h/d')
    for check in ('persistence', 'migration'):
        with pytest.raises(probing.NotApplicable):
            probing.probe(check, config)


def test_settings_are_named_in_the_command(mysql_place):
    config = mysql_place.config()
    loaded = settings.load([('file', str(config))])
    assert loaded.config_args == f' --config-file {config}'

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

"""A lock keeps a query waiting: the server answers all the while."""

import contextlib
import re
import sqlite3
import time

import pytest

from octavia_v2_checks import clock
from octavia_v2_checks import settings
from octavia_v2_checks.checks import migration
from octavia_v2_checks.checks import persistence
from octavia_v2_checks.findings import Finding
from tests import boards
from tests import cells
from tests import databases
from tests import migrations
from tests import mysql_probing as mysql
from tests import probing
from tests.functional import test_persistence_postgres as postgres_tests
from tests.servers import mariadb as mariadb_server
from tests.servers import pgbouncer
from tests.servers import process

LOCKED = 'persistence.locked'


def migrated(spot):
    migrations.migrate(spot.server.url(
        spot.user, mysql.PASSWORD, spot.database), 'head')
    return spot


@contextlib.contextmanager
def holding(server, database, *statements):
    """Keep a lock in a session of the administrator."""
    connection = server.connect(database)
    with contextlib.suppress(Exception):
        connection.autocommit = False  # psycopg2; PyMySQL has a method
    try:
        for statement in statements:
            connection.cursor().execute(statement)
        yield connection
    finally:
        with contextlib.suppress(Exception):
            connection.close()


def waiting(found):
    """The finding, which blames the lock and not the network."""
    found = probing.only(found, LOCKED)
    assert 'answers' in found.message and 'lock' in found.message
    assert 'firewall' not in f'{found.message} {found.remedy}'
    return found


@pytest.fixture(scope='module')
def watched():
    """A MariaDB on which everybody may see who holds locks."""
    with mariadb_server.MariaDB(
            plugin_load_add='metadata_lock_info') as server:
        yield server


LOCKS = {
    'tables-of-a-backup': ('LOCK TABLES logbooks WRITE',),
    'tables-for-reading': ('LOCK TABLES flowdetails READ',),
    'all-for-reading': ('FLUSH TABLES WITH READ LOCK',),
}


@pytest.mark.parametrize('lock', LOCKS)
def test_mariadb(watched, write_config, lock):
    spot = migrated(mysql.Place(watched, write_config))
    assert spot.probe() == []
    with holding(watched, spot.database, *LOCKS[lock]) as holder:
        begin = time.monotonic()
        found = waiting(spot.probe())
        assert time.monotonic() - begin < 20 + 1
        session = str(holder.thread_id())
        assert f'session {session}' in found.message
        # Nothing of ours goes on there; the server notices in a moment.
        process.wait_until(lambda: not watched.execute(
            "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = "
            f"'{spot.user}'"), 'our session goes on', 5)
        watched.execute(re.search(r'KILL \d+;', found.remedy)[0])
        assert f'KILL {session};' in found.remedy
        assert spot.probe() == []


def test_mariadb_tells_what_the_account_may_see(mariadb, write_config):
    """Without the privilege to see it, the finding tells so, and how to see
    it.
    """
    spot = migrated(mysql.Place(mariadb, write_config))
    with holding(mariadb, spot.database, 'LOCK TABLES atomdetails WRITE'):
        found = waiting(spot.probe())
        assert 'may not see who holds it' in found.message
        assert 'SHOW FULL PROCESSLIST' in found.remedy
    assert spot.probe() == []


def test_mariadb_with_performance_schema(write_config):
    with mariadb_server.MariaDB(
            performance_schema='ON', performance_schema_instrument=(
                'wait/lock/metadata/sql/mdl=ON')) as server:
        spot = migrated(mysql.Place(server, write_config))
        server.execute(f'GRANT SELECT ON performance_schema.* TO '
                       f'{spot.account}')
        with holding(server, spot.database, 'LOCK TABLES logbooks WRITE'
                     ) as holder:
            found = waiting(spot.probe())
            assert (f"session {holder.thread_id()} of 'root'"
                    in found.message)
            assert 'on logbooks' in found.message
            server.execute(re.search(r'KILL \d+;', found.remedy)[0])
            assert spot.probe() == []


def test_mariadb_schema_change_of_the_same_account(mariadb, write_config):
    """One that waits itself, behind somebody's open transaction."""
    import threading
    spot = migrated(mysql.Place(mariadb, write_config))
    with holding(mariadb, spot.database, 'BEGIN',
                 'SELECT * FROM logbooks'):
        import pymysql
        change = pymysql.connect(
            host=mariadb.host, port=mariadb.port, user=spot.user,
            password=mysql.PASSWORD, database=spot.database)

        def alter():
            with contextlib.suppress(pymysql.MySQLError):
                change.cursor().execute(
                    'ALTER TABLE logbooks ADD COLUMN canary_77 INT')

        thread = threading.Thread(target=alter)
        thread.start()
        while not mariadb.execute(
                'SELECT 1 FROM information_schema.PROCESSLIST WHERE STATE '
                "LIKE 'Waiting for table metadata%'"):
            time.sleep(0.02)
        found = waiting(spot.probe())
        assert f'session {change.thread_id()}' in found.message
        assert 'ALTER TABLE' in found.message
        assert 'canary_77' not in repr(found)
        mariadb.execute(re.search(r'KILL \d+;', found.remedy)[0])
        thread.join(10)
        assert spot.probe() == []


@pytest.fixture(params=['postgresql+psycopg2', 'postgresql+psycopg'])
def driver(request):
    return request.param


@pytest.mark.parametrize('mode', ['ACCESS EXCLUSIVE', 'SHARE'])
def test_postgresql(postgres, write_config, driver, mode):
    spot = migrated(postgres_tests.Place(postgres, write_config, driver))
    assert spot.probe() == []
    with holding(postgres, spot.database,
                 f'LOCK TABLE flowdetails IN {mode} MODE') as holder:
        begin = time.monotonic()
        found = waiting(spot.probe())
        assert time.monotonic() - begin < 20 + 1
        assert (f"session {holder.info.backend_pid} of 'postgres'"
                in found.message)
        assert 'on flowdetails' in found.message
        assert busy(postgres, spot) == []
        postgres.execute(re.search(r'SELECT pg_\w+\(\d+\);', found.remedy)[0])
        assert spot.probe() == []


def busy(server, spot):
    """What the account's sessions do."""
    return server.execute(
        "SELECT query FROM pg_stat_activity WHERE state <> 'idle' AND "
        f"usename = '{spot.user}'")


def test_behind_pgbouncer(postgres, write_config, driver):
    """No query continues there, and no limit stays on its connections."""
    spot = migrated(postgres_tests.Place(postgres, write_config, driver))
    with pgbouncer.PgBouncer(postgres, {spot.user: mysql.PASSWORD},
                             default_pool_size=1) as pool:
        def probe():
            return probing.probe('persistence', write_config(
                jobboard_enabled=True, persistence_connection=pool.url(
                    spot.user, mysql.PASSWORD, spot.database,
                    driver=driver)))

        assert probe() == []
        with holding(postgres, spot.database, 'LOCK TABLE logbooks IN '
                     'ACCESS EXCLUSIVE MODE'):
            waiting(probe())
            assert busy(postgres, spot) == []
        assert probe() == []
        import psycopg2
        worker = psycopg2.connect(
            host=pool.host, port=pool.port, user=spot.user,
            password=mysql.PASSWORD, dbname=spot.database)
        with contextlib.closing(worker), worker.cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('statement_timeout'), "
                "current_setting('lock_timeout'), "
                "current_setting('default_transaction_read_only')")
            assert cursor.fetchone() == ('0', '0', 'off')


def test_a_question_that_takes_too_long(postgres, write_config, driver):
    """It is a matter of time, not of the network."""
    from octavia_v2_checks.backends import database
    from octavia_v2_checks.backends import net
    spot = postgres_tests.Place(postgres, write_config, driver)
    run = clock.Deadline(20, 2)
    base = database.Database(settings.load([(
        'file', str(spot.config()))]).get('persistence_connection'), run)
    base.connect()
    with pytest.raises(net.Fault) as caught:
        base.rows('SELECT pg_sleep(60)')
    assert caught.value.slug == 'timeout'
    assert 'answers, and did not finish' in caught.value.text
    assert 'firewall' not in caught.value.remedy
    assert busy(postgres, spot) == []
    # The next question is asked all the same.
    assert base.rows('SELECT 1') == [(1,)]
    run.close()


def test_sqlite(write_config, tmp_path):
    path = tmp_path / 'persistence.db'
    url = f'sqlite:///{path}'
    migrations.migrate(url, 'head')
    config = write_config(jobboard_enabled=True, persistence_connection=url)
    assert probing.probe('persistence', config) == []
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute('BEGIN EXCLUSIVE')
    waiting(probing.probe('persistence', config))
    writer.execute('ROLLBACK')
    writer.close()
    assert probing.probe('persistence', config) == []


def test_rows_share_the_finding(mariadb, redis, write_config):
    """No check waits twice, and none has another cause."""
    spot = migrated(mysql.Place(mariadb, write_config))
    place = boards.RedisPlace(redis, *databases.mysql(mariadb),
                              write_config)
    config = place.config(persistence_connection=mariadb.url(
        spot.user, mysql.PASSWORD, spot.database))
    with holding(mariadb, spot.database, 'LOCK TABLES logbooks WRITE, '
                 'flowdetails WRITE, atomdetails WRITE, alembic_version '
                 'WRITE'):
        outcome = cells.check(config, timeout=3)
    assert outcome.ids == [LOCKED]
    blocked = [row for row in outcome.document['checks']
               if 'Not checked' in (row['details'] or '')]
    assert [row['id'] for row in blocked] == ['migration', 'inflight']
    assert outcome.seconds < 8
    place.close()


def test_checks_of_one_run_wait_once(mariadb, write_config):
    spot = migrated(mysql.Place(mariadb, write_config))
    loaded = settings.load([('file', str(spot.config()))])
    run = clock.Deadline(20, 5)
    with holding(mariadb, spot.database, 'LOCK TABLES logbooks WRITE, '
                 'alembic_version WRITE'):
        begin = time.monotonic()
        found = [f for f in persistence.check(loaded, run)
                 if isinstance(f, Finding)]
        waited = time.monotonic()
        with pytest.raises(probing.Blocked) as caught:
            list(migration.check(loaded, run))
        assert time.monotonic() - waited < waited - begin
    run.close()
    assert caught.value.is_by(waiting(found))

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

"""The whole command changes nothing: no server, no file, healthy or not."""

import contextlib
import hashlib
import os
import re

import pytest

from octavia_v2_checks.backends.redis import wire
from tests import boards
from tests import cells
from tests import commands
from tests import databases
from tests import octavia_board
from tests import worker_board
from tests.functional import test_etcd
from tests.functional import test_redis_reads_only
from tests.functional import test_zookeeper
from tests.servers import etcd as etcd_server
from tests.servers import mariadb as mariadb_server
from tests.servers import postgres as postgres_server
from tests.servers import redis as redis_server
from tests.servers import zookeeper as zookeeper_server

READING = {'SELECT', 'SHOW', 'SET', 'DESCRIBE', 'EXPLAIN'}


class MariaDB:
    """Watches a MariaDB: its tables, and the log of its statements."""

    def __init__(self, server):
        self.server = server

    def state(self):
        tables = self.server.execute(
            'SELECT table_schema, table_name, auto_increment, create_time '
            'FROM information_schema.tables WHERE table_schema NOT IN '
            "('information_schema', 'performance_schema', 'sys', 'mysql') "
            'ORDER BY 1, 2')
        names = [f'`{schema}`.`{table}`' for schema, table, *_ in tables]
        return tables, self.server.execute(
            'CHECKSUM TABLE ' + ', '.join(
                [*names, 'mysql.global_priv', 'mysql.db']))

    @contextlib.contextmanager
    def watch(self):
        before = self.state()
        start = self.server.general_log.stat().st_size
        yield
        with self.server.general_log.open('rb') as log:
            log.seek(start)
            said = log.read().decode(errors='replace')
        assert self.state() == before
        ran = re.findall(r'\t *\d+ (\w+(?: DB)?)\t(\w*)', said)
        assert {kind for kind, _ in ran} <= {'Connect', 'Quit', 'Query',
                                             'Init DB'}
        assert {word.upper() for kind, word in ran if kind == 'Query'
                } <= READING


class PostgreSQL:
    """Watches a PostgreSQL likewise."""

    def __init__(self, server, database):
        self.server = server
        self.database = database

    def state(self):
        def ask(sql):
            return self.server.execute(sql, self.database)

        tables = ask('SELECT relname FROM pg_stat_user_tables ORDER BY 1')
        return ([(table, ask(f'SELECT t::text FROM {table} t ORDER BY 1'))
                 for table, in tables],
                ask('SELECT oid, relname, relfilenode FROM pg_class ORDER BY '
                    '1'),
                # Whoever writes, and then undoes it, uses up a number.
                ask('SELECT pg_snapshot_xmax(pg_current_snapshot())'))

    @contextlib.contextmanager
    def watch(self):
        before = self.state()
        start = len(self.server.log.read_text())
        yield
        said = self.server.log.read_text()[start:]
        assert self.state() == before
        ran = re.findall(r'LOG: +(?:statement|execute \S+): (\w+)', said)
        assert {word.upper() for word in ran} <= READING | {'BEGIN',
                                                            'ROLLBACK'}
        assert not re.findall(r'LOG: .*: BEGIN(?! READ ONLY)', said)


class SQLite:
    """Watches a file, and its directory."""

    def __init__(self, folder):
        self.folder = folder

    def state(self):
        return {path.name: (hashlib.sha256(path.read_bytes()).digest(),
                            path.stat().st_mtime_ns)
                for path in self.folder.iterdir()
                if path.name.startswith('persistence.db')}

    @contextlib.contextmanager
    def watch(self):
        before = self.state()
        assert before
        yield
        assert self.state() == before


@contextlib.contextmanager
def watch_redis(place):
    def changes():
        return place.server.client().info('persistence')[
            'rdb_changes_since_last_save']

    before = place.state(), changes()
    assert before[0]
    place.server.command('CONFIG RESETSTAT')
    yield
    ran = {name for name, calls in test_redis_reads_only.commands_run(
        place.server).items() if calls}
    assert ran - {'CONFIG RESETSTAT', 'CLIENT SETINFO'} <= wire.READS
    assert (place.state(), changes()) == before


@contextlib.contextmanager
def watch_zookeeper(place):
    before = place.state()
    with test_zookeeper._only_sessions(place.server):
        yield
        assert place.state() == before


@contextlib.contextmanager
def watch_etcd(place):
    before = test_etcd._everything(place.server)
    yield
    assert test_etcd._everything(place.server) == before


class Desk:
    """Runs commands where any file that they leave is seen."""

    def __init__(self, folder, *watches):
        self.places = {name: folder / name
                       for name in ('cwd', 'HOME', 'TMPDIR',
                                    'XDG_CACHE_HOME', 'XDG_CONFIG_HOME')}
        for path in self.places.values():
            path.mkdir()
        self.watches = watches

    def run(self, config, code, *ids):
        """Look at a configuration, while all servers are watched.

        :param ids: some of the findings that there must be
        """
        environment = {name: str(path) for name, path in self.places.items()
                       if name != 'cwd'}
        with contextlib.ExitStack() as stack:
            for watch in self.watches:
                stack.enter_context(watch())
            outcome = cells.launch(
                commands.script('octavia-v2-checks'), '--config-file',
                str(config), 'upgrade', 'check', '--json',
                cwd=self.places['cwd'], **environment)
        assert outcome.code == code, outcome.text
        assert set(ids) <= set(outcome.ids), outcome.ids
        assert not [os.path.join(where, name)
                    for path in self.places.values()
                    for where, folders, files in os.walk(path)
                    for name in folders + files]
        return outcome


@contextlib.contextmanager
def work(place, **claim):
    """Jobs that wait, that are claimed, in the trash, and without a flow."""
    with place.board() as board:
        place.post(board)
        board.claim(place.post(board, state='RUNNING'), 'worker', **claim)
        thrown = place.post(board)
        board.claim(thrown, 'worker', **claim)
        worker_board.known(board, board.trash, thrown, 'worker')
        lost = place.post(board)
        with place.persistence() as connection:
            connection.destroy_logbook(lost.book.uuid)
        place.save(state='RUNNING')
        yield


IN_FLIGHT = ('inflight.jobs-waiting', 'inflight.jobs-claimed',
             'inflight.jobs-trashed', 'inflight.job-without-logbook',
             'inflight.flow-without-job')


def test_redis_and_mariadb(write_config, tmp_path):
    with (redis_server.Redis() as redis,
          mariadb_server.MariaDB(general_log=True) as server):
        place = boards.RedisPlace(redis, *databases.mysql(server),
                                  write_config)
        name = place.url.rpartition('/')[2]
        server.execute(
            "CREATE DATABASE octavia; CREATE USER least IDENTIFIED BY 'l'; "
            "CREATE USER reader IDENTIFIED BY 'r'; "
            f'GRANT SELECT, INSERT, UPDATE, DELETE ON {name}.* TO least; '
            f'GRANT SELECT ON {name}.* TO reader; '
            'GRANT SELECT ON octavia.* TO least; CREATE DATABASE empty; '
            'GRANT SELECT, INSERT, UPDATE, DELETE ON empty.* TO least')
        octavia = {'database': {'connection': server.url(
            'least', 'l', 'octavia')}}
        octavia_board.run(place.config(
            {'database': {'connection': server.url(database='octavia')}}),
            'tables')
        server.execute('UPDATE load_balancer SET updated_at = '
                       "'2020-01-01 00:00:00'", 'octavia')
        desk = Desk(tmp_path, MariaDB(server).watch,
                    lambda: watch_redis(place))

        def config(user='least', database=name, **options):
            return place.config(octavia, persistence_connection=server.url(
                user, user[0], database), **options)

        with work(place, expiry=1000):
            desk.run(config(), 2, *IN_FLIGHT, 'resources.pending-active')
            desk.run(config('reader'), 2, 'persistence.missing-privileges')
            desk.run(config('nobody'), 2, 'persistence.access-denied')
            desk.run(config(database='empty'), 2, 'migration.uninitialised')
            desk.run(config(jobboard_backend_namespace='nothing-there',
                            jobboard_backend_db=3), 2)
            desk.run(config(jobboard_redis_sentinel='jobs'), 2,
                     'jobboard.wrong-protocol')
            server.execute('SET GLOBAL read_only = 1')
            desk.run(config(), 2, 'persistence.not-writable')
            server.execute(f"SET GLOBAL read_only = 0; UPDATE {name}."
                           f"alembic_version SET version_num = "
                           f"'40fc8c914bd2'")
            desk.run(config(), 2, 'migration.behind')
            with MariaDB(server).watch(), watch_redis(place):
                done = commands.status(config(), hook=True)
                assert 'inflight.jobs-waiting' in done.stdout
        place.close()


def test_zookeeper_and_postgresql(write_config, tmp_path):
    with (zookeeper_server.ZooKeeper() as ensemble,
          postgres_server.PostgreSQL(log_statement='all',
                                     autovacuum='off') as server):
        place = boards.ZooKeeperPlace(
            ensemble, *databases.postgresql(server), write_config)
        name = place.url.rpartition('/')[2]
        server.execute("CREATE ROLE reader LOGIN PASSWORD 'r'")
        server.execute(f'CREATE DATABASE empty OWNER {name}')
        desk = Desk(tmp_path, PostgreSQL(server, name).watch,
                    lambda: watch_zookeeper(place))
        # Before the namespace is made, it must not be made here.
        desk.run(place.config(), 0)
        with work(place):
            desk.run(place.config(), 2, *IN_FLIGHT)
            for driver in ('postgresql+psycopg2', 'postgresql+psycopg'):
                for user, password, database, id_ in (
                        ('reader', 'r', name, 'missing-privileges'),
                        ('reader', 'wrong', name, 'access-denied'),
                        ('reader', 'r', 'nowhere', 'unknown-database')):
                    url = server.url(user, password, database, driver=driver)
                    desk.run(place.config(persistence_connection=url), 2,
                             f'persistence.{id_}')
                url = server.url(name, 'pg-secret', 'empty', driver=driver)
                desk.run(place.config(persistence_connection=url), 2,
                         'migration.uninitialised')
            desk.run(place.config(jobboard_backend_namespace='elsewhere'), 2,
                     'inflight.flow-without-job')
        place.close()


def test_etcd_and_sqlite(write_config, tmp_path):
    class Place(boards.EtcdPlace):
        def options(self):
            # No claim may end while the servers are watched.
            return super().options() | {'ttl': 3600}

    with etcd_server.Etcd() as cluster:
        place = Place(cluster, *databases.sqlite(tmp_path), write_config)
        desk = Desk(tmp_path, SQLite(tmp_path).watch,
                    lambda: watch_etcd(place))
        desk.run(place.config(), 1, 'config.persistence-sqlite')
        with work(place):
            desk.run(place.config(), 2, *IN_FLIGHT)
            missing = tmp_path / 'missing.db'
            desk.run(place.config(
                persistence_connection=f'sqlite:///{missing}'), 2,
                'persistence.unknown-database')
            assert not missing.exists()
            desk.run(place.config(jobboard_backend_namespace='elsewhere'), 2,
                     'inflight.flow-without-job')
        place.close()


@pytest.mark.parametrize('statement', [
    'INSERT INTO t VALUES (2)', 'DELETE FROM t', 'CREATE TABLE u (a INT)',
    'TRUNCATE t', 'BEGIN'])
def test_the_watch_on_mariadb_sees(mariadb_with_log, statement):
    """What the tests above rest on."""
    with pytest.raises(AssertionError):
        with MariaDB(mariadb_with_log).watch():
            mariadb_with_log.execute(statement, 'watched')


@pytest.fixture(scope='module')
def mariadb_with_log():
    with mariadb_server.MariaDB(general_log=True) as server:
        server.execute('CREATE DATABASE watched; CREATE TABLE watched.t '
                       '(a INT); INSERT INTO watched.t VALUES (1)')
        yield server


@pytest.mark.parametrize('statement', [
    'INSERT INTO t VALUES (2)', 'CREATE TABLE u (a INT)', 'BEGIN'])
def test_the_watch_on_postgresql_sees(statement):
    with postgres_server.PostgreSQL(log_statement='all') as server:
        server.execute('CREATE TABLE t (a INT)')
        with pytest.raises(AssertionError):
            with PostgreSQL(server, 'postgres').watch():
                server.execute(statement)

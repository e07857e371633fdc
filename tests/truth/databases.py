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


"""Persistence databases that cases have, sound ones and others.

To add one, write a function that starts it in a :class:`lab.Lab` and returns
a :class:`Database`, and register it with ``@database(NAME)``.
"""

from collections.abc import Callable
import contextlib
import pathlib
from typing import Any
from urllib import parse

from octavia_v2_checks import statements
from octavia_v2_checks.upstream import revisions
from tests.servers import mariadb as mariadb_server
from tests.servers import postgres as postgres_server
from tests.servers import process
from tests.truth import lab as labs

PASSWORD = 'Kanari7-Zeisig8'

database = labs.Table()

#: How often the sound ones are drawn.
SOUND = 6


class Database:
    """A database, and how a worker gets at it.

    :param execute: runs statements on the server, as administrator
    :param parts: of the URL: user, password, database, host, port, scheme,
        query
    """

    def __init__(self, execute: Callable[..., Any], **parts: Any):
        self.execute = execute
        self.parts = parts

    def url(self, **changed: Any) -> str:
        """The URL, with some of its parts otherwise; None leaves one out."""
        parts = self.parts | changed
        login = ''
        if parts['user'] is not None:
            login = parse.quote(parts['user'], safe='')
            if parts['password'] is not None:
                login += ':' + parse.quote(parts['password'], safe='')
            login += '@'
        port = '' if parts['port'] is None else f':{parts["port"]}'
        query = parse.urlencode(parts['query'])
        name = '' if parts['database'] is None else f'/{parts["database"]}'
        return (f'{parts["scheme"]}://{login}{parts["host"]}{port}{name}'
                f'{"?" if query else ""}{query}')

    def reset(self) -> None:
        """Empty it, if it has tables."""
        with contextlib.suppress(Exception):
            self.execute('DELETE FROM logbooks', self.parts['database'])

    def allow(self, **parts: str) -> None:
        """Let a worker in with another user, password or database name.

        :raises Exception: if the server does not take such a name
        """
        raise NotImplementedError


def migrate(url: str, revision: str = 'head') -> None:
    """Let TaskFlow make its tables."""
    import sqlalchemy
    from taskflow.persistence.backends.sqlalchemy import migration
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        migration.db_sync(connection, revision)
    engine.dispose()


class MySQL(Database):
    """A database on MariaDB with an account.

    :param revision: of the tables; None for no tables
    :param rights: of the account
    :param require: what the account requires of a connection
    """

    def __init__(self, lab, server, revision: str | None = 'head', *,
                 rights=statements.RUNTIME, require: str = '', **query):
        name, user = lab.name('octavia_persistence_'), lab.name('octavia')
        super().__init__(
            server.execute, user=user, password=PASSWORD, database=name,
            host=server.host, port=server.port, scheme='mysql+pymysql',
            query=query)
        self.server = server
        self.rights = rights
        self.require = require
        self._changed = False
        server.execute(f'CREATE DATABASE {name}')
        if revision:
            migrate(f'mysql+pymysql://root@/{name}?unix_socket='
                    f'{server.socket}', revision)
        self.account = statements.mysql_account(f'{user}@%')
        self._grant(self.account, PASSWORD, name)

    def _grant(self, account, password, name):
        self.execute(
            f'CREATE OR REPLACE USER {account} IDENTIFIED BY '
            f'{statements.literal(password)} {self.require}; '
            f'GRANT {", ".join(self.rights)} ON {statements.quoted(name)}.* '
            f'TO {account}')

    def sql(self, text: str) -> 'MySQL':
        """Run statements in the database."""
        self.execute(text.format(account=self.account),
                     self.parts['database'])
        return self

    def allow(self, **parts: str) -> None:
        parts = {name: self.parts[name] for name in (
            'user', 'password', 'database')} | parts
        name = parts['database']
        if name != self.parts['database']:
            self.execute(f'CREATE DATABASE IF NOT EXISTS '
                         f'{statements.quoted(name)}')
            migrate(f'mysql+pymysql://root@/{parse.quote(name, safe="")}'
                    f'?unix_socket={self.server.socket}')
        account = statements.mysql_account(f'{parts["user"]}@%')
        if parts['password'] != PASSWORD:
            self._identify(parts['password'])
            self._changed = True
        else:
            self._grant(account, PASSWORD, name)

    def _identify(self, password):
        self.execute(f'ALTER USER {self.account} IDENTIFIED BY '
                     f'{statements.literal(password)}')

    def reset(self) -> None:
        super().reset()
        if self._changed:
            self._identify(PASSWORD)
            self._changed = False


def _mariadb(lab, **options):
    name = f'mariadb {sorted(options)}'
    return lab.server(name, lambda: mariadb_server.MariaDB(**options))


@database('mariadb', 'sound', weight=SOUND)
def mariadb(lab):
    return MySQL(lab, _mariadb(lab))


@database('mariadb-socket', 'sound', weight=1)
def mariadb_socket(lab):
    server = _mariadb(lab)
    return MySQL(lab, server, unix_socket=server.socket)


def _tls_mariadb(lab):
    return lab.server('mariadb with tls', lambda: mariadb_server.MariaDB(
        tls=lab.certificate(), client_ca=lab.authority.cert))


@database('mariadb-tls', 'sound', 'tls', weight=SOUND // 2)
def mariadb_tls(lab):
    return MySQL(lab, _tls_mariadb(lab), require='REQUIRE SSL',
                 ssl_ca=lab.authority.cert)


@database('mariadb-tls-client', 'sound', 'tls', 'client', weight=SOUND // 2)
def mariadb_tls_client(lab):
    return MySQL(lab, _tls_mariadb(lab), require='REQUIRE X509',
                 ssl_ca=lab.authority.cert, ssl_cert=lab.client.cert,
                 ssl_key=lab.client.key)


@database('mariadb-tls-no-certificate', 'tls')
def mariadb_tls_no_certificate(lab):
    return MySQL(lab, _tls_mariadb(lab), require='REQUIRE X509',
                 ssl_ca=lab.authority.cert)


@database('mariadb-empty')
def mariadb_empty(lab):
    return MySQL(lab, _mariadb(lab), None)


@database('mariadb-behind')
def mariadb_behind(lab):
    return MySQL(lab, _mariadb(lab), _older(1))


@database('mariadb-far-behind')
def mariadb_far_behind(lab):
    return MySQL(lab, _mariadb(lab), _older(4))


def _older(steps: int) -> str:
    """The revision some steps before the one of the installed TaskFlow."""
    from alembic import script
    from taskflow.persistence.backends.sqlalchemy import migration
    heads = script.ScriptDirectory.from_config(
        migration._make_alembic_config()).get_heads()
    ids = [r.id for r in revisions.KNOWN]
    return ids[ids.index(heads[0]) - steps]


@database('mariadb-table-missing')
def mariadb_table_missing(lab):
    return MySQL(lab, _mariadb(lab)).sql('DROP TABLE atomdetails')


@database('mariadb-column-missing')
def mariadb_column_missing(lab):
    return MySQL(lab, _mariadb(lab)).sql(
        'ALTER TABLE flowdetails DROP COLUMN meta')


@database('mariadb-index-missing')
def mariadb_index_missing(lab):
    return MySQL(lab, _mariadb(lab)).sql(
        'ALTER TABLE logbooks DROP INDEX logbook_uuid_idx')


@database('mariadb-reader')
def mariadb_reader(lab):
    return MySQL(lab, _mariadb(lab), rights=['SELECT'])


@database('mariadb-no-delete')
def mariadb_no_delete(lab):
    return MySQL(lab, _mariadb(lab), rights=['SELECT', 'INSERT', 'UPDATE'])


@database('mariadb-account-locked')
def mariadb_account_locked(lab):
    return MySQL(lab, _mariadb(lab)).sql('ALTER USER {account} ACCOUNT LOCK')


@database('mariadb-password-expired')
def mariadb_password_expired(lab):
    return MySQL(lab, _mariadb(lab)).sql(
        'ALTER USER {account} PASSWORD EXPIRE')


@database('mariadb-one-connection')
def mariadb_one_connection(lab):
    return MySQL(lab, _mariadb(lab)).sql(
        'ALTER USER {account} WITH MAX_USER_CONNECTIONS 1')


@database('mariadb-read-only')
def mariadb_read_only(lab):
    return MySQL(lab, _mariadb(lab, read_only=True))


@database('mariadb-galera')
def mariadb_galera(lab):
    return MySQL(lab, _mariadb(lab, **mariadb_server.galera()))


@database('mariadb-galera-apart')
def mariadb_galera_apart(lab):
    server = lab.server('galera apart', lambda: mariadb_server.MariaDB(
        **mariadb_server.galera()))
    made = MySQL(lab, server)
    server.execute(f"SET GLOBAL wsrep_cluster_address = 'gcomm://127.0.0.1:"
                   f"{process.free_port()}?pc.wait_prim=no'")
    process.wait_until(lambda: server.execute(
        "SHOW GLOBAL STATUS LIKE 'wsrep_cluster_status'")[0][1] != 'Primary',
        'still Primary')
    return made


class PostgreSQL(Database):
    """A database on PostgreSQL that its account owns.

    :param revision: of the tables; None for no tables
    """

    def __init__(self, lab, server, revision: str | None = 'head', *,
                 scheme: str = 'postgresql+psycopg2', **query):
        name, user = lab.name('octavia_persistence_'), lab.name('octavia')
        super().__init__(
            server.execute, user=user, password=PASSWORD, database=name,
            host=server.host, port=server.port, scheme=scheme, query=query)
        self.server = server
        self.execute(f"CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}'")
        self.execute(f'CREATE DATABASE {name} OWNER {user}')
        if revision:
            self._migrate(name, user, revision)

    def _migrate(self, name, user, revision):
        migrate(f'postgresql+psycopg2://postgres@/'
                f'{parse.quote(name, safe="")}?host={self.server.dir}'
                f'&port={self.server.port}&options=-crole%3D{user}', revision)

    def sql(self, *texts: str) -> 'PostgreSQL':
        """Run statements in the database."""
        for text in texts:
            self.execute(text.format(user=self.parts['user']),
                         self.parts['database'])
        return self

    def allow(self, **parts: str) -> None:
        parts = {name: self.parts[name] for name in (
            'user', 'password', 'database')} | parts
        role = statements.identifier(parts['user'])
        literal = "'" + parts['password'].replace("'", "''") + "'"
        if parts['user'] == self.parts['user']:
            self.execute(f'ALTER ROLE {role} PASSWORD {literal}')
        else:
            self.execute(f'CREATE ROLE {role} LOGIN SUPERUSER PASSWORD '
                         f'{literal}')
        if parts['database'] != self.parts['database']:
            name = parts['database']
            self.execute(f'CREATE DATABASE {statements.identifier(name)} '
                         f'OWNER {role}')
            self._migrate(name, self.parts['user'], 'head')

    def reset(self) -> None:
        super().reset()
        self.execute(f'ALTER ROLE {self.parts["user"]} PASSWORD '
                     f"'{PASSWORD}'")


def _postgres(lab):
    return lab.server('postgres', postgres_server.PostgreSQL)


@database('postgresql', 'sound', weight=SOUND // 2)
def postgresql(lab):
    return PostgreSQL(lab, _postgres(lab))


@database('postgresql-psycopg', 'sound', weight=SOUND // 3)
def postgresql_psycopg(lab):
    return PostgreSQL(lab, _postgres(lab), scheme='postgresql+psycopg')


@database('postgresql-two-hosts', 'sound')
def postgresql_two_hosts(lab):
    made = PostgreSQL(lab, _postgres(lab))
    parts = made.parts
    parts['query'] = [('host', f'127.0.0.1:{lab.closed}'),
                      ('host', f'{parts["host"]}:{parts["port"]}')]
    parts['host'], parts['port'] = '', None
    return made


def _tls_postgres(lab):
    return lab.server('postgres with tls', lambda: postgres_server.PostgreSQL(
        tls=lab.certificate(), client_ca=lab.authority.cert,
        hba=('hostssl all +certified all scram-sha-256 clientcert=verify-ca',
             'hostnossl all +certified all reject',
             'hostnossl all all all reject')))


def _tls_role(lab, role, **query):
    server = _tls_postgres(lab)
    if not server.execute(
            "SELECT 1 FROM pg_roles WHERE rolname = 'certified'"):
        server.execute('CREATE ROLE certified')
    made = PostgreSQL(lab, server, sslmode='verify-full',
                      sslrootcert=lab.authority.cert, **query)
    return made.sql(f'GRANT {role} TO {{user}}') if role else made


@database('postgresql-tls', 'sound', 'tls', weight=SOUND // 3)
def postgresql_tls(lab):
    return _tls_role(lab, None)


@database('postgresql-tls-client', 'sound', 'tls', 'client',
          weight=SOUND // 3)
def postgresql_tls_client(lab):
    # libpq insists on a key that nobody else may read.
    key = lab.directory / 'worker.key'
    key.touch(0o600)
    key.write_bytes(pathlib.Path(lab.client.key).read_bytes())
    return _tls_role(lab, 'certified', sslcert=lab.client.cert,
                     sslkey=str(key))


@database('postgresql-tls-no-certificate', 'tls')
def postgresql_tls_no_certificate(lab):
    return _tls_role(lab, 'certified')


@database('postgresql-empty')
def postgresql_empty(lab):
    return PostgreSQL(lab, _postgres(lab), None)


@database('postgresql-behind')
def postgresql_behind(lab):
    return PostgreSQL(lab, _postgres(lab), _older(1))


@database('postgresql-reader')
def postgresql_reader(lab):
    made = PostgreSQL(lab, _postgres(lab))
    tables = 'logbooks, flowdetails, atomdetails, alembic_version'
    return made.sql(
        *(f'ALTER TABLE {table} OWNER TO postgres'
          for table in tables.split(', ')),
        'ALTER DATABASE {database} OWNER TO postgres'.format(**made.parts),
        f'GRANT SELECT ON {tables} TO {{user}}')


@database('postgresql-read-only')
def postgresql_read_only(lab):
    return PostgreSQL(lab, _postgres(lab)).sql(
        'ALTER ROLE {user} SET default_transaction_read_only = on')


@database('postgresql-one-connection')
def postgresql_one_connection(lab):
    return PostgreSQL(lab, _postgres(lab)).sql(
        'ALTER ROLE {user} CONNECTION LIMIT 1')


class SQLite(Database):
    """A file."""

    def __init__(self, path):
        super().__init__(self._run, user=None, password=None,
                         database=str(path), host='', port=None,
                         scheme='sqlite', query={})
        self.path = path

    def _run(self, text, name=None):
        import sqlite3
        with contextlib.closing(sqlite3.connect(self.path)) as connection:
            connection.executescript(f'PRAGMA foreign_keys = ON; {text}')


@database('sqlite', 'sound')
def sqlite(lab):
    from taskflow.persistence import backends
    made = SQLite(lab.directory / f'{lab.name("persistence")}.sqlite')
    backend = backends.fetch({'connection': made.url()})
    with contextlib.closing(backend.get_connection()) as connection:
        connection.upgrade()
    backend.close()
    return made

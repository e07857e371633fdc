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

"""Databases on PostgreSQL."""

import pathlib
from urllib import parse

from octavia_v2_checks import statements
from tests.servers import postgres as postgres_server
from tests.truth import lab as labs
from tests.truth.databases import base

database = labs.Table()


class PostgreSQL(base.Database):
    """A database on PostgreSQL that its account owns.

    :param revision: of the tables; None for no tables
    """

    def __init__(self, lab, server, revision: str | None = 'head', *,
                 scheme: str = 'postgresql+psycopg2', **query):
        name, user = lab.name('octavia_persistence_'), lab.name('octavia')
        super().__init__(
            server.execute, user=user, password=base.PASSWORD, database=name,
            host=server.host, port=server.port, scheme=scheme, query=query)
        self.server = server
        self.execute(f"CREATE ROLE {user} LOGIN PASSWORD '{base.PASSWORD}'")
        self.execute(f'CREATE DATABASE {name} OWNER {user}')
        if revision:
            self._migrate(name, user, revision)

    def _migrate(self, name, user, revision):
        base.migrate(f'postgresql+psycopg2://postgres@/'
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
                     f"'{base.PASSWORD}'")


def _postgres(lab):
    return lab.server('postgres', postgres_server.PostgreSQL)


@database('postgresql', 'sound', weight=base.SOUND // 2)
def postgresql(lab):
    return PostgreSQL(lab, _postgres(lab))


@database('postgresql-psycopg', 'sound', weight=base.SOUND // 3)
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


@database('postgresql-tls', 'sound', 'tls', weight=base.SOUND // 3)
def postgresql_tls(lab):
    return _tls_role(lab, None)


@database('postgresql-tls-client', 'sound', 'tls', 'client',
          weight=base.SOUND // 3)
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
    return PostgreSQL(lab, _postgres(lab), base.older(1))


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

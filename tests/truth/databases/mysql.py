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

"""Databases on MariaDB."""

from urllib import parse

from octavia_v2_checks import statements
from tests.servers import mariadb as mariadb_server
from tests.servers import process
from tests.truth import lab as labs
from tests.truth.databases import base

database = labs.Table()


class MySQL(base.Database):
    """A database on MariaDB with an account.

    :param revision: of the tables; None for no tables
    :param rights: of the account
    :param require: what the account requires of a connection
    """

    def __init__(self, lab, server, revision: str | None = 'head', *,
                 rights=statements.RUNTIME, require: str = '', **query):
        name, user = lab.name('octavia_persistence_'), lab.name('octavia')
        super().__init__(
            server.execute, user=user, password=base.PASSWORD, database=name,
            host=server.host, port=server.port, scheme='mysql+pymysql',
            query=query)
        self.server = server
        self.rights = rights
        self.require = require
        self._changed = False
        server.execute(f'CREATE DATABASE {name}')
        if revision:
            base.migrate(f'mysql+pymysql://root@/{name}?unix_socket='
                    f'{server.socket}', revision)
        self.account = statements.mysql_account(f'{user}@%')
        self._grant(self.account, base.PASSWORD, name)

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
            base.migrate(f'mysql+pymysql://root@/{parse.quote(name, safe="")}'
                    f'?unix_socket={self.server.socket}')
        account = statements.mysql_account(f'{parts["user"]}@%')
        if parts['password'] != base.PASSWORD:
            self._identify(parts['password'])
            self._changed = True
        else:
            self._grant(account, base.PASSWORD, name)

    def _identify(self, password):
        self.execute(f'ALTER USER {self.account} IDENTIFIED BY '
                     f'{statements.literal(password)}')

    def reset(self) -> None:
        super().reset()
        if self._changed:
            self._identify(base.PASSWORD)
            self._changed = False


def _mariadb(lab, **options):
    name = f'mariadb {sorted(options)}'
    return lab.server(name, lambda: mariadb_server.MariaDB(**options))


@database('mariadb', 'sound', weight=base.SOUND)
def mariadb(lab):
    return MySQL(lab, _mariadb(lab))


@database('mariadb-socket', 'sound', weight=1)
def mariadb_socket(lab):
    server = _mariadb(lab)
    return MySQL(lab, server, unix_socket=server.socket)


def _tls_mariadb(lab):
    return lab.server('mariadb with tls', lambda: mariadb_server.MariaDB(
        tls=lab.certificate(), client_ca=lab.authority.cert))


@database('mariadb-tls', 'sound', 'tls', weight=base.SOUND // 2)
def mariadb_tls(lab):
    return MySQL(lab, _tls_mariadb(lab), require='REQUIRE SSL',
                 ssl_ca=lab.authority.cert)


@database('mariadb-tls-client', 'sound', 'tls', 'client',
          weight=base.SOUND // 2)
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
    return MySQL(lab, _mariadb(lab), base.older(1))


@database('mariadb-far-behind')
def mariadb_far_behind(lab):
    return MySQL(lab, _mariadb(lab), base.older(4))


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

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

"""MariaDB."""

import os
import pathlib
import shutil
from urllib import parse

from tests.servers import process
from tests.servers import tls as tls_files

_SMALL = ('--innodb-buffer-pool-size=8M', '--innodb-log-file-size=4M',
          '--innodb-flush-log-at-trx-commit=0', '--innodb-doublewrite=0',
          '--aria-pagecache-buffer-size=1M', '--key-buffer-size=1M',
          '--performance-schema=OFF', '--skip-log-bin')


def _as_root() -> list[str]:
    return ['--user=root'] if os.geteuid() == 0 else []


def _fill(path: pathlib.Path) -> None:
    """Make the data directory that every server copies."""
    process.run(process.find('mariadb-install-db', 'mysql_install_db'),
                '--no-defaults', *_as_root(), f'--datadir={path}/data',
                '--auth-root-authentication-method=normal',
                f'--tmpdir={path}',
                '--skip-test-db', *_SMALL)


class MariaDB(process.Server):
    """A server with an administrator ``root`` without a password.

    :param tls: the certificate it shows; without one it offers no TLS.
    :param client_ca: the authority whose client certificates it accepts.
    :param options: options of mariadbd, underscores for hyphens; True
        stands for the bare option.
    """

    many_files = True

    def __init__(self, *, host: str = process.LOOPBACK,
                 port: int | None = None,
                 tls: tls_files.Certificate | None = None,
                 client_ca: str | None = None, **options) -> None:
        super().__init__(host, port)
        self.socket = str(self.dir / 'sock')
        self.options = options
        if tls:
            options |= {'ssl_cert': tls.cert, 'ssl_key': tls.key}
        if client_ca:
            options['ssl_ca'] = client_ca

    def prepare(self) -> None:
        shutil.copytree(process.shared('mariadb', _fill) / 'data',
                        self.dir / 'data')

    def argv(self) -> list[str]:
        options = []
        for name, value in self.options.items():
            option = '--' + name.replace('_', '-')
            options.append(option if value is True else f'{option}={value}')
        return [process.find('mariadbd', 'mysqld'), '--no-defaults',
                *_as_root(), f'--datadir={self.dir}/data',
                f'--socket={self.socket}', f'--pid-file={self.dir}/pid',
                f'--tmpdir={self.dir}',
                f'--bind-address={self.host}', f'--port={self.port}',
                f'--general-log-file={self.general_log}', *_SMALL, *options]

    @property
    def general_log(self) -> pathlib.Path:
        """Every statement it got, where ``general_log=True`` was given."""
        return self.dir / 'general.log'

    def connect(self, database: str | None = None):
        """An autocommitting administrator's connection (PyMySQL)."""
        import pymysql
        from pymysql.constants import CLIENT
        return pymysql.connect(
            unix_socket=self.socket, user='root', database=database,
            autocommit=True, client_flag=CLIENT.MULTI_STATEMENTS,
            # Or PyMySQL reads all the system's authorities, every time.
            ssl_disabled=True)

    def execute(self, sql: str, database: str | None = None) -> list[tuple]:
        """Run statements as administrator; the rows of the last of them.

        :raises pymysql.MySQLError: where the server refuses one.
        """
        with self.connect(database) as connection:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                rows = cursor.fetchall()
                while cursor.nextset():
                    rows = cursor.fetchall()
                return list(rows)

    def answers(self) -> bool:
        import pymysql
        try:
            self.connect().close()
        except pymysql.MySQLError as exc:
            # 1040: all connections are taken; 1203 and 1226 likewise.
            return exc.args[0] in (1040, 1203, 1226)
        return True

    def url(self, user: str = 'root', password: str | None = None,
            database: str = 'octavia_persistence', *,
            driver: str = 'mysql+pymysql', host: str | None = None,
            **query: str) -> str:
        """A SQLAlchemy URL of this server."""
        return database_url(driver, user, password, host or self.host,
                            self.port, database, query)


def galera(provider: str = '/usr/lib/galera/libgalera_smm.so') -> dict:
    """Options for a Galera node that bootstraps a cluster."""
    return {
        'wsrep_on': 'ON', 'wsrep_provider': provider,
        'wsrep_cluster_address': 'gcomm://', 'binlog_format': 'ROW',
        'innodb_autoinc_lock_mode': 2,
        'wsrep_node_address': process.LOOPBACK,
        'wsrep_provider_options': (
            f'gmcast.listen_addr=tcp://127.0.0.1:{process.free_port()};'
            f'ist.recv_addr=127.0.0.1:{process.free_port()};'
            f'gcache.size=1M')}


def database_url(driver: str, user: str, password: str | None, host: str,
                 port: int, database: str, query: dict[str, str]) -> str:
    """A SQLAlchemy URL with everything quoted that needs it."""
    login = parse.quote(user, safe='')
    if password is not None:
        login += ':' + parse.quote(password, safe='')
    tail = '?' + parse.urlencode(query) if query else ''
    return f'{driver}://{login}@{host}:{port}/{database}{tail}'

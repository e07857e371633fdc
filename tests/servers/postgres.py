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

"""PostgreSQL."""

import glob
import pathlib
import shutil
import signal

from tests.servers import mariadb
from tests.servers import process
from tests.servers import tls as tls_files

# Whoever is on the unix socket is trusted; over TCP everybody logs in.
_HBA = """\
local all all trust
host all all all scram-sha-256
"""


def _runs(folder: pathlib.Path) -> bool:
    """Whether the process of a folder in /proc has not ended.

    In a container nobody may be there to take note of its end.
    """
    try:
        state = (folder / 'stat').read_text().rpartition(')')[2].split()[0]
    except OSError:
        return False
    return state != 'Z'


def _program(name: str) -> str:
    def version(path: str) -> float:
        return float(path.split('/')[-3])

    found = sorted(glob.glob(f'/usr/lib/postgresql/*/bin/{name}'),
                   key=version)
    return found[-1] if found else process.find(name)


def _fill(path: pathlib.Path) -> None:
    """Make the data directory that every server copies."""
    user = process.user_for('postgres')
    process.give(path, user)
    process.run(_program('initdb'), '--username=postgres', '--auth=trust',
                '--encoding=UTF8', '--locale=C', '--no-sync',
                '--wal-segsize=1',
                f'--pgdata={path}/data', user=user)
    (path / 'data' / 'pg_hba.conf').write_text(_HBA)


class PostgreSQL(process.Server):
    """A server with an administrator ``postgres`` on its unix socket.

    :param tls: the certificate it shows; without one it offers no TLS.
    :param client_ca: the authority whose client certificates it accepts.
    :param hba: lines put before those of its ``pg_hba.conf``, such as
        ``hostssl all all all scram-sha-256``.
    :param settings: server settings (``max_connections=10``).
    """

    many_files = True
    # SIGTERM would wait for the clients to leave.
    stop_signal = signal.SIGINT

    def __init__(self, *, host: str = process.LOOPBACK,
                 port: int | None = None,
                 tls: tls_files.Certificate | None = None,
                 client_ca: str | None = None, hba: tuple[str, ...] = (),
                 **settings) -> None:
        super().__init__(host, port)
        self.user = process.user_for('postgres')
        self.hba = hba
        self.tls = tls
        self.settings = {
            'listen_addresses': host, 'port': self.port,
            'unix_socket_directories': self.dir, 'fsync': 'off',
            'shared_buffers': '8MB', 'max_connections': 50,
            'min_wal_size': '2MB',
            'password_encryption': 'scram-sha-256',
            # What is killed would leave it in the system's.
            'dynamic_shared_memory_type': 'mmap'}
        if tls:
            self.settings |= {'ssl': 'on', 'ssl_cert_file': tls.cert,
                              'ssl_key_file': self.dir / 'server.key'}
        if client_ca:
            self.settings['ssl_ca_file'] = client_ca
        self.settings |= settings

    def prepare(self) -> None:
        data = self.dir / 'data'
        shutil.copytree(process.shared('postgres', _fill) / 'data', data)
        data.chmod(0o700)
        if self.tls:
            key = self.dir / 'server.key'
            shutil.copy(self.tls.key, key)
            key.chmod(0o600)
        (data / 'pg_hba.conf').write_text(
            ''.join(f'{line}\n' for line in self.hba) + _HBA)

    def kill(self) -> None:
        """End it as a power cut would. The data stay.

        The children notice a moment later; until then they hold the shared
        memory, and the server would not start again.
        """
        children = []
        if self.running:
            task = pathlib.Path(f'/proc/{self.pid}/task/{self.pid}/children')
            children = [pathlib.Path('/proc', pid)
                        for pid in task.read_text().split()]
        super().kill()
        process.wait_until(lambda: not any(map(_runs, children)),
                           f'{self} left children')

    def argv(self) -> list[str]:
        settings = [f'--{name}={value}'
                    for name, value in self.settings.items()]
        return [_program('postgres'), '-D', str(self.dir / 'data'),
                *settings]

    def connect(self, database: str = 'postgres'):
        """An autocommitting administrator's connection (psycopg2)."""
        import psycopg2
        connection = psycopg2.connect(
            host=str(self.dir), port=self.port, user='postgres',
            dbname=database)
        connection.autocommit = True
        return connection

    def execute(self, sql: str, database: str = 'postgres') -> list[tuple]:
        """Run one statement as administrator; its rows.

        :raises psycopg2.Error: where the server refuses it.
        """
        connection = self.connect(database)
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def answers(self) -> bool:
        import psycopg2
        try:
            self.connect().close()
        except psycopg2.OperationalError:
            return False
        return True

    def url(self, user: str = 'postgres', password: str | None = None,
            database: str = 'octavia_persistence', *,
            driver: str = 'postgresql+psycopg2', host: str | None = None,
            **query: str) -> str:
        """A SQLAlchemy URL of this server."""
        return mariadb.database_url(driver, user, password,
                                    host or self.host, self.port, database,
                                    query)

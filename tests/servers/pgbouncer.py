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

"""PgBouncer, in front of a PostgreSQL."""

import pathlib
import socket

from tests.servers import mariadb
from tests.servers import postgres as postgres_server
from tests.servers import process


class PgBouncer(process.Server):
    """A pooler; who logs in there is who logs in at the server.

    :param backend: the server behind it
    :param users: name -> password
    :param settings: of its ``[pgbouncer]`` section
    """

    def __init__(self, backend: postgres_server.PostgreSQL,
                 users: dict[str, str], **settings) -> None:
        super().__init__(process.LOOPBACK, None)
        self.backend = backend
        self.user = process.user_for('postgres')
        self.users = users
        self.settings = {
            'listen_addr': self.host, 'listen_port': self.port,
            'auth_type': 'scram-sha-256', 'auth_file': self.dir / 'users',
            'pool_mode': 'transaction', 'unix_socket_dir': '',
            'max_client_conn': 20, 'default_pool_size': 5,
            } | settings

    def prepare(self) -> None:
        quoted = {name: password.replace('"', '""')
                  for name, password in self.users.items()}
        (self.dir / 'users').write_text(''.join(
            f'"{name}" "{password}"\n' for name, password in quoted.items()))
        self.config.write_text(
            '[databases]\n'
            f'* = host={self.backend.host} port={self.backend.port}\n'
            '[pgbouncer]\n' + ''.join(
                f'{name} = {value}\n'
                for name, value in self.settings.items()))
        process.give(self.dir, self.user)

    @property
    def config(self) -> pathlib.Path:
        """Its configuration file."""
        return self.dir / 'pgbouncer.ini'

    def argv(self) -> list[str]:
        return [process.find('pgbouncer'),
                str(self.config)]

    def answers(self) -> bool:
        try:
            socket.create_connection((self.host, self.port), 1).close()
        except OSError:
            return False
        return True

    def url(self, user: str, password: str, database: str, *,
            driver: str = 'postgresql+psycopg2', **query: str) -> str:
        """A SQLAlchemy URL of this server."""
        return mariadb.database_url(driver, user, password, self.host,
                                    self.port, database, query)

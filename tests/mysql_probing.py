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

"""The database checks on MariaDB, with an account of the test's own."""

from tests import probing

PASSWORD = probing.PASSWORD
ALL = ('SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, '
       'REFERENCES')


def literal(text):
    return "'" + text.replace('\\', '\\\\').replace("'", "''") + "'"


class Place:
    """A database and an account of this test's own on a shared server."""

    def __init__(self, server, write_config, database=True, rights=ALL,
                 host='%'):
        self.server = server
        self.database = probing.name('octavia_persistence_')
        self.user = probing.name('octavia')
        self.write_config = write_config
        self.account = f"'{self.user}'@'{host}'"
        server.execute(f'CREATE USER {self.account} IDENTIFIED BY '
                       f'{literal(PASSWORD)}')
        if database:
            server.execute(f'CREATE DATABASE {self.database}')
        if rights:
            server.execute(f'GRANT {rights} ON {self.database}.* TO '
                           f'{self.account}')

    def config(self, password=PASSWORD, **query):
        return self.write_config(
            jobboard_enabled=True, persistence_connection=self.server.url(
                self.user, password, self.database, **query
            ).replace('$', '$$'))

    def probe(self, password=PASSWORD, **query):
        return probing.probe('persistence', self.config(password, **query))


def url(host, port):
    """A URL with a password that no finding may show."""
    return f'mysql+pymysql://octavia:secret-9876@{host}:{port}/octavia_p'

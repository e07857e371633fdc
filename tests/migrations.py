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

"""Databases that TaskFlow migrates, and what remedies do to them."""

import sqlalchemy

from octavia_v2_checks.upstream import revisions
from tests import doors
from tests import mysql_probing as mysql
from tests import probing

IDS = [r.id for r in revisions.KNOWN]
HEAD = IDS[-1]


def migrate(url, revision):
    """Run TaskFlow's own migrations up to a revision."""
    from taskflow.persistence.backends.sqlalchemy import migration
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        migration.db_sync(connection, revision)
        connection.commit()
    engine.dispose()


class MySQL(mysql.Place):
    """A database on MariaDB."""

    def __init__(self, server, write_config, rights=mysql.ALL):
        super().__init__(server, write_config, rights=rights)
        self.url = server.url(database=self.database)

    def sql(self, statements):
        self.server.execute(statements, self.database)

    def probe(self):
        return probing.probe('migration', self.config())


class PostgreSQL:
    """A database on PostgreSQL, owned by the account."""

    def __init__(self, server, write_config):
        self.server = server
        self.database = probing.name('octavia_persistence_')
        self.user = probing.name('octavia')
        server.execute(f"CREATE ROLE {self.user} LOGIN PASSWORD 'pg-secret'")
        server.execute(f'CREATE DATABASE {self.database} OWNER {self.user}')
        self.url = server.url(self.user, 'pg-secret', self.database)
        self.write_config = write_config

    def sql(self, statements):
        self.server.execute(statements, self.database)

    def config(self):
        return self.write_config(jobboard_enabled=True,
                                 persistence_connection=self.url)

    def probe(self):
        return probing.probe('migration', self.config())


def run_remedy(spot, remedy):
    """Do what a remedy says: SQL, then a command, or one of the two."""
    sql, _, command = remedy.rpartition('then run ')
    if remedy.startswith('octavia-db-manage'):
        sql, command = '', remedy
    elif not command.startswith('octavia-db-manage'):
        sql, command = remedy, ''
    for statement in sql.split(';'):
        if statement.strip():
            spot.sql(statement)
    if command:
        doors.run_command(command)

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

"""New persistence databases: the URL, and what runs statements there."""

import sqlite3

from tests import probing


def sqlite(tmp_path):
    path = tmp_path / 'persistence.db'

    def sql(statements):
        with sqlite3.connect(path) as connection:
            connection.executescript(statements)
        connection.close()

    return f'sqlite:///{path}', sql


def mysql(mariadb):
    name = probing.name('octavia_persistence_')
    mariadb.execute(f'CREATE DATABASE {name}')
    return (mariadb.url(database=name),
            lambda statements: mariadb.execute(statements, name))


def postgresql(postgres):
    name = probing.name('octavia_persistence_')
    postgres.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'pg-secret'")
    postgres.execute(f'CREATE DATABASE {name} OWNER {name}')
    return (postgres.url(name, 'pg-secret', name),
            lambda statements: postgres.execute(statements, name))

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

"""The checks of the persistence database where it is a file."""

import sqlite3

import pytest

from tests import migrations
from tests import probing


class SQLite:
    """A file."""

    def __init__(self, tmp_path, write_config):
        self.path = tmp_path / 'persistence.db'
        self.url = f'sqlite:///{self.path}'
        self.config = write_config(jobboard_enabled=True,
                                   persistence_connection=self.url)

    def probe(self, check='migration'):
        before = sorted(p.name for p in self.path.parent.iterdir())
        content = self.path.read_bytes() if self.path.exists() else None
        try:
            return probing.probe(check, self.config)
        finally:
            assert before == sorted(
                p.name for p in self.path.parent.iterdir())
            assert content == (self.path.read_bytes()
                               if self.path.exists() else None)


@pytest.fixture
def sqlite(tmp_path, write_config):
    return SQLite(tmp_path, write_config)


def test_sqlite(sqlite, octavia_db_manage):
    found = probing.only(sqlite.probe('persistence'),
                         'persistence.unknown-database')
    migrations.run_remedy(sqlite, found.remedy)
    assert sqlite.probe('persistence') == []
    assert sqlite.probe() == []


def test_sqlite_without_tables(sqlite):
    sqlite.path.touch()
    assert sqlite.probe('persistence') == []
    found = probing.only(sqlite.probe(), 'migration.uninitialised')
    migrations.run_remedy(sqlite, found.remedy)
    assert sqlite.probe() == []


@pytest.mark.parametrize('statement', [
    'ALTER TABLE flowdetails DROP COLUMN state', 'DROP TABLE atomdetails'])
def test_sqlite_incomplete(sqlite, octavia_db_manage, statement):
    octavia_db_manage(sqlite.config)
    with sqlite3.connect(sqlite.path) as connection:
        connection.execute(statement)
    connection.close()
    found = probing.only(sqlite.probe(), 'migration.incomplete')
    assert statement.split()[-1] in found.message
    sqlite.path.unlink()
    migrations.run_remedy(sqlite, found.remedy.rpartition('then run ')[2])
    assert sqlite.probe() == []


def test_sqlite_that_keeps_a_write_ahead_log(sqlite, octavia_db_manage):
    octavia_db_manage(sqlite.config)
    connection = sqlite3.connect(sqlite.path)
    connection.execute('PRAGMA journal_mode = WAL')
    connection.close()
    assert sqlite.probe('persistence') == []
    assert sqlite.probe() == []


def test_sqlite_that_is_something_else(sqlite):
    sqlite.path.write_text('not a database, but long enough to be one ' * 9)
    probing.only(sqlite.probe('persistence'), 'persistence.unknown-database')


def test_sqlite_in_memory(write_config):
    config = write_config(jobboard_enabled=True,
                          persistence_connection='sqlite://')
    for check in ('persistence', 'migration'):
        with pytest.raises(probing.Blocked) as caught:
            probing.probe(check, config)
        assert caught.value.option == 'task_flow.persistence_connection'

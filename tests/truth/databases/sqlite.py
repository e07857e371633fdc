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

"""Databases that are a file."""

import contextlib

from tests.truth import lab as labs
from tests.truth.databases import base

database = labs.Table()


class SQLite(base.Database):
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

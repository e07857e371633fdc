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

"""TaskFlow's persistence schema, revision by revision.

Facts of ``taskflow/persistence/backends/sqlalchemy/alembic/versions`` from
TaskFlow 2.0.0 to 6.5.0. The installed TaskFlow, if there is one, determines
where its chain ends; its files are parsed, not imported, which would load
alembic and take most of a second.
"""

import ast
import functools
import importlib.util
import pathlib
from typing import Any
from typing import NamedTuple


class Revision(NamedTuple):
    """One migration.

    :ivar id: as in the version table
    :ivar release: the first TaskFlow release that has it; None if it is not
        known
    :ivar brings: what it changes, for a reader
    """

    id: str
    release: str | None
    brings: str


KNOWN = (
    Revision('1cea328f0f65', '2.0.0', 'the tables'),
    Revision('1c783c0c2875', '2.0.0', 'taskdetails.failure'),
    Revision('84d6e888850', '2.0.0', 'taskdetails.atom_type'),
    Revision('14b227d79a87', '2.0.0', 'taskdetails.intention'),
    Revision('589dccdf2b6e', '2.0.0', 'taskdetails renamed to atomdetails'),
    Revision('3162c0f3f8e4', '2.0.0',
             'atomdetails.revert_results and revert_failure'),
    Revision('2ad4984f2864', '2.0.0', 'JSON columns on PostgreSQL'),
    Revision('0bc3e1a3c135', '3.7.1', 'longer atomdetails.results on MySQL'),
    Revision('6df9422fcb43', '4.6.1', 'longer flowdetails.meta on MySQL'),
    Revision('40fc8c914bd2', '4.7.0',
             'longer atomdetails.failure and revert_failure on MySQL'),
    Revision('00af93df9d77', '6.0.1',
             'unique indexes on the uuid columns on MySQL'),
)

#: Tables that only Octavia's own database has.
OCTAVIA_TABLES = frozenset({'load_balancer', 'amphora', 'listener'})

#: Octavia's own migrations end here in 19.0.0.
OCTAVIA_HEAD = 'fabf4983846b'


@functools.cache
def chain() -> tuple[Revision, ...]:
    """Return the revisions of the installed TaskFlow, oldest first.

    The known ones without TaskFlow, or if its files do not form a single line.
    """
    found = _scripts('taskflow',
                     'persistence/backends/sqlalchemy/alembic/versions')
    known = {r.id: r for r in KNOWN}
    after = {down: id_ for id_, (down, _) in found.items()}
    revisions: list[Revision] = []
    id_ = after.get(None)
    while id_ and len(revisions) < len(found):
        revisions.append(known.get(id_) or Revision(id_, None, found[id_][1]))
        id_ = after.get(id_)
    if not revisions or len(revisions) != len(found):
        return KNOWN
    return tuple(revisions)


@functools.cache
def octavia_ids() -> frozenset[str]:
    """Return the revisions of Octavia's own database, as far as known."""
    return frozenset(_scripts(
        'octavia', 'db/migration/alembic_migrations/versions')) | {
            OCTAVIA_HEAD}


def _scripts(package: str, folder: str) -> dict[str, tuple[str | None, str]]:
    """Read the migration scripts of a package without importing it.

    :returns: revision -> (revision before it, first line of its docstring)
    """
    spec = importlib.util.find_spec(package)
    if not spec or not spec.origin:
        return {}
    found = {}
    for path in (pathlib.Path(spec.origin).parent / folder).glob('*.py'):
        tree = ast.parse(path.read_bytes())
        names: dict[str, Any] = {
            target.id: node.value.value
            for node in tree.body if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
            and isinstance(node.value, ast.Constant)}
        if 'revision' in names:
            text = (ast.get_docstring(tree) or 'unnamed').partition('\n')[0]
            found[names['revision']] = (names.get('down_revision'), text)
    return found


class Schema(NamedTuple):
    """Tables, columns and indexes.

    :ivar columns: ``(table, column)`` -> type name, in lower case
    :ivar indexes: ``(table, index)`` -> whether it is unique
    :ivar others: names of tables whose columns do not matter
    """

    columns: dict[tuple[str, str], str]
    indexes: dict[tuple[str, str], bool]
    others: frozenset[str] = frozenset()

    @property
    def tables(self) -> set[str]:
        """The names of all tables."""
        return {table for table, _ in self.columns} | self.others


_START = {
    'logbooks': 'created_at updated_at meta name uuid',
    'flowdetails': 'created_at updated_at parent_uuid meta state name uuid',
    'taskdetails': 'created_at updated_at parent_uuid meta name results '
                   'version stacktrace exception state uuid',
}
_INDEXES = {'logbooks': 'logbook_uuid_idx',
            'flowdetails': 'flowdetails_uuid_idx',
            'taskdetails': 'taskdetails_uuid_idx'}


def schema(level: int, kind: str) -> Schema:
    """Return what must exist at a revision, as far as it matters.

    :param level: index of the revision in :data:`KNOWN`
    :param kind: ``mysql``, ``postgresql`` or ``sqlite``
    :returns: column types only where a revision changes them, else ''
    """
    columns = {(table, name): '' for table, names in _START.items()
               for name in names.split()}
    if level >= 1:
        columns['taskdetails', 'failure'] = ''
        del columns['taskdetails', 'exception']
        del columns['taskdetails', 'stacktrace']
    if level >= 2:
        columns['taskdetails', 'atom_type'] = ''
    if level >= 3:
        columns['taskdetails', 'intention'] = ''
    atoms = 'atomdetails' if level >= 4 else 'taskdetails'
    columns = {(atoms if table == 'taskdetails' else table, name): kind_
               for (table, name), kind_ in columns.items()}
    if level >= 5:
        columns[atoms, 'revert_results'] = ''
        columns[atoms, 'revert_failure'] = ''
    long = {7: [(atoms, 'results')], 8: [('flowdetails', 'meta')],
            9: [(atoms, 'failure'), (atoms, 'revert_failure')]}
    if kind == 'mysql':
        for at, names in long.items():
            if level >= at:
                columns.update(dict.fromkeys(names, 'longtext'))
    if kind == 'postgresql' and level >= 6:
        for table, name in columns:
            if name == 'meta' or 'failure' in name or 'results' in name:
                columns[table, name] = 'json'
    if kind == 'sqlite':
        # TaskFlow creates the tables of SQLite directly, without indexes.
        return Schema(columns, {})
    unique = kind == 'mysql' and level >= 10
    return Schema(columns, {
        (atoms if table == 'taskdetails' else table, index): unique
        for table, index in _INDEXES.items()})

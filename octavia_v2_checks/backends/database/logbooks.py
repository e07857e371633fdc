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

"""What TaskFlow has written into the persistence database.

Of the arguments with which a flow is built, only the number and the names are
read, and of its other data nothing: it contains keys and certificates. The
only exception is the id of the load balancer, which the server extracts.
"""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import json
import re
from typing import NamedTuple

from octavia_v2_checks import statements
from octavia_v2_checks.backends import database
from octavia_v2_checks.backends.database import errors

_PAGE = 2000
_BATCH = 500

_ENDED = "('SUCCESS', 'FAILURE', 'REVERTED')"
_UNFINISHED = (
    f'(state IS NULL OR state NOT IN {_ENDED}) AND (name IS NULL OR '
    f"SUBSTR(name, 1, {len(statements.DRILL)}) <> '{statements.DRILL}')")

#: A column, if it is JSON at all.
_VALID = {
    'mysql': 'CASE WHEN JSON_VALID({0}) THEN {0} END',
    'postgresql': '{0}',
    'sqlite': 'CASE WHEN json_valid({0}) THEN {0} END',
}

#: Name of the factory, number of arguments, and names of arguments.
_FACTORY = {
    'mysql': (
        "JSON_UNQUOTE(JSON_EXTRACT(m, '$.factory.name')), "
        "JSON_LENGTH(m, '$.factory.args'), JSON_KEYS(m, '$.factory.kwargs')"),
    'postgresql': (
        "m #>> '{factory,name}', "
        "CASE json_typeof(m #> '{factory,args}') WHEN 'array' THEN "
        "json_array_length(m #> '{factory,args}') END, "
        "CASE json_typeof(m #> '{factory,kwargs}') WHEN 'object' THEN "
        "(SELECT json_agg(k)::text FROM json_object_keys("
        "m #> '{factory,kwargs}') k) END"),
    'sqlite': (
        "json_extract(m, '$.factory.name'), "
        "json_array_length(m, '$.factory.args'), "
        "(SELECT json_group_array(key) FROM json_each("
        "m, '$.factory.kwargs'))"),
}

#: The value at a path in a column.
_AT = {
    'mysql': "JSON_UNQUOTE(JSON_EXTRACT({0}, '$.{1}'))",
    'postgresql': "{0} #>> '{{{2}}}'",
    'sqlite': "json_extract({0}, '$.{1}')",
}

#: Where the id of the load balancer is. ``r`` is what a worker that began the
#: flow has stored of the job: the same keys as on the board. ``m`` is the
#: description: a deletion has the load balancer, a failover has it after its
#: amphorae, and the failover of an amphora has the amphora.
_LOAD_BALANCER = (
    ('r', 'loadbalancer_id'),
    ('r', 'loadbalancer.loadbalancer_id'),
    ('m', 'factory.args[0].loadbalancer_id'),
    ('m', 'factory.args[1].loadbalancer_id'),
    ('m', 'factory.args[0].load_balancer_id'),
)

_ID = re.compile(r'[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}')

#: TaskFlow's name of the task that gives a flow what its job carries.
_INJECTOR = '_TaskFlow_INJECTOR'

_SIZE = {
    'mysql': "SELECT SUM(DATA_LENGTH + INDEX_LENGTH) FROM "
             "information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND "
             "TABLE_NAME IN ('logbooks', 'flowdetails', 'atomdetails')",
    'postgresql': "SELECT pg_total_relation_size('logbooks') + "
                  "pg_total_relation_size('flowdetails') + "
                  "pg_total_relation_size('atomdetails')",
    'sqlite': 'SELECT page_count * page_size FROM pragma_page_count(), '
              'pragma_page_size()',
}

_NO_TABLE = frozenset({errors.MYSQL_NO_TABLE, '42P01',
                       'OperationalError'})

_NO_COLUMN = frozenset({1054, '42703'})

#: Removes what has ended; what belongs to a logbook is deleted with it.
DELETE_ENDED = ('DELETE FROM logbooks WHERE uuid IN (SELECT parent_uuid FROM '
                f'flowdetails WHERE state IN {_ENDED});')


class Call(NamedTuple):
    """How a flow is to be built.

    :ivar factory: import path, None where none is stored
    :ivar positional: number of arguments without a name
    :ivar names: of the others
    """

    factory: str | None
    positional: int
    names: tuple[str, ...]


class Flow(NamedTuple):
    """A flow that has not ended.

    :ivar book: uuid of its logbook
    :ivar state: None until a worker begins it
    """

    uuid: str
    book: str
    name: str
    state: str | None
    call: Call


class Logbooks:
    """The tables of TaskFlow in one database.

    Every method raises :class:`database.QueryError` and
    :class:`net.Fault`.

    :param base: connected
    """

    def __init__(self, base: database.Database):
        self._base = base

    def unfinished(self) -> Iterator[list[Flow]]:
        """Yield the flows that have not ended, some at a time."""
        # TaskFlow does not let SQLite delete the flows of a logbook with it.
        kept = (' AND parent_uuid IN (SELECT uuid FROM logbooks)'
                if self._base.kind == 'sqlite' else '')
        factory = _FACTORY[self._base.kind]
        meta = _VALID[self._base.kind].format('meta')
        last = ''
        while True:
            rows = self._base.rows(
                f'SELECT uuid, parent_uuid, name, state, {factory} FROM '
                f'(SELECT uuid, parent_uuid, name, state, '
                f'{meta} AS m FROM flowdetails WHERE '
                f'uuid > %s AND {_UNFINISHED}{kept} ORDER BY uuid LIMIT '
                f'{_PAGE}) f ORDER BY uuid', last)
            if rows:
                yield [Flow(uuid, book, name or 'unnamed', state,
                            Call(path, count or 0, _names(names)))
                       for uuid, book, name, state, path, count, names
                       in rows]
            if len(rows) < _PAGE:
                return
            last = rows[-1][0]

    def named(self, books: Sequence[str]) -> dict[str, tuple[str, str | None]]:
        """Return the flow of each of a few logbooks, and its load balancer.

        The latter is None where it is not stored: for most flows that no
        worker has begun, only the job on the board has it.
        """
        kind = self._base.kind
        valid = _VALID[kind]
        ids = ', '.join(_AT[kind].format(
            column, path, re.sub(r'\W+', ',', path))
            for column, path in _LOAD_BALANCER)
        marks = ', '.join(['%s'] * len(books))
        rows = self._base.rows(
            f'SELECT book, name, {ids} FROM (SELECT parent_uuid AS book, '
            f'name, {valid.format("meta")} AS m, (SELECT '
            f"{valid.format('results')} FROM atomdetails a WHERE "
            f"a.parent_uuid = f.uuid AND a.name = '{_INJECTOR}' LIMIT 1) "
            f'AS r FROM flowdetails f WHERE parent_uuid IN ({marks})) d',
            *books)
        return {
            book: (name or 'unnamed', next(
                (i for i in found if isinstance(i, str) and _ID.fullmatch(i)),
                None))
            for book, name, *found in rows}

    def counts(self) -> tuple[int, int]:
        """Return how many flows have not ended, and how many have.

        No index helps with that, so the table is scanned once.
        """
        total, ended = self._base.rows(
            f'SELECT COUNT(*), COUNT(CASE WHEN state IN {_ENDED} THEN 1 END) '
            f'FROM flowdetails')[0]
        return total - ended, ended

    def existing(self, books: Iterable[str]) -> set[str]:
        """Return those of some logbooks that exist and have a flow."""
        found: set[str] = set()
        wanted = list(books)
        for start in range(0, len(wanted), _BATCH):
            batch = wanted[start:start + _BATCH]
            marks = ', '.join(['%s'] * len(batch))
            found |= {row[0] for row in self._base.rows(
                f'SELECT uuid FROM logbooks b WHERE uuid IN ({marks}) AND '
                f'EXISTS (SELECT 1 FROM flowdetails f WHERE '
                f'f.parent_uuid = b.uuid)', *batch)}
        return found

    def oldest_ended(self) -> str | None:
        """Return the logbook of the flow that ended longest ago."""
        oldest = self._base.rows(
            f'SELECT parent_uuid FROM flowdetails WHERE state IN {_ENDED} '
            f'ORDER BY updated_at LIMIT 1')
        return oldest[0][0] if oldest else None

    def size(self) -> int:
        """Return how many bytes the tables occupy."""
        return int(self._base.rows(_SIZE[self._base.kind])[0][0] or 0)


def is_missing_table(error: database.QueryError) -> bool:
    """Whether the tables do not exist, rather than being unreadable.

    SQLite has no number for it, and little else that can go wrong.
    """
    return error.code in _NO_TABLE


def is_missing_column(error: database.QueryError) -> bool:
    """Whether a table exists and is not as TaskFlow created it."""
    return error.code in _NO_COLUMN


def _names(text):
    try:
        names = json.loads(text) if text else ()
    except ValueError:
        return ()
    return tuple(sorted(str(n) for n in names))

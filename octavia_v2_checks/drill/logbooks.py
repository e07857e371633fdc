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

"""The entries of drills in the persistence database, identified by name."""

from collections.abc import Iterable
import contextlib
import json
from typing import Any

from octavia_v2_checks.drill import names


class Logbooks:
    """The persistence database, as TaskFlow has it open.

    :param backend: TaskFlow's, for SQLAlchemy
    """

    def __init__(self, backend):
        import sqlalchemy
        self._backend = backend
        self._sa = sqlalchemy
        text = sqlalchemy.column
        self._books = sqlalchemy.table(
            'logbooks', text('uuid'), text('name'), text('meta'))
        self._flows = sqlalchemy.table(
            'flowdetails', text('uuid'), text('parent_uuid'), text('name'),
            text('state'))
        self._atoms = sqlalchemy.table('atomdetails', text('parent_uuid'))

    def register(self, id_: names.Id, about: dict[str, Any]) -> None:
        """Record that a drill exists, before anything else of it."""
        from taskflow.persistence import models
        book = models.LogBook(f'{names.PREFIX}{id_.text}')
        book.meta = about
        with contextlib.closing(self._backend.get_connection()) as conn:
            conn.save_logbook(book)

    def registered(self) -> dict[str, dict[str, Any]]:
        """Return the drills that are recorded, or have left a flow.

        :returns: id -> what was recorded; empty if nothing was
        """
        found: dict[str, dict[str, Any]] = {}
        rows = self._rows(self._named(
            self._books, self._books.c.name, self._books.c.meta))
        for name, meta in rows:
            id_ = names.owner(name)
            if id_ and name == f'{names.PREFIX}{id_.text}':
                # PostgreSQL's driver has decoded it.
                found[id_.text] = (meta if isinstance(meta, dict)
                                   else json.loads(meta or '{}'))
            elif id_:
                found.setdefault(id_.text, {})
        for name, in self._rows(self._named(self._flows,
                                            self._flows.c.name)):
            id_ = names.owner(name)
            if id_:
                found.setdefault(id_.text, {})
        return found

    def states(self, flows: Iterable[str]) -> dict[str, str | None]:
        """Return the states of existing flows, by uuid."""
        uuids = list(flows)
        if not uuids:
            return {}
        table = self._flows
        return dict(self._rows(self._sa.select(
            table.c.uuid, table.c.state).where(table.c.uuid.in_(uuids))))

    def remove(self, id_: names.Id, but_entry: bool = False) -> int:
        """Remove everything of a drill; return the number of named rows.

        By uuid: a condition on names would lock the rows of other flows.

        :param but_entry: whether to keep the record of the drill
        """
        prefix = f'{names.PREFIX}{id_.text}' + ('-' if but_entry else '')
        sa, books, flows, atoms = (
            self._sa, self._books, self._flows, self._atoms)
        flow_ids = [uuid for uuid, in self._rows(self._named(
            flows, flows.c.uuid, prefix=prefix))]
        book_ids = [uuid for uuid, in self._rows(self._named(
            books, books.c.uuid, prefix=prefix))]
        with self._backend.engine.begin() as connection:
            for uuid in flow_ids:
                connection.execute(sa.delete(atoms).where(
                    atoms.c.parent_uuid == uuid))
                connection.execute(sa.delete(flows).where(
                    flows.c.uuid == uuid))
            for uuid in book_ids:
                connection.execute(sa.delete(books).where(
                    books.c.uuid == uuid))
        return len(flow_ids) + len(book_ids)

    def _named(self, table, *columns, prefix=names.PREFIX):
        return self._sa.select(*columns).where(
            table.c.name.startswith(prefix, autoescape=True))

    def _rows(self, statement):
        with self._backend.engine.connect() as connection:
            return connection.execute(statement).fetchall()

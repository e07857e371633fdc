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

"""A database named by an SQLAlchemy URL, as the checks see it.

SQLAlchemy and the driver run in a child process (:mod:`.child`), with one
connection that all checks of a run share.
"""

import contextlib
import re
import threading
from typing import Any
from typing import NoReturn

from octavia_v2_checks import clock as clocks
from octavia_v2_checks import findings
from octavia_v2_checks.backends import isolated
from octavia_v2_checks.backends import net
from octavia_v2_checks.backends import sniff
from octavia_v2_checks.backends.database import hosts

PRODUCTS = {'mysql': 'MySQL', 'postgresql': 'PostgreSQL'}

_OPTION = 'task_flow.persistence_connection'

#: Faults of a login that are about the database, not about the account.
_OF_ONE_DATABASE = frozenset({'unknown-database', 'missing-privileges'})

#: URL of MySQL, with a driver that can switch to another database.
_MYSQL = re.compile(r'(mysql(?:\+(?:pymysql|mysqldb|mysqlconnector))?://'
                    r'[^/?]*/)(\w+)(\?(?!.*plugin=).*)?')

#: Detail of a fault where something other than the database may answer.
ODD = 'odd'

#: Detail of a fault of one statement; the connection stays usable.
SLOW = 'slow'


class QueryError(net.Portable):
    """The server refused a statement.

    :ivar slug: what it means, or None if it is in no table
    :ivar code: error number or SQLSTATE, or the class of the exception
    """

    def __init__(self, slug: str | None, code: Any):
        super().__init__(slug, code)
        self.slug = slug
        self.code = code


class Unusable(net.Portable):
    """A URL with which no connection can be attempted.

    :ivar reason: why, as part of a sentence
    """

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


class Database:
    """A database, the same for all checks of a run.

    :param text: its URL
    :param deadline: bounds connecting and each question
    :raises findings.Blocked: if the URL is unusable, which the config check
        reports
    :raises net.Fault: ``driver-missing``

    :ivar kind: ``mysql``, ``postgresql`` or ``sqlite``
    :ivar name: of the database; the path of an SQLite file
    :ivar user: of the account
    :ivar host: what is contacted: ``host:port``, or the path of a socket
    :ivar down: what is wrong with hosts of the URL that were skipped
    """

    def __init__(self, text: str, deadline: clocks.Deadline):
        self._deadline = deadline
        self._child = isolated.Child(
            deadline, 'octavia_v2_checks.backends.database.child:Server',
            text)
        self._turn = threading.Lock()
        self._opened = False
        self._failure: Exception | None = None
        self.down: list[net.Fault] = []
        try:
            # There is nothing to wait for here except a slow disk.
            said = self._child.ask('describe',
                                   clock=clocks.Clock(deadline.left()))
        except Unusable as exc:
            raise _blocked(exc) from None
        self.kind: str = said['kind']
        self.name: str = said['name']
        self.user: str = said['user']
        self.host: str | None = said['host']
        self._places: list[hosts.Place] = said['places']
        #: How libpq tries several hosts.
        self._search = hosts.Search(*said['search'])

    @property
    def is_memory(self) -> bool:
        """Whether the database is in the memory of one process."""
        return self.kind == 'sqlite' and self.name in ('', ':memory:')

    @property
    def shown(self) -> str:
        """How a message names it: ``user@host:port/name``, or the file."""
        if self.kind == 'sqlite':
            return self.name
        return f'{self.user}@{self.host}/{self.name}'

    def connect(self) -> None:
        """Connect and log in, once for all callers. Creates nothing, not even
        a file.

        :raises net.Fault: with a slug of the persistence check, the same for
            all callers
        :raises findings.Blocked: if the driver does not accept a parameter
        """
        with self._alone():
            if not self._opened:
                self._opened = True
                try:
                    self._open()
                except Unusable as exc:
                    self._failure = _blocked(exc)
                except net.Fault as fault:
                    self.host = fault.host or self.host
                    self._failure = fault
            if self._failure:
                _again(self._failure)

    def _open(self):
        looked: list[net.Fault | None] = [None] * len(self._places)
        if len(self._places) > 1:
            looked = hosts.look(self._places, self._deadline)
            self._search.judge(self._places, looked)
        there = [place for place, fault in zip(self._places, looked,
                                               strict=True) if not fault]
        self.down = [fault for fault in looked if fault]
        clock = self._deadline.probe()
        try:
            used, standby = self._child.ask('connect', there, clock.seconds,
                                            clock=clock)
        except net.Fault as fault:
            if fault.slug == 'not-writable':
                # No host had the requested role, so all were tried.
                self._search.judge(self._places, looked, len(looked))
            raise self._stranger(fault) or fault from None
        if used:
            self.host = used
            self._search.judge(
                self._places, looked,
                next((n for n, place in enumerate(self._places)
                      if net.endpoint(*place) == used), 0), standby)

    def _stranger(self, fault):
        """Return the fault for a port where another kind of server answers."""
        if len(self._places) != 1 or not (
                fault.slug == 'timeout' or fault.detail == ODD):
            return None
        place = self._places[0]
        clock = sniff.second_look(self._deadline)
        try:
            name = isolated.call(
                self._deadline, f'{hosts.__name__}:recognise', *place,
                clock.seconds, clock=clock)
        except (net.Fault, clocks.OutOfTime):
            return None
        wanted = PRODUCTS[self.kind]
        if name in (None, wanted):
            return None
        host = net.endpoint(*place)
        return net.Fault('wrong-protocol', f'{host} is {name}, not {wanted}.',
                         host=host)

    def rows(self, statement: str, *values: str) -> list[tuple]:
        """Run one read-only statement and return all its rows, as plain data.

        :param values: values for the ``%s`` placeholders of the statement
        :raises QueryError: if the server refuses it
        :raises net.Fault: ``timeout`` or ``locked``, or what ended the
            connection
        """
        return self._ask('rows', statement, values)

    def schema(self, tables: list[str]
               ) -> tuple[list[str], list[tuple], list[tuple]]:
        """Return the names of all tables, and the columns and indexes of some.

        :param tables: those to look at, if they exist
        :returns: names, ``(table, column, type)``, ``(table, index,
            unique)``
        :raises QueryError: and others, as :meth:`rows`
        """
        return self._ask('schema', tables)

    def _ask(self, question, *args):
        with self._alone():
            if self._failure:
                _again(self._failure)
            clock = self._deadline.probe()
            clock.require()
            try:
                return self._child.ask(question, *args, self.name,
                                       clock.seconds, clock=clock)
            except net.Fault as fault:
                if fault.detail != SLOW:
                    self._failure = fault
                raise

    @contextlib.contextmanager
    def _alone(self):
        """Wait for other callers: the time of a question begins with its
        turn. What ends the turn of another at the last moment ends theirs.
        """
        if not self._turn.acquire(timeout=self._deadline.until_end()):
            raise clocks.OutOfTime
        try:
            yield
        finally:
            self._turn.release()

    def __enter__(self) -> 'Database':
        self.connect()
        return self

    def __exit__(self, *exc: object) -> None:
        """Leave it open: other checks use it, and it is closed when the run
        ends."""


class _Neighbour(Database):
    """Another database of a MySQL server, over the same connection.

    :param first: is connected
    """

    def __init__(self, first: Database, name: str):
        self._deadline = first._deadline
        self._child = first._child
        self._turn = first._turn
        self._opened = True
        self._failure = None
        self.down = []
        self.kind, self.user, self.host = first.kind, first.user, first.host
        self.name = name


def shared(text: str, deadline: clocks.Deadline, beside: str | None = None
           ) -> Database:
    """Return the database of a URL, one for all checks of a run.

    :param beside: another URL, whose connection is used where both name the
        same account of a MySQL server
    :raises findings.Blocked: and others, as :class:`Database`
    """
    def make() -> Database:
        name = _neighbour(beside, text) if beside else None
        if beside and name:
            try:
                first = shared(beside, deadline)
                first.connect()
                return _Neighbour(first, name)
            except net.Fault as fault:
                if fault.slug not in _OF_ONE_DATABASE:
                    raise
        return Database(text, deadline)

    return deadline.shared(('database', text), make)


def _neighbour(one: str, other: str) -> str | None:
    """Return the database of a URL that is like another in all but that."""
    ours, theirs = _MYSQL.fullmatch(one), _MYSQL.fullmatch(other)
    if ours and theirs and one != other and (
            ours[1], ours[3]) == (theirs[1], theirs[3]):
        return theirs[2]
    return None


def _blocked(exc: Unusable) -> findings.Blocked:
    return findings.Blocked(exc.reason, option=_OPTION)


def _again(failure: Exception) -> NoReturn:
    raise failure.with_traceback(None)

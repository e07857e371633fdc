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

"""The child process of one database: SQLAlchemy's engine, one connection.

It uses the same URL as the engine of a worker, with its plug-ins, sockets,
option files and hosts. There is no pool, no retry, and every statement that is
sent begins with one of :data:`READS`.
"""

from collections.abc import Iterator
import contextlib
import decimal
import socket
from typing import Any

from octavia_v2_checks.backends import database
from octavia_v2_checks.backends import net
from octavia_v2_checks.backends import served
from octavia_v2_checks.backends import witness as witness_
from octavia_v2_checks.backends.database import drivers
from octavia_v2_checks.backends.database import engines
from octavia_v2_checks.backends.database import errors
from octavia_v2_checks.backends.database import faults
from octavia_v2_checks.backends.database import hosts
from octavia_v2_checks.backends.database import locks
from octavia_v2_checks.backends.database import sqlite

#: Words with which a statement may begin. EXPLAIN executes nothing.
READS = frozenset({'SELECT', 'SHOW', 'EXPLAIN', 'DESCRIBE', 'SET', 'PRAGMA'})

#: Fractions of the time of a question after which the server itself aborts a
#: statement, and a wait for a lock.
_STATEMENT = 0.8
_LOCK = 0.4

#: Seconds to ask who holds a lock.
_BRIEF = 0.5


class Unread(Exception):
    """A statement of ours does not begin like one that only reads."""


def _guard(_connection, _cursor, statement, *_rest):
    """Refuse a statement that is not on the list of reads, just before
    sending."""
    if statement.split(None, 1)[0].upper() not in READS:
        raise Unread


def _unusable(exc: Exception) -> database.Unusable | None:
    """Return what a driver says about its parameters, if that is the error."""
    if isinstance(exc, TypeError) and 'argument' in str(exc.args):
        return database.Unusable('the database driver does not accept a '
                                 'parameter of persistence_connection')
    if isinstance(exc, UnicodeEncodeError):
        return database.Unusable('the database driver cannot send the '
                                 'password in persistence_connection')
    if isinstance(exc, LookupError) and not isinstance(exc, IndexError):
        return database.Unusable('the database driver does not know the '
                                 'charset in persistence_connection')
    return None


def _plain(value: Any) -> Any:
    """Return the value that a driver returns for a column, as plain data."""
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return value
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral() else float(value)
    return str(value)


class Server:
    """Answers the questions of :class:`database.Database`.

    :param text: the URL
    """

    def __init__(self, text: str):
        self._text = text
        self._witness = witness_.Witness()
        self._connection: Any = None
        self._search: tuple = (False, False, '')
        self._several = False
        #: Limits of the session, in seconds; None while they are not set.
        self._limit: float | None = None

    def describe(self) -> dict[str, Any]:
        """Return the contents of a URL, without contacting anything.

        :raises database.Unusable: if SQLAlchemy or the driver cannot use it
        :raises net.Fault: ``driver-missing``
        """
        served.step('importing SQLAlchemy and the driver')
        self._engine = engines.make(self._text)
        dialect = self._engine.dialect
        self._kind = {'mariadb': 'mysql'}.get(dialect.name, dialect.name)
        if self._kind not in ('mysql', 'postgresql', 'sqlite'):
            raise database.Unusable('persistence_connection is of a kind that '
                                    'TaskFlow does not know')
        if self._kind == 'sqlite':
            self._login = faults.Login('sqlite', '', '',
                                       self._engine.url.database or '')
            return self._said([])
        asked = engines.asked(self._engine)
        try:
            target = drivers.Target(self._kind, dialect.driver, asked)
        except ValueError:
            # As many ports as hosts, or one, and each of them a number.
            raise database.Unusable(
                'persistence_connection has a different number of hosts and '
                'ports') from None
        self._login = faults.Login(
            self._kind, target.host, target.user, target.name,
            drivers.plain(self._kind, dialect.driver, asked))
        self._search = target.search
        self._several = len(target.places) > 1
        return self._said(target.places)

    def _said(self, places):
        login = self._login
        return {'kind': login.kind, 'host': login.host or None,
                'user': login.user, 'name': login.name,
                'places': places, 'search': self._search}

    def connect(self, places: list[hosts.Place], seconds: float
                ) -> tuple[str | None, bool]:
        """Connect and log in.

        :param places: those of the URL that answer
        :param seconds: that there are
        :returns: what was contacted, None if that is as described; and
            whether it is a standby, if the URL prefers one
        :raises net.Fault: with a slug of the persistence check
        :raises database.Unusable: if the driver does not accept a parameter
        """
        from sqlalchemy import event
        event.listen(self._engine, 'before_cursor_execute', _guard)

        @event.listens_for(self._engine, 'do_connect')
        def do_connect(dialect, _record, args, asked):
            if self._kind == 'sqlite':
                return sqlite.connect(dialect.dbapi, self._login.name,
                                      seconds * _LOCK)
            return self._open(dialect, args, asked, places, seconds)

        try:
            connection = self._engine.connect()
        except (net.Portable, MemoryError):
            raise
        except Exception as exc:  # drivers raise anything at odd answers
            raise self._unconnected(exc, seconds) from None
        options = {'no_parameters': True}
        if self._kind == 'postgresql':
            options['postgresql_readonly'] = True
        self._connection = connection.execution_options(**options)
        return self._chosen(seconds)

    def _open(self, dialect, args, asked, places, seconds):
        drivers.restrict(self._kind, dialect.driver, asked, seconds)
        if self._several:
            asked['host'] = ','.join(host for host, _ in places)
            asked['port'] = ','.join(str(port) for _, port in places)
        elif places and 'hostaddr' not in asked:
            self._resolve(*places[0])
        served.step('answer', self._login.host)
        connection = drivers.connect(dialect.driver, dialect.dbapi,
                                     args, asked)
        drivers.settle(dialect.driver, connection)
        return connection

    def _resolve(self, host, port):
        """Resolve a name where the witness sees it: drivers in C hide that."""
        try:
            socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            if self._witness.fault:
                raise self._witness.fault from None
            raise

    def _unconnected(self, exc, seconds):
        """Return what to raise where a login failed."""
        exc = getattr(exc, 'orig', None) or exc
        unusable = _unusable(exc)
        if unusable:
            return unusable
        seen = self._witness.fault
        if isinstance(exc, OSError) and not seen and (
                type(exc).__module__ != 'ssl'):
            # The ssl module does not say which file it misses.
            what = ('does not exist' if isinstance(exc, FileNotFoundError)
                    else 'cannot be read')
            return net.Fault('tls', f'A TLS file named in '
                             f'persistence_connection {what}.',
                             host=self._login.host)
        if seen and errors.code_of(exc) in (None, 2002, 2003):
            return seen
        plain = getattr(exc, 'unencrypted', self._login.plain)
        return faults.of_login(self._login._replace(plain=plain), exc,
                               seconds)

    def _chosen(self, seconds):
        host = None
        if self._kind == 'postgresql':
            used = getattr(self._raw(), 'info', None)
            if used is not None and used.host:
                host = drivers.postgresql_host(used.host, used.port)
                self._login = self._login._replace(host=host)
        standby = self._search[2] == 'prefer-standby' and self.rows(
            'SELECT pg_is_in_recovery()', (), '', seconds)[0][0]
        return host, bool(standby)

    def rows(self, statement: str, values: tuple, name: str, seconds: float
             ) -> list[tuple]:
        """Run one read-only statement and return all its rows, as plain data.

        :param values: values for its ``%s`` placeholders
        :param name: of the database, of those of a MySQL server
        :param seconds: that there are
        :raises database.QueryError: if the server refuses it
        :raises net.Fault: if it cannot be asked, or not in time
        """
        self._choose(name, seconds)
        with self._asking(seconds):
            return self._rows(statement, values)

    def _choose(self, name, seconds):
        """Switch to another database of a MySQL server."""
        if self._kind != 'mysql' or name in ('', self._login.name):
            return
        raw = self._raw()
        choose = getattr(raw, 'select_db', None) or raw.cmd_init_db
        try:
            choose(name)
        except self._engine.dialect.dbapi.Error as exc:
            raise faults.of_login(self._login._replace(name=name), exc,
                                  seconds) from None
        self._login = self._login._replace(name=name)

    def _raw(self):
        """Return the driver's own connection."""
        proxy = self._connection.connection
        return getattr(proxy, 'dbapi_connection', None) or proxy.connection

    def _rows(self, statement, values=()):
        if self._engine.dialect.paramstyle == 'qmark':
            statement = statement.replace('%s', '?')
        found = self._connection.exec_driver_sql(
            statement, *([tuple(values)] if values else []))
        if not found.returns_rows:
            return []
        return [tuple(map(_plain, row)) for row in found]

    def schema(self, tables: list[str], name: str, seconds: float
               ) -> tuple[list, list, list]:
        """Answer :meth:`database.Database.schema`.

        :param name: of the database, of those of a MySQL server
        :param seconds: that there are
        """
        import sqlalchemy
        self._choose(name, seconds)
        columns, indexes = [], []
        with self._asking(seconds):
            inspector = sqlalchemy.inspect(self._connection)
            names = inspector.get_table_names()
            for table in [t for t in tables if t in names]:
                columns += [(table, str(c['name']),
                             c['type'].__visit_name__.lower())
                            for c in inspector.get_columns(table)]
                indexes += [(table, str(i['name']), bool(i['unique']))
                            for i in inspector.get_indexes(table)]
        return [str(n) for n in names], columns, indexes

    @contextlib.contextmanager
    def _asking(self, seconds: float) -> Iterator[None]:
        """Have the server itself abort what takes too long."""
        try:
            self._bound(seconds * _STATEMENT, seconds * _LOCK)
            yield
        except (net.Portable, MemoryError, Unread):
            raise
        except Exception as exc:  # drivers raise anything at odd answers
            raise self._refusal(exc, seconds) from None
        finally:
            self._end()

    def _end(self):
        """End the transaction, if there still is one."""
        if self._kind == 'postgresql':
            with contextlib.suppress(Exception):
                self._connection.rollback()

    def _bound(self, statement, lock):
        if self._kind == 'postgresql':
            # For this transaction only: behind PgBouncer, the next one on the
            # same connection may belong to another client.
            limits = {'statement_timeout': statement}
            if self._engine.dialect.server_version_info >= (9, 3):
                limits['lock_timeout'] = lock
            self._rows('SELECT ' + ', '.join(
                f"set_config('{name}', '{max(1, round(limit * 1000))}', "
                f"true)" for name, limit in limits.items()))
        elif self._kind == 'mysql' and (
                self._limit is None or statement < self._limit * 0.9):
            self._limit = statement
            self._bound_session(statement, lock)

    def _bound_session(self, statement, lock):
        dialect = self._engine.dialect
        settings = [f'lock_wait_timeout = {max(1, round(lock))}']
        longest = [f'max_statement_time = {statement:.3f}'
                   if dialect.is_mariadb else
                   f'max_execution_time = {max(1, round(statement * 1000))}']
        for wanted in (settings + longest, settings):
            try:
                self._rows('SET SESSION ' + ', '.join(wanted))
            except Exception as exc:
                # An old server, or a proxy, may not support the limit.
                orig = getattr(exc, 'orig', None) or exc
                if errors.meaning('mysql', orig)[0] not in (
                        errors.OF_STATEMENTS):
                    raise
            else:
                return

    def _refusal(self, exc, seconds):
        """Return what to raise where a statement failed."""
        exc = getattr(exc, 'orig', None) or exc
        slug, _ = errors.meaning(self._kind, exc)
        said = faults.of_question(self._login, exc, seconds)
        waited = seconds * _LOCK
        if self._kind == 'mysql':
            waited = max(1, round(waited))
        slow = getattr(said, 'detail', None) == database.SLOW
        # MySQL takes whole seconds for a lock.
        if slug != 'locked' and not (slow and seconds * _STATEMENT <= waited):
            return said
        self._end()
        held = locks.holders(self._kind, self._ask_briefly)
        if slug != 'locked' and not held:
            return said
        return locks.locked(self._kind, self._login.host or self._login.name,
                            round(waited, 1), held)

    def _ask_briefly(self, statement):
        try:
            self._bound(_BRIEF, _BRIEF)
            return self._rows(statement)
        finally:
            self._end()

    def close(self) -> None:
        """End the session with the server."""
        if self._connection is not None:
            self._connection.close()

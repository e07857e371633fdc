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

"""One connection to a database, bounded and read-only.

SQLAlchemy knows the URLs and the drivers; the driver's own connection is
used below it, because an engine asks questions of its own on connecting.
Error numbers are those of the MySQL and MariaDB manuals and the SQLSTATE
codes of PostgreSQL.
"""

import os
import re
from typing import Any
from urllib import parse

from octavia_v2_checks import clock as clocks
from octavia_v2_checks import findings
from octavia_v2_checks.backends import net

DEFAULT_PORTS = {'mysql': 3306, 'mariadb': 3306, 'postgresql': 5432}

#: MySQL error number -> slug. 2003 and 2013 depend on what is below them.
MYSQL_ERRORS = {
    1040: 'too-many-connections', 1203: 'too-many-connections',
    1226: 'too-many-connections',
    1045: 'access-denied', 1130: 'access-denied', 1251: 'access-denied',
    1698: 'access-denied', 1862: 'access-denied', 1820: 'access-denied',
    2059: 'access-denied', 2061: 'access-denied',
    3118: 'access-denied', 4151: 'access-denied',
    1044: 'missing-privileges', 1142: 'missing-privileges',
    1143: 'missing-privileges', 1370: 'missing-privileges',
    1049: 'unknown-database', 1046: 'unknown-database',
    1047: 'not-writable', 1290: 'not-writable', 1792: 'not-writable',
    1836: 'not-writable', 3100: 'not-writable',
    2026: 'tls', 3159: 'tls',
    2002: 'refused', 2005: 'unresolvable',
    1969: 'timeout', 3024: 'timeout',
}
#: MySQL error number of a missing table.
MYSQL_NO_TABLE = 1146

#: SQLSTATE -> slug
POSTGRES_ERRORS = {
    '28P01': 'access-denied', '28000': 'access-denied',
    '3D000': 'unknown-database', '42501': 'missing-privileges',
    '53300': 'too-many-connections', '25006': 'not-writable',
    '57014': 'timeout', '57P03': 'refused',
}
#: libpq gives no SQLSTATE while connecting, only words (C locale or not, the
#: server's own messages below are in the server's language; these are the
#: ones Octavia's deployments have).
POSTGRES_WORDS = (
    ('password authentication failed', 'access-denied'),
    ('pg_hba.conf', 'access-denied'),
    ('no password supplied', 'access-denied'),
    ('is not permitted to log in', 'access-denied'),
    ('permission denied for database', 'missing-privileges'),
    ('server does not support SSL', 'tls'),
    ('certificate', 'tls'),
    ('SSL', 'tls'),
    ('remaining connection slots', 'too-many-connections'),
    ('too many clients', 'too-many-connections'),
    ('too many connections', 'too-many-connections'),
    ('could not translate host name', 'unresolvable'),
    ('Connection refused', 'refused'),
    ('No route to host', 'refused'),
    ('Network is unreachable', 'refused'),
    ('No such file or directory', 'refused'),
    ('timeout expired', 'timeout'),
    ('timed out', 'timeout'),
    ('the database system is', 'refused'),
)


class QueryError(Exception):
    """The server refused a statement.

    :ivar slug: what it means, or None if no table knows it
    :ivar code: error number or SQLSTATE, or the class of the exception
    """

    def __init__(self, slug: str | None, code: Any):
        super().__init__(code)
        self.slug = slug
        self.code = code


class Database:
    """A database named by an SQLAlchemy URL.

    :param text: the URL
    :param deadline: from which connecting and each question take their time
    :raises findings.Blocked: if SQLAlchemy cannot read the URL, which the
        config check reports
    """

    def __init__(self, text: str, deadline: clocks.Deadline):
        import sqlalchemy
        from sqlalchemy import exc
        try:
            self._url = sqlalchemy.engine.make_url(text)
            self._dialect_class = self._url.get_dialect()
        except (exc.ArgumentError, exc.NoSuchModuleError, ValueError):
            raise findings.Blocked(
                'config', 'persistence_connection is not a URL that '
                'SQLAlchemy knows') from None
        except ModuleNotFoundError as error:
            raise self._driver_missing(error) from None
        self._deadline = deadline
        self._connection: Any = None
        self.kind = ('mysql' if self._dialect_class.name == 'mariadb'
                     else self._dialect_class.name)
        self.name = self._url.database or ''
        self.user = self._url.username or ''
        self.host = self._endpoint()

    def without_database(self, deadline: clocks.Deadline) -> 'Database':
        """Return the same server and account, with no database chosen."""
        return Database(
            self._url.set(database='').render_as_string(hide_password=False),
            deadline)

    @property
    def is_memory(self) -> bool:
        """Whether the database lives in the memory of one process."""
        return self.kind == 'sqlite' and self.name in ('', ':memory:')

    @property
    def shown(self) -> str:
        """How a message names it: ``user@host:port/name``, or the file."""
        if self.kind == 'sqlite':
            return self.name
        return f'{self.user}@{self.host}/{self.name}'

    def _endpoint(self):
        if self.kind == 'sqlite':
            return None
        query = self._url.query
        socket = query.get('unix_socket') or query.get('host')
        if isinstance(socket, str) and not self._url.host:
            return socket
        return net.endpoint(self._url.host or 'localhost', self._port)

    @property
    def _port(self) -> int:
        return self._url.port or DEFAULT_PORTS.get(self.kind, 0)

    def connect(self) -> None:
        """Connect and log in. Creates nothing, not even an SQLite file.

        :raises net.Fault: with a slug of the persistence check
        :raises findings.Blocked: if the driver takes no such parameter
        """
        try:
            driver = self._dialect_class.import_dbapi()
        except ModuleNotFoundError as exc:
            raise self._driver_missing(exc) from None
        if self.kind == 'sqlite':
            self._connect_sqlite(driver)
            return
        clock = self._deadline.probe()
        if self._url.host and ',' not in self._url.host:
            net.resolve(self._url.host, self._port, clock)
        args, kwargs = self._dialect_class(
            dbapi=driver).create_connect_args(self._url)
        kwargs.update(self._limits(driver.__name__, clock, kwargs))
        try:
            self._connection = clocks.bounded(
                lambda: driver.connect(*args, **kwargs), clock)
            self._autocommit(driver.__name__)
        except clocks.OutOfTime:
            raise self._late(clock) from None
        except TypeError as exc:
            if 'argument' not in str(exc.args):
                raise self._connect_fault(exc, clock) from None
            raise findings.Blocked(
                'config', 'the database driver does not take a parameter of '
                'persistence_connection') from None
        except FileNotFoundError as exc:
            # The ssl module does not say which file it misses.
            raise net.Fault(
                'tls', 'A TLS file named in persistence_connection does not '
                'exist' + (f': {exc.filename}.' if exc.filename else '.'),
                host=self.host) from None
        except Exception as exc:  # drivers raise anything at odd answers
            fault = self._connect_fault(exc, clock)
            if fault.slug == 'access-denied' and self._wants_tls(
                    driver, args, kwargs):
                fault = net.Fault(
                    'tls', f'{self.host} lets {self.user!r} in over TLS '
                    f'only.', 'Take ssl_disabled out of [task_flow] '
                    'persistence_connection and add '
                    'ssl_ca=/path/to/the/ca.pem.', host=self.host)
            raise fault from None

    def _wants_tls(self, driver, args, kwargs):
        """Whether the login that was refused succeeds over TLS.

        MariaDB gives a wrong password and a missing encryption the same
        number.
        """
        if driver.__name__ != 'pymysql':
            return False
        plain = {k: v for k, v in kwargs.items() if not k.startswith('ssl')}
        try:
            clocks.bounded(lambda: driver.connect(
                *args, **plain, ssl={'check_hostname': False}),
                self._deadline.probe()).close()
        except Exception:  # refused again, or no TLS there: the first counts
            return False
        return True

    def _driver_missing(self, exc):
        module = exc.name or 'the driver'
        package = {'MySQLdb': 'mysqlclient', 'pymysql': 'PyMySQL',
                   'psycopg2': 'psycopg2-binary', 'psycopg':
                   "'psycopg[binary]'", 'mysql': 'mysql-connector-python'
                   }.get(module.partition('.')[0], module)
        return net.Fault(
            'driver-missing',
            f'The Python module {module}, which persistence_connection asks '
            f'for, is not installed in this environment.',
            f'pip install {package}')

    def _autocommit(self, module):
        if module == 'MySQLdb' or module == 'pymysql':
            self._connection.autocommit(True)
        else:
            self._connection.autocommit = True

    def _limits(self, module, clock, kwargs):
        """Return the driver's own time limits, so that no thread is left."""
        seconds = clock.require()
        whole = max(1, round(seconds))
        if module == 'pymysql':
            return {f'{k}_timeout': seconds
                    for k in ('connect', 'read', 'write')}
        if module == 'MySQLdb':
            return {f'{k}_timeout': whole
                    for k in ('connect', 'read', 'write')}
        if module == 'mysql.connector':
            return {'connection_timeout': whole}
        if module in ('psycopg2', 'psycopg'):
            options = kwargs.get('options', '')
            return {'connect_timeout': max(2, whole), 'options':
                    f'{options} -c statement_timeout={whole * 1000}'.strip()}
        return {}

    def _connect_sqlite(self, driver):
        path = self.name
        uri = path.startswith('file:')
        if uri:
            path = parse.unquote(path[5:].partition('?')[0])
        if not os.path.exists(path):
            raise net.Fault(
                'unknown-database',
                f'The SQLite file {path} does not exist.')
        if not os.access(path, os.R_OK):
            raise net.Fault('access-denied',
                            f'The SQLite file {path} is not readable.')
        # Opening a write-ahead-log database makes its -shm file, even
        # read-only, unless SQLite is told that nobody writes to it.
        mode = 'mode=ro'
        with open(path, 'rb') as stream:
            header = stream.read(20)
        if header[18:20] == b'\2\2' and not os.path.exists(f'{path}-wal'):
            mode = 'immutable=1'
        target = parse.quote(os.path.abspath(path))
        self._connection = driver.connect(
            f'file:{target}?{mode}', uri=True, isolation_level=None,
            check_same_thread=False,
            timeout=self._deadline.probe().left())

    def rows(self, statement: str) -> list[tuple]:
        """Run one reading statement and return all its rows.

        :raises QueryError: if the server refuses it
        :raises net.Fault: ``timeout``, or ``refused`` if the server is gone
        """
        clock = self._deadline.probe()

        def ask():
            cursor = self._connection.cursor()
            try:
                cursor.execute(statement)
                return list(cursor.fetchall()) if cursor.description else []
            finally:
                cursor.close()

        try:
            return clocks.bounded(ask, clock)
        except clocks.OutOfTime:
            raise self._late(clock) from None
        except Exception as exc:
            raise self._query_error(exc, clock) from None

    def close(self) -> None:
        """Close the connection, without waiting for a silent server."""
        if self._connection:
            try:
                clocks.bounded(self._connection.close, clocks.Clock(0.5))
            except Exception:  # a connection that is gone cannot be closed
                self._connection = None

    def __enter__(self) -> 'Database':
        self.connect()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _late(self, clock):
        return net.Fault('timeout', f'{self.host or self.name} did not '
                         f'answer within {clock.seconds:g} s.',
                         host=self.host)

    def _query_error(self, exc, clock):
        code = _code(exc)
        if self.kind == 'mysql' and code in (2006, 2013, 0):
            if 'timed out' in str(exc.args):
                return self._late(clock)
            return net.Fault('refused', f'{self.host} closed the connection '
                             f'while it was asked.', host=self.host)
        if self.kind == 'mysql':
            return QueryError(MYSQL_ERRORS.get(code), code)
        if self.kind == 'postgresql':
            if str(code).startswith(('08', '57P')) or (
                    code is None and type(exc).__name__ in (
                        'OperationalError', 'InterfaceError')):
                return net.Fault('refused', f'{self.host} closed the '
                                 f'connection while it was asked.',
                                 host=self.host)
            return QueryError(POSTGRES_ERRORS.get(code), code)
        return QueryError(None, code or type(exc).__name__)

    def _connect_fault(self, exc, clock):
        slug, code = self._connect_slug(exc)
        where = {'host': self.host}
        number = f' (error {code})' if code else ''
        if slug == 'timeout':
            return self._late(clock)
        text = {
            'refused': f'{self.host} refused the connection{number}.',
            'unresolvable': f'The host of {self.host} does not resolve.',
            'access-denied': f'{self.host} refuses the account '
                             f'{_account(exc) or repr(self.user)}{number}.',
            'unknown-database': f'{self.host} has no database '
                                f'{self.name!r}{number}.',
            'missing-privileges': f'{_account(exc) or repr(self.user)} may '
                                  f'not use the database {self.name!r} on '
                                  f'{self.host}{number}.',
            'too-many-connections': f'{self.host} has no connection left '
                                    f'for {self.user!r}{number}.',
            'not-writable': f'{self.host} is not ready for queries{number}; '
                            f'a Galera node that is not in the primary '
                            f'component answers so.',
            'tls': f'TLS with {self.host} failed{number}: '
                   f'{_tls_reason(exc)}.',
        }.get(slug)
        if text:
            return net.Fault(slug, text, **where)
        return net.Fault(
            'undetermined', f'Connecting to {self.host} failed in a way that '
            f'has no name here ({type(exc).__name__}{number}).', **where)

    def _connect_slug(self, exc):
        below = getattr(exc, 'original_exception', None) or exc
        if isinstance(below, TimeoutError):
            return 'timeout', None
        if type(below).__module__ == 'ssl':
            return 'tls', None
        code = _code(exc)
        if self.kind == 'mysql':
            if code == 2003:
                return ('unresolvable' if type(below).__name__ == 'gaierror'
                        else 'refused'), code
            if code in (2013, 2006):
                return ('timeout' if 'timed out' in str(exc.args)
                        else 'refused'), code
            return MYSQL_ERRORS.get(code), code
        if code in POSTGRES_ERRORS:
            return POSTGRES_ERRORS[code], code
        words = ' '.join(str(a) for a in exc.args)
        if re.search(r'database ".*" does not exist', words):
            return 'unknown-database', code
        if ('pg_hba.conf' in words and 'no encryption' in words
                and self._url.query.get('sslmode') == 'disable'):
            return 'tls', code
        for part, slug in POSTGRES_WORDS:
            if part in words:
                return slug, code
        return None, code


def _code(exc):
    """Return MySQL's error number or the SQLSTATE, whatever the driver.

    Numbers come first: PyMySQL's errors have a SQLSTATE too.
    """
    number = getattr(exc, 'errno', None)
    if number is None and exc.args:
        number = exc.args[0]
    if isinstance(number, int):
        return number
    return getattr(exc, 'sqlstate', None) or getattr(exc, 'pgcode', None)


def _account(exc):
    """Return the account the server names, such as ``'octavia'@'db1'``."""
    found = re.search(r"for user ('[^']*'@'[^']*')", str(exc.args))
    return found[1] if found else None


def _tls_reason(exc):
    below = getattr(exc, 'original_exception', None) or exc
    reason = (getattr(below, 'verify_message', None)
              or getattr(below, 'reason', None))
    if isinstance(reason, str):
        return reason
    words = str(exc.args)
    for part in ('certificate verify failed', 'does not match host name',
                 'does not support SSL', 'CERTIFICATE_VERIFY_FAILED',
                 'no encryption', 'unknown ca'):
        if part in words:
            return part
    return 'the two sides did not agree'

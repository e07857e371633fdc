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
"""

import os
from typing import Any
from urllib import parse

from octavia_v2_checks import clock as clocks
from octavia_v2_checks import findings
from octavia_v2_checks.backends import net
from octavia_v2_checks.backends import sniff
from octavia_v2_checks.backends import stream as stream_
from octavia_v2_checks.backends.database import errors
from octavia_v2_checks.backends.database import hosts

_OPTION = 'task_flow.persistence_connection'

DEFAULT_PORTS = {'mysql': 3306, 'mariadb': 3306, 'postgresql': 5432}


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
                'persistence_connection is not a URL that SQLAlchemy knows',
                option=_OPTION) from None
        except ModuleNotFoundError as error:
            raise self._driver_missing(error) from None
        self._deadline = deadline
        self._connection: Any = None
        self.kind = ('mysql' if self._dialect_class.name == 'mariadb'
                     else self._dialect_class.name)
        self.name = self._url.database or ''
        self.user = self._url.username or ''
        self._places = self._tcp_places()
        self.host = self._endpoint()
        #: What is wrong with hosts of the URL that were passed over.
        self.down: list[net.Fault] = []

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
    def plain(self) -> bool:
        """Whether the URL forbids encryption."""
        return self._url.query.get('sslmode') == 'disable'

    @property
    def shown(self) -> str:
        """How a message names it: ``user@host:port/name``, or the file."""
        if self.kind == 'sqlite':
            return self.name
        return f'{self.user}@{self.host}/{self.name}'

    def _tcp_places(self) -> list[hosts.Place]:
        """Return every host and port the URL names; none for a socket."""
        from sqlalchemy import exc
        host: Any = self._url.host
        port: Any = self._url.port
        if self.kind == 'postgresql':
            # SQLAlchemy has several ways to write several hosts.
            dialect: Any = self._dialect_class
            try:
                asked = dialect().create_connect_args(self._url)[1]
            except exc.ArgumentError:
                raise findings.Blocked(
                    'persistence_connection names its hosts in a way that '
                    'SQLAlchemy does not take', option=_OPTION) from None
            host, port = asked.get('host'), asked.get('port')
        if self.kind == 'sqlite' or not host or host.startswith('/'):
            return []
        default = DEFAULT_PORTS.get(self.kind, 0)
        if self.kind == 'mysql':
            return [(host, port or default)]
        return hosts.split(host, port, default)

    def _endpoint(self):
        if self._places:
            return ','.join(net.endpoint(*place) for place in self._places)
        if self.kind == 'sqlite':
            return None
        query = self._url.query
        socket = query.get('unix_socket') or query.get('host')
        return socket if isinstance(socket, str) else 'localhost'

    def connect(self) -> None:
        """Connect and log in. Creates nothing, not even an SQLite file.

        :raises net.Fault: with a slug of the persistence check
        :raises findings.Blocked: if the driver takes no such parameter
        """
        dialect: Any = self._dialect_class
        # SQLAlchemy 1.4 has another name for it.
        load = getattr(dialect, 'import_dbapi', None) or dialect.dbapi
        try:
            driver = load()
        except ModuleNotFoundError as exc:
            raise self._driver_missing(exc) from None
        if self.kind == 'sqlite':
            self._connect_sqlite(driver)
            return
        args, kwargs = dialect(dbapi=driver).create_connect_args(self._url)
        if len(self._places) > 1:
            self._choose(kwargs)
        clock = self._deadline.probe()
        if len(self._places) == 1:
            stream_.resolve(*self._places[0], clock)
        kwargs.update(self._limits(driver.__name__, clock, kwargs))
        self._log_in(driver, args, kwargs, clock)

    def _log_in(self, driver, args, kwargs, clock):
        try:
            self._connection = clocks.bounded(
                lambda: _connector(driver)(*args, **kwargs), clock)
            self._autocommit(driver.__name__)
            if len(self._places) > 1:
                used = self._connection.info
                self.host = net.endpoint(used.host, used.port)
        except clocks.OutOfTime:
            raise self._other_server() or self._late(clock) from None
        except TypeError as exc:
            if 'argument' not in str(exc.args):
                raise self._connect_fault(exc, clock) from None
            raise findings.Blocked(
                'the database driver does not take a parameter of '
                'persistence_connection', option=_OPTION) from None
        except UnicodeEncodeError:
            raise findings.Blocked(
                'the database driver cannot send the password in '
                'persistence_connection', option=_OPTION) from None
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

    def _choose(self, kwargs):
        """Leave libpq the hosts that answer, to choose one as it does."""
        looked = hosts.look(self._places, self._deadline,
                            'connect_timeout' not in kwargs)
        self.down = [fault for fault in looked if fault]
        there = [place for place, fault in zip(self._places, looked,
                                               strict=True) if not fault]
        kwargs['host'] = ','.join(host for host, _ in there)
        kwargs['port'] = ','.join(str(port) for _, port in there)

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

    def rows(self, statement: str, *values: str) -> list[tuple]:
        """Run one reading statement and return all its rows.

        :param values: what the ``%s`` in the statement stand for
        :raises QueryError: if the server refuses it
        :raises net.Fault: ``timeout``, or ``refused`` if the server is gone
        """
        clock = self._deadline.probe()
        asked = (statement.replace('%s', '?') if self.kind == 'sqlite'
                 else statement)

        def ask():
            cursor = self._connection.cursor()
            try:
                if values:
                    cursor.execute(asked, values)
                else:
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
        code = errors.code_of(exc)
        if self.kind == 'mysql' and code in (2006, 2013, 0):
            if 'timed out' in str(exc.args):
                return self._late(clock)
            return net.Fault('refused', f'{self.host} closed the connection '
                             f'while it was asked.', host=self.host)
        if self.kind == 'mysql':
            return QueryError(errors.MYSQL_ERRORS.get(code), code)
        if self.kind == 'postgresql':
            if str(code).startswith(('08', '57P')) or (
                    code is None and type(exc).__name__ in (
                        'OperationalError', 'InterfaceError')):
                return net.Fault('refused', f'{self.host} closed the '
                                 f'connection while it was asked.',
                                 host=self.host)
            return QueryError(errors.POSTGRES_ERRORS.get(code), code)
        return QueryError(None, code or type(exc).__name__)

    def _connect_fault(self, exc, clock):
        slug, _ = errors.connect_slug(self.kind, exc, self.plain)
        # An error of the server's own, or no server at all, is no riddle.
        if slug in (None, 'timeout', 'tls', 'wrong-protocol') or (
                slug == 'refused' and errors.hung_up(exc)):
            other = self._other_server()
            if other:
                return other
        if slug == 'timeout':
            return self._late(clock)
        return errors.connect_fault(self, exc)

    def _other_server(self):
        """Return the fault of a port that belongs to something else."""
        if len(self._places) != 1:
            return None
        name = sniff.identify(
            *self._places[0], sniff.second_look(self._deadline))
        wanted = errors.PRODUCTS[self.kind]
        if name in (None, wanted):
            return None
        return net.Fault(
            'wrong-protocol', f'{self.host} is {name}, not {wanted}.',
            host=self.host)


def _connector(driver):
    """Return what connects as the driver does, in less time.

    Unless it is told of an authority, PyMySQL encrypts and compares nothing,
    but loads all authorities of the machine, which takes longer than the rest.
    """
    if driver.__name__ != 'pymysql':
        return driver.connect
    import ssl
    plain: Any = driver.connections.Connection

    class Connection(plain):
        def _create_ssl_ctx(self, options):
            if options:
                return super()._create_ssl_ctx(options)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context

    return Connection

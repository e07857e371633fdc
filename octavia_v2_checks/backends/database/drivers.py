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

"""What is peculiar to each driver: where it connects, its limits, its guard.

Whatever the URL says, a server cannot read files of this host (``LOAD DATA
LOCAL``), and nothing but a ``SET`` is run after the login.
"""

import os
import re
from typing import Any

from octavia_v2_checks.backends import net
from octavia_v2_checks.backends.database import faults
from octavia_v2_checks.backends.database import hosts
from octavia_v2_checks.backends.database import optionfile

DEFAULT_PORTS = {'mysql': 3306, 'postgresql': 5432}

#: The flag with which a MySQL client offers to send files.
_LOCAL_FILES = 128

#: The flag with which a MySQL server says that it has TLS.
_TLS = 2048

#: Driver -> its names for the time limits of connecting, reading, writing.
_LIMITS: dict[str, tuple[str, ...]] = {
    'pymysql': ('connect_timeout', 'read_timeout', 'write_timeout'),
    'mysqldb': ('connect_timeout', 'read_timeout', 'write_timeout'),
    'mariadbconnector': ('connect_timeout', 'read_timeout', 'write_timeout'),
    'cymysql': ('connect_timeout',),
    'mysqlconnector': ('connection_timeout',),
    'psycopg2': ('connect_timeout',),
    'psycopg': ('connect_timeout',),
}

#: Driver -> its names for what lets a server read files, and their value.
_FILES: dict[str, dict[str, Any]] = {
    'pymysql': {'local_infile': False},
    'mysqldb': {'local_infile': 0},
    'mariadbconnector': {'local_infile': False},
    'cymysql': {'local_infile': False},
    'mysqlconnector': {'allow_local_infile': False,
                       'allow_local_infile_in_path': None},
}

#: MySQL drivers that are written in C, or use a C library: they read option
#: files after these arguments.
_IN_C = ('mysqldb', 'mariadbconnector')

_NAMES = {'user': ('user', 'username'), 'database': ('database', 'db',
                                                     'dbname')}


class Target:
    """Where a driver connects, and as whom.

    :ivar host: as a message names it
    :ivar places: host and port, of which PostgreSQL's may be several; none
        for a socket
    """

    def __init__(self, kind: str, driver: str, asked: dict[str, Any]):
        self._asked = asked
        self._file = _option_file(asked) if kind == 'mysql' else {}
        self.user = str(self._first('user') or '')
        self.name = str(self._first('database') or '')
        self.places: list[hosts.Place] = []
        make = self._mysql if kind == 'mysql' else self._postgresql
        self.host = make(driver)

    def _first(self, name):
        for each in _NAMES.get(name, (name,)):
            if self._asked.get(each):
                return self._asked[each]
        return self._file.get(name)

    def _mysql(self, driver):
        path = (self._asked.get('unix_socket') or self._file.get('socket'))
        host = self._first('host')
        if path and (self._asked.get('unix_socket') or not host
                     or host == 'localhost'):
            return str(path)
        if driver in _IN_C and host in (None, 'localhost'):
            return faults.A_SOCKET
        place = host or 'localhost', int(self._first('port')
                                         or DEFAULT_PORTS['mysql'])
        self.places = [place]
        return net.endpoint(*place)

    def _postgresql(self, driver):
        host = str(self._asked.get('host') or os.environ.get('PGHOST', ''))
        port = self._asked.get('port') or os.environ.get('PGPORT', '')
        if not host:
            service = self._asked.get('service')
            return f'service {service}' if service else faults.A_SOCKET
        places = hosts.split(host, port, DEFAULT_PORTS['postgresql'])
        if len(places) > 1 or not host.startswith('/'):
            self.places = places
        return ','.join(postgresql_host(*place) for place in places)

    @property
    def search(self) -> tuple:
        """How several hosts are tried: fields of hosts.Search."""
        asked = self._asked
        return (_patient(asked.get('connect_timeout')),
                asked.get('load_balance_hosts') == 'random',
                str(asked.get('target_session_attrs', '')))


def _patient(limit: Any) -> bool:
    """Return whether libpq waits for ever: without a limit, or with 0."""
    try:
        return int(limit or 0) <= 0
    except ValueError:
        return False


def postgresql_host(host: str, port: int) -> str:
    """Return what libpq contacts, for a message: an address, or a socket."""
    return (f'{host}/.s.PGSQL.{port}' if host.startswith('/')
            else net.endpoint(host, port))


def _option_file(asked):
    path = asked.get('read_default_file') or asked.get('option_files')
    if isinstance(path, (list, tuple)):
        path = path[-1]
    group = asked.get('read_default_group')
    if not path and group:
        path = '/etc/my.cnf'
    return optionfile.read(path, ['client', group or 'client']) if path else {}


def plain(kind: str, driver: str, asked: dict[str, Any]) -> bool:
    """Return whether a connection is unencrypted, as far as that is known.
    """
    if kind == 'postgresql':
        return asked.get('sslmode') == 'disable'
    if driver in ('pymysql', 'mysqlconnector'):
        return bool(asked.get('ssl_disabled'))
    return not (asked.get('ssl') or asked.get('ssl_mode')
                or asked.get('ssl_ca') or asked.get('unix_socket'))


def restrict(kind: str, driver: str, asked: dict[str, Any], seconds: float
             ) -> None:
    """Set time limits and guards in the arguments of a driver.

    A stricter limit in the URL also applies to the worker, and is kept.

    :param seconds: that there are
    :raises net.Fault: if the server could read files nevertheless
    """
    for name in _LIMITS.get(driver, ()):
        limit: float = seconds
        if driver != 'pymysql':
            limit = max(2 if kind == 'postgresql' else 1, round(seconds))
        given = asked.get(name)
        if given and 0 < float(given) < limit:
            continue
        asked[name] = limit
    if kind != 'mysql':
        return
    asked.update(_FILES.get(driver, {}))
    if isinstance(asked.get('client_flag'), int):
        asked['client_flag'] &= ~_LOCAL_FILES
    command = str(asked.get('init_command') or '')
    if command and not re.match(r'\s*SET\b', command, re.I):
        del asked['init_command']
    if driver in _IN_C and any('local-infile' in name
                               for name in _option_file(asked)):
        raise net.Fault(
            'undetermined', 'The option file that persistence_connection '
            'names has local-infile, with which the database server may read '
            'files of this host; so nothing was contacted.',
            'Remove local-infile from that file.')


def connect(driver: str, dbapi: Any, args: list, asked: dict[str, Any]
            ) -> Any:
    """Open a connection as the driver does."""
    if driver != 'pymysql':
        return dbapi.connect(*args, **asked)
    connection = _pymysql(dbapi)(*args, defer_connect=True, **asked)
    connection.connect()
    return connection


def settle(driver: str, connection: Any) -> None:
    """Make a new connection read-only, from the first statement on."""
    if driver == 'psycopg2':
        connection.readonly = True
    elif driver == 'psycopg':
        connection.read_only = True
        # PgBouncer gives the next statement to another server.
        connection.prepare_threshold = None


def _pymysql(dbapi):
    """Return a PyMySQL connection that connects faster.

    Without a CA, PyMySQL encrypts and verifies nothing, but loads all CA
    certificates of the machine, which takes longer than the rest.
    """
    import ssl
    base: Any = dbapi.connections.Connection

    class Connection(base):
        def _create_ssl_ctx(self, options):
            if options:
                return super()._create_ssl_ctx(options)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context

        def connect(self, sock=None):
            try:
                super().connect(sock)
            except Exception as exc:
                # What the server disclosed before it refused.
                offers = getattr(self, 'server_capabilities', 0) & _TLS
                exc.unencrypted = bool(  # type: ignore[attr-defined]
                    offers and not self._secure)
                raise

    return Connection

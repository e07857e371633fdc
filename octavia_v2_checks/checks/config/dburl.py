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

"""Database URLs, parsed as SQLAlchemy does, without importing it."""

import dataclasses
import functools
import ipaddress
import os
import re
from urllib import parse as urlparse

from octavia_v2_checks.upstream import versions

#: Dialects that TaskFlow knows, each with its synchronous drivers.
DRIVERS = {
    'mysql': ('pymysql', 'mysqldb', 'mysqlconnector', 'mariadbconnector',
              'cymysql', 'pyodbc'),
    'postgresql': ('psycopg2', 'psycopg', 'psycopg2cffi', 'pg8000', 'pygresql',
                   'pypostgresql'),
    'sqlite': ('pysqlite', 'pysqlcipher'),
}

#: Drivers for asyncio, which TaskFlow cannot use.
ASYNCHRONOUS = ('aiomysql', 'asyncmy', 'asyncpg', 'aiosqlite', 'psycopg_async')

_PORTS = {'mysql': '3306', 'postgresql': '5432'}

#: Consumed by SQLAlchemy itself.
SQLALCHEMY = frozenset({'plugin'})

_MYSQL_TLS = frozenset({
    'ssl_ca', 'ssl_key', 'ssl_cert', 'ssl_capath', 'ssl_cipher',
    'ssl_check_hostname'})

_LIBPQ = frozenset({
    'application_name', 'channel_binding', 'client_encoding',
    'connect_timeout', 'dbname', 'fallback_application_name', 'gssdelegation',
    'gssencmode', 'gsslib', 'host', 'hostaddr', 'keepalives',
    'keepalives_count', 'keepalives_idle', 'keepalives_interval',
    'krbsrvname', 'load_balance_hosts', 'max_protocol_version',
    'min_protocol_version', 'options', 'passfile', 'password', 'port',
    'replication', 'require_auth', 'requirepeer', 'scram_client_key',
    'scram_server_key', 'service', 'servicefile', 'ssl_max_protocol_version',
    'ssl_min_protocol_version', 'sslcert', 'sslcertmode', 'sslcompression',
    'sslcrl', 'sslcrldir', 'sslkey', 'sslkeylogfile', 'sslmode',
    'sslnegotiation', 'sslpassword', 'sslrootcert', 'sslsni',
    'target_session_attrs', 'tcp_user_timeout', 'user'})

#: What connect() of each driver accepts from a URL; other drivers are not
#: checked. Objects (cursorclass, conv) cannot come from a URL.
PARAMETERS = {
    'pymysql': _MYSQL_TLS | {
        'autocommit', 'bind_address', 'binary_prefix', 'charset',
        'client_flag', 'collation', 'connect_timeout', 'database', 'db',
        'host', 'init_command', 'local_infile', 'max_allowed_packet',
        'passwd', 'password', 'program_name', 'read_default_file',
        'read_default_group', 'read_timeout', 'server_public_key',
        'sql_mode', 'ssl_disabled', 'ssl_key_password', 'ssl_verify_cert',
        'ssl_verify_identity', 'unix_socket', 'use_unicode', 'user',
        'write_timeout'},
    'mysqldb': _MYSQL_TLS | {
        'auth_plugin', 'autocommit', 'charset', 'client_flag', 'collation',
        'compress', 'connect_timeout', 'database', 'db', 'host',
        'init_command', 'local_infile', 'multi_statements', 'named_pipe',
        'passwd', 'password', 'port', 'read_default_file',
        'read_default_group', 'read_timeout', 'server_public_key_path',
        'sql_mode', 'ssl_mode', 'unix_socket', 'use_unicode', 'user',
        'write_timeout'},
    'psycopg2': _LIBPQ,
    'psycopg': _LIBPQ | {'autocommit', 'prepare_threshold'},
}

_INTEGERS = frozenset({'connect_timeout', 'read_timeout', 'write_timeout'})

#: Parameters that SQLAlchemy converts to a boolean, for MySQL.
SWITCHES = frozenset({'local_infile', 'use_unicode', 'ssl_check_hostname'})

TRUE = frozenset({'true', 'yes', 'on', 'y', 't', '1'})
FALSE = frozenset({'false', 'no', 'off', 'n', 'f', '0'})

#: Character sets that every release of PyMySQL knows; the driver itself is
#: only asked about others, because importing it takes time.
CHARSETS = frozenset({'utf8', 'utf8mb4', 'latin1', 'ascii', 'binary'})


def integers(driver: str, key: str) -> range | None:
    """Return the values of a parameter that is an integer, None for others.

    libpq and mysqlclient take 0 and less as no limit. PyMySQL refuses them,
    and to wait for more than a year.
    """
    if key not in _INTEGERS:
        return None
    if driver != 'pymysql':
        return range(-2 ** 31, 2 ** 31)
    return range(1, 31_536_001 if key == 'connect_timeout' else 2 ** 31)


@dataclasses.dataclass(frozen=True)
class URL:
    """The parts of a database URL, None where there is none.

    :ivar tail: what follows user and password
    :ivar port: as written
    :ivar query: parameters with a value; the last one of a name counts
    :ivar repeated: parameters that are given more than once
    """

    text: str
    tail: str
    scheme: str
    username: str | None
    password: str | None
    host: str | None
    port: str | None
    database: str | None
    query: dict[str, str]
    repeated: tuple[str, ...]

    @property
    def authority(self) -> str:
        """Host and port as written."""
        return re.split('[/?]', self.tail, maxsplit=1)[0]

    @property
    def dialect(self) -> str:
        """``mysql`` of ``mysql+pymysql``."""
        return self.scheme.partition('+')[0]

    @property
    def driver(self) -> str:
        """``pymysql`` of ``mysql+pymysql``, '' where the URL has none."""
        return self.scheme.partition('+')[2]

    @functools.cached_property
    def in_memory(self) -> bool:
        """Whether each process has a separate database."""
        return self.dialect == 'memory' or (
            self.dialect == 'sqlite'
            and (self.database or ':memory:') == ':memory:'
            and 'uri' not in self.query)

    def place(self) -> tuple[str, ...]:
        """Return a value that is equal for two URLs of the same database."""
        kind = 'mysql' if self.dialect == 'mariadb' else self.dialect
        database = self.query.get('database') or self.query.get(
            'db') or self.query.get('dbname') or self.database or ''
        if kind == 'sqlite':
            try:
                return kind, os.path.abspath(database)
            except OSError:
                # The working directory has been deleted.
                return kind, database
        host = self.query.get('host') or self.host or ''
        if (self.query.get('unix_socket') or host.startswith('/')
                or _is_local(host)):
            host = 'localhost'
        port = self.query.get('port') or self.port or _PORTS.get(kind, '')
        return kind, _canonical(host), port.lstrip('0'), database

    def shown(self) -> str:
        """Return the URL without user, password and parameters."""
        host = f'[{self.host}]' if ':' in (self.host or '') else self.host
        port = f':{self.port}' if self.port else ''
        return f'{self.scheme}://{host or ""}{port}/{self.database or ""}'


def _is_local(host: str) -> bool:
    host = host.lower().rstrip('.')
    return host in ('', 'localhost', '::1', '0:0:0:0:0:0:0:1',
                    'localhost.localdomain') or host.startswith('127.')


def _canonical(host: str) -> str:
    host = host.lower().rstrip('.')
    try:
        return ipaddress.ip_address(host).compressed
    except ValueError:
        return host


def parse(text: str) -> URL | None:
    """Parse a URL; return None without a ``dialect://``."""
    scheme, found, rest = text.partition('://')
    if not found or not re.fullmatch(r'[\w+]+', scheme):
        return None
    user = re.match('([^:/]*)(?::([^@]*))?@', rest)
    username, password = user.groups() if user else (None, None)
    tail = rest = rest[user.end():] if user else rest
    end = min((rest.find(c) for c in '/?' if c in rest), default=len(rest))
    place, rest = rest[:end], rest[end:]
    path, _, query = rest.partition('?')
    host, port = _host_port(place)
    pairs = urlparse.parse_qsl(query)
    names = [name for name, _ in pairs]
    return URL(text, tail, scheme, _decoded(username), _decoded(password),
               host or None, port or None, _database(path[1:]) or None,
               dict(pairs), tuple(n for n in dict.fromkeys(names)
                                  if names.count(n) > 1))


def _decoded(text):
    return None if text is None else urlparse.unquote(text)


def _database(text):
    """Decode the name of a database, as SQLAlchemy does from 2.1 on."""
    if '%' not in text:
        return text  # without a look at what is installed
    installed = versions.numbers('SQLAlchemy')
    return text if installed and installed < (2, 1) else _decoded(text)


def _host_port(place):
    if place.startswith('[') and place.rfind(']') > 1:
        host, _, rest = place[1:].rpartition(']')
        return host, rest.removeprefix(':')
    host, _, port = place.partition(':')
    return host, port

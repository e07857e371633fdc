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

"""The faults that the errors of a database stand for, and their remedies."""

import errno
import os
import re
from typing import NamedTuple

from octavia_v2_checks import clock as clocks
from octavia_v2_checks import statements
from octavia_v2_checks.backends import database
from octavia_v2_checks.backends import net
from octavia_v2_checks.backends import stream
from octavia_v2_checks.backends.database import errors

#: The name of a socket whose path only the driver's library knows.
A_SOCKET = 'a local socket'

#: MySQL error number of a client host that failed too often.
_BLOCKED = 1129

_UNBLOCK = ('On the database server, as an administrator (MySQL 8.4 has '
            'TRUNCATE TABLE performance_schema.host_cache instead): FLUSH '
            'HOSTS;')

#: MySQL error number of a refused login.
_REFUSED_LOGIN = 1045

#: MySQL error number where a connection without TLS is not allowed.
_NO_PLAIN = 3159

#: Error numbers of a server, or of a proxy in front of it, and what they mean.
_REFUSALS = {
    1053: 'the server is shutting down',
    1079: 'the server is shutting down',
    1927: 'the session was killed, on the server or by a proxy in front of it',
    3032: 'the server is in offline mode',
    3168: 'the server is not available',
    3169: 'the session was killed',
    4031: 'the session was idle for too long',
    9001: 'it is a proxy that cannot reach a server',
    '57P01': 'the server is shutting down, or the session was ended',
    '57P02': 'the server is crashing',
    '57P03': 'the server is starting or stopping',
    '57P05': 'the session was idle for too long',
    '25P03': 'the session was idle for too long',
}

#: The same where libpq gives no number: words of its errors.
_SAID = (
    ('the database system is', 'the server is starting or stopping'),
    ('terminating connection', 'the session was ended'),
    ('server login', 'it is PgBouncer, which cannot reach a server'),
    ('cannot connect to server', 'it is PgBouncer, which cannot reach a '
                                 'server'),
)

#: Module of a driver -> its package, where the names differ.
_PACKAGES = {'MySQLdb': 'mysqlclient', 'pymysql': 'PyMySQL',
             'psycopg2': 'psycopg2-binary', 'psycopg': "'psycopg[binary]'",
             'mysql': 'mysql-connector-python'}


class Login(NamedTuple):
    """Who logs in where.

    :ivar kind: ``mysql`` or ``postgresql``
    :ivar host: what is contacted
    :ivar plain: whether the connection was not encrypted, as far as known
    """

    kind: str
    host: str
    user: str
    name: str
    plain: bool = False


def module_missing(exc: ImportError) -> net.Fault:
    """Return the fault of a driver or plug-in that cannot be imported."""
    module = exc.name or 'the driver'
    package = _PACKAGES.get(module.partition('.')[0], module)
    if not isinstance(exc, ModuleNotFoundError):
        return net.Fault(
            'driver-missing',
            f'The Python module {module}, which persistence_connection '
            'requires, is installed in this environment and cannot be loaded.',
            f'pip install --force-reinstall {package}')
    return net.Fault(
        'driver-missing',
        f'The Python module {module}, which persistence_connection requires, '
        'is not installed in this environment.',
        f'pip install {package}')


def plugin_missing(name: str) -> net.Fault:
    """Return the fault of an SQLAlchemy plug-in that is not installed."""
    return net.Fault(
        'driver-missing', f'The SQLAlchemy plug-in {name}, which '
                          'persistence_connection requires, is not installed '
                          'in this environment.',
        'Install the package that provides it in an entry point '
        f'sqlalchemy.plugins (if it has the same name: pip install {name}), '
        f'or remove plugin={name} from [task_flow] persistence_connection.')


def late(host: str, seconds: float) -> net.Fault:
    """Return the fault of a server that did not answer in time."""
    return net.late(host, 'answer', seconds)


def of_login(login: Login, exc: BaseException, seconds: float) -> net.Fault:
    """Return the fault of a login that failed.

    :param seconds: that were available
    """
    if not re.search('[:/]', login.host):
        # Only the library of the driver knows where it connected.
        login = login._replace(host=errors.place_of(exc) or login.host)
    slug, code = errors.meaning(login.kind, exc, login.plain)
    fault = _of_login(login, exc, seconds, slug, code)
    if errors.is_odd(login.kind, exc, slug, code):
        fault.detail = database.ODD
    return fault


def _of_login(login, exc, seconds, slug, code):
    if slug == 'timeout':
        return late(login.host, seconds)
    number = errors.our_errno(exc)
    if (number is None and login.host.startswith('/')
            and not os.path.exists(login.host)):
        # Not every driver passes the number on.
        number = errno.ENOENT
    if slug == 'refused' and number and not errors.hung_up(exc):
        return stream.unconnected(login.host, OSError(number, ''))
    if slug is None or slug not in _LOGIN:
        return net.Fault(
            'undetermined', f'Connecting to {login.host} failed for an '
                            'unrecognised reason '
                            f'({type(exc).__name__}{_number(code)}).',
            host=login.host)
    return _LOGIN[slug](login, exc, code)


def of_question(login: Login, exc: BaseException, seconds: float
                ) -> net.Fault | database.QueryError:
    """Return what to raise where a statement failed.

    :param seconds: that were available
    """
    slug, code = errors.meaning(login.kind, exc)
    if login.kind != 'sqlite' and slug not in errors.OF_STATEMENTS:
        if slug == 'timeout' and code in (1969, 3024, 1317, '57014'):
            return net.Fault(
                'timeout', f'{login.host} answers, and did not finish a query '
                           f'within {clocks.shown(seconds)} s{_number(code)}.',
                'Check on the server what keeps it busy: ' + (
                    'SHOW FULL PROCESSLIST;' if login.kind == 'mysql' else
                    'SELECT * FROM pg_stat_activity;')
                + ' --probe-timeout allows more time.',
                host=login.host, detail=database.SLOW)
        if errors.hung_up(exc) or (slug == 'refused'
                                   and code not in _REFUSALS):
            return net.Fault('refused', f'{login.host} closed the connection '
                                        'during a query.', host=login.host)
        return of_login(login, exc, seconds)
    return database.QueryError(slug, code or type(exc).__name__)


def _number(code):
    return f' (error {code})' if code else ''


def _refused(login, exc, code):
    host = login.host
    words = str(exc.args)
    why = _REFUSALS.get(code) or next(
        (why for part, why in _SAID if part in words), None)
    if why:
        text = f'{host} refuses{_number(code)}: {why}.'
    elif errors.hung_up(exc):
        return net.Fault(
            'refused', f'{host} closed the connection during the '
            f'login{_number(code)}, as a proxy without a live server does.',
            host=host)
    else:
        text = f'{host} refused the connection{_number(code)}.'
    return net.Fault('refused', text, _UNBLOCK if code == _BLOCKED else None,
                     host=host)


def _denied(login, exc, code):
    account = errors.account_of(exc)
    shown = statements.mysql_account(account) if account else repr(login.user)
    text = f'{login.host} refuses the account {shown}{_number(code)}'
    if code != _REFUSED_LOGIN or not login.plain:
        return net.Fault('access-denied', f'{text}.', host=login.host)
    return net.Fault(
        'access-denied', f'{text} on a connection without TLS. Either the '
                         'password is wrong, or it is right and the account, '
                         'or the server, requires TLS: the error is the same.',
        'Set the password of the account and the one in [task_flow] '
        'persistence_connection to the same text. If they are the same, and '
        'SHOW CREATE USER says REQUIRE SSL or the variable '
        'require_secure_transport is ON, remove ssl_disabled from the URL and '
        'add ssl_ca=/path/to/the/ca.pem.', host=login.host)


def _expired(login, exc, code):
    account = statements.mysql_account(
        errors.account_of(exc) or f'{login.user}@%')
    return net.Fault(
        'password-expired', f'The password of {login.user!r} on {login.host} '
                            f'has expired{_number(code)}: the account can log '
                            'in, but run no statement.'
        if code == 1820 else f'The password of {login.user!r} on '
        f'{login.host} has expired{_number(code)}.',
        f"On the database server, as an administrator, with the host that "
        f"SELECT user, host FROM mysql.user shows: ALTER USER {account} "
        f"IDENTIFIED BY 'NEW_PASSWORD' PASSWORD EXPIRE NEVER; then write the "
        f"new password into [task_flow] persistence_connection on every "
        f"controller.", host=login.host)


def _driver(login, exc, code):
    package = errors.needed(exc)
    if package:
        return net.Fault(
            'driver-missing', f'The authentication method that '
            f'{login.host} requires of {login.user!r} needs the Python '
            f'package {package}, which is not installed in this '
            f'environment.',
            f'pip install {package}', host=login.host)
    plugin = errors.plugin_of(exc)
    ways = {'caching_sha2_password': 'cryptography',
            'sha256_password': 'cryptography', 'client_ed25519': 'PyNaCl'}
    helps = (f'pip install --upgrade PyMySQL {ways[plugin]}, and write '
             f'mysql+pymysql in [task_flow] persistence_connection; or '
             if plugin in ways else '')
    return net.Fault(
        'driver-missing', f'The driver does not support the authentication '
        f'method that {login.host} requires of {login.user!r}{_number(code)}'
        + (f': it has no authentication plug-in {plugin}.' if plugin
           else '.'),
        f'{helps}change the authentication method of the account, on the '
        'server: ALTER USER … IDENTIFIED WITH caching_sha2_password (MySQL) '
        'or IDENTIFIED VIA mysql_native_password (MariaDB).'.replace(
            'give', 'Give', not helps), host=login.host)


def _no_database(login, exc, code):
    name = login.name
    if login.kind == 'postgresql':
        remedy = (f'CREATE DATABASE {statements.identifier(name)} OWNER '
                  f'{statements.identifier(login.user)};')
    else:
        # The server says so only to an account with privileges on it.
        remedy = f'CREATE DATABASE IF NOT EXISTS {statements.quoted(name)};'
    return net.Fault('unknown-database', f'{login.host} has no database '
                     f'{name!r}{_number(code)}.', remedy, host=login.host)


def _no_privilege(login, exc, code):
    account = errors.account_of(exc)
    shown = statements.mysql_account(account) if account else repr(login.user)
    if login.kind == 'postgresql':
        remedy = (f'GRANT CONNECT ON DATABASE '
                  f'{statements.identifier(login.name)} TO '
                  f'{statements.identifier(login.user)};')
    else:
        # MySQL gives the same answer for a database that does not exist.
        remedy = (f'CREATE DATABASE IF NOT EXISTS '
                  f'{statements.quoted(login.name)}; ' + statements.grant(
                      statements.RUNTIME + statements.MIGRATION, login.name,
                      account or f'{login.user}@%'))
    return net.Fault('missing-privileges', f'{shown} may not use the database '
                     f'{login.name!r} on {login.host}{_number(code)}.',
                     remedy, host=login.host)


def _not_writable(login, exc, code):
    return net.Fault(
        'not-writable', f'{login.host} is not ready for '
                        f'queries{_number(code)}; this is the answer of a '
                        'Galera node outside the primary '
                        'component.' if code else
        f'No server at {login.host} is what target_session_attrs requires: '
        'one that accepts writes.', host=login.host)


def _parameter(login, exc, code):
    return net.Fault(
        'refused', f'{login.host} is PgBouncer, which refuses a parameter of '
        f'persistence_connection that is sent at the start.',
        'Remove options from the URL, or have it ignored in pgbouncer.ini: '
        'ignore_startup_parameters = options', host=login.host)


def _worded(slug, text):
    def fault(login, exc, code):
        return net.Fault(slug, text.format(login.host, login.user,
                                           _number(code)), host=login.host)

    return fault


def _tls(login, exc, code):
    if code == _NO_PLAIN:
        return net.Fault(
            'tls', f'{login.host} requires TLS{_number(code)}, and this '
                   'connection has none.',
            'Remove ssl_disabled from the URL in [task_flow] '
            'persistence_connection and add ssl_ca=/path/to/the/ca.pem.',
            host=login.host)
    return net.Fault('tls', f'TLS with {login.host} failed{_number(code)}: '
                     f'{errors.tls_reason(exc)}.', host=login.host)


def _protocol(login, exc, code):
    return net.Fault('wrong-protocol', f'{login.host} answers, but not with '
                                       'the protocol of '
                                       f'{database.PRODUCTS[login.kind]}.',
                     host=login.host)


_LOGIN = {
    'refused': _refused, 'access-denied': _denied,
    'password-expired': _expired, 'driver-missing': _driver,
    'unknown-database': _no_database, 'missing-privileges': _no_privilege,
    'not-writable': _not_writable, 'parameter': _parameter, 'tls': _tls,
    'wrong-protocol': _protocol,
    'unresolvable': _worded('unresolvable', 'The host of {0} does not '
                            'resolve.'),
    'too-many-connections': _worded(
        'too-many-connections', '{0} has no connection left for {1!r}{2}.'),
    'hostile': _worded(
        'undetermined', '{0} requested a file of this host instead of '
                        'answering, and got none. No genuine database server '
                        'does that: something else answers there, or somebody '
                        'intercepts the connection.'),
    'locked': _worded('locked', '{0} answers, and a lock keeps the login '
                      'waiting{2}.'),
}

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

"""What the drivers' errors mean, at the login and at every question.

Numbers are those of the MySQL and MariaDB manuals, codes those of PostgreSQL's
appendix A. One table per server: what is in no table is ``undetermined``, and
is named by its class and number only, because the texts repeat their
arguments.
"""

import errno
import os
import re
from typing import Any

from octavia_v2_checks.backends import net

#: MySQL error number -> slug. The meaning of 2003 and 2013 depends on their
#: cause.
MYSQL_ERRORS = {
    1040: 'too-many-connections', 1135: 'too-many-connections',
    1203: 'too-many-connections', 1226: 'too-many-connections',
    1045: 'access-denied', 1130: 'access-denied', 1698: 'access-denied',
    3118: 'access-denied', 3955: 'access-denied', 4151: 'access-denied',
    1820: 'password-expired', 1862: 'password-expired',
    1251: 'driver-missing', 2058: 'driver-missing', 2059: 'driver-missing',
    2061: 'driver-missing',
    1044: 'missing-privileges', 1142: 'missing-privileges',
    1143: 'missing-privileges', 1227: 'missing-privileges',
    1370: 'missing-privileges',
    1049: 'unknown-database', 1046: 'unknown-database',
    1047: 'not-writable', 1290: 'not-writable', 1792: 'not-writable',
    1836: 'not-writable', 3100: 'not-writable',
    2026: 'tls', 3159: 'tls',
    # The server or the session ends; a proxy has no server; the client itself
    # has lost the connection.
    1053: 'refused', 1079: 'refused', 1927: 'refused', 3032: 'refused',
    3168: 'refused', 3169: 'refused', 4031: 'refused',
    1129: 'refused', 1158: 'refused', 1159: 'refused', 1160: 'refused',
    1161: 'refused', 1184: 'refused', 9001: 'refused',
    2002: 'refused', 2003: 'refused', 2006: 'refused', 2013: 'refused',
    2055: 'refused', 2005: 'unresolvable',
    2007: 'wrong-protocol', 2027: 'wrong-protocol',
    1205: 'locked',
    1969: 'timeout', 3024: 'timeout', 1317: 'timeout',
    # It requests a file of this host, which no genuine server does.
    1148: 'hostile', 2068: 'hostile', 3948: 'hostile', 4166: 'hostile',
}

#: MySQL error number of a missing table.
MYSQL_NO_TABLE = 1146

#: What libpq says when the server is gone; which text, and at which step,
#: depends on timing.
_GONE = ('server closed the connection', 'Connection reset by peer',
         'Broken pipe', 'Transport endpoint is not connected')

#: SQLSTATE -> slug
POSTGRES_ERRORS = {
    '28P01': 'access-denied', '28000': 'access-denied',
    '3D000': 'unknown-database', '57P04': 'unknown-database',
    '42501': 'missing-privileges',
    '53300': 'too-many-connections', '53400': 'too-many-connections',
    '25006': 'not-writable',
    '57P01': 'refused', '57P02': 'refused', '57P03': 'refused',
    '57P05': 'refused', '25P03': 'refused',
    '55P03': 'locked', '57014': 'timeout',
}

#: libpq gives no SQLSTATE while connecting, only texts. Messages of the server
#: are in the language of the server; these are the ones that deployments of
#: Octavia have. Those of PgBouncer are among them.
POSTGRES_WORDS = (
    ('password authentication failed', 'access-denied'),
    ('SASL authentication failed', 'access-denied'),
    ('pg_hba.conf', 'access-denied'),
    ('no password supplied', 'access-denied'),
    ('no such user', 'access-denied'),
    ('is not permitted to log in', 'access-denied'),
    ('permission denied for database', 'missing-privileges'),
    ('no such database', 'unknown-database'),
    ('no more connections allowed', 'too-many-connections'),
    ('remaining connection slots', 'too-many-connections'),
    ('too many clients', 'too-many-connections'),
    ('too many connections', 'too-many-connections'),
    ('server login has been failing', 'refused'),
    ('server login failed', 'refused'),
    ('cannot connect to server', 'refused'),
    ('unsupported startup parameter', 'parameter'),
    ('invalid response to SSL negotiation', 'wrong-protocol'),
    ('expected authentication request', 'wrong-protocol'),
    # Both occur for a connection that was reset a moment before.
    ('could not send SSL negotiation packet', 'refused'),
    ('could not send startup packet', 'refused'),
    ('server does not support SSL', 'tls'),
    ('certificate', 'tls'),
    ('SSL', 'tls'),
    ('could not translate host name', 'unresolvable'),
    ('timeout expired', 'timeout'),
    ('timed out', 'timeout'),
    ('the database system is', 'refused'),
    ('terminating connection due to', 'refused'),
    *((words, 'refused') for words in _GONE),
    ('session is read-only', 'not-writable'),
    ('server is in hot standby mode', 'not-writable'),
    ('server is not in hot standby mode', 'not-writable'),
    ('session is not read-only', 'not-writable'),
)

#: What PyMySQL raises for an invalid greeting.
_UNREADABLE = ('error', 'IndexError', 'UnicodeDecodeError')

#: Slugs that concern one statement; the others concern the connection, or
#: everything that is sent over it.
OF_STATEMENTS = frozenset({None, 'missing-privileges', 'unknown-database',
                           'not-writable'})


def meaning(kind: str, exc: BaseException, plain: bool = False
            ) -> tuple[str | None, Any]:
    """Return what an exception of the driver means.

    :param kind: ``mysql``, ``postgresql`` or ``sqlite``
    :param plain: whether the connection is not encrypted
    :returns: slug, or None if it is in no table, and the code
    """
    below = getattr(exc, 'original_exception', None) or exc
    code = code_of(exc)
    if isinstance(below, TimeoutError):
        return 'timeout', None
    if type(below).__module__ == 'ssl':
        return 'tls', None
    if kind == 'mysql':
        return _of_mysql(exc, below, code)
    if kind == 'sqlite':
        return ('locked' if 'is locked' in str(exc.args) else None,
                type(exc).__name__)
    return _of_postgresql(exc, code, plain)


def _of_mysql(exc, below, code):
    words = str(exc.args)
    if code == 2003 and type(below).__name__ == 'gaierror':
        return 'unresolvable', code
    if code in (2006, 2013, 2055) and (
            'timed out' in words or 'timeout' in words):
        return 'timeout', code
    if code is None and (type(exc).__name__ in _UNREADABLE
                         or 'Packet sequence number wrong' in words):
        return 'wrong-protocol', None
    if re.search('local[_ ]infile|load[_ ](data )?local', words, re.I):
        return 'hostile', None
    if code in (None, 0, -1) and needed(exc):
        return 'driver-missing', None
    if code == 0 and type(exc).__name__ == 'InterfaceError':
        return 'refused', None
    if code == -1 and plugin_of(exc):
        return 'driver-missing', None
    return MYSQL_ERRORS.get(code), code


def _of_postgresql(exc, code, plain):
    if code in POSTGRES_ERRORS:
        return POSTGRES_ERRORS[code], code
    words = ' '.join(str(a) for a in exc.args)
    if 'pg_hba.conf' in words and 'no encryption' in words and plain:
        return 'tls', code
    if re.search(r'database ".*" does not exist', words):
        return 'unknown-database', code
    for part, slug in POSTGRES_WORDS:
        if part in words:
            return slug, code
    if our_errno(exc) or str(code).startswith('08') or (
            code is None and type(exc).__name__ == 'InterfaceError'):
        return 'refused', code
    return None, code


def is_odd(kind: str, exc: BaseException, slug: str | None, code: Any
           ) -> bool:
    """Whether something other than the database may have answered.

    An error with a number of the server comes from a real one.
    """
    numbered = (kind == 'mysql' and isinstance(code, int)
                and not 2000 <= code < 3000)
    return not numbered and (hung_up(exc) or slug in (
        None, 'timeout', 'tls', 'wrong-protocol'))


def hung_up(exc):
    """Whether the server let us in and then closed the connection."""
    return (code_of(exc) in (2006, 2013, 2055)
            or any(words in str(exc.args) for words in _GONE))


#: What PyMySQL and mysqlclient need for an authentication method: words of
#: their errors -> the distribution.
_NEEDED = (('cryptography', 'cryptography'), ('pynacl', 'PyNaCl'),
           ('nacl', 'PyNaCl'))


def needed(exc: BaseException) -> str | None:
    """Return the distribution without which the driver cannot log in."""
    if not isinstance(exc, RuntimeError):
        return None
    words = str(exc.args).lower()
    return next((name for part, name in _NEEDED if part in words), None)


def plugin_of(exc: BaseException) -> str:
    """Return the authentication plug-in that an error is about, or ''."""
    found = re.search(r"[Pp]lugin '?b?'?(\w+)'* (?:could not|cannot|is not|"
                      r"not) ", ' '.join(map(str, exc.args)))
    return found[1] if found else ''


def code_of(exc):
    """Return the MySQL error number or the SQLSTATE, whatever the driver.

    Numbers come first: PyMySQL's errors have a SQLSTATE too.
    """
    number = getattr(exc, 'errno', None)
    if number is None and exc.args:
        number = exc.args[0]
    if isinstance(number, int) and not isinstance(exc, OSError):
        return number
    return getattr(exc, 'sqlstate', None) or getattr(exc, 'pgcode', None)


def account_of(exc):
    """Return the account the server names: ``octavia@db1``, or None."""
    found = re.search(r"'([^']*)'@'([^']*)'", ' '.join(map(str, exc.args)))
    return f'{found[1]}@{found[2]}' if found else None


#: Text of the operating system -> its error number.
_WORDS = {os.strerror(number): number for number in (
    errno.ECONNREFUSED, errno.ENOENT, errno.EHOSTUNREACH, errno.ENETUNREACH,
    errno.EADDRNOTAVAIL, errno.EACCES, errno.EPERM)}


def our_errno(exc: BaseException) -> int | None:
    """Return why this host opened no connection, None for another cause.

    libmysqlclient appends the number, libpq the text.
    """
    below = getattr(exc, 'original_exception', None) or exc
    if isinstance(below, OSError) and below.errno and below.errno > 0:
        return below.errno
    words = ' '.join(str(a) for a in exc.args)
    found = re.search(r'\((\d+)(?: "[^"]*")?\)$|[Ee]rrno:? (\d+)', words)
    if found and code_of(exc) in (2002, 2003):
        return int(found[1] or found[2])
    return next((n for text, n in _WORDS.items() if text in words), None)


def place_of(exc: BaseException) -> str | None:
    """Return what was contacted according to an error: a socket, or a host."""
    words = ' '.join(map(str, exc.args))
    found = re.search(r"""socket ["']([^"']+)["']""", words)
    if found:
        return found[1]
    found = re.search(r'server at "([^"]+)"[^,]*, port (\d+)', words)
    return net.endpoint(found[1], int(found[2])) if found else None


def tls_reason(exc):
    """Return why TLS failed, in the words of OpenSSL where they are known."""
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

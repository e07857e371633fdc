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

"""What the drivers' errors mean.

Numbers are those of the MySQL and MariaDB manuals, codes those of
PostgreSQL's appendix A. One table per server: what no table knows is
``undetermined``, and is named by its class and number only, because the
texts repeat what they were given.
"""

import re
from typing import Any

from octavia_v2_checks.backends import net

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
    1129: 'refused', 2002: 'refused', 2005: 'unresolvable',
    1969: 'timeout', 3024: 'timeout',
}

#: MySQL error number of a missing table.
MYSQL_NO_TABLE = 1146

#: What libpq says when the server is gone; which of them, and at which step,
#: is a matter of microseconds.
_HUNG_UP = ('server closed the connection', 'Connection reset by peer',
            'Broken pipe', 'Transport endpoint is not connected')

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
    ('invalid response to SSL negotiation', 'wrong-protocol'),
    ('expected authentication request', 'wrong-protocol'),
    # Both are said of a connection that was reset a moment before.
    ('could not send SSL negotiation packet', 'refused'),
    ('could not send startup packet', 'refused'),
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
    *((words, 'refused') for words in _HUNG_UP),
    ('session is read-only', 'not-writable'),
    ('server is in hot standby mode', 'not-writable'),
)

PRODUCTS = {'mysql': 'MySQL', 'postgresql': 'PostgreSQL'}

#: MySQL error number of a client host that failed too often.
_BLOCKED = 1129

_UNBLOCK = ('On the database server, as an administrator (MySQL 8.4 has '
            'TRUNCATE TABLE performance_schema.host_cache instead): FLUSH '
            'HOSTS;')

#: What PyMySQL raises at a greeting that is none.
_UNREADABLE = ('error', 'IndexError', 'UnicodeDecodeError')


def connect_fault(base: Any, exc: BaseException) -> net.Fault:
    """Return the fault of a login that failed, other than ``timeout``.

    :param base: the :class:`octavia_v2_checks.backends.database.Database`
    """
    slug, code = connect_slug(base.kind, exc, base.plain)
    number = f' (error {code})' if code else ''
    account = account_of(exc) or repr(base.user)
    text = {
        'refused': f'{base.host} closed the connection during the '
                   f'login{number}, as a proxy without a live server does.'
        if hung_up(exc) else f'{base.host} refused the connection{number}.',
        'unresolvable': f'The host of {base.host} does not resolve.',
        'access-denied': f'{base.host} refuses the account {account}'
                         f'{number}.',
        'unknown-database': f'{base.host} has no database '
                            f'{base.name!r}{number}.',
        'missing-privileges': f'{account} may not use the database '
                              f'{base.name!r} on {base.host}{number}.',
        'too-many-connections': f'{base.host} has no connection left for '
                                f'{base.user!r}{number}.',
        'not-writable': f'{base.host} is not ready for queries{number}; a '
                        f'Galera node that is not in the primary component '
                        f'answers so.' if code else
                        f'No server at {base.host} is what '
                        f'target_session_attrs asks for: one that takes '
                        f'writes.',
        'wrong-protocol': f'{base.host} answers, but not as '
                          f'{PRODUCTS[base.kind]} does.',
        'tls': f'TLS with {base.host} failed{number}: {tls_reason(exc)}.',
        'timeout': f'{base.host} did not answer in time{number}.',
    }.get(slug or '')
    if slug and text:
        return net.Fault(slug, text, _UNBLOCK if code == _BLOCKED else None,
                         host=base.host)
    return net.Fault(
        'undetermined', f'Connecting to {base.host} failed in a way that has '
        f'no name here ({type(exc).__name__}{number}).', host=base.host)


def connect_slug(kind: str, exc: BaseException, plain: bool
                 ) -> tuple[str | None, Any]:
    """Say what the driver's exception means while connecting.

    :param kind: ``mysql`` or ``postgresql``
    :param plain: whether the URL forbids encryption
    :returns: slug, or None if no table knows it, and the code
    """
    below = getattr(exc, 'original_exception', None) or exc
    if isinstance(below, TimeoutError):
        return 'timeout', None
    if type(below).__module__ == 'ssl':
        return 'tls', None
    code = code_of(exc)
    if kind == 'mysql':
        if code == 2003:
            return ('unresolvable' if type(below).__name__ == 'gaierror'
                    else 'refused'), code
        if code in (2013, 2006):
            return ('timeout' if 'timed out' in str(exc.args)
                    else 'refused'), code
        if code is None and (
                type(exc).__name__ in _UNREADABLE
                or 'Packet sequence number wrong' in str(exc.args)):
            return 'wrong-protocol', None
        return MYSQL_ERRORS.get(code), code
    if code in POSTGRES_ERRORS:
        return POSTGRES_ERRORS[code], code
    words = ' '.join(str(a) for a in exc.args)
    if re.search(r'database ".*" does not exist', words):
        return 'unknown-database', code
    if ('pg_hba.conf' in words and 'no encryption' in words
            and plain):
        return 'tls', code
    for part, slug in POSTGRES_WORDS:
        if part in words:
            return slug, code
    return None, code


def hung_up(exc):
    """Whether the server let us in and then closed the connection."""
    return (code_of(exc) in (2006, 2013)
            or any(words in str(exc.args) for words in _HUNG_UP))


def code_of(exc):
    """Return MySQL's error number or the SQLSTATE, whatever the driver.

    Numbers come first: PyMySQL's errors have a SQLSTATE too.
    """
    number = getattr(exc, 'errno', None)
    if number is None and exc.args:
        number = exc.args[0]
    if isinstance(number, int):
        return number
    return getattr(exc, 'sqlstate', None) or getattr(exc, 'pgcode', None)


def account_of(exc):
    """Return the account the server names, such as ``'octavia'@'db1'``."""
    found = re.search(r"for user ('[^']*'@'[^']*')", str(exc.args))
    return found[1] if found else None


def tls_reason(exc):
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

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

"""The persistence database: a URL that works, and a separate database."""

from collections.abc import Iterator
import importlib.util
import re
from urllib import parse as urlparse

from octavia_v2_checks.checks.config import dburl
from octavia_v2_checks.checks.config import meant
from octavia_v2_checks.checks.config.names import nearest
from octavia_v2_checks.checks.config.view import named
from octavia_v2_checks.checks.config.view import plain
from octavia_v2_checks.checks.config.view import View
from octavia_v2_checks.findings import Finding
from octavia_v2_checks.findings import finding

_NAME = 'persistence_connection'

_ANY_PARAMETER = frozenset().union(*dburl.PARAMETERS.values())

_EXAMPLE = ('mysql+pymysql://USER:PASSWORD@HOST/octavia_persistence')


def broken_url(view: View) -> Iterator[Finding]:
    """Yield what keeps Octavia from using the URL at all."""
    value = view.settings[_NAME]
    if (not view.used(_NAME) or value.option in view.reported
            or value.error not in (None, 'use') or value.text is None):
        return
    url = dburl.parse(value.text)
    if url is None:
        problem = ('is empty' if not value.text.strip() else
                   'is not a URL: it does not begin with a dialect and ://'), (
            f'Write {_EXAMPLE}, with a percent sign and two hexadecimal '
            f'digits for special characters of the password.')
        problems = [problem]
    elif url.in_memory:
        return
    else:
        problems = list(_problems(url))[:1] or list(_parameters(url))
    for message, remedy in problems:
        yield finding('config.persistence-url', f'{named(value)} {message}.',
                      remedy, **value.where)


def _problems(url: dburl.URL):
    """Yield (what is wrong, what fixes it), the most serious first."""
    yield from _dialect(url)
    if url.dialect == 'sqlite':
        return
    if _is_torn(url) or _port_is_password(url):
        yield ('has a special character such as @, / or # in its password '
               'that is not percent-encoded, and is therefore split in the '
               'wrong place',
               'Encode the password: python3 -c "import urllib.parse, '
               'getpass; print(urllib.parse.quote(getpass.getpass(), '
               '\'\'))"')
    elif not _sendable(url):
        yield ('has a character in its password that PyMySQL cannot send',
               'As an administrator of the database server, give the account '
               'a password of ASCII characters.')
    yield from _place(url)
    if not url.host and not (url.query.keys() & {
            'host', 'unix_socket', 'read_default_file', 'service',
            'hostaddr'}):
        yield ('names no host',
               f'Write the host of the database after the @: {_EXAMPLE}')
    odd = meant.odd_character(url)
    if odd:
        yield (f'has {odd} in the name of the database',
               f'Write {meant.rebuilt(url)}')
    if not url.database and not (url.query.keys() & {
            'db', 'database', 'dbname', 'service'}):
        yield ('names no database',
               f'Write the name of the database at the end: {_EXAMPLE}')


def _place(url):
    """Yield what is wrong with host and port."""
    yield from _several_hosts(url)
    address = meant.address(url)
    if address:
        yield ('has an IPv6 address without brackets, which is split at its '
               'colons', f'Write {meant.rebuilt(url, address)}')
    if any(c.isspace() for c in url.host or ''):
        yield 'has a space in the host name', 'Delete the space.'
    if url.port and not (url.port.isdecimal()
                         and 0 < int(url.port) < 65536):
        yield ('has a port that is not a number from 1 to 65535',
               'Write the port of the database server, or none.')


def _is_torn(url):
    """Return whether a piece of the password is behind the @."""
    place, _, query = url.tail.partition('?')
    return ('@' in place or '#' in place
            or any('@' in p and p.partition('=')[0] not in _ANY_PARAMETER
                   for p in query.split('&')))


def _sendable(url):
    try:
        (url.password or '').encode('latin-1')
    except UnicodeEncodeError:
        return url.driver != 'pymysql'
    return True


def _several_hosts(url):
    pairs = urlparse.parse_qsl(url.tail.partition('?')[2])
    hosts = [value for key, value in pairs if key == 'host']
    written = [h.strip() for h in url.authority.split(',') if h.strip()]
    if url.dialect == 'mysql' and (len(hosts) > 1 or len(written) > 1):
        yield ('names several hosts, but a driver for MySQL accepts one',
               f'Write one host, such as a proxy or a virtual address in '
               f'front of all of them: '
               f'{meant.rebuilt(url, (written or hosts)[0])}')
    elif len(written) > 1 and not (url.port or '').isdecimal() and url.port:
        where = [f'host={h}' for h in written]
        yield ('names its hosts in a form that SQLAlchemy does not accept',
               f'Write {meant.rebuilt(url, "", where)}')
    elif len(hosts) > 1 and 'port' in url.query:
        yield ('names its hosts in two ways at once, which SQLAlchemy '
               'refuses',
               'Write each port only after its host: '
               '?host=HOST1:5432&host=HOST2:5432')


def _port_is_password(url):
    """Return whether TaskFlow parses a piece of the password as a port."""
    try:
        parts = urlparse.urlsplit(url.text)
    except ValueError:
        return False  # TaskFlow then leaves it to SQLAlchemy
    try:
        _ = parts.port
    except ValueError:
        return '@' not in parts.netloc and '@' in url.text
    return False


def _dialect(url):
    dialect, driver = url.dialect, url.driver
    known = dburl.DRIVERS.get(dialect)
    if known is None:
        near = {'mariadb': 'mysql', 'postgres': 'postgresql'}.get(
            dialect.lower()) or nearest(dialect, tuple(dburl.DRIVERS))
        hint = f' (did you mean {near}?)' if near else ''
        begin = near if near == 'postgresql' else 'mysql+pymysql'
        yield (f'begins with {plain(dialect)}, a dialect that TaskFlow does '
               f'not know{hint}', f'Begin the URL with {begin}://')
    elif driver in dburl.ASYNCHRONOUS:
        yield (f'names the driver {driver}, which works with asyncio only',
               f'Begin the URL with {dialect}+{known[0]}://')
    elif driver and driver not in known:
        near = nearest(driver, known) or known[0]
        yield (f'names {plain(driver)}, which is not a driver of {dialect}',
               f'Begin the URL with {dialect}+{near}://')
    elif url.scheme == 'mysql' and not importlib.util.find_spec('MySQLdb'):
        yield ('begins with mysql:// and so needs the driver MySQLdb, which '
               'is not installed', 'Begin the URL with mysql+pymysql://')


def _parameters(url):
    """Yield parameters that the database driver does not accept."""
    driver = url.driver or {'mysql': 'mysqldb',
                            'postgresql': 'psycopg2'}.get(url.dialect, '')
    known = dburl.PARAMETERS.get(driver)
    if not known:
        return
    if meant.joined_wrongly(url):
        yield ('joins its parameters with something other than &',
               f'Write {meant.rebuilt(url)}')
        return
    for key, text in url.query.items():
        if key not in known | dburl.SQLALCHEMY:
            near = nearest(key, tuple(sorted(known)))
            hint = f'; did you mean {near}?' if near else ''
            yield (f'has the parameter {plain(key)}, which {driver} does not '
                   f'accept: it raises an error when it connects{hint}',
                   'Correct the parameter, or delete it.')
        elif key in url.repeated and key not in ('host', 'plugin'):
            yield (f'has the parameter {key} more than once, which {driver} '
                   'does not accept', f'Delete all but one {key}.')
        else:
            yield from _value(url, driver, key, text)


def _value(url, driver, key, text):
    """Yield what is wrong with the value of a parameter."""
    integers = dburl.integers(driver, key)
    if integers is not None and not _is_among(integers, text):
        span = (f' from {integers[0]} to {integers[-1]}' if integers[0] > 0
                else '')
        yield (f'has {key} = {plain(text)}, which is not an integer{span}',
               f'Write {key} in seconds.')
    elif (url.dialect == 'mysql' and key in dburl.SWITCHES
            and text.strip().lower() not in dburl.TRUE | dburl.FALSE):
        yield (f'has {key} = {plain(text)}, which is neither true nor false',
               f'Write {key}=true or {key}=false.')
    elif (driver == 'pymysql' and key == 'charset'
            and not _is_charset(text)):
        yield (f'has charset = {plain(text)}, which PyMySQL does not know',
               'Write charset=utf8mb4.')


def _is_among(integers, text):
    return bool(re.fullmatch(r'\s*[+-]?[0-9]{1,10}\s*', text)) and (
        int(text) in integers)


def _is_charset(name):
    if name.lower() in dburl.CHARSETS:
        return True
    try:
        from pymysql import charset
    except ImportError:
        return True
    return charset.charset_by_name(name) is not None


def in_memory(view: View) -> Iterator[Finding]:
    """Yield a database that is separate in every process."""
    value = view.settings[_NAME]
    if (not view.used(_NAME) or value.option in view.reported
            or value.error):
        return
    url = dburl.parse(value.value)
    if url is None or not url.in_memory:
        return
    switch = view.settings['jobboard_enabled']
    where = value.where if value.source == 'file' else (
        switch.where | {'option': value.option})
    yield finding(
        'config.persistence-unset',
        f'{named(value)} is not set while jobboard_enabled is true: the '
        f'default {value.value} is lost with each process.'
        if value.source == 'default' else
        f'{named(value)} = {url.scheme}:// is lost with each process, and '
        f'jobboard_enabled is true.', **where)


def local_file(view: View) -> Iterator[Finding]:
    """Yield a database that is local to one machine."""
    value = view.usable(_NAME)
    url = dburl.parse(value.value) if value else None
    if value and url and url.dialect == 'sqlite' and not url.in_memory:
        yield finding(
            'config.persistence-sqlite',
            f'{named(value)} is the SQLite file {url.database}, which only '
            f'this machine sees.', **value.where)


def shared(view: View) -> Iterator[Finding]:
    """Yield a database that is Octavia's own."""
    value = view.usable(_NAME)
    main = view.settings['database', 'connection']
    url = dburl.parse(value.value) if value else None
    other = None if main.error else dburl.parse(main.value or '')
    if (value and url and other and not url.in_memory
            and url.place() == other.place()):
        yield finding(
            'config.persistence-shared',
            f'{named(value)} and [database] connection are the same '
            f'database: {url.shown()}.',
            _separate(view, value, url), **value.where)


def _separate(view, value, url):
    """Return how to create a separate database for TaskFlow."""
    run = f'octavia-db-manage{view.settings.config_args} upgrade_persistence'
    if url.dialect == 'sqlite':
        return f'Name another file at the end of {value.name}, and run {run}'
    name = ('octavia_taskflow' if url.database == 'octavia_persistence' else
            'octavia_persistence')
    return ('As an administrator of the database server: CREATE DATABASE '
            f'{name}; and grant the account the privileges on it that it has '
            f'on {url.database}. Then let {value.name} end with /{name}, and '
            f'run {run}')


RULES = [broken_url, in_memory, local_file, shared]

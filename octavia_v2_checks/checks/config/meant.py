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

"""The database URL that was intended, where the one in the file is broken.

User and password are never repeated, only represented by placeholders.
"""

from collections.abc import Iterable
import re
from urllib import parse as urlparse

from octavia_v2_checks.checks.config import dburl
from octavia_v2_checks.checks.config import hosts
from octavia_v2_checks.settings import redact

#: Characters of no realistic database name, but often next to one in a URL.
_NOT_IN_NAMES = r'[&;=?,/\\#<>|]|\s'

_NAME = r'[/\s]*([\w$.%-]*)'

_PARAMETER = r'(?<![\w-])(\w+)=([\w.:/%+-]*)'

#: The possible values of these are not known.
_FREE_TEXT = frozenset({'init_command', 'options', 'sql_mode'})

_WHERE = frozenset({'host', 'port', 'hostaddr'})

#: Ports of MySQL and PostgreSQL, and of the proxies in front of them.
_PORTS = frozenset({'3306', '3307', '4006', '5432', '6033', '6432'})

_ANY_PARAMETER = frozenset().union(*dburl.PARAMETERS.values(),
                                   dburl.SQLALCHEMY)


def odd_character(url: dburl.URL) -> str | None:
    """Return what the name of the database cannot contain, or None."""
    found = re.search(_NOT_IN_NAMES, url.database or '')
    return found and ('a blank' if found[0].isspace() else found[0])


def joined_wrongly(url: dburl.URL) -> bool:
    """Return whether parameters are joined with something other than &."""
    return any(
        name.startswith(('amp;', '?'))
        or any(key in _ANY_PARAMETER
               for key in re.findall(r'[?;]\s*(\w+)=', value))
        for name, value in url.query.items())


def address(url: dburl.URL) -> str | None:
    """Return an IPv6 address in its brackets, None where it has them."""
    if re.fullmatch(r'\[[^\[\]]*\](?::\d*)?', url.authority):
        return None
    bare = re.sub(r'[\[\]]', '', url.authority)
    host, _, port = bare.rpartition(':')
    if hosts.is_ipv6(host) and (port in _PORTS or (
            port.isdecimal() and not hosts.is_ipv6(bare))):
        return f'[{host}]:{port}'
    return f'[{bare}]' if hosts.is_ipv6(bare) else None


def _shown(key, value):
    if key == 'user':
        return 'USER'
    if redact.is_secret_name(key):
        return 'PASSWORD'
    return 'VALUE' if key in _FREE_TEXT else value


def rebuilt(url: dburl.URL, authority: str | None = None,
            more: Iterable[str] = ()) -> str:
    """Return the URL that was probably intended, without its secrets.

    :param url: the one in the file
    :param authority: host and port that belong in it; the existing ones if
        omitted
    :param more: parameters that it should have, as ``name=value``
    """
    rest = urlparse.unquote(url.tail[len(url.authority):])
    name = re.match(_NAME, rest)
    parameters = [*more]
    for key, value in re.findall(_PARAMETER, rest[name.end() if name else 0:]):
        if key in _ANY_PARAMETER - (
                frozenset() if authority is None else _WHERE):
            parameters.append(f'{key}={_shown(key, value)}')
    login = 'USER:PASSWORD@' if url.username is not None else ''
    place = url.authority if authority is None else authority
    database = (name[1] if name else '') or 'DATABASE'
    query = f'?{"&".join(parameters)}' if parameters else ''
    return f'{url.scheme}://{login}{place}/{database}{query}'

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

"""What is behind a step that did not come, as sentence and remedy."""

from collections.abc import Mapping
from typing import Any

from octavia_v2_checks import findings
from octavia_v2_checks import resumption
from octavia_v2_checks import statements
from octavia_v2_checks.checks.config import view
from octavia_v2_checks.drill import names
from octavia_v2_checks.settings import Settings

SERVERS = {'jobboard': 'the jobboard',
           'persistence': 'the persistence database'}

#: What :func:`octavia_v2_checks.drill.errors.describe` returns.
Error = Mapping[str, Any]

#: An exception of which nothing is known.
NOTHING: Error = {'classes': [], 'code': None, 'where': None}

#: MySQL's numbers and PostgreSQL's states for a database that takes no
#: writes.
_READ_ONLY = frozenset({1290, 1792, 1836, 1047, '25006'})

_NO_TABLE = frozenset({1146, '42P01'})


def shown(error: Error) -> str:
    """Return the classes of an exception and its number, for a message."""
    classes = error['classes']
    if not classes:
        return 'for no known reason'
    first, last = classes[0], classes[-1]
    names = first if first == last else f'{first} because of {last}'
    return f'{names} {error["code"]}' if error.get('code') else names


def sentence(error: Error) -> str:
    """Return what an exception says of the two servers."""
    place = SERVERS.get(error.get('where') or '')
    if not place:
        return f'It failed: {shown(error)}.'
    return f'{place.capitalize()} let it fail: {shown(error)}.'


def remedy(settings: Settings, error: Error) -> str:
    """Return what is to be done about an exception."""
    again = 'then run the drill again.'
    if error.get('code') in _READ_ONLY:
        return ('Make the persistence database writable (SET GLOBAL '
                'read_only = OFF; where it is a replica, name the primary '
                f'in persistence_connection), {again}')
    if error.get('code') in _NO_TABLE:
        return f'Run octavia-db-manage upgrade_persistence, {again}'
    if 'NoPermissionError' in error['classes']:
        return redis_account(settings)
    return (f'octavia-v2-checks{settings.config_args} upgrade check names '
            f'most causes. Remove this one, {again}')


def redis_account(settings: Settings) -> str:
    """Return the command that lets a worker's account do the drill."""
    try:
        user = settings.get('jobboard_backend_username') or 'default'
        base = settings.get('jobboard_backend_namespace')
    except findings.Blocked:
        return ''
    return statements.in_redis_cli(' '.join([
        'ACL SETUSER', statements.word(user), statements.word(
            statements.drill_keys(base)),
        *map(statements.rule, statements.REDIS_COMMANDS)]))


def place(settings: Settings) -> str:
    """Return where a drill writes, for the question before it."""
    known = resumption.of(settings)
    board = ', '.join(known['jobboard'] or [])
    server = view.SERVER.get(known['jobboard_backend_driver'], 'the jobboard')
    return (f'{server} ({board}) and the persistence database '
            f'({known["persistence"]})')


def leftover(settings: Settings, drill: str, namespace: str,
             error: Error) -> str:
    """Return what of a drill is still on a server.

    :param error: with ``where``
    """
    known = resumption.of(settings)
    if error['where'] == 'persistence':
        what = (f'logbooks named {names.PREFIX}{drill}-... in '
                f'{known["persistence"]}')
    else:
        what = (f'the namespace {namespace} on the jobboard '
                f'({", ".join(known["jobboard"] or [])})')
    why = f' ({shown(error)})' if error['classes'] else ''
    return f'Not removed: {what}{why}.'

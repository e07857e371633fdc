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

"""The cause of a step that did not happen, as sentence and remedy."""

from collections.abc import Mapping
from typing import Any

from octavia_v2_checks import resumption
from octavia_v2_checks import statements
from octavia_v2_checks.checks.config import view
from octavia_v2_checks.drill import names
from octavia_v2_checks.settings import Settings

SERVERS = {'jobboard': 'the jobboard',
           'persistence': 'the persistence database'}

#: What :func:`octavia_v2_checks.drill.errors.describe` returns.
Error = Mapping[str, Any]

#: An unknown exception.
NOTHING: Error = {'classes': [], 'code': None, 'where': None}

#: Error numbers of MySQL and SQLSTATEs of PostgreSQL for a database that
#: accepts no writes.
_READ_ONLY = frozenset({1290, 1792, 1836, 1047, '25006'})

_NO_TABLE = frozenset({1146, '42P01'})


def shown(error: Error) -> str:
    """Return the classes of an exception and its number, for a message."""
    classes = error['classes']
    if not classes:
        return 'for no known reason'
    first, last = classes[0], classes[-1]
    said = first if first == last else f'{first} because of {last}'
    return f'{said} {error["code"]}' if error['code'] else said


def sentence(settings: Settings, error: Error) -> str:
    """Return what an exception means for the two servers."""
    place = SERVERS.get(error['where'] or '', 'Something')
    text = f'{place[0].upper()}{place[1:]} refused it or failed'
    if 'NoPermissionError' in error['classes']:
        base = str(settings['jobboard_backend_namespace'].value)
        text = ('The account lacks the permissions of a worker for keys that '
                f'begin with {base.rstrip("/")}_drill_')
    elif 'NoAuthError' in error['classes']:
        text = ('The ACL of a node does not permit a worker to create the '
                'nodes of a drill next to those of the jobboard')
    elif error['code'] in _READ_ONLY:
        text = 'The persistence database accepts no writes'
    elif error['code'] in _NO_TABLE:
        text = 'The persistence database has no TaskFlow tables'
    return f'{text}: {shown(error)}.'


def remedy(settings: Settings, error: Error) -> str:
    """Return what is to be done about an exception."""
    again = 'then run the drill again.'
    if error['code'] in _READ_ONLY:
        return ('Make the persistence database writable (MySQL and MariaDB: '
                'SET GLOBAL read_only = OFF; PostgreSQL: '
                'default_transaction_read_only = off), or name the primary '
                f'in persistence_connection, {again}')
    if error['code'] in _NO_TABLE:
        return (f'Run octavia-db-manage{settings.config_args} '
                f'upgrade_persistence, {again}')
    if 'NoPermissionError' in error['classes']:
        return redis_account(settings)
    return (f'octavia-v2-checks{settings.config_args} upgrade check names '
            f'most causes. Fix the cause, {again}')


def redis_account(settings: Settings) -> str:
    """Return the command that permits the account of a worker to do the drill.
    """
    user = settings['jobboard_backend_username'].value or 'default'
    base = str(settings['jobboard_backend_namespace'].value)
    return statements.in_redis_cli(' '.join([
        'ACL SETUSER', statements.word(user), statements.word(
            statements.drill_keys(base)),
        *map(statements.rule, statements.REDIS_COMMANDS)]))


def place(settings: Settings) -> str:
    """Return where a drill writes, for the prompt before it."""
    known = resumption.of(settings)
    board = ', '.join(known['jobboard'] or ['unknown'])
    server = view.SERVER.get(known['jobboard_backend_driver'], 'the jobboard')
    return (f'{server} ({board}) and the persistence database '
            f'({known["persistence"]})')


def leftover(settings: Settings, drill: str, namespace: str,
             error: Error) -> str:
    """Return what remains of a drill on a server.

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

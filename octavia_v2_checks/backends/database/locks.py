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

"""Who holds the lock that keeps a question waiting.

Asked over the same connection, on which the server has just answered; what the
account may not see is not shown. No statement of another session is shown
beyond its first two words: it contains the data it writes.
"""

from collections.abc import Callable
import contextlib

from octavia_v2_checks import clock as clocks
from octavia_v2_checks.backends import net

#: Session, account, what it holds, and on what.
_HOLDERS = {
    'mysql': (
        "SELECT t.PROCESSLIST_ID, t.PROCESSLIST_USER, l.LOCK_TYPE, "
        "l.OBJECT_NAME FROM performance_schema.metadata_locks l JOIN "
        "performance_schema.threads t ON t.THREAD_ID = l.OWNER_THREAD_ID "
        "WHERE l.LOCK_STATUS = 'GRANTED' AND t.PROCESSLIST_ID <> "
        "CONNECTION_ID() AND ((l.OBJECT_TYPE IN ('GLOBAL', 'BACKUP') AND "
        "l.LOCK_TYPE IN ('SHARED', 'BACKUP_FTWRL1', 'BACKUP_FTWRL2')) OR "
        "(l.OBJECT_TYPE = 'TABLE' AND l.OBJECT_SCHEMA = DATABASE() AND "
        "l.LOCK_TYPE IN ('EXCLUSIVE', 'SHARED_NO_READ_WRITE', "
        "'SHARED_READ_ONLY', 'SHARED_NO_WRITE', 'SHARED_UPGRADABLE')))",
        "SELECT l.THREAD_ID, p.USER, l.LOCK_MODE, l.TABLE_NAME FROM "
        "information_schema.METADATA_LOCK_INFO l LEFT JOIN "
        "information_schema.PROCESSLIST p ON p.ID = l.THREAD_ID WHERE "
        "l.THREAD_ID <> CONNECTION_ID() AND (l.LOCK_MODE LIKE "
        "'MDL_BACKUP_FTWRL_' OR (l.TABLE_SCHEMA = DATABASE() AND "
        "l.TABLE_NAME <> '' AND l.LOCK_MODE IN ('MDL_EXCLUSIVE', "
        "'MDL_SHARED_NO_READ_WRITE', 'MDL_SHARED_READ_ONLY', "
        "'MDL_SHARED_NO_WRITE', 'MDL_SHARED_UPGRADABLE')))",
        "SELECT ID, USER, SUBSTRING_INDEX(INFO, ' ', 2), DB FROM "
        "information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND INFO "
        "REGEXP '^(ALTER|CREATE|DROP|TRUNCATE|RENAME|OPTIMIZE|REPAIR|ANALYZE|"
        "LOCK|FLUSH) '",
    ),
    'postgresql': (
        "SELECT a.pid, a.usename, l.mode, c.relname FROM pg_locks l JOIN "
        "pg_class c ON c.oid = l.relation JOIN pg_stat_activity a ON a.pid = "
        "l.pid WHERE c.relnamespace = current_schema()::regnamespace AND "
        "l.pid <> pg_backend_pid() AND l.mode IN ('AccessExclusiveLock', "
        "'ExclusiveLock', 'ShareRowExclusiveLock', 'ShareLock') "
        "ORDER BY l.granted DESC, a.pid",
    ),
    'sqlite': (),
}

#: How an administrator sees and ends what holds a lock.
_SEE = {'mysql': 'SHOW FULL PROCESSLIST; and SELECT * FROM '
                 'performance_schema.metadata_locks;',
        'postgresql': 'SELECT pid, pg_blocking_pids(pid), query FROM '
                      'pg_stat_activity;'}
_END = {'mysql': 'KILL {};', 'postgresql': 'SELECT pg_terminate_backend({});'}


def holders(kind: str, ask: Callable[[str], list[tuple]]) -> list[tuple]:
    """Return who holds locks, as far as the account may see it.

    :param ask: runs a statement; an exception counts as no answer
    :returns: ``(session, account or None, what, on what or None)``
    """
    for statement in _HOLDERS[kind]:
        found = []
        # What this query may not see, the next may show.
        with contextlib.suppress(Exception):
            found = ask(statement)
        if found:
            return list(dict.fromkeys(found))
    return []


def locked(kind: str, host: str, seconds: float, held: list[tuple]
           ) -> net.Fault:
    """Return the fault of a query that a lock kept waiting.

    :param host: or the file of an SQLite database
    :param seconds: that it waited
    :param held: what :func:`holders` returned
    """
    text = (f'{host} answers, and a lock kept a query waiting for more than '
            f'{clocks.shown(seconds)} s')
    if kind == 'sqlite':
        return net.Fault('locked', f'{text}.', 'Wait for the process that '
                                               'writes to the file, or stop '
                                               'it.', host=None)
    if not held:
        return net.Fault(
            'locked', f'{text}; the account may not see who holds it.',
            'Wait for the backup or schema change that holds it. An '
            f'administrator of the database sees it with: {_SEE[kind]}',
            host=host)
    shown = ', '.join(
        f'session {session}' + (f' of {account!r}' if account else '')
        + f' ({what}' + (f' on {table})' if table else ')')
        for session, account, what, table in held[:3])
    end = ' '.join(dict.fromkeys(_END[kind].format(h[0]) for h in held[:3]))
    return net.Fault(
        'locked', f'{text}. It is held by {shown}.',
        'Wait for what holds it, such as a backup or a schema change, or end '
        f'it as an administrator of the database: {end}', host=host)

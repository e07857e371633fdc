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

"""What may be reported about an exception: classes and numbers, never its
text.
"""

from typing import Any

#: Packages whose exceptions come from the persistence database.
_DATABASE = frozenset({'sqlalchemy', 'pymysql', 'MySQLdb', 'psycopg2',
                       'psycopg', 'oslo_db', 'sqlite3', '_sqlite3',
                       'alembic'})

#: Those whose exceptions come from the jobboard.
_BOARD = frozenset({'redis', 'kazoo', 'etcd3gw', 'requests', 'urllib3'})

_DEPTH = 10


def describe(exc: BaseException | None) -> dict[str, Any]:
    """Return the classes of an exception and its causes, outermost first.

    :returns: ``classes``; ``code``, a number or SQLSTATE if the database
        gave one; ``where``, ``persistence`` or ``jobboard`` if that can be
        told
    """
    classes: list[str] = []
    code: int | str | None = None
    where = None
    while exc is not None and len(classes) < _DEPTH:
        classes.append(type(exc).__name__)
        package = type(exc).__module__.partition('.')[0]
        if package in _DATABASE:
            where = 'persistence'
        elif package in _BOARD:
            where = where or 'jobboard'
        code = code or _code(exc)
        exc = _cause(exc)
    return {'classes': classes, 'code': code,
            'where': where or _by_name(classes)}


def _cause(exc):
    if type(exc).__name__ == 'WrappedFailure':
        # Of TaskFlow, for what has failed in an engine.
        return next((f.exception for f in exc if f.exception), None)
    return (exc.__cause__ or getattr(exc, 'orig', None) or exc.__context__)


def _by_name(classes):
    """Decide by the classes of TaskFlow."""
    for name, where in (('StorageFailure', 'persistence'),
                        ('JobFailure', 'jobboard')):
        if name in classes:
            return where
    return None


def _code(exc):
    """Return the error number of MySQL or the SQLSTATE of PostgreSQL."""
    package = type(exc).__module__.partition('.')[0]
    if package in ('pymysql', 'MySQLdb'):
        number = exc.args[0] if exc.args else None
        return number if isinstance(number, int) else None
    if package in ('psycopg2', 'psycopg'):
        return getattr(exc, 'pgcode', None) or getattr(exc, 'sqlstate', None)
    return None

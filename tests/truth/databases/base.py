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

"""What all persistence databases of cases have in common."""

from collections.abc import Callable
import contextlib
from typing import Any
from urllib import parse

from octavia_v2_checks.upstream import revisions

PASSWORD = 'Kanari7-Zeisig8'

#: How often the sound ones are drawn.
SOUND = 6


class Database:
    """A database, and how a worker gets at it.

    :param execute: runs statements on the server, as administrator
    :param parts: of the URL: user, password, database, host, port, scheme,
        query
    """

    def __init__(self, execute: Callable[..., Any], **parts: Any):
        self.execute = execute
        self.parts = parts

    def url(self, **changed: Any) -> str:
        """The URL, with some of its parts otherwise; None leaves one out."""
        parts = self.parts | changed
        login = ''
        if parts['user'] is not None:
            login = parse.quote(parts['user'], safe='')
            if parts['password'] is not None:
                login += ':' + parse.quote(parts['password'], safe='')
            login += '@'
        port = '' if parts['port'] is None else f':{parts["port"]}'
        query = parse.urlencode(parts['query'])
        name = '' if parts['database'] is None else f'/{parts["database"]}'
        return (f'{parts["scheme"]}://{login}{parts["host"]}{port}{name}'
                f'{"?" if query else ""}{query}')

    def reset(self) -> None:
        """Empty it, if it has tables."""
        with contextlib.suppress(Exception):
            self.execute('DELETE FROM logbooks', self.parts['database'])

    def allow(self, **parts: str) -> None:
        """Let a worker in with another user, password or database name.

        :raises Exception: if the server does not take such a name
        """
        raise NotImplementedError


def migrate(url: str, revision: str = 'head') -> None:
    """Let TaskFlow make its tables."""
    import sqlalchemy
    from taskflow.persistence.backends.sqlalchemy import migration
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        migration.db_sync(connection, revision)
    engine.dispose()


def older(steps: int) -> str:
    """The revision some steps before the one of the installed TaskFlow."""
    from alembic import script
    from taskflow.persistence.backends.sqlalchemy import migration
    heads = script.ScriptDirectory.from_config(
        migration._make_alembic_config()).get_heads()
    ids = [r.id for r in revisions.KNOWN]
    return ids[ids.index(heads[0]) - steps]

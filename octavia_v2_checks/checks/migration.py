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

"""Does the schema of the persistence database fit the installed TaskFlow?

Read from the version table and the catalogue of the server, as alembic reads
them; importing alembic would take as long as all the rest.
"""

from collections.abc import Iterable
from collections.abc import Iterator
import re

from octavia_v2_checks import clock
from octavia_v2_checks import findings
from octavia_v2_checks import settings as settings_
from octavia_v2_checks import statements
from octavia_v2_checks.backends import database
from octavia_v2_checks.checks import persistence
from octavia_v2_checks.upstream import broken
from octavia_v2_checks.upstream import revisions
from octavia_v2_checks.upstream import versions

_VERSION_TABLE = 'alembic_version'

#: Privileges that the migrations from a revision on need (tested one by one on
#: MariaDB 10.11); MySQL 8 also requires REFERENCES for the foreign keys.
_RIGHTS_FROM_EMPTY = ('CREATE', 'ALTER', 'DROP', 'INDEX', 'INSERT', 'UPDATE')
_RIGHTS_LATER = ('ALTER', 'INDEX', 'UPDATE')

#: Tables whose columns and indexes matter.
_LOOKED_AT = (*persistence.TABLES, 'taskdetails', _VERSION_TABLE)


def check(settings: settings_.Settings, deadline: clock.Deadline
          ) -> Iterable[findings.Finding | str]:
    """Yield how the schema differs from what the installed TaskFlow needs.

    :raises findings.NotApplicable: without jobboard or amphora provider
    :raises findings.Blocked: if the database cannot be reached or read
    """
    settings.require_jobboard()
    with persistence.asking(settings):
        base = persistence.database_of(settings, deadline)
    with persistence.asking(settings, base), base:
        yield from look(settings, base)


def look(settings: settings_.Settings, base: database.Database
         ) -> Iterator[findings.Finding | str]:
    """Yield what is wrong with an open database, or one fact.

    :raises net.Fault: if it does not answer
    :raises database.QueryError: if it refuses to be read
    """
    yield from _Look(base, settings).findings()


class _Look:
    """The contents of one database, and what follows from them."""

    def __init__(self, base: database.Database,
                 settings: settings_.Settings):
        self.base = base
        self.broken = broken.migration(base.kind)
        first = f'{self.broken.command} && ' if self.broken else ''
        self.command = (f'{first}octavia-db-manage{settings.config_args} '
                        f'upgrade_persistence')
        self.where = settings['persistence_connection'].where
        tables, columns, indexes = base.schema(list(_LOOKED_AT))
        self.schema = revisions.Schema(
            {(table, column): kind for table, column, kind in columns},
            {(table, index): unique for table, index, unique in indexes},
            frozenset(tables))
        self.versions = self._versions()

    def _versions(self):
        if _VERSION_TABLE not in self.schema.tables:
            return []
        return sorted(str(row[0]) for row in self.base.rows(
            f'SELECT version_num FROM {_VERSION_TABLE}'))

    def _report(self, slug, text, remedy=None):
        return findings.finding(f'migration.{slug}', text, remedy,
                                host=self.base.host, **self.where)

    def findings(self) -> Iterator[findings.Finding | str]:
        """Yield what is wrong, or one fact if nothing is."""
        chain = revisions.chain()
        positions = {r.id: n for n, r in enumerate(chain)}
        unknown = [v for v in self.versions if v not in positions]
        octavia = revisions.OCTAVIA_TABLES & self.schema.tables
        # Reading the ids from the hundred scripts of Octavia takes time.
        if octavia or (unknown and set(unknown) & revisions.octavia_ids()):
            yield self._foreign(octavia)
        elif unknown:
            yield self._ahead(unknown[0])
        elif not self.schema.tables & {*persistence.TABLES, 'taskdetails'}:
            yield from self._uninitialised(chain)
        elif self.base.kind == 'sqlite':
            yield from self._sqlite(chain)
        elif len(self.versions) != 1:
            yield self._unversioned(positions)
        else:
            yield from self._versioned(chain, positions[self.versions[0]])

    def _foreign(self, octavia):
        seen = (f'it has the table {min(octavia)}' if octavia else
                f'its revision {self.versions[0]} is a revision of Octavia')
        account = "'USER'@'HOST'"
        name = 'octavia_persistence'
        remedy = (
            f'CREATE DATABASE IF NOT EXISTS {name}; then name it in '
            f'[task_flow] persistence_connection and run {self.command}')
        if self.base.kind == 'mysql':
            account = statements.mysql_account(
                self.base.rows('SELECT CURRENT_USER()')[0][0])
            remedy = (
                f'CREATE DATABASE IF NOT EXISTS `{name}`; GRANT '
                f'{", ".join(statements.RUNTIME + statements.MIGRATION)} '
                f'ON `{name}`.* TO {account}; then name {name} in '
                f'[task_flow] persistence_connection and run {self.command}')
        return self._report(
            'foreign',
            f'{self.base.shown} is Octavia\'s own database: {seen}. '
            f'Octavia and TaskFlow cannot share a version table.', remedy)

    def _ahead(self, version):
        known = next((r for r in revisions.KNOWN if r.id == version), None)
        head = revisions.chain()[-1]
        taskflow = versions.installed('taskflow')
        knows = (f'The installed TaskFlow {taskflow}' if taskflow
                 else 'This release')
        return self._report(
            'ahead',
            f'{self.base.shown} is at revision {version}. {knows} ends at '
            f'{head.id}.',
            f"pip install 'taskflow>={known.release}'" if known else None)

    def _uninitialised(self, chain):
        yield self._report(
            'uninitialised', f'{self.base.shown} has no tables yet.',
            self.command)
        yield from self._taskflow()
        yield from self._privileges(0)

    def _taskflow(self):
        """Yield a finding if the installed TaskFlow cannot run its migrations.
        """
        if self.broken:
            yield self._report(
                'taskflow-broken',
                f'TaskFlow {versions.installed("taskflow")} is installed, '
                f'with which {self.broken.fails}.', self.broken.command)

    def _sqlite(self, chain):
        missing = self._missing(len(chain) - 1)
        if missing:
            yield self._report(
                'incomplete',
                f'{self.base.shown} lacks {", ".join(missing)}. TaskFlow '
                f'adds no column to an SQLite table that exists.',
                f'Move the file away while no worker runs, then run '
                f'{self.command}')
        else:
            yield (f'{self.base.shown} has all tables and columns. TaskFlow '
                   f'keeps no revision in SQLite.')

    def _unversioned(self, positions):
        """The tables exist and the version table has no revision, or two:
        derive the revision from the schema."""
        real = self._real_level()
        if self.versions:
            seen = (f'holds {len(self.versions)} revisions '
                    f'({", ".join(self.versions)})')
        elif _VERSION_TABLE in self.schema.tables:
            seen = 'is empty'
        else:
            seen = 'is missing'
        text = (f'The tables of {self.base.shown} exist, but its version '
                f'table {seen}, so upgrade_persistence stops.')
        if real is None:
            return self._report(
                'incomplete', text, 'Restore the database from a backup, or '
                f'drop its tables while no worker runs and run '
                f'{self.command}')
        return self._report('incomplete', f'{text} The columns are those of '
                            f'{revisions.KNOWN[real].id}.',
                            self._stamp(revisions.KNOWN[real].id))

    def _stamp(self, revision):
        # On PostgreSQL, the account that runs this owns the table afterwards.
        owner = (f' ALTER TABLE {_VERSION_TABLE} OWNER TO '
                 f'{statements.identifier(self.base.user)};'
                 if self.base.kind == 'postgresql' else '')
        return (f'CREATE TABLE IF NOT EXISTS {_VERSION_TABLE} (version_num '
                f'VARCHAR(32) NOT NULL PRIMARY KEY); DELETE FROM '
                f'{_VERSION_TABLE}; INSERT INTO {_VERSION_TABLE} '
                f"(version_num) VALUES ('{revision}');{owner}")

    def _versioned(self, chain, at):
        known = {r.id: n for n, r in enumerate(revisions.KNOWN)}
        level = known.get(chain[at].id)
        missing = self._missing(level) if level is not None else []
        if missing:
            yield self._incomplete(chain[at], missing)
            return
        pending = chain[at + 1:]
        if not pending:
            yield f'{self.base.shown} is at {chain[at].id}, the newest.'
            return
        steps = '; '.join(
            f'{r.id} ({r.brings}' + (f', TaskFlow {r.release})' if r.release
                                     else ')') for r in pending)
        yield self._report(
            'behind', f'{self.base.shown} is at {chain[at].id}, '
            f'{len(pending)} behind. Pending: {steps}.', self.command)
        yield from self._taskflow()
        yield from self._privileges(at + 1)

    def _incomplete(self, revision, missing):
        real = self._real_level()
        shown = ', '.join(missing[:8]) + (
            f' and {len(missing) - 8} more' if len(missing) > 8 else '')
        remedy = None
        if real is not None:
            remedy = (f'{self._stamp(revisions.KNOWN[real].id)} then run '
                      f'{self.command}')
        else:
            remedy = (f'Restore the database from a backup, or drop its '
                      f'tables while no worker runs and run {self.command}')
        return self._report(
            'incomplete', f'{self.base.shown} is marked as revision '
            f'{revision.id} but lacks {shown}.', remedy)

    def _real_level(self):
        """Return the highest known revision that the schema satisfies."""
        for level in range(len(revisions.KNOWN) - 1, -1, -1):
            if not self._missing(level):
                return level
        return None

    def _missing(self, level):
        wanted = revisions.schema(level, self.base.kind)
        tables = self.schema.tables
        missing = [f'table {t}' for t in sorted(wanted.tables - tables)]
        for (table, column), kind in sorted(wanted.columns.items()):
            has = self.schema.columns.get((table, column))
            if table not in tables:
                continue
            if has is None:
                missing.append(f'column {table}.{column}')
            elif kind and has != kind:
                missing.append(f'{table}.{column} as {kind} (it is {has})')
        for (table, index), unique in sorted(wanted.indexes.items()):
            is_unique = self.schema.indexes.get((table, index))
            if table not in tables:
                continue
            if is_unique is None:
                missing.append(f'index {index} on {table}')
            elif unique and not is_unique:
                missing.append(f'unique index {index} on {table}')
        return missing

    def _privileges(self, at):
        """Yield a finding if the account may not run the migrations from
        ``at`` on.
        """
        if self.base.kind == 'mysql':
            lacking, account = self._mysql_rights(at)
            remedy = (statements.grant(lacking, self.base.name, account)
                      if lacking else None)
        elif self.base.kind == 'postgresql':
            lacking, remedy, account = self._postgresql_rights(at)
        else:
            return
        if lacking:
            yield self._report(
                'upgrade-privileges',
                f'{account} does not seem to have {", ".join(lacking)} on '
                f'{self.base.name} at {self.base.host}, which the pending '
                f'migration needs.', remedy)

    def _mysql_rights(self, at):
        account, version = self.base.rows(
            'SELECT CURRENT_USER(), VERSION()')[0]
        granted = self._mysql_granted()
        needed = list(_RIGHTS_LATER if at else _RIGHTS_FROM_EMPTY)
        if not at and 'mariadb' not in version.lower():
            needed.append('REFERENCES')
        # Grants that do not show a privilege the account has just used come
        # through a role or the row of another account: they prove nothing.
        if 'ALL PRIVILEGES' in granted or 'SELECT' not in granted:
            return [], account
        return [p for p in needed if p not in granted], account

    def _mysql_granted(self):
        granted = set()
        for (line,) in self.base.rows('SHOW GRANTS'):
            found = re.match(r'GRANT (.+?) ON (?:TABLE )?(\*|`.+?`)\.(\*|`.+`)'
                             r' TO ', line)
            if found and found[3] == '*' and (
                    found[2] == '*'
                    or _matches(found[2][1:-1], self.base.name)):
                granted |= set(re.sub(r'\(.*?\)', '', found[1]).split(', '))
        return granted

    def _postgresql_rights(self, at):
        account, schema, may_create = self.base.rows(
            "SELECT current_user, current_schema(), "
            "has_schema_privilege(current_schema(), 'CREATE')")[0]
        user = statements.identifier(account)
        if not may_create:
            return (['CREATE'], f'GRANT CREATE ON SCHEMA {schema} TO '
                    f'{user};', account)
        others = [row[0] for row in self.base.rows(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND "
            "relnamespace = current_schema()::regnamespace AND relname IN "
            "('logbooks', 'flowdetails', 'atomdetails', 'taskdetails', "
            "'alembic_version') AND NOT pg_has_role(relowner, 'USAGE')")]
        if others and at:
            return ([f'ownership of {", ".join(others)}'], ' '.join(
                f'ALTER TABLE {t} OWNER TO {user};' for t in others),
                account)
        return [], None, account


def _matches(pattern, name):
    """Compare a database name with a GRANT's pattern: % and _, or escaped."""
    parts = re.findall(r'\\.|.', pattern)
    expression = ''.join(
        '.*' if p == '%' else '.' if p == '_' else re.escape(p[-1])
        for p in parts)
    return re.fullmatch(expression, name) is not None

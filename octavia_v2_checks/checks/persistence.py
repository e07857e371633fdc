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

"""Can a worker log in to the persistence database, read it and write it?"""

from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import dataclasses
import re

from octavia_v2_checks import clock
from octavia_v2_checks import findings
from octavia_v2_checks import settings as settings_
from octavia_v2_checks import statements
from octavia_v2_checks.backends import database
from octavia_v2_checks.backends import net
from octavia_v2_checks.backends.database import errors

TABLES = ('logbooks', 'flowdetails', 'atomdetails')

_EXPLAIN = {
    'SELECT': 'EXPLAIN SELECT uuid FROM {}',
    'INSERT': "EXPLAIN INSERT INTO {} (uuid) VALUES ('x')",
    'UPDATE': "EXPLAIN UPDATE {} SET name = name WHERE uuid = ''",
    'DELETE': "EXPLAIN DELETE FROM {} WHERE uuid = ''",
}

#: With fewer connections at a time a worker fails at its first flow.
_CONNECTIONS = 2

_OLDEST = {'MySQL': (5, 7, 8), 'MariaDB': (10, 2, 3), 'PostgreSQL': (9, 5)}


def check(settings: settings_.Settings, deadline: clock.Deadline
          ) -> Iterable[findings.Finding | str]:
    """Yield what keeps a worker from using the persistence database.

    :raises findings.NotApplicable: without jobboard or amphora provider
    :raises findings.Blocked: if the URL is not usable at all
    """
    settings.require_jobboard()
    base: database.Database | None = None
    try:
        base = database_of(settings, deadline)
        with base:
            yield from _members(settings, base)
            where = settings['persistence_connection'].where
            for said in _ask(base):
                yield (dataclasses.replace(said, **where)
                       if isinstance(said, findings.Finding) else said)
    except net.Fault as fault:
        yield finding_of(settings, fault, base)
    except database.QueryError as exc:
        yield _refusal(settings, exc, base)


def database_of(settings: settings_.Settings, deadline: clock.Deadline
                ) -> database.Database:
    """Return the persistence database, the same for all checks of a run.

    Nothing is contacted yet.

    :raises findings.Blocked: if the URL is not usable, or names a database
        that is separate in every process
    :raises net.Fault: ``driver-missing``
    """
    base = database.shared(settings.get('persistence_connection'), deadline)
    if base.is_memory:
        raise findings.Blocked(
            'persistence_connection names a database in memory',
            option=settings['persistence_connection'].option)
    return base


def finding_of(settings: settings_.Settings, fault: net.Fault,
               base: database.Database | None) -> findings.Finding:
    """Return the finding of a fault, the same in every row that has it.

    :param base: the database, None if it could not be created
    """
    remedy = fault.remedy
    if fault.slug == 'unknown-database' and base and base.kind == 'sqlite':
        remedy = f'octavia-db-manage{settings.config_args} upgrade_persistence'
    return findings.finding(
        f'persistence.{fault.slug}', fault.text, remedy,
        host=base.host if base else None,
        **settings['persistence_connection'].where)


def _refusal(settings, error, base):
    return finding_of(settings, net.Fault(
        error.slug or 'undetermined',
        f'{base.host} does not let {base.user!r} read the tables (error '
        f'{error.code}).'), base)


@contextlib.contextmanager
def asking(settings: settings_.Settings,
           base: database.Database | None = None) -> Iterator[None]:
    """Let another row refer to a fault of the database.

    :param base: the database, None while it is not created
    :raises findings.Blocked: in place of the fault or refusal
    """
    try:
        yield
    except net.Fault as fault:
        raise findings.Blocked(
            fault.text, cause=finding_of(settings, fault, base)) from None
    except database.QueryError as exc:
        cause = _refusal(settings, exc, base)
        raise findings.Blocked(cause.message, cause=cause) from None


def _members(settings, base):
    """Yield the hosts of the URL that the driver skips."""
    for fault in base.down:
        yield findings.finding(
            'persistence.member-down',
            f'{fault.text.rstrip(".")}; {base.host} is used instead.',
            host=fault.host, **settings['persistence_connection'].where)


def _ask(base):
    return {'mysql': _mysql, 'postgresql': _postgresql,
            'sqlite': _sqlite}[base.kind](base)


def _report(base, slug, text, remedy=None):
    return findings.finding(f'persistence.{slug}', text, remedy,
                            host=base.host)


def _mysql(base) -> Iterator[findings.Finding | str]:
    version, account, read_only, limit = base.rows(
        'SELECT VERSION(), CURRENT_USER(), @@global.read_only, '
        '@@session.max_user_connections')[0]
    product = 'MariaDB' if 'mariadb' in version.lower() else 'MySQL'
    yield from _age(base, product, version)
    yield from _limit(
        base, account, int(limit) or None,
        f'ALTER USER {statements.mysql_account(account)} WITH '
        f'MAX_USER_CONNECTIONS 0;')
    missing: dict[str, list[str]] = {}
    for table in TABLES:
        for privilege, statement in _EXPLAIN.items():
            try:
                base.rows(statement.format(table))
            except database.QueryError as exc:
                if exc.slug == 'missing-privileges':
                    missing.setdefault(privilege, []).append(table)
                elif exc.slug == 'not-writable':
                    yield _mysql_read_only(base, exc.code)
                    return
                elif exc.code != errors.MYSQL_NO_TABLE:
                    yield _unknown(base, exc)
                    return
    if missing:
        tables = sorted({t for names in missing.values() for t in names})
        yield _report(
            base, 'missing-privileges',
            f'{account} may not {", ".join(missing)} on {", ".join(tables)} '
            f'of {base.name} at {base.host}.',
            statements.grant(missing, base.name, account))
        return
    if product == 'MySQL' and read_only and not _mysql_may_ignore(base):
        yield _mysql_read_only(base, 1290)
        return
    yield (f'{product} {_number(version)} at {base.host}: {account} may '
           f'{", ".join(statements.RUNTIME)} on {base.name}.')


def _mysql_may_ignore(base):
    """Whether the account can write despite read_only, as root can."""
    return bool(base.rows(
        'SELECT 1 FROM information_schema.USER_PRIVILEGES WHERE '
        "PRIVILEGE_TYPE IN ('SUPER', 'CONNECTION_ADMIN') LIMIT 1"))


def _mysql_read_only(base, code):
    if code == 1047:
        return _galera(base)
    variable = 'tx_read_only' if code == 1792 else 'read_only'
    return _report(
        base, 'not-writable',
        f'{base.host} accepts no writes: {variable} is on (error {code}). If '
        'it is a replica, name its primary in persistence_connection '
        'instead.', f'SET GLOBAL {variable} = 0;')


def _galera(base):
    """Return why a Galera node accepts no statements, and how to fix it."""
    state = dict(base.rows("SHOW GLOBAL STATUS LIKE 'wsrep_cluster_status'")
                 + base.rows("SHOW GLOBAL VARIABLES WHERE Variable_name IN "
                             "('wsrep_reject_queries', "
                             "'wsrep_provider_pc_bootstrap')"))
    if state.get('wsrep_reject_queries', 'NONE') != 'NONE':
        return _report(
            base, 'not-writable',
            f'{base.host} is a Galera node that rejects all statements: '
            f'wsrep_reject_queries is {state["wsrep_reject_queries"]} (error '
            f'1047).', 'SET GLOBAL wsrep_reject_queries = NONE;')
    return _report(
        base, 'not-writable',
        f'{base.host} is a Galera node outside the primary component: its '
        f'wsrep_cluster_status is {state.get("wsrep_cluster_status")} (error '
        f'1047).',
        'Bring its cluster back, or name another node in '
        'persistence_connection. If no other node is left that is Primary, '
        'then on the one with the newest data: '
        # Where each option is a variable, the old syntax is refused.
        + ('SET GLOBAL wsrep_provider_pc_bootstrap = ON;'
           if 'wsrep_provider_pc_bootstrap' in state else
           "SET GLOBAL wsrep_provider_options = 'pc.bootstrap=YES';"))


def _postgresql(base) -> Iterator[findings.Finding | str]:
    version, account, schema, standby, read_only, *limits = base.rows(
        "SELECT current_setting('server_version'), current_user, "
        "current_schema(), pg_is_in_recovery(), "
        "current_setting('default_transaction_read_only'), (SELECT CASE WHEN "
        "rolsuper THEN -1 ELSE rolconnlimit END FROM pg_roles WHERE rolname "
        "= current_user), (SELECT datconnlimit FROM pg_database WHERE "
        "datname = current_database())")[0]
    yield from _age(base, 'PostgreSQL', version)
    for limit, kind, name in zip(limits, ('ROLE', 'DATABASE'),
                                 (account, base.name), strict=True):
        yield from _limit(
            base, account, limit,
            f'ALTER {kind} {statements.identifier(name)} CONNECTION LIMIT -1;')
    if standby:
        yield _report(
            base, 'not-writable',
            f'{base.host} is a standby and accepts no writes.',
            'Name the primary in persistence_connection, or promote this '
            'server: SELECT pg_promote();')
        return
    if read_only == 'on':
        yield _report(
            base, 'not-writable',
            f'{base.host} accepts no writes: default_transaction_read_only is '
            f'on for {account} in {base.name}.',
            f'ALTER ROLE {statements.identifier(account)} SET '
            f'default_transaction_read_only = off;')
        return
    if schema is None:
        yield _report(
            base, 'missing-privileges',
            f'{account} may not use any schema in the search path of '
            f'{base.name} at {base.host}.',
            f'GRANT USAGE ON SCHEMA public TO '
            f'{statements.identifier(account)};')
        return
    asked = base.rows(
        'SELECT relname, p, has_table_privilege(c.oid, p) '
        'FROM pg_class c, unnest(ARRAY[' + ', '.join(
            f"'{p}'" for p in statements.RUNTIME) + ']) p WHERE c.relkind IN '
        "('r', 'p') AND relnamespace = current_schema()::regnamespace AND "
        'relname IN (' + ', '.join(f"'{t}'" for t in TABLES) + ')')
    denied = {(p, table) for table, p, allowed in asked if not allowed}
    if denied:
        privileges = [p for p in statements.RUNTIME
                      if p in {d[0] for d in denied}]
        tables = sorted({table for _, table in denied})
        yield _report(
            base, 'missing-privileges',
            f'{account} may not {", ".join(privileges)} on '
            f'{", ".join(tables)} of {base.name} at {base.host}.',
            f'GRANT {", ".join(privileges)} ON {", ".join(tables)} TO '
            f'{statements.identifier(account)};')
        return
    _take_turns(base, sorted({table for table, _, _ in asked}))
    yield (f'PostgreSQL {_number(version)} at {base.host}: {account} may '
           f'{", ".join(statements.RUNTIME)} on {base.name}.')


def _take_turns(base, tables):
    """Wait, as a worker does, for sessions that block writes.

    EXPLAIN takes the locks of the statements, but executes nothing.
    """
    if tables:
        parts = ', '.join(f'{table}_ AS (DELETE FROM {table} WHERE false)'
                          for table in tables)
        base.rows(f'EXPLAIN WITH {parts} SELECT 1')


def _sqlite(base) -> Iterator[findings.Finding | str]:
    import os
    try:
        base.rows('SELECT count(*) FROM sqlite_master')
    except database.QueryError:
        yield _report(base, 'unknown-database',
                      f'{base.name} is not an SQLite database.',
                      'Name another file in persistence_connection.')
        return
    folder = os.path.dirname(os.path.abspath(base.name))
    for path in (base.name, folder):
        if not os.access(path, os.W_OK):
            yield _report(base, 'not-writable',
                          f'{path} is not writable for this user.')
            return
    yield f'SQLite file {base.name} can be read and written.'


def _age(base, product, version):
    numbers = tuple(int(n) for n in _number(version).split('.'))
    if numbers < _OLDEST[product]:
        oldest = '.'.join(map(str, _OLDEST[product]))
        yield _report(
            base, 'server-old',
            f'{base.host} is {product} {_number(version)}, older than '
            f'{oldest}.', f'Upgrade the server to {product} {oldest} or '
            f'later.')


def _limit(base, account, limit, remedy):
    """Report an account that a worker cannot work with.

    :param limit: its connections at a time; None or less than 0 for any
    """
    if limit is not None and 0 <= limit < _CONNECTIONS:
        yield _report(
            base, 'too-many-connections',
            f'{account} may have {limit} connection at a time on '
            f'{base.host}, and a worker needs more: it works on a flow, and '
            f'at the same time posts others and renews its claim.', remedy)


def _number(version: str) -> str:
    # MariaDB shows old clients 5.5.5-10.11.2-MariaDB.
    version = re.sub(r'^5\.5\.5-(?=\d)', '', version)
    found = re.match(r'\d+(\.\d+)*', version)
    return found[0] if found else '0'


def _unknown(base, exc):
    return _report(
        base, 'undetermined',
        f'{base.host} refused to list the privileges of {base.user!r} (error '
        f'{exc.code}).')


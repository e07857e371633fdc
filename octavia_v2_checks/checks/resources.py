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

"""Are load balancers stuck in PENDING_*, without a worker to end that?

The database of Octavia is read with plain SQL, using columns that are older
than the oldest release that this project supports; the database may be one
release behind.
"""

from collections.abc import Iterable
from collections.abc import Iterator
import datetime
import time
from typing import NamedTuple

from octavia_v2_checks import clock
from octavia_v2_checks import findings
from octavia_v2_checks import settings as settings_
from octavia_v2_checks import statements
from octavia_v2_checks.backends import database
from octavia_v2_checks.backends import net
from octavia_v2_checks.backends.database import logbooks
from octavia_v2_checks.checks.config import dburl
from octavia_v2_checks.checks.inflight import work

#: Minutes after which a state counts as old. A request may wait in the message
#: queue for some time before there is a job for it.
OLD = 10

_LIMIT = 1000

_PAUSE = 1.0

_OPTION = 'database.connection'

#: What it is for a reader -> its table, and how it belongs to a load balancer
#: ``b``. Children of children come last.
_KINDS = {
    'load balancer': ('load_balancer', 'JOIN load_balancer b ON b.id = r.id'),
    'listener': ('listener',
                 'JOIN load_balancer b ON b.id = r.load_balancer_id'),
    'pool': ('pool', 'JOIN load_balancer b ON b.id = r.load_balancer_id'),
    'member': ('member', 'JOIN pool p ON p.id = r.pool_id '
               'JOIN load_balancer b ON b.id = p.load_balancer_id'),
    'health monitor': ('health_monitor', 'JOIN pool p ON p.id = r.pool_id '
                       'JOIN load_balancer b ON b.id = p.load_balancer_id'),
    'L7 policy': ('l7policy', 'JOIN listener l ON l.id = r.listener_id '
                  'JOIN load_balancer b ON b.id = l.load_balancer_id'),
    'L7 rule': ('l7rule', 'JOIN l7policy y ON y.id = r.l7policy_id '
                'JOIN listener l ON l.id = y.listener_id '
                'JOIN load_balancer b ON b.id = l.load_balancer_id'),
}

_PENDING = ("FROM {table} r {join} WHERE r.provisioning_status IN "
            "('PENDING_CREATE', 'PENDING_UPDATE', 'PENDING_DELETE') AND "
            "(b.provider IS NULL OR b.provider IN "
            "('amphora', 'amphorav2', 'octavia')) AND "
            "(COALESCE(r.updated_at, r.created_at) IS NULL OR "
            "COALESCE(r.updated_at, r.created_at) < %s)")


class Resource(NamedTuple):
    """A resource that has been in PENDING_* for long.

    :ivar kind: a key of ``_KINDS``
    :ivar load_balancer: id of the one it belongs to, or is
    :ivar since: when its state last changed, as the database has it
    """

    kind: str
    id: str
    status: str
    load_balancer: str
    since: str

    def __str__(self) -> str:
        return f'{self.kind} {self.id} in {self.status} since {self.since}'


def check(settings: settings_.Settings, deadline: clock.Deadline
          ) -> Iterable[findings.Finding | str]:
    """Yield what is in PENDING_* for long, and whether a job is behind it.

    :raises findings.NotApplicable: without jobboard, amphora provider or
        database
    :raises findings.Blocked: if the board cannot be read
    """
    settings.require_jobboard()
    url = settings.get('connection', 'database')
    if url == 'sqlite://':
        raise findings.NotApplicable(
            '[database] connection is not set here, so the load balancers '
            'cannot be checked; nothing was contacted.')
    try:
        base = database.shared(url, deadline,
                               settings.get('persistence_connection'))
        base.connect()
    except findings.Blocked:
        # Its text is about the other database.
        yield _undetermined(settings, 'the driver cannot use its URL',
                            None)
        return
    except net.Fault as fault:
        yield _undetermined(settings, fault.slug, fault.host)
        return
    try:
        yield from _look(settings, deadline, base)
    except net.Fault as fault:
        yield _undetermined(settings, fault.slug, fault.host)
    except database.QueryError as exc:
        if exc.slug == 'missing-privileges':
            yield _undetermined(
                settings, f'{base.user!r} may not read its tables', base.host,
                _grant(base))
            return
        if logbooks.is_missing_table(exc) and _is_persistence(settings):
            raise findings.Blocked(
                '[database] connection names the persistence database, which '
                'has no tables of Octavia', cause=findings.finding(
                    'config.persistence-shared', 'Both are one database.',
                    option=settings['persistence_connection'].option)
            ) from None
        yield _undetermined(settings, f'error {exc.code}', base.host)


def _is_persistence(settings):
    """Return whether both options name one database."""
    ours, other = (dburl.parse(settings.get(name, group)) for name, group in (
        ('persistence_connection', 'task_flow'), ('connection', 'database')))
    return bool(ours and other and ours.place() == other.place())


def _undetermined(settings, why, host, remedy=None):
    return findings.finding(
        'resources.undetermined', f'Octavia\'s own database at '
        f'{host or "an unknown place"} cannot be read ({why}).', remedy,
        host=host, **settings['database', 'connection'].where)


def _grant(base) -> str:
    """Return what lets the account read the tables asked here."""
    if base.kind == 'mysql':
        (account,), = base.rows('SELECT CURRENT_USER()')
        return statements.grant(['SELECT'], base.name, account)
    tables = ', '.join(table for table, _ in _KINDS.values())
    return f'GRANT SELECT ON {tables} TO {statements.identifier(base.user)};'


def _look(settings, deadline, base) -> Iterator[findings.Finding | str]:
    before = (datetime.datetime.now(datetime.timezone.utc)
              - datetime.timedelta(minutes=OLD)).strftime('%Y-%m-%d %H:%M:%S')
    found = list(_pending(base, before))
    if not found:
        yield (f'No load balancer of {base.shown} has been in PENDING_* for '
               f'more than {OLD} minutes.')
        return
    busy = _busy(settings, deadline, {r.load_balancer for r in found})
    # What ended between the two queries is not stuck.
    time.sleep(min(_PAUSE, deadline.left() / 4))
    again = set(_pending(base, before))
    found = [r for r in found if r in again]
    stuck = [r for r in found if r.load_balancer not in busy]
    active = [r for r in found if r.load_balancer in busy]
    total = sum(_count(base, kind, before) for kind in _KINDS)
    if stuck:
        yield findings.finding(
            'resources.pending', _said(stuck, 'no job is on the board for',
                                       total, len(found)),
            _remedy(stuck), host=base.host)
    if active:
        yield findings.finding(
            'resources.pending-active', _said(active, 'a job is on the board '
                                              'for', total, len(found)),
            host=base.host)


def _pending(base, before) -> Iterator[Resource]:
    for kind, (table, join) in _KINDS.items():
        rows = base.rows(
            'SELECT r.id, r.provisioning_status, b.id, '
            'COALESCE(r.updated_at, r.created_at) '
            + _PENDING.format(table=table, join=join)
            + f' ORDER BY r.id LIMIT {_LIMIT}', before)
        for id_, status, load_balancer, since in rows:
            yield Resource(kind, id_, status, load_balancer,
                           str(since or 'an unknown time').partition('.')[0])


def _count(base, kind, before) -> int:
    table, join = _KINDS[kind]
    return base.rows('SELECT COUNT(*) '
                     + _PENDING.format(table=table, join=join), before)[0][0]


def _busy(settings, deadline, wanted) -> set[str]:
    """Return those of some load balancers that have a job.

    :raises findings.Blocked: if the board cannot be read, or not in time
    """
    busy: set[str] = set()
    with work.open_board(settings, deadline) as board:
        for page in board.pages():
            busy |= {j.load_balancer for j in page if j.load_balancer} & wanted
            if busy == wanted:
                break
            deadline.require()
    return busy


def _said(found, what, total, known):
    shown = [str(r) for r in found]
    more = (f' Only {known} of {total} were examined.' if total > known
            else '')
    return (f'{work.number(len(found), "resource")} in PENDING_* for more '
            f'than {OLD} minutes, and {what} their load balancers: '
            f'{work.some(shown, len(shown))}.{more}')


def _remedy(found: list[Resource]) -> str:
    """Return what frees the resources that the message names.

    Octavia has no command for the first step: nothing may be done to a load
    balancer in PENDING_*, and only a worker ends that state.
    """
    shown = found[:work.SHOWN]
    sql = []
    for kind, (table, _) in _KINDS.items():
        ids = ', '.join(f"'{r.id}'" for r in shown if r.kind == kind)
        if ids:
            sql.append(f"UPDATE {table} SET provisioning_status = 'ERROR' "
                       f"WHERE id IN ({ids}) AND provisioning_status LIKE "
                       f"'PENDING%';")
    gone = {r.load_balancer for r in shown if r.kind == 'load balancer'
            and r.status != 'PENDING_UPDATE'}
    commands = [
        'openstack loadbalancer '
        + ('delete --cascade ' if load_balancer in gone else 'failover ')
        + load_balancer
        for load_balancer in dict.fromkeys(r.load_balancer for r in shown)]
    return (f'If no request for them waits in the message queue, run in '
            f'Octavia\'s own database: {" ".join(sql)} Then: '
            f'{"; ".join(commands)}')

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

"""What the checks of work in flight share: access, and wording."""

from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import dataclasses
from typing import Any

from octavia_v2_checks import clock
from octavia_v2_checks import findings
from octavia_v2_checks import settings as settings_
from octavia_v2_checks.backends import board as boards
from octavia_v2_checks.backends import database
from octavia_v2_checks.backends import net
from octavia_v2_checks.backends.database import logbooks
from octavia_v2_checks.checks import jobboard
from octavia_v2_checks.checks import migration
from octavia_v2_checks.checks import persistence

#: How many things of a kind a message names.
SHOWN = 5


@contextlib.contextmanager
def open_board(settings: settings_.Settings, deadline: clock.Deadline
               ) -> Iterator[boards.Board]:
    """Open the board that the workers use.

    :raises findings.Blocked: where that fails, now or later
    """
    driver = settings.get('jobboard_backend_driver')
    try:
        kind: Any = jobboard.load(driver)
        found = jobboard.missing(settings, deadline, kind.client)
        if found:
            raise findings.Blocked(f'{kind.client.module} is not installed',
                                   cause=found)
        opened = jobboard.shared(kind, settings, deadline).board
    except (ImportError, AttributeError, TypeError):
        raise findings.Blocked(
            f'no installed backend can read the board of {driver}',
            cause=jobboard.unknown(settings)) from None
    try:
        with opened() as board:
            yield board
    except net.Fault as fault:
        raise findings.Blocked(
            fault.text, cause=jobboard.finding_of(settings, fault)) from None


@contextlib.contextmanager
def asking(settings: settings_.Settings, base: database.Database
           ) -> Iterator[None]:
    """Leave faults of the persistence database to other rows.

    :raises findings.Blocked: in place of the fault or refusal
    """
    with persistence.asking(settings, base):
        try:
            yield
        except database.QueryError as exc:
            what = ('tables' if logbooks.is_missing_table(exc) else
                    'a column' if logbooks.is_missing_column(exc) else None)
            if what is None:
                raise
            wrong = (f for f in migration.look(settings, base)
                     if isinstance(f, findings.Finding)
                     and f.severity is findings.Severity.FAILURE)
            raise findings.Blocked(
                f'the persistence database lacks {what} of TaskFlow',
                cause=next(wrong, None)) from None


def some(names: Iterable[str], count: int) -> str:
    """Return a few names, and the number of the others."""
    shown = list(names)[:SHOWN]
    rest = count - len(shown)
    return ', '.join(shown) + (f' and {rest} more' if rest > 0 else '')


def named(job: boards.Job) -> str:
    """Return how a message names a job."""
    name = f'job {job.key}' if job.name is None else job.name
    if job.load_balancer:
        name += f' (load balancer {job.load_balancer})'
    return name


def number(count: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun."""
    return f'{count} {one if count == 1 else many or one + "s"}'


def freeing(load_balancer: str) -> str:
    """Return what takes a load balancer out of PENDING_*.

    Octavia has no command for the first step: nothing may be done to a load
    balancer in PENDING_*, and only a worker ends that state.
    """
    return (f"UPDATE load_balancer SET provisioning_status = 'ERROR' WHERE "
            f"id = '{load_balancer}' AND provisioning_status LIKE "
            f"'PENDING%'; in Octavia's own database, then openstack "
            f"loadbalancer failover {load_balancer}, or openstack "
            f"loadbalancer delete --cascade {load_balancer}")


@dataclasses.dataclass
class Group:
    """Jobs of a kind: all are counted, some are kept."""

    count: int = 0
    jobs: list[boards.Job] = dataclasses.field(default_factory=list)

    def add(self, job: boards.Job) -> None:
        """Count a job."""
        self.count += 1
        if len(self.jobs) < SHOWN:
            self.jobs.append(job)

    @property
    def names(self) -> str:
        """Some of them, for a reader."""
        return some(map(named, self.jobs), self.count)

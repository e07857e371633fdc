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

"""What has been seen of a board and of the database, as findings."""

import collections
import functools
import time

from octavia_v2_checks import clock
from octavia_v2_checks import findings
from octavia_v2_checks import settings as settings_
from octavia_v2_checks.backends import board as boards
from octavia_v2_checks.backends import database
from octavia_v2_checks.backends.database import logbooks
from octavia_v2_checks.checks.inflight import unfinished
from octavia_v2_checks.checks.inflight import work
from octavia_v2_checks.upstream import flows
from octavia_v2_checks.upstream import versions

#: Seconds between two looks.
PAUSE = 1.0

_OPTION = 'task_flow.jobboard_save_logbook'


class Seen:
    """One board, and what the database has about it."""

    def __init__(self, settings: settings_.Settings,
                 deadline: clock.Deadline, base: database.Database,
                 board: boards.Board, count: int):
        self.settings = settings
        self.deadline = deadline
        self.books = logbooks.Logbooks(base)
        #: Guards queries to the database.
        self.asking = functools.partial(work.asking, settings, base)
        with self.asking():
            self.stored = stored = unfinished.Stored(self._flows())
        self.board = board
        #: How many jobs there were at the beginning.
        self.count = count
        self.trashed = board.trashed()
        #: What the numbers of jobs in some state are parts of, if not all.
        self.among = ''
        self.waiting, self.claimed, self.orphaned = (
            work.Group(), work.Group(), work.Group())
        self.owners: collections.Counter[str] = collections.Counter()
        self.unreadable: list[str] = []
        #: Jobs without a logbook, by their key.
        self.strangers: dict[str, boards.Job] = {}
        #: Logbooks without a job.
        self.lonely = set(stored.flows)
        #: Whether it is known what the release can build.
        self.known = bool(settings.target_release
                          or versions.installed(flows.PACKAGE))
        self.problems = [self._problem(call) for call in stored.calls]
        self.unresolvable: dict[int, work.Group] = (
            collections.defaultdict(work.Group))
        #: Jobs whose flow does not tell how it is built: the poster saves that
        #: after the flow, and before the job.
        self.blank: dict[bytes, boards.Job] = {}
        self.read = 0
        #: Whether all of the board was read, and then once more.
        self.complete = self.twice = True

    def _flows(self):
        return self.books.unfinished()

    @functools.cached_property
    def counts(self) -> tuple[int, int]:
        """How many flows have not ended, and how many have."""
        return self.books.counts()

    def _problem(self, call):
        if not call.factory or not self.known:
            return None
        return flows.problem(call.factory, call.positional, call.names,
                             self.settings.target_release)

    def _report(self, slug, text, remedy=None, **where):
        return findings.finding(f'inflight.{slug}', text, remedy, **where)

    def _missing(self, count):
        """Yield what could not be determined."""
        if self.unreadable:
            yield self._report(
                'undetermined',
                f'{work.number(len(self.unreadable), "entry", "entries")} '
                f'of the board {self.board.place} cannot be decoded: '
                f'{work.some(self.unreadable, len(self.unreadable))}. A '
                f'worker deletes or ignores such an entry.',
                self.board.removal(self.unreadable[:work.SHOWN]))
        if not self.complete:
            yield self._report(
                'undetermined',
                f'The board {self.board.place} has {count} jobs, and there '
                f'was time to read only {min(self.read, count)} of them '
                f'within the deadline of {self.deadline.seconds:g} s.')
        if not self.twice:
            yield self._report(
                'undetermined',
                f'On the board {self.board.place}, '
                f'{work.number(len(self.strangers), "job")} without a logbook '
                f'and {work.number(len(self.lonely), "flow")} without a job '
                'were seen, and there was no time to read them again within '
                f'the deadline of {self.deadline.seconds:g} s.')
        unknown = [c.factory for n, c in enumerate(self.stored.calls)
                   if c.factory and not self.problems[n]]
        if unknown and not self.known:
            yield self._report(
                'undetermined',
                'Octavia is not installed in this environment, so it is not '
                'known whether it can build the unfinished flows: '
                f'{work.some(sorted(set(unknown)), len(set(unknown)))}.',
                'Run the check in the environment of the new release, or name '
                'it with --target-release.')

    def _mismatches(self):
        if not self.complete or not self.twice:
            return
        if self.strangers:
            jobs = list(self.strangers.values())
            keys = [j.key for j in jobs]
            freed = next((j.load_balancer for j in jobs
                          if j.load_balancer), None)
            remedy = (
                'Restore the persistence database that belongs to the board, '
                'before a worker starts. If there is none, remove the jobs '
                'from the board. '
                + self.board.removal(keys[:work.SHOWN]))
            if freed:
                remedy += '. And free their load balancers: ' + (
                    work.freeing(freed))
            yield self._report(
                'job-without-logbook',
                f'{work.number(len(jobs), "job")} on the board '
                f'{self.board.place} without a logbook in the persistence '
                f'database: '
                f'{work.some(map(work.named, jobs), len(jobs))}.', remedy)
        if self.lonely:
            keys = sorted(unfinished.text(k) for k in self.lonely)
            shown = keys[:work.SHOWN]
            names = unfinished.named(self.books, shown)
            quoted = ', '.join(f"'{k}'" for k in shown)
            yield self._report(
                'flow-without-job',
                f'{work.number(len(keys), "unfinished flow")} without a job '
                f'on the board {self.board.place}: '
                f'{work.some(names, len(keys))}.',
                'In the persistence database: DELETE FROM logbooks WHERE uuid '
                f'IN ({quoted}); The check resources names their load '
                'balancers and the way to free them.')

    def _unresolvable(self):
        if self.blank:
            shown = work.some(map(work.named, self.blank.values()),
                              len(self.blank))
            yield self._report(
                'flow-unresolvable',
                f'{work.number(len(self.blank), "job")} cannot be resumed: '
                f'the flow does not tell how it is built: {shown}.',
                self.board.removal(
                    [j.key for j in self.blank.values()][:work.SHOWN]))
        for number, group in sorted(self.unresolvable.items()):
            call = self.stored.call(number)
            problem = self.problems[number - 1]
            able = flows.able(call.factory or '', call.positional, call.names)
            remedy = None
            if able:
                remedy = (
                    f'Start no worker of the new release yet. Let '
                    f'octavia-worker of a release that can build it '
                    f'(Octavia {", ".join(able)}) finish the jobs.')
            yield self._report(
                'flow-unresolvable',
                f'{work.number(group.count, "job")} cannot be resumed: '
                f'{call.factory} is to be called with '
                f'{work.number(call.positional, "positional argument")}'
                + (f' and {", ".join(call.names)}' if call.names else '')
                + f', but {problem}: {group.names}.', remedy)

    def _states(self):
        place = self.board.place
        if self.waiting.count:
            yield self._report(
                'jobs-waiting', f'{work.number(self.waiting.count, "job")} '
                f'{self.among}on the board {place} that no worker has claimed '
                f'yet: {self.waiting.names}.')
        if self.claimed.count:
            owners = [f'{owner} ({count})'
                      for owner, count in self.owners.most_common()]
            ends = [j.expires for j in self.claimed.jobs
                    if j.expires is not None]
            until = (f' The claims shown end in up to {max(ends):.0f} s '
                     f'unless they are renewed.' if ends else '')
            yield self._report(
                'jobs-claimed', f'{work.number(self.claimed.count, "job")} '
                f'{self.among}on the board {place} claimed by '
                f'{work.some(owners, len(owners))}: '
                f'{self.claimed.names}.{until}{self._workers()}')
        if self.orphaned.count:
            yield self._report(
                'jobs-orphaned', f'{work.number(self.orphaned.count, "job")} '
                f'{self.among}on the board {place} that a worker began and no '
                'worker holds a claim on: '
                f'{self.orphaned.names}.{self._workers()}')

    def _workers(self):
        hosts = self.board.workers()
        return (f' Live workers: {work.some(hosts, len(hosts))}.'
                if hosts else '')

    def _leftovers(self):
        """Yield what has ended and was not removed."""
        if self.trashed:
            yield self._report(
                'jobs-trashed', f'{work.number(self.trashed, "job")} in the '
                f'trash of {self.board.trash}.',
                'Run the check resources for their load balancers, then '
                'empty the trash. ' + self.board.emptying())
        with self.asking():
            count = self.counts[1]
            oldest = self.books.oldest_ended() if count else None
            if not oldest:
                return
            if not self.settings.get('jobboard_save_logbook'):
                # A worker may be about to delete it.
                time.sleep(min(PAUSE, self.deadline.left() / 4))
                if not self.books.existing([oldest]):
                    return
            size = self.books.size()
        yield self._report(
            'logbooks-kept', f'The logbooks of '
            f'{work.number(count, "finished flow")} are kept in the '
            f'persistence database; its tables take '
            f'{max(1, size // 1048576)} MiB.',
            'Set jobboard_save_logbook in [task_flow] to False, and in the '
            f'persistence database: {logbooks.DELETE_ENDED}',
            option=_OPTION)

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

"""Can the new release finish what the old one began?

The board and the persistence database are two servers, read one after the
other while workers continue. A job is posted after its flow is saved, and
removed before its flow is deleted; so the flows are read first, then the
board. What does not match then is read a second time.
"""

import collections
from collections.abc import Iterable
from collections.abc import Iterator
import functools
import itertools
import time

from octavia_v2_checks import clock
from octavia_v2_checks import findings
from octavia_v2_checks import settings as settings_
from octavia_v2_checks.backends import board as boards
from octavia_v2_checks.backends import database
from octavia_v2_checks.backends.database import logbooks
from octavia_v2_checks.checks import persistence
from octavia_v2_checks.checks.inflight import unfinished
from octavia_v2_checks.checks.inflight import work
from octavia_v2_checks.upstream import flows
from octavia_v2_checks.upstream import versions

#: Seconds between two looks.
_PAUSE = 1.0

#: Part of the deadline that is reserved for what follows the first listing,
#: and the second.
_RESERVE = 0.25
_LAST = 0.1

#: The jobs of a larger board are counted, and only some of them read: reading
#: all would take too long.
_CROWD = 20000
_SAMPLE = 2000

_OPTION = 'task_flow.jobboard_save_logbook'


def check(settings: settings_.Settings, deadline: clock.Deadline
          ) -> Iterable[findings.Finding | str]:
    """Yield what is on the board, and what will not survive an upgrade.

    :raises findings.NotApplicable: without jobboard or amphora provider
    :raises findings.Blocked: if the board or the database cannot be read
    """
    settings.require_jobboard()
    with persistence.asking(settings):
        base = persistence.database_of(settings, deadline)
    with (work.asking(settings, base), base,
          work.open_board(settings, deadline) as board):
        count = board.count()
        kind = _Crowd if count > _CROWD else _Look
        yield from kind(settings, deadline, base, board, count).findings()


class _Look:
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

    def findings(self) -> Iterator[findings.Finding | str]:
        """Yield everything."""
        for page in self.board.pages():
            self.read += len(page)
            for job in page:
                self._sort(job)
            self._look_up(page)
            if self.deadline.left() < _RESERVE * self.deadline.seconds:
                self.complete = False
                break
        if self.complete:
            self._second_look()
        count = self.read if self.complete else self.count
        yield from self._missing(count)
        yield from self._mismatches()
        yield from self._unresolvable()
        yield from self._states()
        yield from self._leftovers()
        yield f'{work.number(count, "job")} on the board {self.board.place}.'

    def _sort(self, job):
        if job.name is None:
            self.unreadable.append(job.key)
        number = self.stored.number(job.book)
        if job.owner:
            self.claimed.add(job)
            self.owners[job.owner] += 1
        elif job.lapsed or (number or 0) > 0:
            self.orphaned.add(job)
        else:
            self.waiting.add(job)
        if number is not None:
            self.lonely.discard(unfinished.key(job.book))
            if self.stored.call(number).factory is None:
                self.blank[unfinished.key(job.book)] = job
            elif self.problems[abs(number) - 1]:
                self.unresolvable[abs(number)].add(job)

    def _look_up(self, page):
        """Find the jobs without a logbook among those without a flow."""
        without = [j for j in page if j.name is not None
                   and self.stored.number(j.book) is None]
        with self.asking():
            there = self.books.existing({j.book for j in without if j.book})
        for job in without:
            if job.book not in there:
                self.strangers[job.key] = job

    def _second_look(self):
        """Keep the mismatches that still are a moment later."""
        if not self.strangers and not self.lonely and not self.blank:
            return
        time.sleep(min(_PAUSE, self.deadline.left() / 4))
        present = set()
        for page in self.board.pages():
            for job in page:
                present.add(job.key)
                self.lonely.discard(unfinished.key(job.book or ''))
            if self.deadline.left() < _LAST * self.deadline.seconds:
                self.twice = False
                return
        with self.asking():
            there = self.books.existing(
                j.book for j in self.strangers.values() if j.book)
            # A job that has just ended takes its flow with it.
            time.sleep(min(_PAUSE / 4, self.deadline.left() / 4))
            blank, lonely = {}, set()
            for flows_ in self.books.unfinished():
                for flow in flows_:
                    key = unfinished.key(flow.book)
                    if key in self.lonely:
                        lonely.add(key)
                    if key in self.blank and flow.call.factory is None:
                        blank[key] = self.blank[key]
            self.lonely, self.blank = lonely, blank
        self.strangers = {
            key: job for key, job in self.strangers.items()
            if key in present and job.book not in there}

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
        trashed = self.board.trashed()
        if trashed:
            yield self._report(
                'jobs-trashed', f'{work.number(trashed, "job")} in the trash '
                f'of {self.board.trash}.',
                'Run the check resources for their load balancers, then '
                'empty the trash. ' + self.board.emptying())
        with self.asking():
            count = self.counts[1]
            oldest = self.books.oldest_ended() if count else None
            if not oldest:
                return
            if not self.settings.get('jobboard_save_logbook'):
                # A worker may be about to delete it.
                time.sleep(min(_PAUSE, self.deadline.left() / 4))
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


class _Crowd(_Look):
    """A board with more jobs than can be compared one by one."""

    def _flows(self):
        return itertools.islice(self.books.unfinished(), 1)

    def findings(self) -> Iterator[findings.Finding | str]:
        """Yield the exact numbers, and the results of a sample."""
        for page in self.board.pages():
            self.read += len(page)
            for job in page:
                self._sort(job)
            left = self.deadline.left()
            if self.read >= _SAMPLE or left < _RESERVE * self.deadline.seconds:
                break
        self.among = f'of {self.read} read '
        # Who has begun it does not matter here, and whether its poster is
        # about to save how it is built is not known.
        self.blank.clear()
        self.unresolvable.clear()
        for key, number in self.stored.flows.items():
            if self.problems[abs(number) - 1]:
                book = unfinished.text(key)
                self.unresolvable[abs(number)].add(
                    boards.Job(book, f'that of logbook {book}', book))
        with self.asking():
            flows_ = self.counts[0]
        yield self._report(
            'undetermined',
            f'The board {self.board.place} has {self.count} jobs, and the '
            f'persistence database {work.number(flows_, "unfinished flow")}: '
            f'too many to compare one by one. {work.number(self.read, "job")} '
            f'and {work.number(len(self.stored.flows), "flow")} were '
            'compared.',
            'Let the workers finish their jobs, and run the check again.')
        yield from self._missing(self.count)
        yield from self._unresolvable()
        yield from self._states()
        yield from self._leftovers()

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

from collections.abc import Iterable
from collections.abc import Iterator
import itertools
import time

from octavia_v2_checks import clock
from octavia_v2_checks import findings
from octavia_v2_checks import settings as settings_
from octavia_v2_checks.backends import board as boards
from octavia_v2_checks.backends import net
from octavia_v2_checks.checks import persistence
from octavia_v2_checks.checks.inflight import seen
from octavia_v2_checks.checks.inflight import unfinished
from octavia_v2_checks.checks.inflight import work

#: Part of the deadline that is reserved for what follows the first listing,
#: and the second.
_RESERVE = 0.25
_LAST = 0.1

#: The jobs of a larger board are counted, and only some of them read: reading
#: all would take too long.
_CROWD = 20000
_SAMPLE = 2000


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


class _Look(seen.Seen):
    """All of a board, compared with all of the database."""

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
        time.sleep(min(seen.PAUSE, self.deadline.left() / 4))
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
            time.sleep(min(seen.PAUSE / 4, self.deadline.left() / 4))
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


class _Crowd(_Look):
    """A board with more jobs than can be compared one by one."""

    def _flows(self):
        return itertools.islice(self.books.unfinished(), 1)

    def findings(self) -> Iterator[findings.Finding | str]:
        """Yield the exact numbers, and the results of a sample."""
        try:
            self._sample()
        except net.Fault as fault:
            # What comes in one answer can be too long for the deadline.
            if fault.slug != 'timeout':
                raise
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

    def _sample(self):
        for page in self.board.pages():
            self.read += len(page)
            for job in page:
                self._sort(job)
            left = self.deadline.left()
            if self.read >= _SAMPLE or left < _RESERVE * self.deadline.seconds:
                return

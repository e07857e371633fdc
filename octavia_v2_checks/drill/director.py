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

"""The steps of a drill: what must happen next, and what it means if not."""

from collections.abc import Callable
import math
import time

from octavia_v2_checks import clock
from octavia_v2_checks import findings
from octavia_v2_checks import resumption
from octavia_v2_checks.drill import causes
from octavia_v2_checks.drill import channel
from octavia_v2_checks.drill import result as results
from octavia_v2_checks.drill import stage
from octavia_v2_checks.settings import Settings

#: Seconds within which a conductor claims a free job.
_CLAIMING = 15.0

#: Seconds for which a worker that has reported a failure may still succeed.
_GRACE = 5.0

#: Seconds for which the servers may disagree on a flow while it ends.
_ENDING = 3.0

_ENDED = ('SUCCESS', 'FAILURE', 'REVERTED')


_OPENED = ('loaded', 'opened')
_CLEAN = (*_OPENED, 'removed')
_FIRST_HALF = (*_OPENED, 'posted', 'claimed', 'killed')
_SECOND_HALF = (*_OPENED, 'claim ended', 'resumed', 'finished', 'removed')
_UNHARMED = (*_OPENED, 'posted', 'claimed', 'finished', 'removed')
_WHOLE = (*_FIRST_HALF, *_SECOND_HALF[2:])


def unobserved(text: str) -> None:
    """Ignore progress."""


def run(settings: Settings, flows: int = 1, *, kill: bool = True,
        timeout: float | None = None, observe: stage.Observer = unobserved
        ) -> results.Result:
    """Post flows, and let conductors run them to their end.

    :param kill: whether the first conductor is killed in the middle of one
    :param timeout: seconds for the whole drill; three times those of a claim
        plus 30 if None
    :param observe: told what the drill waits for
    :returns: how far it got, what failed, and why
    """
    director = _Director(settings, flows, timeout, None, False, observe)
    return director.perform(*((_WHOLE, director.whole) if kill
                              else (_UNHARMED, director.unharmed)))


def begin(settings: Settings, flows: int,
          hand_over: Callable[[results.Begun], None], *,
          timeout: float | None = None, observe: stage.Observer = unobserved
          ) -> results.Result:
    """Do the first half of :func:`run`, up to the kill.

    :param hand_over: receives what :func:`finish` needs; an exception ends the
        drill
    """
    director = _Director(settings, flows, timeout, None, True, observe)
    return director.perform(
        _FIRST_HALF, lambda: director.first_half(hand_over))


def finish(settings: Settings, begun: results.Begun, *,
           timeout: float | None = None, observe: stage.Observer = unobserved
           ) -> results.Result:
    """Do the second half of what another host has begun."""
    director = _Director(settings, len(begun.uuids), timeout, begun.id,
                         False, observe)
    return director.perform(
        _SECOND_HALF, lambda: director.second_half(begun))


def clean(settings: Settings, *, timeout: float | None = None,
          observe: stage.Observer = unobserved) -> results.Result:
    """Remove the remains of earlier drills."""
    director = _Director(settings, 0, timeout, None, False, observe)
    return director.perform(_CLEAN, director.clean)


class _Director(stage.Stage):
    #: Number of the flow in which the first conductor was killed.
    held = 0
    uuids: list[str] = []

    def whole(self) -> None:
        first, second = self.post('first', 'second')
        self.let_die(first)
        self.let_resume(second)

    def unharmed(self) -> None:
        only, = self.post('only')
        self.await_claim(only, 'first')
        self.await_end()

    def first_half(self, hand_over: Callable[[results.Begun], None]) -> None:
        first, = self.post('first')
        self.let_die(first)
        hand_over(results.Begun(
            self.id, self.result.namespace, self.result.host,
            f'{self.result.started:%Y-%m-%dT%H:%M:%SZ}',
            self.held, self.uuids, resumption.of(self.settings)))
        self.keep = True

    def second_half(self, begun: results.Begun) -> None:
        self.held, self.uuids = begun.held, begun.uuids
        second, = self.open('second')
        self.compare(begun)
        self.touched = True
        self.ask('watch', 'opened', flows=self.uuids)
        self.await_flows()
        self.let_resume(second)

    def clean(self) -> None:
        self.helpless = 'undetermined'
        self.open()
        self.remove_earlier(search=True)
        if not self.result.findings:
            self.step('removed')

    # The steps.

    def post(self, *workers: str):
        members = self.open(*workers)
        self.remove_earlier(search=False)
        self.touched = True
        self.observe('posting')
        self.ask('register', 'posted', about={
            'namespace': self.result.namespace, 'host': self.result.host,
            'started': f'{self.result.started:%Y-%m-%dT%H:%M:%SZ}'})
        self.uuids = self.ask('post', 'posted', flows=self.result.flows)
        self.step('posted')
        return members

    def let_die(self, conductor) -> None:
        self.await_claim(conductor, 'second')
        self.team.kill(conductor)
        self.step('killed')

    def await_claim(self, conductor, task: str) -> None:
        """Wait until a conductor has begun a task."""
        self.observe('waiting for a worker to claim the job')
        self.start(conductor)
        limit = clock.Clock(min(_CLAIMING, self.clock.left()))
        message: channel.Message = {}
        while message.get('task') != task:
            try:
                message = self.next(limit)
            except clock.OutOfTime:
                raise self.not_claimed() from None
            if message['event'] == 'task':
                self.step('claimed')
            if self.seen.get('trashed'):
                raise self.trashed('claimed', 'not-claimed')
            self.check_children(message, 'claimed', 'not-claimed')
            if self.trouble and time.monotonic() > (
                    self.trouble_since + _GRACE):
                raise self.not_claimed()
        self.held = message['number']

    def await_flows(self) -> None:
        """Wait for the first report on what another host has posted."""
        while 'jobs' not in self.seen:
            try:
                self.next(self.clock)
            except clock.OutOfTime:
                raise self.not_resumed('resumed') from None
        if not self.seen['jobs'] and not self.seen['states']:
            raise self.fail(
                'resumed', 'not-resumed',
                'Neither the jobboard nor the database contains the drill: it '
                'was finished, removed or lost.', 'Run drill begin again.')

    def let_resume(self, conductor) -> None:
        """Wait until another conductor has finished everything."""
        self.observe('waiting for the claim to end')
        killed = self.worker('first')
        self.start(conductor)
        began = time.monotonic()
        while self.result.at('resumed') is None:
            try:
                message = self.next(self.clock)
            except clock.OutOfTime:
                raise self.not_resumed('resumed') from None
            if killed not in self.seen.get('owners', [killed]):
                self.step('claim ended')
            if message.get('number') == self.held and 'task' in message:
                self.resumed(message['task'], time.monotonic() - began)
            self.check_flows(message, 'resumed')
        self.await_end()

    def resumed(self, task: str, seconds: float) -> None:
        if task == 'first':
            raise self.fail(
                'resumed', 'not-resumed',
                'The second worker repeated what the first had done, instead '
                'of continuing.')
        self.step('claim ended')
        self.step('resumed')
        if seconds > 2 * self.result.claim:
            self.result.findings.append(findings.finding(
                'drill.resumed-late',
                f'The flow was resumed {seconds:.1f} s after the second '
                'worker started; claims should end after '
                f'{self.result.claim:g} s.'))

    def await_end(self) -> None:
        """Wait until all flows have ended well."""
        self.observe('waiting for the flows to end')
        while not self.ended():
            try:
                message = self.next(self.clock)
            except clock.OutOfTime:
                raise self.not_resumed('finished') from None
            self.check_flows(message, 'finished')
        self.step('finished')

    def ended(self) -> bool:
        if self.seen.get('jobs') != []:
            return False
        states = self.seen['states'].values()
        for state in states:
            if state in ('FAILURE', 'REVERTED'):
                raise self.fail('finished', 'not-resumed',
                                f'A flow ended as {state}.')
        return all(s == 'SUCCESS' for s in states)

    # Failures.

    def check_children(self, message, step: str, slug: str) -> None:
        if message['event'] in ('gone', 'ended'):
            if message['keeper']:
                raise self.fail(step, 'undetermined', 'The process that '
                                'watches the servers ended.')
            raise self.fail(step, slug, 'The process of the worker ended.')

    _jobless = math.inf

    def check_flows(self, message, step: str) -> None:
        """Check whether the flows can still be finished."""
        self.check_children(message, step, 'not-resumed')
        if self.seen.get('trashed'):
            raise self.trashed(step, 'not-resumed')
        states = self.seen.get('states', {}).values()
        if self.seen.get('jobs') != [] or all(s in _ENDED for s in states):
            self._jobless = math.inf
            return
        self._jobless = min(self._jobless, time.monotonic())
        if time.monotonic() > self._jobless + _ENDING:
            raise self.fail(
                step, 'not-resumed',
                'The jobboard has lost the job of a flow that has not ended, '
                'so no worker will ever finish it.',
                'The store must keep jobs across a restart, and must not '
                f'evict them: octavia-v2-checks{self.settings.config_args} '
                'upgrade check --only jobboard shows whether it does.')

    def trashed(self, step: str, slug: str) -> stage.Failed:
        error = self.trouble or causes.NOTHING
        remedy = causes.remedy(self.settings, error) if error['where'] else (
            'Install the same releases of Octavia, TaskFlow and '
            'octavia-v2-checks on all controllers, where octavia-worker '
            'runs, and name the same persistence database on all.')
        return self.fail(
            step, slug, 'A worker moved the job to the trash, because it '
            f'could not begin it ({causes.shown(error)}). The same happens to '
            'jobs of Octavia whose flow the worker cannot build, or whose '
            'logbook it cannot read.',
            remedy, error)

    def not_claimed(self) -> stage.Failed:
        if not self.trouble and not self.clock.left():
            loaded = self.result.at('loaded') or 0.0
            return self.fail(
                'claimed', 'undetermined', 'The time was over before a worker '
                f'could claim the job; Octavia was loaded after {loaded:.1f} '
                's.', 'Allow more time with --timeout.')
        return self.unfinished('claimed', 'not-claimed',
                               'No worker claimed the job that was posted.')

    def not_resumed(self, step: str) -> stage.Failed:
        if step == 'finished':
            text = 'The flows had not ended when the time was over.'
        elif ('error' not in self.seen
              and self.worker('first') in self.seen.get('owners', [])):
            text = ('The claim of the killed worker had not ended when the '
                    'time was over; it should have ended after '
                    f'{self.result.claim:g} s.')
        else:
            text = ('No worker continued the flow that the killed worker had '
                    'begun.')
        return self.unfinished(step, 'not-resumed', text)

    def unfinished(self, step: str, slug: str, text: str) -> stage.Failed:
        error = self.trouble or self.seen.get('error') or causes.NOTHING
        if error['classes']:
            text = f'{text} {causes.sentence(self.settings, error)}'
        return self.fail(step, slug, text,
                         causes.remedy(self.settings, error), error)

    def compare(self, begun: results.Begun) -> None:
        """Make sure that this host uses the servers that the other one has
        written to.
        """
        ours = resumption.of(self.settings)
        differ = sorted(
            name for name in ours.keys() | begun.resumption.keys()
            if ours.get(name) != begun.resumption.get(name)
            and name != 'fingerprint')
        if differ or self.result.namespace != begun.namespace:
            raise self.fail(
                'opened', 'not-resumed',
                'This host does not use the jobboard and database that '
                f'{begun.host} uses, so it cannot finish the drill. What '
                f'differs: {", ".join(differ) or "the namespace"}.',
                f'Make [task_flow] the same on both, and run drill clean on '
                f'{begun.host}, which removes what it has begun.')

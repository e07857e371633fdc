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

"""The environment of a drill: its children, their messages, and the cleanup.
"""

from collections.abc import Callable
import importlib.util
import sys
import time
from typing import Any

from octavia_v2_checks import clock
from octavia_v2_checks import findings
from octavia_v2_checks.checks.config import view
from octavia_v2_checks.drill import causes
from octavia_v2_checks.drill import channel
from octavia_v2_checks.drill import names
from octavia_v2_checks.drill import result as results
from octavia_v2_checks.drill import team as teams
from octavia_v2_checks.settings import Settings

#: Seconds for which ZooKeeper keeps the session of kazoo's client.
SESSION = 10.0

#: Seconds that a drill may take in addition to three times those of a claim.
ALLOWANCE = 30.0

#: Seconds after which nobody waits for a claim any more.
LONGEST = 86400.0

#: Seconds within which everything must have been removed.
REMOVAL = 10.0

#: Seconds after which the drill checks whether something has not happened.
_TICK = 0.5

_ATTEMPTS = {
    'open': 'Jobboard and persistence database could not be opened.',
    'found': 'The remains of earlier drills could not be searched for.',
    'register': 'The beginning of the drill could not be recorded.',
    'post': 'The flows could not be posted.',
    'watch': 'The flows could not be watched.',
    'remove': 'The entries of the drill could not be removed.',
}

Observer = Callable[[str], None]


class Failed(Exception):
    """A step that did not happen.

    :param step: one of :data:`octavia_v2_checks.drill.result.STEPS`
    :param error: as :func:`octavia_v2_checks.drill.errors.describe` has it
    """

    def __init__(self, step: str, finding: findings.Finding,
                 error: causes.Error = causes.NOTHING):
        super().__init__(finding.id)
        self.step = step
        self.finding = finding
        self.classes = tuple(error['classes'])


def obstacle(settings: Settings) -> findings.Finding | None:
    """Return what prevents a drill altogether, None if nothing."""
    missing = [name for name in ('octavia', 'taskflow')
               if importlib.util.find_spec(name) is None]
    if missing:
        return findings.finding(
            'drill.unavailable', f'{" and ".join(missing)} cannot be '
            f'imported by {sys.executable}.')
    if settings.unreadable:
        return findings.finding(
            'drill.undetermined', 'No worker starts with this configuration, '
            'because it does not parse.',
            f'octavia-v2-checks{settings.config_args} validate names what is '
            f'wrong.')
    if settings['jobboard_enabled'].value is False:
        return findings.finding(
            'drill.undetermined', '[task_flow] jobboard_enabled is false: no '
            'worker would use the jobboard.',
            'Set jobboard_enabled in [task_flow] to True.')
    return None


class Stage:
    """The children of one drill, and what they have reported.

    :param flows: how many are posted
    :param timeout: seconds for the whole drill; three times those of a claim
        plus 30 if None
    :param id_: of what another host has begun; None for a new drill
    :param begin: whether another host is to finish it
    :param observe: told what the drill waits for

    :ivar seen: what the keeper last saw on the servers
    :ivar trouble: the last report of the active conductor
    :ivar touched: whether anything may have been written
    :ivar keep: whether that is to be kept
    """

    def __init__(self, settings: Settings, flows: int,
                 timeout: float | None, id_: names.Id | None, begin: bool,
                 observe: Observer):
        self.settings = settings
        self.observe = observe
        self.result = results.Result(flows=flows)
        self._timeout = timeout
        self._begin = begin
        self._removal = min(REMOVAL, (timeout or ALLOWANCE) / 4)
        self.clock = clock.Clock(timeout or ALLOWANCE)
        self._start = time.monotonic()
        self._id = id_
        self.seen: channel.Message = {}
        self.trouble: channel.Message | None = None
        self.trouble_since = 0.0
        self.touched = False
        self.keep = False
        #: What it means if the keeper cannot do what it is told.
        self.helpless = 'not-resumed' if id_ else 'not-posted'
        self._team: teams.Team | None = None
        self._keeper: teams.Member | None = None
        self._at_work: teams.Member | None = None
        self._number = 0

    @property
    def id(self) -> names.Id:
        """The id of this drill; there is one once Octavia is loaded."""
        assert self._id  # noqa: S101
        return self._id

    def perform(self, plan: tuple[str, ...], play: Callable[[], None]
                ) -> results.Result:
        """Run the steps, remove everything, and return the result.

        A signal that raises KeyboardInterrupt must do so only once.

        :param plan: the steps that are to come
        """
        result = self.result
        result.plan = plan
        try:
            try:
                found = obstacle(self.settings)
                if found:
                    raise Failed('loaded', found)
                play()
            except Failed as failed:
                result.findings.append(failed.finding)
                result.failed = failed.step
                result.classes = failed.classes
            finally:
                try:
                    self._close()
                except KeyboardInterrupt:
                    result.interrupted = True
                    self._close()
        except KeyboardInterrupt:
            result.interrupted = True
        result.duration = time.monotonic() - self._start
        return result

    def step(self, name: str) -> None:
        """Note that a step has happened, unless it is known."""
        if self.result.at(name) is None:
            self.result.steps.append(results.Step(
                name, time.monotonic() - self._start))

    def fail(self, step: str, slug: str, message: str,
             remedy: str | None = None,
             error: causes.Error = causes.NOTHING) -> Failed:
        """Return what is raised for a step that did not happen."""
        return Failed(step, findings.finding(f'drill.{slug}', message, remedy),
                      error)

    # The children.

    @property
    def team(self) -> teams.Team:
        """The children; there are some once Octavia is loaded."""
        assert self._team  # noqa: S101
        return self._team

    def open(self, *workers: str) -> list[teams.Member]:
        """Load Octavia, connect the keeper, and return waiting conductors.

        :param workers: names of the conductors; ``first`` is the one that
            stops in the second task
        :raises Failed: if that cannot be
        """
        self._load()
        self._fork_keeper()
        members = [self.team.fork(
            'conductor', namespace=self.result.namespace,
            name=self.worker(which), hold=which == 'first')
            for which in workers]
        self.observe('connecting')
        self.ask('open', 'opened')
        self.step('opened')
        return members

    def _load(self):
        self.observe('loading Octavia')
        self._team = teams.Team(f.path for f in self.settings.files)
        try:
            said = self._team.loaded(self.clock)
        except clock.OutOfTime:
            raise self.fail('loaded', 'undetermined', 'Octavia was not '
                            'loaded in time.') from None
        if said['event'] == 'loaded':
            self._learn(said)
            self.step('loaded')
        elif said['missing']:
            raise self.fail('loaded', 'unavailable',
                            f'Octavia cannot be imported here: '
                            f'{causes.shown(said)}.', error=said)
        else:
            raise self.fail(
                'loaded', 'undetermined',
                f'A worker does not start with this configuration: '
                f'{causes.shown(said)}.',
                f'octavia-v2-checks{self.settings.config_args} validate '
                f'names options without a valid value.', said)

    def _learn(self, said):
        """Take over what a worker has read from the configuration."""
        if not said['enabled']:
            raise self.fail('loaded', 'undetermined', 'jobboard_enabled is '
                            'false for a worker.')
        claim = (SESSION if said['driver'] == view.ZOOKEEPER
                 # Without a number, it never ends.
                 else max(0.0, float(said['expiration'] or 0)))
        timeout = self._timeout or min(claim * 3, LONGEST) + ALLOWANCE
        self.clock = clock.Clock(timeout - self._removal,
                                 time.monotonic() - self._start)
        self._id = self._id or names.make(
            timeout + REMOVAL, self.team.pid, self._begin)
        self.result.claim = claim
        self.result.id = self._id.text
        self.result.namespace = names.namespace(said['namespace'], self._id)

    def _fork_keeper(self):
        self._keeper = self.team.fork(
            'keeper', namespace=self.result.namespace, id=self.id.text)

    def worker(self, which: str) -> str:
        """Return the name of a conductor, which is also that of its claims.
        """
        return f'octavia-v2-checks-drill-{self.id.text}-{which}'

    def start(self, conductor: teams.Member) -> None:
        """Start a conductor."""
        self.trouble = None
        self._at_work = conductor
        conductor.send({'do': 'start'})

    def next(self, limit: clock.Clock) -> channel.Message:
        """Return the next message, or ``tick`` after a while.

        Reports about the servers, and about errors, are noted. A message that
        a child has ended tells whether it was the keeper.

        :raises clock.OutOfTime: at the limit
        """
        limit.require()
        try:
            member, message = self.team.next(
                clock.Clock(min(_TICK, limit.left())))
        except clock.OutOfTime:
            return {'event': 'tick'}
        if message['event'] == 'seen':
            self.seen = ({**self.seen, **message} if 'error' in message
                         else message)
        elif message['event'] == 'trouble' and member is self._at_work:
            if self.trouble is None:
                self.trouble_since = time.monotonic()
            self.trouble = message
        return {**message, 'keeper': member is self._keeper}

    def ask(self, do: str, step: str, limit: clock.Clock | None = None,
            **arguments: Any) -> Any:
        """Give the keeper an order, and return its answer.

        :raises Failed: if it cannot do it, or not in time
        """
        assert self._keeper  # noqa: S101
        self._number += 1
        self._keeper.send({'do': do, 'number': self._number,
                           'with': arguments})
        message: channel.Message = {}
        while message.get('number') != self._number or not message['keeper']:
            try:
                message = self.next(limit or self.clock)
            except clock.OutOfTime:
                raise self._undone(do, step, 'There was no answer in '
                                   'time.') from None
            if message['event'] in ('gone', 'ended') and message['keeper']:
                raise self._undone(do, step, 'The process that was to do it '
                                   'ended.')
        if 'error' in message:
            error = message['error']
            raise self._undone(do, step, causes.sentence(
                self.settings, error), error)
        return message['said']

    def _undone(self, do, step, why, error=causes.NOTHING):
        return self.fail(step, self.helpless, f'{_ATTEMPTS[do]} {why}',
                         causes.remedy(self.settings, error), error)

    # Removing.

    def remove_earlier(self, search: bool) -> None:
        """Remove what other drills have left and is not in use.

        :param search: whether to search the whole board for it, and to include
            what another host was to finish
        """
        for text, namespace in self.ask('found', 'opened',
                                        search=search).items():
            id_ = names.parse(text)
            if id_ == self.id or (id_.running if search else id_.in_use):
                self.result.spared.append(text)
                continue
            self.observe(f'removing what drill {text} has left')
            said = self.ask('remove', 'opened', drill=text,
                            namespace=namespace)
            self._report(text, namespace, said['left'])
            if not said['left']:
                self.result.earlier.append(text)

    def _report(self, text, namespace, left):
        """Report what could not be removed."""
        if left:
            self.result.findings.append(findings.finding(
                'drill.leftovers', ' '.join(causes.leftover(
                    self.settings, text, namespace, error)
                    for error in left),
                'Once the server accepts writes again: '
                f'octavia-v2-checks{self.settings.config_args} drill clean'))

    def _close(self):
        """Remove everything, and end the children."""
        if self._team is None:
            return
        if self.touched and not self.keep:
            self.observe('removing everything')
            self._remove()
        self._team.end()
        self._team = None

    def _remove(self):
        text, namespace = self.id.text, self.result.namespace
        self.team.kill_all('conductor')
        whole = clock.Clock(max(self._removal, 4.0))
        left = [{**causes.NOTHING, 'where': where}
                for where in causes.SERVERS]
        for limit in (clock.Clock(whole.left() / 2), whole):
            try:
                left = self.ask('remove', 'removed', limit, drill=text,
                                namespace=namespace)['left']
                break
            except (Failed, OSError):
                # It hangs, or is gone.
                if limit is not whole and not self._replace_keeper(whole):
                    break
        self._report(text, namespace, left)
        if not left:
            self.step('removed')
        else:
            self.result.failed = self.result.failed or 'removed'

    def _replace_keeper(self, limit):
        self.team.kill_all('keeper')
        try:
            self._fork_keeper()
            self.ask('open', 'removed', limit)
        except (Failed, OSError):
            return False
        return True

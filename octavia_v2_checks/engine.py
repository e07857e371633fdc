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

"""Runs the checks side by side, under one deadline, fail-closed."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import datetime
import logging
import socket
import threading
import time
import traceback
from typing import Any
from typing import NamedTuple

from octavia_v2_checks import catalogue
from octavia_v2_checks import clock
from octavia_v2_checks import judging
from octavia_v2_checks import registry
from octavia_v2_checks import resumption
from octavia_v2_checks import settings as settings_
from octavia_v2_checks.findings import Blocked
from octavia_v2_checks.findings import Finding
from octavia_v2_checks.findings import NotApplicable
from octavia_v2_checks.findings import Severity
from octavia_v2_checks.registry import Check
from octavia_v2_checks.upstream import versions

LOG = logging.getLogger(__name__)

#: Called with the progress of each check: ``None`` when it begins, its
#: severity when it has ended. Runs in the thread of the check.
Observer = Callable[[Check, Severity | None], None]


def unobserved(_check: Check, _severity: Severity | None) -> None:
    """Observe nothing."""


class Row(NamedTuple):
    """The result of one check.

    :ivar findings: worst first
    :ivar note: for a reader: what is in order, or why nothing was asked
    :ivar duration: seconds
    :ivar applies: whether there was anything to look at
    :ivar blocked_by: the finding of another row that kept it from looking
    :ivar facts: the sentences of the note
    """

    id: str
    title: str
    severity: Severity
    findings: tuple[Finding, ...]
    note: str | None
    duration: float
    applies: bool = True
    blocked_by: Finding | None = None
    facts: tuple[str, ...] = ()

    @property
    def details(self) -> str | None:
        """The Details of the row: its findings, or else its note.

        Both, where a finding of another row prevented the rest of the check.
        """
        texts = [f.as_text() for f in self.findings]
        if len(texts) > 1:
            # In the table of octavia-status nothing else separates them.
            texts = [f'{n}. {said}' for n, said in enumerate(texts, 1)]
        if self.note and (self.blocked_by or not texts):
            texts.append(self.note)
        return ' '.join(texts) or None


@dataclasses.dataclass(frozen=True)
class Report:
    """One run.

    :ivar skipped: ids of the checks that were skipped
    :ivar octavia: installed version, or None
    :ivar taskflow: installed version, or None
    :ivar started: UTC
    :ivar duration: seconds
    :ivar host: the name of this machine
    :ivar resumption: what other hosts must agree with
    :ivar target_release: the Octavia release to check for, if one was named
    :ivar config_files: the files that were read, in their order
    :ivar servers: those that were contacted
    :ivar interrupted: whether Ctrl-C ended it before all checks had ended
    """

    rows: tuple[Row, ...]
    skipped: tuple[str, ...]
    octavia: str | None
    taskflow: str | None
    started: datetime.datetime
    duration: float
    host: str = dataclasses.field(default_factory=socket.gethostname)
    resumption: Mapping[str, Any] | None = None
    target_release: str | None = None
    config_files: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    interrupted: bool = False

    @property
    def severity(self) -> Severity:
        """The worst of all rows."""
        return max((r.severity for r in self.rows), default=Severity.SUCCESS)

    @property
    def to_do(self) -> list[Finding]:
        """What has to be fixed, in the order in which to fix it.

        Failures come first; within them the order of the rows is the order in
        which the parts depend on each other. What another remedy needs (a
        privilege, for the migration that uses it) comes before it.
        """
        wrong = sorted((f for row in self.rows for f in row.findings
                        if f.counts and f.remedy), key=lambda f: -f.severity)
        for first in [f for f in wrong if f.id in catalogue.NEEDED_BY]:
            needing = [f for f in wrong
                       if f.id in catalogue.NEEDED_BY[first.id]]
            if needing:
                wrong.remove(first)
                wrong.insert(wrong.index(needing[0]), first)
        return wrong

    def exit_code(self, fail_level: str) -> int:
        """Return oslo.upgradecheck's code, for ``warning`` or ``failure``."""
        if (self.severity is Severity.WARNING and fail_level == 'failure'):
            return 0
        return int(self.severity)


def undetermined(id_: str, message: str, remedy: str) -> Finding:
    """Return the finding of a check that could not determine its result: a
    failure.
    """
    return Finding(f'{id_}.undetermined', Severity.FAILURE, message, remedy)


class _Run:
    """One check while it runs: its results so far, and how it ended."""

    def __init__(self, check: Check, settings: settings_.Settings,
                 deadline: clock.Deadline, observer: Observer):
        self.check = check
        self.observer = observer
        self.title = check.title
        self.settings = settings
        self.deadline = deadline
        self.findings: list[Finding] = []
        self.notes: list[str] = []
        self.blocked: Blocked | None = None
        self.applies = True
        self.started = time.monotonic()
        self.duration: float | None = None
        self.ended = threading.Event()
        threading.Thread(target=self._run, daemon=True,
                         name=f'check-{check.id}').start()

    def _run(self):
        self.observer(self.check, None)
        try:
            function = self.check.load()
            self.title = str(getattr(function, 'title', self.title))
            for offered in function(self.settings, self.deadline):
                said = self.check.accept(offered)
                if isinstance(said, Finding):
                    self.findings.append(said)
                else:
                    self.notes.append(said)
        except NotApplicable as exc:
            self.notes.append(exc.reason)
            self.applies = False
        except Blocked as exc:
            self.blocked = exc
        except clock.OutOfTime:
            self.findings.append(self._late())
        except BaseException as exc:
            self._crashed(exc)
        self.duration = time.monotonic() - self.started
        self.observer(self.check, max(
            [f.severity for f in self.findings]
            + [Severity.FAILURE] * bool(self.blocked),
            default=Severity.SUCCESS))
        self.ended.set()

    def _crashed(self, exc):
        LOG.debug('check %s failed', self.check.id, exc_info=exc)
        self.findings.append(undetermined(
            self.check.id,
            f'The check of {self.check.owner} itself failed '
            f'({_what(exc)}), so nothing is known.',
            f'Report it to the authors of {self.check.owner}, with what '
            f'octavia-v2-checks --debug prints on stderr.'))

    def _late(self):
        return undetermined(
            self.check.id,
            f'The check of {self.check.owner} had no result within the '
            f'deadline of {self.deadline.seconds:g} s.',
            'Find what is slow, or allow more time with --deadline or '
            '[octavia_v2_checks] deadline.')

    def _stopped(self):
        return undetermined(
            self.check.id, 'The run was interrupted before this check had a '
            'result.', 'Run it again, and wait for the end.')

    def snapshot(self, interrupted: bool = False) -> 'Result':
        """Return the result as it stands, late or not.

        The findings have the waivers of the operator, and still contain
        secrets.
        """
        ended = self.ended.is_set()
        said = list(self.findings)
        if not ended:
            said.append(self._stopped() if interrupted else self._late())
        said = judging.waived(said, self.settings)
        blocked = self.blocked if ended else None
        if self.applies and not blocked and not any(
                f.id == f'{self.check.id}.undetermined' for f in said):
            said += judging.unmatched(self.check.id, said, self.settings)
        duration = self.duration or time.monotonic() - self.started
        return Result(self.check.id, self.title, said, list(self.notes),
                      blocked, duration, self.applies)


def _what(exc):
    """Return what was raised and where, without its text."""
    if isinstance(exc, registry.Unfit):
        return exc.args[0]
    if isinstance(exc, clock.Crashed):
        return exc.what
    frame = (traceback.extract_tb(exc.__traceback__) or [None])[-1]
    at = (f' at {frame.filename.rpartition("/")[2]}:{frame.lineno}'
          if frame else '')
    return f'{type(exc).__name__}{at}'


class Result(NamedTuple):
    """The output of one check, before rows that share a cause are joined."""

    id: str
    title: str
    findings: list[Finding]
    notes: list[str]
    blocked: Blocked | None
    duration: float
    applies: bool


def run(settings: settings_.Settings, selected: Sequence[Check],
        deadline: clock.Deadline, skipped: Sequence[str] = (),
        observer: Observer = unobserved,
        beside: Sequence[Row] = ()) -> Report:
    """Run checks and report, by the deadline at the latest.

    Ctrl-C ends it at once; the report then has what had ended by then.

    :param selected: the checks to run
    :param skipped: ids of those that are skipped, for the report
    :param observer: called with the progress of each check
    :param beside: rows of an earlier run, to which one of this may refer
    """
    started = datetime.datetime.now(datetime.timezone.utc)
    begin = time.monotonic()
    prepare(settings, selected, deadline)
    runs = [_Run(check, settings, deadline, observer) for check in selected]
    interrupted = False
    try:
        for one in runs:
            one.ended.wait(deadline.until_end())
    except KeyboardInterrupt:
        interrupted = True
    results = {r.check.id: r.snapshot(interrupted) for r in runs}
    deadline.close()
    others = {row.id: row for row in beside} | results
    rows = tuple(_row(r, others, settings) for r in results.values())
    return settings.redactor.clean(Report(
        rows, tuple(skipped), versions.installed('octavia'),
        versions.installed('taskflow'), started, time.monotonic() - begin,
        resumption=resumption.of(settings),
        target_release=settings.target_release,
        config_files=tuple(f.path for f in settings.files),
        servers=tuple(deadline.contacted), interrupted=interrupted))


def prepare(settings: settings_.Settings, selected: Sequence[Check],
            deadline: clock.Deadline) -> None:
    """Fork what a run needs, while there is only one thread."""
    if all(check.id == 'config' for check in selected):
        return
    try:
        settings.require_jobboard()
    except (NotApplicable, Blocked):
        return  # no server will be asked
    from octavia_v2_checks.backends import isolated
    isolated.spawner(deadline)


def _row(result, others, settings):
    said = list(result.findings)
    notes = list(result.notes)
    cause = None
    if result.blocked:
        reason = result.blocked.reason.rstrip('.')
        cause = _cause(result, others)
        if cause:
            also = f', {cause.waived.as_text()}' if cause.waived else ''
            notes = [f'Not checked: {reason} ({cause.id}{also}).']
        else:
            said = judging.waived([_unseen(result, settings)], settings) + said
    said = sorted(judging.listed(said), key=lambda f: -f.severity)
    severity = max((f.counts for f in [*said, *([cause] if cause else [])]),
                   default=Severity.SUCCESS)
    return Row(result.id, result.title, severity, tuple(said),
               ' '.join(notes) or None, result.duration, result.applies,
               cause, tuple(notes))


def _cause(result, others):
    """Return the finding of another row that prevented a check."""
    causes = [f for other in others.values() if other.id != result.id
              for f in other.findings if f.severity is Severity.FAILURE
              and result.blocked.is_by(f)]
    return max(causes, key=lambda f: f.counts, default=None)


def _unseen(result, settings):
    """Return the finding of a row whose cause no other row reports."""
    blocked = result.blocked
    message = f'Not checked: {blocked.reason.rstrip(".")}.'
    if blocked.cause:
        return dataclasses.replace(
            blocked.cause, id=f'{result.id}.undetermined', message=message,
            severity=Severity.FAILURE)
    if blocked.option:
        group, _, name = blocked.option.partition('.')
        value = settings.values.get((group, name))
        return dataclasses.replace(
            undetermined(result.id, message,
                         f'Correct {name} in section [{group}].'),
            **value.where if value else {'option': blocked.option})
    return undetermined(
        result.id, message,
        f'Fix what prevents {result.id}, and run it again.')

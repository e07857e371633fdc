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
from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses
import datetime
import importlib
import logging
import threading
import time
import traceback

from octavia_v2_checks import catalogue
from octavia_v2_checks import clock
from octavia_v2_checks import plugins
from octavia_v2_checks import redact
from octavia_v2_checks import settings as settings_
from octavia_v2_checks import versions
from octavia_v2_checks.findings import Blocked
from octavia_v2_checks.findings import Finding
from octavia_v2_checks.findings import NotApplicable
from octavia_v2_checks.findings import Severity

LOG = logging.getLogger(__name__)

ENTRY_POINTS = 'octavia_v2_checks.checks'

CheckFunction = Callable[[settings_.Settings, clock.Deadline],
                         Iterable[Finding | str]]


@dataclasses.dataclass(frozen=True)
class Check:
    """One row of the report.

    :ivar load: returns the check function; called in the check's thread, so
        that its imports go on beside the others' network waits
    :ivar owner: the distribution it comes from
    """

    id: str
    title: str
    load: Callable[[], CheckFunction]
    owner: str = 'octavia-v2-checks'


@dataclasses.dataclass(frozen=True)
class Row:
    """What became of one check.

    :ivar findings: worst first
    :ivar note: for a reader: what was found right, or why nothing was asked
    :ivar duration: seconds
    :ivar applies: whether there was anything to look at
    :ivar blocked_by: the finding of another row that kept it from looking
    """

    id: str
    title: str
    severity: Severity
    findings: tuple[Finding, ...]
    note: str | None
    duration: float
    applies: bool = True
    blocked_by: Finding | None = None

    @property
    def details(self) -> str | None:
        """The Details of the row: its findings, or else its note."""
        return ' '.join(f.as_text() for f in self.findings) or self.note


@dataclasses.dataclass(frozen=True)
class Report:
    """One run.

    :ivar skipped: ids of the checks that were left out
    :ivar octavia: installed version, or None
    :ivar taskflow: installed version, or None
    :ivar started: UTC
    :ivar duration: seconds
    """

    rows: tuple[Row, ...]
    skipped: tuple[str, ...]
    octavia: str | None
    taskflow: str | None
    started: datetime.datetime
    duration: float

    @property
    def severity(self) -> Severity:
        """The worst of all rows."""
        return max((r.severity for r in self.rows), default=Severity.SUCCESS)

    def exit_code(self, fail_level: str) -> int:
        """Return oslo.upgradecheck's code, for ``warning`` or ``failure``."""
        if (self.severity is Severity.WARNING and fail_level == 'failure'):
            return 0
        return int(self.severity)


def _own(id_: str) -> Callable[[], CheckFunction]:
    return lambda: importlib.import_module(
        f'octavia_v2_checks.checks.{id_}').check


def checks() -> list[Check]:
    """Return every check that is installed, ours first.

    Others come from entry points named ``octavia_v2_checks.checks``; the
    function may carry its row's title as an attribute ``title``.
    """
    found = [Check(id_, title, _own(id_))
             for id_, title in catalogue.CHECKS.items()]
    for owner, entry in plugins.find(ENTRY_POINTS):
        if owner != Check.owner:
            found.append(_foreign(entry, owner, {c.id for c in found}))
    return found


def _foreign(entry, owner, taken):
    if entry.name not in taken:
        return Check(entry.name, entry.name, entry.load, owner)

    def refuse():
        raise ValueError(f'{owner} uses the id {entry.name} of another check')

    return Check(f'{owner}:{entry.name}', entry.name, refuse, owner)


def undetermined(id_: str, message: str, remedy: str) -> Finding:
    """Return the finding of a check that could not find out: a failure."""
    return Finding(f'{id_}.undetermined', Severity.FAILURE, message, remedy)


class _Run:
    """One check while it runs: what it has said so far, and how it ended."""

    def __init__(self, check: Check, settings: settings_.Settings,
                 deadline: clock.Deadline):
        self.check = check
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
        try:
            function = self.check.load()
            self.title = getattr(function, 'title', self.title)
            for said in function(self.settings, self.deadline):
                if isinstance(said, Finding):
                    self.findings.append(said)
                elif isinstance(said, str):
                    self.notes.append(said)
                else:
                    raise TypeError(f'yielded {type(said).__name__}')
        except NotApplicable as exc:
            self.notes.append(exc.args[0])
            self.applies = False
        except Blocked as exc:
            self.blocked = exc
        except clock.OutOfTime:
            self.findings.append(self._late())
        except BaseException as exc:
            self._crashed(exc)
        self.duration = time.monotonic() - self.started
        self.ended.set()

    def _crashed(self, exc):
        LOG.debug('check %s failed', self.check.id, exc_info=exc)
        frame = (traceback.extract_tb(exc.__traceback__) or [None])[-1]
        at = (f' at {frame.filename.rpartition("/")[2]}:{frame.lineno}'
              if frame else '')
        self.findings.append(undetermined(
            self.check.id,
            f'The check itself failed ({type(exc).__name__}{at}), so nothing '
            f'is known.',
            f'Report it to the authors of {self.check.owner}, with what '
            f'octavia-v2-checks --debug prints on stderr.'))

    def _late(self):
        return undetermined(
            self.check.id,
            f'No result within the deadline of {self.deadline.seconds:g} s.',
            'Find out what is slow, or allow more time with --deadline or '
            '[octavia_v2_checks] deadline.')

    def snapshot(self) -> 'Result':
        """Return the result as it stands, late or not."""
        ended = self.ended.is_set()
        said = list(self.findings)
        if not ended:
            said.append(self._late())
        duration = self.duration or time.monotonic() - self.started
        return Result(self.check.id, self.title, said, list(self.notes),
                      self.blocked if ended else None, duration,
                      self.applies)


@dataclasses.dataclass
class Result:
    """What one check said, before rows that share a cause are joined."""

    id: str
    title: str
    findings: list[Finding]
    notes: list[str]
    blocked: Blocked | None
    duration: float
    applies: bool


def run(settings: settings_.Settings, selected: Sequence[Check],
        deadline: clock.Deadline, skipped: Sequence[str] = ()) -> Report:
    """Run checks and report, by the deadline at the latest.

    :param selected: the checks to run
    :param skipped: ids of those left out, for the report
    """
    started = datetime.datetime.now(datetime.timezone.utc)
    begin = time.monotonic()
    runs = [_Run(check, settings, deadline) for check in selected]
    for one in runs:
        one.ended.wait(deadline.left())
    results = {r.check.id: r.snapshot() for r in runs}
    clean = settings.redactor
    rows = tuple(_row(r, results, clean) for r in results.values())
    return Report(rows, tuple(skipped), versions.installed('octavia'),
                  versions.installed('taskflow'), started,
                  time.monotonic() - begin)


def cleaned(finding: Finding, clean: redact.Redactor) -> Finding:
    """Return a finding without secrets, wherever its texts came from."""
    return dataclasses.replace(
        finding, message=clean(finding.message),
        remedy=clean(finding.remedy) if finding.remedy else finding.remedy,
        option=clean(finding.option) if finding.option else finding.option,
        host=clean(finding.host) if finding.host else finding.host)


def _row(result, results, clean):
    said = sorted((cleaned(f, clean) for f in result.findings),
                  key=lambda f: -f.severity)
    severity = max((f.severity for f in said), default=Severity.SUCCESS)
    note = ' '.join(clean(n) for n in result.notes) or None
    cause = None
    if result.blocked:
        cause = _cause(result, results)
        if cause:
            severity = max(severity, Severity.FAILURE)
            note = (f'Not checked: {clean(result.blocked.reason)} '
                    f'({cause.id}).')
        else:
            said.insert(0, undetermined(
                result.id, f'Not checked: {clean(result.blocked.reason)}.',
                f'Run the check {result.blocked.check}, which names the '
                f'cause: octavia-v2-checks upgrade check --only '
                f'{result.blocked.check}'))
            severity = Severity.FAILURE
    return Row(result.id, result.title, severity, tuple(said), note,
               result.duration, result.applies,
               cause and cleaned(cause, clean))


def _cause(result, results):
    """Return the finding that kept a check from looking, if one was made."""
    seen = set()
    while result and result.blocked and result.id not in seen:
        seen.add(result.id)
        result = results.get(result.blocked.check)
    if not result or result.blocked:
        return None
    failures = [f for f in result.findings if f.severity is Severity.FAILURE]
    return failures[0] if failures else None

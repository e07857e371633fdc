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

"""Runs that are repeated until nothing fails, or the time is over."""

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import time

from octavia_v2_checks import clock
from octavia_v2_checks import engine
from octavia_v2_checks import registry
from octavia_v2_checks import settings as settings_
from octavia_v2_checks.findings import Severity

#: Seconds between two attempts.
PAUSE = 1.0


def run(settings: settings_.Settings, selected: Sequence[registry.Check],
        deadline: clock.Deadline, skipped: Sequence[str], seconds: float,
        tell: Callable[[str], None],
        observer: engine.Observer = engine.unobserved) -> engine.Report:
    """Run checks like :func:`engine.run`, and repeat those that fail.

    The files are read once: ``config`` is not run again.

    :param deadline: of the first attempt; each later one has the same time
    :param seconds: in which the last attempt must begin; 0 for one attempt
    :param tell: called with a line for each row that fails, and for each
        change
    """
    begin = time.monotonic()
    report = engine.run(settings, selected, deadline, skipped, observer)
    said: dict[str, str] = {}
    while True:
        try:
            failing = [c for c in selected if c.id != 'config'
                       and _row(report, c).severity is Severity.FAILURE]
            if seconds:
                _tell_changes(report, said, time.monotonic() - begin, tell)
            left = seconds - (time.monotonic() - begin)
            if report.interrupted or not failing or left <= 0:
                return dataclasses.replace(
                    report, duration=time.monotonic() - begin)
            report = _again(settings, failing, report, min(PAUSE, left),
                            deadline.renewed, observer)
        except KeyboardInterrupt:
            # Whenever it comes, what is known is shown.
            report = dataclasses.replace(report, interrupted=True)


def _again(settings, failing, report, pause, renewed, observer):
    """Return the report updated with another attempt.

    The result of an earlier attempt is kept until a later one has ended.
    """
    time.sleep(pause)
    again = engine.run(settings, failing, renewed(), observer=observer,
                       beside=report.rows)
    if again.interrupted:
        return dataclasses.replace(report, interrupted=True)
    fresh = {row.id: row for row in again.rows}
    return dataclasses.replace(report, rows=tuple(
        fresh.get(row.id, row) for row in report.rows))


def _row(report, check):
    return next(row for row in report.rows if row.id == check.id)


def _tell_changes(report, said, seconds, tell):
    for row in report.rows:
        ids = ', '.join(f.id for f in row.findings)
        state = row.severity.name.capitalize() + (f' ({ids})' if ids else '')
        if said.get(row.id, 'Success') != state and (
                row.id in said or row.severity is Severity.FAILURE):
            tell(f'after {seconds:.0f} s: {row.title}: {state}')
            said[row.id] = state

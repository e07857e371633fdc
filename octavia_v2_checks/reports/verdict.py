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

"""The verdict on a row, in the words that all formats share."""

import enum

from octavia_v2_checks import engine
from octavia_v2_checks.findings import Severity

UNDETERMINED = '.undetermined'


class Verdict(enum.Enum):
    """The result of a row, and why it is that."""

    SUCCESS = 'success'
    WARNING = 'warning'
    #: Checked, and wrong.
    FAILURE = 'failure'
    #: The check could not determine it.
    UNDETERMINED = 'undetermined'
    #: A finding of another row prevented the check.
    BLOCKED = 'blocked'
    #: There is nothing to check.
    NOT_APPLICABLE = 'not-applicable'


def of(row: engine.Row) -> Verdict:
    """Return the verdict on a row."""
    wrong = [f for f in row.findings if f.counts is Severity.FAILURE]
    if any(not f.id.endswith(UNDETERMINED) for f in wrong):
        return Verdict.FAILURE
    if wrong:
        return Verdict.UNDETERMINED
    if row.blocked_by:
        return Verdict.BLOCKED
    if row.severity is Severity.WARNING:
        return Verdict.WARNING
    return Verdict.SUCCESS if row.applies else Verdict.NOT_APPLICABLE


def complete(row: engine.Row) -> bool:
    """Return whether everything was checked: what is not found does not exist.
    """
    return (row.applies and not row.blocked_by
            and not any(f.id.endswith(UNDETERMINED) for f in row.findings))

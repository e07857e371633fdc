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

"""The results of a check: severities, findings, and reasons for having none.
"""

import dataclasses
import datetime
import enum
from typing import Any
from typing import NamedTuple

from octavia_v2_checks import catalogue


class Severity(enum.IntEnum):
    """How bad a finding is; the numbers are oslo.upgradecheck's codes."""

    SUCCESS = 0
    WARNING = 1
    FAILURE = 2


class Waiver(NamedTuple):
    """Why a finding does not count, and for how long.

    :ivar reason: as the operator gave it
    :ivar until: the last day on which it holds, in UTC
    """

    reason: str
    until: datetime.date

    def as_text(self) -> str:
        """Return it as a report shows it."""
        return f'waived until {self.until}: {self.reason}'


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that is wrong, where, and how to fix it.

    :ivar id: ``area.slug``, stable for ever
    :ivar message: one or two sentences that name the value or host
    :ivar remedy: the command, SQL or option that fixes it
    :ivar option: ``group.name`` of the option it is about
    :ivar file: path of the configuration file, if it comes from one
    :ivar line: line in that file, counted from 1
    :ivar host: ``host:port`` of the server it is about
    :ivar waived: set if the operator has decided that it does not count
    :ivar many: how many findings it stands for
    """

    id: str
    severity: Severity
    message: str
    remedy: str | None = None
    option: str | None = None
    file: str | None = None
    line: int | None = None
    host: str | None = None
    waived: Waiver | None = None
    many: int = 1

    @property
    def counts(self) -> Severity:
        """The severity with which it counts in its row."""
        return Severity.SUCCESS if self.waived else self.severity

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as the JSON report shows it.

        ``waived`` is there only if it is.
        """
        shown = dataclasses.asdict(self) | {
            'severity': self.severity.name.lower()}
        del shown['many']
        if self.waived:
            shown['waived'] = {'reason': self.waived.reason,
                               'until': self.waived.until.isoformat()}
        else:
            del shown['waived']
        return shown

    def as_text(self) -> str:
        """Return ``id: message Remedy: …``, as Details of a row show it."""
        remedy = f' Remedy: {self.remedy}' if self.remedy else ''
        waived = f' ({self.waived.as_text()})' if self.waived else ''
        return f'{self.id}{waived}: {self.message}{remedy}'


def finding(id_: str, message: str, remedy: str | None = None,
            **where: Any) -> Finding:
    """Make a finding of the catalogue.

    :param id_: an id of :mod:`octavia_v2_checks.catalogue`
    :param message: what was seen, with the value or host it is about
    :param remedy: what fixes it; the catalogue's general remedy if omitted
    :param where: ``option``, ``file``, ``line`` and ``host`` as they apply
    :raises KeyError: for an id that the catalogue does not have
    """
    entry = catalogue.entry(id_)
    return Finding(id_, Severity[entry.severity], message,
                   remedy or entry.remedy, **where)


class NotApplicable(Exception):
    """Raised by a check that does not apply; its row is a success.

    :param reason: a sentence for Details
    """

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = str(reason)


#: Findings about the content of a value: a waiver of one does not mean that a
#: worker can use the value.
_OF_CONTENT = frozenset({
    'config.placeholder', 'config.persistence-shared', 'config.port-mismatch',
    'config.release', 'config.misplaced-option'})


class Blocked(Exception):
    """Raised by a check that cannot run because of something else.

    One cause gives one finding: where another row of the run reports it, the
    row reads "Not checked" and refers to it. Where none does (its check is
    skipped, or succeeded a moment earlier), the row itself is
    ``undetermined``, with the cause.

    :param reason: what prevented it, for a reader
    :param cause: the finding that names it, as another row reports it
    :param option: ``group.name`` of the option that prevents it, where a
        ``config.*`` finding names it
    """

    def __init__(self, reason: str, *, cause: Finding | None = None,
                 option: str | None = None):
        super().__init__(reason)
        self.reason = str(reason)
        self.cause = cause
        self.option = option

    def is_by(self, found: Finding) -> bool:
        """Return whether a finding of another row is this cause."""
        if self.cause is None:
            return (self.option is not None and found.option == self.option
                    and found.id.startswith('config.')
                    and not (found.waived and found.id in _OF_CONTENT))
        return ((found.id, found.host) == (self.cause.id, self.cause.host)
                and (None in (found.option, self.cause.option)
                     or found.option == self.cause.option))

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

"""The result of a drill, and what one host passes to another."""

import dataclasses
import datetime
import json
import socket
from typing import Any
from typing import NamedTuple

from octavia_v2_checks.drill import names
from octavia_v2_checks.findings import Finding
from octavia_v2_checks.findings import Severity
from octavia_v2_checks.upstream import versions

SCHEMA_VERSION = 1

EXIT_INTERRUPTED = 130

#: What happens in a drill, in this order, and what it means.
STEPS = {
    'loaded': 'Octavia was loaded',
    'opened': 'jobboard and database were opened',
    'posted': 'the flows were posted',
    'claimed': 'a worker claimed a job and began it',
    'killed': 'the worker was killed in the second of three tasks',
    'claim ended': 'its claim ended',
    'resumed': 'another worker continued the flow',
    'finished': 'all flows had ended',
    'removed': 'everything was removed',
}


class Unusable(Exception):
    """A file that "drill begin" has not written; the text says why."""


class Step(NamedTuple):
    """Something that has happened.

    :ivar name: one of :data:`STEPS`
    :ivar at: seconds since the beginning
    """

    name: str
    at: float


@dataclasses.dataclass
class Result:
    """The result of a drill.

    :ivar id: its id, and
    :ivar namespace: that of its jobboard; empty if there was none
    :ivar flows: how many were posted
    :ivar claim: seconds that a claim outlives its worker, as configured
    :ivar plan: the steps that are to come
    :ivar host: where it was run
    :ivar steps: what has happened, in order
    :ivar failed: the step that did not happen; None if all did
    :ivar classes: of the exception behind that, outermost first
    :ivar interrupted: whether it was told to stop
    :ivar earlier: ids of earlier drills whose remains were removed
    :ivar spared: ids of drills that seem to be in use
    """

    id: str = ''
    namespace: str = ''
    flows: int = 0
    claim: float = 0.0
    plan: tuple[str, ...] = ()
    host: str = dataclasses.field(default_factory=socket.gethostname)
    started: datetime.datetime = dataclasses.field(
        default_factory=lambda: datetime.datetime.now(datetime.timezone.utc))
    octavia: str | None = dataclasses.field(
        default_factory=lambda: versions.installed('octavia'))
    taskflow: str | None = dataclasses.field(
        default_factory=lambda: versions.installed('taskflow'))
    steps: list[Step] = dataclasses.field(default_factory=list)
    findings: list[Finding] = dataclasses.field(default_factory=list)
    failed: str | None = None
    classes: tuple[str, ...] = ()
    interrupted: bool = False
    duration: float = 0.0
    earlier: list[str] = dataclasses.field(default_factory=list)
    spared: list[str] = dataclasses.field(default_factory=list)

    @property
    def severity(self) -> Severity:
        """The worst of the findings."""
        return max((f.severity for f in self.findings),
                   default=Severity.SUCCESS)

    @property
    def exit_code(self) -> int:
        """0, 1 or 2 as "upgrade check" has them, 130 if interrupted."""
        return EXIT_INTERRUPTED if self.interrupted else int(self.severity)

    def step_of(self, finding: Finding) -> str | None:
        """Return the step that a finding is about."""
        return {'drill.leftovers': 'removed',
                'drill.resumed-late': 'resumed'}.get(finding.id, self.failed)

    def at(self, name: str) -> float | None:
        """Return when a step happened, None if it did not."""
        return next((s.at for s in self.steps if s.name == name), None)

    @property
    def resumed_after(self) -> float | None:
        """Seconds from the kill to the resumption, None without one."""
        killed, resumed = self.at('killed'), self.at('resumed')
        if killed is None or resumed is None:
            return None
        return resumed - killed


class Begun(NamedTuple):
    """What "drill begin" passes to "drill finish"; nothing in it is secret.

    :ivar held: number of the flow in which it was
    :ivar uuids: of all flows
    :ivar resumption: what both hosts must agree on, as
        :func:`octavia_v2_checks.resumption.of` gives it
    """

    id: names.Id
    namespace: str
    host: str
    when: str
    held: int
    uuids: list[str]
    resumption: dict[str, Any]

    def as_json(self) -> str:
        """Return it as a document."""
        return json.dumps({'schema_version': SCHEMA_VERSION,
                           **self._asdict(), 'id': self.id.text}, indent=2)


def read(text: str) -> Begun:
    """Parse a document.

    :raises Unusable: if it is none of "drill begin"
    """
    kinds = {'id': str, 'namespace': str, 'host': str, 'when': str,
             'held': int, 'uuids': list, 'resumption': dict}
    try:
        said = json.loads(text)
        if said['schema_version'] != SCHEMA_VERSION:
            raise Unusable('another version of octavia-v2-checks wrote it')
        if not all(isinstance(said[name], kind)
                   for name, kind in kinds.items()):
            raise TypeError
        return Begun(**{name: said[name] for name in kinds}
                     | {'id': names.parse(said['id'])})
    except (ValueError, KeyError, TypeError):
        raise Unusable('it was not written by "drill begin"') from None

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

"""What a jobboard backend is, whatever its server."""

from collections.abc import Iterator
import contextlib
from typing import ClassVar
from typing import NamedTuple
from typing import Protocol

from octavia_v2_checks import clock
from octavia_v2_checks import settings as settings_
from octavia_v2_checks.backends import board
from octavia_v2_checks.backends import net


class Client(NamedTuple):
    """The library with which TaskFlow talks to the server.

    :ivar module: what TaskFlow imports
    :ivar distribution: its name on PyPI
    :ivar extra: the extra, of TaskFlow and of this project, that brings it
    """

    module: str
    distribution: str
    extra: str


class Jobboard(Protocol):
    """One kind of server; an entry of ``octavia_v2_checks.jobboards``.

    The entry is named as the value of ``[task_flow]
    jobboard_backend_driver`` that selects it. All checks of a run share one,
    and may use it from several threads.
    """

    client: ClassVar[Client]

    def __init__(self, settings: settings_.Settings,
                 deadline: clock.Deadline):
        """Keep what is needed; contact nothing."""

    def probe(self) -> Iterator[net.Fault | str]:
        """Yield what is wrong, and as text what is in order.

        Only reads. Faults with a single cause are yielded once. Raises only
        :class:`octavia_v2_checks.findings.Blocked`, for an option that a
        worker could not read.
        """
        ...

    def board(self) -> contextlib.AbstractContextManager[board.Board]:
        """Open the board, to list its jobs.

        :raises net.Fault: where a worker would fail
        """
        ...

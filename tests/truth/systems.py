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

"""What a case has: servers, and a configuration that fits them."""

from collections.abc import Callable
import dataclasses
from typing import Any

from tests.truth import databases
from tests.truth import jobboards
from tests.truth import lab as labs

#: The value of an option that is not to be in the file.
ABSENT = None


@dataclasses.dataclass
class System:
    """What a case has: servers, and options of [task_flow] that fit them.

    :ivar options: as they stand in the file
    :ivar lines: what stands in the file besides, by section
    :ivar environ: what the processes have in their environment
    :ivar agreements: called before the case is judged
    """

    lab: labs.Lab
    database: databases.Database
    board: jobboards.Board
    options: dict[str, Any]
    environ: dict[str, str]
    spelled: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    outside: list[str] = dataclasses.field(default_factory=list)
    agreements: list[Callable[[], None]] = dataclasses.field(
        default_factory=list)

    def text(self) -> str:
        """The configuration file."""
        lines = ['[api_settings]',
                 'enabled_provider_drivers = amphora:The amphora driver',
                 *self.outside, '[task_flow]']
        for name, value in self.options.items():
            if name in self.spelled:
                lines += self.spelled[name]
            elif value is not ABSENT:
                lines.append(f'{name} = {value}')
        return '\n'.join(lines) + '\n'


def system(lab: labs.Lab, database: databases.Database,
           board: jobboards.Board) -> System:
    """A system with a configuration that fits."""
    return System(lab, database, board, {
        'jobboard_enabled': 'True',
        'persistence_connection': written(database.url()),
        **{name: written(value) for name, value in board.options.items()}},
        dict(board.environ))


def written(text: str) -> str:
    """A text as a configuration file has it."""
    return text.replace('$', '$$')

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

"""Servers that belong together, on 127.0.0.1, 127.0.0.2, 127.0.0.3.

They share one port number, because Octavia has one port for all hosts.
"""

from __future__ import annotations

import pathlib
from typing import Generic
from typing import TYPE_CHECKING
from typing import TypeVar

from tests.servers import process

if TYPE_CHECKING:
    from typing import Self

MemberT = TypeVar('MemberT', bound=process.Server)


def hosts(size: int) -> list[str]:
    """The addresses of *size* members."""
    return [f'127.0.0.{number}' for number in range(1, size + 1)]


class Ensemble(Generic[MemberT]):
    """All members at once; each of them is a separate server.

    The attributes of a single server are those of the first member.
    """

    def __init__(self, members: list[MemberT]) -> None:
        self.members = members

    def healthy(self) -> bool:
        """Whether all members serve."""
        raise NotImplementedError

    @property
    def host(self) -> str:
        return self.members[0].host

    @property
    def hosts(self) -> list[str]:
        """The address of every member."""
        return [member.host for member in self.members]

    @property
    def port(self) -> int:
        return self.members[0].port

    @property
    def pid(self) -> int:
        return self.members[0].pid

    @property
    def dir(self) -> pathlib.Path:
        return self.members[0].dir

    @property
    def log(self) -> pathlib.Path:
        return self.members[0].log

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *exc_info) -> None:
        self.close()

    def start(self) -> Self:
        """Start every member that is down, and wait until all serve.

        :raises process.StartError: where one does not.
        """
        for member in self.members:
            member.start(wait=False)
        for member in self.members:
            member.wait()
        process.wait_until(self.healthy, f'{self.members[0]} is unhealthy')
        return self

    def stop(self) -> None:
        """Stop every member."""
        for member in self.members:
            member.stop()

    def restart(self) -> Self:
        """Stop and start every member."""
        self.stop()
        return self.start()

    def kill(self) -> None:
        """Kill every member."""
        for member in self.members:
            member.kill()

    def close(self) -> None:
        """Kill every member and remove its directory."""
        for member in self.members:
            member.close()

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

"""The jobs on a ZooKeeper board, from its raw znodes."""

from collections.abc import Iterator

from octavia_v2_checks.backends import board
from octavia_v2_checks.backends import isolated
from octavia_v2_checks.upstream import clients_zookeeper

#: How many znodes a remedy names at most.
_NAMED = 200


class ZooKeeperBoard:
    """The jobs below one path.

    :param child: with an open :class:`.session.Session`
    :param peer: ``host:port`` of the member that it is with
    :param paths: of the jobboard
    """

    def __init__(self, child: isolated.Child, peer: str,
                 paths: clients_zookeeper.Paths):
        self._child = child
        self._paths = paths
        self.place = f'{paths.board} at {peer}'
        self.trash = (f'{paths.trash} at {peer}, which all namespaces next to '
                      f'{paths.board} share')

    def __enter__(self) -> 'ZooKeeperBoard':
        return self

    def __exit__(self, *exc: object) -> None:
        """Leave the session open for other checks."""

    def count(self) -> int:
        """Return how many jobs there are."""
        return self._child.ask('count')

    def trashed(self) -> int:
        """Return how many jobs are in the trash."""
        return self._child.ask('trashed', 0)[0]

    def workers(self) -> list[str]:
        """Return the hosts with a live worker."""
        return self._child.ask('workers')

    def removal(self, keys: list[str]) -> str:
        """Return the commands that remove jobs from the board."""
        return _deletes(self._paths.board, keys)

    def emptying(self) -> str:
        """Return the commands that empty the trash."""
        return _deletes(self._paths.trash, self._child.ask(
            'trashed', _NAMED)[1])

    def pages(self) -> Iterator[list[board.Job]]:
        """Yield all jobs, some at a time."""
        for page in self._child.pages('jobs'):
            yield [board.Job(*job) for job in page]


def _deletes(folder: str, names: list[str]) -> str:
    """Return the commands that delete znodes.

    A name with a space has to be quoted.
    """
    paths = [f'{folder.rstrip("/")}/{name}' for name in names]
    return 'In zkCli.sh: ' + '; '.join(
        f'delete "{path}"' if ' ' in path else f'delete {path}'
        for path in paths)

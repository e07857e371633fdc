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
import json
import posixpath

from octavia_v2_checks import clock as clocks
from octavia_v2_checks.backends import board
from octavia_v2_checks.backends.zookeeper import jute

_PAGE = 200

_LOCK = '.lock'
_JOB = 'job'


class ZooKeeperBoard:
    """The jobs below one path.

    :param session: open
    :param path: the jobboard's
    :param deadline: each question has its share of it
    """

    def __init__(self, session: jute.Session, path: str,
                 deadline: clocks.Deadline):
        self._session = session
        self._path = path
        # TaskFlow puts the name in place of the last part, wherever in the
        # path that stands.
        last = posixpath.basename(path)
        self._trash = path.replace(last, '.trash')
        self._entities = path.replace(last, '.entities')
        self._deadline = deadline
        self.place = f'{path} at {session.peer}'
        self.trash = (f'{self._trash} at {session.peer}, which all '
                      f'namespaces beside {path} share')

    def __enter__(self) -> 'ZooKeeperBoard':
        return self

    def __exit__(self, *exc: object) -> None:
        """Leave the session to its owner."""

    def count(self) -> int:
        """Return how many jobs there are."""
        return len(self._listed()[0])

    def trashed(self) -> int:
        """Return how many jobs lie in the trash."""
        return len(self._children(self._trash))

    def workers(self) -> list[str]:
        """Return the hosts with a live worker."""
        folder = f'{self._entities}/conductor'
        names = self._children(folder)[:_PAGE]
        return sorted({_host(data) for data in self._data(
            [f'{folder}/{name}' for name in names]) if data})

    def removal(self, keys: list[str]) -> str:
        """Return the commands that take jobs off the board."""
        return 'In zkCli.sh: ' + '; '.join(
            f'delete {self._path}/{key}' for key in keys)

    def emptying(self) -> str:
        """Return the commands that empty the trash."""
        names = self._children(self._trash)[:_PAGE]
        return 'In zkCli.sh: ' + '; '.join(
            f'delete {self._trash}/{name}' for name in sorted(names))

    def pages(self) -> Iterator[list[board.Job]]:
        """Yield all jobs, some at a time."""
        names, locked = self._listed()
        for start in range(0, len(names), _PAGE):
            yield list(self._jobs(names[start:start + _PAGE], locked))

    def _listed(self) -> tuple[list[str], set[str]]:
        """Return the names of the jobs, and of those with a claim."""
        names = self._children(self._path)
        return (sorted(n for n in names if n.startswith(_JOB)
                       and not n.endswith(_LOCK)),
                {n.removesuffix(_LOCK) for n in names if n.endswith(_LOCK)})

    def _jobs(self, names, locked):
        claimed = [n for n in names if n in locked]
        owners = dict(zip(claimed, map(board.owner_of, self._data(
            [f'{self._path}/{n}{_LOCK}' for n in claimed])), strict=True))
        # Each posting is let go before the next is received: some are large.
        contents = self._data([f'{self._path}/{n}' for n in names])
        for name, data in zip(names, contents, strict=True):
            # A job that has ended in the meantime has no content.
            if data is not None:
                yield board.decode(name, data, owners.get(name))

    def _children(self, path):
        self._session.renew(self._deadline.probe())
        try:
            return self._session.get_children(path)
        except jute.Refused as exc:
            if exc.code == jute.Error.NO_NODE:
                return []
            raise

    def _data(self, paths):
        self._session.renew(self._deadline.probe())
        return self._session.get_each_data(paths)


def _host(data: bytes) -> str:
    try:
        return str(json.loads(data)['metadata']['hostname'])
    except (ValueError, KeyError, TypeError):
        return 'unknown'

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

"""The entries of drills on the jobboard, through the client of a worker.

The listing of TaskFlow is not used: it removes what it cannot decode, and
connecting to ZooKeeper creates nodes.
"""

from collections.abc import Iterator
import contextlib
import json
from typing import NamedTuple

from octavia_v2_checks import statements
from octavia_v2_checks.drill import names


class Seen(NamedTuple):
    """The contents of a namespace.

    :ivar jobs: what identifies each job that is not done
    :ivar owners: who has a claim on one of them
    :ivar trashed: how many jobs workers could not begin
    """

    jobs: list[str]
    owners: list[str]
    trashed: int


class Board:
    """A jobboard server.

    Every method raises what the client raises.

    :param driver: Octavia's jobboard driver
    :param persistence: TaskFlow's persistence backend
    :param base: the namespace of the real board
    """

    def __init__(self, driver, persistence, base: str):
        with _unconnected(), driver.job_board(persistence) as board:
            self._board = board
        self._base = base
        self._connect()
        self.client = self._board._client

    def _connect(self) -> None:
        """Give the board a connected client.

        Connecting to Redis and etcd writes nothing.
        """
        self._board.connect()

    def prepare(self, namespace: str) -> None:
        """Note what is needed to remove everything again."""

    def look(self, namespace: str) -> Seen:
        """Return the current contents of a namespace."""
        raise NotImplementedError

    def found(self) -> Iterator[names.Id]:
        """Yield the drills that have left something here."""
        raise NotImplementedError

    def remove(self, namespace: str, id_: names.Id) -> int:
        """Remove the entries of a drill; return their number."""
        raise NotImplementedError


class Redis(Board):
    """Keys that begin with the namespace and a colon."""

    def __init__(self, driver, persistence, base: str):
        super().__init__(driver, persistence, base)
        #: Keys of jobs that were seen: Redis may lose the list of them.
        self._known: set[str] = set()
        self._searches = False

    def look(self, namespace: str) -> Seen:
        jobs = self._uuids(f'{namespace}:listings')
        self._known.update(jobs)
        owners = [self.client.get(f'{namespace}:{job}.owned')
                  for job in jobs]
        return Seen(jobs, [owner.decode() for owner in owners if owner],
                    len(self._uuids(f'{namespace}:trash')))

    def _uuids(self, key):
        return [field.decode() for field in self.client.hgetall(key)]

    def found(self) -> Iterator[names.Id]:
        # It scans all keys of the server, so only on request.
        self._searches = True
        for key in self._scan(f'{self._base.rstrip("/")}_drill_'):
            id_ = names.in_namespace(self._base, key.rpartition(':')[0])
            if id_:
                yield id_

    def _scan(self, prefix):
        """Yield keys, as far as the account may list them."""
        import redis
        pattern = f'{statements.literally(prefix)}*'
        try:
            for key in self.client.scan_iter(match=pattern, count=1000):
                yield key.decode(errors='replace')
        except redis.exceptions.NoPermissionError:
            return

    def remove(self, namespace: str, id_: names.Id) -> int:
        del id_
        jobs = {*self._known, *self._uuids(f'{namespace}:listings'),
                *self._uuids(f'{namespace}:trash')}
        keys = {f'{namespace}:{name}' for name in (
            'listings', 'trash', 'sequence')}
        for job in jobs:
            keys |= {f'{namespace}:{job}.{name}' for name in (
                'owned', 'last_modified')}
        if self._searches:
            keys.update(self._scan(f'{namespace}:'))
        return self.client.delete(*keys)


class ZooKeeper(Board):
    """A node with the jobs, and what TaskFlow creates next to it."""

    def __init__(self, driver, persistence, base: str):
        super().__init__(driver, persistence, base)
        self._absent: dict[str, list[str]] = {}
        #: Trashed jobs that belong to no drill.
        self._foreign: set[str] = set()

    def _connect(self) -> None:
        client = self._board._client
        if not client.connected:
            client.start(10)

    def _path(self, namespace):
        from kazoo.protocol import paths
        return paths.normpath(f'/{namespace}')

    def _beside(self, namespace):
        """Return what all boards of this parent share."""
        parent = self._path(namespace).rpartition('/')[0]
        return [f'{parent}/.trash', f'{parent}/.entities',
                f'{parent}/.entities/conductor']

    def prepare(self, namespace: str) -> None:
        """Note in the node of the drill which shared nodes did not exist."""
        path = self._path(namespace)
        parents = [path[:at] for at, c in enumerate(path) if c == '/' and at]
        absent = [p for p in [*parents, *self._beside(namespace)]
                  if not self.client.exists(p)]
        self.client.create(path, json.dumps({'absent': absent}).encode(),
                           makepath=True)

    def look(self, namespace: str) -> Seen:
        path = self._path(namespace)
        children = self._children(path)
        owners = []
        for name in children:
            if name.endswith('.lock'):
                data = self._data(f'{path}/{name}')
                owners += [json.loads(data)['owner']] if data else []
        return Seen([c for c in children if not c.endswith('.lock')], owners,
                    len(self._trashed(namespace)))

    def _trashed(self, namespace):
        """Return the paths of trashed jobs: their numbers are no names."""
        id_ = names.in_namespace(self._base, namespace)
        trash = self._beside(namespace)[0]
        found = []
        for name in set(self._children(trash)) - self._foreign:
            owner = self._owner(f'{trash}/{name}')
            if owner is None:
                self._foreign.add(name)
            elif owner == id_:
                found.append(f'{trash}/{name}')
        return found

    def _owner(self, path):
        """Return the drill whose job a node holds, None if that of none."""
        try:
            return names.owner(json.loads(self._data(path) or b'')['name'])
        except (ValueError, TypeError, KeyError):
            return None

    def _children(self, path):
        from kazoo import exceptions
        try:
            return self.client.get_children(path)
        except exceptions.NoNodeError:
            return []

    def _data(self, path):
        from kazoo import exceptions
        try:
            return self.client.get(path)[0]
        except exceptions.NoNodeError:
            return None

    def found(self) -> Iterator[names.Id]:
        parent, _, base = self._path(self._base).rpartition('/')
        for name in self._children(parent or '/'):
            id_ = names.in_namespace(base, name)
            if id_:
                yield id_

    def remove(self, namespace: str, id_: names.Id) -> int:
        path = self._path(namespace)
        absent = self._absent.setdefault(path, self._noted(path))
        entities = self._beside(namespace)[2]
        gone = [path, *self._trashed(namespace), *(
            f'{entities}/{name}' for name in self._children(entities)
            if id_.text in name)]
        gone = [p for p in gone if self.client.exists(p)]
        for one in gone:
            self.client.delete(one, recursive=True)
        self._remove_empty(absent)
        return len(gone)

    def _noted(self, path):
        try:
            said = json.loads(self._data(path) or b'{}')
        except ValueError:
            return []
        return said.get('absent', []) if isinstance(said, dict) else []

    def _remove_empty(self, paths):
        """Remove the shared nodes that were created for the drill.

        Once the real board exists, its workers rely on them.
        """
        from kazoo import exceptions
        if self.client.exists(self._path(self._base)):
            paths = [p for p in paths if not p.endswith('/.trash')]
        for path in sorted(paths, key=len, reverse=True):
            with contextlib.suppress(exceptions.NoNodeError,
                                     exceptions.NotEmptyError):
                self.client.delete(path)


class Etcd(Board):
    """Keys below TaskFlow's root, and below that of its trash."""

    def _roots(self, namespace):
        board = self._board
        return [board._create_path(root, namespace)
                for root in (board.ROOT_PATH, board.TRASH_PATH)]

    def _below(self, prefix):
        return [(value, about['key'].decode())
                for value, about in self.client.get_prefix(prefix)]

    def look(self, namespace: str) -> Seen:
        root, trash = self._roots(namespace)
        below = self._below(f'{root}/')
        return Seen(
            [key for _, key in below if key.endswith('.data')],
            [json.loads(value)['owner'] for value, key in below
             if key.endswith('.lock')], len(self._below(f'{trash}/')))

    def found(self) -> Iterator[names.Id]:
        base = self._base.strip('/')
        for root in (self._board.ROOT_PATH, self._board.TRASH_PATH):
            for _, key in self._below(f'{root}/{base}_drill_'):
                id_ = names.in_namespace(base, key.removeprefix(
                    f'{root}/').rpartition('/')[0])
                if id_:
                    yield id_

    def remove(self, namespace: str, id_: names.Id) -> int:
        del id_
        gone = [key for root in self._roots(namespace)
                for _, key in self._below(f'{root}/')]
        for key in gone:
            self.client.delete(key)
        return len(gone)


OF = {'redis_taskflow_driver': Redis, 'zookeeper_taskflow_driver': ZooKeeper,
      'etcd_taskflow_driver': Etcd}


@contextlib.contextmanager
def _unconnected():
    """Have the driver of Octavia create a board without connecting it."""
    from taskflow.jobs import backends

    @contextlib.contextmanager
    def made(name, conf, persistence=None, **options):
        yield backends.fetch(name, conf, persistence=persistence, **options)

    connecting, backends.backend = backends.backend, made
    try:
        yield
    finally:
        backends.backend = connecting

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

"""The jobs on an etcd board, from its raw keys."""

from collections.abc import Iterator
import itertools
import json
import shlex

from octavia_v2_checks.backends import board
from octavia_v2_checks.backends.etcd import gateway

_PAGE = 150

#: Of how many claims to ask when they end.
_ASKED = 5

_JOBS = '/taskflow/jobs'
_TRASH = '/taskflow/.trash'

_DATA = '.data'
_LOCK = '.lock'
_TOUCHED = '.last_modified'


class EtcdBoard:
    """The jobs in one namespace.

    :param server: the way to it
    :param namespace: the jobboard's
    :param url: how etcdctl finds the server
    """

    def __init__(self, server: gateway.Gateway, namespace: str, url: str):
        self._server = server
        self._delete = f'etcdctl --endpoints={url} del --prefix '
        self._jobs = f'{_JOBS}/{namespace}/job'
        self._trash = f'{_TRASH}/{namespace}/'
        self._asked = 0
        self.place = self.trash = f'{namespace} at {server.peer}'

    def count(self) -> int:
        """Return how many jobs there are."""
        return sum(key.endswith(_DATA) for page in self._server.scan(
            self._jobs, keys_only=True) for key, _ in page)

    def trashed(self) -> int:
        """Return how many jobs lie in the trash."""
        return self._server.count(self._trash)

    def workers(self) -> list[str]:
        """Return nothing: workers leave no trace on etcd."""
        return []

    def removal(self, keys: list[str]) -> str:
        """Return the commands that take jobs off the board."""
        return '; '.join(
            self._delete + shlex.quote(f'{self._jobs}{key}.')
            for key in keys)

    def emptying(self) -> str:
        """Return the commands that empty the trash."""
        return self._delete + shlex.quote(self._trash)

    def pages(self) -> Iterator[list[board.Job]]:
        """Yield all jobs, some at a time."""
        pairs = itertools.chain.from_iterable(
            self._server.scan(self._jobs))
        # The keys of one job follow each other.
        jobs = (self._job(stem, dict(group)) for stem, group
                in itertools.groupby(pairs, lambda p: self._stem(p[0])))
        found = filter(None, jobs)
        while page := list(itertools.islice(found, _PAGE)):
            yield page

    def _stem(self, key):
        return key.removeprefix(self._jobs).partition('.')[0]

    def _job(self, stem, entries):
        name = f'{self._jobs}{stem}'
        data = entries.get(f'{name}{_DATA}')
        if data is None:
            # What is left when a job was taken off under a live claim.
            return None
        lock = entries.get(f'{name}{_LOCK}')
        return board.decode(
            stem, data, board.owner_of(lock),
            lapsed=lock is None and f'{name}{_TOUCHED}' in entries,
            expires=self._expires(lock))

    def _expires(self, lock):
        if lock is None or self._asked >= _ASKED:
            return None
        self._asked += 1
        try:
            lease = json.loads(lock)['lease_id']
        except (ValueError, KeyError, TypeError):
            return None
        return self._server.seconds_left(lease)

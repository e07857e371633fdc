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
from typing import Protocol

from octavia_v2_checks.backends import board
from octavia_v2_checks.backends.etcd import server as server_
from octavia_v2_checks.upstream import clients_etcd

#: How many jobs to yield at a time.
_PAGE = 150

#: How many claims to ask for their remaining time.
_ASKED = 5

_DATA = '.data'
_LOCK = '.lock'
_TOUCHED = '.last_modified'


class _Server(Protocol):
    """What :func:`listed` asks; see :class:`gateway.Server`."""

    def scan(self, prefix: str) -> Iterator[list[tuple[str, bytes]]]:
        ...

    def seconds_left(self, lease: int) -> int | None:
        ...


class EtcdBoard:
    """The jobs in one namespace.

    :param server: the way to it
    :param namespace: the jobboard's
    """

    def __init__(self, server: server_.Server, namespace: str):
        self._server = server
        self._delete = f'etcdctl --endpoints={server.url} del --prefix '
        self._jobs = clients_etcd.jobs(namespace)
        self._trash = clients_etcd.trash(namespace)
        self.place = self.trash = f'{namespace} at {server.peer}'

    def count(self) -> int:
        """Return how many jobs there are."""
        return sum(self._server.pages('tally', self._jobs, _DATA))

    def trashed(self) -> int:
        """Return how many jobs are in the trash."""
        return self._server.ask('count', self._trash)

    def workers(self) -> list[str]:
        """Return nothing: workers leave no trace on etcd."""
        return []

    def removal(self, keys: list[str]) -> str:
        """Return the commands that remove jobs from the board."""
        return '; '.join(
            self._delete + shlex.quote(f'{self._jobs}{key}.')
            for key in keys)

    def emptying(self) -> str:
        """Return the commands that empty the trash."""
        return self._delete + shlex.quote(self._trash)

    def pages(self) -> Iterator[list[board.Job]]:
        """Yield all jobs, some at a time."""
        for page in self._server.pages('jobs', self._jobs):
            yield [board.Job(*fields) for fields in page]


def listed(server: _Server, prefix: str) -> Iterator[list[tuple]]:
    """Yield the jobs whose keys begin with a prefix; in the child process.

    The rest of their postings does not leave it.
    """
    pairs = itertools.chain.from_iterable(server.scan(prefix))
    asked = itertools.count()
    # The keys of one job follow each other.
    groups = itertools.groupby(
        pairs, lambda pair: pair[0].removeprefix(prefix).partition('.')[0])
    jobs = (_job(server, f'{prefix}{stem}', stem, dict(group), asked)
            for stem, group in groups)
    found = filter(None, jobs)
    while page := [tuple(j) for j in itertools.islice(found, _PAGE)]:
        yield page


def _job(server, name, stem, entries, asked):
    data = entries.get(f'{name}{_DATA}')
    if data is None:
        # Left over when a job was removed under a live claim.
        return None
    lock = entries.get(f'{name}{_LOCK}')
    return board.decode(
        stem, data, board.owner_of(lock),
        lapsed=lock is None and f'{name}{_TOUCHED}' in entries,
        expires=_expires(server, lock, asked))


def _expires(server, lock, asked):
    if lock is None:
        return None
    try:
        lease = json.loads(lock)['lease_id']
    except (ValueError, KeyError, TypeError):
        return None
    return server.seconds_left(lease) if next(asked) < _ASKED else None

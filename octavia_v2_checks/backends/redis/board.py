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

"""The jobs on a Redis board, from its raw keys."""

from collections.abc import Iterator

from octavia_v2_checks import statements
from octavia_v2_checks.backends import board
from octavia_v2_checks.backends.redis import refusals
from octavia_v2_checks.backends.redis.connection import Connection

#: Of how many claims to ask for the remaining time.
_ASKED = 5


class RedisBoard:
    """The jobs in one namespace.

    :param connection: to the server, which others use too
    :param namespace: the jobboard's
    """

    def __init__(self, connection: Connection, namespace: str):
        self._connection = connection
        self._namespace = namespace
        self._asked = 0
        self.place = self.trash = f'{namespace} at {connection.peer}'

    def __enter__(self) -> 'RedisBoard':
        return self

    def __exit__(self, *exc: object) -> None:
        """Leave the connection open for other checks."""

    def count(self) -> int:
        """Return how many jobs there are."""
        return self._length('listings')

    def trashed(self) -> int:
        """Return how many jobs are in the trash."""
        return self._length('trash')

    def workers(self) -> list[str]:
        """Return nothing: workers leave no trace on Redis."""
        return []

    def removal(self, keys: list[str]) -> str:
        """Return the commands that remove jobs from the board."""
        listings = statements.word(self._key('listings'))
        return statements.in_redis_cli(
            f'HDEL {listings} ' + ' '.join(map(statements.word, keys)))

    def emptying(self) -> str:
        """Return the commands that empty the trash."""
        return statements.in_redis_cli(
            f'DEL {statements.word(self._key("trash"))}')

    def pages(self) -> Iterator[list[board.Job]]:
        """Yield all jobs, some at a time."""
        seen: set[str] = set()
        for page in self._connection.postings(self._key('listings')):
            # A scan returns some twice while the server rearranges them.
            new = {key: board.Job(key, *summary) for key, *summary in page
                   if key not in seen}
            seen.update(new)
            if new:
                yield self._states(new)

    def _key(self, *parts: str) -> str:
        return ':'.join((self._namespace, '.'.join(parts)))

    def _length(self, name: str) -> int:
        answer, = self._each('HLEN', [(self._key(name),)])
        if not isinstance(answer, int):
            raise self._connection.stranger()
        return answer

    def _states(self, jobs: dict[str, board.Job]) -> list[board.Job]:
        """Find the owners of some jobs."""
        owners = dict(zip(jobs, self._each(
            'GET', [(self._key(k, 'owned'),) for k in jobs]), strict=True))
        free = [k for k, owner in owners.items()
                if not isinstance(owner, bytes)]
        touched = dict(zip(free, self._each(
            'EXISTS', [(self._key(k, 'last_modified'),) for k in free]),
            strict=True))
        # A job that ended between the requests has no owner, and is not free.
        there = dict(zip(free, self._each(
            'HEXISTS', [(self._key('listings'), k) for k in free]),
            strict=True))
        return [self._state(job, owners[key], bool(touched.get(key)))
                for key, job in jobs.items() if there.get(key, 1)]

    def _each(self, command, arguments):
        answers = self._connection.ask([(command, *a) for a in arguments])
        for answer in answers:
            if isinstance(answer, refusals.Refusal):
                raise self._connection.fault(answer, command)
        return answers

    def _state(self, job, owner, touched):
        if not isinstance(owner, bytes):
            return job._replace(lapsed=touched)
        return job._replace(owner=owner.decode('utf-8', 'replace'),
                            expires=self._expires(job.key))

    def _expires(self, uuid):
        if self._asked >= _ASKED:
            return None
        self._asked += 1
        left, = self._each('PTTL', [(self._key(uuid, 'owned'),)])
        return left / 1000 if isinstance(left, int) and left >= 0 else None

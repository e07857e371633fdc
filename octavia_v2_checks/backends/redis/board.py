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

from collections.abc import Callable
from collections.abc import Iterator
import itertools

from octavia_v2_checks import statements
from octavia_v2_checks.backends import board
from octavia_v2_checks.backends import msgpack
from octavia_v2_checks.backends import net
from octavia_v2_checks.backends.redis import resp
from octavia_v2_checks.backends.redis.connection import Connection

_PAGE = 200

#: Of how many claims to ask when they end.
_ASKED = 5


class RedisBoard:
    """The jobs in one namespace.

    :param connect: opens a connection
    :param namespace: the jobboard's
    :raises net.Fault: where a worker would not get in
    """

    def __init__(self, connect: Callable[[], Connection], namespace: str):
        self._connect = connect
        self._connection = connect()
        self._namespace = namespace
        self._asked = 0
        self.place = self.trash = f'{namespace} at {self._connection.peer}'

    def __enter__(self) -> 'RedisBoard':
        return self

    def __exit__(self, *exc: object) -> None:
        self._connection.close()

    def count(self) -> int:
        """Return how many jobs there are."""
        return self._length('listings')

    def trashed(self) -> int:
        """Return how many jobs lie in the trash."""
        return self._length('trash')

    def workers(self) -> list[str]:
        """Return nothing: workers leave no trace on Redis."""
        return []

    def removal(self, keys: list[str]) -> str:
        """Return the commands that take jobs off the board."""
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
        for jobs in self._entries():
            # A scan tells some twice while the server rearranges them.
            new = {job.key: job for job in jobs if job.key not in seen}
            seen.update(new)
            if new:
                yield self._states(new)

    def _key(self, *parts: str) -> str:
        return ':'.join((self._namespace, '.'.join(parts)))

    def _length(self, name: str) -> int:
        answer = self._ask(('HLEN', self._key(name)))
        if not isinstance(answer, int):
            raise self._connection.stranger()
        return answer

    def _ask(self, command: resp.Command) -> resp.Reply:
        self._connection.renew()
        return self._checked(self._connection.call(*command), str(command[0]))

    def _checked(self, answer: resp.Reply, command: str) -> resp.Reply:
        if isinstance(answer, resp.ErrorReply):
            raise self._connection.fault(answer, command)
        return answer

    def _entries(self) -> Iterator[list[board.Job]]:
        """Yield what the postings tell of their jobs.

        Each posting is let go before the next is received: some are large.
        """
        listings = self._key('listings')
        cursor = '0'
        while True:
            self._connection.renew()
            try:
                items = self._connection.stream(
                    'HSCAN', listings, cursor, 'COUNT', _PAGE)
                cursor = self._text(next(items))
                page = list(self._decoded(items))
            except net.Fault as fault:
                if fault.slug != 'missing-permission':
                    raise
                # Workers do not scan, so their account may not be allowed
                # to; they ask for all at once.
                yield from self._all_at_once(listings)
                return
            yield page
            if cursor == '0':
                return

    def _all_at_once(self, listings: str) -> Iterator[list[board.Job]]:
        with self._connect() as other:
            jobs = self._decoded(other.stream('HGETALL', listings))
            while page := list(itertools.islice(jobs, _PAGE)):
                yield page
                other.renew()

    def _decoded(self, items):
        for key in items:
            posting = next(items, None)
            if not isinstance(posting, bytes):
                raise self._connection.stranger()
            yield msgpack.job(self._text(key), posting)

    def _text(self, item):
        if not isinstance(item, bytes):
            raise self._connection.stranger()
        return item.decode('utf-8', 'replace')

    def _states(self, jobs: dict[str, board.Job]) -> list[board.Job]:
        """Find out who holds each of some jobs."""
        owners = dict(zip(jobs, self._each(
            'GET', [(self._key(k, 'owned'),) for k in jobs]), strict=True))
        free = [k for k, owner in owners.items()
                if not isinstance(owner, bytes)]
        touched = dict(zip(free, self._each(
            'EXISTS', [(self._key(k, 'last_modified'),) for k in free]),
            strict=True))
        # What ended between the questions has no owner, and is not free.
        there = dict(zip(free, self._each(
            'HEXISTS', [(self._key('listings'), k) for k in free]),
            strict=True))
        return [self._state(job, owners[key], bool(touched.get(key)))
                for key, job in jobs.items() if there.get(key, 1)]

    def _each(self, command, arguments):
        self._connection.renew()
        return [self._checked(answer, command) for answer in
                self._connection.pipeline([(command, *a) for a in arguments])]

    def _state(self, job, owner, touched):
        if not isinstance(owner, bytes):
            return job._replace(lapsed=touched)
        return job._replace(owner=self._text(owner),
                            expires=self._expires(job.key))

    def _expires(self, uuid):
        if self._asked >= _ASKED:
            return None
        self._asked += 1
        left = self._ask(('PTTL', self._key(uuid, 'owned')))
        return left / 1000 if isinstance(left, int) and left >= 0 else None

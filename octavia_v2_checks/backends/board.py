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

"""The jobs on a board, as the server stores them.

The listing of TaskFlow is never used: it deletes what it cannot decode,
creates what is missing, and hides errors. Here the raw entries are read, and
only the parts that identify them; the rest is certificates, keys and tokens.
"""

from collections.abc import Iterator
import json
from typing import Any
from typing import NamedTuple
from typing import Protocol


class Job(NamedTuple):
    """One entry of a board.

    :ivar key: how the server names it
    :ivar name: None where the entry cannot be decoded; so is ``book`` then
    :ivar book: uuid of its logbook
    :ivar load_balancer: id of its load balancer, if the entry has it
    :ivar owner: the conductor that holds a live claim, or None
    :ivar lapsed: whether it is known to have been claimed and released without
        being finished
    :ivar expires: seconds until the claim ends unless renewed, None where it
        ends with the session of its owner or is not known
    """

    key: str
    name: str | None = None
    book: str | None = None
    load_balancer: str | None = None
    owner: str | None = None
    lapsed: bool = False
    expires: float | None = None


class Board(Protocol):
    """An open connection to one board; a context manager.

    Every method only reads, and raises :class:`net.Fault` and nothing else.

    :ivar place: how a message names it
    :ivar trash: how a message names its trash
    """

    place: str
    trash: str

    def count(self) -> int:
        """Return how many jobs there are, as the server counts them."""
        ...

    def pages(self) -> Iterator[list[Job]]:
        """Yield all jobs, some at a time; those that stay throughout are not
        missed, unless there are more than 20,000.
        """
        ...

    def trashed(self) -> int:
        """Return how many jobs are in the trash."""
        ...

    def workers(self) -> list[str]:
        """Return the hosts with a live worker, if the board has that
        information."""
        ...

    def removal(self, keys: list[str]) -> str:
        """Return the commands that remove jobs from the board."""
        ...

    def emptying(self) -> str:
        """Return the commands that empty the trash."""
        ...

    def __enter__(self) -> 'Board':
        ...

    def __exit__(self, *exc: object) -> None:
        ...


def decode(key: str, data: bytes, owner: str | None = None,
           **state: Any) -> Job:
    """Return the job that a JSON posting describes."""
    try:
        posting = json.loads(data)
    except ValueError:
        return Job(key, owner=owner, **state)
    return describe(key, posting, owner, **state)


def describe(key: str, posting: Any, owner: str | None = None,
             **state: Any) -> Job:
    """Return the job of a posting, whatever the entry contains."""
    name = _at(posting, 'name')
    if name is None:
        return Job(key, owner=owner, **state)
    return Job(
        key, name, _at(posting, 'book', 'uuid'),
        _at(posting, 'details', 'store', 'loadbalancer_id')
        or _at(posting, 'details', 'store', 'loadbalancer',
               'loadbalancer_id'), owner, **state)


def owner_of(data: bytes | None) -> str | None:
    """Return the conductor named in a JSON lock; None if there is none."""
    if data is None:
        return None
    try:
        return _at(json.loads(data), 'owner') or 'unknown'
    except ValueError:
        return 'unknown'


def _at(value, *path):
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) else None

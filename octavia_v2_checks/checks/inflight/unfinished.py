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

"""The unfinished flows of the persistence database, kept in little memory."""

from collections.abc import Iterable
from collections.abc import Sequence
import contextlib

from octavia_v2_checks.backends import database
from octavia_v2_checks.backends import net
from octavia_v2_checks.backends.database import logbooks


def key(book: str) -> bytes:
    """Return a uuid in 16 bytes: there may be a hundred thousand."""
    try:
        short = bytes.fromhex(book.replace('-', ''))
    except ValueError:
        short = b''
    return short if len(short) == 16 else book.encode()


def text(short: bytes) -> str:
    """Return the uuid that :func:`key` was given."""
    if len(short) != 16:
        return short.decode()
    long = short.hex()
    return '-'.join((long[:8], long[8:12], long[12:16], long[16:20],
                     long[20:]))


def named(stored: logbooks.Logbooks, books: Sequence[str]) -> list[str]:
    """Return how a message names the flows of a few logbooks.

    What the database does not have is omitted, down to the logbooks.
    """
    known: dict[str, tuple[str, str | None]] = {}
    with contextlib.suppress(database.QueryError, net.Fault):
        known = stored.named(books)
    names = []
    for book in books:
        name = f'logbook {book}'
        if book in known:
            flow, load_balancer = known[book]
            if load_balancer:
                name = f'load balancer {load_balancer}, {name}'
            name = f'{flow} ({name})'
        names.append(name)
    return names


class Stored:
    """The unfinished flows of the persistence database.

    :ivar flows: key of the logbook -> number of the call, negative where no
        worker has begun it
    :ivar calls: how flows are built, each kind once
    """

    def __init__(self, pages: Iterable[list[logbooks.Flow]]):
        numbers: dict[logbooks.Call, int] = {}
        self.flows: dict[bytes, int] = {}
        for page in pages:
            for flow in page:
                number = numbers.setdefault(flow.call, len(numbers) + 1)
                self.flows[key(flow.book)] = (
                    number if flow.state else -number)
        self.calls = list(numbers)

    def number(self, book: str | None) -> int | None:
        """Return the value of ``flows`` for a logbook, None if it has none."""
        return self.flows.get(key(book)) if book else None

    def call(self, number: int) -> logbooks.Call:
        """Return the call that a value of ``flows`` stands for."""
        return self.calls[abs(number) - 1]

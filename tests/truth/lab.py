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


"""The servers of a run, each started once, when it is first asked for."""

from collections.abc import Callable
import contextlib
import functools
import itertools
from typing import Any
from typing import NamedTuple

from tests.servers import process
from tests.servers import scripts
from tests.servers import tls

#: What a place answers on no port and a name has no address.
NOWHERE = 'no-such-host.invalid'


class Lab:
    """Servers that live as long as a stack of contexts.

    Use it in the main thread: servers die with the thread that started them.
    """

    def __init__(self, stack: contextlib.ExitStack):
        self._stack = stack
        self._servers: dict[str, Any] = {}
        self._numbers = itertools.count(1)
        self.directory = process.directory('octavia-truth-')
        stack.callback(process.remove, self.directory)

    def server(self, name: str, make: Callable[[], Any]) -> Any:
        """A server; *make* makes it if there is none of this name."""
        if name not in self._servers:
            self._servers[name] = self._stack.enter_context(make())
        return self._servers[name]

    def name(self, prefix: str) -> str:
        """A name that nothing else has in this run."""
        return f'{prefix}{next(self._numbers)}'

    def certificate(self, **options: Any) -> tls.Certificate:
        """A new certificate for a server at loopback addresses."""
        return self.authority.server(self.name('server-'), **options)

    @functools.cached_property
    def authority(self) -> tls.Authority:
        """Whom all servers and clients trust."""
        return tls.Authority(self.directory / 'authority')

    @functools.cached_property
    def stranger(self) -> tls.Authority:
        """Whom nobody trusts."""
        return tls.Authority(self.directory / 'stranger', 'A stranger')

    @functools.cached_property
    def client(self) -> tls.Certificate:
        """What a worker shows to servers that ask for a certificate."""
        return self.authority.client('worker')

    @functools.cached_property
    def strange_client(self) -> tls.Certificate:
        """A certificate that no server accepts."""
        return self.stranger.client('stranger')

    @property
    def closed(self) -> int:
        """A port on loopback that refuses."""
        return self.server('closed', scripts.Refuse).port

    @property
    def silent(self) -> int:
        """A port on loopback that accepts and says nothing."""
        return self.server('silent', scripts.Silent).port


class Kind(NamedTuple):
    """A row of one of the two tables of systems.

    :ivar family: the product, which is what results are counted by
    :ivar make: starts it; a generator function would hide that it lives on
    :ivar traits: what changes may ask for, such as ``tls`` and ``login``
    :ivar weight: how often it is drawn
    :ivar since: the first release of Octavia that can use it
    """

    name: str
    family: str
    make: Callable[[Lab], Any]
    traits: frozenset[str]
    weight: int
    since: int


class Table:
    """Kinds by name, in the order in which they stand in a module.

    :param tables: those whose kinds are also in this one, one after the other
    """

    def __init__(self, *tables: 'Table') -> None:
        self.kinds: dict[str, Kind] = {}
        for table in tables:
            self.kinds |= table.kinds

    def __call__(self, name: str, *traits: str, weight: int = 1,
                 since: int = 0):
        """Register a function that makes a system of a kind.

        The family is the name up to its first hyphen.
        """
        def register(make):
            self.kinds[name] = Kind(
                name, name.partition('-')[0], make, frozenset(traits),
                weight, since)
            return make

        return register

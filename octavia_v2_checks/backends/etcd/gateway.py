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

"""The JSON gateway of etcd, asked as etcd3gw asks it.

Only questions are here: nothing puts, deletes, grants a lease or watches.
"""

import base64
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any
from typing import NamedTuple

from octavia_v2_checks import clock as clocks
from octavia_v2_checks.backends import net
from octavia_v2_checks.backends.etcd import http

#: What an error text has in it -> slug. The numbers of gRPC tell less.
_ERRORS = (
    ('user name is empty', 'auth-unsupported'),
    ('invalid auth token', 'auth-unsupported'),
    ('permission denied', 'auth-unsupported'),
    ('database space exceeded', 'out-of-space'),
    ('no leader', 'no-quorum'),
    ('request timed out', 'no-quorum'),
    ('leader changed', 'no-quorum'),
    # The gateway is a client of etcd itself, with the server's certificate.
    ('connection closed', 'tls'),
    ('connection error', 'tls'),
    ('authentication handshake failed', 'tls'),
)

#: What etcd with authentication on says, in plain text, to whoever shows a
#: certificate with a name: at the gateway it logs nobody in.
_NAMED_CERTIFICATE = b'CommonName of client'

_TEXTS = {
    'auth-unsupported': 'demands a login, and Octavia cannot log in to etcd.',
    'out-of-space': 'has used up its space and takes no writes.',
    'no-quorum': 'has no leader, or loses it now and then.',
    'tls': 'has a gateway that cannot connect to etcd itself.',
}


_TOO_LONG = 'too-long'

#: How many entries of a scan to ask for first; then bytes of a page, and of
#: what comes with each entry.
_FIRST = 100
_PAGE = 1024 * 1024
_OVERHEAD = 80


class Status(NamedTuple):
    """What a member says about itself.

    :ivar member: its number
    :ivar leader: the leader's, None if it knows none
    :ivar alarms: ``NOSPACE``, ``CORRUPT``
    :ivar revision: of the whole store
    """

    member: str
    leader: str | None
    alarms: frozenset[str]
    revision: int | None


class Member(NamedTuple):
    """A member as the others know it.

    :ivar urls: where its clients shall find it
    :ivar votes: whether it counts for a quorum
    """

    id: str
    name: str
    urls: tuple[str, ...]
    votes: bool


class Gateway:
    """One etcd server.

    Every question raises :class:`net.Fault` where there is no proper answer.

    :param client: the way to it
    :param clock: gives the clock of one question
    :ivar path: the gateway's path, to be set once it is known
    """

    def __init__(self, client: http.Client,
                 clock: Callable[[], clocks.Clock], path: str = ''):
        self._client = client
        self._clock = clock
        self.peer = client.peer
        self.path = path

    def version(self) -> str | None:
        """Return the version that it says, None where it says none."""
        answer = self._ask('/version')
        version = answer.json().get('etcdserver')
        if answer.status == 200 and isinstance(version, str):
            return version
        return None

    def status(self) -> Status:
        """Ask it how it is."""
        said = self._post('maintenance/status', {})
        errors = ' '.join(_strings(said.get('errors')))
        return Status(
            str(said['header'].get('member_id') or ''),
            said.get('leader') or None,
            frozenset(a for a in ('NOSPACE', 'CORRUPT')
                      if f'alarm:{a}' in errors),
            _number(said['header'].get('revision')))

    def members(self) -> list[Member]:
        """Ask who belongs to its cluster."""
        listed = _list(self._post('cluster/member/list', {}).get('members'))
        return [Member(str(m.get('ID', '')), str(m.get('name') or ''),
                       tuple(_strings(m.get('clientURLs'))),
                       not m.get('isLearner'))
                for m in listed if isinstance(m, dict)]

    def count(self, prefix: str) -> int:
        """Return how many keys begin with a prefix.

        The answer is agreed upon by a majority, as those that workers get.
        """
        said = self._post('kv/range', _prefix(prefix) | {'count_only': True})
        return _number(said.get('count')) or 0

    def scan(self, prefix: str, keys_only: bool = False
             ) -> Iterator[list[tuple[str, bytes]]]:
        """Yield all keys that begin with a prefix, and their values, in order.

        As many at a time as make an answer of some size: each question costs
        etcd a walk over all keys of the prefix.

        :param keys_only: leave the values with the server
        """
        asked = _prefix(prefix) | {'keys_only': keys_only}
        size = _FIRST
        while True:
            try:
                said = self._post('kv/range', asked | {'limit': size})
            except net.Fault as fault:
                if fault.detail != _TOO_LONG or size == 1:
                    raise
                size = max(1, size // 10)
                continue
            # All of it as it was when the first part was read.
            asked.setdefault('revision', said['header'].get('revision'))
            listed = said.get('kvs') or []
            pairs = self._pairs(listed)
            yield pairs
            if not pairs or not said.get('more'):
                return
            last = base64.b64decode(listed[-1]['key'])
            asked['key'] = base64.b64encode(last + b'\0').decode()
            length = sum(_OVERHEAD + len(k) + len(v) for k, v in pairs)
            size = max(1, _PAGE * len(pairs) // length)

    def seconds_left(self, lease: int) -> int | None:
        """Return when a lease ends, None if there is no such lease."""
        seconds = _number(self._post('lease/timetolive', {'ID': lease}).get(
            'TTL'))
        return seconds if seconds is not None and seconds >= 0 else None

    def range(self, prefix: str) -> dict[str, bytes]:
        """Return all keys that begin with a prefix, and their values."""
        return dict(self._pairs(
            self._post('kv/range', _prefix(prefix)).get('kvs') or []))

    def _pairs(self, listed):
        try:
            return [(base64.b64decode(pair['key']).decode('utf-8', 'replace'),
                     base64.b64decode(pair.get('value') or ''))
                    for pair in listed]
        except (KeyError, TypeError, AttributeError, ValueError):
            raise self._no_gateway() from None

    def _post(self, question: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self._ask(f'{self.path}{question}', body)
        said = answer.json()
        if answer.status == 200 and isinstance(said.get('header'), dict):
            return said
        error = said.get('error')
        if answer.body.startswith(_NAMED_CERTIFICATE):
            error = 'user name is empty'
        if not isinstance(error, str):
            raise self._no_gateway(answer.status)
        for words, slug in _ERRORS:
            if words in error:
                raise net.Fault(slug, f'{self.peer} {_TEXTS[slug]}',
                                host=self.peer, detail='gateway')
        raise net.Fault(
            'undetermined', f'{self.peer} answered {question} with an error '
            f'(HTTP {answer.status}, gRPC {_number(said.get("code"))}).',
            host=self.peer)

    def _no_gateway(self, status=200):
        if status == 404:
            return net.Fault(
                'wrong-protocol', f'{self.peer} has no gateway at '
                f'{self.path}.', host=self.peer, detail='path')
        return net.Fault(
            'wrong-protocol', f'{self.peer} answers at {self.path} with HTTP '
            f'status {status}, and not as etcd does.', host=self.peer,
            detail='path')

    def _ask(self, path: str, body: Any = None) -> http.Answer:
        try:
            return self._client.ask(self._clock(), path, body)
        except ConnectionError:
            raise net.Fault(
                'refused', f'{self.peer} closed the connection before it had '
                f'answered.', host=self.peer) from None
        except http.TooLong:
            raise net.Fault(
                'undetermined', f'{self.peer} answered {path} with more than '
                f'{http.LIMIT} bytes.', host=self.peer, detail=_TOO_LONG
            ) from None
        except http.Malformed:
            raise net.Fault(
                'wrong-protocol', f'{self.peer} does not answer as etcd '
                f'does.', host=self.peer) from None


def _prefix(prefix: str) -> dict[str, str]:
    """Return the range of all keys that begin with a prefix."""
    key = prefix.encode()
    end = key[:-1] + bytes((key[-1] + 1,))
    return {'key': base64.b64encode(key).decode(),
            'range_end': base64.b64encode(end).decode()}


def _list(value):
    return value if isinstance(value, list) else []


def _strings(value):
    """Return what is a string in what may be a list."""
    return [v for v in _list(value) if isinstance(v, str)]


def _number(value):
    """Return the number, which JSON of gRPC writes as a string, or None."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None

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

"""Requests to etcd through its JSON gateway, in a child process.

All of them read: nothing puts, deletes, grants a lease or watches.
Answers are plain data.
"""

import base64
from collections.abc import Iterator
import json
from typing import Any

from octavia_v2_checks.backends import net
from octavia_v2_checks.backends import served
from octavia_v2_checks.upstream import clients_etcd

#: Part of an error text -> slug. The numbers of gRPC tell less.
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

#: What etcd with authentication enabled answers, in plain text, to a client
#: certificate with a name: the gateway does not authenticate with it.
_NAMED_CERTIFICATE = b'CommonName of client'

_TEXTS = {
    'auth-unsupported': 'requires authentication, and Octavia cannot '
                        'authenticate to etcd.',
    'out-of-space': 'has used up its space and accepts no writes.',
    'no-quorum': 'has no leader, or loses it from time to time.',
    'tls': 'has a gateway that cannot connect to etcd itself.',
}

_COMPACTED = 'compacted'

_LOGIN = 401
_NOT_FOUND = 404

#: How many entries of a scan to request first; then bytes of a page, and the
#: overhead of each entry.
_FIRST = 100
_PAGE = 1024 * 1024
_OVERHEAD = 80


class Server:
    """One etcd server.

    Every request raises :class:`net.Fault` where there is no proper answer.

    :param url: of the server, without a path
    :param arguments: what TaskFlow hands to etcd3gw
    :param timeout: as for :class:`session.Session`
    :param path: of the gateway, if it is known
    """

    def __init__(self, url: str, arguments: dict[str, Any],
                 timeout: float | None, path: str | None = None):
        served.step('importing requests')
        try:
            from octavia_v2_checks.backends.etcd import session
        except ImportError as exc:
            raise net.Fault(
                'client-missing', f'etcd3gw needs the Python module '
                f'{exc.name}, which is not installed.') from None
        self._session = session.Session(url, arguments, timeout)
        self.peer = self._session.peer
        self._path = path

    def environment(self) -> dict[str, Any]:
        """Return what the environment and the files mean to requests."""
        return {'proxy': self._session.proxy(),
                'bundle': self._session.bundle(),
                'login': self._session.login(),
                'unloadable': self._session.unloadable()}

    def version(self) -> tuple[int, str | None]:
        """Return the HTTP status, and the version if it is reported."""
        answer = self._session.ask('/version')
        version = _object(answer.body).get('etcdserver')
        return answer.status, version if isinstance(version, str) else None

    def use(self, path: str) -> None:
        """Set where the gateway is."""
        self._path = path

    def paths(self) -> list[str]:
        """Return the known paths at which there is a gateway."""
        found = []
        for path in clients_etcd.PATHS:
            answer = self._session.ask(f'{path}maintenance/status', {})
            if answer.status == 200 and 'header' in _object(answer.body):
                found.append(path)
        return found

    def status(self) -> dict[str, Any]:
        """Request its status.

        :returns: ``member``, its number; ``leader``, None if it knows none;
            ``learner``; ``alarms``, of NOSPACE and CORRUPT; ``revision`` of
            the store
        """
        said = self._post('maintenance/status', {})
        errors = ' '.join(_strings(said.get('errors')))
        leader = said.get('leader')
        return {'member': str(said['header'].get('member_id') or ''),
                'leader': str(leader) if _number(leader) else None,
                'learner': said.get('isLearner') is True,
                'alarms': [a for a in ('NOSPACE', 'CORRUPT')
                           if f'alarm:{a}' in errors],
                'revision': _number(said['header'].get('revision'))}

    def members(self) -> list[dict[str, Any]]:
        """Request the members of its cluster.

        :returns: of each ``id``, ``name``, ``urls`` where its clients find
            it, and ``votes``, whether it counts for a quorum
        """
        listed = _list(self._post('cluster/member/list', {}).get('members'))
        return [{'id': str(m.get('ID', '')), 'name': str(m.get('name') or ''),
                 'urls': _strings(m.get('clientURLs')),
                 'votes': not m.get('isLearner')}
                for m in listed if isinstance(m, dict)]

    def count(self, prefix: str) -> int:
        """Return how many keys begin with a prefix.

        The answer is confirmed by a majority, as for workers.
        """
        said = self._post('kv/range', _prefix(prefix) | {'count_only': True})
        return _number(said.get('count')) or 0

    def tally(self, prefix: str, suffix: str) -> Iterator[int]:
        """Yield how many keys of a prefix have a suffix, part by part."""
        for page in self.scan(prefix, keys_only=True):
            yield sum(key.endswith(suffix) for key, _ in page)

    def jobs(self, prefix: str) -> Iterator[list[tuple]]:
        """Yield the jobs whose keys begin with a prefix, some at a time.

        :returns: the fields of :class:`board.Job`
        """
        from octavia_v2_checks.backends.etcd import board
        return board.listed(self, prefix)

    def scan(self, prefix: str, keys_only: bool = False
             ) -> Iterator[list[tuple[str, bytes]]]:
        """Yield all keys that begin with a prefix, and their values, in order.

        As many at a time as fit into an answer of moderate size: for each
        request, etcd walks over all keys of the prefix.

        :param keys_only: do not request the values
        """
        asked = _prefix(prefix) | {'keys_only': keys_only}
        size = _FIRST
        while True:
            try:
                said = self._post('kv/range', asked | {'limit': size})
            except net.Fault as fault:
                if fault.detail == 'too-long' and size > 1:
                    size = max(1, size // 10)
                elif fault.detail != _COMPACTED or not asked.pop(
                        'revision', None):
                    raise
                continue
            # All of it as it was when the first part was read, unless etcd has
            # compacted that revision.
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

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def _pairs(self, listed):
        try:
            return [(base64.b64decode(pair['key']).decode('utf-8', 'replace'),
                     base64.b64decode(pair.get('value') or ''))
                    for pair in listed]
        except (KeyError, TypeError, AttributeError, ValueError):
            raise self._no_gateway(200) from None

    def _post(self, question: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self._session.ask(f'{self._path}{question}', body)
        said = _object(answer.body)
        if answer.status == 200 and isinstance(said.get('header'), dict):
            return said
        # Newer gateways have the second name only.
        error = said.get('error', said.get('message'))
        if answer.body.startswith(_NAMED_CERTIFICATE):
            error = 'user name is empty'
        if not isinstance(error, str):
            raise self._no_gateway(answer.status)
        raise self._refusal(question, answer.status, error,
                            _number(said.get('code')))

    def _refusal(self, question, status, error, code):
        """Return the fault that an error text of etcd stands for."""
        if 'not supported for learner' in error:
            return net.Fault(
                'not-writable', f'{self.peer} is a learner: it copies the '
                                'data of the other members, and serves no '
                                'clients.', host=self.peer,
                detail='learner')
        for words, slug in _ERRORS:
            if words in error:
                return net.Fault(slug, f'{self.peer} {_TEXTS[slug]}',
                                 host=self.peer, detail='gateway')
        return net.Fault(
            'undetermined', f'{self.peer} answered {question} with an error '
            f'(HTTP {status}, gRPC {code}).', host=self.peer,
            detail=_COMPACTED if 'has been compacted' in error else None)

    def _no_gateway(self, status):
        if status == _LOGIN:
            return net.Fault(
                'auth-unsupported', f'{self.peer} requires authentication '
                                    f'(HTTP status {status}), and Octavia has '
                                    'no credentials for etcd.', host=self.peer)
        if status == _NOT_FOUND:
            return net.Fault(
                'wrong-protocol', f'{self.peer} has no gateway at '
                f'{self._path}.', host=self.peer, detail='path')
        return net.Fault(
            'wrong-protocol', f'{self.peer} answers at {self._path} with HTTP '
                              f'status {status}, which is not an answer of '
                              'etcd.', host=self.peer)


def _object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a body, empty if there is none."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _prefix(prefix: str) -> dict[str, Any]:
    """Return the range of all keys that begin with a prefix."""
    key = prefix.encode()
    end = key[:-1] + bytes((key[-1] + 1,))
    return {'key': base64.b64encode(key).decode(),
            'range_end': base64.b64encode(end).decode()}


def _list(value):
    return value if isinstance(value, list) else []


def _strings(value):
    """Return a string from a value that may be a list."""
    return [v for v in _list(value) if isinstance(v, str)]


def _number(value):
    """Return the number, which JSON of gRPC writes as a string, or None."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None

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

"""One session with ZooKeeper, in a child process, by the client of a worker.
"""

import collections
from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import json
import shlex
import ssl
import struct
import sys
from typing import Any

from octavia_v2_checks.backends import board
from octavia_v2_checks.backends import net
from octavia_v2_checks.backends import witness
from octavia_v2_checks.backends.zookeeper import access
from octavia_v2_checks.upstream import clients_zookeeper
from octavia_v2_checks.upstream import versions

#: How many jobs are passed on at once, and requested at once: a posting may
#: have 1 MB.
_PAGE = 200
_AHEAD = 40

#: Errors with which a server requires authentication.
_LOGIN = (-115, -124)

_LOCK = '.lock'
_JOB = 'job'


class Session:
    """Answers questions about the board, in a child process.

    :param arguments: the arguments of the kazoo client of a worker
    :param namespace: of the jobboard
    """

    def __init__(self, arguments: dict[str, Any], namespace: str):
        self._witness = witness.Witness()
        _, chroot = clients_zookeeper.members(arguments['hosts'])
        self._paths = clients_zookeeper.paths(namespace, chroot)
        self._arguments = arguments
        self._peer = ''
        self._client: Any = None

    def load(self) -> None:
        """Make the client.

        :raises net.Fault: if it is missing or incomplete
        """
        try:
            from kazoo import exceptions

            from octavia_v2_checks.backends.zookeeper import reader
        except Exception as exc:
            raise _unloaded(exc) from None
        self._errors, self._reader = exceptions, reader
        # Our paths are absolute: they begin with the chroot.
        hosts = self._arguments['hosts'].partition('/')[0]
        self._client = reader.Reader(**self._arguments | {'hosts': hosts})

    def connect(self, peers: list[tuple[str, str, int]]) -> dict[str, Any]:
        """Begin a session, as a worker does.

        :param peers: ``host:port``, address and port of the members that
            serve: for each of the others, a worker waits
        :returns: ``peer``; ``version`` of the server, None if kazoo cannot
            determine it; ``fault``, why that failed otherwise
        :raises net.Fault: where no session is granted
        """
        client = self._client
        client.set_hosts(','.join(peer for peer, *_ in peers))
        try:
            address = client.open()
        except self._reader.Lost:
            raise self._lost(peers[0][0]) from None
        self._peer = next((peer for peer, *where in peers
                           if where == list(address)),
                          net.endpoint(*address))
        version, fault = self._version()
        return {'peer': self._peer, 'version': version,
                'fault': fault and fault.plain()}

    def close(self) -> None:
        """End the session, so that the server removes it at once."""
        if self._client and self._client.connected:
            self._client.stop()

    def faults(self) -> list[tuple]:
        """Return missing permissions of a worker, each as the parts of a
        fault.

        :raises net.Fault: where the server does not tell
        """
        with self._asking():
            return [fault.plain() for fault in access.faults(
                self, self._peer, self._paths)]

    def exists(self, path: str) -> bool | None:
        """Return whether there is such a znode; None if it may not be seen.
        """
        try:
            return self._ask('exists', path) is not None
        except self._errors.NoAuthError:
            # Since ZooKeeper 3.9 that requires a separate permission.
            return None

    def grants(self, path: str) -> list[access.Grant] | None:
        """Return the access control list; None where the server does not show
        it.
        """
        try:
            entries, _ = self._ask('get_acls', path)
        except self._errors.NoAuthError:
            return None
        return [access.Grant(
            access.Permission(entry.perms & 31),
            access.Identity(entry.id.scheme or '', entry.id.id or ''))
            for entry in entries]

    def identities(self) -> list[access.Identity] | None:
        """Return our identities; None where the server is too old to tell."""
        try:
            return [access.Identity(*who) for who in self._client.whoami()]
        except self._errors.ZookeeperError as exc:
            if exc.code in _LOGIN:
                raise
            return None

    def children(self, path: str) -> list[str]:
        """Return the names below a path; none if it does not exist."""
        with self._asking():
            try:
                return self._ask('get_children', path)
            except self._errors.NoNodeError:
                return []

    def jobs(self) -> Iterator[list[tuple]]:
        """Yield all jobs, each as the parts of a :class:`board.Job`."""
        names, locked = listed(self.children(self._paths.board))
        for start in range(0, len(names), _PAGE):
            with self._asking():
                yield list(self._jobs(names[start:start + _PAGE], locked))

    def count(self) -> int:
        """Return how many jobs there are."""
        return len(listed(self.children(self._paths.board))[0])

    def trashed(self, most: int) -> tuple[int, list[str]]:
        """Return how many jobs are in the trash, and the first of them."""
        names = sorted(n for n in self.children(self._paths.trash)
                       if n.startswith(self._paths.trashed))
        return len(names), names[:most]

    def workers(self) -> list[str]:
        """Return the hosts with a live worker."""
        folder = self._paths.conductors
        names = self.children(folder)[:_PAGE]
        with self._asking():
            return sorted({_host(data) for data in self._contents(
                f'{folder}/{name}' for name in names) if data})

    def _version(self):
        """Ask for the version, as TaskFlow does on a fresh connection."""
        try:
            return list(self._client.server_version()), None
        except self._errors.KazooException:
            return None, None if self._client.answered else self._alone()
        except ssl.SSLError as exc:
            return None, _fails(self._peer, exc)
        except OSError:
            return None, self._alone()
        except Exception as exc:
            return None, _fails(self._peer, exc)

    def _alone(self):
        """Return the fault of a server that grants no second connection."""
        return net.Fault(
            'refused', f'{self._peer} serves a session and refuses a second '
                       'connection, on which TaskFlow asks for the version. '
                       'Probably maxClientCnxns in zoo.cfg allows too few '
                       'clients from one host.',
            'Raise maxClientCnxns in zoo.cfg of every member and restart it, '
            'or stop other clients of ZooKeeper on this host.', self._peer)

    def _ask(self, question: str, path: str) -> Any:
        return self._client.result(
            getattr(self._client, f'{question}_async')(path))

    def _contents(self, paths: Iterable[str]) -> Iterator[bytes | None]:
        """Yield the contents of znodes, None for one that does not exist."""
        asked: collections.deque = collections.deque()
        for path in paths:
            asked.append(self._client.get_async(path))
            if len(asked) == _AHEAD:
                yield self._content(asked.popleft())
        while asked:
            yield self._content(asked.popleft())

    def _content(self, pending):
        try:
            return self._client.result(pending)[0] or b''
        except self._errors.NoNodeError:
            return None

    def _jobs(self, names, locked):
        board_ = self._paths.board.rstrip('/')
        claimed = [n for n in names if n in locked]
        owners = dict(zip(claimed, map(board.owner_of, self._contents(
            f'{board_}/{n}{_LOCK}' for n in claimed)), strict=True))
        # Each posting is released before the next is received: some are large.
        contents = self._contents(f'{board_}/{n}' for n in names)
        for name, data in zip(names, contents, strict=True):
            # A job that has ended in the meantime has no content.
            if data is not None:
                yield tuple(board.decode(name, data, owners.get(name)))

    @contextlib.contextmanager
    def _asking(self):
        """Turn what kazoo raises into faults."""
        try:
            yield
        except self._reader.Lost:
            raise self._lost(self._peer) from None
        except self._errors.ZookeeperError as exc:
            raise _refused(self._peer, exc.code) from None
        except (struct.error, IndexError, UnicodeDecodeError):
            raise _malformed(self._peer) from None

    def _lost(self, peer):
        """Return the fault of a session that ended, or never began."""
        error, code = self._client.error, self._client.code
        seen = self._witness.fault
        if code in _LOGIN or str(error) == 'Invalid error code':
            return _refused(peer, code)
        if seen and seen.slug == 'tls':
            return _nameless(seen.host or peer, seen.detail)
        if seen and seen.detail != 'closed':
            return seen
        if isinstance(error, (self._reader.Malformed, struct.error,
                              IndexError, ValueError, RuntimeError)):
            return _malformed(peer)
        if error:
            return _fails(peer, error)
        return net.Fault(
            'refused', f'{peer} closed the connection instead of serving a '
            f'session, as it does with more clients than maxClientCnxns in '
            f'zoo.cfg, or when it has just lost its quorum.', host=peer)


def listed(names: list[str]) -> tuple[list[str], set[str]]:
    """Return the names of jobs, and of those with a claim."""
    return (sorted(n for n in names
                   if n.startswith(_JOB) and not n.endswith(_LOCK)),
            {n.removesuffix(_LOCK) for n in names if n.endswith(_LOCK)})


def _host(data: bytes) -> str:
    try:
        return str(json.loads(data)['metadata']['hostname'])
    except (ValueError, KeyError, TypeError):
        return 'unknown'


def _unloaded(exc: Exception) -> net.Fault:
    if isinstance(exc, ModuleNotFoundError) and exc.name == 'kazoo':
        return net.Fault('client-missing', 'kazoo is not installed.',
                         option='jobboard_backend_driver')
    return net.Fault(
        'client-fails', f'kazoo {versions.installed("kazoo")} is installed '
        f'and does not load ({type(exc).__name__}).',
        f'{shlex.quote(sys.executable)} -m pip install --force-reinstall '
        f'kazoo', option='jobboard_backend_driver')


def _nameless(peer: str, detail: str | None) -> net.Fault:
    """Return the fault of a server that refuses TLS to kazoo only.

    Our own handshake names the host, and succeeded a moment ago.
    """
    return net.Fault(
        'client-fails', f'{peer} accepts a TLS connection that names the '
        f'host (SNI) and refuses that of kazoo '
        f'{versions.installed("kazoo")}, which names none (SSLError: '
        f'{detail or "closed"}).',
        'Configure what terminates TLS there to accept clients that name no '
        'host, or name the ZooKeeper servers themselves in '
        'jobboard_backend_hosts.',
        peer, 'jobboard_zookeeper_ssl_options', detail)


def _fails(peer: str, exc: BaseException) -> net.Fault:
    """Return the fault of a client that cannot do what a worker needs."""
    return net.Fault(
        'client-fails', f'kazoo {versions.installed("kazoo")} cannot use '
        f'{peer} ({type(exc).__name__}).',
        'Install another release of kazoo.', peer)


def _malformed(peer: str) -> net.Fault:
    return net.Fault('wrong-protocol', f'{peer} does not speak the protocol '
                     f'of ZooKeeper.', host=peer)


def _refused(peer: str, code: int | None) -> net.Fault:
    if code in _LOGIN:
        return net.Fault(
            'auth-unsupported', f'{peer} requires authentication, and Octavia '
                                'cannot authenticate to ZooKeeper.', host=peer)
    return net.Fault('undetermined', f'{peer} refused to answer (ZooKeeper '
                     f'error {code}).', host=peer)

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

"""Evaluates what the access control lists of ZooKeeper permit a worker."""

from collections.abc import Iterator
from collections.abc import Sequence
import enum
import ipaddress
import shlex
from typing import NamedTuple
from typing import Protocol

from octavia_v2_checks.backends import net
from octavia_v2_checks.upstream import clients_zookeeper


class Permission(enum.IntFlag):
    """Bits of an access control list."""

    READ = 1
    WRITE = 2
    CREATE = 4
    DELETE = 8
    ADMIN = 16


class Identity(NamedTuple):
    """An identity in an access control list."""

    scheme: str
    name: str


class Grant(NamedTuple):
    """One entry of an access control list."""

    permissions: Permission
    identity: Identity


class Session(Protocol):
    """What answers the questions of :func:`faults`."""

    def exists(self, path: str) -> bool | None:
        """Return whether there is a znode; None if it may not be seen."""
        ...

    def grants(self, path: str) -> list[Grant] | None:
        """Return the access control list; None where it is not shown."""
        ...

    def identities(self) -> list[Identity] | None:
        """Return our identities; None where the server does not tell."""
        ...


ANYONE = Identity('world', 'anyone')

#: Schemes that require authentication, which Octavia cannot provide.
_LOGINS = frozenset({'digest', 'sasl'})

#: Schemes that identify clients without authentication.
_PLACES = frozenset({'ip', 'x509'})

#: As zkCli.sh writes them, and in its order.
_LETTERS = {'c': Permission.CREATE, 'd': Permission.DELETE,
            'r': Permission.READ, 'w': Permission.WRITE,
            'a': Permission.ADMIN}


def faults(session: Session, peer: str, paths: clients_zookeeper.Paths
           ) -> Iterator[net.Fault]:
    """Ask what a worker may do with the znodes it uses.

    :param peer: ``host:port`` of the server
    """
    lists = {path: (needed, session.grants(path))
             for path, needed in _needed(session, paths).items()}
    # Our identity matters only where an entry names anybody but all.
    named = any(grant.identity.scheme in _PLACES
                for _, grants in lists.values() for grant in grants or ())
    identities = session.identities() if named else ()
    for path, (needed, grants) in lists.items():
        fault = judge(peer, path, needed, grants, identities)
        if fault:
            yield fault


def _needed(session, paths):
    """Return the znodes that matter, and what a worker needs of each.

    Where one is missing, a worker creates it below the nearest existing
    ancestor; what it creates itself is open to everybody. It checks whether
    they exist, for which ZooKeeper 3.9 requires READ.
    """
    needed: dict[str, Permission] = {}
    for path, wanted in (
            (paths.board, Permission.READ | Permission.CREATE
             | Permission.DELETE),
            (paths.trash, Permission.CREATE),
            (paths.made, Permission(0)),
            (paths.conductors, Permission.CREATE)):
        there = path
        while (seen := session.exists(there)) is False and there != '/':
            there = there.rpartition('/')[0] or '/'
        permissions = wanted if there == path else Permission.CREATE
        if seen is None:
            permissions |= Permission.READ
        needed[there] = needed.get(there, Permission(0)) | permissions
    return {path: wanted for path, wanted in needed.items() if wanted}


def judge(peer: str, path: str, needed: Permission,
          grants: Sequence[Grant] | None,
          identities: Sequence[Identity] | None) -> net.Fault | None:
    """Determine whether a list grants what is needed.

    :param grants: the list; None where the server does not show it
    :param identities: our identities; None where the server is too old to tell
    :returns: ``auth-unsupported``, ``missing-permission``, ``undetermined``,
        or None where all is granted
    """
    if grants is None and needed & Permission.READ:
        # Who may read a znode may see its list.
        return net.Fault(
            'missing-permission', f'{peer} permits this client neither to use '
                                  f'{path} nor to read its ACL; a worker '
                                  f'needs {_names(needed)}.',
            _remedy(peer, path, needed, None), host=peer)
    if grants is None:
        return net.Fault(
            'undetermined', f'{peer} does not show the ACL of {path}; a '
                            f'worker needs {_names(needed)}.',
            _remedy(peer, path, needed | Permission.READ, None), host=peer)
    granted = Permission(0)
    for grant in grants:
        if _is(grant.identity, identities or ()):
            granted |= grant.permissions
    missing = needed & ~granted
    if not missing:
        return None
    schemes = {g.identity.scheme for g in grants if g.permissions & missing}
    if identities is None and schemes & _PLACES:
        return net.Fault(
            'undetermined', f'{path} on {peer} is open to some addresses or '
                            'certificates, and this release of ZooKeeper does '
                            'not tell whether this client is one of them.',
            'Run the check with ZooKeeper 3.7 or later, or give the rights '
            'to world:anyone.', host=peer)
    who = ('authenticated users only, and Octavia cannot '
           'authenticate' if schemes & _LOGINS
           else 'others' if schemes else 'nobody')
    return net.Fault(
        'auth-unsupported' if schemes & _LOGINS else 'missing-permission',
        f'{path} on {peer} grants {_names(missing)} to {who}.',
        _remedy(peer, path, needed, grants), host=peer)


def _is(identity, identities):
    if identity == ANYONE or identity in identities:
        return True
    if identity.scheme != 'ip':
        return False
    try:
        network = ipaddress.ip_network(identity.name, strict=False)
        return any(ipaddress.ip_address(i.name) in network
                   for i in identities if i.scheme == 'ip')
    except ValueError:
        return False


def _names(permissions):
    return ', '.join(str(p.name) for p in _LETTERS.values()
                     if p & permissions)


def _remedy(peer, path, needed, grants):
    """Return what adds the missing permissions to the existing ones."""
    if grants is None or any(g.identity.scheme in _LOGINS for g in grants):
        # What the server shows of these cannot be set again.
        return ('As a user with permission to, add '
                f'world:anyone:{_letters(needed)} to the ACL of {path} with '
                'zkCli.sh (addauth, getAcl, setAcl), and protect ZooKeeper by '
                'ip: entries, TLS client certificates or a firewall.')
    rights = needed
    entries = []
    for grant in grants:
        if grant.identity == ANYONE:
            rights |= grant.permissions
        else:
            entries.append(f',{grant.identity.scheme}:{grant.identity.name}:'
                           + _letters(grant.permissions))
    return (f'zkCli.sh -server {peer} setAcl {shlex.quote(path)} '
            f'world:anyone:'
            + _letters(rights) + ''.join(entries))


def _letters(permissions):
    return ''.join(letter for letter, permission in _LETTERS.items()
                   if permission & permissions)

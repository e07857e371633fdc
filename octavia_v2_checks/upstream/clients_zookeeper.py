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


"""What a worker passes to kazoo, and which znodes it uses.

Octavia joins hosts and port to a text, which kazoo splits again; TaskFlow
derives paths from the namespace by joining and replacing text. Both treat
slashes in unusual ways, so their rules are reproduced exactly.
"""

import posixpath
from typing import Any
from typing import NamedTuple
from urllib import parse

from octavia_v2_checks.upstream import switches

#: Seconds that a session lasts unless it is renewed, kazoo's own default. A
#: connection attempt to one member may take as long.
SESSION = 10.0

#: What TaskFlow passes on, and its defaults. It converts booleans.
_OPTIONS = {'read_only': False, 'randomize_hosts': False, 'keyfile': None,
            'keyfile_password': None, 'certfile': None, 'use_ssl': False,
            'verify_certs': True}

_JOB = 'job'

#: Characters that no server takes in a path: control characters, and what
#: Java has in two halves or in a range for private use.
REFUSED = '[\0-\x1f\x7f-\x9f\ud800-\uf8ff\ufff0-\U0010ffff]'


def hosts(names: list[str], port: int) -> str:
    """Return the text that names the members, as Octavia writes it."""
    return ','.join(f'{name}:{port}' for name in names)


def client(ensemble: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of KazooClient, plain data.

    :param ensemble: from :func:`hosts`
    :param options: ``jobboard_zookeeper_ssl_options``
    """
    made: dict[str, Any] = {'hosts': ensemble}
    for name, default in _OPTIONS.items():
        value = options.get(name, default)
        if isinstance(default, bool):
            value = switches.is_true(value, default)
        made[name] = value
    return made


def members(ensemble: str) -> tuple[list[tuple[str, int]], str]:
    """Split hosts as kazoo does.

    :returns: (host, port) of each member, and the chroot, '' if there is
        none
    :raises ValueError: where kazoo raises it
    """
    listed, slash, chroot = ensemble.partition('/')
    found = []
    for text in listed.split(','):
        url = parse.urlsplit(f'zookeeper://{text}')
        if url.hostname is None:
            raise ValueError(text)
        found.append((url.hostname.strip(), int(url.port or 2181)))
    return found, normal(slash + chroot) if chroot else ''


def normal(path: str) -> str:
    """Return a path as kazoo sends it.

    :raises ValueError: for a path that kazoo refuses
    """
    parts = [part for part in path.split('/') if part]
    if {'.', '..'} & set(parts):
        raise ValueError(path)
    return '/' + '/'.join(parts)


class Paths(NamedTuple):
    """The znodes of one jobboard, below the chroot.

    :ivar board: below which the jobs are
    :ivar trash: below which are the jobs that no worker could begin
    :ivar trashed: prefix of their names
    :ivar made: what TaskFlow creates instead of the trash
    :ivar conductors: below which the live workers are
    :ivar claimable: whether TaskFlow finds a job that it has posted
    """

    board: str
    trash: str
    trashed: str
    made: str
    conductors: str
    claimable: bool


def paths(namespace: str, chroot: str = '') -> Paths:
    """Return the paths of TaskFlow for a namespace of Octavia.

    :raises ValueError: where kazoo does
    """
    given = f'/{namespace}'
    # The last part is replaced wherever it occurs, even if it is empty.
    last = given.rpartition('/')[2]
    trash = given.replace(last, '.trash')
    listed = posixpath.join(given, _JOB)
    job = normal(listed)
    made = normal(f'{chroot}/{trash}')
    trashed = (normal(f'{chroot}/{job.replace(given, trash)}')
               if listed == job else f'{made}/{_JOB}')
    return Paths(
        board=normal(chroot + given),
        trash=posixpath.dirname(trashed),
        trashed=posixpath.basename(trashed),
        made=made,
        conductors=normal(
            f'{chroot}/{given.replace(last, ".entities")}/conductor'),
        claimable=listed == job)


def patience(octavia: str | None) -> float:
    """Return the seconds that a worker waits for its first session.

    :param octavia: the installed version, if any
    """
    # Since 19.0 Octavia starts the client, before it was TaskFlow.
    return 15.0 if octavia and int(octavia.partition('.')[0]) >= 19 else 10.0

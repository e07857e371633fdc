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

"""What a drill is called, on the board and in the database.

The name contains the process that runs the drill, and how long it can last, so
that another drill knows what was left behind and what is still in use.
"""

import functools
import hashlib
import os
import re
import secrets
import socket
import time
from typing import NamedTuple

from octavia_v2_checks import statements

#: Prefix of the names of logbooks and flows.
PREFIX = statements.DRILL

#: Seconds for which "drill finish" may continue what "drill begin" left.
BEGUN_SECONDS = 3600

_FORM = '([db])([0-9a-f]{6})([0-9a-f]{8})([0-9a-f]{6})[0-9a-f]{4}'
_ID = re.compile(_FORM)
_OWNED = re.compile(f'{PREFIX}({_FORM})(?:-.*)?')


class Id(NamedTuple):
    """A drill.

    :ivar text: the text in every name
    :ivar begun: whether another host is to finish it
    :ivar host: the machine or container on which it was started
    :ivar end: when it is certainly over, in seconds since 1970
    :ivar pid: of its loader, which lives as long as the drill runs
    """

    text: str
    begun: bool
    host: str
    end: int
    pid: int

    @property
    def running(self) -> bool:
        """Whether it is running, or may be on another host."""
        if self.host == _host():
            return _lives(self.pid) and time.time() < self.end
        return not self.begun and time.time() < self.end

    @property
    def in_use(self) -> bool:
        """Whether it runs, or waits for another host to finish it."""
        return self.running or (self.begun and time.time() < self.end)


def make(seconds: float, pid: int, begun: bool = False) -> Id:
    """Return the id of a new drill.

    :param seconds: how long it can last, if another host does not finish it
    :param pid: of its loader
    """
    end = int(time.time() + (BEGUN_SECONDS if begun else seconds))
    return parse(f'{"b" if begun else "d"}{_host()}{end:08x}'
                 f'{pid:06x}{secrets.token_hex(2)}')


def parse(text: str) -> Id:
    """Return the drill of a text.

    :raises ValueError: if it is not the name of a drill
    """
    match = _ID.fullmatch(text)
    if not match:
        raise ValueError('not the id of a drill')
    kind, host, end, pid = match.groups()
    return Id(text, kind == 'b', host, int(end, 16), int(pid, 16))


def owner(name: str) -> Id | None:
    """Return the drill whose logbook or flow has a name, if it is one."""
    match = _OWNED.fullmatch(name)
    return parse(match[1]) if match else None


def namespace(base: str, id_: Id) -> str:
    """Return the namespace of a drill.

    :param base: ``jobboard_backend_namespace``
    """
    # TaskFlow joins paths: a trailing slash would place it inside the real
    # board.
    return f'{base.rstrip("/")}_drill_{id_.text}'


def in_namespace(base: str, text: str) -> Id | None:
    """Return the drill of a namespace, if it is that of one."""
    stem = f'{base.rstrip("/")}_drill_'
    match = _ID.fullmatch(text.removeprefix(stem))
    return parse(match[0]) if match and text.startswith(stem) else None


@functools.cache
def _host() -> str:
    """Return what distinguishes the namespaces of process ids."""
    try:
        pids = os.readlink('/proc/self/ns/pid')
    except OSError:
        pids = ''
    place = f'{socket.gethostname()} {pids}'
    return hashlib.sha256(place.encode()).hexdigest()[:6]


def _lives(pid: int) -> bool:
    try:
        with open(f'/proc/{pid}/stat', 'rb') as stream:
            state = stream.read().rpartition(b')')[2].split()[0]
    except OSError:
        return False
    # It has ended, but its exit code was not collected.
    return state != b'Z'

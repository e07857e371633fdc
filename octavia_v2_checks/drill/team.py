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

"""The children of a drill, as the director sees them."""

from collections.abc import Iterable
import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from typing import Any

from octavia_v2_checks import clock
from octavia_v2_checks.drill import channel

_BOOT = ('import json, sys; sys.path[:] = json.loads(sys.argv[2]); '
         'from octavia_v2_checks.drill import loader; '
         'loader.main(int(sys.argv[1]))')

#: Seconds until a process that was killed is gone.
_DEATH = 5.0


class Member:
    """A keeper or a conductor.

    :ivar role: which of them
    :ivar pid: known once it is ready
    """

    def __init__(self, role: str, line: channel.Channel):
        self.role = role
        self.line = line
        self.pid: int | None = None

    def send(self, message: channel.Message) -> None:
        """Send an order; do nothing if it is gone."""
        with contextlib.suppress(OSError):
            self.line.send(message)

    def kill(self) -> None:
        """Kill it, and wait until the system has closed what it had open."""
        with contextlib.suppress(OSError):
            if self.pid is None:
                # It ends when its socket is closed.
                self.line.socket.shutdown(socket.SHUT_WR)
            else:
                os.kill(self.pid, signal.SIGKILL)
        end = time.monotonic() + _DEATH
        with contextlib.suppress(OSError):
            while time.monotonic() < end:
                self.line.socket.settimeout(_DEATH)
                if self.line.receive() is None:
                    return


class Team:
    """The loader, and what was forked from it.

    :param files: configuration files, later ones win
    """

    def __init__(self, files: Iterable[str]):
        self._control, theirs = socket.socketpair(
            socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._loader = self._start(theirs)
        self._control.send(json.dumps({'files': list(files)}).encode())
        self._selector = selectors.DefaultSelector()
        self._waiting: list[tuple[Member, channel.Message]] = []

    def _start(self, control: socket.socket) -> subprocess.Popen:
        # A separate session: Ctrl-C is for the director only.
        return subprocess.Popen(  # noqa: S603
            [sys.executable, '-c', _BOOT, str(control.fileno()),
             json.dumps(sys.path)], pass_fds=[control.fileno()],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True)

    @property
    def pid(self) -> int:
        """The process id of the loader."""
        return self._loader.pid

    def loaded(self, time_left: clock.Clock) -> channel.Message:
        """Return the result of loading Octavia.

        :raises clock.OutOfTime: if that takes too long
        """
        self._control.settimeout(time_left.require())
        try:
            data = self._control.recv(65536)
        except TimeoutError:
            raise clock.OutOfTime from None
        return json.loads(data) if data else {
            'event': 'unloaded', 'missing': False, 'classes': [],
            'code': None, 'where': None}

    def fork(self, role: str, **spec: Any) -> Member:
        """Start a member.

        :raises OSError: if the loader is gone
        """
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._control, [json.dumps(
                {'role': role, **spec}).encode()], [theirs.fileno()])
        member = Member(role, channel.Channel(ours))
        self._selector.register(ours, selectors.EVENT_READ, member)
        return member

    def next(self, time_left: clock.Clock
             ) -> tuple[Member, channel.Message]:
        """Return the next message, and whose it is.

        A member that has ended reports ``ended`` itself, or is reported as
        ``gone``.

        :raises clock.OutOfTime: if there is none in time
        """
        while not self._waiting:
            for key, _ in self._selector.select(time_left.require()):
                member = key.data
                messages = member.line.receive()
                if messages is None:
                    self._selector.unregister(key.fileobj)
                    messages = [{'event': 'gone'}]
                self._waiting += [(member, m) for m in messages]
        member, message = self._waiting.pop(0)
        if message['event'] == 'ready':
            member.pid = message['pid']
        return member, message

    def kill(self, member: Member) -> None:
        """Kill a member, and discard its pending messages."""
        if member.line.socket in self._selector.get_map():
            self._selector.unregister(member.line.socket)
        self._waiting = [w for w in self._waiting if w[0] is not member]
        member.kill()
        member.line.close()

    def kill_all(self, role: str) -> None:
        """Kill all members of a role."""
        for key in list(self._selector.get_map().values()):
            if key.data.role == role:
                self.kill(key.data)

    def end(self) -> None:
        """Kill all that is left."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._loader.pid, signal.SIGKILL)
        self._loader.wait()
        for key in list(self._selector.get_map().values()):
            key.data.line.close()
        self._selector.close()
        self._control.close()

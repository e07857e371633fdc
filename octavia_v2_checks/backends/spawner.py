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

"""A process without threads that forks children on request.

It was itself forked before there was any thread, and ends with us.
"""

from collections.abc import Callable
import contextlib
import functools
import marshal
import os
import signal
import socket
import threading
import time
from typing import Any
import warnings
import weakref

from octavia_v2_checks.backends import channel
from octavia_v2_checks.backends import served

#: Seconds for a child to say good-bye to its server.
FAREWELL = 0.5


class Spawner:
    """A process without threads that forks children on request.

    Make it before the first thread is started.
    """

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with warnings.catch_warnings():
            # Where somebody else's thread runs, Python 3.12 warns on stderr.
            warnings.simplefilter('ignore', DeprecationWarning)
            pid = os.fork()
        if not pid:
            _leave(functools.partial(_spawn, theirs))
        theirs.close()
        self._control = ours
        self._lock = threading.Lock()
        self._last = 0
        self.close = weakref.finalize(self, _end, ours, pid)

    def start(self, seconds: float, target: str, args: tuple
              ) -> tuple[int, socket.socket]:
        """Start a child.

        :param seconds: after which it ends in any case
        :returns: its number and our end of its socket
        """
        ours, theirs = socket.socketpair()
        with self._lock, theirs:
            self._last += 1
            self._request(theirs, self._last, seconds, target, args)
            return self._last, ours

    def kill(self, number: int, died: bool = False) -> str:
        """End a child.

        :param died: whether it has closed its socket, so that it is about
            to end by itself
        :returns: the name of the signal that ended it then, or ''
        """
        with self._lock:
            try:
                self._request(None, number, died)
                self._control.settimeout(1)
                code = self._control.recv(1)
            except OSError:
                return ''
        try:
            return signal.Signals(code[0]).name if code else ''
        except ValueError:
            return ''

    def _request(self, end: socket.socket | None, *message: Any) -> None:
        data = marshal.dumps(message)
        socket.send_fds(self._control, [channel.HEADER.pack(len(data))],
                        [end.fileno()] if end else [])
        self._control.sendall(data)


def _end(control: socket.socket, pid: int) -> None:
    """Let a spawner end, and its children with it."""
    control.close()
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass  # somebody else waits for every child of this process


def _leave(function: Callable[[], None]) -> None:
    """Do something in a forked process, and never return."""
    try:
        function()
    except BaseException:
        os._exit(1)
    os._exit(0)


def _spawn(control: socket.socket) -> None:
    """Fork children, kill them, and wait for requests; the spawner itself."""
    _detach(control)
    pids: dict[int, int] = {}
    try:
        while True:
            header, ends, _, _ = socket.recv_fds(
                control, channel.HEADER.size, 1)
            if not header:
                break
            (size,) = channel.HEADER.unpack(header)
            message = marshal.loads(  # noqa: S302
                control.recv(size, socket.MSG_WAITALL))
            if ends:
                number, seconds, target, args = message
                pid = os.fork()
                if not pid:
                    control.close()
                    _leave(functools.partial(
                        served.serve, socket.socket(fileno=ends[0]), seconds,
                        target, args))
                os.close(ends[0])
                pids[number] = pid
            else:
                number, died = message
                code = _ended(pids.pop(number, 0), FAREWELL if died else 0)
                control.send(bytes([code]))
    finally:
        end = time.monotonic() + FAREWELL
        for pid in pids.values():
            _ended(pid, end - time.monotonic())


def _ended(pid: int, patience: float) -> int:
    """Wait for a child to end, and end it when patience is over.

    :param patience: seconds
    :returns: the signal by which it ended before that, or 0
    """
    if not pid:
        return 0
    end = time.monotonic() + patience
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        if time.monotonic() >= end:
            break
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return 0


def _detach(keep: socket.socket) -> None:
    """Let go of all that a forked process has of its parent's.

    What was open leads to /dev/null: were it closed, a log handler would
    write into the connection that gets its number next.
    """
    null = os.open(os.devnull, os.O_RDWR)
    for name in os.listdir('/proc/self/fd'):
        if int(name) not in (keep.fileno(), null):
            with contextlib.suppress(OSError):
                os.dup2(null, int(name))
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        # Ctrl-C is for the parent, which ends us.
        action = {signal.SIGINT: signal.SIG_IGN,
                  signal.SIGPIPE: signal.SIG_IGN}.get(number, signal.SIG_DFL)
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, action)

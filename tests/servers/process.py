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

"""A server program: started, awaited and stopped by its handle."""

from __future__ import annotations

import atexit
import fcntl
import functools
import os
import pathlib
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

LOOPBACK = '127.0.0.1'
START_TIMEOUT = 90.0
STOP_TIMEOUT = 20.0

# Below the ephemeral range, so that no outgoing connection takes the port
# between the moment it is chosen and the moment the server binds it.
_PORTS = range(20000, 32000)
_RANDOM = random.SystemRandom()

#: A directory for the many files of databases, and for what the processes of
#: a test run share.
SHARED = 'OCTAVIA_TESTS_SHARED'

#: Bytes there for each process of a run: more than twice what it needs.
_ENOUGH = 1 << 30


class NotInstalled(Exception):
    """The program of a server is not on this machine."""


class StartError(Exception):
    """A server ended, or did not answer, while it was starting."""


def find(*names: str) -> str:
    """The path of the first program of *names* that is installed.

    :raises NotInstalled: where there is none.
    """
    path = os.pathsep.join((os.environ.get('PATH', os.defpath),
                            '/usr/local/sbin', '/usr/sbin', '/sbin'))
    for name in names:
        found = shutil.which(name, path=path)
        if found:
            return found
    raise NotInstalled(f'none of {", ".join(names)} is installed')


def free_port(*hosts: str) -> int:
    """A port nobody uses on any of *hosts* (127.0.0.1 without one)."""
    while True:
        port = _RANDOM.choice(_PORTS)
        if all(_is_free(host, port) for host in hosts or (LOOPBACK,)):
            return port


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    with socket.socket(family) as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def directory(prefix: str = 'octavia-', place: str | None = None
              ) -> pathlib.Path:
    """A new temporary directory that another user may enter.

    :param place: in which; otherwise where such directories usually are
    """
    path = pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir=place))
    path.chmod(0o755)
    return path


def memory(processes: int) -> str | None:
    """Where files are kept in memory, if there is enough for a test run."""
    place = '/dev/shm'
    if 'TMPDIR' in os.environ or not os.path.ismount(place):
        return None
    found = os.statvfs(place)
    enough = found.f_bavail * found.f_frsize >= processes * _ENOUGH
    return place if enough else None


def shared(name: str, fill: Callable[[pathlib.Path], None]) -> pathlib.Path:
    """A directory that only the first process of a test run fills.

    :param fill: does it
    """
    place = pathlib.Path(os.environ.get(SHARED) or _own())
    path = place / name
    with open(place / f'{name}.lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            part = place / f'{name}.part'
            remove(part)
            part.mkdir()
            fill(part)
            part.rename(path)
    return path


@functools.cache
def _own() -> pathlib.Path:
    """Where this process shares with none."""
    path = directory('octavia-shared-')
    atexit.register(remove, path)
    return path


def remove(path: pathlib.Path) -> None:
    """Remove a directory of :func:`directory`."""
    shutil.rmtree(path, ignore_errors=True)


def user_for(*names: str) -> str | None:
    """Who runs a server that refuses root: None unless we are root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in (*names, 'nobody') if name in known)


def give(path: str | os.PathLike, user: str | None) -> None:
    """Hand *path* and what is below it to *user*."""
    if user is None:
        return
    shutil.chown(path, user)
    for parent, folders, files in os.walk(path):
        for name in (*folders, *files):
            shutil.chown(os.path.join(parent, name), user)


def run(*command: str, user: str | None = None) -> None:
    """Run a set-up command to its end.

    :raises StartError: with what it printed, when it fails.
    """
    done = subprocess.run([*_as(user), *command], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          cwd='/', text=True, errors='replace')
    if done.returncode:
        raise StartError(f'{command[0]} ended with {done.returncode}:\n'
                         f'{done.stdout}')


def wait_until(condition, what: str, timeout: float = START_TIMEOUT) -> None:
    """Poll *condition* until it is true.

    :raises StartError: when *timeout* seconds have passed.
    """
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise StartError(f'{what} within {timeout} s')
        time.sleep(0.03)


def hold(server, number: int, refusal: type[Exception]) -> list:
    """Connections of an administrator, which the caller closes.

    :param number: all that the server has; earlier ones may be about to end
    :param refusal: what is raised while they have not ended
    """
    held = []

    def complete():
        try:
            held.append(server.connect())
        except refusal:
            return False
        return len(held) == number

    wait_until(complete, f'fewer than {number} connections')
    return held


def _as(user: str | None) -> list[str]:
    if user is None:
        return []
    entry = pwd.getpwnam(user)
    return [find('setpriv'), f'--reuid={entry.pw_uid}',
            f'--regid={entry.pw_gid}', '--clear-groups']


class Server:
    """One server process.

    A subclass says how to prepare the directory, which command to run and
    how to see that the server answers. The process gets SIGKILL when the
    thread that started it ends, so start servers in the main thread.

    :ivar host: the loopback address it listens on.
    :ivar port: its port; kept over a restart.
    :ivar dir: its directory, removed by :meth:`close`.
    :ivar log: the file with everything it printed.
    """

    user: str | None = None
    #: Whether it has hundreds of small files.
    many_files = False
    #: What puts it on another host, of :mod:`tests.servers.elsewhere`.
    inside: tuple[str, ...] = ()
    stop_signal = signal.SIGTERM

    def __init__(self, host: str = LOOPBACK, port: int | None = None) -> None:
        self.host = host
        self.port = port or free_port(host)
        self.dir = directory(
            place=os.environ.get(SHARED) if self.many_files else None)
        self.log = self.dir / 'server.log'
        self._process: subprocess.Popen | None = None
        self._prepared = False

    def prepare(self) -> None:
        """Fill the directory; called once, before the first start."""

    def argv(self) -> list[str]:
        """The command line of the server."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """What is added to the environment of the server."""
        return {}

    def answers(self) -> bool:
        """Whether the server answers its clients by now."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *exc_info) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The process id; only while it was started."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    def start(self, wait: bool = True) -> Self:
        """Start it on its port, and wait until it answers.

        :raises StartError: with the end of the log.
        """
        if self.running:
            return self
        if not self._prepared:
            self.prepare()
            give(self.dir, self.user)
            self._prepared = True
        with self.log.open('ab') as log:
            self._process = subprocess.Popen(
                [*self.inside, find('setpriv'), *_as(self.user)[1:],
                 '--pdeathsig=KILL', *self.argv()],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.dir, env={**os.environ, **self.environment()})
        if wait:
            self.wait()
        return self

    def wait(self) -> None:
        """Wait until it answers.

        :raises StartError: with the end of the log.
        """
        def ready() -> bool:
            if not self.running:
                raise StartError(f'{self} ended')
            return self.answers()

        try:
            wait_until(ready, f'{self} did not answer')
        except StartError as exc:
            self.kill()
            raise StartError(f'{exc}\n{self._tail()}') from None

    def stop(self) -> None:
        """Ask it to end; kill it if it does not. The data stay."""
        if self._process is None:
            return
        self._process.send_signal(self.stop_signal)
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it as a power cut would. The data stay."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def restart(self) -> Self:
        """Stop it and start it again on the same port."""
        self.stop()
        return self.start()

    def close(self) -> None:
        """Kill it and remove its directory."""
        self.kill()
        remove(self.dir)

    def _tail(self) -> str:
        text = self.log.read_text(errors='replace')
        return '\n'.join(text.splitlines()[-20:])

    def __str__(self) -> str:
        return f'{type(self).__name__} at {self.host}:{self.port}'

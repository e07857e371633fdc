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

"""Our commands and Octavia's, in processes that need no time to start.

Servers for all processes of a test run have imported what the commands use,
and fork for each request: one for ``octavia-v2-checks``, which is small and
therefore forks fast, one with Octavia, and one for ``octavia-db-manage``,
which registers options that the others register in another way. What is
forked has its own environment, streams, user and working directory. Where the
very start of a process is what a test is about, the test starts the installed
command instead: see the fixture ``real_start``.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import fcntl
import gc
import importlib
import json
import os
import pathlib
import pkgutil
import runpy
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from typing import Any
from typing import NoReturn
import warnings

import stevedore

import octavia_v2_checks
from octavia_v2_checks import plugins
from tests.servers import process

#: Where the server's socket is; set by the first process of a test run.
PLACE = 'OCTAVIA_TESTS_ZYGOTE'


def _own():
    from octavia_v2_checks import cli
    return cli.main()


def _status():
    from octavia.cmd import status
    from oslo_upgradecheck import upgradecheck
    # Its own main() has the arguments of whoever imported it.
    return upgradecheck.main(status.CONF, project='octavia',
                             upgrade_command=status.Checks(),
                             argv=sys.argv[1:])


def _db_manage():
    from octavia.db.migration import cli
    return cli.main()


#: What can be forked: console scripts, and modules run with ``-m``.
SCRIPTS = {'octavia-v2-checks': _own, 'octavia-status': _status,
           'octavia-db-manage': _db_manage}
RUN_AS_MODULE = ('tests.worker_board', 'tests.octavia_worker',
                 'tests.octavia_board', 'tests.made_clients', 'tests.loader',
                 'tests.truth.worker', 'tests.truth.stock')

#: What has to be there when an interpreter starts cannot be set afterwards.
_AT_START = ('PYTHON', 'LC_', 'LANG', 'LD_', 'COVERAGE_')

#: What the children of octavia-v2-checks use.
CHECKING = ('sqlalchemy.dialects.mysql.pymysql', 'pymysql', 'psycopg2',
            'psycopg', 'sqlalchemy.dialects.postgresql.psycopg2',
            'sqlalchemy.dialects.postgresql.psycopg', 'redis.sentinel',
            'kazoo.client', 'requests', 'alembic.runtime.migration',
            'xml.etree.ElementTree', 'encodings.ascii', 'netrc',
            'psycopg2.extras', 'resource')

#: What the stock command, the drill, and workers use.
WORKING = (*CHECKING, 'etcd3gw', 'taskflow.jobs.backends',
           'taskflow.jobs.backends.impl_redis',
           'taskflow.jobs.backends.impl_zookeeper',
           'taskflow.jobs.backends.impl_etcd',
           'taskflow.persistence.backends.impl_sqlalchemy', 'prettytable',
           'wcwidth', 'importlib_metadata._adapters', 'octavia.cmd.status',
           'octavia.common.base_taskflow', 'taskflow.engines',
           'taskflow.engines.action_engine.engine',
           'taskflow.persistence.backends.impl_memory',
           'octavia.controller.worker.v2.taskflow_jobboard_driver',
           'tests.worker_board')

#: What octavia-db-manage uses.
MANAGING = ('octavia.db.migration.cli', 'pymysql', 'psycopg2', 'psycopg',
            'sqlalchemy.dialects.mysql.pymysql',
            'sqlalchemy.dialects.postgresql.psycopg2',
            'alembic.runtime.migration',
            'taskflow.persistence.backends.impl_sqlalchemy')

_MODULES = {'check': CHECKING, 'work': WORKING, 'manage': MANAGING}

_ROOT = pathlib.Path(__file__).parent.parent


class Forked:
    """A process of the server's, with what tests use of a ``Popen``."""

    def __init__(self, connection: socket.socket, pid: int,
                 argv: Sequence[str]):
        self._connection = connection
        self.pid = pid
        self.args = argv
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended; its exit code.

        :raises subprocess.TimeoutExpired: where it does not end in time
        """
        if self.returncode is None:
            self._connection.settimeout(timeout)
            try:
                self.returncode, = struct.unpack('i', _exactly(
                    self._connection, 4))
            except TimeoutError:
                raise subprocess.TimeoutExpired(
                    self.args, timeout or 0) from None
            self._connection.close()
        return self.returncode

    def kill(self) -> None:
        """Kill it, if it has not ended."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


def serves(argv: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Whether a command can be forked instead of started."""
    if PLACE not in os.environ or any(
            name.startswith(_AT_START) and os.environ.get(name) != value
            for name, value in environment.items()):
        return False
    if argv[0] == sys.executable:
        return argv[1] == '-m' and argv[2] in RUN_AS_MODULE
    return argv[0] in _scripts()


def start(argv: Sequence[str], *, environment: Mapping[str, str],
          cwd: str | os.PathLike = '/', stdin: int, stdout: int, stderr: int,
          user: int = 0) -> Forked:
    """Fork a command that the server :func:`serves`.

    :param environment: all of it
    :param stdin: an open file, as are the next two
    :param user: its user id
    """
    request = json.dumps({
        'argv': list(argv), 'environment': dict(environment),
        'cwd': os.fspath(cwd), 'user': user}).encode()
    connection = _connected(_kind(argv))
    head = struct.pack('I', len(request))
    socket.send_fds(connection, [head], [stdin, stdout, stderr])
    connection.sendall(request)
    pid, = struct.unpack('i', _exactly(connection, 4))
    return Forked(connection, pid, argv)


def open_place() -> str:
    """Choose where the server of this test run will be, if there is one."""
    os.environ[PLACE] = tempfile.mkdtemp(
        prefix=f'octavia-zygote-{os.getpid()}-')
    return os.environ[PLACE]


def close_place(place: str) -> None:
    """End the server, if there was one."""
    folder = pathlib.Path(place)
    for pid in folder.glob('pid-*'):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid.read_text()), signal.SIGTERM)
    shutil.rmtree(folder)
    del os.environ[PLACE]


def _scripts() -> dict[str, Any]:
    folder = pathlib.Path(sys.executable).parent
    return {str(folder / name): main for name, main in SCRIPTS.items()}


def _kind(argv: Sequence[str]) -> str:
    """Which of the servers is to fork it."""
    if argv[0].endswith('octavia-db-manage'):
        return 'manage'
    return 'check' if argv[0].endswith('octavia-v2-checks') and (
        'drill' not in argv) else 'work'


def _connected(kind: str) -> socket.socket:
    """A connection to a server, which is started where there is none."""
    place = os.environ[PLACE]
    path = os.path.join(place, f'socket-{kind}')
    connection = socket.socket(socket.AF_UNIX)
    with open(os.path.join(place, 'lock'), 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(path):
            _launch(kind, place, path)
    connection.connect(path)
    return connection


def _launch(kind, place, path):
    """Start the server; it listens before it has imported anything."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        os.chmod(path, 0o600)
        listener.listen(64)
        environment = {k: v for k, v in os.environ.items()
                       if not k.startswith('OS_') and k != PLACE}
        server = subprocess.Popen(
            [sys.executable, '-m', 'tests.zygote', kind, place,
             str(listener.fileno())], pass_fds=[listener.fileno()], cwd=_ROOT,
            env=environment, stdin=subprocess.DEVNULL,
            start_new_session=True)
    # Whoever ends the test run ends it.
    server.returncode = 0
    pathlib.Path(place, f'pid-{kind}').write_text(str(server.pid))


def _exactly(connection, size):
    data = b''
    while len(data) < size:
        more = connection.recv(size - len(data))
        assert more, 'the server of tests.zygote has ended'
        data += more
    return data


def _serve(kind: str, place: str, listener: socket.socket) -> None:
    """Fork for each request, until the test run has ended."""
    # As the command does it when it starts.
    gc.set_threshold(50_000)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        _load(kind)
    # What is forked would copy all of it to count references.
    gc.freeze()
    with selectors.DefaultSelector() as waiting:
        waiting.register(listener, selectors.EVENT_READ)
        # The one that is to end this may have been killed.
        while os.path.exists(f'/proc/{place.rsplit("-")[-2]}'):
            for key, _ in waiting.select(1.0):
                if key.data is None:
                    _accept(listener, waiting)
                else:
                    waiting.unregister(key.fd)
                    _ended(key.fd, *key.data)
    for folder in (place, os.environ.get(process.SHARED)):
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def preload(modules: Sequence[str]) -> None:
    """Import modules, of which older releases have fewer."""
    for name in modules:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def _load(kind):
    """Import what the commands use."""
    found = pkgutil.walk_packages(octavia_v2_checks.__path__,
                                  'octavia_v2_checks.')
    for module in found:
        if not module.name.endswith('__main__') and (
                kind == 'work' or '.drill.' not in module.name):
            importlib.import_module(module.name)
    preload(_MODULES[kind])
    # Another user may not be allowed to look into this Python.
    stevedore.ExtensionManager('oslo.config.driver')
    plugins.find('octavia_v2_checks.reports')
    if kind == 'work':
        from tests import loader
        loader.install()


def _accept(listener, waiting):
    connection, _ = listener.accept()
    try:
        head, streams, _, _ = socket.recv_fds(connection, 4, 3)
        request = json.loads(_exactly(
            connection, struct.unpack('I', head)[0]))
        pid = os.fork()
        if not pid:
            _run(request, streams)
        for stream in streams:
            os.close(stream)
        connection.sendall(struct.pack('i', pid))
    except (OSError, struct.error, AssertionError):
        connection.close()  # who asked has ended
        return
    waiting.register(os.pidfd_open(pid), selectors.EVENT_READ,
                     (pid, connection))


def _ended(pidfd, pid, connection):
    os.close(pidfd)
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(OSError):
        connection.sendall(struct.pack(
            'i', os.waitstatus_to_exitcode(status)))
    connection.close()


def _run(request: dict[str, Any], streams: list[int]) -> NoReturn:
    """Become what is asked for, and never return."""
    code: Any = 1
    try:
        _become(request, streams)
        argv = request['argv']
        if argv[0] in _scripts():
            sys.argv = argv
            code = _scripts()[argv[0]]()
        else:
            sys.argv = [argv[0], *argv[3:]]
            runpy.run_module(argv[2], run_name='__main__', alter_sys=True)
            code = 0
    except SystemExit as exc:
        code = exc.code
    except BaseException:
        traceback.print_exc()
    if isinstance(code, str):
        sys.stderr.write(f'{code}\n')
        code = 1
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code or 0)


def _become(request, streams):
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    # Nothing of the server's stays open; its objects are never used again.
    os.closerange(3, 4096)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, 'w', closefd=False)
    sys.stderr = os.fdopen(2, 'w', 1, errors='backslashreplace',
                           closefd=False)
    os.chdir(request['cwd'])
    os.environ.clear()
    os.environ.update(request['environment'])
    time.tzset()
    if request['user']:
        os.setgroups([])
        os.setgid(request['user'])
        os.setuid(request['user'])


if __name__ == '__main__':
    _serve(*sys.argv[1:3], socket.socket(fileno=int(sys.argv[3])))

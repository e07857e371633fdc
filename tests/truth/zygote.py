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

"""Both doors and a worker, in processes that need no time to start.

``python -m tests.truth.zygote`` imports all that they use, as far as the
installed release of Octavia has it, and then forks for each line on its
stdin. It is :mod:`tests.zygote` for releases whose libraries that does not
know, and for modules with a function ``main``.
"""

import contextlib
import importlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from typing import Any

from tests import cells
from tests import commands

#: Seconds after which a run is ended by force; no test gets as far.
_HANGS = 60.0

MODULES = ('sqlalchemy.dialects.mysql.pymysql', 'pymysql', 'redis',
           'alembic.runtime.migration', 'taskflow.persistence', 'prettytable',
           'octavia.cmd.status', 'xml.etree.ElementTree', 'encodings.ascii')


class Zygote:
    """The process that forks, as a test sees it.

    :param modules: what it imports beside all that the commands use
    """

    def __init__(self, *modules: str):
        self._modules = modules

    def __enter__(self) -> 'Zygote':
        self._process = subprocess.Popen(
            [sys.executable, '-m', 'tests.truth.zygote', *self._modules],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=commands.environment(),
            cwd=pathlib.Path(__file__).parents[2])
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.communicate()

    def run(self, door: str, *args: str, environ: dict[str, str],
            feed: str | None = None, stdin: str = os.devnull,
            cwd: str = '/', user: int = 0, limit: float = _HANGS
            ) -> cells.Outcome:
        """Run a command to its end.

        :param door: ``own``, ``stock``, or a module with a function ``main``
        :param environ: the whole environment
        :param feed: what another process writes into its stdin
        :param stdin: the file that is its stdin otherwise
        :param user: its user id
        :param limit: seconds after which it is killed
        """
        with tempfile.TemporaryDirectory() as place:
            paths = [os.path.join(place, name) for name in ('out', 'err')]
            request: dict[str, Any] = {
                'door': door, 'args': args, 'environ': environ, 'feed': feed,
                'stdin': stdin, 'cwd': cwd, 'user': user, 'limit': limit,
                'paths': paths}
            assert self._process.stdin and self._process.stdout
            self._process.stdin.write(f'{json.dumps(request)}\n')
            self._process.stdin.flush()
            code, seconds = json.loads(self._process.stdout.readline())
            said = [pathlib.Path(path).read_text() for path in paths]
            return cells.Outcome(code, said[0], said[1], seconds, 0.0)


def _serve():
    import pkgutil

    import stevedore

    import octavia_v2_checks
    for module in [m.name for m in pkgutil.walk_packages(
            octavia_v2_checks.__path__, 'octavia_v2_checks.')]:
        if not module.endswith('__main__'):
            importlib.import_module(module)
    for module in [*MODULES, *sys.argv[1:]]:
        importlib.import_module(module)
    # Another user may not be allowed to look into this Python.
    stevedore.ExtensionManager('oslo.config.driver')
    for line in sys.stdin:
        sys.stdout.write(f'{json.dumps(_forked(json.loads(line)))}\n')
        sys.stdout.flush()


def _forked(request):
    begin = time.monotonic()
    child = os.fork()
    if not child:
        _run(request)
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        seconds = time.monotonic() - begin
        if pid:
            return os.waitstatus_to_exitcode(status), seconds
        if seconds > request['limit']:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.005)


def _run(request):
    code = 1
    try:
        _become(request)
        code = _command(request['door'], request['args'])
    except SystemExit as exc:
        code = exc.code
    except BaseException:
        traceback.print_exc()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    os._exit(code or 0)


def _become(request):
    if request['feed'] is None:
        source = os.open(request['stdin'], os.O_RDONLY)
    else:
        source, end = os.pipe()
        os.write(end, request['feed'].encode())
        os.close(end)
    os.dup2(source, 0)
    for number, path in enumerate(request['paths'], 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT, 0o666), number)
    os.chdir(request['cwd'])
    os.environ.clear()
    os.environ.update(request['environ'])
    if request['user']:
        os.setgroups([])
        os.setgid(request['user'])
        os.setuid(request['user'])


def _command(door, args):
    if door == 'own':
        from octavia_v2_checks import cli
        return cli.main(args)
    if door != 'stock':
        return importlib.import_module(door).main(args)
    from octavia.cmd import status
    from oslo_upgradecheck import upgradecheck
    sys.argv = ['octavia-status', *args]
    return upgradecheck.main(status.CONF, project='octavia',
                             upgrade_command=status.Checks(), argv=args)


if __name__ == '__main__':
    _serve()

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

"""Octavia's own commands, run in subprocesses with the tests' Python."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import itertools
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

from tests import zygote

TIMEOUT = 600


def script(name: str) -> str:
    """The path of a console script next to the Python of the tests."""
    path = pathlib.Path(sys.executable).with_name(name)
    assert path.exists(), f'{name} is not installed: run tools/test'
    return str(path)


def environment(**extra: str) -> dict[str, str]:
    """Our environment without configuration in it, and with *extra*."""
    clean = {name: value for name, value in os.environ.items()
             if not name.startswith('OS_')}
    return clean | extra


def run(name: str, *args: str, timeout: float = TIMEOUT,
        **extra: str) -> subprocess.CompletedProcess[str]:
    """Run a console script; *extra* goes into its environment."""
    return ended([script(name), *args], environment(**extra), timeout)


def ended(argv: Sequence[str], environ: Mapping[str, str],
          timeout: float = TIMEOUT, cwd: str | os.PathLike = '/',
          stdin: str = os.devnull, feed: str | None = None, user: int = 0
          ) -> subprocess.CompletedProcess[str]:
    """Run a command to its end.

    :param environ: all of its environment
    :param stdin: a file
    :param feed: what another process writes into its stdin instead
    :param user: its user id
    :raises subprocess.TimeoutExpired: where it does not end; it is killed
    """
    with (_source(stdin, feed) as source, tempfile.TemporaryFile() as out,
          tempfile.TemporaryFile() as err):
        process = begun(argv, environ, cwd, source, out, err, user)
        try:
            code = process.wait(timeout)
        finally:
            process.kill()
            process.wait()
        said = []
        for stream in (out, err):
            stream.seek(0)
            said.append(stream.read().decode())
    return subprocess.CompletedProcess(argv, code, *said)


def _source(path, feed):
    if feed is None:
        return open(path, 'rb')
    source, end = os.pipe()
    os.write(end, feed.encode())
    os.close(end)
    return open(source, 'rb')


def begun(argv: Sequence[str], environ: Mapping[str, str],
          cwd: str | os.PathLike, stdin: Any, stdout: Any, stderr: Any,
          user: int = 0) -> zygote.Forked | subprocess.Popen:
    """Start a command, or fork it where that is the same.

    :param stdin: an open file, as are the next two
    """
    if zygote.serves(argv, environ):
        return zygote.start(
            argv, environment=environ, cwd=cwd, user=user,
            stdin=stdin.fileno(), stdout=stdout.fileno(),
            stderr=stderr.fileno())
    return subprocess.Popen(
        argv, env=environ, cwd=cwd, stdin=stdin, stdout=stdout,
        stderr=stderr, user=user or None, group=user or None,
        extra_groups=[] if user else None)


def db_manage(config: str | os.PathLike, command: str, *args: str,
              check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run ``octavia-db-manage --config-file config command args``."""
    done = run('octavia-db-manage', '--config-file', str(config), command,
               *args)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def status(config: str | os.PathLike, *args: str, hook: bool = False,
           **extra: str) -> subprocess.CompletedProcess[str]:
    """Run the stock ``octavia-status``, with our rows where *hook* is true.

    *args* default to ``upgrade check``; *extra* goes into its environment.
    """
    if hook:
        extra |= {'OS_DEFAULT__CONFIG_SOURCE': 'octavia_v2_checks',
                  'OS_OCTAVIA_V2_CHECKS__DRIVER': 'octavia_v2_checks'}
    return run('octavia-status', '--config-file', str(config),
               *(args or ('upgrade', 'check')), **extra)


def checks(*args: str, timeout: float = TIMEOUT,
           **extra: str) -> subprocess.CompletedProcess[str]:
    """Run ``octavia-v2-checks args``."""
    return run('octavia-v2-checks', *args, timeout=timeout, **extra)


def config_writer(folder: pathlib.Path) -> Callable[..., pathlib.Path]:
    """A function that writes an octavia.conf; see the fixture write_config."""
    numbers = itertools.count()

    def write(sections=None, **task_flow):
        everything = {
            'api_settings': {'enabled_provider_drivers':
                             'amphora:The amphora driver'},
            **(sections or {}), 'task_flow': task_flow}
        path = folder / f'octavia-{next(numbers)}.conf'
        path.write_text(config_text(everything))
        return path

    return write


def config_text(sections: dict[str, dict[str, object]]) -> str:
    """Sections of an octavia.conf; None leaves an option out."""
    lines = []
    for section, options in sections.items():
        lines.append(f'[{section}]')
        lines += [f'{name} = {_value(value)}'
                  for name, value in options.items() if value is not None]
        lines.append('')
    return '\n'.join(lines)


def _value(value: object) -> str:
    if isinstance(value, dict):
        return ','.join(f'{key}:{item}' for key, item in value.items())
    if isinstance(value, list | tuple):
        return ','.join(str(item) for item in value)
    return str(value)

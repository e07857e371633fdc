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

"""What tools/demo and tools/test share; Python's own library only."""

import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
OLDEST = (3, 10)


class Failed(Exception):
    """A step failed; the text says which, and what to do."""


def say(text: str) -> None:
    """Print one line of progress."""
    print(f'>>> {text}', flush=True)


def require_python() -> None:
    """Refuse a Python that is too old.

    :raises Failed: naming both versions.
    """
    if sys.version_info < OLDEST:
        raise Failed(f'Python {OLDEST[0]}.{OLDEST[1]} or later is needed; '
                     f'this is {sys.version.split()[0]}')


def run(*command: object, **kwargs) -> subprocess.CompletedProcess:
    """Run a command whose output matters only when it fails.

    :raises Failed: with its output.
    """
    words = [str(word) for word in command]
    done = subprocess.run(words, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors='replace', **kwargs)
    if done.returncode:
        raise Failed(f'{" ".join(words)} ended with {done.returncode}:\n'
                     f'{done.stdout}')
    return done


def as_root() -> list[str]:
    """What to put before a command that needs root.

    :raises Failed: where we are not root and sudo would ask.
    """
    if os.geteuid() == 0:
        return []
    if shutil.which('sudo') and subprocess.run(
            ['sudo', '-n', 'true'], stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL).returncode == 0:
        return ['sudo', '-n']
    raise Failed('this step needs root, or a sudo that asks for nothing')


def apt_install(packages: list[str]) -> None:
    """Install Debian packages.

    Their services stay stopped: the tests start separate servers, and
    never talk to the machine's.

    :raises Failed: with the command to run as root.
    """
    by_hand = f'apt-get install {" ".join(packages)}'
    if not shutil.which('apt-get'):
        raise Failed(f'not installed: {" ".join(packages)}')
    try:
        root = as_root()
    except Failed as exc:
        raise Failed(f'{exc}; run as root: {by_hand}') from None
    say(by_hand)
    apt = [*root, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-qq',
           '-o', 'DPkg::Lock::Timeout=600']
    with _NoServices(root):
        run(*apt, 'update')
        run(*apt, 'install', '--yes', '--no-install-recommends', *packages)


class _NoServices:
    """While it lasts, installing a package starts no service."""

    policy = '/usr/sbin/policy-rc.d'

    def __init__(self, root: list[str]) -> None:
        self.root = root
        self.ours = not os.path.exists(self.policy)

    def __enter__(self) -> None:
        if self.ours:
            # 101: the action is forbidden by policy.
            subprocess.run([*self.root, 'tee', self.policy],
                           input=b'#!/bin/sh\nexit 101\n',
                           stdout=subprocess.DEVNULL, check=True)
            run(*self.root, 'chmod', '755', self.policy)

    def __exit__(self, *exc_info) -> None:
        if self.ours:
            run(*self.root, 'rm', '-f', self.policy)


def venv(name: str) -> pathlib.Path:
    """Make a virtual environment in the clone, unless it is there.

    Debian's python3 has no ensurepip unless python3-venv is there, and
    installing that takes root; pip itself can be had without.

    :returns: its ``bin`` directory.
    :raises Failed: where pip cannot be had.
    """
    path = ROOT / name
    python = path / 'bin' / 'python'
    if _has_pip(python):
        return path / 'bin'
    say(f'a virtual environment in {name}')
    if subprocess.run([sys.executable, '-c', 'import ensurepip'],
                      stderr=subprocess.DEVNULL).returncode == 0:
        run(sys.executable, '-m', 'venv', '--clear', path)
        return path / 'bin'
    run(sys.executable, '-m', 'venv', '--clear', '--without-pip', path)
    if _has_pip(sys.executable):
        run(sys.executable, '-m', 'pip', '--python', python, 'install',
            '-qq', 'pip')
        return path / 'bin'
    say('this Python has no ensurepip: fetching pip')
    with tempfile.TemporaryDirectory() as directory:
        wheel = _fetch_pip(pathlib.Path(directory))
        # A wheel is a zip file, and Python runs what is in one.
        run(python, wheel / 'pip', 'install', '-qq', '--no-index', wheel)
    return path / 'bin'


def _fetch_pip(directory: pathlib.Path) -> pathlib.Path:
    """Download the newest pip for this Python into a directory.

    :returns: the path of the wheel.
    :raises Failed: where the package index cannot be reached, or what came
        is not what it promised.
    """
    index = os.environ.get('PIP_INDEX_URL', 'https://pypi.org/simple')
    request = urllib.request.Request(
        f'{index.rstrip("/")}/pip/',
        headers={'Accept': 'application/vnd.pypi.simple.v1+json'})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            files = json.load(answer)['files']
        newest = max((f for f in files if _suits(f)), key=_version)
        url = urllib.parse.urljoin(request.full_url, newest['url'])
        with urllib.request.urlopen(url, timeout=60) as answer:
            data = answer.read()
    except (OSError, ValueError, KeyError) as exc:
        raise Failed(f'pip cannot be fetched from the package index '
                     f'({type(exc).__name__}); as root: apt-get install '
                     f'python3-venv') from None
    if hashlib.sha256(data).hexdigest() != newest['hashes']['sha256']:
        raise Failed('the pip that was fetched is not what the package index '
                     'promised; try again')
    wheel = directory / newest['filename']
    wheel.write_bytes(data)
    return wheel


def _suits(file: dict) -> bool:
    """Whether a file of the index is a wheel of a release for this Python."""
    oldest = re.fullmatch(r'>=\s*3\.(\d+)', file.get('requires-python') or '')
    return (bool(re.fullmatch(r'pip-[\d.]+-py3-none-any\.whl',
                              file['filename']))
            and not file.get('yanked')
            and bool(oldest) and int(oldest[1]) <= sys.version_info[1])


def _version(file: dict) -> tuple[int, ...]:
    return tuple(int(n) for n in file['filename'].split('-')[1].split('.'))


def _has_pip(python: str | os.PathLike) -> bool:
    return os.path.exists(python) and subprocess.run(
        [python, '-m', 'pip', '--version'], stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL).returncode == 0


def pip_install(bin_: pathlib.Path, *arguments: str) -> None:
    """Install into a virtual environment, saying only what goes wrong.

    :raises Failed: with pip's output.
    """
    run(bin_ / 'python', '-m', 'pip', 'install', '-qq',
        '--disable-pip-version-check', *arguments, cwd=ROOT)


def install(bin_: pathlib.Path, *arguments: str) -> None:
    """As :func:`pip_install`, once for each state of the requirements.

    :raises Failed: with pip's output.
    """
    stamp = bin_.parent / 'installed'
    state = hashlib.sha256(repr(arguments).encode())
    for name in ('setup.cfg', 'pyproject.toml', 'requirements.txt',
                 'test-requirements.txt'):
        state.update((ROOT / name).read_bytes())
    if stamp.exists() and stamp.read_text() == state.hexdigest():
        return
    say(f'pip install {" ".join(arguments)}')
    pip_install(bin_, *arguments)
    stamp.write_text(state.hexdigest())


def main(function) -> None:
    """Run a tool; a failed step is its message and exit code 1."""
    # So that what it started and made goes away when it is terminated.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        require_python()
        sys.exit(function())
    except Failed as exc:
        print(f'{sys.argv[0]}: {exc}', file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)

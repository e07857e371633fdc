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

"""Releases of the worker's clients, each in a virtual environment.

A test with the marker ``clients`` takes a :class:`Release`, asks it for the
findings of a check, and lets TaskFlow do a worker's work with it on the same
configuration. An environment is made when it is first asked for, with uv
where that is installed and with pip elsewhere, and kept in ``.tox/clients``.
"""

import contextlib
import fcntl
import functools
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import types

from tests import commands

_ROOT = pathlib.Path(__file__).parent.parent

#: Where the environments are kept.
_PLACE = _ROOT / '.tox' / 'clients'

_INSTALL = 900


class Release:
    """An environment with this project and some releases of others.

    :param pins: requirements, such as ``redis==4.6.0``; what a backend and
        a worker need besides comes with TaskFlow and this project
    """

    def __init__(self, *pins: str) -> None:
        self.pins = pins

    def __repr__(self) -> str:
        return ' '.join(self.pins)

    @functools.cached_property
    def python(self) -> str:
        """Its interpreter; the environment is made first."""
        what = '\n'.join((sys.version, str(_ROOT), *self.pins))
        place = _PLACE / hashlib.sha256(what.encode()).hexdigest()[:16]
        with _lock(place):
            if not (place / 'complete').exists():
                shutil.rmtree(place, ignore_errors=True)
                _make(place, self.pins)
                (place / 'complete').touch()
        return str(place / 'bin' / 'python')

    def probe(self, check: str, config, *options: str, timeout: float = 60
              ) -> list[types.SimpleNamespace]:
        """The findings of one check, as the command with it tells them.

        :param options: more of the command's, as ``'--probe-timeout', '2'``
        """
        done = subprocess.run(
            [os.path.join(os.path.dirname(self.python), 'octavia-v2-checks'),
             '--config-file', str(config), 'upgrade', 'check', '--only',
             check, '--format', 'json', *options],
            capture_output=True, text=True, cwd='/', timeout=timeout,
            env=commands.environment())
        assert done.stderr == '', done.stderr
        row, = (c for c in json.loads(done.stdout)['checks']
                if c['id'] == check)
        return [types.SimpleNamespace(**f) for f in row['findings']]

    def work(self, config, timeout: float = 60) -> dict:
        """Do the work of a worker; see :mod:`tests.worker_board`."""
        return work(config, timeout, self.python)


def work(config, timeout: float = 60, python: str = sys.executable) -> dict:
    """Let TaskFlow do a worker's work on the board of a configuration.

    :returns: what :mod:`tests.worker_board` tells; ``{'error': 'timeout'}``
        where it does not end
    """
    try:
        done = commands.ended(
            [python, '-m', 'tests.worker_board', str(config)],
            commands.environment(), timeout, _ROOT)
    except subprocess.TimeoutExpired:
        return {'error': 'timeout', 'causes': []}
    assert done.stdout, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


#: Options of [task_flow] for Redis, to compare what becomes of them.
REDIS_OPTIONS = {
    'defaults': {},
    'account': {'jobboard_backend_username': 'me',
                'jobboard_backend_password': 'x',
                'jobboard_backend_hosts': 'one,two'},
    'tls': {'jobboard_redis_backend_ssl_options':
            'ssl:yes,ssl_keyfile:/k,ssl_certfile:/c,ssl_ca_certs:/a,'
            'ssl_cert_reqs:optional'},
    'tls off': {'jobboard_redis_backend_ssl_options':
                'ssl:no,ssl_keyfile:/k'},
    'another database': {'jobboard_redis_backend_db': 3},
    'sentinel': {'jobboard_redis_sentinel': 'jobs'},
    'sentinels': {'jobboard_redis_sentinel': 'jobs',
                  'jobboard_backend_hosts': '10.0.0.1,two,::1'},
    'port in a host': {'jobboard_redis_sentinel': 'jobs',
                       'jobboard_backend_hosts': 'one,two:26380'},
    'brackets': {'jobboard_redis_sentinel': 'jobs',
                 'jobboard_backend_hosts': '[::1],[::2]'},
    'sentinel tls': {
        'jobboard_redis_sentinel': 'jobs',
        'jobboard_redis_backend_ssl_options': 'ssl:True,ssl_ca_certs:/a'},
    'sentinel without': {
        'jobboard_redis_sentinel': 'jobs',
        'jobboard_redis_backend_ssl_options': 'ssl:False'}}


def made(path, python: str = sys.executable) -> list:
    """What TaskFlow derives from a configuration, and what we expect.

    See :mod:`tests.made_clients`.
    """
    done = commands.ended([python, '-m', 'tests.made_clients', str(path)],
                          commands.environment(), 120, _ROOT)
    assert done.stdout, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@contextlib.contextmanager
def _lock(place: pathlib.Path):
    """One process at a time creates an environment."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with open(f'{place}.lock', 'w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make(place: pathlib.Path, pins: tuple[str, ...]) -> None:
    uv = shutil.which('uv')
    python = str(place / 'bin' / 'python')
    if uv:
        make = [uv, 'venv', '--quiet', '--python', sys.executable, str(place)]
        install = [uv, 'pip', 'install', '--quiet', '--python', python]
    else:
        make = [sys.executable, '-m', 'venv', str(place)]
        install = [python, '-m', 'pip', 'install', '--quiet']
    for command in make, [*install, *pins, '--editable', str(_ROOT)]:
        done = subprocess.run(command, capture_output=True, text=True,
                              timeout=_INSTALL)
        assert done.returncode == 0, done.stdout + done.stderr

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

"""A drill's loader that need not import Octavia: :mod:`tests.zygote` has.

Importing it takes a second, and a run of the tests has some sixty drills.
"""

import os
import socket
import sys
import time

from octavia_v2_checks.drill import loader
from octavia_v2_checks.drill import team
from tests import zygote

_real = team.Team._start
_path: list[str] = []


def install() -> None:
    """Let the drills of this process fork their loaders, where it can be.

    Not where the modules are to come from elsewhere.
    """
    _path[:] = sys.path
    team.Team._start = _start


def _start(self: team.Team, control: socket.socket):
    argv = [sys.executable, '-m', 'tests.loader']
    if sys.path != _path or not zygote.serves(argv, os.environ):
        return _real(self, control)
    with open(os.devnull, 'w') as nowhere:
        started = zygote.start(
            argv, environment=os.environ, cwd=os.getcwd(),
            stdin=control.fileno(), stdout=nowhere.fileno(),
            stderr=nowhere.fileno())
    # Who ends it kills its group.
    while os.getpgid(started.pid) != started.pid:
        time.sleep(0.001)
    return started


def _main():
    os.setsid()
    control = os.dup(0)
    with open(os.devnull) as nowhere:
        os.dup2(nowhere.fileno(), 0)
    loader.main(control)


if __name__ == '__main__':
    _main()

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

"""Runs one check in this process and returns its findings."""

import importlib
import itertools
import os
import pkgutil
import socket
import sys
from typing import Any

from octavia_v2_checks import clock
from octavia_v2_checks import settings
from octavia_v2_checks.backends import spawner as spawners
from octavia_v2_checks.findings import Blocked as Blocked
from octavia_v2_checks.findings import Finding
from octavia_v2_checks.findings import NotApplicable as NotApplicable
from tests import zygote

#: ASCII only: PyMySQL sends passwords in latin-1, so others never work.
PASSWORD = 'k@n:a/r%y$\'"#'

_numbers = itertools.count(1)


class _Nursery:
    """A spawner for many runs, forked while this process is small.

    A run forks its own where a test has changed what its children inherit.
    """

    def __init__(self) -> None:
        self._spawner: spawners.Spawner | None = None

    def open(self) -> None:
        """Fork it."""
        zygote.preload(zygote.CHECKING)
        self._spawner = spawners.Spawner()
        self._inherited = self._heritage()

    def give(self, run: clock.Deadline) -> None:
        """Let a run have it, if that makes no difference."""
        if self._spawner and self._heritage() == self._inherited:
            run.kept(spawners.Spawner, lambda: _Dressing(self._spawner))

    @staticmethod
    def _heritage():
        clients = [sys.modules.get(name.partition('.')[0])
                   for name in zygote.CHECKING]
        return socket.getaddrinfo, [*sys.path], clients


class _Dressing:
    """Gives children what they would have inherited from this process."""

    def __init__(self, spawner: spawners.Spawner):
        self._spawner = spawner
        self.kill = spawner.kill

    def start(self, seconds: float, target: str, args: tuple
              ) -> tuple[int, socket.socket]:
        return self._spawner.start(seconds, 'tests.probing:dressed', (
            dict(os.environ), os.getcwd(), target, args))


def dressed(environment: dict[str, str], folder: str, target: str,
            args: tuple) -> Any:
    """In a child: what is to answer there."""
    os.environ.clear()
    os.environ.update(environment)
    os.environ.pop('SSLKEYLOGFILE', None)
    os.chdir(folder)
    return pkgutil.resolve_name(target)(*args)


NURSERY = _Nursery()


def name(prefix: str) -> str:
    """A name that no other test of this process uses."""
    return f'{prefix}{next(_numbers)}'


def probe(check: str, config, deadline: float = 20, timeout: float = 5
          ) -> list[Finding]:
    """The findings of one check, which must also keep the secret."""
    function = importlib.import_module(
        f'octavia_v2_checks.checks.{check}').check
    loaded = settings.load([('file', str(config))])
    run = clock.Deadline(deadline, timeout)
    NURSERY.give(run)
    try:
        found = [f for f in function(loaded, run) if isinstance(f, Finding)]
    finally:
        run.close()
    for finding in found:
        text = repr(finding)
        assert PASSWORD not in text and repr(PASSWORD)[1:-1] not in text
    return found


def ids(found: list[Finding]) -> list[str]:
    """The ids, in the order of the findings."""
    return [f.id for f in found]


def only(found: list[Finding], id_: str) -> Finding:
    """The single finding, which must have this id."""
    assert ids(found) == [id_], found
    return found[0]

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

"""Both front doors, as a pipeline sees them: an exit code and JSON."""

import json
import re
import shlex
import subprocess

from octavia_v2_checks import catalogue
from tests import commands

TITLES = {title: id_ for id_, title in catalogue.CHECKS.items()}


class Verdict:
    """What one run said.

    :ivar code: exit code
    :ivar rows: check id -> result, 0 to 2
    :ivar remedies: finding id -> remedy
    :ivar text: all output
    """

    def __init__(self, done: subprocess.CompletedProcess[str]):
        self.code = done.returncode
        self.text = done.stdout + done.stderr
        try:
            self.document = json.loads(done.stdout)
        except ValueError:
            raise AssertionError(self.text) from None
        self.rows = {}
        self.remedies: dict[str, str] = {}
        for check in self.document['checks']:
            self.rows[TITLES.get(check['check'], check['check'])] = (
                check['result'])
            self._split(check['details'] or '')

    def _split(self, details):
        parts = re.split(r'(?:^| )([a-z]+\.[a-z-]+): ', details)
        for id_, said in zip(parts[1::2], parts[2::2], strict=True):
            if id_.partition('.')[0] in catalogue.CHECKS:
                self.remedies[id_] = said.partition(' Remedy: ')[2]

    @property
    def ids(self) -> set[str]:
        """The ids of all findings."""
        return set(self.remedies)


def own(config, *args, **extra) -> Verdict:
    """Run ``octavia-v2-checks upgrade check --json``."""
    return Verdict(commands.checks('--config-file', str(config), 'upgrade',
                                   'check', '--json', *args, **extra))


def stock(config, *args, **extra) -> Verdict:
    """Run ``octavia-status upgrade check --json`` with our rows in it."""
    return Verdict(commands.status(config, 'upgrade', 'check', '--json',
                                   *args, hook=True, **extra))


def run_command(command: str) -> None:
    """Run a command that a remedy names, with the tests' Python."""
    words = shlex.split(command)
    words[0] = commands.script(words[0])
    done = commands.ended(words, commands.environment())
    assert done.returncode == 0, done.stdout + done.stderr

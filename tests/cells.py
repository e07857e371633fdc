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

"""Runs the real command with failing servers, and observes how it ends."""

import dataclasses
import itertools
import json
import os
import pathlib
import tempfile
import threading
import time
from typing import Any
from urllib import parse

from tests import commands
from tests import migrations
from tests import probing
from tests.servers import mariadb
from tests.servers import redis as redis_server

#: Seconds to begin, on a busy machine.
START_UP = 15.0

#: Seconds after which a run is ended by force; no test gets as far.
_HANGS = 90.0

#: The longest pieces of :data:`UNICODE`: none may be seen anywhere, so that
#: no way to encode what is between them can hide it.
_PIECES = ('Kanari7', 'Zeisig8', 'Amsel9', 'Drossel4', 'Finken5', 'Meise6',
           'Elster3', 'Spatz2', 'Uhu11')

#: A password with everything that means something somewhere.
PASSWORD = 'Kanari7@Zeisig8:Amsel9/Drossel4%Finken5$Meise6\'Elster3"Spatz2'

#: The same for servers and clients that agree on what is beyond ASCII.
UNICODE = PASSWORD + 'äUhu11'


#: The password as it stands in a URL.
QUOTED = parse.quote(PASSWORD, safe='')


def leaks(text: str) -> list[str]:
    """The pieces of the password that a text contains."""
    return [piece for piece in _PIECES if piece in text]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a run ended.

    :ivar seconds: from the start to the end of the process
    :ivar lingered: seconds between its last output and its end
    """

    code: int
    stdout: str
    stderr: str
    seconds: float
    lingered: float

    @property
    def text(self) -> str:
        """All its output."""
        return self.stdout + self.stderr

    @property
    def document(self) -> dict[str, Any]:
        """Its JSON document."""
        return json.loads(self.stdout)

    @property
    def findings(self) -> list[dict[str, Any]]:
        """The findings of all rows."""
        return [finding for row in self.document['checks']
                for finding in row['findings']]

    @property
    def ids(self) -> list[str]:
        """The ids of all findings."""
        return [finding['id'] for finding in self.findings]


def launch(*argv: str, cwd: str | os.PathLike = '/',
           **extra: str) -> Outcome:
    """Run a program to its end.

    :param extra: goes into its environment
    """
    said = []
    with tempfile.TemporaryFile() as errors:
        begin = spoke = time.monotonic()
        source, end_ = os.pipe()
        with (open(source, 'rb') as stdout, open(end_, 'wb') as writing,
              open(os.devnull, 'rb') as stdin):
            process = commands.begun(
                argv, commands.environment(**extra), cwd, stdin, writing,
                errors)
            writing.close()
            watchdog = threading.Timer(_HANGS, process.kill)
            watchdog.start()
            while data := os.read(stdout.fileno(), 1 << 16):
                said.append(data)
                spoke = time.monotonic()
        process.wait()
        end = time.monotonic()
        watchdog.cancel()
        errors.seek(0)
        assert process.returncode is not None
        return Outcome(process.returncode, b''.join(said).decode(),
                       errors.read().decode(), end - begin, end - spoke)


def check(config: str | os.PathLike, *args: str, timeout: float = 2.0,
          deadline: float = 10.0, before: tuple[str, ...] = (),
          **extra: str) -> Outcome:
    """Run ``octavia-v2-checks upgrade check --json`` with short times.

    :param before: the program, if it is not the installed command
    """
    program = before or (commands.script('octavia-v2-checks'),)
    return launch(*program, '--debug', '--config-file', str(config),
                  'upgrade', 'check', '--json', '--probe-timeout',
                  f'{timeout:g}', '--deadline', f'{deadline:g}', *args,
                  **extra)


class System:
    """A healthy system, and configurations with one difference.

    :param directory: for the configurations
    :param database: a running MariaDB, on which it makes its own database
    :param redis: a running Redis, for its jobboard
    """

    def __init__(self, directory: pathlib.Path, database: mariadb.MariaDB,
                 redis: redis_server.Redis) -> None:
        self._directory = directory
        self._numbers = itertools.count()
        self.database = probing.name('octavia_persistence_')
        self.user = probing.name('octavia')
        text = PASSWORD.replace("'", "''")
        database.execute(
            f"CREATE DATABASE {self.database}; CREATE USER {self.user} "
            f"IDENTIFIED BY '{text}'; GRANT SELECT, INSERT, UPDATE, DELETE "
            f"ON {self.database}.* TO {self.user}")
        migrations.migrate(database.url(database=self.database), 'head')
        self.options: dict[str, object] = {
            'jobboard_enabled': True,
            'persistence_connection': database.url(self.user, PASSWORD,
                                                   self.database),
            'jobboard_backend_hosts': redis.host,
            'jobboard_backend_port': redis.port,
            'jobboard_backend_password': written(PASSWORD)}

    def config(self, sections: dict[str, dict[str, object]] | None = None,
               **task_flow: object) -> pathlib.Path:
        """The path of a new octavia.conf; None removes an option."""
        path = self._directory / f'octavia-{next(self._numbers)}.conf'
        path.write_text(commands.config_text({
            'api_settings': {'enabled_provider_drivers':
                             'amphora:The amphora driver'},
            **(sections or {}), 'task_flow': self.options | task_flow}),
            encoding='utf-8')
        return path


def written(text: str) -> str:
    """How a value is written in a configuration file."""
    return text.replace('$', '$$')

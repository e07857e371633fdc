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

"""Drills on the boards of the tests, and what they leave: nothing."""

import contextlib
import json
import re
import subprocess

from octavia_v2_checks import settings
from octavia_v2_checks.drill import director
from tests import boards
from tests import commands
from tests import probing

#: As short as etcd lets a lease be, which rounds up.
CLAIM = 3

#: Seconds that a drill may take: other tests may keep the processors busy.
PATIENCE = 120

TABLES = ('logbooks', 'flowdetails', 'atomdetails')

WHOLE = ['loaded', 'opened', 'posted', 'claimed', 'killed', 'claim ended',
         'resumed', 'finished', 'removed']


class Site:
    """A place of :mod:`tests.boards`, with what a drill needs to know."""

    def __init__(self, place, **options):
        self.place = place
        self.options = {'jobboard_expiration_time': CLAIM, **options}
        self.configure()

    def configure(self, **options):
        """Set options of [task_flow], and write the configuration again."""
        self.options |= options
        self.config = self.place.config(**self.options)

    def state(self):
        """Everything that is on both servers, but for their counters."""
        found = self.place.state()
        if isinstance(self.place, boards.ZooKeeperPlace):
            # Nodes that were there before count their children.
            found = {path: data for path, (data, *_) in found.items()}
        elif isinstance(self.place, boards.EtcdPlace):
            # The other one counts the changes of the whole store.
            found = found[1]
        return found, [self.place.sql(f'SELECT * FROM {table}')
                       for table in TABLES]

    @contextlib.contextmanager
    def untouched(self):
        """See that everything is afterwards as it was before."""
        before = self.state()
        yield
        after = self.state()
        assert after == before, (before, after)

    def busy(self):
        """Put jobs on the real board: one waits, one is claimed."""
        with self.place.board() as board:
            self.place.post(board)
            board.claim(self.place.post(board), 'a worker')

    def run(self, flows=1, at=None, timeout=PATIENCE, **options):
        """A drill from this process.

        :param at: what is waited for -> a function to call then
        """
        waiting = dict(at or {})

        def observe(text):
            waiting.pop(text, lambda: None)()

        result = director.run(settings.load([('file', str(self.config))]),
                              flows, observe=observe, timeout=timeout,
                              **options)
        assert not waiting
        assert probing.PASSWORD not in repr(result)
        return result

    def command(self, *args, **extra):
        """Our command with this configuration, to its end."""
        done = commands.checks('--config-file', str(self.config), 'drill',
                               '--timeout', str(PATIENCE), *args, **extra)
        assert probing.PASSWORD not in done.stdout + done.stderr
        assert 'Traceback' not in done.stderr
        return done

    def json(self, *args):
        """As :meth:`command`; the document that it prints."""
        done = self.command('--format', 'json', *args)
        document = json.loads(done.stdout)
        assert document['result'] == done.returncode
        return document

    def start(self, *args):
        """Start our command, and do not wait for its end."""
        return subprocess.Popen(
            [commands.script('octavia-v2-checks'), '--config-file',
             str(self.config), 'drill', '--timeout', str(PATIENCE), *args],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, cwd='/',
            env=commands.environment())

    def flows(self):
        """The states of the flows of all drills."""
        return [state for name, state in self.place.sql(
            'SELECT name, state FROM flowdetails') if 'drill' in name]


def ids(result):
    """What a drill has found."""
    return [finding.id for finding in result.findings]


def steps(result):
    """What has happened in a drill."""
    return [step.name for step in result.steps]


def succeeded(result):
    """See that a drill went as it should."""
    assert ids(result) == [], result
    assert steps(result) == WHOLE
    assert 0 < result.resumed_after <= 2 * result.claim
    return True


def remedy_command(remedy):
    """The command of ours at the end of a remedy."""
    return re.search(r'octavia-v2-checks( --config-file \S+)* drill \w+',
                     remedy)[0]

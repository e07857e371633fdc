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


"""A worker, with one configuration: does it finish a flow?

``main`` prints ``{"works": true}``, or ``{"works": false, "step": …, "ids":
…, "classes": …}``. It is the drill without the kill, in the jobboard's own
namespace, forked from a process that has imported Octavia. Run it in a
process that does nothing else afterwards.
"""

import json
import os
import signal
import sys

from octavia_v2_checks import settings as settings_
from octavia_v2_checks.drill import boards
from octavia_v2_checks.drill import director
from octavia_v2_checks.drill import names
from octavia_v2_checks.drill import stage
from octavia_v2_checks.drill import team


class _Team(team.Team):
    """A team that has the file as it is.

    :cvar said: what it has said of the configuration
    """

    path: str
    said: dict = {}

    def __init__(self, files):
        # Whatever our own reading of them has made of the files.
        super().__init__([self.path])

    def loaded(self, time_left):
        _Team.said = super().loaded(time_left)
        return self.said


def _prepare(path, seconds):
    """Let the drill be a worker's everyday work."""
    _Team.path = path
    # What a worker gets over, it may get over late.
    director._CLAIMING, director._GRACE = seconds, seconds / 2
    stage.teams.Team = _Team
    # Our opinion of a configuration is what is to be judged.
    stage.obstacle = lambda settings: None
    names.namespace = lambda base, id_: base
    boards.ZooKeeper.prepare = boards.Board.prepare
    # Cases clean up after themselves, with the rights of an administrator.
    stage.Stage._remove = lambda self: None


def _without_jobboard(path):
    """Run a flow as a worker does whose jobboard is off.

    :raises Exception: as it does there
    """
    from octavia.common import base_taskflow
    from octavia.common import config

    from octavia_v2_checks.drill import flow
    config.init(['--config-file', path], default_config_files=[],
                default_config_dirs=[])
    base_taskflow.BaseTaskFlowEngine().taskflow_load(
        flow.make(), store={'number': 0}).run()


def _works(path, seconds):
    result = director.run(settings_.load([('file', path)]), kill=False,
                          timeout=seconds)
    said = {'works': result.at('finished') is not None,
            'step': result.failed, 'classes': list(result.classes),
            'ids': [f.id for f in result.findings],
            'message': ' '.join(f.message for f in result.findings)}
    if _Team.said.get('event') == 'loaded' and not _Team.said['enabled']:
        try:
            _without_jobboard(path)
            said = {'works': True}
        except Exception as exc:
            said = {'works': False, 'step': 'run',
                    'classes': [type(exc).__name__], 'ids': []}
    return said


def main(args) -> None:
    """Be a worker.

    :param args: the configuration file, and seconds after which a worker
        that has finished nothing fails
    """
    path, seconds = args
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    _prepare(path, float(seconds))
    said = _works(path, float(seconds))
    sys.stdout.write(json.dumps(said) + '\n')
    sys.stdout.flush()
    # A flow without a jobboard leaves threads behind.
    os._exit(0)


if __name__ == '__main__':
    main(sys.argv[1:])

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

"""Many hosts, of which half say nothing."""

from collections.abc import Iterator
import contextlib
import pathlib
import socket

from benchmarks import timing
from tests import commands
from tests.servers import process

PART = '100 hosts'
HOSTS = 100
DEADLINE = 20


def figures(runs: int, folder: pathlib.Path) -> Iterator[timing.Figure]:
    """Yield how long a list takes whose servers are silent or refuse."""
    names = [f'127.0.1.{number + 1}' for number in range(HOSTS)]
    port = process.free_port(*names)
    with contextlib.ExitStack() as stack:
        for name in names[::2]:
            # The kernel accepts, and nobody ever answers.
            stack.enter_context(socket.create_server((name, port)))
        config = folder / 'hosts.conf'
        config.write_text(commands.config_text({'task_flow': {
            'jobboard_enabled': True,
            'persistence_connection': f'sqlite:///{folder}/p.db',
            'jobboard_backend_driver': 'zookeeper_taskflow_driver',
            'jobboard_backend_hosts': ','.join(names),
            'jobboard_backend_port': port}}))
        argv = [commands.script('octavia-v2-checks'), '--config-file',
                str(config), 'upgrade', 'check', '--only', 'jobboard',
                '--deadline', str(DEADLINE)]
        yield timing.Figure(
            PART, 'ZooKeeper: 50 silent, 50 refuse', limit=DEADLINE + 1,
            **timing.command(argv, commands.environment(), runs))

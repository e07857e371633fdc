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

"""A worker: the conductor of Octavia, as octavia-worker runs it."""

import time

from octavia_v2_checks.drill import errors
from octavia_v2_checks.drill import flow

#: Seconds after which octavia-worker replaces a conductor that ended.
_PAUSE = 1.0


def main(role) -> None:
    """Wait for the order to start, then run flows until killed.

    :param role: a :class:`octavia_v2_checks.drill.loader.Role`; its spec has
        ``name`` and ``hold``
    """
    from octavia.common import base_taskflow
    flow.hold = role.spec['hold']
    flow.tell = lambda number, name: role.send(
        {'event': 'task', 'number': number, 'task': name})
    role.orders.get()
    driver = role.driver()
    controller = base_taskflow.TaskFlowServiceController(driver)
    while True:
        # What ends a conductor ends its process in octavia-worker, which
        # then starts another.
        try:
            controller.run_conductor(role.spec['name'])
        except Exception as exc:
            role.send({'event': 'trouble', **errors.describe(exc)})
        time.sleep(_PAUSE)

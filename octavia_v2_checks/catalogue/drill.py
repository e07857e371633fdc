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

"""Findings of the drill."""

from octavia_v2_checks.catalogue import Entry

ENTRIES = [
    Entry('drill.not-posted', 'FAILURE',
          'The flows could not be posted.',
          'octavia-worker posts in the same way, so every request of a user '
          'would fail, and leave its load balancer in PENDING_*.',
          'octavia-v2-checks upgrade check names most causes.'),
    Entry('drill.not-claimed', 'FAILURE',
          'No worker began a flow that was posted.',
          'octavia-worker claims and builds flows in the same way, so load '
          'balancers would stay in PENDING_* for good.',
          'octavia-v2-checks upgrade check names most causes.'),
    Entry('drill.not-resumed', 'FAILURE',
          'No other worker finished what the killed worker had begun.',
          'This is the purpose of the jobboard: when a controller dies, its '
          'load balancers would stay in PENDING_* as they do without a '
          'jobboard.',
          'octavia-v2-checks upgrade check names most causes.'),
    Entry('drill.resumed-late', 'WARNING',
          'The flow was resumed, but later than twice the time of a claim.',
          'Load balancers stay in PENDING_* for that long when a controller '
          'dies, and other timeouts of Octavia may expire before.',
          'Check whether the servers are overloaded. The time is '
          'jobboard_expiration_time in [task_flow], and with ZooKeeper that '
          'of a session (minSessionTimeout in zoo.cfg raises it).'),
    Entry('drill.leftovers', 'FAILURE',
          'Something of the drill could not be removed.',
          'It does no harm, because no worker uses it, but it stays until '
          'somebody removes it.',
          'octavia-v2-checks drill clean'),
    Entry('drill.unavailable', 'FAILURE',
          'Octavia and TaskFlow are not installed in the environment of this '
          'command.',
          'The drill runs the code of octavia-worker.',
          'Run the drill on a controller, with octavia-v2-checks installed '
          'in the virtual environment or container of octavia-worker.'),
    Entry('drill.undetermined', 'FAILURE',
          'The drill could not be carried out.',
          'Whether another controller would finish what a dead one has begun '
          'is not known.',
          'Run the drill again, with more time (--timeout). '
          'octavia-v2-checks upgrade check names most causes.'),
]

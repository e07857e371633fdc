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

"""Findings about load balancers that wait for a worker."""

from octavia_v2_checks.catalogue import Entry

ENTRIES = [
    Entry('resources.pending', 'FAILURE',
          'Load balancers, or parts of them, are in PENDING_* with no job '
          'behind them.',
          'Octavia does not permit changing or deleting them in this state, '
          'and only a worker with their job ends it. Without a job they stay '
          'in it permanently, and an upgrade does not change that.',
          'Make sure that no request still waits in the message queue. Set '
          'the state to ERROR in Octavia\'s own database, and let Octavia '
          'fail the load balancer over, or delete it.'),
    Entry('resources.pending-active', 'WARNING',
          'Load balancers have been in PENDING_* for a long time, with a job '
          'behind them.',
          'Workers are still busy with them, or will be. An upgrade now '
          'interrupts this work, and the check inflight tells whether it '
          'will continue afterwards.',
          'Let the workers of the old release finish the jobs before the '
          'upgrade; the check inflight shows them.'),
    Entry('resources.undetermined', 'FAILURE',
          'The state of the load balancers could not be determined.',
          'Some may be stuck without being noticed.',
          'Correct [database] connection in octavia.conf, or run the check '
          'where Octavia\'s own database can be reached.'),
]

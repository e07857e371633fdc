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

"""Findings about the jobs on the board and the flows they stand for."""

from octavia_v2_checks.catalogue import Entry

_DRAIN = ('Stop octavia-api, and let the workers of the old release run '
          'until the board is empty; then upgrade them.')

ENTRIES = [
    Entry('inflight.jobs-waiting', 'WARNING',
          'Jobs on the board wait for a worker.',
          'A worker of the new release will claim them, if there is one; '
          'until then their load balancers stay in PENDING_*. If no worker '
          'claims them now, none is running or all are busy.',
          _DRAIN),
    Entry('inflight.jobs-claimed', 'WARNING',
          'Workers are busy with jobs.',
          'A worker that is stopped now leaves its job half done. It exits '
          'immediately when it is stopped, without finishing first; another '
          'worker resumes the job when the claim expires.',
          _DRAIN),
    Entry('inflight.jobs-orphaned', 'WARNING',
          'Jobs were begun by a worker that no longer holds their claim.',
          'The worker was stopped, was killed or lost its claim. The next '
          'worker continues where it stopped; a step that was running is run '
          'again.',
          'Start octavia-worker of the release that posted the jobs, and '
          'let it finish them.'),
    Entry('inflight.job-without-logbook', 'FAILURE',
          'Jobs on the board have no logbook in the persistence database.',
          'The first worker that claims one moves it to the trash. Its load '
          'balancer stays in PENDING_*, and what was created for it is left '
          'behind. The persistence database was restored or replaced, or '
          'persistence_connection names a different one than the workers use.',
          'Restore the persistence database that belongs to the board, '
          'before a worker starts.'),
    Entry('inflight.flow-without-job', 'FAILURE',
          'Unfinished flows have no job on the board.',
          'No worker will ever continue them: workers only look at the board. '
          'The jobboard server lost its data, the board was emptied, or the '
          'jobboard options name a different board than the workers use.',
          'First make sure that the jobboard options are those of the '
          'workers. Then find the load balancers with the check resources, '
          'free them, and delete the logbooks.'),
    Entry('inflight.flow-unresolvable', 'FAILURE',
          'Octavia cannot build a flow that an older or newer release posted.',
          'A worker that claims the job fails to build the flow, moves the '
          'job to the trash and destroys its logbook. The load balancer '
          'stays in PENDING_* for good, and what was created for it is left '
          'behind.',
          'Let workers of the release that posted the job finish it before '
          'the upgrade.'),
    Entry('inflight.jobs-trashed', 'WARNING',
          'Jobs are in the trash of the board.',
          'No worker could begin them, so their load balancers are probably '
          'still in PENDING_*. Nothing removes them from the trash.',
          'Run the check resources for their load balancers, then empty '
          'the trash.'),
    Entry('inflight.logbooks-kept', 'WARNING',
          'Logbooks of finished flows are kept.',
          'Nothing ever deletes them, so the persistence database grows '
          'with every request, and with it the time that a migration '
          'takes. They hold copies of certificates and keys.',
          'Set jobboard_save_logbook in [task_flow] to False, restart '
          'octavia-worker, and delete them.'),
    Entry('inflight.undetermined', 'FAILURE',
          'The work in flight could not be determined in full.',
          'It is not known what the upgrade would interrupt, so it is not '
          'safe.',
          'Allow more time with --deadline, or let the workers empty the '
          'board first.'),
]

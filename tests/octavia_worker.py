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

"""Octavia's own jobboard code, with one configuration, from post to end.

Run as ``python -m tests.octavia_worker CONFIG``; ends with 0 if every step
went as it does between healthy controllers.
"""

import functools
import os
import sys
import threading
import time
import uuid

from oslo_config import cfg
from taskflow import task
from taskflow.patterns import linear_flow

from tests import worker_board

_PATIENCE = 60.0


class _Nothing(task.Task):
    def execute(self, load_balancer):
        return load_balancer


def make_flow():
    """A flow of one task; a worker finds it by its name."""
    return linear_flow.Flow('nothing').add(_Nothing('nothing'))


def _driver():
    from octavia.common import config
    from octavia.controller.worker.v2 import taskflow_jobboard_driver
    from stevedore import driver
    config.init(['--config-file', sys.argv[1]])
    return driver.DriverManager(
        'octavia.worker.jobboard_driver',
        cfg.CONF.task_flow.jobboard_backend_driver, invoke_on_load=True,
        invoke_args=(taskflow_jobboard_driver.MysqlPersistenceDriver(),)
    ).driver


def _by_hand(driver):
    """Post, claim, abandon, consume and trash."""
    options = cfg.CONF.task_flow
    # Claims in ZooKeeper end with the session instead.
    expires = 'zookeeper' not in options.jobboard_backend_driver
    seconds = options.jobboard_expiration_time
    with driver.persistence_driver.get_persistence() as persistence:
        with driver.job_board(persistence) as board:
            known = functools.partial(worker_board.known, board)
            for end in (board.consume, board.trash):
                job = board.post(f'job-{uuid.uuid4()}')
                assert job in list(board.iterjobs(ensure_fresh=True))
                known(board.claim, job, 'me')
                assert board.find_owner(job) == 'me'
                known(board.abandon, job, 'me')
                known(board.claim, job, 'me')
                if expires:
                    job.extend_expiry(seconds)
                    assert 0 < job.expires_in() <= seconds
                known(end, job, 'me')
                assert not list(board.iterjobs(ensure_fresh=True))


def _by_conductor(driver):
    """Let a conductor run a flow that a poster waits for."""
    from octavia.common import base_taskflow
    controller = base_taskflow.TaskFlowServiceController(driver)
    poster = threading.Thread(
        target=controller.run_poster, args=(make_flow,), daemon=True,
        kwargs={'store': {'load_balancer': 'lb'}})
    for thread in (poster, threading.Thread(
            target=controller.run_conductor, args=('conductor',),
            daemon=True)):
        thread.start()
    end = time.monotonic() + _PATIENCE
    poster.join(_PATIENCE)
    assert not poster.is_alive(), 'the job was not finished'
    # The conductor destroys the logbook once the job is done.
    with driver.persistence_driver.get_persistence() as persistence:
        while list(persistence.get_connection().get_logbooks()):
            assert time.monotonic() < end, 'the logbook was not destroyed'
            time.sleep(0.05)


def main():
    """Run all of it."""
    driver = _driver()
    _by_hand(driver)
    _by_conductor(driver)
    sys.stdout.write('done\n')
    sys.stdout.flush()
    # A conductor has threads that nothing ends.
    os._exit(0)


if __name__ == '__main__':
    main()

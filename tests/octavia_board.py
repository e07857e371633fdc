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

"""Octavia's own poster and conductor, on the boards of the tests.

``python -m tests.octavia_board CONFIG post`` reads a JSON list of ``{factory,
args, kwargs, store}`` from stdin, posts each as octavia-worker does, and ends
when all lie on the board. ``conduct`` works like octavia-worker does until it
is killed. ``tables`` makes the tables of Octavia's own database, and one load
balancer in PENDING_UPDATE with a listener.
"""

import json
import os
import subprocess
import sys
import threading
import time

from tests import commands

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

FLOWS = 'octavia.controller.worker.v2.flows.flow_utils'

LOAD_BALANCER = '11111111-1111-4111-8111-111111111111'
LISTENER = '22222222-2222-4222-8222-222222222222'


def start(config, *words: str, text: str | None = None, python=sys.executable
          ) -> subprocess.Popen:
    """Run this module with a configuration, and do not wait for its end."""
    process = subprocess.Popen(
        [python, '-m', 'tests.octavia_board', str(config), *words],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True, cwd=_ROOT,
        env=commands.environment())
    process.stdin.write(text or '')
    process.stdin.close()
    process.stdin = None
    return process


def run(config, *words: str, text: str | None = None) -> None:
    """Run this module to its end."""
    done = commands.ended(
        [sys.executable, '-m', 'tests.octavia_board', str(config), *words],
        commands.environment(), 120, _ROOT, feed=text or '')
    assert done.returncode == 0, done.stderr[-3000:]


def post(config, *jobs: dict) -> None:
    """Post jobs; each is ``{factory, args, kwargs, store}``."""
    run(config, 'post', text=json.dumps([
        {'args': [], 'kwargs': {}, 'store': {}} | job for job in jobs]))


def _controller(config):
    from octavia.common import base_taskflow
    from octavia.common import config as octavia_config
    from octavia.common import rpc
    from octavia.controller.worker.v2 import taskflow_jobboard_driver
    from oslo_config import cfg
    from stevedore import driver
    octavia_config.init(['--config-file', config])
    octavia_config.setup_logging(cfg.CONF)
    rpc.init()
    return base_taskflow.TaskFlowServiceController(driver.DriverManager(
        'octavia.worker.jobboard_driver',
        cfg.CONF.task_flow.jobboard_backend_driver, invoke_on_load=True,
        invoke_args=(taskflow_jobboard_driver.MysqlPersistenceDriver(),)
    ).driver)


def _post(controller):
    """Post from threads: Octavia's poster waits until a job has ended."""
    import importlib
    jobs = json.load(sys.stdin)
    posted = [0]

    def count(*_):
        posted[0] += 1

    controller._wait_for_job = count
    failed = []

    def run(job):
        module, _, name = job['factory'].rpartition('.')
        function = getattr(importlib.import_module(module), name)
        try:
            controller.run_poster(function, *job['args'], **job['kwargs'],
                                  store=job['store'])
        except Exception as exc:
            failed.append(exc)
            raise

    for job in jobs:
        run(job)
    assert posted[0] == len(jobs) and not failed


def _tables():
    """Make the tables, the words in them, and one load balancer."""
    from octavia.common import constants
    from octavia.db import api
    from octavia.db import base_models
    from octavia.db import models
    base_models.BASE.metadata.create_all(api.get_engine())
    with api.session().begin() as session:
        for model, names in (
                (models.ProvisioningStatus,
                 constants.SUPPORTED_PROVISIONING_STATUSES),
                (models.OperatingStatus,
                 constants.SUPPORTED_OPERATING_STATUSES),
                (models.LBTopology, constants.SUPPORTED_LB_TOPOLOGIES),
                (models.Protocol, constants.SUPPORTED_PROTOCOLS),
                (models.ClientAuthenticationMode,
                 constants.SUPPORTED_CLIENT_AUTH_MODES)):
            for name in names:
                session.add(model(name=name))
        session.flush()
        state = {'provisioning_status': constants.PENDING_UPDATE,
                 'operating_status': constants.ONLINE, 'enabled': True}
        session.add(models.LoadBalancer(
            id=LOAD_BALANCER, name='lb', provider=constants.AMPHORA,
            topology=constants.TOPOLOGY_SINGLE, **state))
        session.flush()
        session.add(models.Vip(load_balancer_id=LOAD_BALANCER,
                               ip_address='192.0.2.1'))
        session.add(models.Listener(
            id=LISTENER, load_balancer_id=LOAD_BALANCER, protocol='TCP',
            protocol_port=80, **state))


def main() -> None:
    config, what, *rest = sys.argv[1:]
    if what == 'tables':
        from octavia.common import config as octavia_config
        octavia_config.init(['--config-file', config])
        _tables()
        return
    controller = _controller(config)
    if what == 'post':
        _post(controller)
        return
    threading.Thread(target=controller.run_conductor, args=rest,
                     daemon=True).start()
    while True:
        time.sleep(3600)


if __name__ == '__main__':
    main()
    # Clients of some jobboards leave threads behind.
    os._exit(0)

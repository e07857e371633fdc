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

"""The process that imports Octavia once, and is forked into the others.

It has one thread, as required for forking, and ends with its control socket;
so do its forks, even if the parent is killed.
"""

import importlib
import json
import logging
import os
import queue
import signal
import socket
import sys
import threading
from typing import Any

from octavia_v2_checks.drill import channel
from octavia_v2_checks.drill import errors

#: What every child imports; once for all of them.
_NEEDED = ('octavia.common.base_taskflow',
           'octavia.controller.worker.v2.taskflow_jobboard_driver',
           'taskflow.persistence.backends.impl_sqlalchemy',
           'octavia_v2_checks.drill.flow')


def main(control_fd: int) -> None:
    """Load Octavia with the files that the first message names, then fork.

    :param control_fd: a SOCK_SEQPACKET socket
    """
    control = socket.socket(fileno=control_fd)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        said = _load(json.loads(control.recv(65536))['files'])
    except BaseException as exc:
        said = {'event': 'unloaded', 'missing': isinstance(exc, ImportError),
                **errors.describe(exc)}
    control.send(json.dumps(said).encode())
    while True:
        message, fds, _, _ = socket.recv_fds(control, 65536, 1)
        if not message or not fds:
            os._exit(0)
        if os.fork() == 0:
            control.close()
            _become(socket.socket(fileno=fds[0]), json.loads(message))
        os.close(fds[0])


def _load(files):
    """Do what octavia-worker does before it starts, without logging.

    :returns: what it has read
    """
    from octavia.common import config
    from oslo_config import cfg
    for name in _NEEDED:
        importlib.import_module(name)
    arguments = []
    for path in files:
        arguments += ['--config-file', path]
    config.init(arguments, default_config_files=[], default_config_dirs=[])
    # A worker logs every option as it starts, and ends if one has no valid
    # value.
    nowhere = logging.Logger(__name__)
    cfg.CONF.log_opt_values(nowhere, logging.DEBUG)
    options = cfg.CONF.task_flow
    _warm_up(options.jobboard_backend_driver)
    return {'event': 'loaded', 'enabled': options.jobboard_enabled,
            'driver': options.jobboard_backend_driver,
            'namespace': options.jobboard_backend_namespace,
            'expiration': options.jobboard_expiration_time}


def _warm_up(driver):
    """Import what every child would import by itself."""
    import stevedore
    stevedore.ExtensionManager('octavia.worker.jobboard_driver')
    kind = driver.partition('_')[0]
    try:
        importlib.import_module(f'taskflow.jobs.backends.impl_{kind}')
    except ImportError:
        # A worker would start, but fail at its first job.
        pass


def _become(sock, spec):
    """Run as the keeper or a conductor until the director is gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    line = channel.Channel(sock)
    try:
        role = Role(line, spec)
        if spec['role'] == 'keeper':
            from octavia_v2_checks.drill import keeper
            keeper.main(role)
        else:
            from octavia_v2_checks.drill import conductor
            conductor.main(role)
    except BaseException as exc:
        line.send({'event': 'ended', **errors.describe(exc)})
    finally:
        os._exit(0)


class Role:
    """What every child of the loader has.

    :ivar spec: what it was started with
    :ivar orders: what the director sends it
    """

    def __init__(self, line: channel.Channel, spec: dict[str, Any]):
        self.spec = spec
        self.send = line.send
        self.orders: queue.SimpleQueue[channel.Message] = queue.SimpleQueue()
        self._line = line
        threading.Thread(target=self._listen, daemon=True).start()
        root = logging.getLogger()
        root.handlers = [_Recorder(self.send)]
        root.setLevel(logging.WARNING)
        self.send({'event': 'ready', 'pid': os.getpid()})

    def _listen(self):
        while (orders := self._line.receive()) is not None:
            for order in orders:
                self.orders.put(order)
        os._exit(0)

    def driver(self):
        """Return Octavia's jobboard driver, in the drill's namespace."""
        from octavia.controller.worker.v2 import taskflow_jobboard_driver
        from oslo_config import cfg
        from stevedore import driver
        # oslo.config substitutes in what is set so, too.
        cfg.CONF.set_override('jobboard_backend_namespace',
                              self.spec['namespace'].replace('$', '$$'),
                              group='task_flow')
        return driver.DriverManager(
            'octavia.worker.jobboard_driver',
            cfg.CONF.task_flow.jobboard_backend_driver, invoke_on_load=True,
            invoke_args=(taskflow_jobboard_driver.MysqlPersistenceDriver(),)
        ).driver


class _Recorder(logging.Handler):
    """Tells the director the classes of what TaskFlow has logged."""

    def __init__(self, send):
        super().__init__()
        self._send = send

    def emit(self, record):
        # TaskFlow logs some of its failures as text while it handles them.
        exc = (record.exc_info or sys.exc_info())[1]
        if exc is not None:
            self._send({'event': 'trouble', **errors.describe(exc)})

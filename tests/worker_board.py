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

"""TaskFlow's own jobboard, told of a configuration as Octavia tells it.

``python -m tests.worker_board CONFIG`` connects, posts a job, claims it,
extends the claim, consumes it and sees the others, as the workers do. It
prints ``{"jobs": ["name", ...]}``, or ``{"error": "JobFailure", "causes":
["ConnectionError", ...]}``. It needs TaskFlow and not Octavia, so it runs
with releases of TaskFlow for which there is no Octavia here.
"""

import contextlib
import io
import json
import os
import sys
import uuid

from oslo_config import cfg
from oslo_utils import netutils
from oslo_utils import strutils
from taskflow import exceptions
from taskflow.jobs import backends

from octavia_v2_checks import opts


def options(path):
    """The options of [task_flow], as a service reads them."""
    conf = cfg.ConfigOpts()
    conf.register_opts(opts.task_flow_opts(), group='task_flow')
    conf(['--config-file', path], project='octavia', default_config_files=[],
         default_config_dirs=[])
    return conf.task_flow


def redis_board(given):
    first, *others = given.jobboard_backend_hosts
    sentinel = dict(given.jobboard_redis_sentinel_ssl_options)
    if 'ssl' in sentinel:
        sentinel['ssl'] = strutils.bool_from_string(sentinel['ssl'])
    conf = {'board': 'redis', 'host': first,
            'port': given.jobboard_backend_port,
            'db': given.jobboard_redis_backend_db,
            'namespace': given.jobboard_backend_namespace,
            'sentinel': given.jobboard_redis_sentinel,
            'sentinel_fallbacks': [
                f'{netutils.escape_ipv6(host)}:{given.jobboard_backend_port}'
                for host in others],
            'sentinel_kwargs': sentinel}
    for where, prefix in ((conf, 'jobboard_backend_'),
                          (sentinel, 'jobboard_redis_sentinel_')):
        for name in 'username', 'password':
            if given[prefix + name] is not None:
                where[name] = given[prefix + name]
    return conf | given.jobboard_redis_backend_ssl_options


def zookeeper_board(given):
    return {'board': 'zookeeper',
            'path': '/' + given.jobboard_backend_namespace,
            'hosts': ','.join(f'{host}:{given.jobboard_backend_port}'
                              for host in given.jobboard_backend_hosts),
            **given.jobboard_zookeeper_ssl_options}


def etcd_board(given):
    conf = {'board': 'etcd', 'host': given.jobboard_backend_hosts[0],
            'port': given.jobboard_backend_port,
            'path': given.jobboard_backend_namespace,
            'ttl': given.jobboard_expiration_time}
    tls = dict(given.jobboard_etcd_ssl_options)
    if tls.pop('use_ssl'):
        conf |= {**tls, 'protocol': 'https'}
    for name in 'timeout', 'api_path':
        value = given[f'jobboard_etcd_{name}']
        if value is not None:
            conf[name] = value
    return conf


BOARDS = {'redis_taskflow_driver': redis_board,
          'zookeeper_taskflow_driver': zookeeper_board,
          'etcd_taskflow_driver': etcd_board}


def work(given):
    """Do what workers do; the names of the jobs that lie there."""
    conf = BOARDS[given.jobboard_backend_driver](given)
    board = backends.fetch(given.jobboard_backend_namespace, conf)
    board.connect()
    name = f'job-{uuid.uuid4()}'
    board.post(name)
    found = list(board.iterjobs(ensure_fresh=True))
    mine, = (job for job in found if job.name == name)
    known(board, board.claim, mine, 'me')
    assert board.find_owner(mine) == 'me'
    known(board, board.consume, mine, 'me')
    return sorted(job.name for job in found if job is not mine)


def known(board, act, job, who):
    """Do something to a job, which its board may just have forgotten.

    A board on ZooKeeper drops what an older list of children, which comes
    late where the machine is busy, does not have.
    """
    for _ in range(9):
        try:
            return act(job, who)
        except exceptions.NotFound:
            list(board.iterjobs(ensure_fresh=True))
    return act(job, who)


def causes(exc):
    """The classes of an exception's causes, the nearest first."""
    names = []
    while exc := exc.__cause__ or exc.__context__:
        names.append(type(exc).__name__)
    return names


def main():
    # TaskFlow's releases and their libraries warn of much.
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            said = {'jobs': work(options(sys.argv[1]))}
        except Exception as exc:
            said = {'error': type(exc).__name__, 'causes': causes(exc)}
    sys.stdout.write(json.dumps(said) + '\n')
    sys.stdout.flush()
    # Clients of some jobboards leave threads behind.
    os._exit(0)


if __name__ == '__main__':
    main()

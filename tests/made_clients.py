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

"""What TaskFlow hands to redis-py here, and what we say that it does.

``python -m tests.made_clients CONFIG`` prints both as JSON: the arguments
that TaskFlow's jobboard gives, told of the configuration by Octavia where
that is installed, and those of :mod:`clients_redis`. An exception is told by
the name of its class.
"""

import importlib.util
import json
import sys

from octavia_v2_checks import settings
from octavia_v2_checks.backends.redis import connection
from octavia_v2_checks.upstream import clients_redis
from octavia_v2_checks.upstream import versions
from tests import worker_board


def description(path):
    """How Octavia describes the board to TaskFlow."""
    if not importlib.util.find_spec('octavia'):
        return worker_board.redis_board(worker_board.options(path))
    from octavia.common import config
    from octavia.controller.worker.v2 import taskflow_jobboard_driver
    config.init(['--config-file', path])
    described = []
    taskflow_jobboard_driver.job_backends.backend = (
        lambda name, conf, persistence: described.append(conf))
    taskflow_jobboard_driver.RedisTaskFlowDriver(None).job_board(None)
    return described[0]


def theirs(path):
    """What TaskFlow makes of it."""
    from taskflow.jobs.backends import impl_redis
    made = {'sentinels': None, 'name': None, 'sentinel': None}

    class Sentinel:
        def __init__(self, sentinels, sentinel_kwargs=None, **client):
            made.update(sentinels=[list(s) for s in sentinels],
                        sentinel=sentinel_kwargs, client=client)

        def master_for(self, name):
            made['name'] = name

    def client(**given):
        made['client'] = given

    impl_redis.sentinel.Sentinel = Sentinel
    impl_redis.ru.RedisClient = client
    impl_redis.RedisJobBoard._make_client(description(path))
    made['quiet'] = made['client'].pop(
        'maint_notifications_config', None) is not None
    return made


def ours(path):
    """What we say that it makes of it."""
    made = clients_redis.arguments(
        connection.options_of(settings.load([('file', path)])),
        versions.numbers('taskflow'), versions.numbers('octavia'))._asdict()
    if made['sentinels']:
        made['sentinels'] = [list(s) for s in made['sentinels']]
    return made


def told(make, path):
    try:
        return make(path)
    except Exception as exc:
        return type(exc).__name__


if __name__ == '__main__':
    sys.stdout.write(json.dumps(
        [told(theirs, sys.argv[1]), told(ours, sys.argv[1])]) + '\n')

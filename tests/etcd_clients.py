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

"""What client Octavia, TaskFlow and etcd3gw make of a configuration.

``python -m tests.etcd_clients CONFIG...`` prints a line of JSON for each.
"""

import json
import sys

import etcd3gw
from octavia.common import config  # noqa: F401 - it registers the options
from octavia.controller.worker.v2 import taskflow_jobboard_driver
from oslo_config import cfg
from taskflow import exceptions


def made(path: str) -> dict:
    """The settings of the client that a worker makes."""
    cfg.CONF.clear()
    cfg.CONF(['--config-file', path], project='octavia',
             default_config_files=[], default_config_dirs=[])
    seen = []

    class Client(etcd3gw.Etcd3Client):
        def watch_prefix(self, prefix):
            seen.append(self)
            raise etcd3gw.exceptions.ConnectionFailedError

    plain, etcd3gw.Etcd3Client = etcd3gw.Etcd3Client, Client
    driver = taskflow_jobboard_driver.EtcdTaskFlowDriver(None)
    try:
        with driver.job_board(None):
            raise AssertionError('it connects')
    except exceptions.JobFailure:
        client, = seen
    finally:
        etcd3gw.Etcd3Client = plain
    return {'url': client.base_url, 'timeout': client.timeout,
            'path': client._api_path, 'verify': client.session.verify,
            'cert': client.session.cert}


if __name__ == '__main__':
    for name in sys.argv[1:]:
        sys.stdout.write(json.dumps(made(name)) + '\n')

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

"""What all jobboards of cases have in common."""

from typing import Any

NAMESPACE = 'octavia_jobboard'
PASSWORD = 'Amsel9-Drossel4'
USER = 'octavia'
MASTER = 'jobs'

REDIS_TLS = 'jobboard_redis_backend_ssl_options'

SENTINEL_TLS = 'jobboard_redis_sentinel_ssl_options'

ZOOKEEPER_TLS = 'jobboard_zookeeper_ssl_options'

ETCD_TLS = 'jobboard_etcd_ssl_options'

#: How often the sound ones are drawn.
SOUND = 6


class Board:
    """A jobboard, and how a worker gets at it.

    :param server: or an ensemble
    :param options: of ``[task_flow]``
    :ivar environ: what a worker has in its environment
    """

    driver: str

    def __init__(self, server: Any, **options: Any):
        self.server = server
        self.environ: dict[str, str] = {}
        self.options = {
            'jobboard_backend_driver': self.driver,
            'jobboard_backend_hosts': ','.join(
                getattr(server, 'hosts', None) or [server.host]),
            'jobboard_backend_port': str(server.port),
            'jobboard_backend_namespace': NAMESPACE} | options

    def reset(self) -> None:
        """Remove what cases have left."""
        raise NotImplementedError

    def allow(self, user: str | None, password: str) -> None:
        """Let a worker in with another user or password.

        :raises Exception: if the server does not take it
        """
        raise LookupError('there is no login here')


def dictionary(**options: Any) -> str:
    """A dictionary as a configuration file has it."""
    return ','.join(f'{name}:{value}' for name, value in options.items())

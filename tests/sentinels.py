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

"""Sentinels for the tests: one, or three that know each other."""

import contextlib

from tests.servers import process
from tests.servers import redis as redis_server

HOSTS = ('127.0.0.1', '127.0.0.2', '127.0.0.3')
NAME = 'jobs'
QUICK = {'down-after-milliseconds': 400}


def one(master, host=HOSTS[0], port=None, quorum=1, name=NAME,
        settings=None, **options):
    """A Sentinel that says which address it has, not where it comes from."""
    return redis_server.Sentinel(
        name, master, quorum, host=host, port=port,
        settings=QUICK | (settings or {}),
        sentinel=('announce-ip', host), **options)


def state(server, name=NAME):
    """What a Sentinel knows of its master."""
    with server.client() as client:
        return client.sentinel_master(name)


@contextlib.contextmanager
def ensemble(master, quorum=2, **options):
    """Three Sentinels that know each other."""
    port = process.free_port(*HOSTS)
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(one(
            master, host, port, quorum, **options)) for host in HOSTS]
        for server in servers:
            server.command('SENTINEL', 'DEBUG', 'publish-period', 50,
                           'info-period', 100, 'ping-period', 50)
        process.wait_until(
            lambda: all(state(s)['num-other-sentinels'] == 2
                        for s in servers), 'they do not know each other')
        yield servers

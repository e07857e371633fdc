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

"""Redis as each release of redis-py meets it, with TaskFlow of its time."""

import pytest

from tests import clients
from tests import probing

pytestmark = pytest.mark.clients

#: Releases of redis-py, each with a TaskFlow that OpenStack shipped with it.
RELEASES = [clients.Release(*pins) for pins in (
    ('redis==4.6.0', 'taskflow==5.9.1'),
    ('redis==5.2.1', 'taskflow==5.12.0'),
    ('redis==6.4.0', 'taskflow==6.0.2'),
    ('redis==7.4.0', 'taskflow==6.2.0'),
    ('redis', 'taskflow'))]


@pytest.fixture(params=RELEASES, ids=repr)
def release(request):
    return request.param


def config(write_config, server, **options):
    """A configuration with a namespace of its own."""
    return write_config(**{
        'jobboard_enabled': True, 'jobboard_backend_hosts': server.host,
        'jobboard_backend_port': server.port,
        'jobboard_backend_namespace': probing.name('clients'), **options})


def test_healthy(release, redis, write_config):
    path = config(write_config, redis)
    assert release.probe('jobboard', path) == []
    assert release.work(path) == {'jobs': []}

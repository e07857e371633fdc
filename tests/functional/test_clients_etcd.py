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

"""etcd as each release of etcd3gw meets it, with TaskFlow of its time."""

import re

import pytest

from tests import clients
from tests import probing
from tests.servers import reverse

pytestmark = [pytest.mark.clients,
              pytest.mark.usefixtures('no_environment')]

#: Releases that know one path only; that take it from the environment; that
#: ask for it; that apply the time-out; and those of today.
RELEASES = [clients.Release(*pins) for pins in (
    ('etcd3gw==2.1.0', 'taskflow==5.9.1'),
    ('etcd3gw==2.2.0', 'taskflow==5.12.0'),
    ('etcd3gw==2.3.0', 'taskflow==6.0.2'),
    ('etcd3gw==2.5.0', 'taskflow==6.2.0'),
    ('etcd3gw', 'taskflow'))]

ONE_PATH = RELEASES[:2]
NO_TIMEOUT = RELEASES[:3]


@pytest.fixture(params=RELEASES, ids=repr)
def release(request):
    return request.param


@pytest.fixture
def config(write_config):
    """A function: a configuration with a separate namespace."""
    return lambda server, **options: write_config(**{
        'jobboard_enabled': True,
        'jobboard_backend_driver': 'etcd_taskflow_driver',
        'jobboard_backend_hosts': server.host,
        'jobboard_backend_port': server.port,
        'jobboard_backend_namespace': probing.name('clients'), **options})


def test_the_path(release, etcd, config):
    path = config(etcd)
    found = release.probe('jobboard', path)
    if release in ONE_PATH:
        found = probing.only(found, 'jobboard.wrong-protocol')
        assert '/v3alpha/' in found.message
        assert 'error' in release.work(path)
        name, value = re.fullmatch(r'Set (\w+) in \[task_flow\] to (\S+)',
                                   found.remedy).groups()
        path = config(etcd, **{name: value})
        found = release.probe('jobboard', path)
    assert found == []
    assert release.work(path) == {'jobs': []}


def test_the_path_of_the_environment(release, etcd, config, monkeypatch):
    monkeypatch.setenv('ETCD3GW_API_PATH', '/v3/')
    path = config(etcd)
    found = release.probe('jobboard', path)
    if release is RELEASES[0]:
        probing.only(found, 'jobboard.wrong-protocol')
        assert 'error' in release.work(path)
    else:
        probing.only(found, 'jobboard.environment')
        assert release.work(path) == {'jobs': []}


def test_the_timeout(release, etcd, config):
    """The first releases set it where requests does not look."""
    with reverse.Slow(etcd) as server:
        server.pause = 1.5
        path = config(server, jobboard_etcd_timeout=1,
                      jobboard_etcd_api_path='/v3/')
        found = release.probe('jobboard', path)
        if release in NO_TIMEOUT:
            assert found == []
            assert release.work(path) == {'jobs': []}
        else:
            assert 'within 1 s' in probing.only(
                found, 'jobboard.timeout').message
            assert 'error' in release.work(path)

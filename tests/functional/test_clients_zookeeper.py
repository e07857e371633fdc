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

"""ZooKeeper as each release of kazoo meets it, with TaskFlow of its time."""

import shlex

from packaging import requirements
import pytest

from tests import clients
from tests import probing
from tests.functional import test_zookeeper_worker
from tests.servers import zookeeper as zookeeper_server

pytestmark = pytest.mark.clients

TLS = 'jobboard_zookeeper_ssl_options'

#: Releases of kazoo, each with a TaskFlow that OpenStack shipped with it.
RELEASES = [clients.Release(*pins) for pins in (
    ('kazoo==2.8.0', 'taskflow==5.9.1'),
    ('kazoo==2.10.0', 'taskflow==5.12.0'),
    ('kazoo', 'taskflow'))]

BROKEN = clients.Release('kazoo==2.11.0', 'taskflow')


@pytest.fixture(params=RELEASES, ids=repr)
def release(request):
    return request.param


@pytest.fixture
def config(write_config):
    """A function: a configuration with a separate namespace."""
    def write(host, port, **options):
        return write_config(**{
            'jobboard_enabled': True,
            'jobboard_backend_driver': 'zookeeper_taskflow_driver',
            'jobboard_backend_hosts': host, 'jobboard_backend_port': port,
            'jobboard_backend_namespace': probing.name('clients'),
            **options})

    return write


@pytest.fixture(scope='module')
def secure(authority):
    """A ZooKeeper with TLS."""
    with zookeeper_server.ZooKeeper(
            tls=authority.server('kazoo-server')) as server:
        yield server


def test_healthy(release, zookeeper, config):
    path = config(zookeeper.host, zookeeper.port)
    assert release.probe('jobboard', path) == []
    assert release.work(path) == {'jobs': []}


def test_permission_missing(release, config):
    from kazoo import security
    with zookeeper_server.ZooKeeper() as server:
        path = config(server.host, server.port,
                      jobboard_backend_namespace='board')
        client = server.client()
        client.create('/board', acl=[security.make_acl(
            'world', 'anyone', read=True)])
        client.stop()
        client.close()
        probing.only(release.probe('jobboard', path),
                     'jobboard.missing-permission')
        assert release.work(path)['error'] == 'JobFailure'


def test_a_login_is_demanded(release, config):
    """With an error that older releases of kazoo do not know."""
    with zookeeper_server.ZooKeeper(properties={
            'zookeeper.enforce.auth.enabled': 'true',
            'zookeeper.enforce.auth.schemes': 'digest'}) as server:
        path = config(server.host, server.port)
        probing.only(release.probe('jobboard', path),
                     'jobboard.auth-unsupported')
        assert 'error' in release.work(path, 30)


def test_tls(release, secure, config, authority, monkeypatch):
    monkeypatch.setenv('SSL_CERT_FILE', authority.cert)
    path = config(secure.host, secure.port, **{TLS: {'use_ssl': True}})
    found = release.probe('jobboard', path)
    done = release.work(path)
    assert probing.ids(found) == (
        ['jobboard.client-broken'] if 'error' in done else [])


def test_a_release_that_cannot_do_tls(secure, zookeeper, config, authority,
                                      monkeypatch):
    monkeypatch.setenv('SSL_CERT_FILE', authority.cert)
    path = config(secure.host, secure.port, **{TLS: {'use_ssl': True}})
    found = probing.only(BROKEN.probe('jobboard', path),
                         'jobboard.client-broken')
    assert '2.11.0' in found.message
    assert found.option == f'task_flow.{TLS}'
    wanted = requirements.Requirement(shlex.split(found.remedy)[-1])
    assert wanted.name == 'kazoo'
    assert not wanted.specifier.contains('2.11.0')
    assert wanted.specifier.contains('2.10.0')
    assert BROKEN.work(path)['error'] == 'AttributeError'
    # Without TLS it works.
    path = config(zookeeper.host, zookeeper.port)
    assert BROKEN.probe('jobboard', path) == []
    assert BROKEN.work(path) == {'jobs': []}


def test_tls_for_clients_that_name_the_host(release, zookeeper, config,
                                            authority, monkeypatch):
    monkeypatch.setenv('SSL_CERT_FILE', authority.cert)
    with test_zookeeper_worker.Terminator(
            zookeeper, authority.server('sni')) as front:
        path = config('localhost', front.port, **{TLS: {'use_ssl': True}})
        found = release.probe('jobboard', path)
        done = release.work(path)
    assert probing.ids(found) == {
        'JobFailure': ['jobboard.client-fails'],
        'AttributeError': ['jobboard.client-broken'],
        None: []}[done.get('error')]

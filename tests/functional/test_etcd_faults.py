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

"""Another server in the place of an etcd jobboard, or one that fails."""

import os
import re
import signal
import socket
import threading

import pytest

from tests import etcd_probing
from tests import jobboards
from tests import probing
from tests.jobboards import peer
from tests.servers import etcd as etcd_server
from tests.servers import redis as redis_server
from tests.servers import scripts

pytestmark = pytest.mark.usefixtures('no_environment')

VERSION = b'{"etcdserver":"3.4.23","etcdcluster":"3.4.0"}'


@pytest.fixture
def probe(write_config):
    return jobboards.Prober(write_config, etcd_probing.DRIVER)


@pytest.fixture
def tls(authority):
    return etcd_probing.tls(authority)


@pytest.mark.parametrize('fixture, name, driver', [
    ('redis', 'Redis', 'redis_taskflow_driver'),
    ('zookeeper', 'ZooKeeper', 'zookeeper_taskflow_driver'),
    ('mariadb', 'MySQL', 'jobboard_backend_hosts')])
def test_another_server(probe, request, fixture, name, driver):
    jobboards.assert_another(probe, request.getfixturevalue(fixture), name,
                             driver)


def test_a_sentinel(probe, redis):
    with redis_server.Sentinel('octavia', redis) as server:
        found = probing.only(probe([server.host], server.port, timeout=2),
                             'jobboard.wrong-protocol')
    assert 'a Redis Sentinel answers' in found.message


@pytest.mark.parametrize('server', [
    lambda: scripts.Http(b'{}'), lambda: scripts.Http(b'[]'),
    lambda: scripts.Http(b'hello'),
    lambda: scripts.Http(b'', '301 Moved Permanently'),
    lambda: scripts.Http(b'{"etcdserver": 3}'),
    lambda: scripts.Http(b'{"etcdserver": "three"}')])
def test_an_http_server(probe, server):
    with server() as started:
        found = probing.only(probe([started.host], started.port),
                             'jobboard.wrong-protocol')
    assert found.host == peer(started)


def _http(body, length=None):
    return (f'HTTP/1.1 200 OK\r\nContent-Length: {length or len(body)}\r\n'
            f'\r\n').encode() + body


@pytest.mark.parametrize('script, plain, encrypted', [
    (scripts.Refuse, 'refused', 'refused'),
    (scripts.Blackhole, 'timeout', 'timeout'),
    (scripts.Silent, 'timeout', 'timeout'),
    # The reset arrives before the handshake begins, or after.
    (scripts.Reset, 'refused', 'refused tls'),
    (scripts.Hangup, 'refused', 'tls'),
    (lambda: scripts.Answer(_http(VERSION, 99)), 'timeout', 'wrong-protocol'),
    (lambda: scripts.Http(VERSION[:20]), 'wrong-protocol',
     'wrong-protocol'),
    (lambda: scripts.Drip(_http(VERSION), first=False), 'timeout',
     'timeout'),
    (lambda: scripts.Drip(b'\x00'), 'timeout', 'timeout'),
    (lambda: scripts.Endless(b'HTTP/1.1 200 OK\r\n', first=False),
     'wrong-protocol', 'wrong-protocol'),
    (lambda: scripts.Endless(b'HTTP/1.1 200 OK\r\n\r\n', first=False),
     'wrong-protocol', 'wrong-protocol'),
    (lambda: scripts.Endless(b'HTTP/1.1 100 Continue\r\n\r\n', first=False),
     'wrong-protocol', 'wrong-protocol'),
    (lambda: scripts.Endless(b'\xff\x00nonsense'), 'wrong-protocol', 'tls'),
    (lambda: scripts.Answer(bytes(range(256))), 'wrong-protocol', 'tls'),
])
@pytest.mark.parametrize('with_tls', [False, True])
def test_faults(probe, tls, script, plain, encrypted, with_tls):
    with script() as server:
        found, = probe([server.host], server.port, deadline=6, timeout=1,
                       **({etcd_probing.TLS: tls} if with_tls else {}))
        assert found.id in [f'jobboard.{slug}' for slug in (
            encrypted if with_tls else plain).split()]
        assert found.host == peer(server)


class Later(scripts.Silent):
    """Tells its version, and answers every question after it with *data*."""

    def __init__(self, data):
        self.data = data
        super().__init__()

    def answer(self, client, data):
        if b'Content-Length: ' in data and data.endswith(b'\r\n\r\n'):
            return  # the body comes, and hanging up before would be a reset
        if b'/version' in data:
            # Its connection stays open: the next question may come through it.
            client.sendall(_http(VERSION))
        elif self.data:
            client.sendall(self.data)
            client.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize('data, slug', [
    (b'', 'timeout'),
    (b'HTTP/1.1 ', 'refused'),
    (_http(b'{"header"', 500), 'refused'),
    (_http(b'{}'), 'wrong-protocol'),
    (_http(b'{"header": 1, "leader": [], "errors": 7}'), 'wrong-protocol'),
    (b'garbage\r\n\r\n', 'wrong-protocol'),
    (b'HTTP/1.1 400 Bad\r\n\r\n{"error": "etcdserver: what", "code": 3}',
     'undetermined'),
    (b'HTTP/1.1 503 No\r\n\r\n{"error": "etcdserver: no leader"}',
     'no-quorum'),
    (b'HTTP/1.1 401 No\r\n\r\n{"error": "etcdserver: invalid auth token"}',
     'auth-unsupported'),
])
def test_faults_of_a_question(probe, data, slug):
    with Later(data) as server:
        found = probe([server.host], server.port, deadline=6, timeout=1)
        assert probing.only(found, f'jobboard.{slug}').host == peer(server)


def test_unresolvable(probe):
    found = probing.only(probe(['no-such-host.invalid'], 2379),
                         'jobboard.unresolvable')
    assert found.host == 'no-such-host.invalid:2379'


def test_a_resolver_that_never_answers(probe, monkeypatch):
    # The system's resolver is not ours to stop, so its place is taken.
    released = threading.Event()
    monkeypatch.setattr(socket, 'getaddrinfo',
                        lambda *args, **kwargs: released.wait(30))
    try:
        found = probe(['a'], 2379, deadline=6, timeout=1)
    finally:
        released.set()
    assert probing.only(found, 'jobboard.unresolvable').host == 'a:2379'


def test_killed_while_we_look(probe):
    with etcd_server.Etcd() as server:
        os.kill(server.pid, signal.SIGSTOP)
        timer = threading.Timer(0.7, server.members[0].kill)
        timer.start()
        try:
            found = probing.only(probe(server), 'jobboard.refused')
        finally:
            timer.join()
        assert found.host == peer(server)


@pytest.mark.parametrize('hosts', [
    [], ['[::1]'], ['etcd1:2379'], ['http://etcd1'], ['etcd1/x'], ['e d'],
    [f'octavia:{probing.PASSWORD}@etcd1'.replace('$', '$$')]])
def test_hosts_that_etcd3gw_cannot_use(probe, hosts):
    with pytest.raises(probing.Blocked) as caught:
        probe(hosts, 2379)
    assert caught.value.option == 'task_flow.jobboard_backend_hosts'
    assert 'octavia:' not in caught.value.reason


def test_ipv6(probe):
    server = etcd_server.Etcd()
    member = server.members[0]
    original = member.argv
    member.argv = lambda: [
        re.sub(r'(client-urls=http://)127.0.0.1', r'\1[::1]', a)
        for a in original()]
    member.host = '[::1]'
    with server:
        assert probe(['::1'], server.port) == []

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

"""A ZooKeeper jobboard over TLS, in another's place, and out of order."""

import itertools
import os
import re
import signal
import socket
import struct
import threading

import pytest

from tests import jobboards
from tests import probing
from tests.jobboards import peer
from tests.servers import redis as redis_server
from tests.servers import scripts
from tests.servers import zookeeper as zookeeper_server

DRIVER = 'zookeeper_taskflow_driver'
TLS = 'jobboard_zookeeper_ssl_options'

#: What a written dictionary may hold; a dollar sign is written twice.
KEY_PASSWORD = probing.PASSWORD.replace('$', '$$')


@pytest.fixture
def probe(write_config):
    return jobboards.Prober(write_config, DRIVER)


@pytest.fixture(scope='module')
def certificate(authority):
    """A client certificate with a password on its key."""
    return authority.client('zookeeper-faults', password=probing.PASSWORD)


@pytest.fixture(scope='module')
def secure(authority):
    """A ZooKeeper that requires a client certificate."""
    with zookeeper_server.ZooKeeper(
            tls=authority.server('zookeeper-server'),
            client_ca=authority.cert,
            admin_certificate=authority.client('zookeeper-admin')) as server:
        yield server


@pytest.fixture
def tls(authority, certificate, monkeypatch):
    """TLS options that fit the server."""
    monkeypatch.setenv('SSL_CERT_FILE', authority.cert)
    return {'use_ssl': True, 'certfile': certificate.cert,
            'keyfile': certificate.key, 'keyfile_password': KEY_PASSWORD}


def _options(remedy):
    """The options that a remedy says to set."""
    return dict(re.findall(r'Set (\w+) in \[task_flow\] to ([^\s,]+)',
                           remedy))


def test_tls(probe, secure, tls):
    assert probe(secure, **{TLS: tls}) == []


# kazoo shows a certificate only where the key is named as well.
@pytest.mark.parametrize('left_out', [['keyfile'], ['keyfile', 'certfile']])
def test_tls_without_a_client_certificate(probe, secure, tls, left_out):
    options = {k: v for k, v in tls.items() if k not in left_out}
    found = probing.only(probe(secure, **{TLS: options}), 'jobboard.tls')
    assert found.host == peer(secure)
    for key in re.findall(r'\b(certfile|keyfile)\b', found.remedy):
        options[key] = tls[key]
    assert probe(secure, **{TLS: options}) == []


def test_tls_of_an_unknown_authority(probe, secure, authority, tls,
                                     monkeypatch):
    monkeypatch.delenv('SSL_CERT_FILE')
    found = probing.only(probe(secure, **{TLS: tls}), 'jobboard.tls')
    assert found.host == peer(secure) and 'not trusted' in found.message
    assert found.option == f'task_flow.{TLS}'
    variable = re.search('SSL_CERT_FILE', found.remedy)[0]
    with monkeypatch.context() as patch:
        patch.setenv(variable, authority.cert)
        assert probe(secure, **{TLS: tls}) == []
    assert probe(secure, **{TLS: tls | {'verify_certs': False}}) == []


def test_tls_names_are_not_looked_at(probe, authority, tls):
    with zookeeper_server.ZooKeeper(tls=authority.wrong_host()) as server:
        assert probe(server, **{TLS: tls}) == []


def test_tls_expired(probe, authority, tls):
    with zookeeper_server.ZooKeeper(tls=authority.expired()) as server:
        found = probing.only(probe(server, **{TLS: tls}), 'jobboard.tls')
        assert 'expired' in found.message


@pytest.mark.parametrize('change', [
    {'keyfile_password': 'wrong'}, {'keyfile_password': ''},
    {'keyfile': '/no/such/file'}])
def test_tls_files_that_do_not_load(probe, secure, tls, change):
    with pytest.raises(probing.Blocked) as caught:
        probe(secure, **{TLS: tls | change})
    assert caught.value.option == f'task_flow.{TLS}'
    assert 'wrong' not in caught.value.reason


def test_tls_where_the_server_has_none(probe, zookeeper, tls):
    found = probing.only(probe(zookeeper, **{TLS: tls}),
                         'jobboard.wrong-protocol')
    assert found.option == f'task_flow.{TLS}'
    assert found.host == peer(zookeeper)
    assert probe(zookeeper, **_options(found.remedy)) == []


def test_no_tls_where_the_server_has_it(probe, authority, tls):
    with zookeeper_server.ZooKeeper(tls=authority.server()) as server:
        found = probing.only(probe(server), 'jobboard.wrong-protocol')
        assert found.option == f'task_flow.{TLS}'
        assert found.host == peer(server)
        assert probe(server, **_options(found.remedy)) == []


def test_no_tls_where_the_server_wants_certificates(probe, secure):
    found = probing.only(probe(secure), 'jobboard.wrong-protocol')
    assert 'expects TLS' in found.message


@pytest.mark.parametrize('fixture, name, driver', [
    ('redis', 'Redis', 'redis_taskflow_driver'),
    ('etcd', 'etcd', 'etcd_taskflow_driver'),
    ('mariadb', 'MySQL', 'jobboard_backend_hosts')])
def test_another_server(probe, request, fixture, name, driver):
    jobboards.assert_another(probe, request.getfixturevalue(fixture), name,
                             driver)


def test_a_sentinel(probe, redis):
    with redis_server.Sentinel('octavia', redis) as server:
        found = probing.only(probe([server.host], server.port, timeout=2),
                             'jobboard.wrong-protocol')
    assert 'a Redis Sentinel answers' in found.message


def test_an_http_server(probe):
    with scripts.Http(b'{}') as server:
        found = probing.only(probe([server.host], server.port),
                             'jobboard.wrong-protocol')
    assert 'an HTTP server answers' in found.message


#: How a session begins.
GRANTED = struct.pack('>iiiqi', 37, 0, 5000, 1, 16) + bytes(17)

SRVR = b'Zookeeper version: 3.8.0, built on 2022\nMode: standalone\n'


@pytest.mark.parametrize('script, plain, encrypted', [
    (scripts.Refuse, 'refused', 'refused'),
    (scripts.Blackhole, 'timeout', 'timeout'),
    (scripts.Silent, 'timeout', 'timeout'),
    # The reset arrives before the handshake begins, or after.
    (scripts.Reset, 'refused', 'refused tls'),
    (scripts.Hangup, 'refused', 'tls'),
    # These are recognised as a ZooKeeper without TLS.
    (lambda: scripts.Answer(SRVR[:30]), 'timeout', 'wrong-protocol'),
    (lambda: scripts.Answer(SRVR), 'timeout', 'wrong-protocol'),
    (lambda: scripts.Endless(SRVR, first=False), 'wrong-protocol',
     'wrong-protocol'),
    (lambda: scripts.Drip(SRVR, first=False), 'timeout', 'timeout'),
    (lambda: scripts.Drip(b'\x00'), 'wrong-protocol', 'timeout'),
    (lambda: scripts.Endless(b'\xff\x00nonsense'), 'wrong-protocol', 'tls'),
    (lambda: scripts.Answer(bytes(range(256))), 'wrong-protocol', 'tls'),
])
@pytest.mark.parametrize('with_tls', [False, True])
def test_faults(probe, tls, script, plain, encrypted, with_tls):
    with script() as server:
        found = probe([server.host], server.port, deadline=6, timeout=1,
                      **({TLS: tls} if with_tls else {}))
        found, = found
        assert found.id in [f'jobboard.{slug}' for slug in (
            encrypted if with_tls else plain).split()]
        assert found.host == peer(server)


class Half(scripts.Silent):
    """Answers the words of a healthy server, and a session with *data*.

    What comes after the grant of a session answers the first request in it.
    """

    def __init__(self, data, host='127.0.0.1'):
        self.data = data
        super().__init__(host)

    def answer(self, client, data):
        if data in (b'srvr', b'envi'):
            client.sendall(SRVR if data == b'srvr' else
                           b'Environment:\nzookeeper.version=3.8.0, built\n')
            client.shutdown(socket.SHUT_RDWR)
        elif self.data is None:
            client.shutdown(socket.SHUT_RDWR)
        elif self.data.startswith(GRANTED):
            client.sendall(GRANTED)
            client.recv(65536)
            client.sendall(self.data[len(GRANTED):])
        else:
            client.sendall(self.data)


@pytest.mark.parametrize('data, slug', [
    (b'', 'timeout'), (None, 'refused'), (b'\0\0\0', 'timeout'),
    (b'\0\0\0\x25\0\0', 'timeout'), (b'\0\0\0\x02\0\0', 'wrong-protocol'),
    (b'HTTP/1.1 400 Bad Request\r\n\r\n', 'wrong-protocol'),
    (b'\xff\xff\xff\xff', 'wrong-protocol'),
    (bytes((0, 0, 0, 37)) + bytes(37), 'refused'),
    (GRANTED + struct.pack('>iiqi', 16, 1, 0, -5), 'undetermined'),
    (GRANTED + struct.pack('>iiqi', 16, 1, 0, -124), 'auth-unsupported'),
])
def test_faults_of_the_session(probe, data, slug):
    with Half(data) as server:
        found = probe([server.host], server.port, deadline=6, timeout=1)
        assert probing.only(found, f'jobboard.{slug}').host == peer(server)


def test_a_session_with_the_next_member(probe):
    with Half(None, '127.0.0.1') as first:
        second = zookeeper_server.ZooKeeper()
        second.members[0].host = '127.0.0.2'
        second.members[0].port = first.port
        with second:
            found = probe([first.host, second.host], first.port)
    # Only the session with the second can tell of permissions.
    probing.only(found, 'jobboard.split-ensemble')


def test_two_of_three_silent(probe):
    servers = [scripts.Silent('127.0.0.1')]
    try:
        found = probe(['127.0.0.1', 'no-such-host.invalid'],
                      servers[0].port, deadline=6, timeout=1)
    finally:
        servers[0].stop()
    assert probing.ids(found) == ['jobboard.timeout', 'jobboard.unresolvable']
    assert found[1].host == f'no-such-host.invalid:{servers[0].port}'


def test_a_resolver_that_never_answers(probe, monkeypatch):
    # The system's resolver is not ours to stop, so its place is taken.
    released = threading.Event()
    monkeypatch.setattr(socket, 'getaddrinfo',
                        lambda *args, **kwargs: released.wait(30))
    try:
        found = probe(['a', 'b', 'c'], 2181, deadline=6, timeout=1)
    finally:
        released.set()
    assert probing.ids(found) == ['jobboard.unresolvable'] * 3
    assert {f.host for f in found} == {'a:2181', 'b:2181', 'c:2181'}


def test_killed_while_we_look(probe):
    with zookeeper_server.ZooKeeper() as server:
        os.kill(server.pid, signal.SIGSTOP)
        timer = threading.Timer(0.7, server.kill)
        timer.start()
        try:
            found = probing.only(probe(server), 'jobboard.refused')
        finally:
            timer.join()
        assert found.host == peer(server)


@pytest.mark.parametrize('host', [
    '::1', 'zk1:2181', 'http://zk1', '[::1'])
def test_hosts_that_kazoo_cannot_read(probe, host):
    with pytest.raises(probing.Blocked) as caught:
        probe([host], 2181)
    assert caught.value.option == 'task_flow.jobboard_backend_hosts'


def test_no_hosts(probe):
    with pytest.raises(probing.Blocked) as caught:
        probe([], 2181)
    assert caught.value.option == 'task_flow.jobboard_backend_hosts'


def test_brackets(probe):
    server = zookeeper_server.ZooKeeper()
    server.members[0].host = '::1'
    with server:
        assert probe(['[::1]'], server.port) == []


def test_the_fault_matrix_has_no_secret(probe, tls, authority):
    """The other tests look too; here the password is surely in use."""
    with scripts.Endless(b'\x16\x03\x01') as server:
        for hosts in itertools.permutations([server.host, 'localhost']):
            found = probe(list(hosts), server.port, deadline=6, timeout=1,
                          **{TLS: tls})
            assert found and probing.PASSWORD not in repr(found)

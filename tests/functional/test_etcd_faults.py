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

"""An etcd jobboard over TLS, behind proxies, with another server in its place,
and unhealthy.
"""

import base64
import contextlib
import os
import re
import shutil
import signal
import socket
import threading

import pytest

from tests import jobboards
from tests import probing
from tests.jobboards import peer
from tests.servers import etcd as etcd_server
from tests.servers import process
from tests.servers import redis as redis_server
from tests.servers import scripts

DRIVER = 'etcd_taskflow_driver'
TLS = 'jobboard_etcd_ssl_options'
VERSION = b'{"etcdserver":"3.4.23","etcdcluster":"3.4.0"}'


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    jobboards.clear_environment(monkeypatch)


@pytest.fixture
def probe(write_config):
    return jobboards.Prober(write_config, DRIVER)


@pytest.fixture(scope='module')
def secure(authority):
    """An etcd that requires a client certificate."""
    with etcd_server.Etcd(
            tls=authority.server('etcd-server', client_too=True),
            ca=authority.cert, client_auth=True,
            admin_certificate=authority.client('etcd-admin')) as server:
        yield server


@pytest.fixture
def tls(authority):
    """TLS options that fit the server."""
    certificate = authority.client('etcd-faults')
    return {'use_ssl': True, 'ca_cert': authority.cert,
            'cert_cert': certificate.cert, 'cert_key': certificate.key}


def _options(remedy):
    """The options that a remedy says to set."""
    return dict(re.findall(r'Set (\w+) in \[task_flow\] to ([^\s.]+)',
                           remedy))


def test_tls(probe, secure, tls):
    assert probe(secure, **{TLS: tls}) == []


def test_tls_that_etcd_does_not_pass_itself(probe, authority, tls):
    with etcd_server.Etcd(
            tls=authority.server('etcd-server-only'), ca=authority.cert,
            client_auth=True,
            admin_certificate=authority.client('etcd-admin')) as server:
        found = probing.only(probe(server, **{TLS: tls}), 'jobboard.tls')
        assert found.host == peer(server)
        assert 'cannot connect to etcd itself' in found.message
        assert 'clientAuth' in found.remedy
        server.tls = authority.server('etcd-renewed', client_too=True)
        server.restart()
        assert probe(server, **{TLS: tls}) == []


@pytest.mark.parametrize('kept', [[], ['cert_cert'], ['cert_key']])
def test_tls_without_a_client_certificate(probe, secure, tls, kept):
    options = {k: v for k, v in tls.items()
               if not k.startswith('cert_') or k in kept}
    found = probing.only(probe(secure, **{TLS: options}), 'jobboard.tls')
    assert found.host == peer(secure) and found.option == f'task_flow.{TLS}'
    for key in re.findall(r'\bcert_\w+', found.remedy):
        options[key] = tls[key]
    assert probe(secure, **{TLS: options}) == []


def test_tls_of_an_unknown_authority(probe, authority, tls):
    with etcd_server.Etcd(tls=authority.server(), ca=authority.cert
                          ) as server:
        found = probing.only(probe(server, **{TLS: {'use_ssl': True}}),
                             'jobboard.tls')
        assert found.host == peer(server)
        assert 'not trusted' in found.message
        key, = re.findall(r'Set (\w+) in', found.remedy)
        assert probe(server, **{TLS: {'use_ssl': True, key: tls[key]}}) == []


def test_tls_authorities_in_a_directory(probe, authority, tls, tmp_path):
    # OpenSSL looks for a name made of a hash, which cryptography has not.
    shutil.copy(authority.cert, tmp_path / 'ca.pem')
    process.run('openssl', 'rehash', str(tmp_path))
    with etcd_server.Etcd(tls=authority.server(), ca=authority.cert
                          ) as server:
        assert probe(server, **{TLS: {'use_ssl': True,
                                      'ca_cert': tmp_path}}) == []


@pytest.mark.parametrize('kind, words', [
    ('wrong_host', 'not trusted'), ('expired', 'expired')])
def test_tls_certificates(probe, authority, tls, kind, words):
    with etcd_server.Etcd(tls=getattr(authority, kind)(), ca=authority.cert
                          ) as server:
        found = probing.only(probe(server, **{TLS: tls}), 'jobboard.tls')
        assert words in found.message and found.host == peer(server)


@pytest.mark.parametrize('change', [
    {'ca_cert': '/no/such/file'}, {'cert_cert': 'None'},
    {'cert_key': '/dev/null'}, {'use_ssl': None}])
def test_tls_options_that_no_worker_could_use(probe, secure, tls, change):
    options = {k: v for k, v in (tls | change).items() if v is not None}
    with pytest.raises(probing.Blocked) as caught:
        probe(secure, **{TLS: options})
    assert caught.value.option == f'task_flow.{TLS}'


def test_a_key_with_a_password_is_not_asked_for(probe, authority, secure,
                                                tls):
    certificate = authority.client('etcd-locked', password=probing.PASSWORD)
    with pytest.raises(probing.Blocked):
        probe(secure, **{TLS: tls | {'cert_cert': certificate.cert,
                                     'cert_key': certificate.key}})


@pytest.mark.parametrize('text', ['False', 'no', 'True', '0'])
def test_any_text_turns_tls_on(probe, etcd, text):
    found = probing.only(probe(etcd, **{TLS: {'use_ssl': text}}),
                         'jobboard.wrong-protocol')
    assert found.option == f'task_flow.{TLS}' and found.host == peer(etcd)
    assert repr(text) in found.message
    assert probe(etcd, **_options(found.remedy)) == []


def test_false_is_on_where_the_server_has_tls(probe, secure, tls):
    assert probe(secure, **{TLS: tls | {'use_ssl': 'False'}}) == []


def test_no_tls_where_the_server_has_it(probe, authority, tls):
    with etcd_server.Etcd(tls=authority.server(), ca=authority.cert
                          ) as server:
        found = probing.only(probe(server), 'jobboard.wrong-protocol')
        assert found.option == f'task_flow.{TLS}'
        assert found.host == peer(server)
        text, = re.findall(r'to (use_ssl\S+)', found.remedy)
        assert probe(server, **{TLS: text.replace(
            'CA_FILE', authority.cert)}) == []


def test_no_tls_where_the_server_wants_certificates(probe, secure):
    found = probing.only(probe(secure), 'jobboard.wrong-protocol')
    assert 'expects TLS' in found.message


@pytest.mark.parametrize('variable', ['REQUESTS_CA_BUNDLE',
                                      'CURL_CA_BUNDLE'])
def test_authorities_of_the_environment(probe, secure, tls, authority,
                                        monkeypatch, variable, tmp_path):
    other = authority.__class__(tmp_path / 'other', 'Another')
    monkeypatch.setenv(variable, other.cert)
    found = probe(secure, **{TLS: tls})
    assert probing.ids(found) == ['jobboard.environment', 'jobboard.tls']
    assert variable in found[0].message
    assert other.cert not in repr(found)
    monkeypatch.setenv(variable, '/no/such/file')
    assert probing.ids(probe(secure, **{TLS: tls})) == [
        'jobboard.environment', 'jobboard.tls']
    # The same authorities make no difference.
    monkeypatch.setenv(variable, authority.cert)
    assert probe(secure, **{TLS: tls}) == []
    monkeypatch.delenv(re.search(r'Unset (\w+)', found[0].remedy)[1])
    assert probe(secure, **{TLS: tls}) == []


def test_authorities_of_the_environment_without_tls(probe, etcd,
                                                    monkeypatch):
    monkeypatch.setenv('REQUESTS_CA_BUNDLE', '/no/such/file')
    assert probe(etcd) == []


class Proxy(scripts.Silent):
    """An HTTP proxy; with *login* it lets nobody else through."""

    def __init__(self, login=None):
        self.login = login
        super().__init__()

    def answer(self, client, data):
        while b'\r\n\r\n' not in data:
            data += client.recv(65536)
        if self.login and (b'Proxy-Authorization: Basic '
                           + base64.b64encode(self.login)) not in data:
            client.sendall(b'HTTP/1.1 407 Proxy Authentication Required\r\n'
                           b'Content-Length: 0\r\n\r\n')
            client.shutdown(socket.SHUT_RDWR)
            return
        host, port = re.match(
            rb'(?:CONNECT |\w+ http://)([\d.]+):(\d+)', data).groups()
        with socket.create_connection((host, int(port)), 5) as server:
            if data.startswith(b'CONNECT'):
                client.sendall(b'HTTP/1.1 200 Connection established\r\n\r\n')
            else:
                server.sendall(re.sub(rb'^(\w+ )http://[^/]+', rb'\1', data))
            threading.Thread(target=self._back, args=(server, client),
                             daemon=True).start()
            while data := client.recv(65536):
                server.sendall(data)

    def _back(self, server, client):
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)


LOGIN = f'octavia:{probing.PASSWORD}'
QUOTED = 'octavia:k%40n%3Aa%2Fr%25y%24%27%22%23'


@pytest.mark.parametrize('variable', ['http_proxy', 'HTTP_PROXY',
                                      'all_proxy'])
def test_a_proxy(probe, etcd, monkeypatch, variable):
    with Proxy(LOGIN.encode()) as proxy:
        monkeypatch.setenv(variable, f'http://{QUOTED}@{peer(proxy)}')
        found = probing.only(probe(etcd), 'jobboard.environment')
        assert proxy.connections
        assert variable in found.message and found.host == peer(etcd)
        assert QUOTED not in repr(found) and peer(proxy) not in repr(found)
        seen = proxy.connections
        name, value = re.search(r'Set (no_proxy)=(\S+)',
                                found.remedy).groups()
        monkeypatch.setenv(name, value)
        assert probe(etcd) == [] and proxy.connections == seen


def test_a_proxy_for_https(probe, secure, tls, monkeypatch):
    with Proxy(LOGIN.encode()) as proxy:
        monkeypatch.setenv('http_proxy', 'http://127.0.0.1:1')
        assert probe(secure, **{TLS: tls}) == []
        monkeypatch.setenv('https_proxy', f'http://{QUOTED}@{peer(proxy)}')
        probing.only(probe(secure, **{TLS: tls}), 'jobboard.environment')
        assert proxy.connections
        assert all(r.startswith(b'CONNECT') for r in proxy.received)


@pytest.mark.parametrize('with_tls', [False, True])
def test_a_proxy_that_wants_a_login(probe, etcd, secure, tls, monkeypatch,
                                    with_tls):
    server = secure if with_tls else etcd
    with Proxy(b'octavia:right') as proxy:
        monkeypatch.setenv('all_proxy', f'http://{QUOTED}@{peer(proxy)}')
        found = probe(server, **({TLS: tls} if with_tls else {}))
    assert probing.ids(found) == [
        'jobboard.environment', 'jobboard.refused']
    assert '407' in found[1].message and 'all_proxy' in found[1].message
    assert QUOTED not in repr(found) and peer(proxy) not in repr(found)


@pytest.mark.parametrize('url, slug', [
    ('http://127.0.0.1:1', 'refused'),
    ('http://no-such-host.invalid:3128', 'unresolvable'),
    ('http://:3128', 'undetermined'), ('http://a:b', 'undetermined'),
    ('http://user:\u20ac@127.0.0.1:1', 'undetermined'),
    ('socks5://127.0.0.1:1', 'undetermined')])
def test_a_proxy_that_is_none(probe, etcd, monkeypatch, url, slug):
    monkeypatch.setenv('http_proxy', url)
    found = probe(etcd)
    assert probing.ids(found) == ['jobboard.environment', f'jobboard.{slug}']
    assert all(f.host == peer(etcd) for f in found)
    assert 'http_proxy' in found[1].message and url not in repr(found)


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
                       **({TLS: tls} if with_tls else {}))
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
        client.sendall(_http(VERSION) if b'/version' in data else self.data)
        if self.data:
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

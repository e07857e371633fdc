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

"""The jobboard check on a Redis with TLS."""

import socket
import ssl

import pytest

from tests import jobboards
from tests import probing
from tests import redis_probing
from tests.servers import redis as redis_server
from tests.servers import scripts

TLS = 'jobboard_redis_backend_ssl_options'


@pytest.fixture(scope='module')
def certificate(authority):
    return authority.client('redis-tls')


@pytest.fixture(scope='module')
def server(authority):
    with redis_server.Redis(tls=authority.server('redis-tls-server'),
                            ca=authority.cert) as server:
        yield server


@pytest.fixture(scope='module')
def strict(authority):
    """A server that requires a client certificate."""
    with redis_server.Redis(tls=authority.server('redis-tls-strict'),
                            ca=authority.cert, client_auth=True) as server:
        yield server


@pytest.fixture
def tls(authority):
    """TLS options that fit the server."""
    return {'ssl': 'True', 'ssl_ca_certs': authority.cert}


@pytest.mark.parametrize('yes', ['true', 'Yes', '1', ' on'])
def test_tls(probe_redis, server, tls, yes):
    assert probe_redis(server, **{TLS: tls | {'ssl': yes}}) == []


@pytest.mark.parametrize('verify', ['none', 'optional', 'required'])
def test_verification(probe_redis, server, tls, verify):
    options = tls | {'ssl_cert_reqs': verify}
    assert probe_redis(server, **{TLS: options}) == []
    del options['ssl_ca_certs']
    found = probe_redis(server, **{TLS: options})
    if verify == 'none':
        assert found == []
        return
    found = probing.only(found, 'jobboard.tls')
    assert found.host == jobboards.peer(server)
    assert found.option == f'task_flow.{TLS}'
    assert 'not trusted' in found.message and 'ssl_ca_certs' in found.remedy


def test_name(probe_redis, authority, tls):
    with redis_server.Redis(tls=authority.wrong_host(),
                            ca=authority.cert) as server:
        found = probing.only(probe_redis(server, **{TLS: tls}),
                             'jobboard.tls')
        assert 'not trusted' in found.message
        assert probe_redis(server, **{
            TLS: tls | {'ssl_cert_reqs': 'none'}}) == []


def test_expired(probe_redis, authority, tls):
    with redis_server.Redis(tls=authority.expired(),
                            ca=authority.cert) as server:
        found = probing.only(probe_redis(server, **{TLS: tls}),
                             'jobboard.tls')
        assert 'expired' in found.message


def test_client_certificate(probe_redis, strict, tls, certificate):
    found = probing.only(probe_redis(strict, **{TLS: tls}), 'jobboard.tls')
    assert found.host == jobboards.peer(strict)
    assert 'ssl_certfile and ssl_keyfile' in found.remedy
    tls |= {'ssl_certfile': certificate.cert, 'ssl_keyfile': certificate.key}
    assert probe_redis(strict, **{TLS: tls}) == []


def test_client_certificate_with_older_tls(probe_redis, authority, tls,
                                           certificate):
    with redis_server.Redis(tls=authority.server('redis-tls-12'),
                            ca=authority.cert, client_auth=True,
                            tls_protocols='TLSv1.2') as server:
        found = probing.only(probe_redis(server, **{TLS: tls}),
                             'jobboard.tls')
        assert 'ssl_certfile and ssl_keyfile' in found.remedy
        tls |= {'ssl_certfile': certificate.cert,
                'ssl_keyfile': certificate.key}
        assert probe_redis(server, **{TLS: tls}) == []


@pytest.mark.parametrize('change', [
    {'ssl_keyfile': '/no/such/file'}, {'ssl_certfile': '/no/such/file'},
    {'ssl_certfile': None}, {'ssl_keyfile': 'locked'},
    {'ssl_ca_certs': '/no/such/file'}, {'ssl_ca_certs': '/dev/null'},
    {'ssl_cert_reqs': 'CERT_REQUIRED'}])
def test_files_of_no_use(probe_redis, strict, tls, certificate, authority,
                         change):
    if change.get('ssl_keyfile') == 'locked':
        locked = authority.client('redis-locked', password=probing.PASSWORD)
        change = {'ssl_certfile': locked.cert, 'ssl_keyfile': locked.key}
    options = tls | {'ssl_certfile': certificate.cert,
                     'ssl_keyfile': certificate.key} | change
    options = {k: v for k, v in options.items() if v is not None}
    with pytest.raises(probing.Blocked) as caught:
        probe_redis(strict, **{TLS: options})
    assert caught.value.option == f'task_flow.{TLS}'
    assert TLS in caught.value.reason


def test_files_without_tls_are_not_looked_at(probe_redis, redis):
    assert probe_redis(redis, **{TLS: {
        'ssl': 'no', 'ssl_keyfile': '/no/such/file',
        'ssl_cert_reqs': 'CERT_REQUIRED'}}) == []


def test_tls_where_the_server_has_none(probe_redis, redis, tls):
    found = probing.only(
        probe_redis(redis, timeout=1, **{TLS: tls}),
        'jobboard.wrong-protocol')
    assert 'is Redis without TLS' in found.message
    assert found.option == f'task_flow.{TLS}'
    options = redis_probing.options(found.remedy)
    assert probe_redis(redis, **options) == []


def test_tls_where_another_server_answers(probe_redis, mariadb, tls):
    found = probing.only(
        probe_redis(mariadb, timeout=1, **{TLS: tls}),
        'jobboard.wrong-protocol')
    assert 'MySQL answers' in found.message


def test_no_tls_where_the_server_has_it(probe_redis, server, strict,
                                        authority):
    for each in server, strict:
        found = probing.only(probe_redis(each), 'jobboard.wrong-protocol')
        assert 'expects TLS' in found.message
        assert found.option == f'task_flow.{TLS}'
    options = redis_probing.options(
        probing.only(probe_redis(server), 'jobboard.wrong-protocol').remedy)
    options[TLS] = options[TLS].replace('CA_FILE', authority.cert)
    assert probe_redis(server, **options) == []


class Slow(scripts.Silent):
    """A TLS server whose handshake comes a byte at a time."""

    def __init__(self, certificate):
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(certificate.cert, certificate.key)
        super().__init__()

    def answer(self, client: socket.socket, data: bytes) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        incoming.write(data)
        try:
            self._context.wrap_bio(incoming, outgoing,
                                   server_side=True).do_handshake()
        except ssl.SSLWantReadError:
            pass
        for byte in outgoing.read():
            client.sendall(bytes((byte,)))
            if self._stopping.wait(0.2):
                return


def test_handshake_by_drips(probe_redis, authority, tls):
    with Slow(authority.server('redis-tls-slow')) as server:
        found = probing.only(
            probe_redis(server, deadline=2, timeout=1, **{TLS: tls}),
            'jobboard.timeout')
    assert found.host == jobboards.peer(server)


def test_reset(probe_redis, tls):
    """It depends on a moment whether a connection was there."""
    with scripts.Reset() as server:
        found, = probe_redis(server, **{TLS: tls})
    assert found.id in ('jobboard.tls', 'jobboard.refused')
    assert found.host == jobboards.peer(server)


@pytest.mark.parametrize('script, slug', [
    (scripts.Silent, 'timeout'),
    (scripts.Hangup, 'tls'), (scripts.Refuse, 'refused'),
    (lambda: scripts.Endless(b'x'), 'tls')])
def test_fault(probe_redis, tls, script, slug):
    with script() as server:
        found = probing.only(
            probe_redis(server, deadline=2, timeout=1, **{TLS: tls}),
            f'jobboard.{slug}')
    assert found.host == jobboards.peer(server)

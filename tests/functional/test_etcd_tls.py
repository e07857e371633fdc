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

"""An etcd jobboard over TLS, and behind proxies."""

import re
import shutil

import pytest

from tests import etcd_probing
from tests import jobboards
from tests import probing
from tests.jobboards import peer
from tests.servers import etcd as etcd_server
from tests.servers import forward
from tests.servers import process

pytestmark = pytest.mark.usefixtures('no_environment')

TLS = etcd_probing.TLS
QUOTED = etcd_probing.QUOTED


@pytest.fixture
def probe(write_config):
    return jobboards.Prober(write_config, etcd_probing.DRIVER)


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
    return etcd_probing.tls(authority)


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


@pytest.mark.parametrize('variable', ['http_proxy', 'HTTP_PROXY',
                                      'all_proxy'])
def test_a_proxy(probe, etcd, monkeypatch, variable):
    with forward.Proxy(etcd_probing.LOGIN.encode()) as proxy:
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
    with forward.Proxy(etcd_probing.LOGIN.encode()) as proxy:
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
    with forward.Proxy(b'octavia:right') as proxy:
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

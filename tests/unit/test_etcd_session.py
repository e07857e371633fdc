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

"""How a session to etcd is set up, and what it does not send."""

import urllib.parse

from hypothesis import given
from hypothesis import strategies as st
import pytest
import requests

from octavia_v2_checks.backends.etcd import session
from tests import jobboards
from tests.servers import scripts

URL = 'http://etcd1:2379'


@pytest.fixture(autouse=True)
def no_environment(monkeypatch, tmp_path):
    jobboards.clear_environment(monkeypatch)
    monkeypatch.setenv('HOME', str(tmp_path))
    # It looks over everybody's shoulder, the other tests' too.
    monkeypatch.setattr(session.witness_, 'Witness', lambda: None)


@pytest.mark.parametrize('method, path', [
    ('POST', '/v3/kv/put'), ('POST', '/v3/kv/txn'),
    ('POST', '/v3/kv/deleterange'), ('POST', '/v3/lease/grant'),
    ('POST', '/v3/lease/revoke'), ('POST', '/v3/kv/range/x'),
    ('POST', '/v3/maintenance/alarm'), ('POST', '/v3/watch'),
    ('POST', '/v3/kv/put?kv/range'), ('POST', '/v3/kv/put#kv/range'),
    ('POST', '/version'), ('GET', '/v3/kv/range'), ('GET', '/'),
    ('GET', '/v2/keys/?x=/version'), ('PUT', '/v2/keys/version'),
    ('PUT', '/v3/kv/range'), ('DELETE', '/version'), ('PATCH', '/version')])
def test_what_is_no_read_stays_here(method, path):
    with scripts.Silent() as server:
        made = session.Session(f'http://127.0.0.1:{server.port}', {}, 1)
        with pytest.raises(session.Forbidden):
            made.plain.request(method, made.url + path, timeout=1)
        assert server.connections == 0


@given(st.sampled_from(['GET', 'POST', 'PUT', 'DELETE']),
       st.text(st.characters(codec='ascii'), max_size=30))
def test_nothing_but_reads_leaves(method, text):
    sent = []

    class Transport(session.adapters.HTTPAdapter):
        def send(self, request, *args, **kwargs):
            sent.append(request)
            raise requests.ConnectionError

    guard = type('Guard', (session.Guard, Transport), {})()
    made = requests.Session()
    made.mount('http://', guard)
    with pytest.raises((session.Forbidden, requests.RequestException)):
        made.request(method, f'{URL}/{text}')
    for request in sent:
        path = urllib.parse.urlsplit(request.url).path
        assert path.endswith(session.READS[request.method])


def test_the_guard_stands_before_every_address():
    made = session.Session(URL, {}, None).plain
    for url in (URL, 'https://etcd1', 'HTTP://ETCD1', 'http://[::1]'):
        assert isinstance(made.get_adapter(url), session.Guard)
    assert all(isinstance(a, session.Guard) for a in made.adapters.values())


@pytest.mark.parametrize('variables', [
    {}, {'http_proxy': 'http://p1:1'}, {'HTTP_PROXY': 'p1:1'},
    {'https_proxy': 'http://p1:1'}, {'all_proxy': 'http://p1'},
    {'http_proxy': 'http://p1:1', 'no_proxy': '192.0.2.0/24'},
    {'http_proxy': 'http://p1:1', 'NO_PROXY': 'etcd1,etcd2'},
    {'all_proxy': 'http://p1:1', 'no_proxy': '*'},
    {'all_proxy': 'http://p1:1', 'no_proxy': '.example'},
    {'http_proxy': ''}])
@pytest.mark.parametrize('url', [
    'http://192.0.2.1:2379', 'https://192.0.2.1:2379', 'http://etcd1:2379',
    'http://etcd.example:2379', 'http://[2001:db8::1]:2379'])
def test_proxies(monkeypatch, variables, url):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    expected = requests.utils.select_proxy(
        url, requests.utils.get_environ_proxies(url))
    found = session.Session(url, {}, None).proxy()
    assert bool(found) == bool(expected)
    if found:
        variable, peer = found
        assert variables[variable] == expected
        assert peer == ('p1:80' if expected == 'http://p1' else peer)


@pytest.mark.parametrize('variables, expected', [
    ({}, None), ({'REQUESTS_CA_BUNDLE': '/a'}, 'REQUESTS_CA_BUNDLE'),
    ({'CURL_CA_BUNDLE': '/b'}, 'CURL_CA_BUNDLE'),
    ({'REQUESTS_CA_BUNDLE': '/a', 'CURL_CA_BUNDLE': '/b'},
     'REQUESTS_CA_BUNDLE'),
    ({'REQUESTS_CA_BUNDLE': '', 'CURL_CA_BUNDLE': '/b'}, 'CURL_CA_BUNDLE'),
    ({'REQUESTS_CA_BUNDLE': '/ca'}, None)])
def test_authorities(monkeypatch, variables, expected):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    secure = session.Session('https://etcd1:1', {'ca_cert': '/ca'}, None)
    assert secure.bundle() == expected
    assert session.Session(URL, {'ca_cert': '/ca'}, None).bundle() is None


@pytest.mark.parametrize('arguments, expected', [
    ({}, None), ({'ca_cert': ''}, None), ({'ca_cert': '/no/such'}, 'ca'),
    ({'ca_cert': '/dev/null'}, 'ca'), ({'ca_cert': '/'}, None),
    ({'cert_cert': '', 'cert_key': '/no/such'}, None),
    ({'cert_cert': '/no/such'}, None),
    ({'cert_cert': '/no/such', 'cert_key': ''}, 'cert')])
def test_files_that_do_not_load(arguments, expected):
    made = session.Session('https://etcd1:1', arguments, None)
    assert made.unloadable() == expected
    assert session.Session(URL, arguments, None).unloadable() is None

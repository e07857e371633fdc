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

"""Proxies and authorities of the environment, as requests finds them."""

import sys

from hypothesis import given
from hypothesis import strategies as st
import pytest
import requests
from requests import adapters
from requests import utils

from octavia_v2_checks.backends.etcd import environment
from tests import jobboards

TEXTS = st.text(st.characters(codec='latin-1', exclude_categories=('C',)),
                max_size=9)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    jobboards.clear_environment(monkeypatch)


def _of_requests(url):
    settings = requests.Session().merge_environment_settings(
        url, {}, None, None, None)
    return utils.select_proxy(url, settings['proxies']), settings['verify']


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
def test_proxy(monkeypatch, variables, url):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    expected = _of_requests(url)[0]
    found = environment.proxy(url)
    assert bool(found) == bool(expected)
    if found:
        assert found.variable in variables
        assert (found.host, found.port) == (
            'p1', 1 if expected.endswith(':1') else 80)


@given(TEXTS, TEXTS)
def test_login(user, password):
    url = (f'http://{requests.utils.quote(user, safe="")}:'
           f'{requests.utils.quote(password, safe="")}@p1:1')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('http_proxy', url)
        found = environment.proxy('http://etcd1:2379')
    expected = adapters.HTTPAdapter().proxy_headers(url)
    assert found.authorization == expected.get('Proxy-Authorization')


@pytest.mark.parametrize('variables', [
    {}, {'REQUESTS_CA_BUNDLE': '/a'}, {'CURL_CA_BUNDLE': '/b'},
    {'REQUESTS_CA_BUNDLE': '/a', 'CURL_CA_BUNDLE': '/b'},
    {'REQUESTS_CA_BUNDLE': '', 'CURL_CA_BUNDLE': '/b'}])
def test_authorities(monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = environment.ca_bundle()
    expected = _of_requests('https://etcd1')[1]
    assert (found[1] if found else True) == expected
    assert not found or variables[found[0]] == found[1]


def test_without_requests(monkeypatch):
    monkeypatch.setenv('http_proxy', 'http://p1:1')
    # What Python looks at before it looks for the package.
    monkeypatch.setitem(sys.modules, 'requests', None)
    assert environment.proxy('http://etcd1:2379') is None

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

"""What the client of a worker does with an etcd jobboard, and so do we.

Every case is one that an imitation of requests and etcd3gw got wrong; the
verdict must be that of TaskFlow's own jobboard on the same system.
"""

import base64
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

import pytest

from octavia_v2_checks import settings
from octavia_v2_checks.backends import etcd as backend
from octavia_v2_checks.backends.etcd import session
from octavia_v2_checks.upstream import clients_etcd
from octavia_v2_checks.upstream import versions
from tests import boards
from tests import clients
from tests import commands
from tests import databases
from tests import etcd_probing
from tests import probing
from tests.jobboards import peer
from tests.servers import etcd as etcd_server
from tests.servers import forward
from tests.servers import process
from tests.servers import scripts

pytestmark = pytest.mark.usefixtures('no_environment')

TLS = etcd_probing.TLS
QUOTED = etcd_probing.QUOTED


@pytest.fixture
def both(write_config):
    return etcd_probing.Both(write_config)


@pytest.mark.parametrize('namespace', [
    '/{}', '{}/', '{}//b', '/{}/b/', '{}/taskflow/jobs/b', "it's {}", '///'])
def test_namespaces(etcd, write_config, tmp_path, namespace):
    place = boards.EtcdPlace(etcd, *databases.sqlite(tmp_path),
                             write_config)
    place.namespace = namespace.format(place.namespace)
    with place.board() as board:
        jobs = [place.post(board) for _ in range(4)]
        board.claim(jobs[0], 'worker')
        board.claim(jobs[1], 'worker')
        board.trash(jobs[1], 'worker')
        found = {f.id: f for f in place.probe()}
        assert set(found) == {
            'inflight.jobs-waiting', 'inflight.jobs-claimed',
            'inflight.flow-without-job', 'inflight.jobs-trashed'}
        assert found['inflight.jobs-waiting'].message.startswith('2 jobs')
        place.run(found['inflight.jobs-trashed'].remedy)
        assert 'inflight.jobs-trashed' not in probing.ids(place.probe())
        boards.finish(place, board, jobs[2:])
        assert len(list(board.iterjobs(ensure_fresh=True))) == 1
    place.close()


@pytest.mark.parametrize('url', [
    'squid:3128', 'octavia:x@127.0.0.1:{}', 'localhost:{}'])
def test_a_proxy_without_a_scheme(both, etcd, monkeypatch, url):
    """What stands before the first colon is then the scheme."""
    with forward.Proxy() as proxy:
        monkeypatch.setenv('http_proxy', url.format(proxy.port))
        found = etcd_probing.broken(both(etcd), 'environment', 'undetermined')
        assert 'http_proxy' in found.message and proxy.connections == 0
        assert url not in repr(found)
        assert 'http://HOST:PORT' in found.remedy
        monkeypatch.setenv('http_proxy', f'http://{peer(proxy)}')
        etcd_probing.sound(both(etcd), 'environment')


def test_a_proxy_without_a_scheme_that_is_an_address(both, etcd, monkeypatch):
    with forward.Proxy() as proxy:
        monkeypatch.setenv('http_proxy', peer(proxy))
        etcd_probing.sound(both(etcd), 'environment')
        assert proxy.connections


def test_a_silent_proxy(both, etcd, monkeypatch):
    with scripts.Silent() as proxy:
        monkeypatch.setenv('http_proxy', f'http://{QUOTED}@{peer(proxy)}')
        found = both.probe(etcd, deadline=6, timeout=1)
    assert probing.ids(found) == ['jobboard.environment', 'jobboard.timeout']
    assert 'The proxy that http_proxy names' in found[1].message
    assert peer(proxy) not in repr(found) and QUOTED not in repr(found)
    assert found[1].host == peer(etcd)


def test_a_certificate_behind_a_proxy(both, authority, monkeypatch):
    with (forward.Proxy(etcd_probing.LOGIN.encode()) as proxy,
          etcd_server.Etcd(tls=authority.server(), ca=authority.cert)
          as server):
        monkeypatch.setenv('https_proxy', f'http://{QUOTED}@{peer(proxy)}')
        found = etcd_probing.broken(both(server, **{TLS: {'use_ssl': True}}),
                                    'environment', 'tls')
        assert found.message.startswith(f'The certificate of {peer(server)}')
        etcd_probing.sound(both(server, **{TLS: {'use_ssl': True,
                                                 'ca_cert': authority.cert}}),
                           'environment')


def test_empty_tls_files(both, authority):
    """An empty ca_cert turns verification off: the rules warn of it."""
    with etcd_server.Etcd(tls=authority.server(), ca=authority.cert
                          ) as server:
        options = {'use_ssl': True, 'ca_cert': '', 'cert_cert': '',
                   'cert_key': ''}
        etcd_probing.sound(both(server, **{TLS: options}))
        del options['ca_cert']
        etcd_probing.broken(both(server, **{TLS: options}), 'tls')
        etcd_probing.sound(both(
            server, **{TLS: options | {'ca_cert': authority.cert}}))


def test_an_empty_ca_cert_and_a_bundle_of_the_environment(
        both, authority, monkeypatch):
    monkeypatch.setenv('REQUESTS_CA_BUNDLE', authority.cert)
    with etcd_server.Etcd(tls=authority.server(), ca=authority.cert
                          ) as server:
        etcd_probing.sound(
            both(server, **{TLS: {'use_ssl': True, 'ca_cert': ''}}),
            'environment')


def test_no_secret_of_tls_is_written_down(both, authority, tmp_path,
                                          monkeypatch):
    with etcd_server.Etcd(tls=authority.server(), ca=authority.cert
                          ) as server:
        monkeypatch.setenv('SSLKEYLOGFILE', str(tmp_path / 'keys'))
        options = {TLS: {'use_ssl': True, 'ca_cert': authority.cert}}
        assert both.probe(server, **options) == []
        assert not (tmp_path / 'keys').exists()
        # A worker would write it.
        etcd_probing.sound(both(server, **options))
        assert (tmp_path / 'keys').exists()


@pytest.mark.parametrize('content', [
    b'', b'\0\1\2', b'-----BEGIN CERTIFICATE-----\nAAAA\n'
    b'-----END CERTIFICATE-----\n', 'key'])
def test_authorities_that_openssl_cannot_load(both, authority, tmp_path,
                                              content):
    path = tmp_path / 'ca.pem'
    certificate = authority.server()
    if content == 'key':
        path.write_bytes(pathlib.Path(certificate.key).read_bytes())
    else:
        path.write_bytes(content)
    options = {TLS: {'use_ssl': True, 'ca_cert': path}}
    with etcd_server.Etcd(tls=certificate, ca=authority.cert) as server:
        with pytest.raises(probing.Blocked) as caught:
            both.probe(server, **options)
        assert caught.value.option == f'task_flow.{TLS}'
        assert 'jobs' not in clients.work(both.probe.config(
            [server.host], server.port, **options))


@pytest.fixture
def learner():
    """A cluster of one member, and a learner that has just joined it."""
    with etcd_server.Etcd() as cluster:
        first = cluster.members[0]
        host = '127.0.0.2'
        joining = etcd_server.Member(cluster, host, cluster.port,
                                     process.free_port(host))
        original = joining.argv
        joining.argv = lambda: [a.replace('state=new', 'state=existing')
                                for a in original()]
        cluster.call('/v3/cluster/member/add', {
            'peerURLs': [joining.peer_url], 'isLearner': True})
        cluster.members.append(joining)
        joining.start()
        yield first, joining


def test_a_learner(both, learner):
    voter, joining = learner
    assert both.probe([voter.host], voter.port) == []
    found = etcd_probing.broken(both(joining), 'not-writable')
    assert 'learner' in found.message and found.host == peer(joining)
    command, = re.findall(r'etcdctl .*', found.remedy)
    command = command.replace('VOTER', voter.client_url)
    process.wait_until(lambda: not run(command).returncode, 'not promoted')
    etcd_probing.sound(both(joining))


def run(command):
    """Run a remedy that is a command line."""
    return subprocess.run(shlex.split(command), capture_output=True,
                          timeout=60, check=False)


def test_a_member_at_an_address_that_leads_nowhere(both):
    """What is announced need not be where it listens."""
    with etcd_server.Etcd(3) as cluster:
        lost = cluster.members[2]
        original = lost.argv
        lost.argv = lambda: [*original(), '--advertise-client-urls='
                             f'http://{lost.host}:1']
        lost.restart()
        process.wait_until(cluster.healthy, 'no leader')
        found, works = both(cluster)
        assert works
        found = probing.only(found, 'jobboard.member-down')
        assert found.host == f'{lost.host}:1'
        assert '--advertise-client-urls' in found.remedy
        lost.argv = original
        lost.restart()
        process.wait_until(cluster.healthy, 'no leader')
        etcd_probing.sound(both(cluster))


def test_etcd_forgets_what_it_was_when_we_began(etcd, both):
    """A compaction between two parts of a long list."""
    namespace = probing.name('compacted')
    def put(number):
        key = f'/taskflow/jobs/{namespace}/job{number}.data'.encode()
        return etcd.call('/v3/kv/put', {
            'key': base64.b64encode(key).decode(),
            'value': base64.b64encode(b'{"name": "n"}').decode(),
        })['header']['revision']

    for number in range(1000, 1450):
        put(number)
    server = both.probe.backend(
        backend.Etcd, [etcd.host], etcd.port,
        jobboard_backend_namespace=namespace)
    with server.board() as board:
        pages = board.pages()
        seen = [job.key for job in next(pages)]
        revision = put(1449)
        etcd.call('/v3/kv/compaction', {'revision': revision})
        seen += [job.key for page in pages for job in page]
    assert seen == [str(n) for n in range(1000, 1450)]


PATHS = {'ca_cert': '/ca', 'cert_cert': '/cert', 'cert_key': '/key'}


@pytest.mark.parametrize('variables', [
    {}, {'ETCD3GW_API_PATH': '/v3beta/'}])
def test_the_client_is_made_as_octavia_makes_it(write_config, monkeypatch,
                                                variables):
    """Octavia's driver, TaskFlow and etcd3gw say what they make."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    configs = [write_config(**options) for options in (
        {}, {'jobboard_backend_hosts': '192.0.2.1,b',
             'jobboard_backend_port': 1},
        {'jobboard_backend_hosts': '::1', 'jobboard_etcd_timeout': 7},
        {'jobboard_etcd_api_path': '/v3alpha/', TLS: {'use_ssl': ''} | PATHS},
        *({TLS: {'use_ssl': True} | {name: PATHS[name] for name in names}}
          for names in ((), ('ca_cert',), ('cert_key',), PATHS)),
        {TLS: {'use_ssl': 'False', 'ca_cert': '', 'cert_cert': '',
               'cert_key': ''}},
        {TLS: {'use_ssl': 'yes'}, 'jobboard_etcd_timeout': '3'})]
    done = subprocess.run(
        [sys.executable, '-m', 'tests.etcd_clients', *map(str, configs)],
        capture_output=True, text=True, env=commands.environment(),
        check=True, timeout=120)
    theirs = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(theirs) == len(configs)
    for config, expected in zip(configs, theirs, strict=True):
        loaded = settings.load([('file', str(config))])
        given = clients_etcd.arguments(loaded.get)
        release = versions.installed('etcd3gw')
        plain = session.configured(given)
        assert expected == {
            'url': clients_etcd.base_url(
                given['host'], given['port'],
                given.get('protocol', 'http')),
            'timeout': clients_etcd.timeout(given.get('timeout'), release),
            'path': clients_etcd.given_path(given.get('api_path'),
                                            os.environ, release),
            'verify': plain.verify,
            'cert': list(plain.cert) if plain.cert else None}


@pytest.mark.parametrize('release, path', [
    ('2.0.0', '/v3alpha/'), ('2.1.0', '/v3alpha/'), ('2.2.0', '/v3/'),
    ('2.3.0', '/v3/'), ('2.7.0', '/v3/')])
def test_the_path_that_releases_of_the_client_take(release, path):
    given = clients_etcd.given_path
    assert given(None, {'ETCD3GW_API_PATH': '/v3/'}, release) == path
    assert given('/x/', {'ETCD3GW_API_PATH': '/v3/'}, release) == '/x/'
    assert given(None, {}, release) == (
        None if release >= '2.3' else '/v3alpha/')
    assert clients_etcd.timeout(5, release) == (
        5 if release >= '2.4' else None)

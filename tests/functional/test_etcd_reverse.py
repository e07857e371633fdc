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

"""An etcd jobboard behind a reverse proxy, or a gateway that is late or off.

The verdict must be that of TaskFlow's own jobboard on the same system.
"""

import base64
import json
import re

import pytest

from tests import etcd_probing
from tests import probing
from tests.jobboards import peer
from tests.servers import etcd as etcd_server
from tests.servers import reverse
from tests.servers import scripts

pytestmark = pytest.mark.usefixtures('no_environment')

BASIC = 'Basic ' + base64.b64encode(b'octavia:x-netrc-x').decode()


@pytest.fixture
def both(write_config):
    return etcd_probing.Both(write_config)


def _netrc(tmp_path, password='x-netrc-x'):
    path = tmp_path / '.netrc'
    path.write_text(f'machine 127.0.0.1 login octavia password {password}\n')
    path.chmod(0o600)


def test_a_reverse_proxy_with_a_login_in_netrc(both, etcd, tmp_path,
                                               monkeypatch):
    with reverse.Reverse(etcd, login=BASIC) as server:
        found = etcd_probing.broken(both(server), 'auth-unsupported')
        assert '.netrc' in found.remedy and '401' in found.message
        _netrc(tmp_path)
        found, works = both(server)
        assert works
        warning = probing.only(found, 'jobboard.environment')
        assert 'x-netrc-x' not in repr(found) and warning.host == peer(server)
        name, value = re.search(r'Set (\w+)=(\S+)', warning.remedy).groups()
        monkeypatch.setenv(name, value)
        etcd_probing.broken(both(server), 'auth-unsupported')


def test_a_wrong_login_in_netrc(both, etcd, tmp_path):
    _netrc(tmp_path, 'wrong')
    with reverse.Reverse(etcd, login=BASIC) as server:
        etcd_probing.broken(both(server), 'environment', 'auth-unsupported')
        etcd_probing.broken(both(server, jobboard_etcd_api_path='/v3/'),
                            'environment', 'auth-unsupported')


@pytest.mark.parametrize('status', [307, 308])
def test_redirects(both, etcd, status):
    with reverse.Reverse(etcd, redirect=status) as server:
        etcd_probing.sound(both(server))
        assert server.asked


@pytest.mark.parametrize('status', [301, 302, 303])
def test_redirects_that_turn_questions_into_others(both, etcd, status):
    with reverse.Reverse(etcd, redirect=status) as server:
        found = etcd_probing.broken(both(server), 'wrong-protocol')
        assert 'redirects' in found.message and '308' in found.remedy
        server.redirect = int(re.search(r'status (\d+)', found.remedy)[1])
        etcd_probing.sound(both(server))


def test_a_redirect_without_end(both):
    with reverse.Reverse(None, redirect=307) as server:
        server.server = server
        etcd_probing.broken(both(server), 'wrong-protocol')


@pytest.mark.parametrize('api_path', [None, '/v3/'])
def test_compressed_answers(both, etcd, api_path):
    with reverse.Reverse(etcd, compress=True) as server:
        etcd_probing.sound(both(server, jobboard_etcd_api_path=api_path))


def test_a_broken_compression(both):
    with scripts.Answer(b'HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n'
                        b'Content-Length: 4\r\n\r\nnone') as server:
        etcd_probing.broken(both(server), 'wrong-protocol')


def test_a_compressed_answer_that_grows(both):
    """A few kilobytes that would be gigabytes."""
    import zlib
    packer = zlib.compressobj(9, wbits=31)
    # After a full flush, the same can follow any number of times.
    first, again = (packer.compress(b' ' * (1 << 24))
                    + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    data = first + again * 63
    head = (f'HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: '
            f'{len(data)}\r\n\r\n').encode()
    with scripts.Answer(head + data) as server:
        probing.only(both.probe([server.host], server.port),
                     'jobboard.wrong-protocol')


def test_a_path_that_alone_is_passed(both, etcd):
    """The server's /version is asked only without jobboard_etcd_api_path."""
    with reverse.Reverse(etcd, passes=('/v3/',)) as server:
        etcd_probing.sound(both(server, jobboard_etcd_api_path='/v3/'))
        etcd_probing.broken(both(server), 'wrong-protocol')


def test_only_the_questions_of_a_worker_are_passed(both, etcd):
    with reverse.Reverse(etcd, passes=(
            '/version', '/v3/kv', '/v3/lease', '/v3/watch')) as server:
        found, works = both(server)
        assert works
        found = probing.only(found, 'jobboard.undetermined')
        server.passes += tuple('/v3/' + name for name in re.findall(
            r'\b(maintenance/\w+|cluster/[\w/]+)', found.remedy))
        etcd_probing.sound(both(server))


def _as_newer(path, status, body):
    """What grpc-gateway 2 makes of a refusal."""
    said = json.loads(body)
    if 'error' in said:
        said = {'code': said['code'], 'message': said['message']}
    return status, json.dumps(said).encode()


def test_refusals_of_newer_releases(both):
    """Debian 13 builds etcd 3.5 with it, as etcd 3.6 is."""
    with (etcd_server.Etcd() as etcd,
          reverse.Reverse(etcd, rewrite=_as_newer) as server):
        for path, body in (
                ('user/add', {'name': 'root', 'password': 'x'}),
                ('role/add', {'name': 'root'}),
                ('user/grant', {'user': 'root', 'role': 'root'}),
                ('enable', {})):
            etcd.call(f'/v3/auth/{path}', body)
        found = etcd_probing.broken(both(server), 'auth-unsupported')
        assert 'auth disable' in found.remedy


@pytest.mark.parametrize('limit, sound', [(1, False), (20, True)])
def test_the_timeout_as_the_client_applies_it(both, etcd, limit, sound):
    with reverse.Slow(etcd) as server:
        server.pause = 1.2
        outcome = both(server, jobboard_etcd_timeout=limit)
        if sound:
            etcd_probing.sound(outcome)
        else:
            found = etcd_probing.broken(outcome, 'timeout')
            assert 'within 1 s' in found.message


def test_the_gateway_off(both):
    with etcd_server.Etcd(enable_grpc_gateway='false') as server:
        for api_path in (None, '/v3/', '/v9/'):
            found = etcd_probing.broken(
                both(server, jobboard_etcd_api_path=api_path), 'gateway-off')
            assert found.host == peer(server) and not found.option
        flag = re.search(r'--(enable-grpc-gateway)=(\w+)', found.remedy)
        server.options[flag[1].replace('-', '_')] = flag[2]
        server.restart()
        etcd_probing.sound(both(server))


@pytest.mark.parametrize('api_path', ['/v9/', '/v3', 'v3/', '/'])
def test_a_wrong_path_is_not_a_gateway_that_is_off(both, etcd, api_path):
    found = etcd_probing.broken(both(etcd, jobboard_etcd_api_path=api_path),
                                'wrong-protocol')
    name, value = re.fullmatch(r'Set (\w+) in \[task_flow\] to (\S+)',
                               found.remedy).groups()
    etcd_probing.sound(both(etcd, **{name: value}))

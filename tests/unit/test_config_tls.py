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

"""TLS files of the configuration, in every option that names them."""

import ssl
import subprocess
import sys

from cryptography.hazmat.primitives import serialization
import pytest

from octavia_v2_checks import settings
from octavia_v2_checks.checks import config
from tests import pem_files
from tests.unit import fragments


@pytest.fixture
def files(tmp_path):
    return pem_files.Files(tmp_path)


def test_cryptography_is_not_imported_without_a_certificate(tmp_path):
    path = tmp_path / 'octavia.conf'
    path.write_text(fragments.text('engine = serial\n'))
    code = ('import sys; from octavia_v2_checks import settings; '
            'from octavia_v2_checks.checks import config; '
            'list(config.mistakes(settings.load([("file", sys.argv[1])]))); '
            'sys.exit(any(m in sys.modules for m in ("cryptography", '
            '"ssl", "pymysql", "sqlalchemy")))')
    assert subprocess.run([sys.executable, '-c', code, str(path)]
                          ).returncode == 0


FRAGMENTS = {
    'redis': 'jobboard_redis_backend_ssl_options = ssl:True,'
             'ssl_ca_certs:{ca},ssl_certfile:{cert},ssl_keyfile:{key}',
    'sentinel': fragments.SENTINEL
                + 'jobboard_redis_sentinel_ssl_options = ssl:True,'
                  'ssl_ca_certs:{ca},ssl_certfile:{cert},ssl_keyfile:{key}',
    'zookeeper': fragments.ZOOKEEPER
                 + 'jobboard_zookeeper_ssl_options = use_ssl:True,'
                   'certfile:{cert},keyfile:{key}',
    'etcd': fragments.ETCD + 'jobboard_etcd_ssl_options = use_ssl:True,'
            'ca_cert:{ca},cert_cert:{cert},cert_key:{key}',
    'mysql': 'persistence_connection = mysql+pymysql://o:pw@db/p?ssl_ca={ca}'
             '&ssl_cert={cert}&ssl_key={key}',
    'postgresql': 'persistence_connection = postgresql://o:pw@db/p?'
                  'sslrootcert={ca}&sslcert={cert}&sslkey={key}',
}


@pytest.mark.parametrize('where', FRAGMENTS)
def test_everywhere(files, where):
    """A wrong key is found, and its remedy makes the finding go."""
    certificate, key = files.certificate('a')
    _, other = files.certificate('b')

    def check(chosen):
        path = files.write('octavia.conf', fragments.text(
            FRAGMENTS[where].format(ca=certificate, cert=certificate,
                                    key=chosen)).encode())
        return list(config.mistakes(settings.load([('file', path)]),
                                 target_release='19.0'))

    [found] = check(other)
    assert found.id == 'config.tls-file'
    assert other in found.message
    assert check(key) == []


def test_zookeeper_key_password(files):
    certificate, key = files.certificate('a')
    with open(key, 'rb') as stream:
        plain = serialization.load_pem_private_key(stream.read(), None)
    locked = files.key('locked.key', plain, b'sesame')

    def check(password):
        path = files.write('octavia.conf', fragments.text(
            f'{fragments.ZOOKEEPER}jobboard_zookeeper_ssl_options = '
            f'use_ssl:True,certfile:{certificate},keyfile:{locked}'
            f'{password}').encode())
        return list(config.mistakes(settings.load([('file', path)]),
                                 target_release='19.0'))

    assert check(',keyfile_password:sesame') == []
    [found] = check(',keyfile_password:s1msim')
    assert 's1msim' not in found.message
    [found] = check('')
    assert found.id == 'config.tls-file'


def etcd(files, options):
    path = files.write('octavia.conf', fragments.text(
        f'{fragments.ETCD}jobboard_etcd_ssl_options = use_ssl:True,'
        f'{options}').encode())
    return list(config.mistakes(settings.load([('file', path)]),
                             target_release='19.0'))


def session(ca_cert=None, cert_cert=None, cert_key=None):
    """What etcd3gw makes of the options, and requests of that."""
    import etcd3gw
    client = etcd3gw.client(host='127.0.0.1', port=1, protocol='https',
                            api_path='/v3/', ca_cert=ca_cert,
                            cert_cert=cert_cert, cert_key=cert_key)
    pool = client.session.get_adapter('https://x').poolmanager
    connection = pool.connection_from_url('https://127.0.0.1:1')
    client.session.get_adapter('https://x').cert_verify(
        connection, 'https://127.0.0.1:1', client.session.verify,
        client.session.cert)
    return connection._new_conn()


def loads(made):
    """Return whether the client's TLS files can be loaded."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if made.ca_certs or made.ca_cert_dir:
            context.load_verify_locations(made.ca_certs, made.ca_cert_dir)
        if made.cert_file:
            context.load_cert_chain(made.cert_file, made.key_file)
    except OSError:
        return False
    return True


def test_empty_entries_for_etcd(files):
    """Judged as requests, which is the client of etcd, takes them."""
    certificate, key = files.certificate('a')
    assert etcd(files, f'ca_cert:{certificate},cert_cert:,cert_key:') == []
    made = session(certificate, '', '')
    assert loads(made) and made.cert_reqs == 'CERT_REQUIRED'
    [found] = etcd(files, 'ca_cert:,cert_cert:,cert_key:')
    assert found.id == 'config.tls-unverified'
    made = session('', '', '')
    assert loads(made) and made.cert_reqs == 'CERT_NONE'
    with open(certificate, 'rb') as first, open(key, 'rb') as second:
        both = files.write('both', second.read() + first.read())
    [found] = etcd(files, f'ca_cert:{certificate},cert_cert:{both},cert_key:')
    assert found.id == 'config.dict-value' and 'cert_key' in found.message
    assert not loads(session(certificate, both, ''))
    assert etcd(files, f'ca_cert:{files.dir}') == []
    assert loads(session(str(files.dir)))

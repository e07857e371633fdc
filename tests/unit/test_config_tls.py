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

"""TLS files of the configuration, as certificates of all kinds."""

import datetime
import re
import ssl
import subprocess
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
import pytest

from octavia_v2_checks import settings
from octavia_v2_checks.checks import config
from octavia_v2_checks.checks.config import pem
from tests.unit import config_cases

_DAY = datetime.timedelta(days=1)


class Files:
    """Certificates and keys in a directory."""

    def __init__(self, directory):
        self.dir = directory

    def write(self, name, content):
        path = self.dir / name
        path.write_bytes(content)
        return str(path)

    def certificate(self, name, begin=-1, end=1):
        """Return certificate and key, valid from and to days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.timezone.utc)
        subject = x509.Name([x509.NameAttribute(
            x509.NameOID.COMMON_NAME, name)])
        made = (x509.CertificateBuilder()
                .subject_name(subject).issuer_name(subject)
                .public_key(key.public_key()).serial_number(1)
                .not_valid_before(now + begin * _DAY)
                .not_valid_after(now + end * _DAY)
                .sign(key, hashes.SHA256()))
        return (self.write(f'{name}.pem', made.public_bytes(
            serialization.Encoding.PEM)), self.key(f'{name}.key', key))

    def key(self, name, key, password=None):
        how = (serialization.BestAvailableEncryption(password) if password
               else serialization.NoEncryption())
        return self.write(name, key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            how))


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


def said(*args):
    return [what for what, _ in pem.problems(*args)]


def test_good_files_are_not_mentioned(files):
    certificate, key = files.certificate('a')
    assert said(certificate, certificate, key) == []
    assert said(None, certificate, key) == []
    with open(certificate, 'rb') as first, open(key, 'rb') as second:
        both = files.write('both', second.read() + first.read())
    assert said(None, both, None) == []


def test_missing(files):
    path = str(files.dir / 'none.pem')
    assert said(path, path, path) == [f'{path}: No such file or directory']


def test_unreadable(files):
    # Root reads everything; opening this fails for every user.
    path = files.write('a', b'') + '/b'
    assert said(path, None, None) == [f'{path}: Not a directory']


def test_directory(files):
    path = str(files.dir)
    what = [f'{path} is not a regular file of a plausible size']
    assert said(path, None, None) == what
    assert list(pem.problems(path, None, None, directory=True)) == []
    assert [w for w, _ in pem.problems(
        path, path, None, directory=True)] == what


@pytest.mark.parametrize('path', ['/dev/zero', '/dev/null'])
def test_device(path):
    assert said(path, None, None) == [
        f'{path} is not a regular file of a plausible size']


def test_endless_file(files):
    path = files.write('ca.pem', b'')
    with open(path, 'wb') as stream:
        stream.truncate(2 ** 40)
    assert said(path, None, None) == [
        f'{path} is not a regular file of a plausible size']


@pytest.fixture(params=['', 'X509 ', 'TRUSTED '])
def labelled(request, files):
    """Certificate and key, the certificate under each label that it can have.
    """
    certificate, key = files.certificate('a')
    if request.param == 'TRUSTED ':
        # It has more in it than a certificate.
        trusted = str(files.dir / 'trusted.pem')
        subprocess.run(['openssl', 'x509', '-in', certificate, '-trustout',
                        '-out', trusted], check=True, timeout=60)
        return trusted, key
    with open(certificate, 'rb') as stream:
        content = stream.read()
    return files.write('labelled.pem', content.replace(
        b' CERTIFICATE', b' ' + request.param.encode() + b'CERTIFICATE')), key


def test_labels(labelled):
    certificate, key = labelled
    assert said(certificate, certificate, key) == []


def test_expired_under_another_label(files):
    old, _ = files.certificate('old', -10, -2)
    with open(old, 'rb') as stream:
        content = stream.read()
    path = files.write('x509.pem', content.replace(b' CERTIFICATE',
                                                   b' X509 CERTIFICATE'))
    [text] = said(path, None, None)
    assert 'expired' in text


def test_dates_are_left_alone_without_cryptography(files, monkeypatch):
    old, old_key = files.certificate('old', -10, -2)
    monkeypatch.setitem(sys.modules, 'cryptography', None)
    assert said(old, old, old_key) == []
    _, other = files.certificate('b')
    assert said(old, old, other) == [f'{other} is not the key of {old}']


def test_cryptography_is_not_imported_without_a_certificate(tmp_path):
    path = tmp_path / 'octavia.conf'
    path.write_text(config_cases.text('engine = serial\n'))
    code = ('import sys; from octavia_v2_checks import settings; '
            'from octavia_v2_checks.checks import config; '
            'list(config.mistakes(settings.load([("file", sys.argv[1])]))); '
            'sys.exit(any(m in sys.modules for m in ("cryptography", '
            '"ssl", "pymysql", "sqlalchemy")))')
    assert subprocess.run([sys.executable, '-c', code, str(path)]
                          ).returncode == 0


def test_not_pem(files):
    path = files.write('ca.der', b'\x30\x82\x01\x00')
    assert said(path, None, None) == [
        f'{path} contains no certificate in PEM format']
    certificate, key = files.certificate('a')
    assert said(None, path, key) == [
        f'{path} contains no certificate in PEM format']
    assert said(None, certificate, path) == [
        f'{path} contains no key in PEM format']
    assert said(None, certificate, None) == [
        f'{certificate} contains no key in PEM format']
    [(what, remedy)] = pem.problems(None, key, certificate)
    assert what == f'{key} contains no certificate in PEM format'
    assert 'openssl' not in remedy


DAMAGED = (b'-----BEGIN CERTIFICATE-----\nMAA=\n'
           b'-----END CERTIFICATE-----\n')


def test_damaged(files):
    """One damaged certificate keeps OpenSSL from loading the whole file."""
    certificate, key = files.certificate('a')
    with open(certificate, 'rb') as stream:
        content = stream.read()
    for number, broken in enumerate((DAMAGED, content + DAMAGED,
                                     content[:-40], content + content[:99])):
        path = files.write(f'broken-{number}', broken)
        what = [f'{path} has a certificate that is damaged']
        assert said(path, None, None) == what
        assert said(None, path, key) == what
        with pytest.raises(ssl.SSLError):
            ssl.create_default_context(cafile=path)


def test_revocation_list_is_no_certificate(files):
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (x509.CertificateRevocationListBuilder()
            .issuer_name(x509.Name([x509.NameAttribute(
                x509.NameOID.COMMON_NAME, 'a')]))
            .last_update(now).next_update(now + _DAY)
            .sign(key, hashes.SHA256()))
    path = files.write('crl.pem', made.public_bytes(
        serialization.Encoding.PEM))
    assert said(path, None, None) == [
        f'{path} contains no certificate in PEM format']


def test_expired_and_not_yet_valid(files):
    old, old_key = files.certificate('old', -10, -2)
    day = datetime.datetime.now(datetime.timezone.utc) - 2 * _DAY
    assert said(old, None, None) == [f'{old} expired on {day:%Y-%m-%d}']
    assert said(None, old, old_key) == [f'{old} expired on {day:%Y-%m-%d}']
    new, new_key = files.certificate('new', 2, 10)
    [text] = said(None, new, new_key)
    assert text.startswith(f'{new} is not valid before 2')


def test_dates_after_2049_have_another_form(files):
    certificate, key = files.certificate('long', -1, 40 * 365)
    assert said(certificate, certificate, key) == []


def test_one_valid_authority_of_a_bundle_is_enough(files):
    old, _ = files.certificate('old', -10, -2)
    good, _ = files.certificate('good')
    with open(old, 'rb') as first, open(good, 'rb') as second:
        content = first.read() + second.read()
    bundle = files.write('bundle.pem', b'# two\n' + content)
    assert said(bundle, None, None) == []


def test_key_of_another_certificate(files):
    certificate, _ = files.certificate('a')
    _, key = files.certificate('b')
    assert said(None, certificate, key) == [
        f'{key} is not the key of {certificate}']


def test_encrypted_key(files):
    certificate, key = files.certificate('a')
    with open(key, 'rb') as stream:
        plain = serialization.load_pem_private_key(stream.read(), None)
    locked = files.key('locked.key', plain, b'sesame')
    assert said(None, certificate, locked) == [
        f'{locked} is encrypted and no password is configured for it']
    assert said(None, certificate, locked, 'simsim') == [
        f'{locked} cannot be decrypted with the configured password']
    assert said(None, certificate, locked, 'x' * 2000) == [
        f'{locked} cannot be opened']
    assert said(None, certificate, locked, 'sesame') == []


FRAGMENTS = {
    'redis': 'jobboard_redis_backend_ssl_options = ssl:True,'
             'ssl_ca_certs:{ca},ssl_certfile:{cert},ssl_keyfile:{key}',
    'sentinel': config_cases.SENTINEL
                + 'jobboard_redis_sentinel_ssl_options = ssl:True,'
                  'ssl_ca_certs:{ca},ssl_certfile:{cert},ssl_keyfile:{key}',
    'zookeeper': config_cases.ZOOKEEPER
                 + 'jobboard_zookeeper_ssl_options = use_ssl:True,'
                   'certfile:{cert},keyfile:{key}',
    'etcd': config_cases.ETCD + 'jobboard_etcd_ssl_options = use_ssl:True,'
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
        path = files.write('octavia.conf', config_cases.text(
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
        path = files.write('octavia.conf', config_cases.text(
            f'{config_cases.ZOOKEEPER}jobboard_zookeeper_ssl_options = '
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
    path = files.write('octavia.conf', config_cases.text(
        f'{config_cases.ETCD}jobboard_etcd_ssl_options = use_ssl:True,'
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


def run(remedy, *more):
    """Run the openssl command of a remedy."""
    command = re.search('openssl [^,]+', remedy)[0]
    subprocess.run([*command.split(), *more], check=True, timeout=60)


def test_the_remedy_for_der_works(files):
    certificate, _ = files.certificate('a')
    with open(certificate, encoding='ascii') as stream:
        der = files.write('ca.der', ssl.PEM_cert_to_DER_cert(stream.read()))
    [(_, remedy)] = pem.problems(der, None, None)
    run(remedy)
    assert said(f'{der}.pem', None, None) == []


def test_the_remedy_for_an_encrypted_key_works(files):
    certificate, key = files.certificate('a')
    with open(key, 'rb') as stream:
        plain = serialization.load_pem_private_key(stream.read(), None)
    locked = files.key('locked.key', plain, b'sesame')
    [(_, remedy)] = pem.problems(None, certificate, locked)
    # Nobody is there to type the password.
    run(remedy, '-passin', 'pass:sesame')
    assert said(None, certificate, f'{locked}.open') == []

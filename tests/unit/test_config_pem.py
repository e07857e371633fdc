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

"""TLS files themselves, as certificates and keys of all kinds."""

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

from octavia_v2_checks.checks.config import pem
from tests import pem_files


@pytest.fixture
def files(tmp_path):
    return pem_files.Files(tmp_path)


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
            .last_update(now).next_update(now + pem_files.DAY)
            .sign(key, hashes.SHA256()))
    path = files.write('crl.pem', made.public_bytes(
        serialization.Encoding.PEM))
    assert said(path, None, None) == [
        f'{path} contains no certificate in PEM format']


def test_expired_and_not_yet_valid(files):
    old, old_key = files.certificate('old', -10, -2)
    day = datetime.datetime.now(datetime.timezone.utc) - 2 * pem_files.DAY
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

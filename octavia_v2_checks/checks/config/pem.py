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

"""TLS files: can a client load them, and are they valid now?"""

from collections.abc import Iterator
import datetime
import os
import shlex
import stat
import warnings

#: Bytes; the bundle of a system has less than one million.
_LARGEST = 16 * 2 ** 20


def problems(ca: str | None, certificate: str | None, key: str | None,
             password: str | None = None, *, directory: bool = False
             ) -> Iterator[tuple[str, str]]:
    """Yield (what is wrong, what fixes it) for the files of one client.

    :param ca: the CA to verify the server with
    :param certificate: the one of the client, with its chain
    :param key: its key, None if it is in the same file
    :param password: of the key
    :param directory: whether the client accepts a directory for ``ca`` too;
        its content is not checked
    """
    if directory and ca and os.path.isdir(ca):
        ca = None
    broken = False
    for path in dict.fromkeys(p for p in (ca, certificate, key) if p):
        problem = _unreadable(path)
        if problem:
            broken = True
            yield problem
    if broken:
        return
    if ca:
        problem = _unloadable(ca) or _expired(ca, bundle=True)
        if problem:
            yield problem
    if certificate:
        problem = (_unloadable(certificate)
                   or _pair(certificate, key, password)
                   or _expired(certificate, bundle=False))
        if problem:
            yield problem


def _unreadable(path):
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST:
            return (f'{path} is not a regular file of a plausible size',
                    f'Name a PEM file instead of {path}.')
        with open(path, 'rb') as stream:
            stream.read(1)
    except OSError as exc:
        return (f'{path}: {os.strerror(exc.errno or 0)}',
                'Provide the file, readable by the user octavia: ls -l '
                f'{shlex.quote(path)}')
    return None


def _unloadable(path):
    """Return what keeps OpenSSL from loading certificates from a file."""
    # Few configurations name TLS files, and OpenSSL is slow to load.
    import ssl
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(path)
    except ssl.SSLError as exc:
        if exc.reason == 'NO_CERTIFICATE_OR_CRL_FOUND':
            return _not_pem(path)
        return (f'{path} has a certificate that is damaged',
                f'Copy {path} again from where the certificate was issued, '
                'complete and unchanged.')
    if not context.cert_store_stats()['x509']:
        return _not_pem(path)
    return None


def _not_pem(path):
    import ssl
    what = f'{path} contains no certificate in PEM format'
    with open(path, 'rb') as stream:
        content = stream.read()
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(
            cadata=content)
    except (ssl.SSLError, ValueError):
        return (what, 'Name a file whose certificate begins with -----BEGIN '
                f'CERTIFICATE-----, instead of {path}.')
    quoted = shlex.quote(path)
    pem = shlex.quote(f'{path}.pem')
    return what, (f'Convert it: openssl x509 -inform der -in {quoted} -out '
                  f'{pem}, and name that file.')


def _expired(path, bundle):
    """Return what keeps the certificates of a file from being valid now.

    :param bundle: one valid certificate is enough; otherwise the first one
        counts
    """
    periods = _periods(path)
    now = datetime.datetime.now(datetime.timezone.utc)
    if not periods or any(begin <= now <= end for begin, end in (
            periods if bundle else periods[:1])):
        return None
    begin, end = periods[0]
    what = (f'expired on {end:%Y-%m-%d}' if end < now else
            f'is not valid before {begin:%Y-%m-%d %H:%M} UTC')
    return f'{path} {what}', f'Renew {path}.'


def _periods(path):
    """Return begin and end of the validity of each certificate.

    Empty where they cannot be read: cryptography is not installed, or the file
    is one that only OpenSSL accepts.
    """
    try:
        from cryptography import x509
    except ImportError:
        return []
    with open(path, 'rb') as stream:
        content = stream.read()
    with warnings.catch_warnings():
        # System bundles contain serial numbers that it warns about.
        warnings.simplefilter('ignore')
        try:
            return [_period(c)
                    for c in x509.load_pem_x509_certificates(content)]
        except ValueError:
            return []


def _period(certificate):
    try:
        return (certificate.not_valid_before_utc,
                certificate.not_valid_after_utc)
    except AttributeError:
        # cryptography before 42.
        zone = datetime.timezone.utc
        return (certificate.not_valid_before.replace(tzinfo=zone),
                certificate.not_valid_after.replace(tzinfo=zone))


def _pair(certificate, key, password):
    """Return what keeps a certificate and its key from being loaded."""
    import ssl
    asked = []

    def answer():
        # Without this OpenSSL would ask on the terminal.
        asked.append(True)
        return password or ''

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(
            certificate, key, answer)
    except ssl.SSLError as exc:
        holder = key or certificate
        if exc.reason == 'KEY_VALUES_MISMATCH':
            return (f'{holder} is not the key of {certificate}',
                    'Name the key that belongs to the certificate.')
        if asked and not password:
            return (f'{holder} is encrypted and no password is configured for '
                    'it',
                    'Remove the password: openssl pkey -in '
                    f'{shlex.quote(holder)} -out '
                    f'{shlex.quote(holder + ".open")}, make that file '
                    'readable only by the user octavia, and name it.')
        if asked:
            return (f'{holder} cannot be decrypted with the configured '
                    'password', 'Correct the password.')
        return (f'{holder} contains no key in PEM format',
                'Name a file with the private key in PEM format.')
    except ValueError:
        # The password is longer than OpenSSL accepts.
        return f'{key} cannot be opened', 'Correct the password.'
    return None

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

"""TLS files: whether a client could load them, and until when they hold."""

from collections.abc import Iterator
import datetime
import os
import re

_BLOCK = re.compile(
    '-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----', re.S)

_SEQUENCE, _VERSION = 0x30, 0xa0
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18


def problems(ca: str | None, certificate: str | None, key: str | None,
             password: str | None = None) -> Iterator[tuple[str, str]]:
    """Yield (what is wrong, what mends it) for the files of one client.

    :param ca: what the server is verified against; a directory is not looked
        into
    :param certificate: the client's own, with its chain
    :param key: its key, None if it is in the same file
    :param password: of the key
    """
    broken = False
    for path in dict.fromkeys(p for p in (ca, certificate, key) if p):
        problem = _unreadable(path)
        if problem:
            broken = True
            yield problem
    if broken:
        return
    if ca and not os.path.isdir(ca):
        yield from _validity(ca, bundle=True)
    if certificate:
        problem = next(_validity(certificate, bundle=False), None)
        if not problem or 'no certificate' not in problem[0]:
            problem = _pair(certificate, key, password) or problem
        if problem:
            yield problem


def _unreadable(path):
    try:
        if os.path.isdir(path):
            return None
        with open(path, 'rb') as stream:
            stream.read(1)
    except OSError as exc:
        return (f'{path}: {os.strerror(exc.errno or 0)}',
                f'Put the file in place, readable by the user octavia: ls -l '
                f'{path}')
    return None


def _validity(path, bundle):
    """Yield what keeps the certificates of a file from being valid now.

    :param bundle: one valid certificate of all is enough; otherwise the
        first one counts
    """
    # Few configurations name a file of TLS, and OpenSSL is slow to load.
    import ssl
    with open(path, 'rb') as stream:
        text = stream.read().decode('ascii', 'replace')
    try:
        periods = [_period(ssl.PEM_cert_to_DER_cert(block))
                   for block in _BLOCK.findall(text)]
    except (ValueError, IndexError):
        periods = []
    if not periods:
        yield (f'{path} has no certificate in PEM format',
               f'Convert it: openssl x509 -inform der -in {path} -out '
               f'{path}.pem, and name that file.')
        return
    now = datetime.datetime.now(datetime.timezone.utc)
    if any(begin <= now <= end
           for begin, end in (periods if bundle else periods[:1])):
        return
    begin, end = periods[0]
    what = (f'expired on {end:%Y-%m-%d}' if end < now else
            f'is not valid before {begin:%Y-%m-%d %H:%M} UTC')
    yield f'{path} {what}', f'Renew {path}.'


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
            return (f'{holder} is encrypted and there is no password for it',
                    f'Take the password off: openssl pkey -in {holder} -out '
                    f'{holder}.open, and name that file.')
        if asked:
            return (f'{holder} does not open with the password that is '
                    f'given', 'Correct the password.')
        return (f'{holder} has no key in PEM format',
                'Name a file with the private key in PEM format.')
    except ValueError:
        # The password is longer than OpenSSL takes.
        return f'{key} cannot be opened', 'Correct the password.'
    return None


def _period(der):
    """Return begin and end of a certificate's validity.

    :raises ValueError: if it is no certificate
    :raises IndexError: if it ends too early
    """
    _, certificate, _ = _element(der)
    _, body, _ = _element(certificate)
    tag, _, rest = _element(body)
    # Version (which certificates of the first kind do not have), serial
    # number, algorithm and issuer stand before the validity.
    for _ in range(3 if tag == _VERSION else 2):
        _, _, rest = _element(rest)
    tag, validity, _ = _element(rest)
    if tag != _SEQUENCE:
        raise ValueError('no validity')
    tag, begin, rest = _element(validity)
    begin = _time(tag, begin)
    tag, end, _ = _element(rest)
    return begin, _time(tag, end)


def _element(der):
    """Return tag, content and rest of the first element."""
    length, start = der[1], 2
    if length & 0x80:
        start += length & 0x7f
        length = int.from_bytes(der[2:start], 'big')
    return der[0], der[start:start + length], der[start + length:]


def _time(tag, text):
    style = {_UTC_TIME: '%y%m%d%H%M%SZ',
             _GENERALIZED_TIME: '%Y%m%d%H%M%SZ'}.get(tag, '')
    return datetime.datetime.strptime(text.decode('ascii'), style).replace(
        tzinfo=datetime.timezone.utc)

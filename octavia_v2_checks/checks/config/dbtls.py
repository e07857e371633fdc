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

"""TLS to the persistence database, as far as its URL asks for it."""

from collections.abc import Iterator

from octavia_v2_checks.checks.config import dburl
from octavia_v2_checks.checks.config import pem
from octavia_v2_checks.checks.config.view import named
from octavia_v2_checks.checks.config.view import View
from octavia_v2_checks.findings import Finding
from octavia_v2_checks.findings import finding

#: Parameters with the files of CA, certificate and key, and the key's
#: password.
_FILES = {
    'mysql': ('ssl_ca', 'ssl_cert', 'ssl_key', 'ssl_key_password'),
    'postgresql': ('sslrootcert', 'sslcert', 'sslkey', 'sslpassword'),
}

_MODES = ('disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full')

_FALSE = frozenset({'0', 'f', 'false', 'off', 'n', 'no', 'none'})


def transport(view: View) -> Iterator[Finding]:
    """Yield TLS files and modes of the URL that do not do what they say."""
    value = view.usable('persistence_connection')
    url = dburl.parse(value.written) if value else None
    if value is None or url is None or url.dialect not in _FILES:
        return
    ca, certificate, key, password = map(url.query.get, _FILES[url.dialect])
    if url.dialect == 'postgresql' and ca == 'system':
        ca = None  # libpq's word for the trust store of the system
    found = [*_mode(url), *_unverified(url, ca, certificate)]
    if url.query.get('sslmode') != 'disable':
        found += [('tls-file', *problem) for problem in pem.problems(
            ca, certificate, key, password)]
    for slug, what, remedy in found:
        yield finding(f'config.{slug}', f'{named(value)}: {what}.', remedy,
                      **value.where)


def _mode(url):
    mode = url.query.get('sslmode', 'prefer')
    if url.dialect == 'postgresql' and mode not in _MODES:
        yield ('persistence-url',
               f'its sslmode is none of {", ".join(_MODES)}',
               'Write sslmode=verify-full.')


def _unverified(url, ca, certificate):
    if url.dialect == 'postgresql':
        if url.query.get('sslmode') == 'require' and not (
                url.query.keys() & {'sslrootcert'}):
            yield ('tls-unverified',
                   'sslmode=require without sslrootcert accepts any server',
                   'Write sslmode=verify-full and name the CA in '
                   'sslrootcert.')
        return
    off = [k for k in ('ssl_verify_cert', 'ssl_check_hostname')
           if url.query.get(k, '').lower() in _FALSE]
    if off:
        yield ('tls-unverified', f'{off[0]} is off, so that any server is '
               f'accepted' if off[0] == 'ssl_verify_cert' else
               f'{off[0]} is off, so that any server with a certificate of '
               f'the CA is accepted', f'Delete {off[0]} from the URL.')
    elif certificate and not (ca or url.query.get('ssl_capath')):
        yield ('tls-unverified',
               'a client certificate without ssl_ca goes to any server',
               'Name the CA of the database server in ssl_ca.')


RULES = [transport]

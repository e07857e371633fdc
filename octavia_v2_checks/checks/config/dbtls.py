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

"""TLS to the persistence database, as far as the URL tells."""

from collections.abc import Iterator

from octavia_v2_checks.checks.config import dburl
from octavia_v2_checks.checks.config import pem
from octavia_v2_checks.checks.config.view import named
from octavia_v2_checks.checks.config.view import View
from octavia_v2_checks.findings import Finding
from octavia_v2_checks.findings import finding
from octavia_v2_checks.upstream import broken
from octavia_v2_checks.upstream import versions

#: Parameters with the files of CA, certificate and key, and the password of
#: the key.
_FILES = {
    'mysql': ('ssl_ca', 'ssl_cert', 'ssl_key', 'ssl_key_password'),
    'postgresql': ('sslrootcert', 'sslcert', 'sslkey', 'sslpassword'),
}

_MODES = ('disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full')

_FALSE = frozenset({'0', 'f', 'false', 'off', 'n', 'no', 'none'})


#: If one of these is in the URL, PyMySQL replaces its TLS settings with what
#: SQLAlchemy passes on unchanged, which is none of the others.
_ANEW = ('ssl_verify_cert', 'ssl_verify_identity')
_DROPPED = ('ssl_ca', 'ssl_capath', 'ssl_cert', 'ssl_key', 'ssl_cipher')


def transport(view: View) -> Iterator[Finding]:
    """Yield TLS files and modes of the URL that do not do what they seem to.
    """
    value = view.usable('persistence_connection')
    url = dburl.parse(value.written) if value else None
    if value is None or url is None or url.dialect not in _FILES:
        return
    ca, certificate, key, password = map(url.query.get, _FILES[url.dialect])
    if url.dialect == 'postgresql' and ca == 'system':
        ca = None  # libpq's word for the trust store of the system
    found = [*_mode(url)]
    if url.driver == 'pymysql':
        password = None  # SQLAlchemy and PyMySQL lose it between them
    dropped = [*_dropped(url)]
    found += dropped or _unverified(url, ca, certificate)
    if not dropped and url.query.get('sslmode') != 'disable':
        found += [('tls-file', *problem) for problem in pem.problems(
            ca, certificate, key, password)]
    for slug, what, remedy in found:
        yield finding(f'config.{slug}', f'{named(value)}: {what}.', remedy,
                      **value.where)


def _dropped(url):
    """Yield parameters of PyMySQL that disable others, or TLS itself."""
    if url.driver != 'pymysql':
        return
    lost = [k for k in _DROPPED if k in url.query]
    disabled = url.query.get('ssl_disabled', '').lower()
    if disabled and (lost or disabled in _FALSE):
        yield ('tls-unverified',
               'ssl_disabled turns TLS off, whatever its value',
               'Delete ssl_disabled from the URL.')
        return
    anew = [k for k in _ANEW if url.query.get(k)]
    if not anew or not (lost or _accepts_any(url)):
        return
    instead = ('ssl_ca alone verifies the certificate and the host name'
               if 'ssl_ca' in url.query else
               'add ssl_ca=/path/to/the/ca.pem, which alone verifies the '
               'certificate and the host name')
    yield ('tls-unverified',
           f'because of {anew[0]}, PyMySQL '
           + (f'drops {", ".join(lost)} and ' if lost else '')
           + ('accepts any server' if _accepts_any(url) else
              'verifies the certificate against the trust store of the '
              'system, but not the host name'),
           f'Delete {" and ".join(anew)} from the URL: {instead}.')


def _accepts_any(url):
    verify = url.query.get('ssl_verify_cert', '').lower()
    if url.query.get('ssl_verify_identity') and not broken.lookup(
            'PyMySQL', versions.installed('PyMySQL'), 'tls-identity'):
        return False
    return verify not in ('required', 'optional', '1', 'true', 'yes')


def _mode(url):
    mode = url.query.get('sslmode', 'prefer')
    if url.dialect == 'postgresql' and mode not in _MODES:
        yield ('persistence-url',
               f'its sslmode is not one of {", ".join(_MODES)}',
               'Write sslmode=verify-full, and name the CA in sslrootcert.')


def _unverified(url, ca, certificate):
    if url.dialect == 'postgresql':
        if url.query.get('sslmode') == 'require' and not (
                url.query.keys() & {'sslrootcert'}):
            yield ('tls-unverified',
                   'sslmode=require without sslrootcert accepts any server',
                   'Write sslmode=verify-full and name the CA in '
                   'sslrootcert.')
        return
    if url.query.get('ssl_check_hostname', '').lower() in _FALSE:
        yield ('tls-unverified',
               'ssl_check_hostname is off, so any server with a certificate '
               'of the CA is accepted',
               'Delete ssl_check_hostname from the URL.')
    elif certificate and not (ca or url.query.get('ssl_capath')):
        yield ('tls-unverified',
               'a client certificate without ssl_ca goes to any server',
               'Name the CA of the database server in ssl_ca.')


RULES = [transport]

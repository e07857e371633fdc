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

"""The ``*_ssl_options`` dictionaries, as each driver uses them."""

from collections.abc import Iterator
from typing import NamedTuple

from octavia_v2_checks.checks.config import pem
from octavia_v2_checks.checks.config.names import nearest
from octavia_v2_checks.checks.config.view import ETCD
from octavia_v2_checks.checks.config.view import named
from octavia_v2_checks.checks.config.view import plain
from octavia_v2_checks.checks.config.view import REDIS
from octavia_v2_checks.checks.config.view import View
from octavia_v2_checks.checks.config.view import ZOOKEEPER
from octavia_v2_checks.findings import Finding
from octavia_v2_checks.findings import finding
from octavia_v2_checks.settings.reader import Value

_TRUE = frozenset({'1', 't', 'true', 'on', 'y', 'yes'})
_FALSE = frozenset({'0', 'f', 'false', 'off', 'n', 'no'})

#: What a template prints for None; Octavia treats it as text.
_NONE = frozenset({'none', 'null', 'nil', 'undefined'})


class Keys(NamedTuple):
    """The keys that one kind of dictionary may have."""

    driver: str
    switch: str
    ca: str
    certificate: str
    key: str
    password: str = ''
    verify: str = ''

    @property
    def known(self) -> tuple[str, ...]:
        """Every key."""
        return tuple(k for k in (
            self.switch, self.ca, self.certificate, self.key, self.password,
            self.verify) if k)

    @property
    def files(self) -> tuple[str, ...]:
        """The keys whose values are file names."""
        return tuple(k for k in (self.ca, self.certificate, self.key) if k)


_REDIS = Keys(REDIS, 'ssl', 'ssl_ca_certs', 'ssl_certfile', 'ssl_keyfile',
              verify='ssl_cert_reqs')
_DICTIONARIES = {
    'jobboard_redis_backend_ssl_options': _REDIS,
    'jobboard_redis_sentinel_ssl_options': _REDIS,
    'jobboard_zookeeper_ssl_options': Keys(
        ZOOKEEPER, 'use_ssl', '', 'certfile', 'keyfile', 'keyfile_password',
        'verify_certs'),
    'jobboard_etcd_ssl_options': Keys(
        ETCD, 'use_ssl', 'ca_cert', 'cert_cert', 'cert_key'),
}


def dictionaries(view: View) -> Iterator[Finding]:
    """Yield everything that is wrong with the TLS options."""
    for name, keys in _DICTIONARIES.items():
        value = view.settings[name]
        if value.option in view.reported or value.text is None:
            continue
        if value.error == 'value':
            # Stops every service that logs its options, used or not.
            yield _found('value', value, _refused(value.text),
                         'Write KEY:VALUE pairs, separated by commas.')
        elif view.used(name):
            entries = dict(_entries(value.text))
            yield from _keys(value, keys, entries)
            on = yield from _switched_on(value, keys, entries)
            if on:
                yield from _contents(value, keys, entries)


def _found(slug, value, what, remedy=None):
    slug = slug if slug.startswith('tls') else f'dict-{slug}'
    return finding(f'config.{slug}', f'{named(value)}: {what}.', remedy,
                   **value.where)


def _entries(text):
    """Yield key and value as oslo.config splits them."""
    rest = ''
    for entry in text.split(',') if text.strip() else ():
        rest = f'{rest},{entry}' if rest else entry
        key, colon, word = rest.partition(':')
        if colon:
            yield key.strip(), word.strip()
            rest = ''


def _refused(text):
    seen = set()
    for number, entry in enumerate(text.split(','), 1):
        key, colon, _ = entry.partition(':')
        key = key.strip()
        if not entry.strip():
            return f'entry {number} is empty; there is one comma too many'
        if not colon:
            return f'entry {number} has no colon'
        if not key:
            return f'entry {number} has no key'
        if key in seen:
            return f'{plain(key.partition("=")[0])} is given twice'
        seen.add(key)
    return 'it is not a list of KEY:VALUE pairs'


def _keys(value: Value, keys: Keys, entries) -> Iterator[Finding]:
    for key in entries:
        if key in keys.known:
            continue
        switch = key.lower() in ('ssl', 'use_ssl', 'tls', 'use_tls', 'enabled')
        near = keys.switch if switch else nearest(key, keys.known)
        hint = f'; did you mean {near}' if near else ''
        if keys.driver == ZOOKEEPER and key.lower() in ('ca', 'ca_cert',
                                                        'cafile', 'ca_certs'):
            yield _found('unknown-key', value,
                         f'{key} is dropped: Octavia has no key for a CA',
                         'Add the CA to the trust store of the system on '
                         'every controller, and delete the entry.')
            continue
        yield _found(
            'unknown-key', value,
            f'{plain(key.partition("=")[0])} is not a valid key{hint}',
            f'Write {near}, or delete the entry.' if near else
            f'Use only {", ".join(keys.known)}.')
    missing = keys.switch not in entries
    if missing and keys.driver == ETCD:
        yield _found(
            'missing-key', value,
            f'{keys.switch} is missing, and a worker stops with a KeyError',
            'Add use_ssl:True for TLS; delete the line for none.')
    elif missing and entries.keys() & set(keys.files):
        yield _found(
            'missing-key', value,
            f'{keys.switch} is missing, so TLS is off and the files are '
            f'not used',
            f'Add {keys.switch}:True, or delete the line.')


def _switched_on(value, keys, entries):
    """Yield mistakes in the switch; return whether TLS is on."""
    text = entries.get(keys.switch, '')
    word = text.lower()
    if not text or word in _TRUE:
        return bool(text)
    if word in _FALSE and keys.driver != ETCD:
        return False
    if keys.driver == ETCD and word in _FALSE | _NONE:
        yield _found(
            'truthy-string', value,
            f'{keys.switch}:{text} turns TLS on, as any text does',
            f'Delete the line, or write {value.name} = {keys.switch}:')
        return False
    taken = 'yes' if keys.driver == ETCD else 'no'
    yield _found('value', value,
                 f'{keys.switch}:{plain(text)} is neither true nor false, and '
                 f'Octavia treats it as {taken}',
                 f'Write {keys.switch}:True or delete the line.')
    return False


def _contents(value, keys, entries):
    """Yield what is wrong with a dictionary that turns TLS on."""
    usable = {}
    for key in keys.files:
        text = entries.get(key, '')
        if text.lower() in _NONE:
            yield _found('value', value,
                         f'{key}:{text} is used as the name of a file',
                         f'Omit {key}.')
        elif text:
            usable[key] = text
        elif key in entries and key == _REDIS.ca:
            yield _found('value', value,
                         f'{key} is empty, and the client tries to open a '
                         'file without a name', f'Omit {key}.')
    yield from _verification(value, keys, entries)
    certificate, key = usable.get(keys.certificate), usable.get(keys.key)
    half = (_half(keys, entries, certificate)
            if bool(certificate) != bool(key) else None)
    if half:
        yield _found('value', value, *half)
        return
    problems = pem.problems(usable.get(keys.ca), certificate, key,
                            entries.get(keys.password),
                            directory=keys.driver == ETCD)
    for what, remedy in problems:
        yield _found('tls-file', value, what, remedy)


def _half(keys, entries, certificate):
    """Return (what is wrong, what fixes it) for a certificate or a key alone.

    None where the client needs only one of them.
    """
    given, lacks = ((keys.certificate, keys.key) if certificate
                    else (keys.key, keys.certificate))
    if keys.driver == REDIS and not certificate:
        return (f'{given} without {lacks} is an error in the client',
                f'Add {lacks}, or omit {given}.')
    if certificate and keys.driver != ZOOKEEPER and entries.get(lacks) == '':
        return (f'{lacks} is empty, and the client tries to open a file '
                'without a '
                'name', f'Name the key of the certificate in {lacks}.')
    if keys.driver == REDIS or (keys.driver == ETCD and lacks in entries):
        return None
    return (f'{given} without {lacks} is not used',
            f'Add {lacks}, or omit {given}.')


def _verification(value, keys, entries):
    text = entries.get(keys.verify) if keys.verify else None
    if keys.driver == ETCD:
        if keys.ca in entries and not entries[keys.ca]:
            yield _found('tls-unverified', value,
                         f'an empty {keys.ca} turns verification off',
                         f'Name the CA file, or omit {keys.ca} to use '
                         f'the trust store of the system.')
    elif text is None:
        return
    elif keys.driver == REDIS:
        if text not in ('none', 'optional', 'required'):
            yield _found('value', value,
                         f'{keys.verify}:{plain(text)} is not one of none, '
                         'optional and required, and the client refuses it',
                         f'Write {keys.verify}:required.')
        elif text == 'none':
            yield _found('tls-unverified', value,
                         f'{keys.verify}:none accepts any server',
                         f'Write {keys.verify}:required and name the CA in '
                         f'{keys.ca}.')
    elif text.lower() in _FALSE:
        yield _found('tls-unverified', value,
                     f'{keys.verify}:{text} accepts any server',
                     f'Write {keys.verify}:True, and add the CA to the '
                     f'trust store of the system on every controller.')
    elif text.lower() not in _TRUE:
        yield _found('value', value,
                     f'{keys.verify}:{plain(text)} is neither true nor '
                     f'false', f'Write {keys.verify}:True.')


RULES = [dictionaries]

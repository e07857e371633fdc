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
"""Values that may be a password in the wrong place.

An invalid value is shown only if it resembles a valid one: ``30s`` for a
number, ``ture`` for a boolean, ``ssl=True`` for ``ssl:True``. Free names, such
as a host or a namespace, are shown.
"""

from collections.abc import Iterable
from collections.abc import Iterator
import difflib
import functools
import re

from oslo_config import cfg
from oslo_config import types

from octavia_v2_checks import catalogue
from octavia_v2_checks import opts
from octavia_v2_checks import plugins
from octavia_v2_checks import waivers
from octavia_v2_checks.settings import redact

_WORDS = ('true', 'false', 'yes', 'no', 'on', 'off', 'enable', 'enabled',
          'disable', 'disabled', 'none', 'null', 'unset', 'default')

#: A number with a unit, a comma or a space that does not belong there.
_ALMOST_NUMBER = r'(?i)[-+]?\d[\d.,_:]*\s?[a-z%]{0,7}'

#: Characters of no host, port or address, which a password may have.
_NOT_IN_HOSTS = r'[!#^*()+~`\\]'

#: Paths of etcd's gateway.
_API_PATH = r'/[\w./~-]*|([\w.~-]+/)*v\d\w*/?'

#: Misspelt keys of a TLS dictionary.
_TLS_KEYS = frozenset({
    'ssl', 'use_ssl', 'tls', 'use_tls', 'enabled', 'ca', 'cafile', 'ca_cert',
    'ca_certs', 'cert', 'key', 'verify', 'check_hostname'})

#: Their values, apart from file names.
_TLS_WORDS = (*_WORDS, 'required', 'optional', 'cert_required')

#: Names of providers, of Octavia and of others.
_PROVIDERS = ('a10', 'amphora', 'amphorav2', 'f5', 'noop_driver', 'octavia',
              'ovn', 'radware', 'vmwareedge')

_PLAIN = r"[A-Za-z ,.'()-]*"

#: More entries than a dictionary can have.
_ENTRIES = 100

#: Longer words are not misspelt names.
_LONGEST = 40


def pieces(opt: cfg.Opt, text: str) -> set[str]:
    """Return the parts of a value that may be a password.

    :param opt: of the value
    :returns: the whole text, stripped, if none of it is certain
    """
    text = text.strip()
    found = set(_pieces(opt, text))
    return {p.strip() for p in found if len(p.strip()) >= redact.SHORTEST}


def _pieces(opt, text) -> Iterable[str]:
    if opt.dest == 'jobboard_backend_hosts':
        listed = re.search(_NOT_IN_HOSTS, text)
        return [text, *text.split(',')] if listed else []
    if opt.dest == 'jobboard_etcd_api_path':
        return [] if re.fullmatch(_API_PATH, text) else [text, text.strip('/')]
    if opt.dest == 'enabled_provider_drivers':
        return _of_providers(text)
    if opt.dest == 'skip':
        return _strangers(text.split(','), _names('checks'))
    if isinstance(opt.type, opts.SSLOptions):
        return _of_tls(text, opt.type.defaults)
    if isinstance(opt.type, opts.ReportFile):
        form, _, path = text.partition(':')
        return ([text, form, path]
                if text and any(_strangers([form], _names('reports'))) else [])
    if isinstance(opt.type, opts.Waiver):
        return _of_waiver(opt, text)
    return [] if _is_slip(opt, text) else [text]


def _is_slip(opt, text):
    choices = getattr(opt.type, 'choices', None) or ()
    if not choices and not isinstance(
            opt.type, (types.Boolean, types.Number)):
        return True
    try:
        opt.type(text)
    except ValueError:
        word = text.lower()
        return bool(
            any(word in w for w in choices) or _near(word, (*_WORDS, *choices))
            or (isinstance(opt.type, types.Number)
                and re.fullmatch(_ALMOST_NUMBER, text)))
    return True


@functools.lru_cache(4096)
def _near(word: str, known: tuple[str, ...]) -> bool:
    return len(word) <= _LONGEST and bool(
        difflib.get_close_matches(word.lower(), known, 1, 0.6))


def _names(kind):
    """Return the names that this or another package has registered."""
    ours = {'checks': tuple(catalogue.CHECKS), 'reports': (
        'html', 'json', 'junit', 'nagios', 'prometheus', 'sarif', 'short',
        'table', 'text')}
    return (*ours[kind], *(e.name for _, e in plugins.find(
        f'octavia_v2_checks.{kind}')))


def _strangers(words, known) -> Iterator[str]:
    for number, word in enumerate(words):
        if word.strip() not in known and (
                number >= _ENTRIES or not _near(word.strip(), known)):
            yield word


def _of_providers(text) -> Iterator[str]:
    for number, entry in enumerate(text.split(',')):
        name, _, rest = (part.strip() for part in entry.partition(':'))
        if (number >= _ENTRIES or not _near(name, _PROVIDERS)) and not (
                re.fullmatch(_PLAIN, name) and name.islower()):
            yield from (entry, name, rest)


def _of_tls(text, keys) -> Iterator[str]:
    known = tuple(keys)
    for number, entry in enumerate(text.split(',') if text else ()):
        key, _, rest = (p.strip() for p in re.sub(
            '[:=]', '\n', entry, count=1).partition('\n'))
        if number < _ENTRIES and (
                key.lower() in _TLS_KEYS or _near(key, known)):
            if 'pas' in key.lower() or not (
                    '/' in rest or '.' in rest or _near(rest, _TLS_WORDS)):
                yield from (rest, entry)
        else:
            yield from (entry, key)
            if rest.lower() not in _WORDS:
                yield rest


def _of_waiver(opt, text) -> Iterator[str]:
    try:
        opt.type(text)
    except ValueError:
        yield text
        return
    rule = waivers.parse(text) if text else None
    if rule and rule.host and re.search(_NOT_IN_HOSTS, rule.host):
        yield rule.host
    id_ = rule.id if rule else ''
    known = tuple(e.id for e in catalogue.entries())
    area, _, slug = id_.rpartition('.')
    if area in catalogue.CHECKS and any(_strangers([id_], known)):
        yield slug

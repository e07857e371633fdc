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

"""Removes secrets from everything that leaves the process.

Messages are built from values that are known to be public, so this is the
second line of defence: against passwords in the wrong place, and texts of
servers, plug-ins or tracebacks.
"""

from collections.abc import Iterable
import dataclasses
import enum
import re
from typing import Any
from typing import TypeVar
from urllib import parse

T = TypeVar('T')

MASK = '***'

#: Shorter secrets occur in ordinary words; masking those would make a message
#: useless and reveal the secret by the gaps.
SHORTEST = 4

#: The end of a message that was too long, perhaps within a secret.
_CUT = '...'

#: Nothing shows more characters of a secret at once.
_PIECE = 4096


def _forms(secret: str) -> set[str]:
    """Return a secret in every form in which a text may contain it."""
    if secret.isalnum() and secret.isascii():
        return {secret}
    return {secret, repr(secret)[1:-1], ' '.join(secret.split()),
            secret.replace('$', '$$'), parse.quote(secret, errors='replace'),
            parse.quote(secret, safe='', errors='replace'),
            parse.quote_plus(secret, errors='replace')}


class Redactor:
    """Knows the secrets of one configuration.

    :param secrets: in plain form
    """

    def __init__(self, secrets: Iterable[str]):
        #: First characters -> forms that begin so, longest first by length.
        self._starts: dict[str, tuple[set[str], list[int]]] = {}
        self._longest = 0
        for secret in secrets:
            for at in range(0, len(secret), _PIECE):
                for form in _forms(secret[at:at + _PIECE]):
                    if len(form) >= SHORTEST:
                        self._add(form)
        for _, lengths in self._starts.values():
            lengths.sort(reverse=True)

    def _add(self, form):
        forms, lengths = self._starts.setdefault(form[:SHORTEST], (set(), []))
        forms.add(form)
        if len(form) not in lengths:
            lengths.append(len(form))
        self._longest = max(self._longest, len(form))

    def __call__(self, text: str) -> str:
        """Return the text with every secret replaced by ``***``.

        Linear in the text, however many secrets there are.
        """
        shown: list[str] = []
        end = last = 0
        for at in range(len(text) - SHORTEST + 1 if self._starts else 0):
            length = self._length(text, at)
            if length:
                if at >= end:
                    shown += [text[last:at], MASK]
                end = last = max(end, at + length)
        return ''.join([*shown, text[last:]])

    def _length(self, text, at):
        """Return how long the secret is that begins somewhere, or 0."""
        forms, lengths = self._starts.get(text[at:at + SHORTEST], ((), ()))
        for length in lengths:
            if text[at:at + length] in forms:
                return length
        cut = text.find(_CUT, at + SHORTEST, at + self._longest
                        ) if forms else -1
        if cut > 0 and any(f.startswith(text[at:cut]) for f in forms):
            return cut - at
        return 0

    def clean(self, said: T) -> T:
        """Return something without secrets in any text within it.

        :param said: a text, or a dataclass, tuple, list or dictionary
        """
        return self._clean(said)

    def _clean(self, said: Any) -> Any:
        if isinstance(said, enum.Enum):
            return said
        if isinstance(said, str):
            return self(said)
        if isinstance(said, dict):
            return {k: self._clean(v) for k, v in said.items()}
        if isinstance(said, list):
            return [self._clean(v) for v in said]
        if hasattr(said, '_fields'):
            return said._make(
                self._field(name, value)
                for name, value in zip(said._fields, said, strict=True))
        if isinstance(said, tuple):
            return tuple(self._clean(v) for v in said)
        if dataclasses.is_dataclass(said) and not isinstance(said, type):
            return dataclasses.replace(said, **{
                f.name: self._field(f.name, getattr(said, f.name))
                for f in dataclasses.fields(said)})
        return said

    def _field(self, name, value):
        if name != 'id':
            return self._clean(value)
        # The area of an id identifies its check; it comes from no server and
        # no configuration.
        area, dot, slug = value.partition('.')
        return area + dot + self(slug)


_TELLING_NAME = '(?i)pass|secret|token'

#: ``?password=…`` and ``?sslkey=…`` in a URL
_TELLING_PARAMETER = '(?i)pass|pwd|secret|token|key'

#: ``keyfile_password:…`` in a dictionary option; not in a URL, nor behind
#: text that is no separator
_TELLING_ENTRY = r'(?i)(?<![^\s,:=])[^\s,:=?&]*password\s*[:=]\s*([^,]+)'

_OPTION_NAME = '[A-Za-z][A-Za-z_-]{,59}|[a-z][a-z0-9_-]{,59}'

_USERINFO = r'://[^\s]*@'


def is_secret_name(name: str) -> bool:
    """Return whether an option of this name holds a secret."""
    return bool(re.search(_TELLING_NAME, name))


def secrets_in(text: str, secret: bool) -> set[str]:
    """Return the secrets in the value of an option.

    :param secret: whether the whole value is one, unless it is a URL
    """
    found = {s.strip() for s in re.findall(_TELLING_ENTRY, text)}
    if '://' in text:
        return found | url_secrets(text)
    if secret:
        return found | {text}
    return found | _logins(text)


def _logins(text):
    """Return the text between a colon and the last @ of a word."""
    words = (word.rpartition('@')[0] for word in re.split(r'[\s,]', text))
    return {word.partition(':')[2] for word in words} - {''}


def url_secrets(text: str) -> set[str]:
    """Return the passwords in a database URL, decoded and as written."""
    found = set(_parameters(text))
    userinfo = text.partition('://')[2].rpartition('@')[0]
    password = userinfo.partition(':')[2]
    if password:
        found.add(password)
    return found | {parse.unquote_plus(s) for s in found} | {
        parse.unquote(s) for s in found}


def _parameters(text):
    """Yield the values of the parameters that hold a secret."""
    first, *others = re.split('[&#]', text)
    for part in (first.partition('?')[2], *others):
        words = part.split('?')
        for number, word in enumerate(words):
            key, _, value = word.partition('=')
            if not value or not re.search(_TELLING_PARAMETER, key):
                continue
            yield value
            # A question mark may be part of it.
            yield '?'.join(words[number:]).partition('=')[2]
            break


def option_name(key: str) -> str:
    """Return the name of an option as it may be shown.

    Text before ``=`` or ``:`` may be a piece of a misplaced password.
    """
    first, _, rest = key.partition(' ')
    if not re.fullmatch(_OPTION_NAME, first):
        return MASK
    return f'{first} {MASK}' if rest else first


#: Sections that Octavia and its libraries read.
_SECTIONS = frozenset({
    'DEFAULT', 'amphora_agent', 'api_settings', 'audit',
    'audit_middleware_notifications', 'certificates', 'cinder', 'compute',
    'controller_worker', 'cors', 'database', 'driver_agent', 'glance',
    'haproxy_amphora', 'health_manager', 'healthcheck', 'house_keeping',
    'keepalived_vrrp', 'keystone_authtoken', 'networking', 'neutron', 'nova',
    'octavia_v2_checks', 'oslo_concurrency', 'oslo_messaging',
    'oslo_messaging_kafka', 'oslo_messaging_notifications',
    'oslo_messaging_rabbit', 'oslo_middleware', 'oslo_policy', 'quotas',
    'service_auth', 'ssl', 'task_flow'})

_SQUASHED = frozenset(re.sub('[^a-z]', '', s.lower()) for s in _SECTIONS)


def section_name(name: str) -> str:
    """Return the name of a section as it may be shown.

    Only names that Octavia has, or similar ones: any other may be a misplaced
    password.
    """
    return (name if re.sub('[^a-z0-9]', '', name.lower()) in _SQUASHED
            and len(name) < 60 else MASK)


def without_credentials(text: str) -> str:
    """Return a line without the user, password and parameters of URLs."""
    text = re.sub(_USERINFO, f'://{MASK}@', text)
    return re.sub(r'(://[^\s?]*)\?\S*', rf'\1?{MASK}', text)

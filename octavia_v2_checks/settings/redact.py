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

"""Takes secrets out of text.

Messages are made from values that are known to be public, so this is the
second line of defence: for tracebacks, and for what plug-ins say.
"""

from collections.abc import Iterable
import re
from urllib import parse

MASK = '***'

#: What is not UTF-8 in the environment is bytes again where it is encoded.
_BYTES = 'surrogateescape'

#: Shorter secrets are found in ordinary words; masking those would make a
#: message useless and, by the gaps, tell the secret.
SHORTEST = 4


class Redactor:
    """Knows the secrets of one configuration.

    :param secrets: in plain form, as :meth:`Settings.secrets` gives them
    :param public: texts that are shown on purpose, such as user, host and
        database names; a secret that is part of one of them cannot be masked
        without masking them
    """

    def __init__(self, secrets: Iterable[str], public: Iterable[str] = ()):
        public = ' '.join(public)
        forms: set[str] = set()
        for secret in secrets:
            if len(secret) >= SHORTEST and secret not in public:
                forms |= {secret, repr(secret)[1:-1], ' '.join(secret.split()),
                          secret.replace('$', '$$'),
                          parse.quote(secret, errors=_BYTES),
                          parse.quote(secret, safe='', errors=_BYTES),
                          parse.quote_plus(secret, errors=_BYTES)}
        self._forms = sorted(forms, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return the text with every secret replaced by ``***``."""
        for form in self._forms:
            text = text.replace(form, MASK)
        return text


_SECRET_NAME = re.compile('pass|secret|token', re.I)

_SECRET_PARAMETER = re.compile(
    r'[?&][^=&#]*(?:pass|pwd|secret|token|key)[^=&#]*=([^&#]+)', re.I)

_SECRET_ENTRY = re.compile(
    r'(?<![^\s,:=])[^\s,:=?&]*password\s*[:=]\s*([^,]+)', re.I)

_LOGIN = re.compile(r':([^\s,]+)@')

_OPTION_NAME = re.compile('[A-Za-z][A-Za-z_-]*|[a-z][a-z0-9_-]*')

_USERINFO = re.compile(r'://[^\s]*@')


def is_secret_name(name: str) -> bool:
    """Return whether an option of this name holds a secret."""
    return bool(_SECRET_NAME.search(name))


def secrets_in(text: str, secret: bool) -> set[str]:
    """Return the secrets in the value of an option.

    :param secret: whether the whole value is one, unless it is a URL
    """
    found = {s.strip() for s in _SECRET_ENTRY.findall(text)}
    if '://' in text:
        return found | url_secrets(text)
    if secret:
        return found | {text}
    return found | set(_LOGIN.findall(text))


def url_secrets(text: str) -> set[str]:
    """Return the passwords in a database URL, decoded and as written."""
    found = set(_SECRET_PARAMETER.findall(text))
    userinfo = text.partition('://')[2].rpartition('@')[0]
    password = userinfo.partition(':')[2]
    if password:
        found.add(password)
    return found | {parse.unquote_plus(s) for s in found} | {
        parse.unquote(s) for s in found}


def public_parts(url: str) -> list[str]:
    """Return what of a URL may be shown: scheme, user, host and database."""
    scheme, _, rest = url.partition('://')
    userinfo, _, place = rest.rpartition('@')
    return [scheme, userinfo.partition(':')[0], place.partition('?')[0]]


def option_name(key: str) -> str:
    """Return the name of an option as it may be shown.

    What stands before ``=`` or ``:`` may be a piece of a password, where
    that is in the wrong place.
    """
    first, _, rest = key.partition(' ')
    if not _OPTION_NAME.fullmatch(first):
        return MASK
    return f'{first} {MASK}' if rest else first


def without_credentials(text: str) -> str:
    """Return a line without the user, password and parameters of URLs."""
    text = _USERINFO.sub(f'://{MASK}@', text)
    return re.sub(r'(://[^\s?]*)\?\S*', rf'\1?{MASK}', text)

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

"""What a Redis or Sentinel refused, from the exceptions of redis-py."""

from collections.abc import Iterator
import re
from typing import NamedTuple


class Refusal(NamedTuple):
    """A refusal of a server.

    :ivar word: the error code, such as ``NOPERM``, or ``ERR``
    :ivar text: its text; never shown, because it may repeat what was sent
    """

    word: str
    text: str


#: Class of redis-py -> the error code that it has removed from the text. A
#: later release also keeps the code.
_WORDS = {
    'NoPermissionError': 'NOPERM',
    'ReadOnlyError': 'READONLY',
    'MasterDownError': 'MASTERDOWN',
    'BusyLoadingError': 'LOADING',
    'OutOfMemoryError': 'OOM',
    'ExecAbortError': 'EXECABORT',
    'NoScriptError': 'NOSCRIPT',
    'ClusterDownError': 'CLUSTERDOWN',
    'MovedError': 'MOVED',
    'AskError': 'ASK',
    'TryAgainError': 'TRYAGAIN',
    'ClusterCrossSlotError': 'CROSSSLOT',
}

#: The texts of an AuthenticationError, which does not keep the error code.
_LOGINS = (
    (re.compile(r'Authentication required|HELLO must be called'), 'NOAUTH'),
    (re.compile(r'invalid username-password pair|user is disabled'),
     'WRONGPASS'),
)

_WORD = re.compile(r'[A-Z][A-Z0-9]{0,31}(?= |$)')

#: Error code -> what it means here.
_MEANINGS = {
    'NOAUTH': 'auth-required',
    'WRONGPASS': 'access-denied',
    'DENIED': 'protected',
    'NOPERM': 'missing-permission',
    'NOPROTO': 'no-resp3',
    'READONLY': 'replica',
    'MASTERDOWN': 'replica',
    'LOADING': 'loading',
    'OOM': 'out-of-memory',
    'MISCONF': 'not-writable',
    'NOREPLICAS': 'not-writable',
    'BUSY': 'not-writable',
    'CLUSTERDOWN': 'cluster-mode',
    'MOVED': 'cluster-mode',
    'CROSSSLOT': 'cluster-mode',
}

#: The errors that all have the code ERR, by their words.
_PATTERNS = (
    (re.compile(r'max number of clients'), 'full'),
    (re.compile(r'invalid password'), 'access-denied'),
    (re.compile(r'AUTH.*(without any|no) password'), 'access-denied'),
    (re.compile(r'operation not permitted'), 'auth-required'),
    (re.compile(r'DB index'), 'unknown-database'),
    (re.compile(r'SELECT is not allowed in cluster'), 'cluster-mode'),
    (re.compile(r'unknown command'), 'unknown-command'),
)


def refusal(error: Exception) -> Refusal | None:
    """Return the error of a server that redis-py turned into an exception.

    :returns: None for an exception that is no error of a server
    """
    name, text = type(error).__name__, str(error)
    if name in ('AuthenticationError', 'AuthorizationError'):
        for pattern, word in _LOGINS:
            if pattern.search(text):
                return Refusal(word, text)
    elif name in _WORDS:
        return Refusal(_WORDS[name], text)
    elif name == 'ConnectionError':
        return Refusal('ERR', text) if 'max number of clients' in text else (
            None)
    elif not any(k.__name__ == 'ResponseError' for k in type(error).__mro__):
        return None
    return said(text)


def said(text: str) -> Refusal:
    """Return what the text of an error means; it begins with its code."""
    found = _WORD.match(text)
    return Refusal(found[0] if found else 'ERR', text)


def farewell(head: bytes) -> Refusal | None:
    """Return why a server closed the connection, from the first bytes it sent.
    """
    line, end, _ = head.partition(b'\r\n')
    refused = said(line[1:].decode('utf-8', 'replace').removeprefix('ERR '))
    return refused if line[:1] == b'-' and end and meaning(refused) in (
        'protected', 'full') else None


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and its causes."""
    while error:
        yield error
        error = error.__cause__ or error.__context__


def meaning(refused: Refusal) -> str | None:
    """Return the slug of an error or a word of this module, or None."""
    if refused.word in _MEANINGS:
        return _MEANINGS[refused.word]
    for pattern, slug in _PATTERNS:
        if pattern.search(refused.text):
            return slug
    return None


def is_about_keys(refused: Refusal) -> bool:
    """Return whether a NOPERM is about the keys and not about the command."""
    return bool(re.search(r'\bkeys?\b', refused.text))

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

"""Placeholders: what guides and templates leave to be replaced.

A whole part (a password, a host, a file name) is compared, never a piece of
one: a generated password may contain anything.
"""

from collections.abc import Iterator
import re

from octavia_v2_checks import opts
from octavia_v2_checks.checks.config import dburl
from octavia_v2_checks.checks.config.view import named
from octavia_v2_checks.checks.config.view import plain
from octavia_v2_checks.checks.config.view import View
from octavia_v2_checks.findings import Finding
from octavia_v2_checks.findings import finding
from octavia_v2_checks.settings.reader import Value

#: Marks of template languages around a name.
_MARKED = re.compile(
    r'<[^<>]+>|\{\{.*\}\}|\{%.*%\}|\{[\w .|-]+\}|\$\{[A-Z]\w*\}|\$[A-Z]+'
    r'(?:_[A-Z0-9]+)+|\$\([^()]+\)|%\(\w+\)s?|%[A-Z_]+%|@@?[A-Z_]+@@?|'
    r'__\w+__|\[\[?[A-Za-z_ -]+\]?\]|#\{\w+\}|##\w+##|!vault\b.*|'
    r'\$ANSIBLE_VAULT;.*', re.S)

#: Marks that no password generator makes, wherever they stand.
_MARKED_WITHIN = re.compile(r'\{\{.*?\}\}|\{%.*?%\}|%\(\w+\)s|\$\{[A-Z_]+\}')

_VERB = '(?:please[_-]?)?(?:change|replace|fill|insert|enter|put|set)'

#: Words that say so, whatever the case.
_WORDS = re.compile(
    rf'{_VERB}[_-]?(?:me|it)(?:[_-]\w+)*|'
    rf'{_VERB}(?:[_-]\w+)*[_-](?:with|this|your|here|the|in)(?:[_-]\w+)*|'
    r'your[_-]?\w[\w.-]*|\w+[_-]here|(?:to[_-]be[_-])?replaced|place[_-]?'
    r'holder|redacted|fixme|todo|tbd|x{3,}|\*{3,}|\.{3,}|\u2026+|\?{2,}|-{3,}',
    re.I)

#: What a template prints for a variable that is not set.
_UNSET = re.compile(r'None|null|nil|undefined|Undefined|AnsibleUndefined\w*')

#: OCTAVIA_DBPASS, KEYVALUE_HOST_IPS: capitals that end in what they stand for.
_CAPITALS = re.compile(
    r'(?:[A-Z0-9]+_)+[A-Z0-9]*(?:PASS|PASSWORD|PASSWD|PWD|PW|SECRET|TOKEN|KEY|'
    r'USER|USERNAME|LOGIN|HOSTS?|HOSTNAMES?|IPS?|ADDR|ADDRESS|ADDRESSES|VIP|'
    r'FQDN|NODES?|SERVERS?|PORT|NAME|URL|URI|NAMESPACE|PATH|FILE|VALUE)|'
    r'(?!LOCALHOST)[A-Z]{0,12}(?:PASS|PASSWORD|PASSWD|SECRET|USER|USERNAME|HOSTS?|'
    r'HOSTNAME|PORT|DATABASE|DBNAME|ADDRESS)')

#: 10.0.0.x, x.x.x.x
_ADDRESS = re.compile(r'(?=.*[xX])(?:\d+|[xX]{1,3})(?:\.(?:\d+|[xX]{1,3})){3}')

#: Options whose text is a name the operator is free to choose.
_FREE = frozenset({
    'jobboard_backend_namespace', 'jobboard_redis_sentinel',
    'jobboard_backend_username', 'jobboard_redis_sentinel_username'})


def is_placeholder(text: str, capitals: bool = True) -> bool:
    """Return whether a whole part is a placeholder.

    :param capitals: whether a name in capitals is one too
    """
    return bool(
        _MARKED.fullmatch(text) or _MARKED_WITHIN.search(text)
        or _WORDS.fullmatch(text) or _UNSET.fullmatch(text)
        or _ADDRESS.fullmatch(text)
        or (capitals and _CAPITALS.fullmatch(text)))


def _parts(value: Value) -> list[tuple[str, str]]:
    """Return the parts that are replaced one by one, each with its name."""
    text = value.written
    if value.name == 'persistence_connection':
        url = dburl.parse(text)
        if url is None:
            return [('', text)]
        parts = {'user name': url.username, 'password': url.password,
                 'host': url.host, 'port': url.port,
                 'database': url.database}
        return [(name, part) for name, part in parts.items() if part]
    if value.name.endswith('_ssl_options'):
        entries = (entry.partition(':') for entry in text.split(','))
        return [(key.partition('=')[0].strip(), part.strip())
                for key, _, part in entries]
    if value.name == 'jobboard_backend_hosts':
        return [('', h.strip()) for h in text.split(',')]
    return [('', text)]


def placeholders(view: View) -> Iterator[Finding]:
    """Yield options that nobody filled in."""
    for value in view.given(opts.TASK_FLOW):
        if not view.matters(value):
            continue
        for name, part in _parts(value):
            if not _is_one(value, part):
                continue
            # Of a URL, and of a dictionary, only the kind of part is told:
            # one of them is a password.
            text = (f': the {name}' if name else '' if value.secret
                    else f' = {plain(part)}')
            yield finding(
                'config.placeholder',
                f'{named(value)}{text} is a placeholder that nobody '
                f'replaced.',
                f'Write the real value of {value.name}.', **value.where)
            break


def _is_one(value, part):
    if _UNSET.fullmatch(part) and not isinstance(value.value, (str, list)):
        # For a number or a switch the type is what is wrong; as a file name
        # it is a matter of TLS.
        return False
    return is_placeholder(part, capitals=value.name not in _FREE
                          or bool(re.search('_', part)))


RULES = [placeholders]

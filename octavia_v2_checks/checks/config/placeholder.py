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

"""Placeholders of guides and templates that were not replaced.

Only complete parts (a password, a host, a file name) are compared: a generated
password may contain anything. A name that the operator may choose counts only
if nobody would choose it.
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

_INNER = r'[A-Za-z]+\d{0,2}(?:[ _.:|/-]+[A-Za-z0-9]+)*'

#: Marks of template languages around a name, which no real name has.
_MARKED = (
    rf'(?s)<{_INNER}>|\{{\{{.*\}}\}}|\{{%.*%\}}|<%.*%>|\$\{{[A-Z]\w*\}}|'
    rf'\$\({_INNER}\)|%\(\w+\)s?|!vault\b.*|\$ANSIBLE_VAULT;.*')

#: More of them, which real names may have: {octavia} is a hash tag.
_MARKED_PERHAPS = (
    rf'(?s)\{{{_INNER}\}}|\$[A-Z]+(?:_[A-Z0-9]+)+|%[A-Z_]+%|@@?[A-Z_]+@@?|'
    r'__[A-Z][A-Z0-9_]*__|\[\[?[A-Za-z]+(?:[_ -][A-Za-z]+)*\]?\]|#\{\w+\}|'
    r'##\w+##')

#: Marks that no password generator produces, at any position.
_MARKED_WITHIN = r'\{\{.*?\}\}|\{%.*?%\}|%\(\w+\)s|\$\{[A-Z_]+\}'

_VERB = '(?:please[_-]?)?(?:change|replace|fill|insert|enter|put|set)'

#: Words that mark a placeholder, in any case.
_ORDERS = (
    rf'(?i){_VERB}[_-]?(?:me|it)(?:[_-]\w+)*|'
    rf'{_VERB}(?:[_-]\w+)*[_-](?:with|this|your|here|the|in)(?:[_-]\w+)*|'
    r'\*{3,}|\.{3,}|\u2026+|\?{2,}|-{3,}')

_THING = ('(?:pass|pw|secret|key|token|host|server|name|ip|addr|value|user|'
          'url|port|path|domain|db|redis|sentinel|zookeeper|etcd)')

#: More of them, which a real name may be: a team may be called todo.
_WORDS = (
    rf'(?i)your[_-]?{_THING}[\w.-]*|your[_-]\w[\w.-]*|'
    rf'\w*{_THING}\w*[_-](?:goes[_-])?here|(?:to[_-]be[_-])?replaced|'
    r'place[_-]?holder|redacted|fixme|todo|tbd|x{3,32}')

#: What a template prints for an undefined variable.
_UNSET = r'None|null|nil|undefined|Undefined|AnsibleUndefined\w*'

#: OCTAVIA_DBPASS, KEYVALUE_HOST_IPS: capitals that end in what they represent.
_CAPITALS = (
    r'(?:[A-Z0-9]+_)+[A-Z0-9]*(?:PASS|PASSWORD|PASSWD|PWD|PW|SECRET|TOKEN|KEY|'
    r'USER|USERNAME|LOGIN|HOSTS?|HOSTNAMES?|IPS?|ADDR|ADDRESS|ADDRESSES|VIP|'
    r'FQDN|NODES?|SERVERS?|PORT|NAME|URL|URI|NAMESPACE|PATH|FILE|VALUE)|'
    r'(?!LOCALHOST)[A-Z]{0,12}(?:PASS|PASSWORD|PASSWD|SECRET|USER|USERNAME|HOSTS?|'
    r'HOSTNAME|PORT|DATABASE|DBNAME|ADDRESS)')

#: Names in capitals that represent a name.
_FOR_NAMES = (
    r'(?:DB_?|OCTAVIA_DB)?USER(?:_?NAME)?|LOGIN|DATABASE|DB_?NAME|'
    r'MASTER_?NAME|NAMESPACE')

#: What people write for an option without a value.
_NOTHING = (
    r'(?i)none|null|nil|undefined|unset|empty|false|no|off|disabled?|n/?a|'
    r'[\'"~-]*')

#: 10.0.0.x, x.x.x.x
_ADDRESS = r'(?=.*[xX])(?:\d+|[xX]{1,3})(?:\.(?:\d+|[xX]{1,3})){3}'

#: Options, and parts of a URL, that are names the operator may choose.
_FREE = frozenset({
    'jobboard_backend_namespace', 'jobboard_redis_sentinel',
    'jobboard_backend_username', 'jobboard_redis_sentinel_username',
    'user name', 'database'})

#: Options that are off only if their line is absent.
_OFF_BY_DEFAULT = frozenset({
    'jobboard_redis_sentinel', 'jobboard_etcd_api_path'})


def is_placeholder(text: str, free: bool = False) -> bool:
    """Return whether a whole part is a placeholder.

    :param free: whether it is a name that the operator may choose
    """
    sure = (re.fullmatch(_MARKED, text) or re.search(_MARKED_WITHIN, text)
            or re.fullmatch(_ORDERS, text) or re.fullmatch(_UNSET, text))
    if free:
        return bool(sure or re.fullmatch(_FOR_NAMES, text))
    return bool(sure or re.fullmatch(_MARKED_PERHAPS, text)
                or re.fullmatch(_WORDS, text) or re.fullmatch(_ADDRESS, text)
                or re.fullmatch(_CAPITALS, text))


def _parts(value: Value) -> list[tuple[str, str]]:
    """Return the parts that are replaced separately, each with its name."""
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
    """Yield options with a placeholder."""
    for value in view.given(opts.TASK_FLOW):
        if not view.matters(value):
            continue
        for name, part in _parts(value):
            if not _is_one(value, name, part):
                continue
            # For a URL or a dictionary, only the kind of part is named: one of
            # them is a password.
            text = (f': the {name}' if name else '' if value.secret
                    else f' = {plain(part)}')
            what, remedy = _said(value, part)
            yield finding('config.placeholder',
                          f'{named(value)}{text} is {what}.', remedy,
                          **value.where)
            break


def _said(value, part):
    """Return what a placeholder is, and what fixes it."""
    if not (re.fullmatch(_UNSET, part) or (value.name in _OFF_BY_DEFAULT
            and re.fullmatch(_NOTHING, part))):
        return ('a placeholder that nobody replaced',
                f'Write the real value of {value.name}.')
    if value.name == 'jobboard_redis_sentinel':
        return ('not the way to leave it unset: Octavia uses it as the name '
                'of a Redis master, and the hosts as Sentinels',
                'Delete the line, or write the name that "sentinel monitor" '
                'in sentinel.conf gives the master.')
    if value.name in ('persistence_connection', 'jobboard_backend_hosts'):
        return ('what a template prints for an undefined variable',
                f'Write the real value of {value.name}.')
    return ('not the way to leave it unset: Octavia uses it as the value',
            f'Delete the line, or write the real value of {value.name}.')


def _is_one(value, name, part):
    if value.name in _OFF_BY_DEFAULT and part and re.fullmatch(_NOTHING, part):
        return True
    if re.fullmatch(_UNSET, part) and not isinstance(value.value, (str, list)):
        # For a number or a boolean the type rule reports it, for a file name
        # the TLS rule.
        return False
    return is_placeholder(part, (name or value.name) in _FREE)


RULES = [placeholders]

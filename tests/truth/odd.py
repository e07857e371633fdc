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


"""Odd texts for options, found by Hypothesis.

To add some, add a strategy to :data:`STRATEGIES`. Nothing that is drawn for
hosts may be the name or address of another machine.
"""

import hypothesis
from hypothesis import strategies as st

from octavia_v2_checks import opts

_SIGNS = '$%&"\'#;:,@/\\{}[]<>()*?!~=+-_.|^` \t'

#: What no line of a file can hold, and what no UTF-8 can.
_CHARACTERS = st.characters(exclude_characters='\n\r\0',
                            exclude_categories=['Cs'])

#: Texts as people choose them, and as nobody does.
TEXTS = (st.text(st.sampled_from(_SIGNS + 'aZ0äß€'), min_size=1, max_size=12)
         | st.text(_CHARACTERS, min_size=1, max_size=8)
         | st.tuples(st.sampled_from(['pass', 'Kanari7', 'x1']),
                     st.text(st.sampled_from(_SIGNS), max_size=3),
                     st.sampled_from(['word', '8', ''])).map(''.join))

_DIGITS = st.integers(-10, 10 ** 12)
INTEGERS = (_DIGITS.map(str)
            | st.tuples(st.sampled_from(['+', '0', ' ', '0x', '0o', '-0']),
                        st.integers(0, 99).map(str),
                        st.sampled_from(['', '_0', '.0', 'e1', ' ', 's'])
                        ).map(''.join)
            | st.sampled_from(['٣', '５', '²', 'Ⅳ', '1,000', 'inf', 'nan']))

BOOLEANS = (st.sampled_from(['t', 'T', 'y', 'on', '0', '2', 'TRUE', 'n',
                             'ＴＲＵＥ', 'True ', 'true,', '"True"', 'Ja'])
            | st.text(_CHARACTERS, max_size=4))

_LABELS = st.text(st.sampled_from('abz019-_.'), min_size=1, max_size=10)

HOSTS = (_LABELS.map(lambda label: f'{label}.invalid')
         | st.sampled_from([
             '127.0.0.01', '127.00.0.1', '0177.0.0.1', '0x7f.1', '2130706433',
             '127.0.0.1%lo', '::1%lo', '::ffff:127.0.0.1', '0:0:0:0:0:0:0:1',
             '127.0.0.1\u200b', '１２７.0.0.1', '127。0。0。1',
             'ｌocalhost', '"127.0.0.1"', '127.0.0.1,', '127.0.0.1 ,',
             '127.0.0.1,,127.0.0.1', '$127.0.0.1', "'127.0.0.1',",
             'user@127.0.0.1', '127.0.0.1:', '127.0.0.1/24']))

PATHS = st.text(st.sampled_from('/v3.?#%a '), min_size=1, max_size=6)


def _dictionaries(option):
    keys = st.sampled_from([*option.default, 'other', ' ', ''])
    values = st.sampled_from([
        '', 'True', 'False', 'None', ' True ', '"True"', '0', '1', 'none',
        'required', 'optional', '/no/such/file', 'a:b', '{}', "'", '$'])
    items = st.tuples(keys, st.sampled_from([':', ' : ', '=', '::']), values)
    return st.lists(items.map(''.join), min_size=1, max_size=4).map(','.join)


def _by_kind(option):
    kind = type(option).__name__
    if kind == 'BoolOpt':
        return BOOLEANS
    if kind in ('IntOpt', 'PortOpt') or option.dest.endswith('_timeout'):
        return INTEGERS
    if option.dest.endswith('_ssl_options'):
        return _dictionaries(option)
    return TEXTS


#: Option, or option and part of a URL -> strategy for what stands there.
STRATEGIES = {
    option.dest: _by_kind(option) for option in opts.task_flow_opts()} | {
    'jobboard_backend_hosts': HOSTS, 'jobboard_etcd_api_path': PATHS,
    'persistence_connection.password': TEXTS,
    'persistence_connection.user': TEXTS,
    'persistence_connection.database': TEXTS}

# A text that is no URL reaches no server; "values" has those.
del STRATEGIES['persistence_connection']


def texts(name: str, seed: int, count: int) -> list[str]:
    """Texts of one strategy, the same for the same seed."""
    found: dict[str, None] = {}

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=2 * count, database=None, deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck))
    @hypothesis.given(STRATEGIES[name])
    def collect(text):
        found[text] = None

    collect()
    return list(found)[:count]

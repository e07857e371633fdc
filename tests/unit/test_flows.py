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

"""Which release can build which flow."""

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st
import pytest

from octavia_v2_checks.upstream import flows

FLOWS = 'octavia.controller.worker.v2.flows.flow_utils'
AMPHORA = f'{FLOWS}.get_create_amphora_flow'
LISTENER = f'{FLOWS}.get_create_listener_flow'


@pytest.mark.parametrize('text, release', [
    ('14', '14.0.0'), ('16.0', '16.0.0'), ('16.1.0', '16.0.0'),
    ('2024.1', '14.0.0'), ('2025.1', '16.0.0'), ('2025.2', '17.0.0'),
    ('13', None), ('2023.2', None), ('nonsense', None), ('', None)])
def test_release(text, release):
    assert flows.release(text) == release


def test_a_function_that_went_away():
    assert flows.able(AMPHORA, 0, []) == [
        '14.0.0', '15.0.0', '16.0.0', '17.0.0']
    assert flows.problem(AMPHORA, 0, [], '17.0.0') is None
    assert flows.problem(AMPHORA, 0, [], '18.0.0') == (
        'Octavia 18.0.0 has no such function')
    assert flows.problem(LISTENER, 0, ['flavor_dict'], '14.0.0') is None


@pytest.mark.parametrize('name', [
    'os.system', 'octavia', 'octavia_lib.common.constants.x', '', 'x',
    'octavia.', 'octavia..x', 'octavia.common', f'{FLOWS}.LB_FLOWS.x'])
def test_names_that_are_no_function(name):
    assert flows.problem(name, 0, [])


def parameters():
    names = st.lists(st.sampled_from('abcdefgh'), unique=True, max_size=6)

    @st.composite
    def make(draw):
        found = draw(names)
        kinds = sorted(draw(st.lists(
            st.integers(0, 2), min_size=len(found), max_size=len(found))))
        defaults = draw(st.booleans())
        parts, seen = [], set()
        for name, kind in zip(found, kinds, strict=True):
            if kind > 0 and 0 in seen:
                parts.append('/')
                seen.discard(0)
            if kind == 2 and 2 not in seen:
                parts.append('*')
            seen.add(kind)
            defaults = defaults or draw(st.booleans())
            parts.append(f'{name}=None' if defaults else name)
        if 0 in seen:
            parts.append('/')
        if draw(st.booleans()):
            parts.append('**rest')
        return ', '.join(parts)

    return make()


@given(parameters(), st.integers(0, 4),
       st.sets(st.sampled_from('abcdefghi'), max_size=4))
def test_binds_as_python_does(text, count, names):
    space = {}
    exec(f'def flow({text}): pass', space)
    try:
        space['flow'](*range(count), **dict.fromkeys(names))
    except TypeError:
        fits = False
    else:
        fits = True
    assert (flows._binding(flows._parse(text), count, names) is None) == fits


def test_looking_up_imports_nothing(tmp_path):
    """Not even the package, whose modules could do anything."""
    package = tmp_path / 'octavia'
    (package / 'inner').mkdir(parents=True)
    for folder in (package, package / 'inner'):
        (folder / '__init__.py').write_text('raise SystemExit(7)')
    (package / 'inner' / 'work.py').write_text(
        'raise SystemExit(7)\n'
        'try:\n    from x import borrowed\n'
        'except ImportError:\n    def borrowed(): pass\n'
        'def plain(a, *, b=1): pass\n'
        '@decorated\ndef wrapped(): pass\n')
    code = (
        'import sys; sys.path.insert(0, sys.argv[1])\n'
        'from octavia_v2_checks.upstream.flows import problem\n'
        'work = "octavia.inner.work."\n'
        'assert problem(work + "plain", 1, ["b"]) is None\n'
        'assert "needs a" in problem(work + "plain", 0, [])\n'
        'assert "no function gone" in problem(work + "gone", 0, [])\n'
        'assert "no module" in problem("octavia.outer.f", 0, [])\n'
        'assert problem(work + "wrapped", 9, []) is None\n'
        'assert "octavia" not in sys.modules\n')
    done = subprocess.run([sys.executable, '-c', code, str(tmp_path)],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

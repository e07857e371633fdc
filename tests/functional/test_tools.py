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

"""The tools of the README, on machines that have little."""

import os
import pathlib
import shutil
import subprocess
import sys
import venv

import pytest

TOOLS = pathlib.Path(__file__).parents[2] / 'tools'

VENV = 'import _common; print(_common.venv("made"))'


@pytest.fixture
def bare(tmp_path):
    """A Python that has neither pip nor ensurepip, as on a new Debian."""
    venv.create(tmp_path / 'bare', with_pip=False)
    site = next((tmp_path / 'bare').glob('lib/python*/site-packages'))
    # Debian's sitecustomize would be found before one of ours.
    (site / 'bare.pth').write_text(
        "import sys; sys.modules['ensurepip'] = None\n")
    return tmp_path / 'bare' / 'bin' / 'python'


@pytest.fixture
def clone(tmp_path):
    """A copy of the tools, in what they take for a clone."""
    shutil.copytree(TOOLS, tmp_path / 'clone' / 'tools')
    return tmp_path / 'clone'


def run(python, clone, code, **environ):
    return subprocess.run([python, '-c', code], cwd=clone / 'tools',
                          capture_output=True, text=True,
                          env={**os.environ, **environ})


def test_pip_is_fetched_where_python_has_none(bare, clone):
    done = run(bare, clone, VENV)
    assert done.returncode == 0, done.stderr
    pip = subprocess.run([clone / 'made' / 'bin' / 'python', '-m', 'pip',
                          '--version'], capture_output=True, text=True)
    assert pip.stdout.startswith('pip ')
    # A second run finds it there.
    assert run(bare, clone, VENV, PIP_INDEX_URL='http://127.0.0.1:9/'
               ).returncode == 0


def test_without_an_index_it_says_what_to_do(bare, clone):
    done = run(bare, clone, VENV.replace('print(', '_common.main(lambda: ('
                                         ) + ')',
               PIP_INDEX_URL='http://127.0.0.1:9/simple')
    assert done.returncode == 1
    assert 'apt-get install python3-venv' in done.stderr
    assert 'Traceback' not in done.stderr


def test_all_that_only_root_can_install_is_said_first(clone):
    """Nothing was installed when it says so."""
    (clone / 'bindep.txt').write_text('no-such-server\nno-such-browser\n')
    (clone / '.venv-test').symlink_to(sys.prefix)
    code = ('import os, runpy; import _common; '
            '_common.as_root = lambda: (_ for _ in ()).throw('
            '_common.Failed("this step needs root")); '
            '_common.install = lambda *a: os._exit(99); '
            'runpy.run_path("test", run_name="__main__")')
    done = run(sys.executable, clone, code)
    assert done.returncode == 1
    assert ('apt-get install no-such-browser no-such-server' in done.stderr
            or 'apt-get install no-such-server no-such-browser'
            in done.stderr)

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

"""What pip gets: the wheel and the source distribution."""

import pathlib
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile

import pytest

from octavia_v2_checks import cli

ROOT = pathlib.Path(__file__).parents[2]
MAN = 'share/man/man1/octavia-v2-checks.1'


def run(*command, **kwargs):
    done = subprocess.run(command, capture_output=True, text=True, **kwargs)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    """The directory with both, made from a clone of what is committed."""
    folder = tmp_path_factory.mktemp('package')
    source = folder / 'source'
    run('git', 'clone', '-q', '--no-tags', ROOT, source)
    run(sys.executable, '-m', 'build', '--no-isolation', '--outdir',
        folder / 'dist', source)
    return folder / 'dist'


@pytest.fixture(scope='module')
def wheel(built):
    path, = built.glob('*.whl')
    return path


@pytest.fixture(scope='module')
def sdist(built):
    path, = built.glob('*.tar.gz')
    return path


def metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith('/METADATA'))
        return archive.read(name).decode()


def test_twine(wheel, sdist):
    said = run(sys.executable, '-m', 'twine', 'check', '--strict', wheel,
               sdist)
    assert said.count('PASSED') == 2


def test_what_is_in_the_wheel(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    data = {re.sub(r'^.*\.data/data/', '', n) for n in names
            if '.data/data/' in n}
    assert data == {MAN, 'share/bash-completion/completions/octavia-v2-checks',
                    'share/zsh/site-functions/_octavia-v2-checks',
                    'share/fish/vendor_completions.d/octavia-v2-checks.fish'}
    assert 'octavia_v2_checks/data/report.schema.json' in names
    assert 'octavia_v2_checks/upstream/flows.json' in names
    assert not [n for n in names if n.startswith(('tests', 'benchmarks'))]


def test_metadata(wheel):
    text = metadata(wheel)
    for label in ('Documentation', 'Source', 'Bug Tracker', 'Release Notes'):
        assert re.search(f'(?m)^Project-URL: {label}, https://', text)
    # A licence expression and a licence classifier exclude each other.
    assert 'Classifier: License' not in text
    # On PyPI a link to a file of the clone leads nowhere.
    assert not re.search(r'<(?!https?:)[\w./-]+\.(rst|md)>`_', text)


def test_a_version_without_a_tag(wheel, sdist, tmp_path):
    """It is that of the release to come, in what is built of either."""
    version = re.search(r'(?m)^Version: (\S+)', metadata(wheel))[1]
    assert not version.startswith('0.0')
    run('tar', 'xzf', sdist, '-C', tmp_path)
    folder, = tmp_path.iterdir()
    run(sys.executable, '-m', 'build', '--no-isolation', '--wheel',
        '--outdir', tmp_path / 'dist', folder)
    again, = (tmp_path / 'dist').glob('*.whl')
    assert re.search(r'(?m)^Version: (\S+)', metadata(again))[1] == version


@pytest.mark.parametrize('kind', ['wheel', 'sdist'])
def test_it_installs(kind, request, tmp_path):
    """With pip, into an environment that has what it requires."""
    path = request.getfixturevalue(kind)
    venv.create(tmp_path / 'env', with_pip=False)
    python = tmp_path / 'env' / 'bin' / 'python'
    run(sys.executable, '-m', 'pip', '--python', python, 'install', '-q',
        '--no-deps', '--no-index', '--no-build-isolation', path,
        env={'PYTHONPATH': sysconfig.get_path('purelib'), 'PATH': '/usr/bin'})
    site = next((tmp_path / 'env').glob('lib/python*/site-packages'))
    # After its own, so that this one is what was installed.
    (site / 'rest.pth').write_text(sysconfig.get_path('purelib') + '\n')
    command = tmp_path / 'env' / 'bin' / 'octavia-v2-checks'
    assert 'persistence.refused' in run(command, 'list', cwd=tmp_path)
    shown = run(python, '-c', 'import octavia_v2_checks as o; '
                'print(o.__file__)', cwd=tmp_path)
    assert shown.startswith(str(site))
    assert (tmp_path / 'env' / MAN).read_text().startswith('.\\" Man page')


def test_the_man_page_knows_every_option():
    page = (ROOT / 'doc/man/octavia-v2-checks.1').read_text().replace(
        '\\', '')
    parsers = [cli.parser()]
    for parser in parsers:
        for action in parser._actions:
            if hasattr(action, '_name_parser_map'):
                parsers += action._name_parser_map.values()
            for option in action.option_strings:
                assert option in ('-h', '--help') or option in page, option

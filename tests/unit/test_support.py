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

"""The table of releases, the pins and tox.ini say the same."""

import configparser
import csv
from importlib import metadata
import pathlib
import re
import shutil
import subprocess
import sys

from packaging import requirements
import pytest

ROOT = pathlib.Path(__file__).parents[2]
SERIES = ('14', '15', '16', '17', '18', '19')

#: What pytest leaves of a run, as far as the table needs it.
RECORD = """<testsuites><testsuite errors="0" failures="{failed}" skipped="0"
 tests="12"><properties>{said}</properties></testsuite></testsuites>"""


def table():
    with (ROOT / 'doc/source/install/releases.csv').open() as stream:
        return {row[1].partition('.')[0]: row for row in csv.reader(stream)}


def tox():
    """Series -> its Python, from tox.ini."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / 'tox.ini')
    section, = (parser[name] for name in parser.sections()
                if 'octavia{' in name)
    for series in re.findall(r'octavia(\d+): -c', section['deps']):
        assert f'octavia-{series}.txt' in section['deps']
    return dict(re.findall(r'octavia(\d+): python(\S+)',
                           section['base_python']))


def pins(series):
    """Library -> version, and the Python of the first lines."""
    text = (ROOT / f'constraints/octavia-{series}.txt').read_text()
    python = re.search(r'for Python (\S+), with', text)[1]
    return {name.lower().replace('.', '-'): version for name, version
            in re.findall(r'(?m)^([\w.-]+)==(\S+)$', text)}, python


def test_all_releases():
    files = {path.stem.partition('-')[2]
             for path in (ROOT / 'constraints').iterdir()}
    assert set(SERIES) == files == tox().keys() == table().keys()


@pytest.mark.parametrize('series', SERIES)
def test_release(series):
    release, octavia, python, taskflow, config, upgrade, alchemy, *_ = (
        table()[series])
    pinned, of_pins = pins(series)
    assert [octavia, taskflow, config, upgrade, alchemy] == [
        pinned[name] for name in ('octavia', 'taskflow', 'oslo-config',
                                  'oslo-upgradecheck', 'sqlalchemy')]
    assert of_pins == tox()[series] == python.rpartition('.')[0]
    assert {'14': '2024.1', '19': '2026.2'}.get(series, release) == release


@pytest.fixture
def clone(tmp_path):
    """A copy of what the tool needs, and records that are all right."""
    for name in ('tools', 'constraints'):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / 'doc/source/install').mkdir(parents=True)
    records = tmp_path / '.tox' / 'support'
    records.mkdir(parents=True)
    for series in SERIES:
        record(records, series)
    return tmp_path


def record(folder, series, failed=0, **more):
    said = dict.fromkeys(
        ('python', 'taskflow', 'oslo.config', 'oslo.upgradecheck',
         'SQLAlchemy', 'alembic'), '1.2.3')
    said |= {'octavia': f'{series}.0.0', **more}
    (folder / f'octavia{series}.xml').write_text(RECORD.format(
        failed=failed, said=''.join(
            f'<property name="{name}" value="{value}"/>'
            for name, value in said.items() if value)))


def make(clone):
    done = subprocess.run([sys.executable, clone / 'tools/support-table'],
                          capture_output=True, text=True)
    made = (clone / 'doc/source/install/releases.csv')
    return done, made.read_text() if made.exists() else None


def test_tool(clone):
    done, text = make(clone)
    assert (done.returncode, done.stderr) == (0, '')
    assert text.splitlines()[5] == (
        '2026.2,19.0.0,1.2.3,1.2.3,1.2.3,1.2.3,1.2.3,1.2.3,12')


@pytest.mark.parametrize('wrong, told', [
    ({'failed': 1}, '1 of 12 tests did not pass'),
    ({'alembic': None}, 'does not say alembic; run: tox -e octavia17'),
    ({'octavia': '18.0.0'}, 'is about Octavia 18.0.0')])
def test_tool_with_a_bad_record(clone, wrong, told):
    record(clone / '.tox/support', '17', **wrong)
    done, text = make(clone)
    assert done.returncode == 1
    assert done.stderr.endswith(f'{told}\n')
    assert text is None


def test_tool_without_a_record(clone):
    (clone / '.tox/support/octavia15.xml').unlink()
    done, text = make(clone)
    assert done.returncode == 1
    assert done.stderr.endswith('is not there; run: tox -e octavia15\n')
    assert text is None


def test_the_extras_bring_what_mysql_8_logs_in_with():
    """cryptography, without which caching_sha2_password needs TLS."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / 'setup.cfg')
    for extra in ('mysql', 'all'):
        [needed] = [r for r in map(
            requirements.Requirement, setup['extras'][extra].split())
            if r.name == 'PyMySQL']
        assert needed.extras == {'rsa'}
    assert any('cryptography' in r and 'rsa' in r
               for r in metadata.requires('PyMySQL'))

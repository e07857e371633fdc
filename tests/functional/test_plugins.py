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

"""Checks of another distribution: they add rows without affecting ours."""

import json
import pathlib
import subprocess
import sys

import pytest

from tests import commands

PLUGIN = pathlib.Path(__file__).parents[1] / 'plugin'
PASSWORD = 'acme-secret-word'

#: The message about each check that misbehaves.
WRONG = {
    'acme_raises': 'RuntimeError at __init__.py:',
    'acme_leaves': 'SystemExit at __init__.py:',
    'acme_hangs': 'no result within the deadline',
    'acme_rubbish': 'yielded dict, which is neither Finding nor text',
    'acme_no_text': 'a Finding whose texts are not strings',
    'acme_thief': "yielded 'jobboard.refused', which is not its own id",
    'acme_missing': 'ModuleNotFoundError',
    'acme_nothing': 'TypeError',
    'acme_leaving': 'SystemExit at leaving.py:',
    'acme_hanging': 'no result within the deadline',
    'acme_asserting': 'AssertionError at asserting.py:',
    'acme-checks:jobboard': 'uses the id jobboard of another check',
    'acme_class-acme-accounts': 'KeyError',
    'acme_class_raises': 'OSError',
    'acme_class_missing': 'AttributeError',
    'acme_class_leaving': 'SystemExit at leaving.py:',
}


@pytest.fixture(scope='module')
def installed(tmp_path_factory):
    """A directory with the distribution in it, as pip puts it there."""
    target = tmp_path_factory.mktemp('site')
    source = tmp_path_factory.mktemp('source') / 'plugin'
    # setuptools builds in the source tree.
    subprocess.run(['cp', '-r', str(PLUGIN), str(source)], check=True)
    subprocess.run(
        [sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps',
         '--target', str(target), str(source)], check=True,
        capture_output=True, timeout=300)
    return str(target)


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp('etc') / 'octavia.conf'
    path.write_text(commands.config_text({'task_flow': {
        'jobboard_backend_hosts': 'redis1',
        'jobboard_backend_password': PASSWORD}}))
    return str(path)


def run(installed, config, *args):
    return commands.checks('--config-file', config, 'upgrade', 'check', *args,
                           PYTHONPATH=installed)


@pytest.fixture(scope='module')
def done(installed, config):
    return run(installed, config, '--json', '--deadline', '3')


@pytest.fixture(scope='module')
def rows(done):
    return {row['id']: row for row in json.loads(done.stdout)['checks']}


def test_a_row_of_its_own(rows):
    assert rows['acme']['check'] == 'Rules of Acme'
    [finding] = rows['acme']['findings']
    assert (finding['id'], finding['severity'], finding['option']) == (
        'acme.host', 'warning', 'task_flow.jobboard_backend_hosts')
    assert 'redis1.acme.example' in finding['remedy']


@pytest.mark.parametrize('id_', WRONG)
def test_what_misbehaves_is_a_failure_that_names_its_distribution(rows, id_):
    [finding] = rows[id_]['findings']
    assert rows[id_]['result'] == 2
    assert finding['id'] == f'{id_}.undetermined'
    assert 'acme-checks' in finding['message']
    assert WRONG[id_] in finding['message']


def test_our_rows_stay_as_they_are(installed, config, rows):
    ours = ['config', 'persistence', 'migration', 'jobboard', 'inflight',
            'resources']
    assert list(rows)[:6] == ours
    alone = json.loads(commands.checks('--config-file', config, 'upgrade',
                                       'check', '--json').stdout)
    for row in alone['checks']:
        for key in ('check', 'result', 'details', 'findings'):
            assert rows[row['id']][key] == row[key]


def test_stdout_is_one_document(done, rows):
    assert rows['acme_prints']['details'] == 'it printed'
    assert 'spam' not in done.stdout
    assert PASSWORD not in done.stdout + done.stderr
    assert 'Traceback' not in done.stderr


def test_classes_with_get_checks(rows):
    assert rows['acme_class-acme-gateways'] | {'duration': 0} == (
        rows['acme_class-acme-gateways'] | {
            'check': 'Acme gateways', 'result': 0,
            'details': 'Two gateways.', 'findings': [], 'duration': 0})
    [finding] = rows['acme_class-acme-licence']['findings']
    assert finding['id'] == 'acme_class-acme-licence.warning'
    assert finding['message'] == 'The licence ends in 3 days.'


def test_nobody_waits_for_what_a_check_left(installed, config):
    done = commands.checks(
        '--config-file', config, 'upgrade', 'check', '--only', 'acme_lingers',
        PYTHONPATH=installed, ACME_LINGERS='600')
    assert 'there is a thread left' in done.stdout


def test_only_and_skip_know_it(installed, config):
    done = run(installed, config, '--only', 'acme', '--json')
    assert done.returncode == 1
    assert [row['id'] for row in json.loads(done.stdout)['checks']] == [
        'acme']
    done = run(installed, config, '--only', 'acne')
    assert done.returncode == 64
    assert 'Did you mean acme?' in done.stderr


def test_a_format_of_its_own(installed, config):
    done = run(installed, config, '--only', 'config', '--format', 'acme')
    assert done.stdout.startswith('acme: ')


@pytest.mark.parametrize('form', [
    'acme_broken', 'acme_leaving', 'acme_hanging'])
def test_a_format_that_does_not_load(installed, config, form):
    done = run(installed, config, '--only', 'config', '--format', form)
    assert done.returncode == 64 and not done.stdout
    assert f'{form} of acme-checks does not load' in done.stderr
    # Whoever does not ask for it is not harmed.
    assert run(installed, config, '--only', 'config').stdout


#: stevedore keeps no cache for an interpreter below /tmp, which would hide
#: that we write one.
ELSEWHERE = """
import sys
sys.executable = '/opt/python'
sys.argv[0] = 'octavia-v2-checks'
"""
OURS = ELSEWHERE + """
from octavia_v2_checks import cli
cli.main(sys.argv[1:])
"""
THEIRS = ELSEWHERE + """
from stevedore import extension
extension.ExtensionManager('oslo.config.driver')
"""


@pytest.mark.parametrize('program, writes', [(OURS, False), (THEIRS, True)])
def test_no_cache_is_written(installed, config, tmp_path, program, writes):
    subprocess.run(
        [sys.executable, '-c', program, '--config-file', config, 'upgrade',
         'check', '--deadline', '3', '--format', 'acme'],
        check=True, capture_output=True, timeout=60,
        env=commands.environment(PYTHONPATH=installed, HOME=str(tmp_path),
                                 XDG_CACHE_HOME=str(tmp_path / 'cache')))
    files = [p for p in tmp_path.rglob('*') if p.is_file()]
    assert bool(files) == writes


def test_in_the_stock_command(installed, config):
    done = commands.status(config, 'upgrade', 'check', '--json', hook=True,
                           PYTHONPATH=installed,
                           OS_OCTAVIA_V2_CHECKS__DEADLINE='3')
    stock = {row['check']: row for row in json.loads(done.stdout)['checks']}
    # Its title is known only once it has been loaded, and this command wants
    # all titles before.
    assert stock['acme']['details'].startswith('acme.host: redis1')
    assert stock['Acme gateways']['details'] == 'Two gateways.'
    assert done.returncode == 2

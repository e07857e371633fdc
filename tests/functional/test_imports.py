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

"""What each command imports: nothing that it does not need.

Seconds are for ``benchmarks``; what makes them is which packages are loaded,
and that is the same on every machine.
"""

import json
import subprocess
import sys

import pytest

from tests import commands

OURS = {'octavia_v2_checks'}

PROGRAM = """
import contextlib, io, json, sys
from octavia_v2_checks import cli
with contextlib.redirect_stdout(io.StringIO()):
    code = cli.main(sys.argv[1:])
"""

TELL = """
found = {name.partition('.')[0] for name in sys.modules
         if getattr(sys.modules[name], '__file__', None)}
print(json.dumps([code, sorted(found - set(sys.stdlib_module_names)),
                  sorted(sys.modules)]))
"""


def python(program, *args):
    """The exit code, the packages besides the standard library, all modules.
    """
    done = subprocess.run(
        [sys.executable, '-c', program + TELL, *args], cwd='/',
        env=commands.environment(), capture_output=True, text=True,
        timeout=120)
    assert done.returncode == 0, done.stderr
    code, packages, modules = json.loads(done.stdout)
    return code, set(packages), set(modules)


def floor(modules=''):
    """What is loaded by the imports that every command needs.

    An editable installation also adds something to every program.
    """
    return python(f'import json, sys{modules}; code = 0')[1]


def loaded(*args):
    """What a command needs beyond an empty program."""
    code, packages, modules = python(PROGRAM, *args)
    return code, packages - floor(), modules


@pytest.fixture(scope='module')
def oslo():
    return floor(', oslo_config.cfg')


@pytest.mark.parametrize('args', [
    ['list'], ['list', '--format', 'json'], ['explain', 'jobboard.refused'],
    ['--version']])
def test_the_catalogue_needs_nothing(args):
    code, packages, _ = loaded(*args)
    assert (code, packages) == (0, OURS)


def test_help_needs_nothing():
    done = subprocess.run(
        [sys.executable, '-X', 'importtime',
         commands.script('octavia-v2-checks'), '--help'], cwd='/',
        env=commands.environment(), capture_output=True, text=True,
        timeout=120)
    assert done.returncode == 0
    for package in ('oslo_config', 'sqlalchemy', 'stevedore', 'rich'):
        assert f' {package}\n' not in done.stderr


def test_validate(write_config, oslo):
    config = write_config(jobboard_enabled=True, persistence_connection=(
        'mysql+pymysql://octavia:pw@10.0.0.1/octavia_persistence'))
    code, packages, _ = loaded('validate', str(config))
    assert code == 0
    assert packages - oslo == OURS


@pytest.mark.parametrize('form', [
    'text', 'short', 'table', 'json', 'junit', 'prometheus', 'nagios'])
def test_a_jobboard_that_is_off(write_config, oslo, form):
    config = write_config(jobboard_enabled=False)
    code, packages, modules = loaded('--config-file', str(config), 'upgrade',
                                     'check', '--format', form)
    assert code == 0
    assert packages - oslo == OURS
    # What talks to servers stays away, as they do.
    assert not {m for m in modules
                if m.startswith('octavia_v2_checks.backends')}
    assert 'ssl' not in modules


@pytest.mark.parametrize('driver', ['etcd', 'redis', 'zookeeper'])
def test_a_jobboard_needs_no_client(write_config, oslo, driver):
    config = write_config(
        jobboard_enabled=True, jobboard_backend_port=1,
        jobboard_backend_driver=f'{driver}_taskflow_driver')
    code, packages, _ = loaded('--config-file', str(config), 'upgrade',
                               'check', '--only', 'jobboard')
    assert code == 2
    assert packages - oslo == OURS


def test_a_database_needs_sqlalchemy_and_its_driver(write_config, mariadb):
    config = write_config(jobboard_enabled=True,
                          persistence_connection=mariadb.url())
    code, packages, modules = loaded(
        '--config-file', str(config), 'upgrade', 'check', '--only',
        'persistence,migration')
    assert code == 2
    assert packages - OURS <= floor(
        ', oslo_config.cfg, sqlalchemy, pymysql')
    assert 'sqlalchemy.orm' not in modules


def test_the_checks_know_nothing_of_the_drill(write_config, mariadb):
    config = write_config(jobboard_enabled=True, jobboard_backend_port=1,
                          persistence_connection=mariadb.url())
    _, _, modules = loaded('--config-file', str(config), 'upgrade', 'check')
    assert not {m for m in modules if m.startswith('octavia_v2_checks.drill')}


def test_a_drill_leaves_octavia_to_its_children(write_config, oslo, mariadb):
    config = write_config(jobboard_enabled=True, jobboard_backend_port=1,
                          persistence_connection=mariadb.url())
    code, packages, modules = loaded('--config-file', str(config), 'drill',
                                     '--yes')
    # It came as far as loading Octavia and being refused by the jobboard.
    assert code == 2
    assert packages - oslo == OURS
    assert not {m for m in modules if m.startswith('octavia_v2_checks.drill'
                                                   '.loader')}

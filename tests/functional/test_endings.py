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

"""How the command ends with unusual streams."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from tests import cells
from tests import commands
from tests.functional import test_hook
from tests.servers import scripts

FORMATS = ['text', 'short', 'table', 'json', 'junit', 'html', 'prometheus',
           'nagios']

#: Every command that prints something.
PRINTING = {
    **{form: f'upgrade check --format {form}' for form in FORMATS},
    **{f'validate {form}': f'validate --format {form}'
       for form in ('table', 'json', 'sarif')},
    'list': 'list', 'list json': 'list --format json',
    'explain': 'explain migration.behind', 'help': '--help',
    'help of a command': 'upgrade check --help', 'version': '--version',
    'sample': 'sample --backend redis'}

run_code = test_hook.run


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    """A configuration in which nothing is wrong and no server is named."""
    path = tmp_path_factory.mktemp('endings') / 'octavia.conf'
    path.write_text('[api_settings]\nenabled_provider_drivers = amphora:x\n'
                    '[task_flow]\njobboard_enabled = false\n')
    return path


def shell(text, config, **extra):
    """Run a line of bash, in which ``checks`` is the command."""
    command = (f'checks() {{ {commands.script("octavia-v2-checks")} '
               f'--config-file "$CONFIG" "$@"; }}; set -o pipefail; {text}')
    return subprocess.run(
        ['bash', '-c', command], capture_output=True, text=True, timeout=60,
        stdin=subprocess.DEVNULL, env=commands.environment(
            CONFIG=str(config), **extra))


def clean(done, code):
    assert done.returncode == code, done.stdout + done.stderr
    assert 'Traceback' not in done.stdout + done.stderr
    assert 'Exception ignored' not in done.stderr
    return done


@pytest.mark.parametrize('name', PRINTING)
@pytest.mark.parametrize('unbuffered', ['', '1'])
def test_a_full_stdout(config, name, unbuffered):
    done = clean(shell(f'checks {PRINTING[name]} > /dev/full', config,
                       PYTHONUNBUFFERED=unbuffered), 255)
    assert done.stderr == ('octavia-v2-checks: cannot write to stdout: No '
                           'space left on device\n')


@pytest.mark.parametrize('name', PRINTING)
def test_a_closed_stdout(config, name):
    done = clean(shell(f'checks {PRINTING[name]} >&-', config), 255)
    assert re.fullmatch('octavia-v2-checks: cannot write to stdout: .*\n',
                        done.stderr)


@pytest.mark.parametrize('name', PRINTING)
def test_a_reader_that_goes_away(config, name):
    done = clean(shell(f'checks {PRINTING[name]} | exec <&-',
                       config), 141)
    assert done.stderr == ''


@pytest.mark.parametrize('stderr', ['2>&-', '2>/dev/full'])
@pytest.mark.parametrize('words, code', [
    ('upgrade check', 0), ('upgrade check --json', 0), ('validate', 0),
    ('nonsense', 64), ('upgrade check >/dev/full', 255),
    ('upgrade check >&-', 255), ('upgrade check --output /proc/none/a',
                                 255)])
def test_a_stderr_that_cannot_be_written(config, words, code, stderr):
    """The verdict counts; output without a reader is lost."""
    done = clean(shell(f'checks {words} {stderr}', config), code)
    if 'check' in words and '>' not in words:
        assert 'AmphoraV2 configuration' in done.stdout
    if words.endswith('--json'):
        json.loads(done.stdout)


@pytest.mark.parametrize('closed', ['<&-', '<&- >&- 2>&-'])
def test_no_streams_at_all(config, closed):
    """No socket and no file takes their numbers."""
    with scripts.Say(b'nonsense') as server:
        path = config.with_name('streams.conf')
        path.write_text(
            f'[task_flow]\njobboard_enabled = true\n'
            f'jobboard_backend_hosts = {server.host}\n'
            f'jobboard_backend_port = {server.port}\n'
            f'persistence_connection = mysql+pymysql://a:b@{server.host}:'
            f'{server.port}/p\n')
        done = shell(f'checks upgrade check {closed}', path)
        clean(done, 2 if '>' not in closed else 255)
        assert not any(b'octavia-v2-checks' in heard or b'Check:' in heard
                       for heard in server.received)


@pytest.mark.parametrize('locale', [
    {'PYTHONIOENCODING': 'ascii'},
    {'LC_ALL': 'POSIX', 'PYTHONUTF8': '0', 'PYTHONCOERCECLOCALE': '0'}])
@pytest.mark.parametrize('name', PRINTING)
def test_a_narrow_locale(tmp_path, name, locale):
    path = tmp_path / 'ö\udcff.conf'
    path.write_text('[task_flow]\nengine = parallèl\nmax_workers = 0\n')
    done = shell(f'checks {PRINTING[name]}', path, **locale)
    clean(done, 2 if 'upgrade check -' in PRINTING[name].replace('--help', '')
          or 'validate' in name else 0)
    if 'json' in name or name == 'validate sarif':
        json.loads(done.stdout)


def test_the_stock_command_in_a_narrow_locale(tmp_path):
    path = tmp_path / 'octavia.conf'
    path.write_text('[task_flow]\nengine = parallèl\n')
    done = clean(commands.status(path, hook=True, PYTHONIOENCODING='ascii'),
                 2)
    assert r'parall\xe8l' in done.stdout


@pytest.mark.parametrize('name', ['table', 'json', 'validate table',
                                  'validate json', 'validate sarif'])
def test_a_working_directory_that_was_deleted(config, tmp_path, name):
    path = tmp_path / 'wrong.conf'
    path.write_text('[task_flow]\nmax_workers = 0\njobboard_enabled = true\n'
                    'persistence_connection = mysql+pymysql://a:b@h/p\n'
                    '[octavia_v2_checks]\nskip = persistence, migration, '
                    'jobboard, inflight, resources\n')
    gone = tmp_path / 'gone'
    gone.mkdir()
    done = clean(shell(f'cd {gone}; rmdir {gone}; checks {PRINTING[name]}',
                       path), 2)
    assert 'config.invalid-value' in done.stdout
    assert 'undetermined' not in done.stdout


@pytest.mark.parametrize('variable', [
    'OS_TASK_FLOW__JOBBOARD_BACKEND_PASSWORD',
    'OS_TASK_FLOW__PERSISTENCE_CONNECTION',
    'OS_API_SETTINGS__ENABLED_PROVIDER_DRIVERS',
    'OS_OCTAVIA_V2_CHECKS__REPORT_FILE'])
@pytest.mark.parametrize('name', [*FORMATS, 'validate sarif'])
def test_variables_that_are_not_text(tmp_path, name, variable):
    """A password of bytes: one finding, and the others as ever."""
    with scripts.Refuse() as nobody:
        path = tmp_path / 'octavia.conf'
        path.write_text(
            f'[task_flow]\njobboard_enabled = true\n'
            f'jobboard_backend_hosts = {nobody.host}\n'
            f'jobboard_backend_port = {nobody.port}\n'
            f'persistence_connection = mysql+pymysql://a:b@{nobody.host}:'
            f'{nobody.port}/p\n')
        done = clean(commands.checks(
            '--config-file', str(path), *PRINTING[name].split(),
            **{variable: 'mysql+pymysql://u:\udcffKanari7@h/p'}), 2)
        assert 'config.encoding' in done.stdout
        assert 'Kanari7' not in done.stdout + done.stderr


@pytest.mark.parametrize('module', ['octavia_v2_checks',
                                    'octavia_v2_checks.cli'])
def test_as_a_module(config, module):
    """``python -m`` runs the command, and is not a success without a check."""
    done = subprocess.run(
        [sys.executable, '-m', module, 'validate'], capture_output=True,
        text=True, cwd='/', env=commands.environment(HOME='/proc/none'))
    assert 'config.no-files' in clean(done, 2).stdout
    done = subprocess.run(
        [sys.executable, '-m', module, 'nonsense'], capture_output=True,
        text=True, cwd='/', env=commands.environment())
    assert clean(done, 64).stderr.startswith('octavia-v2-checks: ')


def interrupted(*argv, config, wait, **extra):
    """Start a command, press Ctrl-C when it is at work, and return it."""
    begin = time.monotonic()
    with subprocess.Popen(
            # In the background of a shell, it is ignored otherwise.
            ['env', '--default-signal=INT', *argv, '--config-file',
             str(config), 'upgrade', 'check', *extra.pop('words', ())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=commands.environment(**extra)) as process:
        while not wait(process) and time.monotonic() < begin + 60:
            time.sleep(0.05)
        time.sleep(3)
        process.send_signal(signal.SIGINT)
        pressed = time.monotonic()
        stdout, stderr = process.communicate(timeout=60)
        assert time.monotonic() - pressed < 10
    assert 'Traceback' not in stdout + stderr
    return process.returncode, stdout, stderr


@pytest.fixture
def silent(write_config):
    """A configuration with a dead database, and a board that is silent."""
    with scripts.Silent() as board, scripts.Close() as database:
        config = write_config(
            {'octavia_v2_checks': {'deadline': 60, 'probe_timeout': 60}},
            jobboard_enabled=True, persistence_connection=(
                f'mysql+pymysql://o:{cells.QUOTED}@{database.host}:'
                f'{database.port}/p'),
            jobboard_backend_hosts=board.host,
            jobboard_backend_port=board.port)
        yield lambda _: board.connections and database.connections, config


@pytest.mark.parametrize('form', FORMATS)
def test_ctrl_c(silent, form):
    """The rows that had ended are shown; the others are no success."""
    at_work, config = silent
    code, stdout, stderr = interrupted(
        commands.script('octavia-v2-checks'), config=config,
        wait=at_work, words=['--format', form])
    assert code == 130
    assert stderr == 'octavia-v2-checks: interrupted\n'
    assert 'persistence.refused' in stdout
    assert 'jobboard.undetermined' in stdout
    if form == 'json':
        document = json.loads(stdout)
        assert document['result'] == 2
        rows = {row['id']: row for row in document['checks']}
        assert rows['config']['result'] == 0
        assert 'interrupted' in rows['jobboard']['details']


def test_ctrl_c_between_attempts(write_config):
    with scripts.Refuse() as nobody:
        config = write_config(
            jobboard_enabled=True, persistence_connection=(
                f'mysql+pymysql://o:x@{nobody.host}:{nobody.port}/p'),
            jobboard_backend_hosts=nobody.host,
            jobboard_backend_port=nobody.port)
        code, stdout, stderr = interrupted(
            commands.script('octavia-v2-checks'), config=config,
            wait=lambda process: 'persistence' in process.stderr.readline(),
            words=['--wait', '60', '--json'])
    assert code == 130
    assert {f['id'] for row in json.loads(stdout)['checks']
            for f in row['findings']} == {'persistence.refused',
                                          'jobboard.refused'}
    assert stderr.endswith('octavia-v2-checks: interrupted\n')


def test_ctrl_c_in_the_stock_command(silent):
    """Its other rows are shown, too, and none of ours is a success."""
    at_work, config = silent
    code, stdout, _ = interrupted(
        commands.script('octavia-status'), config=config,
        wait=at_work, words=['--json'],
        OS_DEFAULT__CONFIG_SOURCE='octavia_v2_checks',
        OS_OCTAVIA_V2_CHECKS__DRIVER='octavia_v2_checks')
    assert code == 2
    details = {row['check']: row['details'] or ''
               for row in json.loads(stdout)['checks']}
    assert 'interrupted' in details['AmphoraV2 jobboard']
    assert 'persistence.refused' in details['AmphoraV2 persistence database']


def test_a_pipe_that_nobody_writes_into(tmp_path):
    """It is named, and nobody is sent to look at config_source."""
    path = tmp_path / 'pipe.conf'
    os.mkfifo(path)
    begin = time.monotonic()
    done = commands.checks('--config-file', str(path), 'upgrade', 'check')
    assert time.monotonic() - begin < 15
    assert done.returncode == 64
    assert done.stderr.count('\n') == 1
    assert str(path) in done.stderr and 'config_source' not in done.stderr


def test_a_pipe_beside_a_remote_source(tmp_path):
    """Its driver asks oslo.config, which reads a copy of the pipe."""
    with scripts.Refuse() as nobody:
        body = (f'[task_flow]\njobboard_enabled = true\n'
                f'jobboard_backend_hosts = {nobody.host}\n'
                f'jobboard_backend_port = {nobody.port}\n'
                f'persistence_connection = mysql+pymysql://o:x@'
                f'{nobody.host}:{nobody.port}/p\n')
        with scripts.Http(body=body.encode()) as web:
            text = (f'[DEFAULT]\nconfig_source = remote\n'
                    f'[remote]\ndriver = remote_file\n'
                    f'uri = http://{web.host}:{web.port}/octavia.conf\n')
            done = subprocess.run(
                [commands.script('octavia-v2-checks'), '--config-file',
                 '/dev/stdin', 'upgrade', 'check', '--json'], input=text,
                capture_output=True, text=True, env=commands.environment())
    assert {'persistence.refused', 'jobboard.refused'} <= {
        f['id'] for row in json.loads(done.stdout)['checks']
        for f in row['findings']}


REPLACED = (
    'import pathlib, sys; from octavia.cmd import status\n'
    'from oslo_config import cfg\n'
    'from oslo_upgradecheck import upgradecheck\n'
    'path = pathlib.Path(sys.argv[1])\n'
    'real = cfg.ConfigOpts._load_alternative_sources\n'
    'def load(self):\n'
    '    path.write_text({text!r})\n'
    '    real(self)\n'
    'cfg.ConfigOpts._load_alternative_sources = load\n'
    'sys.exit(upgradecheck.main(status.CONF, project="octavia", '
    'upgrade_command=status.Checks(), argv=["--config-file", '
    'sys.argv[1], "upgrade", "check", "--json"]))')


@pytest.mark.parametrize('text, option', [
    ('[task_flow]\njobboard_enabled = false\n',
     '[task_flow] jobboard_enabled'),
    ('[api_settings]\nenabled_provider_drivers = ovn:x\n'
     '[task_flow]\njobboard_enabled = true\n',
     '[api_settings] enabled_provider_drivers'),
    ('[task_flow]\njobboard_enabled = true\n'
     '[database]\nconnection = mysql+pymysql://a:Kanari7@h/p\n',
     '[database] connection')])
def test_a_file_that_is_replaced_under_the_stock_command(
        tmp_path, text, option):
    path = tmp_path / 'octavia.conf'
    path.write_text('[task_flow]\njobboard_enabled = true\n')
    done = run_code(REPLACED.format(text=text), path)
    rows = json.loads(done.stdout)['checks']
    assert done.returncode == 2
    assert rows[0]['details'].startswith('config.undetermined: ' + option)
    assert {row['result'] for row in rows[:-1]} == {2}
    assert 'Kanari7' not in done.stdout + done.stderr


def test_an_oslo_config_that_shows_nothing(config):
    """One from the future: our row fails, and the stock row is no help."""
    done = run_code(
        'import sys; from octavia.cmd import status\n'
        'from octavia_v2_checks.settings import parsed\n'
        'def of(conf): raise parsed.Strange\n'
        'parsed.of = of\n'
        'from oslo_upgradecheck import upgradecheck\n'
        'sys.exit(upgradecheck.main(status.CONF, project="octavia", '
        'upgrade_command=status.Checks(), argv=["--config-file", '
        'sys.argv[1], "upgrade", "check", "--json"]))', config)
    assert done.returncode == 2
    assert 'release of oslo.config' in done.stdout


def test_sample_is_utf8_in_every_locale():
    done = subprocess.run(
        [commands.script('octavia-v2-checks'), 'sample', '--backend',
         'redis', '--set', 'jobboard_backend_password=größer'],
        capture_output=True, env=commands.environment(
            PYTHONIOENCODING='ascii'))
    assert 'größer'.encode() in done.stdout

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

"""What a pipeline asks for: waiting, files left behind, waived findings."""

import json
import os
import subprocess
import time

import pytest

from tests import commands
from tests.servers import process
from tests.servers import redis as redis_server

WAIT = ('--only', 'jobboard', '--wait', '60', '--json')


def settings_for(server, **own):
    return {'sections': {'octavia_v2_checks': own or {'deadline': 5}},
            'jobboard_enabled': True,
            'jobboard_backend_hosts': server.host,
            'jobboard_backend_port': server.port}


@pytest.fixture(scope='module')
def healthy():
    """A Redis in which the check finds nothing."""
    with redis_server.Redis(appendonly='yes') as server:
        yield server


@pytest.fixture
def to_come():
    """A Redis in which the check will find nothing, not started yet."""
    server = redis_server.Redis(appendonly='yes')
    yield server
    server.close()


def begin(config, *args, name='octavia-v2-checks', **extra):
    command = [commands.script(name), '--config-file', str(config),
               'upgrade', 'check', *args]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            cwd='/', env=commands.environment(**extra))


def test_waits_for_a_server_that_starts(write_config, to_come):
    config = write_config(**settings_for(to_come))
    with begin(config, *WAIT) as waiting:
        first = waiting.stderr.readline()
        assert 'AmphoraV2 jobboard: Failure (jobboard.refused)' in first
        to_come.start()
        out, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 0, out + err
    assert 'AmphoraV2 jobboard: Success' in err
    # Each change once, however many attempts there were.
    assert (first + err).count('Failure') == 1
    document = json.loads(out)
    assert document['result'] == 0
    assert document['duration'] < 60


def test_tells_each_change_of_what_is_wrong(write_config):
    with redis_server.Redis(appendonly='yes', requirepass='x') as server:
        server.stop()
        config = write_config(**settings_for(server))
        with begin(config, *WAIT) as waiting:
            assert 'jobboard.refused' in waiting.stderr.readline()
            server.start()
            assert 'jobboard.auth-required' in waiting.stderr.readline()
            server.command('CONFIG', 'SET', 'requirepass', '')
            out, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 0, out + err
    assert err.count('\n') == 1


def test_gives_up_when_the_time_is_over(write_config):
    config = write_config(jobboard_enabled=True, jobboard_backend_port=(
        process.free_port()))
    done = commands.checks('--config-file', str(config), 'upgrade', 'check',
                           '--only', 'jobboard', '--wait', '2', '--json')
    assert done.returncode == 2
    assert done.stderr.count('jobboard.refused') == 1
    assert 2 <= json.loads(done.stdout)['duration'] < 30


def test_a_pass_does_not_wait(write_config, healthy):
    config = write_config(**settings_for(healthy))
    done = commands.checks('--config-file', str(config), 'upgrade', 'check',
                           *WAIT)
    assert (done.returncode, done.stderr) == (0, '')
    assert json.loads(done.stdout)['duration'] < 50


def test_the_stock_command_waits_too(write_config, to_come):
    config = write_config(**settings_for(
        to_come, wait=60, skip='persistence,migration,inflight'))
    with begin(config, '--json', name='octavia-status',
               OS_DEFAULT__CONFIG_SOURCE='octavia_v2_checks',
               OS_OCTAVIA_V2_CHECKS__DRIVER='octavia_v2_checks') as waiting:
        for line in waiting.stderr:
            if 'jobboard.refused' in line:
                break
        to_come.start()
        out = waiting.communicate(timeout=60)[0]
    rows = {row['check']: row for row in json.loads(out)['checks']}
    assert rows['AmphoraV2 jobboard']['result'] == 0


@pytest.mark.parametrize('command', [commands.checks, commands.status])
def test_files_are_left_behind(write_config, healthy, tmp_path, command):
    files = {form: tmp_path / f'report.{form}' for form in (
        'json', 'junit', 'prometheus', 'html', 'table')}
    config = write_config(**settings_for(
        healthy, skip='persistence,migration,inflight'))
    with open(config, 'a') as stream:
        stream.write('[octavia_v2_checks]\n' + ''.join(
            f'report_file = {form}:{path}\n'
            for form, path in files.items()))
    if command is commands.status:
        done = command(config, 'upgrade', 'check', '--json', hook=True)
    else:
        done = command('--config-file', str(config), 'upgrade', 'check',
                       '--json')
    on_stdout = {row['check']: row['result']
                 for row in json.loads(done.stdout)['checks']}
    in_file = json.loads(files['json'].read_text())['checks']
    assert in_file
    for row in in_file:
        assert on_stdout[row['check']] == row['result']
    assert files['junit'].read_text().startswith('<?xml')
    assert '# TYPE octavia_v2_checks' in files['prometheus'].read_text()
    assert '<!doctype html>' in files['html'].read_text().lower()
    assert 'AmphoraV2 jobboard' in files['table'].read_text()
    assert sorted(tmp_path.glob('.report*')) == []


@pytest.mark.parametrize('report, said, code', [
    ('json:{}/none/report.json', '/none/report.json', 255),
    ('jsom:{}/report.json', 'Did you mean json?', 64)])
def test_a_file_that_cannot_be_left_behind(write_config, tmp_path, report,
                                           said, code):
    config = write_config(jobboard_enabled=False, sections={
        'octavia_v2_checks': {'report_file': report.format(tmp_path)}})
    done = commands.checks('--config-file', str(config), 'upgrade', 'check')
    assert done.returncode == code
    assert said in done.stderr and done.stderr.count('\n') == 1
    stock = commands.status(config, 'upgrade', 'check', '--json', hook=True)
    rows = {row['check']: row for row in json.loads(stock.stdout)['checks']}
    assert rows['AmphoraV2 configuration']['result'] == 2
    assert said in rows['AmphoraV2 configuration']['details']
    assert stock.returncode == 2


def on_a_terminal(config, *args, **extra):
    """Run the command in a terminal, and return all that it writes."""
    import pty
    master, slave = pty.openpty()
    with subprocess.Popen(
            [commands.script('octavia-v2-checks'), '--config-file',
             str(config), 'upgrade', 'check', *args], stdin=slave,
            stdout=slave, stderr=slave, cwd='/', close_fds=True,
            env=commands.environment(**extra)):
        os.close(slave)
        written = b''
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                piece = os.read(master, 65536)
            except OSError:
                break
            if not piece:
                break
            written += piece
    os.close(master)
    return written.decode()


def test_on_a_terminal(write_config, healthy):
    config = write_config(**settings_for(healthy))
    text = on_a_terminal(config, '--skip', 'persistence,migration,inflight',
                         TERM='xterm-256color')
    assert '\x1b[32m  ✓ ' in text
    # A line for each probe while it runs, and none of them at the end.
    assert text.count('AmphoraV2 jobboard') > 1
    assert '\x1b[2K' in text
    assert '\x1b[?25h' in text


@pytest.mark.parametrize('extra', [
    {'TERM': 'dumb'}, {'TERM': 'xterm-256color', 'NO_COLOR': '1'}])
def test_a_terminal_without_colours(write_config, healthy, extra):
    config = write_config(**settings_for(healthy))
    text = on_a_terminal(config, '--skip', 'persistence,migration,inflight',
                         **extra)
    assert '\x1b[32m' not in text
    assert 'AmphoraV2 jobboard\r\n  ✓ ' in text
    if extra['TERM'] == 'dumb':
        assert '\x1b' not in text


def test_on_a_pipe_there_are_neither_colours_nor_progress(
        write_config, healthy):
    config = write_config(**settings_for(healthy))
    done = commands.checks('--config-file', str(config), 'upgrade', 'check',
                           '--only', 'jobboard', TERM='xterm-256color')
    assert done.stderr == ''
    assert '\x1b' not in done.stdout

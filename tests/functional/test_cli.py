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

"""The command, as a shell sees it."""

import json
import os
import subprocess
import sys

import pytest

from octavia_v2_checks import catalogue
from tests import commands
from tests.servers import scripts


def one_line(done, code=64):
    """One clear line on stderr, nothing on stdout, and the exit code."""
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stdout == ''
    assert done.stderr.count('\n') == 1, done.stderr
    assert done.stderr.startswith('octavia-v2-checks: ')
    assert 'Traceback' not in done.stderr
    return done.stderr


@pytest.fixture
def config(write_config):
    return str(write_config(jobboard_enabled=False))


def check(config, *args, **extra):
    return commands.checks('--config-file', config, 'upgrade', 'check',
                           *args, **extra)


@pytest.mark.parametrize('args, named', [
    ([], 'command'), (['frobnicate'], 'frobnicate'), (['upgrade'], 'check'),
    (['upgrade', 'chekc'], 'chekc'), (['--nonsense'], '--nonsense'),
    (['list', '--nonsense'], '--nonsense'),
    (['explain', 'migration.behnd'], 'migration.behind'),
    (['explain', 'persistance.refused'], 'persistence.refused'),
    (['explain', 'xyz'], 'xyz'), (['explain'], 'ID'),
    (['upgrad', 'check'], 'Did you mean upgrade?'),
    (['upgrade', 'check', '--ofline'], 'Did you mean --offline?'),
    (['--verson'], 'Did you mean --version?'),
    (['list', '--format', 'tabel'], 'Did you mean table?'),
])
def test_usage(args, named):
    assert named in one_line(commands.checks(*args))


@pytest.mark.parametrize('args, named', [
    (['--only', 'persistance'], 'persistence'), (['--skip', 'jobbord'],
                                                 'jobboard'),
    (['--format', 'tabel'], 'table'), (['--format', 'yaml'], 'json'),
    (['--deadline', 'soon'], 'soon'), (['--deadline', '0'], '--deadline'),
    (['--deadline', 'nan'], 'nan'), (['--probe-timeout', '-1'],
                                     '--probe-timeout'),
    (['--fail-level', 'none'], '--fail-level'),
    (['--only', 'config', '--skip', 'config'], 'no check'),
    (['--json', '--format', 'xml'], 'xml'),
    (['--output', ''], '--output'),
])
def test_usage_of_check(config, args, named):
    assert named in one_line(check(config, *args))


def test_missing_configuration_file(tmp_path):
    path = str(tmp_path / 'octavia.conf')
    assert path in one_line(check(path))
    assert path in one_line(check(path, '--json'))


def test_directory_for_a_configuration_file(tmp_path):
    assert str(tmp_path) in one_line(check(str(tmp_path)))


def test_missing_configuration_directory(tmp_path):
    path = str(tmp_path / 'octavia.conf.d')
    assert path in one_line(commands.checks('--config-dir', path, 'upgrade',
                                            'check'))


def test_unreadable_configuration_file(tmp_path):
    """As another user, since root reads everything."""
    path = tmp_path / 'octavia.conf'
    path.write_text('')
    path.chmod(0)
    if os.geteuid():
        one_line(check(str(path)))
        return
    # Imported before: he may not be allowed to read this Python.
    code = (
        'import locale, os, sys; from octavia_v2_checks import cli; '
        'import octavia_v2_checks.engine, octavia_v2_checks.settings; '
        'os.setgid(65534); os.setuid(65534); sys.exit(cli.main(sys.argv[1:]))')
    for folder in [tmp_path, *tmp_path.parents[:3]]:
        if folder != type(folder)('/tmp'):
            folder.chmod(0o755)
    done = subprocess.run(
        [sys.executable, '-c', code, '--config-file', str(path), 'upgrade',
         'check'], capture_output=True, text=True, cwd='/',
        env=commands.environment())
    assert 'Permission denied' in one_line(done)


@pytest.mark.parametrize('text', [
    'jobboard_enabled = true\n', '[task_flow\n', '[task_flow]\nnonsense\n',
    '[task_flow]\n  indented = 1\n'])
def test_configuration_that_does_not_parse(tmp_path, text):
    """A finding, and every other row says why it was not checked."""
    path = tmp_path / 'octavia.conf'
    path.write_text(text)
    done = check(str(path), '--json')
    document = json.loads(done.stdout)
    rows = {row['id']: row for row in document['checks']}
    assert done.returncode == 2
    assert [f['id'] for f in rows['config']['findings']] == [
        'config.parse-error']
    for id_ in ('persistence', 'migration', 'jobboard'):
        assert rows[id_]['findings'] == []
        assert rows[id_]['result'] == 2
        assert 'config.parse-error' in rows[id_]['details']
    assert 'Traceback' not in done.stdout + done.stderr


def test_json_is_a_superset_of_the_stock_document(config):
    done = check(config, '--json')
    document = json.loads(done.stdout)
    assert document['name'] == 'Upgrade Check Results'
    assert document['schema_version'] == 1
    assert document['result'] == 0
    assert set(document) >= {'octavia', 'taskflow', 'started', 'duration'}
    assert [row['id'] for row in document['checks']] == list(
        catalogue.CHECKS)
    for row in document['checks']:
        assert set(row) >= {'check', 'result', 'details', 'id', 'duration',
                            'findings'}
        assert row['check'] == catalogue.CHECKS[row['id']]
    assert done.stderr == ''


def test_findings_in_json(write_config):
    with scripts.Refuse() as nobody:
        config = write_config(
            jobboard_enabled=True, persistence_connection=(
                f'mysql+pymysql://octavia:json-secret@{nobody.host}:'
                f'{nobody.port}/octavia_persistence'))
        done = check(str(config), '--json', '--only', 'persistence')
        [row] = json.loads(done.stdout)['checks']
        [finding] = row['findings']
        assert set(finding) == {'id', 'severity', 'message', 'remedy',
                                'option', 'file', 'line', 'host'}
        assert finding['id'] == 'persistence.refused'
        assert finding['severity'] == 'failure'
        assert finding['option'] == 'task_flow.persistence_connection'
        assert finding['file'] == str(config)
        line = config.read_text().splitlines()[finding['line'] - 1]
        assert line.startswith('persistence_connection')
        assert finding['host'] == f'{nobody.host}:{nobody.port}'
        assert row['details'].startswith('persistence.refused: ')
        assert ' Remedy: ' in row['details']


def test_exit_code_is_the_same_in_every_format(write_config):
    with scripts.Refuse() as nobody:
        config = str(write_config(
            jobboard_enabled=True, persistence_connection=(
                f'mysql+pymysql://o:json-secret@{nobody.host}:'
                f'{nobody.port}/octavia_persistence')))
        for form in ('table', 'json'):
            done = check(config, '--format', form)
            assert done.returncode == 2
            assert 'persistence.refused' in done.stdout
            assert 'json-secret' not in done.stdout + done.stderr


def test_output(config, tmp_path):
    path = tmp_path / 'report.json'
    done = check(config, '--format', 'json', '--output', str(path))
    assert done.returncode == 0
    assert json.loads(path.read_text())['result'] == 0
    assert 'AmphoraV2 configuration' in done.stdout
    assert [p.name for p in tmp_path.glob('*report*')] == ['report.json']


def test_only_and_skip(config):
    document = json.loads(check(config, '--json', '--only',
                                'jobboard,config').stdout)
    assert [r['id'] for r in document['checks']] == ['config', 'jobboard']
    assert 'persistence' in document['skipped']
    document = json.loads(check(config, '--json', '--skip',
                                'jobboard').stdout)
    assert 'jobboard' not in [r['id'] for r in document['checks']]
    assert document['skipped'] == ['jobboard']
    assert 'Skipped: jobboard' in check(config, '--skip', 'jobboard').stdout


def test_offline(write_config):
    with scripts.Silent() as board:
        config = write_config(
            jobboard_enabled=True, persistence_connection=(
                f'mysql+pymysql://o:json-secret@{board.host}:'
                f'{board.port}/octavia_persistence'),
            jobboard_backend_hosts=board.host,
            jobboard_backend_port=board.port)
        document = json.loads(check(str(config), '--json',
                                    '--offline').stdout)
        assert [r['id'] for r in document['checks']] == ['config']
        assert board.connections == 0


def test_configuration_arguments_on_both_sides_of_the_command(
        config, tmp_path):
    """Later ones win, wherever they are."""
    second = tmp_path / 'second.conf'
    second.write_text('[octavia_v2_checks]\nskip = jobboard\n')
    done = commands.checks('--config-file', config, 'upgrade', 'check',
                           '--json', '--config-file', str(second))
    assert json.loads(done.stdout)['skipped'] == ['jobboard']


def test_a_closed_pipe_is_no_traceback(config):
    done = subprocess.run(
        f'{commands.script("octavia-v2-checks")} list | true; '
        f'{commands.script("octavia-v2-checks")} list | head -1',
        shell=True, capture_output=True, text=True,
        env=commands.environment())
    assert 'Traceback' not in done.stderr
    assert 'Exception ignored' not in done.stderr


def test_list():
    done = commands.checks('list')
    assert done.returncode == 0
    for entry in catalogue.entries():
        assert entry.id in done.stdout
    document = json.loads(commands.checks('list', '--format', 'json').stdout)
    listed = [f['id'] for c in document for f in c['findings']]
    assert listed == [e.id for e in catalogue.entries()]


def test_explain():
    done = commands.checks('explain', 'migration.behind')
    assert done.returncode == 0
    assert 'Why it matters' in done.stdout
    assert 'octavia-db-manage upgrade_persistence' in done.stdout
    assert 'migration.behind' in commands.checks('explain',
                                                 'migration').stdout


def test_version():
    done = commands.checks('--version')
    assert done.stdout.startswith('octavia-v2-checks ')


def test_internal_error(config):
    """One line; with --debug a traceback without the exception's text."""
    code = (
        'import sys; from octavia_v2_checks import cli, registry\n'
        # Python 3.13 shows this source in the traceback.
        'def broken(): raise RuntimeError("-".join(["secret", "in-text"]))\n'
        'registry.checks = broken\n'
        'sys.exit(cli.main(sys.argv[1:]))')
    arguments = ['--config-file', config, 'upgrade', 'check']

    def run(*args):
        return subprocess.run([sys.executable, '-c', code, *args],
                              capture_output=True, text=True,
                              env=commands.environment())

    assert 'RuntimeError' in one_line(run(*arguments), 255)
    done = run('--debug', *arguments)
    assert done.returncode == 255
    assert 'Traceback' in done.stderr or 'File "' in done.stderr
    assert 'secret-in-text' not in done.stdout + done.stderr


HEAVY = ('sqlalchemy', 'redis', 'kazoo', 'requests', 'alembic', 'octavia',
         'taskflow', 'prettytable', 'castellan')


@pytest.mark.parametrize('args', [
    ['--help'], ['list'], ['explain', 'migration.behind'], ['--version'],
    ['CONFIG', 'upgrade', 'check'], ['CONFIG', 'upgrade', 'check', '--json']])
def test_imports(config, args):
    """Modules that are not needed are not imported."""
    if args[0] == 'CONFIG':
        args = ['--config-file', config, *args[1:]]
    code = (
        'import atexit, sys; from octavia_v2_checks import cli\n'
        'try: cli.main(sys.argv[1:])\n'
        'except SystemExit: pass\n'
        'print([m for m in sys.modules if m in '
        f'{HEAVY!r}], file=sys.stderr)')
    done = subprocess.run([sys.executable, '-c', code, *args],
                          capture_output=True, text=True,
                          env=commands.environment())
    assert done.stderr.strip() == '[]'

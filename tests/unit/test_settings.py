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

"""Settings: precedence, places, sources and secrets."""

import functools
import http.server
import threading

from oslo_config import cfg
import pytest

from octavia_v2_checks import cli
from octavia_v2_checks import findings
from octavia_v2_checks import opts
from octavia_v2_checks import settings
from octavia_v2_checks.checks import config


@pytest.fixture
def write(tmp_path):
    """Write a file; return its path."""
    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding='utf-8')
        return str(path)
    return write


def test_a_later_file_wins_and_says_so(write):
    first = write('a.conf', '[task_flow]\nengine = serial\nmax_workers = 2\n')
    second = write('b.conf', '[other]\n\n[TASK_FLOW]\nmax_workers = 3\n')
    loaded = settings.load([('file', first), ('file', second)])
    assert loaded.get('max_workers') == 3
    assert loaded['max_workers'].where == {
        'option': 'task_flow.max_workers', 'file': second, 'line': 4}
    assert loaded['engine'].where['file'] == first
    assert loaded['disable_revert'].where == {
        'option': 'task_flow.disable_revert', 'file': None, 'line': None}
    assert loaded.config_args == (
        f' --config-file {first} --config-file {second}')


def test_a_directory_is_read_in_order(write, tmp_path):
    write('d/20.conf', '[task_flow]\nmax_workers = 20\n')
    write('d/10.conf', '[task_flow]\nmax_workers = 10\n')
    write('d/.hidden.conf', '[task_flow]\nmax_workers = 1\n')
    write('d/30.conf.bak', '[task_flow]\nmax_workers = 30\n')
    file = write('a.conf', '[task_flow]\nmax_workers = 5\n')
    directory = str(tmp_path / 'd')
    for named, wanted in (([('dir', directory)], 20),
                          ([('file', file), ('dir', directory)], 20),
                          ([('dir', directory), ('file', file)], 5)):
        assert settings.load(named).get('max_workers') == wanted


def test_without_names_the_files_of_octavia_status_are_read(
        write, tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    write('.octavia/octavia.conf', '[task_flow]\nmax_workers = 2\n'
          'engine = serial\n')
    write('octavia-status.conf', '[task_flow]\nmax_workers = 3\n')
    (tmp_path / '.octavia' / 'octavia.conf.d').mkdir()
    write('.octavia/octavia.conf.d/a.conf', '[task_flow]\n'
          'jobboard_expiration_time = 77\n')
    loaded = settings.load()
    assert loaded.arguments == ()
    conf = cfg.ConfigOpts()
    conf.register_opts(opts.task_flow_opts(), group='task_flow')
    conf([], project='octavia', prog='octavia-status')
    for name in ('max_workers', 'engine', 'jobboard_expiration_time'):
        assert loaded.get(name) == conf.task_flow[name]
    assert loaded.get('jobboard_expiration_time') == 77


@pytest.mark.parametrize('kind', ['file', 'dir'])
def test_what_is_not_there_is_a_usage_error(tmp_path, kind):
    path = str(tmp_path / 'none')
    with pytest.raises(settings.UsageError) as caught:
        settings.load([(kind, path)])
    assert path in str(caught.value)
    assert 'No such file or directory' in str(caught.value)


def test_what_is_no_file_is_a_usage_error(tmp_path, write):
    with pytest.raises(settings.UsageError, match='Is a directory'):
        settings.load([('file', str(tmp_path))])
    with pytest.raises(settings.UsageError, match='Not a directory'):
        settings.load([('dir', write('a.conf', ''))])
    (tmp_path / 'd').mkdir()
    (tmp_path / 'd' / 'a.conf').symlink_to(tmp_path / 'gone')
    with pytest.raises(settings.UsageError, match='No such file'):
        settings.load([('dir', str(tmp_path / 'd'))])


def test_the_environment_wins(write, monkeypatch):
    path = write('a.conf', '[task_flow]\nengine = serial\n')
    monkeypatch.setenv('OS_TASK_FLOW__ENGINE', 'parallel')
    monkeypatch.setenv('OS_TASK_FLOW__MAX_WORKERS', 'x')
    loaded = settings.load([('file', path)])
    assert loaded['engine'].value == 'parallel'
    assert loaded['engine'].origin == 'OS_TASK_FLOW__ENGINE'
    assert loaded['engine'].where['file'] is None
    assert loaded['max_workers'].error == 'value'
    [override, invalid] = config.mistakes(loaded)
    assert (override.id, override.file) == ('config.env-override', path)
    assert 'OS_TASK_FLOW__MAX_WORKERS' in invalid.message


def test_a_bad_value_blocks_its_reader_only(write):
    path = write('a.conf', '[task_flow]\nmax_workers = 0\n'
                 'jobboard_backend_password = $x\nengine = serial\n')
    loaded = settings.load([('file', path)])
    assert loaded['max_workers'].error == 'use'
    assert loaded['jobboard_backend_password'].error == 'substitution'
    assert loaded.get('engine') == 'serial'
    for name in ('max_workers', 'jobboard_backend_password'):
        with pytest.raises(findings.Blocked):
            loaded.get(name)


def test_a_file_that_does_not_parse_blocks_all(write):
    loaded = settings.load([('file', write('a.conf', 'nonsense\n'))])
    assert loaded.unreadable
    with pytest.raises(findings.Blocked):
        loaded.get('engine')
    assert loaded.own('deadline') == 20.0


@pytest.mark.parametrize('text,reason', [
    ('[api_settings]\nenabled_provider_drivers = ovn: OVN\n',
     'provider is not'),
    ('[task_flow]\njobboard_enabled = false\n', 'jobboard_enabled is false'),
])
def test_the_jobboard_is_not_always_there(write, text, reason):
    loaded = settings.load([('file', write('a.conf', text))])
    with pytest.raises(findings.NotApplicable, match=reason):
        loaded.require_jobboard()


@pytest.mark.parametrize('provider', ['amphora', 'amphorav2', 'octavia'])
def test_the_jobboard_is_there(write, provider):
    loaded = settings.load([('file', write(
        'a.conf', f'[api_settings]\nenabled_provider_drivers = {provider}: x'
        f'\n[task_flow]\njobboard_enabled = true\n'))])
    loaded.require_jobboard()


def test_substitution(write):
    loaded = settings.load([('file', write('a.conf', (
        '[DEFAULT]\nhost = one\n[database]\n'
        'connection = mysql+pymysql://o:pw@$host/octavia\n'
        '[own_section]\nname = two\n[task_flow]\n'
        'jobboard_backend_hosts = $host,${own_section.name}\n'
        'jobboard_redis_sentinel = $jobboard_backend_namespace\n'
        'jobboard_backend_password = $$1$x\n')))])
    assert loaded.get('jobboard_backend_hosts') == ['one', 'two']
    assert loaded.get('jobboard_redis_sentinel') == 'octavia_jobboard'
    assert '@one/' in loaded.get('connection', 'database')
    assert loaded['jobboard_backend_password'].error == 'substitution'


@pytest.fixture
def served(tmp_path):
    """Serve a directory, as a config source does; return its address."""
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(
        ('127.0.0.1', 0), functools.partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f'http://127.0.0.1:{server.server_port}'
    server.shutdown()
    thread.join()
    server.server_close()


def from_source(write, address):
    return settings.load([('file', write('octavia.conf', (
        f'[DEFAULT]\nconfig_source = vault\n[vault]\ndriver = remote_file\n'
        f'uri = {address}/secret.conf\n[task_flow]\n'
        f'jobboard_enabled = true\njobboard_backend_hosts = 10.0.0.1\n')))])


def test_another_source_is_judged_and_named(write, served):
    write('secret.conf', '[task_flow]\njobboard_enabled = false\n'
          'persistence_connection = mysql+pymysql://o:c4nary@db\n'
          'jobboard_backend_port = 2379\n')
    loaded = from_source(write, served)
    assert loaded.get('jobboard_enabled') is True
    value = loaded['persistence_connection']
    assert (value.source, value.origin) == ('source', 'vault')
    url, port = config.mistakes(loaded)
    assert url.id == 'config.persistence-url'
    assert port.id == 'config.port-mismatch'
    for found in (url, port):
        assert 'config source vault' in found.message
        assert found.file is None
        assert 'c4nary' not in found.as_text()
    assert 'c4nary' in loaded.secrets()


def test_a_source_that_does_not_answer_is_one_finding(write, served):
    loaded = from_source(write, served)
    [found] = config.mistakes(loaded)
    assert (found.id, found.line) == ('config.invalid-value', 2)
    assert 'vault' in found.message
    with pytest.raises(findings.Blocked):
        loaded.get('persistence_connection')
    assert loaded.get('jobboard_enabled') is True
    assert loaded.own('deadline') == 20.0


def test_a_source_without_a_driver(write):
    loaded = settings.load([('file', write(
        'a.conf', '[DEFAULT]\nconfig_source = nowhere\n'))])
    [found] = config.mistakes(loaded)
    assert found.id == 'config.invalid-value'


def test_our_own_source_is_no_source(write):
    loaded = settings.load([('file', write('a.conf', (
        '[DEFAULT]\nconfig_source = octavia_v2_checks\n'
        '[octavia_v2_checks]\ndriver = octavia_v2_checks\n')))])
    assert not loaded.broken_sources
    assert list(config.mistakes(loaded)) == []


def test_secrets_of_every_file_and_every_form(write):
    first = write('a.conf', (
        '[task_flow]\njobboard_backend_password = first\n'
        'persistence_connection = mysql+pymysql://o:p%40ss@db/x?password=q\n'
        '[DEFAULT]\ntransport_url = rabbit://o:rabbitpw@mq\n'
        'jobboard_backend_password = lost\n'))
    second = write('b.conf', (
        '[task_flow]\njobboard_backend_password = se$$cond\n'
        'jobboard_zookeeper_ssl_options = keyfile_password:door\n'))
    secrets = settings.load([('file', first), ('file', second)]).secrets()
    assert {'first', 'p%40ss', 'p@ss', 'q', 'rabbitpw', 'lost', 'se$cond',
            'door'} <= secrets
    assert '' not in secrets


def test_excerpt(write):
    path = write('a.conf', '\n'.join([
        '[task_flow]', 'engine =\tserial', 'jobboard_backend_password = pw1',
        'jobboard_backend_pasword = pw2', '  pw3', '[task_flow',
        'jobboard_backend_password pw4', 'pw5',
        'jobboard_backend_hosts = redis://o:pw6@h?x=pw7',
        'jobboard_zookeeper_ssl_options = keyfile_pasword:pw8', '']))
    loaded = settings.load([('file', path)])
    assert [loaded.excerpt(path, n) for n in range(1, 11)] == [
        '[task_flow]', 'engine = serial', 'jobboard_backend_password = ***',
        'jobboard_backend_pasword = ***', '***', '[task_flow',
        'jobboard_backend_password ***', '***',
        'jobboard_backend_hosts = redis://***@h?***',
        'jobboard_zookeeper_ssl_options = ***']
    assert loaded.excerpt(path, 0) is None
    assert loaded.excerpt(path, 99) is None
    assert loaded.excerpt('/other', 1) is None
    assert loaded.excerpt(None, None) is None


def test_the_names_of_default_are_octavias():
    """What $name may refer to is what Octavia registers in [DEFAULT]."""
    from octavia import opts as octavia_opts
    from oslo_log import _options as log_options

    from octavia_v2_checks.settings import reader
    registered = {o.dest for group, options in octavia_opts.list_opts()
                  if group == 'DEFAULT' for o in options}
    registered |= {o.dest for _, options in log_options.list_opts()
                   for o in options}
    assert registered <= reader._DEFAULT_NAMES


@pytest.mark.parametrize('line', [
    'jobboard_backend_port = {}', 'jobboard_enabled = {}', 'engine = {}',
    'jobboard_backend_driver = {}', 'jobboard_expiration_time = {}',
    'jobboard_backend_hosts = {}', 'jobboard_backend_port = 63{}',
    '[octavia_v2_checks]\nfail_level = {}',
    '[octavia_v2_checks]\ndeadline = {}'])
def test_a_password_in_the_wrong_place(tmp_path, capsys, line):
    password = 'S3cret!pass  word'
    path = tmp_path / 'octavia.conf'
    path.write_text(f'[task_flow]\n{line.format(password)}\n')
    for command in (['validate'], ['validate', '--format', 'json'],
                    ['validate', '--format', 'sarif'],
                    ['upgrade', 'check', '--offline', '--json']):
        code = cli.main(['--config-file', str(path), *command])
        printed = ''.join(capsys.readouterr())
        assert 'S3cret' not in printed
        assert 'pass' not in printed.replace('password', '')
        assert code and 'octavia.conf' in printed


@pytest.mark.parametrize('line', [
    'jobboard_backend_port = 99999', 'jobboard_expiration_time = 30s',
    'jobboard_enabled = enabled', 'engine = paralel', 'max_workers = none',
    'jobboard_backend_driver = redis'])
def test_a_slip_is_shown(tmp_path, capsys, line):
    path = tmp_path / 'octavia.conf'
    path.write_text(f'[task_flow]\n{line}\n')
    assert cli.main(['validate', str(path)]) == 2
    assert f'[task_flow] {line} is' in capsys.readouterr().out

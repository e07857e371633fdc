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

"""No password is shown: in no format, log or traceback, healthy or not.

The passwords are of pieces that can be told in any text, whatever is done to
the characters between them.
"""

import concurrent.futures
import json
import logging
import pathlib
from urllib import parse

import pytest

from octavia_v2_checks import cli
from octavia_v2_checks import engine
from octavia_v2_checks import plugins
from tests import cells
from tests import commands
from tests.servers import redis as redis_server
from tests.servers import scripts
from tests.servers import zookeeper as zookeeper_server

SECRET = cells.UNICODE
WRITTEN = cells.written(SECRET)
QUOTED = parse.quote(SECRET, safe='')
HEAR_SAY = SECRET.encode()


@pytest.fixture(scope='module')
def system(mariadb, tmp_path_factory):
    """A healthy system with a secret wherever one may be."""
    with redis_server.Redis(save=('3600', '1')) as redis:
        redis.command('ACL', 'SETUSER', 'octavia', 'on', f'>{SECRET}', '~*',
                      '&*', '+@all')
        made = cells.System(tmp_path_factory.mktemp('secrets'), mariadb,
                            redis)
        made.options |= {'jobboard_backend_username': 'octavia',
                         'jobboard_backend_password': WRITTEN}
        yield made


def quiet(outcome, *codes):
    """A run that ended as it should and shows no secret."""
    assert outcome.code in codes, outcome.text
    assert cells.leaks(outcome.text) == []
    return outcome


def own(config, *args):
    return cells.launch(commands.script('octavia-v2-checks'), '--debug',
                        '--config-file', str(config), *args)


def formats():
    return [p.entry.name for p in plugins.find('octavia_v2_checks.reports')]


@pytest.mark.parametrize('form', formats())
def test_healthy(system, form, tmp_path):
    report = tmp_path / 'report'
    quiet(own(system.config(), 'upgrade', 'check', '--format', form,
              '--output', str(report)), 0)
    assert cells.leaks(report.read_text()) == []


@pytest.mark.parametrize('form', ['table', 'json', 'sarif'])
def test_validate(system, form):
    quiet(own(system.config(), 'validate', '--format', form), 0)


def test_healthy_in_the_stock_command(system):
    """It logs every option at DEBUG, if the operator wants that."""
    config = system.config({'DEFAULT': {'debug': True}})
    done = commands.status(config, hook=True)
    assert done.returncode == 0, done.stdout
    assert cells.leaks(done.stdout + done.stderr) == []


def mysql_error(text):
    packet = b'\xff\x15\x04#28000' + text
    return len(packet).to_bytes(3, 'little') + b'\0' + packet


def postgres_error(text):
    fields = b'SFATAL\0C28P01\0M' + text + b'\0\0'
    return b'E' + (len(fields) + 4).to_bytes(4, 'big') + fields


#: Databases that repeat the password in what they say, and the URL's start.
TELLTALE_DATABASES = {
    'refused login': (lambda: scripts.Greet(mysql_error(HEAR_SAY)),
                      'mysql+pymysql'),
    'nonsense': (lambda: scripts.Greet(HEAR_SAY), 'mysql+pymysql'),
    'psycopg2': (lambda: scripts.Answer(postgres_error(HEAR_SAY)),
                 'postgresql+psycopg2'),
    'psycopg': (lambda: scripts.Answer(postgres_error(HEAR_SAY)),
                'postgresql+psycopg'),
    'psycopg nonsense': (lambda: scripts.Answer(HEAR_SAY),
                         'postgresql+psycopg'),
}

SENTINEL = {'jobboard_redis_sentinel': 'jobs',
            'jobboard_redis_sentinel_username': 'octavia',
            'jobboard_redis_sentinel_password': WRITTEN}
ZOOKEEPER = {'jobboard_backend_driver': 'zookeeper_taskflow_driver'}
ETCD = {'jobboard_backend_driver': 'etcd_taskflow_driver'}

#: The same of jobboards, and their options.
TELLTALE_BOARDS = {
    'error': (lambda: scripts.Answer(b'-ERR ' + HEAR_SAY + b'\r\n'), {}),
    'login': (lambda: scripts.Answer(b'-WRONGPASS ' + HEAR_SAY + b'\r\n'),
              {}),
    'sentinel': (lambda: scripts.Answer(b'-' + HEAR_SAY + b'\r\n'), SENTINEL),
    'zookeeper': (lambda: scripts.Answer(HEAR_SAY), ZOOKEEPER),
    'etcd': (lambda: scripts.Http(json.dumps(
        {'error': SECRET, 'code': 16}).encode(), '500 ' + SECRET.replace(
            'ä', '')), ETCD),
}


@pytest.mark.parametrize('database, board', list(zip(
    TELLTALE_DATABASES, TELLTALE_BOARDS, strict=True)))
def test_servers_that_repeat_what_they_hear(system, database, board):
    script, dialect = TELLTALE_DATABASES[database]
    other, options = TELLTALE_BOARDS[board]
    with script() as one, other() as two:
        url = f'{dialect}://octavia:{QUOTED}@{one.host}:{one.port}/p'
        config = system.config({'DEFAULT': {'debug': True},
                                'database': {'connection': url}},
                               persistence_connection=url,
                               jobboard_backend_hosts=two.host,
                               jobboard_backend_port=two.port, **options)
        everywhere(config, one, two)


def everywhere(config, *servers):
    """Both doors, for people and for machines."""
    short = ('--probe-timeout', '2', '--deadline', '10')
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        runs = [pool.submit(own, config, 'upgrade', 'check', '--format', form,
                            *short) for form in ('table', 'json')]
        done = commands.status(config, hook=True)
        assert done.returncode == 2, done.stdout
        assert cells.leaks(done.stdout + done.stderr) == []
        for run in runs:
            outcome = quiet(run.result(), 2)
            for server in servers:
                assert f'{server.host}:{server.port}' in outcome.stdout


def test_wrong_passwords(system, mariadb, redis, postgres):
    """The servers are real; what they know is another password."""
    redis.command('ACL', 'SETUSER', 'secretive', 'on', '>other-one', '+@all')
    postgres.execute("CREATE ROLE secretive LOGIN PASSWORD 'other-one'")
    config = system.config(
        persistence_connection=f'postgresql+psycopg2://secretive:{QUOTED}@'
                               f'{postgres.host}:{postgres.port}/postgres',
        jobboard_backend_hosts=redis.host, jobboard_backend_port=redis.port,
        jobboard_backend_username='secretive')
    everywhere(config, postgres, redis)
    config = system.config(
        {'database': {'connection': mariadb.url('nobody', SECRET, 'octavia')}},
        persistence_connection=mariadb.url('nobody', SECRET, 'p'))
    outcome = quiet(own(config, 'upgrade', 'check', '--json'), 2)
    assert 'persistence.access-denied' in outcome.ids


def test_wrong_password_of_sentinels(system):
    with (redis_server.Redis() as master,
          redis_server.Sentinel('jobs', master) as sentinel):
        sentinel.command('ACL', 'SETUSER', 'default', 'off')
        sentinel.command('ACL', 'SETUSER', 'octavia', 'on', '>other-one')
        outcome = quiet(own(system.config(
            jobboard_backend_hosts=sentinel.host,
            jobboard_backend_port=sentinel.port, **SENTINEL),
            'upgrade', 'check', '--json'), 2)
    assert 'jobboard.access-denied' in outcome.ids


@pytest.mark.parametrize('password, codes', [
    (SECRET, (0, 2)), ('x' + SECRET, (2,))], ids=['right', 'wrong'])
def test_password_of_a_key(system, authority, monkeypatch, password, codes):
    client = authority.client('secretive', password=SECRET)
    with zookeeper_server.ZooKeeper(
            tls=authority.server('secretive-server'), client_ca=authority.cert,
            admin_certificate=authority.client('secretive-admin')) as server:
        config = system.config(
            jobboard_backend_hosts=server.host,
            jobboard_backend_port=server.port,
            jobboard_backend_password=None, jobboard_backend_username=None,
            jobboard_zookeeper_ssl_options={
                'use_ssl': True, 'certfile': client.cert,
                'keyfile': client.key,
                'keyfile_password': cells.written(password)}, **ZOOKEEPER)
        outcome = quiet(cells.check(config, SSL_CERT_FILE=authority.cert),
                        *codes)
        for form in ('table', 'json', 'sarif'):
            outcome = quiet(own(config, 'validate', '--format', form), 0, 2)
        for line in pathlib.Path(client.key).read_text().split('\n')[1:3]:
            assert line and line not in outcome.text


URL = 'mysql+pymysql://octavia:'

#: Lines of a [task_flow] with a secret where, or in a way, it must not be.
LINES = {
    'not encoded': f'persistence_connection = {URL}{WRITTEN}@127.0.0.1:1/p',
    'not encoded for PostgreSQL': f'persistence_connection = postgresql+'
                                  f'psycopg2://octavia:{WRITTEN}@127.0.0.1:1/p',
    'no scheme': f'persistence_connection = octavia:{WRITTEN}@127.0.0.1:1/p',
    'no PyMySQL could send it': f'persistence_connection = {URL}{QUOTED}'
                                f'%E2%82%AC@127.0.0.1:1/p',
    'misspelt URL': f'persistence_conection = {URL}{QUOTED}@127.0.0.1:1/p',
    'misspelt password': f'jobboard_backend_pasword = {WRITTEN}',
    'substitution': f'jobboard_backend_password = {SECRET}',
    'substitution in the URL': f'persistence_connection = {URL}{SECRET}@'
                               f'127.0.0.1:1/p',
    'parameter': f'persistence_connection = {URL}@127.0.0.1:1/p?password='
                 f'{QUOTED}&passwd={QUOTED}&foo=1',
    'two parameters': f'persistence_connection = postgresql+psycopg2://o@'
                      f'127.0.0.1:1/p?password={QUOTED}&sslpassword={QUOTED}',
    'half quoted': f'jobboard_backend_password = "{WRITTEN}',
    'no equals sign': f'jobboard_backend_password {WRITTEN}',
    'indented': f'  jobboard_backend_password = {WRITTEN}',
    'continued': f'jobboard_backend_password = abc\n  {WRITTEN}',
    'torn': 'jobboard_backend_password = abc\n' + WRITTEN.replace(':', '\n'),
    'comment': f'jobboard_backend_password = {WRITTEN} # mine',
    'URL as host': f'jobboard_backend_hosts = redis://:{WRITTEN}@h',
    'login as host': f'jobboard_backend_hosts = :{WRITTEN}@h',
    'of a key': f'jobboard_zookeeper_ssl_options = use_ssl:True,'
                f'keyfile_password:{WRITTEN}',
    'of no key': f'jobboard_redis_backend_ssl_options = ssl:True,'
                 f'password:{WRITTEN}',
    'twice': f'jobboard_backend_password = {WRITTEN}\n'
             f'jobboard_backend_password = x{WRITTEN}',
    'other section': f'[taskflow]\njobboard_backend_password = {WRITTEN}\n'
                     f'persistence_connection = {URL}{QUOTED}@127.0.0.1:1/p',
    'Octavia\'s database': f'[database]\nconnection = {URL}{QUOTED}@'
                           f'127.0.0.1:1/p',
    'not encoded in Octavia\'s': f'[database]\nconnection = {URL}{WRITTEN}@'
                                 f'127.0.0.1:1/p',
    'messages': f'[DEFAULT]\ntransport_url = rabbit://u:{WRITTEN}@h',
}

COMMANDS = [('upgrade', 'check', '--json'), ('upgrade', 'check'),
            ('validate',), ('validate', '--format', 'json'),
            ('validate', '--format', 'sarif')]


@pytest.fixture
def main(capfd):
    """Run the command in this process; its exit code and all it says."""
    def run(*args):
        before = list(cli.LOG.handlers)
        try:
            code = cli.main(['--debug', *args])
        finally:
            cli.LOG.handlers = before
            cli.LOG.setLevel(logging.NOTSET)
        return code, ''.join(capfd.readouterr())

    return run


HEAD = ('[api_settings]\nenabled_provider_drivers = amphora:x\n'
        '[task_flow]\njobboard_enabled = true\njobboard_backend_port = 1\n')


@pytest.mark.parametrize('name', LINES)
@pytest.mark.parametrize('encoding', ['utf-8', 'latin-1'])
def test_broken_configuration(tmp_path, main, name, encoding):
    """Latin-1 does not parse, which is one more way to go wrong."""
    path = tmp_path / 'octavia.conf'
    path.write_text(f'{HEAD}{LINES[name]}\n', encoding=encoding)
    in_all_commands(main, path)


def in_all_commands(main, path):
    for command in COMMANDS:
        code, text = main('--config-file', str(path), *command)
        assert code in (0, 1, 2), text
        assert cells.leaks(text) == []


@pytest.mark.parametrize('variable', [
    'OS_TASK_FLOW__JOBBOARD_BACKEND_PASSWORD',
    'OS_TASK_FLOW__JOBBOARD_BACKEND_PASWORD',
    'OS_TASK_FLOW__PERSISTENCE_CONNECTION',
    'OS_DATABASE__CONNECTION'])
@pytest.mark.parametrize('value', [
    SECRET, WRITTEN, f'mysql+pymysql://o:{QUOTED}@127.0.0.1:1/p',
    f'mysql+pymysql://o:{SECRET}@127.0.0.1:1/p'],
    ids=['substitution', 'plain', 'URL', 'torn URL'])
def test_environment(tmp_path, main, monkeypatch, variable, value):
    path = tmp_path / 'octavia.conf'
    path.write_text(HEAD)
    monkeypatch.setenv(variable, value)
    in_all_commands(main, path)


@pytest.mark.parametrize('assignment', [
    f'jobboard_backend_pasword={SECRET}', SECRET,
    f'persistence_connection={SECRET}',
    f'persistence_connection=mysql+pymysql://octavia:{SECRET}@h/p',
    f'jobboard_redis_sentinel_pasword={SECRET}'],
    ids=['misspelt', 'no option', 'no URL', 'torn URL', 'sentinel'])
def test_mistakes_in_a_sample(main, assignment):
    """What goes into the sample is shown there; a mistake is not."""
    code, text = main('sample', '--backend', 'redis', '--set', assignment)
    if code:
        assert cells.leaks(text) == []
    else:
        assert 'persistence_connection' in text


def test_sample_in_a_file(main, tmp_path):
    path = tmp_path / 'sample.conf'
    code, text = main('sample', '--backend', 'redis', '--provision', '--set',
                      f'jobboard_backend_password={SECRET}', '--output',
                      str(path))
    assert code == 0 and cells.leaks(text) == []
    assert WRITTEN in path.read_text()


TELLTALE = """
from octavia_v2_checks import findings
def check(settings, deadline):
    password = settings.get('jobboard_backend_password')
    yield f'It is {password!r}.'
    yield findings.Finding(
        'telltale.password', findings.Severity.WARNING,
        f'The password is {password}.', f'Change {password}!',
        host=f'redis://:{password}@h')
    try:
        raise ValueError(password)
    except ValueError as exc:
        raise RuntimeError(f'{password} is no password') from exc
"""


@pytest.fixture
def telltale(tmp_path):
    """A third-party check that tells all it knows, and crashes."""
    (tmp_path / 'telltale.py').write_text(TELLTALE)
    metadata = tmp_path / 'telltale-1.dist-info'
    metadata.mkdir()
    (metadata / 'METADATA').write_text(
        'Metadata-Version: 2.1\nName: telltale\nVersion: 1\n')
    (metadata / 'entry_points.txt').write_text(
        '[octavia_v2_checks.checks]\ntelltale = telltale:check\n')
    return {'PYTHONPATH': str(tmp_path)}


@pytest.mark.parametrize('form', formats())
def test_crash_of_a_check(system, telltale, form):
    outcome = quiet(cells.launch(
        commands.script('octavia-v2-checks'), '--debug', '--config-file',
        str(system.config()), 'upgrade', 'check', '--format', form,
        **telltale), 2)
    assert 'RuntimeError' in outcome.stderr  # the traceback is there
    assert 'telltale' in outcome.stdout


def test_crash_of_a_check_in_the_stock_command(system, telltale):
    config = system.config({'DEFAULT': {'debug': True}})
    done = commands.status(config, hook=True, **telltale)
    assert done.returncode == 2
    assert 'telltale.password' in done.stdout
    assert cells.leaks(done.stdout + done.stderr) == []


def test_crash_of_the_command(system, main, monkeypatch):
    def run(*args):
        raise RuntimeError(SECRET)

    monkeypatch.setattr(engine, 'run', run)
    code, text = main('--config-file', str(system.config()), 'upgrade',
                      'check')
    assert code == 255
    assert 'RuntimeError' in text and cells.leaks(text) == []


def test_the_pieces_are_seen():
    """What all the tests above rest on."""
    for text in (SECRET, QUOTED, repr(SECRET), json.dumps(SECRET)):
        assert len(cells.leaks(text)) == 9
    assert cells.leaks('Kanari') == []

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

"""The sample: what it prints, what it refuses, and what it never prints."""

import os
import re
import stat

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from oslo_config import cfg
import pytest

from octavia_v2_checks import cli
from octavia_v2_checks import opts
from octavia_v2_checks import sample
from octavia_v2_checks import settings
from octavia_v2_checks.checks import config
from tests import commands

JOBBOARDS = [name for name in sample.BACKENDS if name != 'none']
SECRET = 'k4n@ry:/9%41$a#'


def values(text, path, options=None):
    """What oslo.config itself reads from a sample."""
    path.write_text(text)
    conf = cfg.ConfigOpts()
    conf.register_opts(options or opts.task_flow_opts(), group='task_flow')
    conf(['--config-file', str(path)], project='octavia', use_env=False)
    return conf.task_flow


def octavia_options():
    from octavia.common import config as octavia_config
    return octavia_config.task_flow_opts


def assignments(text):
    return dict(re.findall(r'^(\w+) = (.*)$', text, re.M))


def statements(text):
    return re.findall(r'^#     (.*)$', text, re.M)


@pytest.mark.parametrize('provision', [False, True])
@pytest.mark.parametrize('backend', sample.BACKENDS)
def test_nothing_is_found_in_it(backend, provision, tmp_path):
    path = tmp_path / 'octavia.conf'
    path.write_text(sample.render(backend, (), provision))
    assert list(config.mistakes(settings.load([('file', str(path))]))) == []
    done = commands.run(
        'oslo-config-validator', '--namespace', 'octavia_v2_checks.task_flow',
        '--input-file', str(path))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize('backend', sample.BACKENDS)
def test_octavia_reads_every_line(backend, tmp_path):
    text = sample.render(backend)
    read = values(text, tmp_path / 'o.conf', octavia_options())
    assert read.jobboard_enabled is (backend != 'none')
    for name in assignments(text):
        assert read[name] is not None


@pytest.mark.parametrize('backend, driver, port, more', [
    ('redis', 'redis_taskflow_driver', 6379, set()),
    ('redis-sentinel', 'redis_taskflow_driver', 26379,
     {'jobboard_redis_sentinel', 'jobboard_redis_sentinel_password'}),
    ('zookeeper', 'zookeeper_taskflow_driver', 2181, None),
    ('etcd', 'etcd_taskflow_driver', 2379, None)])
def test_only_the_options_that_matter(backend, driver, port, more, tmp_path):
    text = sample.render(backend)
    read = values(text, tmp_path / 'o.conf')
    assert read.jobboard_backend_driver == driver
    assert read.jobboard_backend_port == port
    names = set(assignments(text))
    if backend != 'zookeeper':
        assert read.jobboard_expiration_time == 100
    else:
        assert 'jobboard_expiration_time' not in names
    login = {'jobboard_backend_username', 'jobboard_backend_password'}
    if more is None:
        assert not names & login
        assert not any('redis' in name for name in names)
    else:
        assert login < names
        assert {n for n in names if 'redis' in n} == more


def test_none_is_the_switch_alone():
    text = sample.render('none', (), True)
    assert assignments(text) == {'jobboard_enabled': 'false'}
    assert not statements(text)


def test_passwords_are_new_every_time():
    seen = set()
    for backend in ('redis', 'redis-sentinel', 'redis-sentinel'):
        found = assignments(sample.render(backend))
        url = found['persistence_connection']
        some = [re.search(r':(\w{32})@', url)[1], *(
            value for name, value in found.items() if 'password' in name)]
        assert all(re.fullmatch('[A-Za-z0-9]{32}', one) for one in some)
        assert not seen & set(some)
        seen |= set(some)
    assert len(seen) == 8


def test_options_stand_in_the_order_of_the_schema():
    names = list(assignments(sample.render('redis-sentinel', [
        'max_workers=3', 'engine=serial'])))
    assert names == [n for n in opts.SINCE if n in names]
    assert names[:2] == ['engine', 'max_workers']


def test_every_value_can_be_set(tmp_path):
    given_here = {
        'engine': 'serial', 'max_workers': '7',
        'persistence_connection': 'postgresql+psycopg2://o%40:p%25w@db/p',
        'jobboard_backend_hosts': '10.0.0.1,10.0.0.2',
        'jobboard_backend_port': '26380', 'jobboard_redis_sentinel': 'kolla',
        'jobboard_backend_username': 'u$er', 'jobboard_redis_backend_db': '3',
        'jobboard_backend_password': SECRET,
        'jobboard_redis_sentinel_username': 's',
        'jobboard_redis_sentinel_password': '"quoted"',
        'jobboard_backend_namespace': 'cloud-1',
        'jobboard_expiration_time': '60', 'jobboard_save_logbook': 'true'}
    text = sample.render('redis-sentinel', [
        f'{name}={value}' for name, value in given_here.items()], True)
    read = values(text, tmp_path / 'o.conf')
    assert read.jobboard_backend_hosts == ['10.0.0.1', '10.0.0.2']
    for name, value in given_here.items():
        if name != 'jobboard_backend_hosts':
            assert str(read[name]).lower() == value.lower(), name
    assert 'jobboard_backend_password = ' + SECRET.replace('$', '$$') in text
    assert 'persistence_connection = postgresql+psycopg2://o%40:p%25w@db/p\n' \
        in text


@pytest.mark.parametrize('value', [
    '$', '$$', '\\$', '\\\\$x', '$name', '${name}', '"', "'", '""', "'a",
    '"a"', "a'", ' a ', '\\', 'a\\', '%', '%41', '=', '[a1]', '\u00e9',
    'a"b', '#a', ';a'])
def test_any_password_is_read_back(value, tmp_path):
    text = sample.render('redis', [f'jobboard_backend_password={value}'])
    for options in (None, octavia_options()):
        read = values(text, tmp_path / 'o.conf', options)
        assert read.jobboard_backend_password == value


@hypothesis_settings(max_examples=200, deadline=None)
@given(value=st.text(min_size=1))
def test_a_password_is_read_back_or_refused(value, tmp_path_factory):
    value += SECRET
    try:
        text = sample.render('redis', [f'jobboard_backend_password={value}'],
                             True)
    except settings.UsageError as exc:
        assert 'jobboard_backend_password' in exc.args[0]
        assert SECRET not in exc.args[0]
        return
    read = values(text, tmp_path_factory.mktemp('any') / 'o.conf')
    assert read.jobboard_backend_password == value
    assert set(assignments(text)) == set(assignments(sample.render('redis')))


@pytest.mark.parametrize('name', ['jobboard_backend_username',
                                  'jobboard_backend_password',
                                  'jobboard_backend_namespace'])
def test_empty_leaves_the_line_out(name):
    assert name in sample.render('redis')
    assert f'\n{name} ' not in sample.render('redis', [f'{name}='])


def test_the_last_assignment_counts():
    text = sample.render('redis', ['max_workers=3', 'max_workers=4'])
    assert assignments(text)['max_workers'] == '4'


@pytest.mark.parametrize('backend, assignment, said', [
    ('redis', 'jobboard_backend_host=a', 'Did you mean '
                                         'jobboard_backend_hosts?'),
    ('redis', 'JOBBOARD-BACKEND-PORT=1', 'Did you mean '
                                         'jobboard_backend_port?'),
    ('redis', 'qqq=1', 'oslo-config-generator'),
    ('redis', 'jobboard_backend_port', 'OPTION=VALUE'),
    ('redis', 'jobboard_backend_port=99999', 'jobboard_backend_port = 99999'),
    ('redis', 'jobboard_backend_port=2181', 'ZooKeeper'),
    ('redis', 'jobboard_backend_hosts=a,b', 'only a is used'),
    ('redis', 'jobboard_enabled=false', 'contradicts --backend redis'),
    ('redis', 'jobboard_enabled=', 'contradicts --backend redis'),
    ('none', 'jobboard_enabled=true', 'contradicts --backend none'),
    ('etcd', 'jobboard_backend_driver=redis_taskflow_driver',
     'contradicts --backend etcd'),
    ('etcd', 'jobboard_backend_password=x', 'cannot authenticate'),
    ('zookeeper', 'jobboard_redis_sentinel=x', 'no effect'),
    ('zookeeper', 'jobboard_backend_hosts=::1', 'Write [::1]'),
    ('redis', 'persistence_connection=', 'persistence_connection'),
    ('redis', 'persistence_connection=sqlite:////var/x', 'SQLite'),
    ('redis', 'jobboard_expiration_time=5', 'delayed'),
    ('redis', 'jobboard_redis_backend_ssl_options=ssl:maybe', 'ssl'),
    ('redis', 'max_workers=1\n[database]', 'cannot be printed'),
    ('redis', 'jobboard_backend_username=a\udcffb', 'cannot be printed'),
    ('redis', 'disable_revert=true', 'not reverted'),
])
def test_refused(backend, assignment, said):
    with pytest.raises(settings.UsageError) as caught:
        sample.render(backend, [assignment])
    assert said in caught.value.args[0]
    assert '\n' not in caught.value.args[0]


@pytest.mark.parametrize('assignment', [
    f'persistence_connection=octavia:{SECRET}@db/x',
    f'persistence_connection=mysql+pymsql://octavia:{SECRET}@db/x',
    f'persistence_connection=mysql+pymysql://octavia:{SECRET}@/x?a={SECRET}',
    f'jobboard_backend_password={SECRET}\n',
    f'jobboard_backend_password={SECRET} # mine',
    f'jobboard_backend_password:{SECRET}',
])
def test_refused_without_the_secret(assignment):
    with pytest.raises(settings.UsageError) as caught:
        sample.render('redis', [assignment])
    for piece in (SECRET, 'k4n', '9%41'):
        assert piece not in caught.value.args[0]


@pytest.mark.parametrize('url', [
    'mysql+pymysql://db/octavia_persistence',
    'mysql+pymysql://octavia@db/octavia_persistence',
    'mysql+pymysql://octavia:x%0Ay@db/octavia_persistence',
    'mysql+pymysql://octavia:x@db/?database=p'])
def test_provision_needs_to_know_the_account(url):
    sample.render('redis', [f'persistence_connection={url}'])
    with pytest.raises(settings.UsageError) as caught:
        sample.render('redis', [f'persistence_connection={url}'], True)
    assert '--provision' in caught.value.args[0]


def test_statements_have_no_line_of_their_own():
    """Whatever stands in a value: only comments follow the section."""
    text = sample.render('redis', [
        'persistence_connection=mysql+pymysql://a%27b:c%27%3B@db/d%60e',
        "jobboard_backend_password='; DROP"], True)
    after = text.partition('\n\n')[2].splitlines()
    assert after and all(line[:1] in ('#', '') for line in after)


def test_one_sql_form_for_mariadb_and_mysql():
    said = statements(sample.render('redis', [
        'persistence_connection=mysql+pymysql://o%27:p%5C%27@db/x%60y'],
        True))
    assert said[:3] == [
        'CREATE DATABASE IF NOT EXISTS `x``y`;',
        "CREATE USER IF NOT EXISTS 'o'''@'%' IDENTIFIED BY 'p\\\\''';",
        'GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, '
        "REFERENCES ON `x``y`.* TO 'o'''@'%';"]


@pytest.mark.parametrize('scheme, taskflow, library, helps', [
    ('mysql+pymysql', '6.0.0', '2.0.54', 'taskflow~=6.0.1'),
    ('postgresql', '5.6.1', '2.0.54', 'taskflow~=5.7.0'),
    ('postgresql', '6.0.0', '2.0.54', None),
    ('mysql+pymysql', '6.0.1', '2.0.54', None)])
def test_a_taskflow_that_cannot_migrate(older_client, scheme, taskflow,
                                        library, helps):
    older_client(taskflow, 'taskflow')
    older_client(library, 'SQLAlchemy')
    *before, migrate, _ = statements(sample.render('redis', [
        f'persistence_connection={scheme}://o:p@db/x'], True))
    assert migrate == 'octavia-db-manage upgrade_persistence'
    assert ('pip install' in before[-1]) == bool(helps)
    assert helps is None or helps in before[-1]


def test_an_octavia_without_acl_users(monkeypatch):
    """Before 14.0 there is the password of the server alone."""
    monkeypatch.setattr(config, '_installed', lambda: (13, 0))
    text = sample.render('redis-sentinel', (), True)
    names = assignments(text)
    assert 'jobboard_backend_password' in names
    assert 'jobboard_backend_username' not in names
    assert 'jobboard_redis_sentinel_password' not in names
    password = names['jobboard_backend_password']
    assert f'CONFIG SET requirepass {password}' in statements(text)
    with pytest.raises(settings.UsageError) as caught:
        sample.render('redis', ['jobboard_backend_username=octavia'])
    assert 'Octavia 14.0' in caught.value.args[0]
    with pytest.raises(settings.UsageError) as caught:
        sample.render('etcd')
    assert 'Octavia 16.0' in caught.value.args[0]


def test_command_line(capsys):
    assert cli.main(['sample', '--backend', 'redis', '--set',
                     'max_workers=3', '--provision']) == 0
    said = capsys.readouterr()
    assert said.out.startswith('[task_flow]\n') and not said.err
    assert '\nmax_workers = 3\n' in said.out
    assert '# --- Redis' in said.out


@pytest.mark.parametrize('arguments', [
    [], ['--backend', 'rediss'], ['--backend', 'redis', '--set', 'x=1']])
def test_usage_error(arguments, capsys):
    assert cli.main(['sample', *arguments]) == 64
    said = capsys.readouterr()
    assert not said.out
    assert len(said.err.splitlines()) == 1


def test_output_is_private_and_whole(tmp_path, capsys):
    path = tmp_path / 'octavia.conf'
    path.write_text('old')
    path.chmod(0o644)
    before = os.umask(0)
    try:
        code = cli.main(['sample', '--backend', 'redis', '--output',
                         str(path)])
    finally:
        os.umask(before)
    assert code == 0 and not capsys.readouterr().out
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().startswith('[task_flow]\n')
    assert os.listdir(tmp_path) == ['octavia.conf']


def test_output_stays_as_it_was_after_a_mistake(tmp_path):
    path = tmp_path / 'octavia.conf'
    path.write_text('old')
    assert cli.main(['sample', '--backend', 'redis', '--set',
                     'max_workers=0', '--output', str(path)]) == 64
    assert path.read_text() == 'old'
    assert cli.main(['sample', '--backend', 'redis', '--output',
                     str(tmp_path / 'no' / 'octavia.conf')]) == 255


def test_backends_on_the_command_line_are_all():
    with pytest.raises(SystemExit):
        cli.parser().parse_args(['sample', '--help'])
    for backend in sample.BACKENDS:
        args = cli.parser().parse_args(['sample', '--backend', backend])
        assert args.backend == backend

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
"""What an operator does, with whatever release of Octavia is installed.

``tox -e octavia14`` … ``octavia19`` run this file with each release and the
libraries of its time, which ``constraints`` holds. ``tools/support-table``
makes the documentation's table of what they leave behind.
"""

import json
import platform
import re

import pytest

from octavia_v2_checks.upstream import versions
from tests import boards
from tests import clients
from tests import commands
from tests import doors
from tests import octavia_board
from tests import probing
from tests.functional import test_provision
from tests.servers import redis as redis_server
from tests.servers import scripts

LOAD_BALANCER = octavia_board.LOAD_BALANCER


class Site(test_provision.Site):
    """A sample in use, with tables that this release itself has made."""

    def __init__(self, home, mariadb, redis):
        self.mariadb = mariadb
        self.redis = redis
        self.octavia = probing.name('octavia_')
        self.persistence = probing.name('octavia_persistence')
        super().__init__(
            home, 'redis', test_provision.url(
                mariadb, database=self.persistence),
            f'jobboard_backend_port={redis.port}')
        with self.config.open('a') as stream:
            stream.write(commands.config_text({
                'DEFAULT': {'transport_url': 'fake://'},
                'database': {
                    'connection': mariadb.url(database=self.octavia)}}))
        mariadb.execute(f'CREATE DATABASE {self.octavia}')
        commands.db_manage(self.config, 'upgrade', 'head')
        test_provision.mysql(mariadb, self)
        commands.db_manage(self.config, 'upgrade_persistence')
        test_provision.redis_cli(redis, self.statements('Redis'))

    def clear(self):
        """Take away what was in flight."""
        self.redis.command('FLUSHALL')
        self.mariadb.execute('DELETE FROM logbooks', self.persistence)


@pytest.fixture(scope='module')
def site(mariadb, tmp_path_factory):
    with redis_server.Redis() as redis:
        yield Site(tmp_path_factory.mktemp('home'), mariadb, redis)


@pytest.fixture(scope='module', autouse=True)
def environment(record_testsuite_property):
    """Tell the table with what this was run."""
    record_testsuite_property('python', platform.python_version())
    for name in ('octavia', 'taskflow', 'oslo.config', 'oslo.upgradecheck',
                 'SQLAlchemy', 'alembic'):
        record_testsuite_property(name, versions.installed(name))


def rows(done):
    document = json.loads(done.stdout.splitlines()[-1])
    return {row['check']: row for row in document['checks']}


def healthy(config):
    """See our rows pass in the stock command; their details."""
    done = commands.status(config, 'upgrade', 'check', '--json', hook=True)
    found = rows(done)
    assert list(found)[:len(doors.TITLES)] == list(doors.TITLES)
    assert {found[title]['result'] for title in doors.TITLES} == {0}, found
    assert 'AmphoraV2 Check' not in found
    # Up to Octavia 16, the stock row about the policy cannot run; it alone
    # fails.
    others = [row for title, row in found.items()
              if title not in doors.TITLES and row['result']]
    release, _ = versions.octavia_release(versions.installed('octavia'))
    assert len(others) == (1 if release < 17 else 0)
    assert all('NoSuchOptError' in row['details'] for row in others)
    assert done.returncode == (2 if others else 0)
    return ' '.join(str(row['details']) for row in found.values())


def test_healthy(site):
    details = healthy(site.config)
    # What the rows say when they have looked.
    for said in ('may SELECT, INSERT, UPDATE, DELETE', 'the newest',
                 'has every permission a', '0 jobs on the board',
                 'No load balancer of'):
        assert said in details


def test_uninitialised(site):
    site.mariadb.execute(f'DROP DATABASE {site.persistence}; '
                         f'CREATE DATABASE {site.persistence}')
    seen = doors.stock(site.config)
    assert seen.ids == {'migration.uninitialised'}
    doors.run_command(seen.remedies['migration.uninitialised'])
    assert probing.probe('migration', site.config) == []


def test_stuck_load_balancer(site):
    def sql(statements):
        return site.mariadb.execute(statements, site.octavia)

    sql(f"INSERT INTO load_balancer (id, provider, enabled, "
        f"provisioning_status, operating_status, created_at) VALUES "
        f"('{LOAD_BALANCER}', 'amphora', 1, 'PENDING_UPDATE', 'ONLINE', "
        f"'2020-01-01 00:00:00')")
    seen = doors.stock(site.config)
    assert seen.ids == {'resources.pending'}
    assert LOAD_BALANCER in seen.text
    statement, = re.findall(r'UPDATE .*?;', seen.remedies[
        'resources.pending'])
    sql(statement)
    assert probing.probe('resources', site.config) == []
    assert sql('SELECT provisioning_status FROM load_balancer') == [
        ('ERROR',)]


@pytest.mark.workers
def test_posted_job(site):
    """What this release's own API posts, this release can build."""
    octavia_board.post(site.config, {
        'factory': boards.LISTENER, 'store': {
            'listener': {'listener_id': octavia_board.LISTENER,
                         'loadbalancer_id': LOAD_BALANCER},
            'update_dict': {}, 'loadbalancer_id': LOAD_BALANCER}})
    seen = doors.stock(site.config)
    assert seen.ids == {'inflight.jobs-waiting'}
    assert LOAD_BALANCER in seen.text
    site.clear()
    assert probing.probe('inflight', site.config) == []


@pytest.mark.workers
def test_worker(site):
    """A worker of this release can do what the rows say it can."""
    done = site.work()
    assert done.stdout == 'done\n', done.stderr
    assert probing.ids(probing.probe('inflight', site.config)) == [
        'inflight.jobs-trashed']
    site.clear()


def test_drill(site):
    """Its own conductors, one of which dies."""
    text = site.config.read_text()
    try:
        site.config.write_text(re.sub(
            r'(jobboard_expiration_time = )\d+', r'\g<1>3', text))
        done = commands.checks('--config-file', str(site.config), 'drill',
                               '--yes', '--timeout', '120')
    finally:
        site.config.write_text(text)
    assert done.returncode == 0, done.stdout
    assert site.redis.command('KEYS *_drill_*') == []
    assert site.mariadb.execute('SELECT * FROM logbooks',
                                site.persistence) == []


def test_validate(site):
    def validate():
        return commands.checks('validate', '--format', 'json',
                               str(site.config))

    done = validate()
    assert json.loads(done.stdout)['findings'] == []
    assert done.returncode == 0
    text = site.config.read_text()
    try:
        site.config.write_text(text.replace('jobboard_enabled',
                                            'jobboard_enable'))
        done = validate()
        assert 'config.unknown-option' in {
            finding['id'] for finding in json.loads(done.stdout)['findings']}
        assert done.returncode == 2
    finally:
        site.config.write_text(text)


def test_list():
    done = commands.checks('list')
    assert 'resources.pending' in done.stdout
    assert (done.returncode, done.stderr) == (0, '')


def test_disabled_jobboard(write_config):
    assert 'nothing was contacted' in healthy(
        write_config(jobboard_enabled=False))


def test_faults(write_config):
    with scripts.Refuse() as nobody:
        config = write_config(
            jobboard_enabled=True, jobboard_backend_hosts=nobody.host,
            jobboard_backend_port=nobody.port,
            persistence_connection=f'mysql+pymysql://octavia:secret-4711@'
                                   f'{nobody.host}:{nobody.port}/p')
        done = commands.status(config, 'upgrade', 'check', '--json',
                               hook=True)
        found = rows(done)
        titles = {id_: title for title, id_ in doors.TITLES.items()}
        assert 'persistence.refused' in (
            found[titles['persistence']]['details'])
        assert 'jobboard.refused' in found[titles['jobboard']]['details']
        assert 'Not checked' in found[titles['migration']]['details']
        assert done.returncode == 2
        assert 'secret-4711' not in done.stdout + done.stderr


def test_table(write_config):
    done = commands.status(write_config(jobboard_enabled=False), hook=True)
    for title in doors.TITLES:
        assert f'Check: {title}' in done.stdout
    assert 'Traceback' not in done.stdout


@pytest.mark.parametrize('name', clients.REDIS_OPTIONS)
def test_what_becomes_of_the_options_for_redis(name, write_config):
    """We say of the worker's client what this release makes of it."""
    theirs, ours = clients.made(write_config(**clients.REDIS_OPTIONS[name]))
    assert theirs == ours

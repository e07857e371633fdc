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

"""The statements of ``sample --provision``, run on real servers as printed.

Then the code of Octavia uses the configuration, and the checks must be green.
"""

import pathlib
import re
import shlex
import subprocess
import sys

import pytest

from tests import commands
from tests import doors
from tests import probing
from tests.servers import etcd as etcd_server
from tests.servers import process
from tests.servers import redis as redis_server
from tests.servers import zookeeper as zookeeper_server

ROOT = pathlib.Path(__file__).parents[2]


def blocks(text):
    """The statements of each place."""
    found = {}
    for line in text.splitlines():
        if line.startswith('# --- '):
            place = found.setdefault(line[6:], [])
        elif line.startswith('#     '):
            place.append(line[6:])
    return found


class Site:
    """A sample in a separate ~/.octavia/octavia.conf, as printed."""

    def __init__(self, home, backend, *assignments):
        self.home = home
        self.config = home / '.octavia' / 'octavia.conf'
        self.config.parent.mkdir(parents=True, exist_ok=True)
        arguments = []
        for assignment in assignments:
            arguments += ['--set', assignment]
        done = commands.checks(
            'sample', '--backend', backend, '--provision', *arguments,
            '--output', str(self.config))
        assert (done.returncode, done.stdout, done.stderr) == (0, '', '')
        self.text = self.config.read_text()
        self.blocks = blocks(self.text)

    def statements(self, place):
        """The statements of the block whose heading begins so."""
        return next(lines for heading, lines in self.blocks.items()
                    if heading.startswith(place))

    def run(self, command):
        """Run a command of ours or Octavia's, as printed."""
        name, *arguments = shlex.split(command)
        return commands.run(name, *arguments, HOME=str(self.home))

    def work(self):
        """Let Octavia's own code use the jobboard."""
        return commands.ended(
            [sys.executable, '-m', 'tests.octavia_worker', str(self.config)],
            commands.environment(), cwd=ROOT)

    def finish(self):
        """Run the last block, and see that everything is well."""
        *first, last = self.statements('Any one controller')
        for command in first:
            done = self.run(command)
            assert done.returncode == 0, done.stdout + done.stderr
        assert last == 'octavia-v2-checks upgrade check'
        assert self.check() == set()
        done = self.work()
        assert done.stdout == 'done\n', done.stderr
        # The one thing that Octavia leaves behind here.
        assert self.look().ids <= {'inflight.jobs-trashed'}

    def look(self):
        """What our command finds, in rows that are not to fail."""
        seen = doors.Verdict(self.run(
            'octavia-v2-checks upgrade check --json'))
        assert {'persistence', 'migration', 'jobboard'} <= set(seen.rows)
        assert seen.code == int(bool(seen.ids)), seen.text
        return seen

    def check(self):
        """What both front doors find."""
        seen = self.look()
        stock = doors.stock(self.config)
        assert stock.ids == seen.ids, stock.text
        return seen.ids


@pytest.fixture
def site(tmp_path):
    def make(backend, *assignments):
        return Site(tmp_path, backend, *assignments)
    return make


def feed(*command, statements):
    """Give an administrator's program its statements on stdin."""
    text = ''.join(f'{statement}\n' for statement in statements)
    done = subprocess.run(
        [process.find(command[0]), *command[1:]], input=text, text=True,
        capture_output=True, cwd='/', timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def mysql(server, site):
    feed('mariadb', '--no-defaults', f'--socket={server.socket}',
         '--user=root', statements=site.statements('MariaDB'))


def redis_cli(server, statements):
    said = feed('redis-cli', '-s', server.socket, statements=statements)
    assert said.split() == ['OK'] * len(statements), said


def append(server, lines):
    """Add lines to a server's configuration file, and restart it."""
    server.stop()
    with server.config.open('a') as stream:
        stream.writelines(f'{line}\n' for line in lines)
    server.start()


def url(server, password='x7Qp', user=None, database=None):
    """The URL of an account that no other test uses."""
    return 'persistence_connection=' + server.url(
        user or probing.name('octavia_taskflow'), password,
        database or probing.name('octavia_persistence'))


@pytest.fixture
def own_redis():
    """A Redis as installed: it keeps nothing that one does not ask for."""
    with redis_server.Redis() as server:
        yield server


def test_redis(site, mariadb, own_redis):
    spot = site('redis', url(mariadb), f'jobboard_backend_port='
                f'{own_redis.port}')
    mysql(mariadb, spot)
    redis_cli(own_redis, spot.statements('Redis'))
    spot.finish()
    own_redis.restart()
    assert spot.check() <= {'inflight.jobs-trashed'}


def test_hostile_secrets(site, mariadb, own_redis):
    """Whatever the passwords hold, every place gets the same."""
    account = probing.name('octavia') + "'`\""
    base = probing.name('octavia_persistence') + '`\''
    spot = site(
        'redis', url(mariadb, probing.PASSWORD + '#;\\', account, base),
        f'jobboard_backend_port={own_redis.port}',
        'jobboard_backend_namespace=a*[b]?\\c',
        'jobboard_backend_username=octavia"\'#',
        f'jobboard_backend_password=\\ "\' {probing.PASSWORD};#\\',
        'jobboard_redis_backend_db=1')
    mysql(mariadb, spot)
    redis_cli(own_redis, spot.statements('Redis'))
    spot.finish()


def test_redis_with_a_password_only(site, mariadb, own_redis):
    spot = site('redis', url(mariadb), 'jobboard_backend_username=',
                f'jobboard_backend_port={own_redis.port}')
    mysql(mariadb, spot)
    redis_cli(own_redis, spot.statements('Redis'))
    spot.finish()


def test_redis_without_a_login(site, mariadb, own_redis):
    spot = site('redis', url(mariadb), 'jobboard_backend_username=',
                'jobboard_backend_password=',
                f'jobboard_backend_port={own_redis.port}')
    mysql(mariadb, spot)
    redis_cli(own_redis, spot.statements('Redis'))
    spot.finish()


def test_redis_account_has_nothing_to_spare(site, mariadb, own_redis):
    """Without any one of these, Octavia fails somewhere on the way."""
    spot = site('redis', url(mariadb), 'jobboard_backend_namespace=jobs',
                f'jobboard_backend_port={own_redis.port}')
    mysql(mariadb, spot)
    account, *_ = spot.statements('Redis')
    done = spot.run('octavia-db-manage upgrade_persistence')
    assert done.returncode == 0

    def work():
        # Scripts that were loaded once need not be loaded again.
        own_redis.command('SCRIPT FLUSH')
        own_redis.command('FLUSHALL')
        return spot.work().returncode

    for less in ('+script|load', '+pttl', '+watch', '+hdel', '+incrby',
                 '~jobs:*'):
        assert f' {less}' in account
        redis_cli(own_redis, [re.sub(rf' {re.escape(less)}(?= |$)', '',
                                     account)])
        assert work() != 0, less
        seen = doors.own(spot.config, '--only', 'jobboard')
        assert seen.ids == {'jobboard.missing-permission'}, less
    redis_cli(own_redis, [account])
    assert work() == 0


@pytest.mark.parametrize('user', ['', 'octavia-sentinel'])
def test_sentinel(site, mariadb, own_redis, user):
    with redis_server.Sentinel('mymaster', own_redis) as watcher:
        spot = site(
            'redis-sentinel', url(mariadb),
            f'jobboard_redis_sentinel_username={user}',
            f'jobboard_backend_port={watcher.port}')
        mysql(mariadb, spot)
        redis_cli(own_redis, spot.statements('Every Redis'))
        append(watcher, spot.statements('sentinel.conf'))
        spot.finish()


def test_postgresql(site, postgres, own_redis):
    spot = site('redis', url(postgres, probing.PASSWORD + '\\',
                             probing.name('octavia"\'')),
                f'jobboard_backend_port={own_redis.port}')
    feed('psql', '--no-psqlrc', '--quiet', '--set=ON_ERROR_STOP=1',
         f'--host={postgres.dir}', f'--port={postgres.port}',
         '--username=postgres', statements=spot.statements('PostgreSQL'))
    redis_cli(own_redis, spot.statements('Redis'))
    spot.finish()


def test_the_account_in_sql_may_do_exactly_what_is_needed(site, mariadb):
    user = probing.name('octavia_taskflow')
    base = probing.name('octavia_persistence')
    spot = site('zookeeper', url(mariadb, user=user, database=base))
    mysql(mariadb, spot)
    granted = {row[0] for row in mariadb.execute(
        f'SELECT privilege_type FROM information_schema.schema_privileges '
        f"WHERE grantee = '''{user}''@''%''' AND table_schema = '{base}'")}
    assert granted == {
        'SELECT', 'INSERT', 'UPDATE', 'DELETE', 'CREATE', 'ALTER', 'DROP',
        'INDEX', 'REFERENCES'}
    everywhere = mariadb.execute(
        f'SELECT privilege_type FROM information_schema.user_privileges '
        f"WHERE grantee = '''{user}''@''%'''")
    assert everywhere == [('USAGE',)]


def test_statements_can_be_run_twice(site, mariadb, own_redis):
    spot = site('redis', url(mariadb), f'jobboard_backend_port='
                f'{own_redis.port}')
    for _ in range(2):
        mysql(mariadb, spot)
        redis_cli(own_redis, spot.statements('Redis'))
    spot.finish()


def zk_cli(server, statements):
    """Run statements as the administrator of :func:`close`."""
    feed('/usr/share/zookeeper/bin/zkCli.sh', '-server',
         f'{server.host}:{server.port}',
         statements=['addauth digest admin:secret', *statements])


def close(server):
    """Let nobody but an administrator create nodes below /."""
    from kazoo import security
    client = server.client()
    try:
        client.add_auth('digest', 'admin:secret')
        client.set_acls('/', [
            security.make_digest_acl('admin', 'secret', all=True),
            security.make_acl('world', 'anyone', read=True)])
    finally:
        client.stop()
        client.close()


@pytest.mark.parametrize('is_closed', [False, True])
def test_zookeeper(site, mariadb, is_closed):
    with zookeeper_server.ZooKeeper(whitelist=None) as server:
        spot = site('zookeeper', url(mariadb), f'jobboard_backend_port='
                    f'{server.port}')
        mysql(mariadb, spot)
        append(server.members[0], spot.statements('zoo.cfg'))
        if is_closed:
            done = spot.run('octavia-db-manage upgrade_persistence')
            assert done.returncode == 0
            close(server)
            assert spot.work().returncode != 0
            zk_cli(server, spot.statements('ZooKeeper, in zkCli.sh'))
        spot.finish()


def test_etcd(site, mariadb, no_environment):
    with etcd_server.Etcd() as server:
        spot = site('etcd', url(mariadb), f'jobboard_backend_port='
                    f'{server.port}')
        mysql(mariadb, spot)
        assert spot.statements('etcd') == []
        spot.finish()


def test_etcd_with_client_certificates(site, mariadb, authority,
                                       no_environment):
    """They keep others out, and their names are of no use for a login."""
    root, octavia = authority.client('root'), authority.client('octavia')
    with etcd_server.Etcd(
            tls=authority.server('provision-etcd', client_too=True),
            ca=authority.cert, client_auth=True,
            admin_certificate=root) as server:
        port = f'jobboard_backend_port={server.port}'
        base = url(mariadb)
        keys = f'use_ssl:True,ca_cert:{authority.cert}'
        stranger = site('etcd', base, port,
                        f'jobboard_etcd_ssl_options={keys}')
        mysql(mariadb, stranger)
        spot = site(
            'etcd', base, port, f'jobboard_etcd_ssl_options={keys},'
            f'cert_cert:{octavia.cert},cert_key:{octavia.key}')
        spot.finish()
        stranger.config.write_text(stranger.text)
        assert 'SSLError' in stranger.work().stderr
        spot.config.write_text(spot.text)

        def etcdctl(command):
            process.run(
                process.find('etcdctl'), f'--endpoints={server.url()}',
                f'--cacert={authority.cert}', f'--cert={root.cert}',
                f'--key={root.key}', *command.split())

        for command in (
                'user add root --no-password', 'user grant-role root root',
                'user add octavia --no-password', 'role add octavia',
                'role grant-permission octavia --prefix=true readwrite /',
                'user grant-role octavia octavia', 'auth enable'):
            etcdctl(command)
        assert spot.work().returncode != 0
        seen = doors.own(spot.config, '--only', 'jobboard')
        assert seen.ids == {'jobboard.auth-unsupported'}
        assert 'etcdctl auth disable' in spot.text
        etcdctl('auth disable')
        assert spot.work().returncode == 0

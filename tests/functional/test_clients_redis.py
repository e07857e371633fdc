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

"""Redis as each release of redis-py meets it, with TaskFlow of its time."""

import contextlib
import socket

import pytest

from tests import clients
from tests import probing
from tests import redis_probing
from tests import sentinels
from tests.servers import process
from tests.servers import redis as redis_server
from tests.servers import scripts

pytestmark = pytest.mark.clients

#: Releases of redis-py, each with a TaskFlow that OpenStack shipped with it.
RELEASES = [clients.Release(*pins) for pins in (
    ('redis==4.6.0', 'taskflow==5.9.1'),
    ('redis==5.2.1', 'taskflow==5.12.0'),
    ('redis==6.4.0', 'taskflow==6.0.2'),
    ('redis==7.4.0', 'taskflow==6.2.0'),
    ('redis', 'taskflow'),
    # Where it is installed, redis-py lets it parse what servers say.
    ('redis', 'taskflow', 'hiredis'))]

OLDEST = RELEASES[0]

PASSWORD = 'secret'


@pytest.fixture(params=RELEASES, ids=repr)
def release(request):
    return request.param


def greets(release):
    """Whether it begins with HELLO, and logs in with that."""
    return release in RELEASES[4:]


def compares_names(release):
    """Whether it compares the host name with the certificate."""
    return release not in RELEASES[:2]


def filters(release):
    """Whether its TaskFlow leaves out the ssl options where TLS is off."""
    return release not in RELEASES[:2]


def config(write_config, server, **options):
    """A configuration with a separate namespace."""
    return write_config(**{
        'jobboard_enabled': True, 'jobboard_backend_hosts': server.host,
        'jobboard_backend_port': server.port,
        'jobboard_backend_namespace': probing.name('clients'), **options})


def test_healthy(release, redis, write_config):
    path = config(write_config, redis)
    assert release.probe('jobboard', path) == []
    assert release.work(path) == {'jobs': []}


@pytest.mark.parametrize('name', clients.REDIS_OPTIONS)
def test_what_taskflow_makes_of_the_options(release, write_config, name):
    path = write_config(**clients.REDIS_OPTIONS[name])
    theirs, ours = clients.made(path, release.python)
    assert theirs == ours


def test_login(release, write_config):
    with redis_server.Redis(requirepass=PASSWORD) as server:
        for given, slug in ((None, 'auth-required'), ('x', 'access-denied'),
                            (PASSWORD, None)):
            path = config(write_config, server,
                          jobboard_backend_password=given)
            agree(release, path, slug)


def agree(release, path, slug, *options):
    """The verdict is what a worker with that release then does."""
    found = release.probe('jobboard', path, *options)
    assert [f.id for f in found] == ([f'jobboard.{slug}'] if slug else [])
    worker = release.work(path)
    assert ('error' in worker) is bool(slug), worker
    return found[0] if found else worker


def test_account_on_an_open_server(release, redis, write_config):
    """From 8.0 on redis-py gets in with any password."""
    agree(release, config(write_config, redis,
                          jobboard_backend_password=PASSWORD),
          None if greets(release) else 'access-denied')
    agree(release, config(write_config, redis,
                          jobboard_backend_username='nobody',
                          jobboard_backend_password=PASSWORD),
          'access-denied')


def test_unknown_database(release, redis, write_config):
    found = agree(release, config(write_config, redis,
                                  jobboard_redis_backend_db=16),
                  'unknown-database')
    assert '0 to 15' in found.message


def test_permission_missing(release, redis, write_config):
    name = probing.name('jobs-')
    redis.command('ACL', 'SETUSER', name, 'on', f'>{PASSWORD}', f'~{name}:*',
                  '+@all', '-hsetnx')
    found = agree(release, config(
        write_config, redis, jobboard_backend_username=name,
        jobboard_backend_password=PASSWORD,
        jobboard_backend_namespace=name), 'missing-permission')
    assert 'may not HSETNX' in found.message


def test_replica(release, write_config):
    with redis_server.Redis(repl_diskless_sync_delay=0) as master:
        with redis_server.Redis(
                replicaof=(master.host, master.port)) as replica:
            process.wait_until(
                lambda: replica.client().info()['master_link_status'] == 'up',
                'no replication')
            agree(release, config(write_config, replica), 'replica')


def test_out_of_memory(release, write_config):
    with redis_server.Redis(maxmemory='256kb') as server:
        agree(release, config(write_config, server), 'out-of-memory')


def test_server_without_hello(release, write_config):
    server = redis_server.Redis(rename_command=('HELLO', ''))
    with contextlib.closing(server):
        server.start(wait=False)

        def answers():
            import redis
            with redis.Redis(server.host, server.port, protocol=2) as client:
                try:
                    return client.ping()
                except redis.ConnectionError:
                    return False

        process.wait_until(answers, 'no answer')
        agree(release, config(write_config, server),
              'server-old' if greets(release) else None)


class Denied(scripts.Silent):
    """Redis in protected mode, for a client that is not on its host."""

    def greet(self, client):
        client.sendall(b'-DENIED Redis is running in protected mode.\r\n')
        client.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize('script, slug', [
    (scripts.Refuse, 'refused'), (scripts.Silent, 'timeout'),
    (scripts.Hangup, 'refused'),
    (lambda: scripts.Greet(b'\xee\x01garbage\x00'), 'wrong-protocol'),
    (lambda: scripts.Endless(b'x'), 'wrong-protocol'),
    (Denied, 'access-denied')],
    ids=['refused', 'silent', 'hangup', 'garbage', 'endless', 'denied'])
def test_fault(release, write_config, script, slug):
    with script() as server:
        found, = release.probe('jobboard', config(write_config, server),
                               '--probe-timeout', '3')
    assert found.id == f'jobboard.{slug}'


def test_another_server(release, mariadb, write_config):
    found, = release.probe('jobboard', config(write_config, mariadb),
                           '--probe-timeout', '3')
    assert found.id == 'jobboard.wrong-protocol'
    assert 'MySQL answers' in found.message


def test_tls(release, write_config, authority):
    tls = 'jobboard_redis_backend_ssl_options'
    trusted = f'ssl:True,ssl_ca_certs:{authority.cert}'
    with redis_server.Redis(tls=authority.server('clients'),
                            ca=authority.cert) as server:
        agree(release, config(write_config, server, **{tls: trusted}), None)
        agree(release, config(write_config, server, **{tls: 'ssl:True'}),
              'tls')
        agree(release, config(write_config, server), 'wrong-protocol')
    with redis_server.Redis(tls=authority.wrong_host(),
                            ca=authority.cert) as server:
        agree(release, config(write_config, server, **{tls: trusted}),
              'tls' if compares_names(release) else None)


def test_client_certificate(release, write_config, authority):
    tls = f'ssl:True,ssl_ca_certs:{authority.cert}'
    shown = authority.client('clients-client')
    with redis_server.Redis(tls=authority.server('clients-strict'),
                            ca=authority.cert, client_auth=True) as server:
        found = agree(release, config(
            write_config, server, jobboard_redis_backend_ssl_options=tls),
            'tls')
        assert 'ssl_certfile and ssl_keyfile' in found.remedy
        tls += f',ssl_certfile:{shown.cert},ssl_keyfile:{shown.key}'
        agree(release, config(
            write_config, server, jobboard_redis_backend_ssl_options=tls),
            None)


def test_sentinel(release, write_config):
    """TaskFlow before 6.0 takes no defaults; the remedy is for it too."""
    with redis_server.Redis() as master, sentinels.one(master) as server:
        options = {'jobboard_redis_sentinel': sentinels.NAME}
        path = config(write_config, server, **options)
        if filters(release):
            agree(release, path, None)
        else:
            found = agree(release, path, 'client-fails')
            assert 'TypeError' in found.message
            assert release.work(path)['error'] == 'TypeError'
            assert 'to ssl:False' in found.remedy
        options['jobboard_redis_backend_ssl_options'] = 'ssl:False'
        agree(release, config(write_config, server, **options), None)
        options['jobboard_redis_sentinel'] = 'other'
        agree(release, config(write_config, server, **options),
              'sentinel-unknown-master')


def test_second_sentinel_with_a_port_of_its_own(release, write_config):
    """TaskFlow before 6.0 treats it as a name, which does not resolve."""
    with redis_server.Redis() as master, sentinels.one(master) as server:
        path = config(
            write_config, server, jobboard_redis_sentinel=sentinels.NAME,
            jobboard_redis_backend_ssl_options='ssl:False',
            jobboard_backend_hosts=f'{server.host},{sentinels.HOSTS[1]}:'
                                   f'{server.port}')
        if filters(release):
            agree(release, path, 'client-fails')
        else:
            found, = release.probe('jobboard', path)
            assert found.id == 'jobboard.member-down'
            assert release.work(path) == {'jobs': []}


class Old(scripts.Silent):
    """Redis before 6.0, which knows no users, as far as the login goes."""

    def answer(self, client, data):
        for command in data.split(b'*')[1:]:
            words = command.split(b'\r\n')[2::2]
            if words[0] != b'AUTH':
                client.sendall(b'-LOADING it has said enough\r\n')
            elif len(words) > 2:
                client.sendall(b"-ERR wrong number of arguments for 'auth' "
                               b"command\r\n")
            elif words[1] == PASSWORD.encode():
                client.sendall(b'+OK\r\n')
            else:
                client.sendall(b'-ERR invalid password\r\n')


def test_old_server_that_knows_no_users(write_config):
    with Old() as server:
        for password, slug in (PASSWORD, 'loading'), ('x', 'access-denied'):
            found, = OLDEST.probe('jobboard', config(
                write_config, server, jobboard_backend_username='octavia',
                jobboard_backend_password=password))
            assert found.id == f'jobboard.{slug}'


@pytest.mark.parametrize('scans', [True, False])
def test_jobs_on_the_board(release, redis, write_config, tmp_path, scans):
    """Read by pages, or at once where the account may not do that."""
    from taskflow.jobs import backends
    from taskflow.persistence import backends as persistence
    account = redis_probing.Account(redis, None)
    if scans:
        redis.command('ACL', 'SETUSER', account.name, '+hscan')
    url = f'sqlite:///{tmp_path}/books'
    with contextlib.closing(persistence.fetch({'connection': url})) as base:
        with contextlib.closing(base.get_connection()) as connection:
            connection.upgrade()
    with backends.backend('jobs', {
            'board': 'redis', 'host': redis.host, 'port': redis.port,
            'namespace': account.namespace, 'ssl': False}) as board:
        for number in range(300):
            board.post(f'one-{number:03}', details={'store': {
                'a': 'x' * 3000, 'loadbalancer_id': 'lb'}})
    path = config(write_config, redis, persistence_connection=url,
                  jobboard_backend_username=account.name,
                  jobboard_backend_password=probing.PASSWORD.replace(
                      '$', '$$'),
                  jobboard_backend_namespace=account.namespace)
    found = {f.id: f.message for f in release.probe('inflight', path)}
    assert 'one-' in found['inflight.job-without-logbook']
    assert found['inflight.jobs-waiting'].startswith('300 jobs')
    assert len(release.work(path)['jobs']) == 300

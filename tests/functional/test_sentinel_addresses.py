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

"""Where the Sentinels say that the master is, and where that is."""

import contextlib

import pytest

from octavia_v2_checks.backends.redis import sentinel as sentinel_
from tests import clients
from tests import jobboards
from tests import probing
from tests import redis_probing
from tests import sentinels
from tests.servers import elsewhere
from tests.servers import process
from tests.servers import redis as redis_server

TLS = 'jobboard_redis_backend_ssl_options'


@pytest.fixture
def probe(probe_redis):
    def run(server, **options):
        return probe_redis(server, jobboard_redis_sentinel=sentinels.NAME,
                           **options)
    return run


@pytest.fixture
def works(write_config):
    """A function: whether a worker can work by way of a Sentinel."""
    def run(server, **options):
        return clients.work(write_config(**{
            'jobboard_enabled': True,
            'jobboard_redis_sentinel': sentinels.NAME,
            'jobboard_backend_hosts': server.host,
            'jobboard_backend_port': server.port,
            'jobboard_backend_namespace': probing.name('there'), **options}))
    return run


@contextlib.contextmanager
def there(announced, **options):
    """A Redis and its Sentinel on another host; the Redis may have options.

    :param announced: the address of the "monitor" line, of a :class:`Host`
    """
    with elsewhere.Host() as host:
        options |= {'inside': host.inside, 'protected_mode': 'no'}
        with redis_server.Redis(
                host=host.address, bind=(
                    '127.0.0.1', host.address, host.hidden),
                **options) as master:
            place = redis_server.Redis(host=announced(host),
                                       port=master.port)
            with redis_server.Sentinel(
                    sentinels.NAME, place, host=host.address,
                    inside=host.inside, bind=('127.0.0.1', host.address),
                    protected_mode='no',
                    settings={'down-after-milliseconds': 5000}) as watcher:
                yield host, master, watcher
            place.close()


def used(server):
    """Whether a worker has worked on a server."""
    return bool(server.client().keys('there*'))


def fix(watcher, remedy, address):
    """Do what a remedy says, and wait for the Sentinel to look around."""
    for words in redis_probing.commands(remedy):
        watcher.command(*(w.replace('ADDRESS', address).replace(
            'NAME', address) for w in words))
    process.wait_until(lambda: sentinels.state(watcher).get('runid'),
                       'not looked', 20)


def test_loopback_of_another_host(probe, works):
    """Workers of this host would write to the Redis of this host."""
    with there(lambda host: '127.0.0.1') as (host, master, watcher):
        with redis_server.Redis(port=master.port) as ours:
            found = probing.only(probe(watcher), 'jobboard.sentinel-address')
            assert found.host == jobboards.peer(watcher)
            assert f'127.0.0.1:{ours.port}' in found.message
            assert 'jobboard_backend_hosts' not in found.remedy
            assert works(watcher) == {'jobs': []}
            assert used(ours) and not used(master)
            fix(watcher, found.remedy, host.address)
            assert probe(watcher) == []
            ours.command('FLUSHALL')
            assert works(watcher) == {'jobs': []}
            assert used(master) and not used(ours)


def test_address_that_only_the_other_host_reaches(probe, works):
    """As the address of a container."""
    with there(lambda host: host.hidden) as (host, master, watcher):
        process.wait_until(lambda: sentinels.state(watcher).get('runid'),
                           'not looked', 20)
        found = probing.only(probe(watcher), 'jobboard.sentinel-address')
        assert found.host == f'{host.hidden}:{master.port}'
        assert 'jobboard_backend_hosts' not in found.remedy
        assert 'error' in works(watcher)
        fix(watcher, found.remedy, host.address)
        assert probe(watcher) == []
        assert works(watcher) == {'jobs': []}


def announcing(name):
    """What a Sentinel says of a master that has a name, and is up."""
    state = {'name': sentinels.NAME, 'ip': name, 'port': '6379',
             'runid': 'x' * 40, 'flags': 'master',
             'num-other-sentinels': '0', 'quorum': '1'}
    return f'*1\r\n%{len(state)}\r\n'.encode() + b''.join(
        b'$%d\r\n%s\r\n' % (len(word), word.encode())
        for pair in state.items() for word in pair)


def test_name_that_does_not_resolve_here(probe, works):
    """The Sentinel knows it from a separate file, /etc/hosts say."""
    with redis_probing.Scripted(
            SENTINEL=announcing('no-such-host.invalid')) as server:
        found = probing.only(probe(server), 'jobboard.sentinel-address')
        assert found.host == 'no-such-host.invalid:6379'
        assert 'does not resolve' in found.message
        assert 'error' in works(server)


@pytest.mark.parametrize(('host', 'here'), [
    ('127.0.0.1', True), ('127.8.9.1', True), ('::1', True),
    ('0.0.0.0', True), ('::', True), ('169.254.1.2', True),
    ('fe80::1%eth0', True), ('localhost', True), ('LocalHost.', True),
    ('10.0.0.1', False), ('2001:db8::1', False), ('redis1', False),
    ('localhost.example.org', False)])
def test_addresses_that_mean_each_host_itself(host, here):
    assert sentinel_.Master(host, 1, None, True, 1, 1,
                            '').means_here is here


def test_sentinel_without_the_password_of_the_master(probe, works):
    login = {'jobboard_backend_password': probing.PASSWORD}
    with redis_server.Redis(requirepass=probing.PASSWORD) as master:
        with sentinels.one(master) as server:
            process.wait_until(
                lambda: 'o_down' in sentinels.state(server)['flags'],
                'not down')
            found = probing.only(probe(server, **login),
                                 'jobboard.sentinel-unknown-master')
            assert 'auth-pass' in found.message
            assert found.host == jobboards.peer(master)
            assert 'error' in works(server, **login)
            redis_probing.run(server, found.remedy, probing.PASSWORD)
            process.wait_until(
                lambda: 'down' not in sentinels.state(server)['flags'],
                'still down')
            assert probe(server, **login) == []
            assert works(server, **login) == {'jobs': []}


def test_certificate_for_the_name_alone(probe, works, authority):
    """Workers are sent to an address, for which it is not."""
    tls = {TLS: {'ssl': 'True', 'ssl_ca_certs': authority.cert}}
    # "localhost" may be ::1 first; "-": where there is no IPv6.
    with redis_server.Redis(
            tls=authority.server('sentinel-name', hosts=('localhost',)),
            ca=authority.cert, bind=('127.0.0.1', '-::1')) as master:
        with redis_server.Sentinel(
                sentinels.NAME, master, tls=authority.server('sentinel-named'),
                ca=authority.cert, tls_replication='yes') as server:
            tls['jobboard_redis_sentinel_ssl_options'] = tls[TLS]
            process.wait_until(lambda: sentinels.state(server).get('runid'),
                               'not looked', 20)
            found = probing.only(probe(server, **tls), 'jobboard.tls')
            assert 'Sentinels announce' in found.message
            assert 'error' in works(server, **tls)
            fix(server, found.remedy, 'localhost')
            assert probe(server, **tls) == []
            assert works(server, **tls) == {'jobs': []}

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

"""The jobboard check on Redis behind Sentinels."""

import threading

import pytest

from octavia_v2_checks.backends import net
from octavia_v2_checks.backends import redis as redis_backend
from tests import jobboards
from tests import probing
from tests import redis_probing
from tests import sentinels
from tests.servers import process
from tests.servers import redis as redis_server
from tests.servers import scripts

PASSWORD = probing.PASSWORD


@pytest.fixture
def master():
    """A Redis of the test's own: Sentinels find each other through it."""
    with redis_server.Redis() as server:
        yield server


@pytest.fixture(scope='module')
def trio():
    """Three Sentinels of one Redis; leave them as they are."""
    with redis_server.Redis() as server, sentinels.ensemble(server) as servers:
        yield servers


@pytest.fixture
def probe(probe_redis):
    def run(servers, name=sentinels.NAME, **options):
        return probe_redis(servers, jobboard_redis_sentinel=name, **options)
    return run


def test_healthy(trio, probe):
    assert probe(trio) == []
    assert probe(trio[1]) == []


def test_unknown_master(trio, probe):
    found = probing.only(probe(trio, 'other'),
                         'jobboard.sentinel-unknown-master')
    assert "master 'other' is not known" in found.message
    assert all(jobboards.peer(s) in found.message for s in trio)
    assert found.option == 'task_flow.jobboard_redis_sentinel'
    options = redis_probing.options(found.remedy)
    assert probe(trio, options['jobboard_redis_sentinel']) == []


def test_empty_name(trio, probe):
    """Octavia treats it as a name; the configuration check says so."""
    with pytest.raises(probing.Blocked) as caught:
        probe(trio, '')
    assert caught.value.option == 'task_flow.jobboard_redis_sentinel'


def test_sentinels_without_the_option(trio, probe_redis):
    found = probing.only(probe_redis(trio), 'jobboard.is-sentinel')
    assert found.option == 'task_flow.jobboard_redis_sentinel'
    options = redis_probing.options(found.remedy)
    assert options == {'jobboard_redis_sentinel': sentinels.NAME}
    assert probe_redis(trio, **options) == []


def test_redis_where_sentinels_are_expected(redis, probe):
    found = probing.only(probe(redis), 'jobboard.wrong-protocol')
    assert 'not a Sentinel' in found.message
    assert found.host == jobboards.peer(redis)
    assert found.option == 'task_flow.jobboard_redis_sentinel'


def test_members_go_one_by_one(master, probe):
    with sentinels.ensemble(master) as servers:
        assert probe(servers) == []
        servers[0].stop()
        found = probing.only(probe(servers), 'jobboard.member-down')
        assert found.host == jobboards.peer(servers[0])
        assert 'refused' in found.message

        servers[2].stop()
        process.wait_until(
            lambda: 'NOQUORUM' in quorum(servers[1]), 'it has a quorum')
        found = probe(servers)
        assert probing.ids(found) == [
            'jobboard.member-down', 'jobboard.member-down',
            'jobboard.sentinel-quorum']
        assert found[2].host == jobboards.peer(servers[1])
        assert '2 of 3' in found[2].message

        servers[1].stop()
        found = probing.only(probe(servers), 'jobboard.refused')
        assert all(jobboards.peer(s) in found.message for s in servers)

        for server in servers:
            server.start()
        # They find each other one after the other.
        process.wait_until(lambda: all(map(is_well, servers))
                           and probe(servers) == [], 'not well again')


def is_well(server):
    """Whether it sees the master; one that has just started does not."""
    state = server.command('SENTINEL', 'MASTER', sentinels.NAME)
    return 'OK' in quorum(server) and state['flags'] == 'master'


def quorum(server):
    import redis
    try:
        return str(server.command('SENTINEL', 'CKQUORUM', sentinels.NAME))
    except redis.ResponseError as exc:
        return str(exc)


@pytest.mark.parametrize('script, slug', [
    (scripts.Silent, 'timeout'), (scripts.Blackhole, 'timeout'),
    (scripts.Reset, 'refused')])
def test_a_member_fails(master, probe, script, slug):
    with script(sentinels.HOSTS[1]) as broken:
        with sentinels.one(master, port=broken.port) as server:
            for members in [server, broken], [broken, server]:
                found = probing.only(
                    probe(members, timeout=1, deadline=4),
                    'jobboard.member-down')
                assert found.host == jobboards.peer(broken)
                assert f'({slug})' in found.message


def test_a_member_does_not_resolve(trio, probe):
    found = probing.only(probe(trio, jobboard_backend_hosts=[
        sentinels.HOSTS[0], 'no-such-host.invalid']), 'jobboard.member-down')
    assert found.host == f'no-such-host.invalid:{trio[0].port}'
    assert 'does not resolve' in found.message


def test_a_member_is_something_else(probe):
    port = process.free_port(*sentinels.HOSTS)
    with redis_server.Redis(host=sentinels.HOSTS[1], port=port) as other:
        with sentinels.one(other, port=port) as server:
            found = probing.only(probe([server, other]),
                                 'jobboard.wrong-protocol')
    assert found.host == jobboards.peer(other)


def test_quorum_out_of_reach(master, probe):
    with sentinels.one(master, quorum=3) as server:
        found = probing.only(probe(server), 'jobboard.sentinel-quorum')
        assert 'to 3, but' in found.message
        redis_probing.run(server, found.remedy)
        assert probe(server) == []


def test_master_gone(probe):
    with redis_server.Redis() as master, sentinels.one(master) as server:
        assert probe(server) == []
        master.stop()
        for down in False, True:
            if down:
                process.wait_until(
                    lambda: 'o_down' in sentinels.state(server)['flags'],
                    'not down')
            found = probing.only(probe(server), 'jobboard.refused')
            assert found.host == jobboards.peer(master)
            assert 'Sentinels name it as the master' in found.message
        # On a busy machine it would be down again before it is looked at.
        server.command('SENTINEL', 'SET', sentinels.NAME,
                       'down-after-milliseconds', '10000')
        master.start()
        process.wait_until(
            lambda: 'down' not in sentinels.state(server)['flags'],
            'still down')
        assert probe(server) == []


def test_master_that_sentinels_do_not_reach(probe, authority):
    """They speak without TLS to a master that has it."""
    with redis_server.Redis(tls=authority.server('sentinel-apart'),
                            ca=authority.cert) as master:
        with sentinels.one(master) as server:
            process.wait_until(
                lambda: 'o_down' in sentinels.state(server)['flags'],
                'not down')
            tls = {'ssl': True, 'ssl_ca_certs': authority.cert}
            found = probing.only(
                probe(server, jobboard_redis_backend_ssl_options=tls),
                'jobboard.sentinel-unknown-master')
    assert 'down (o_down)' in found.message
    assert jobboards.peer(master) in found.message


def test_some_hold_the_master_for_down(probe, authority):
    """One Sentinel reaches it with TLS, the other without does not."""
    port = process.free_port(*sentinels.HOSTS)
    tls = {'ssl': True, 'ssl_ca_certs': authority.cert}
    certificate = authority.server('sentinel-blind')
    with redis_server.Redis(tls=certificate, ca=authority.cert) as master:
        with sentinels.one(master, sentinels.HOSTS[0], port, tls=certificate,
                           ca=authority.cert, tls_replication='no') as blind:
            with sentinels.one(
                    master, sentinels.HOSTS[1], port, tls=certificate,
                    ca=authority.cert, tls_replication='yes') as good:
                process.wait_until(
                    lambda: 'down' in sentinels.state(blind)['flags'],
                    'not down')
                found = probing.only(
                    probe([blind, good],
                          jobboard_redis_backend_ssl_options=tls,
                          jobboard_redis_sentinel_ssl_options=tls),
                    'jobboard.sentinel-quorum')
    assert found.host == jobboards.peer(blind)
    assert 'and not for others' in found.message


def test_master_is_a_replica(probe):
    with redis_server.Redis(repl_diskless_sync_delay=0) as master:
        with redis_server.Redis(
                replicaof=(master.host, master.port)) as replica:
            with sentinels.one(replica) as server:
                found = probing.only(probe(server), 'jobboard.replica')
    assert found.host == jobboards.peer(replica)
    assert 'Sentinels name it as the master' in found.message


def test_disagreement(master, probe):
    port = process.free_port(*sentinels.HOSTS)
    with redis_server.Redis() as other:
        with sentinels.one(master, sentinels.HOSTS[0], port) as one:
            with sentinels.one(other, sentinels.HOSTS[1], port) as two:
                found = probing.only(probe([one, two]),
                                     'jobboard.sentinel-address')
                for server in one, two, master, other:
                    assert jobboards.peer(server) in found.message
                redis_probing.run(two, found.remedy)
                process.wait_until(
                    lambda: probe([one, two]) == [], 'no agreement', 20)


def test_a_member_does_not_monitor_the_master(master, probe):
    port = process.free_port(*sentinels.HOSTS)
    with sentinels.one(master, sentinels.HOSTS[0], port) as one:
        with sentinels.one(master, sentinels.HOSTS[1], port,
                           name='other') as two:
            found = probing.only(probe([one, two]),
                                 'jobboard.sentinel-quorum')
            assert found.host == jobboards.peer(two)
            redis_probing.run(two, found.remedy)
            assert probe([one, two]) == []


def test_sentinels_want_a_password(master, probe):
    options = {'jobboard_redis_sentinel_password': PASSWORD}
    with sentinels.one(master, requirepass=PASSWORD) as server:
        # The password of Redis is not theirs.
        found = probing.only(
            probe(server, jobboard_backend_password=PASSWORD),
            'jobboard.auth-required')
        assert 'jobboard_redis_sentinel_password' in found.remedy
        found = probing.only(
            probe(server, jobboard_redis_sentinel_password='wrong'),
            'jobboard.access-denied')
        assert found.option == 'task_flow.jobboard_redis_sentinel_password'
        assert probe(server, **options) == []


def test_sentinels_want_no_user(trio, probe):
    found = probing.only(probe(trio, jobboard_redis_sentinel_username='me',
                               jobboard_redis_sentinel_password=PASSWORD),
                         'jobboard.access-denied')
    assert 'requires no authentication' in found.message
    assert found.option == 'task_flow.jobboard_redis_sentinel_username'
    assert all(jobboards.peer(s) in found.message for s in trio)


def test_sentinel_user_without_permission(master, probe):
    options = {'jobboard_redis_sentinel_username': 'octavia',
               'jobboard_redis_sentinel_password': PASSWORD}
    with sentinels.one(master) as server:
        server.command('ACL', 'SETUSER', 'octavia', 'on', f'>{PASSWORD}')
        found = probing.only(probe(server, **options),
                             'jobboard.missing-permission')
        assert 'SENTINEL MASTERS' in found.message
        redis_probing.run(server, found.remedy)
        assert probe(server, **options) == []


def test_login_at_the_master(probe):
    with redis_server.Redis(requirepass='plain') as master:
        with sentinels.one(master, settings={'auth-pass': 'plain'}) as server:
            found = probing.only(probe(server), 'jobboard.auth-required')
            assert found.host == jobboards.peer(master)
            assert probe(server, jobboard_backend_password='plain') == []


def test_tls_of_their_own(master, probe, authority):
    option = 'jobboard_redis_sentinel_ssl_options'
    tls = {'ssl': True, 'ssl_ca_certs': authority.cert}
    with sentinels.one(master, tls=authority.server('sentinel-tls'),
                       ca=authority.cert) as server:
        found = probing.only(
            probe(server, jobboard_redis_backend_ssl_options={'ssl': True}),
            'jobboard.wrong-protocol')
        assert found.option == f'task_flow.{option}'
        assert probing.ids(probe(server, **{option: {'ssl': True}})) == [
            'jobboard.tls']
        assert probe(server, **{option: tls}) == []


def test_brackets_matter_on_the_first_host_only(master, probe):
    port = process.free_port('127.0.0.1', '::1')
    with sentinels.one(master, port=port) as one:
        with sentinels.one(master, '::1', port) as two:
            hosts = ['127.0.0.1', '::1']
            assert probe([one, two], jobboard_backend_hosts=hosts) == []
            hosts = ['127.0.0.1', '[::1]']
            assert probe([one, two], jobboard_backend_hosts=hosts) == []
            found = probing.only(
                probe([one, two], jobboard_backend_hosts=hosts[::-1]),
                'jobboard.member-down')
            assert found.host == f'[::1]:{port}'


@pytest.mark.parametrize('answer', [
    b'*1\r\n+yes\r\n', b'*1\r\n*1\r\n$4\r\nname\r\n', b':7\r\n',
    b'*1\r\n*2\r\n$4\r\nname\r\n$4\r\njobs\r\n', b'_\r\n'])
def test_nonsense(probe, answer):
    with redis_probing.Scripted(SENTINEL=answer) as server:
        probing.only(probe(server, timeout=1, deadline=3),
                     'jobboard.wrong-protocol')


def test_reads_only(probe):
    with redis_server.Redis() as master, sentinels.one(master) as server:
        master.command('SET', 'a', 'b')
        before = server.config.read_bytes(), master.command('GET', 'a')
        assert probe(server) == []
        assert probing.ids(probe(server, 'other')) == [
            'jobboard.sentinel-unknown-master']
        after = server.config.read_bytes(), master.command('GET', 'a')
        assert after == before and master.command('DBSIZE') == 1


def test_connect(trio, write_config):
    prober = jobboards.Prober(write_config, 'redis_taskflow_driver')

    def connect(name, hosts=sentinels.HOSTS):
        return prober.backend(redis_backend.Redis, list(hosts), trio[0].port,
                              jobboard_redis_sentinel=name).connect()

    before = threading.active_count()
    connection = connect(sentinels.NAME)
    master = sentinels.state(trio[0])
    assert connection.peer == f'{master["ip"]}:{master["port"]}'
    assert connection.ask([('PING',)]) == [b'PONG']
    with pytest.raises(net.Fault) as caught:
        connect('other')
    assert caught.value.slug == 'sentinel-unknown-master'
    with pytest.raises(net.Fault) as caught:
        connect(sentinels.NAME, ['127.0.0.9'])
    assert caught.value.slug == 'refused'
    assert threading.active_count() <= before + len(sentinels.HOSTS)

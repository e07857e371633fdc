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

"""The jobboard check on a real Redis: login and fitness."""

import contextlib

import pytest

from tests import probing
from tests import redis_probing
from tests.servers import process
from tests.servers import redis as redis_server

PASSWORD = probing.PASSWORD


def test_healthy(redis, probe_redis):
    assert probe_redis(redis) == []


def test_password_required(probe_redis):
    with redis_server.Redis(requirepass=PASSWORD) as server:
        found = probing.only(probe_redis(server), 'jobboard.auth-required')
        assert found.host == f'{server.host}:{server.port}'
        assert found.option == 'task_flow.jobboard_backend_password'
        assert 'jobboard_backend_password' in found.remedy
        assert probe_redis(server, jobboard_backend_password=PASSWORD) == []


def test_wrong_password(probe_redis):
    with redis_server.Redis(requirepass='old') as server:
        found = probing.only(probe_redis(
            server, jobboard_backend_password=PASSWORD),
            'jobboard.access-denied')
        assert found.line
        redis_probing.run(server, found.remedy, PASSWORD)
        assert probe_redis(server, jobboard_backend_password=PASSWORD) == []


def test_wrong_password_of_a_user(redis_account):
    board = redis_account()
    options = {'jobboard_backend_password': PASSWORD + 'x'}
    found = probing.only(board.probe(**options), 'jobboard.access-denied')
    assert board.name in found.message
    redis_probing.run(board.server, found.remedy, PASSWORD + 'x')
    assert board.probe(**options) == []


def test_user_switched_off(redis_account):
    board = redis_account()
    board.server.command('ACL', 'SETUSER', board.name, 'off')
    found = probing.only(board.probe(), 'jobboard.access-denied')
    redis_probing.run(board.server, found.remedy, PASSWORD)
    assert board.probe() == []


def test_unknown_user_on_an_open_server(redis, probe_redis):
    user = probing.name('nobody')
    options = {'jobboard_backend_username': user,
               'jobboard_backend_password': PASSWORD}
    found = probing.only(probe_redis(redis, **options),
                         'jobboard.access-denied')
    assert 'requires no authentication' in found.message
    assert user in found.message
    assert found.option == 'task_flow.jobboard_backend_username'
    assert probe_redis(redis) == []
    redis_probing.run(redis, found.remedy, PASSWORD)
    found = probing.only(probe_redis(redis, **options),
                         'jobboard.missing-permission')
    redis_probing.run(redis, found.remedy)
    assert probe_redis(redis, **options) == []


def test_password_on_an_open_server(redis, probe_redis):
    """redis-py 8.0 gets in with any password; older ones do not."""
    assert probe_redis(redis, jobboard_backend_password=PASSWORD) == []


def test_unknown_database(redis, probe_redis):
    found = probing.only(probe_redis(redis, jobboard_redis_backend_db=16),
                         'jobboard.unknown-database')
    assert '0 to 15' in found.message
    assert found.option == 'task_flow.jobboard_redis_backend_db'
    assert probe_redis(redis, jobboard_redis_backend_db=15) == []
    assert probe_redis(redis, **redis_probing.options(found.remedy)) == []


def test_unknown_database_with_the_least_account(redis_account):
    board = redis_account(commands=(*redis_probing.COMMANDS, 'select'))
    found = probing.only(board.probe(jobboard_redis_backend_db=99),
                         'jobboard.unknown-database')
    assert 'database 99' in found.message


@pytest.fixture
def pair():
    """A master and its replica."""
    with redis_server.Redis(repl_diskless_sync_delay=0) as master:
        with redis_server.Redis(
                replicaof=(master.host, master.port)) as replica:
            process.wait_until(
                lambda: replica.client().info()['master_link_status'] == 'up',
                'no replication')
            yield master, replica


def test_replica(pair, probe_redis):
    master, replica = pair
    assert probe_redis(master) == []
    found = probing.only(probe_redis(replica), 'jobboard.replica')
    assert probe_redis(replica, **redis_probing.options(found.remedy)) == []


def test_replica_that_hides_its_role(pair, probe_redis):
    _, replica = pair
    board = redis_probing.Account(replica, probe_redis, [
        c for c in redis_probing.COMMANDS if c != 'info'])
    assert sorted(probing.ids(board.probe())) == [
        'jobboard.missing-permission', 'jobboard.replica']


def test_replica_that_lost_its_master(probe_redis):
    with redis_server.Redis(
            replicaof=('127.0.0.1', 1),
            replica_serve_stale_data='no') as server:
        probing.only(probe_redis(server), 'jobboard.replica')


def test_loading(probe_redis):
    with redis_server.Redis(enable_debug_command='yes') as server:
        server.command('DEBUG', 'POPULATE', '20000')
        server.command('SAVE')
        server.stop()
        with server.config.open('a') as config:
            config.write('key-load-delay 500\n'
                         'loading-process-events-interval-bytes 1024\n')
        server.start()
        found = probing.only(probe_redis(server), 'jobboard.loading')
        assert found.host == f'{server.host}:{server.port}'
        server.command('CONFIG', 'SET', 'key-load-delay', '0')
        process.wait_until(
            lambda: not server.client().info()['loading'], 'still loading')
        assert probe_redis(server) == []


def test_out_of_memory(probe_redis):
    with redis_server.Redis(maxmemory='256kb') as server:
        found = probing.only(probe_redis(server), 'jobboard.out-of-memory')
        redis_probing.run(server, found.remedy)
        assert probe_redis(server) == []


@pytest.mark.parametrize('policy', ['allkeys-lru', 'volatile-ttl'])
def test_eviction(probe_redis, policy):
    with redis_server.Redis(maxmemory='64mb',
                            maxmemory_policy=policy) as server:
        found = probing.only(probe_redis(server), 'jobboard.eviction')
        assert policy in found.message
        redis_probing.run(server, found.remedy)
        assert probe_redis(server) == []


def test_eviction_policy_without_a_limit(probe_redis):
    with redis_server.Redis(maxmemory_policy='allkeys-lru') as server:
        assert probe_redis(server) == []


def test_snapshot_fails(probe_redis):
    with redis_server.Redis() as server:
        blocked = server.dir / 'dump.rdb'
        blocked.mkdir()
        (blocked / 'file').touch()
        server.command('BGSAVE')
        process.wait_until(
            lambda: server.client().info()['rdb_last_bgsave_status'] != 'ok',
            'no failure')
        found = probing.only(probe_redis(server), 'jobboard.not-writable')
        assert 'MISCONF' in found.message
        server.command('CONFIG', 'SET', 'stop-writes-on-bgsave-error', 'no')
        found = probing.only(probe_redis(server), 'jobboard.not-durable')
        assert 'snapshot failed' in found.message
        server.command('CONFIG', 'SET', 'stop-writes-on-bgsave-error', 'yes')
        found = probing.only(probe_redis(server), 'jobboard.not-writable')
        (blocked / 'file').unlink()
        blocked.rmdir()
        redis_probing.run(server, found.remedy)
        process.wait_until(
            lambda: server.client().info()['rdb_last_bgsave_status'] == 'ok',
            'no snapshot')
        assert probe_redis(server) == []


def test_too_few_replicas(probe_redis):
    with redis_server.Redis(min_replicas_to_write=1) as server:
        found = probing.only(probe_redis(server), 'jobboard.not-writable')
        assert 'NOREPLICAS' in found.message
        redis_probing.run(server, found.remedy)
        assert probe_redis(server) == []


def test_busy_with_a_script(probe_redis):
    with redis_server.Redis(busy_reply_threshold=1) as server:
        with server.client() as client:
            connection = client.connection_pool.get_connection()
            connection.send_command('EVAL', 'while true do end', 0)

            def busy():
                import redis
                try:
                    return not server.command('PING')
                except redis.ResponseError:
                    return True

            process.wait_until(busy, 'not busy')
            found = probing.only(probe_redis(server), 'jobboard.not-writable')
            assert 'BUSY' in found.message
            redis_probing.run(server, found.remedy)
            process.wait_until(lambda: not busy(), 'still busy')
            connection.disconnect()
        assert probe_redis(server) == []


def test_not_durable(probe_redis):
    with redis_server.Redis(save='') as server:
        found = probing.only(probe_redis(server), 'jobboard.not-durable')
        assert 'neither' in found.message
        board = redis_probing.Account(server, probe_redis)
        # The least account may not read "save": no false alarm.
        assert board.probe() == []
        redis_probing.run(server, found.remedy)
        assert probe_redis(server) == []
        # Redis does not end while it writes its first append-only file.
        process.wait_until(
            lambda: not server.client().info()['aof_rewrite_in_progress'],
            'still writing')
        server.restart()
        assert probe_redis(server) == []


def test_cluster(probe_redis):
    with redis_server.Redis(cluster_enabled='yes') as server:
        probing.only(probe_redis(server), 'jobboard.cluster-mode')
        probing.only(probe_redis(server, jobboard_redis_backend_db=1),
                     'jobboard.cluster-mode')
        board = redis_probing.Account(server, probe_redis, [
            c for c in redis_probing.COMMANDS if c != 'info'])
        assert 'jobboard.cluster-mode' in probing.ids(board.probe())


def test_too_many_clients(probe_redis):
    with redis_server.Redis(maxclients=2) as server:
        with server.client() as first, server.client() as second:
            assert first.ping()
            blocked = second.connection_pool.get_connection()
            blocked.connect()
            found = probing.only(probe_redis(server), 'jobboard.refused')
            assert 'maxclients' in found.message
            for words in redis_probing.commands(found.remedy):
                first.execute_command(*words)
            assert probe_redis(server) == []
            blocked.disconnect()


def test_server_without_hello(probe_redis):
    def answers():
        import redis
        with redis.Redis(server.host, server.port, protocol=2) as client:
            try:
                return client.ping()
            except redis.ConnectionError:
                return False

    server = redis_server.Redis(rename_command=('HELLO', ''))
    with contextlib.closing(server):
        server.start(wait=False)
        process.wait_until(answers, 'no answer')
        found = probing.only(probe_redis(server), 'jobboard.server-old')
        assert 'HELLO' in found.message


def test_debug_level_keeps_the_secret(redis_account, caplog):
    caplog.set_level('DEBUG')
    board = redis_account()
    assert board.probe() == []
    probing.only(board.probe(jobboard_backend_password=PASSWORD + 'x'),
                 'jobboard.access-denied')
    assert PASSWORD not in caplog.text

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

"""The jobboard check leaves a Redis as it was."""

import pytest

from octavia_v2_checks.backends.redis import wire
from tests import probing
from tests import redis_probing
from tests.servers import redis as redis_server


def state(server):
    """All keys, their values and their ages, byte by byte."""
    with server.client() as client:
        client.connection_pool.connection_kwargs['decode_responses'] = False
        return {key: (client.dump(key), client.pexpiretime(key))
                for key in client.keys('*')}


def commands_run(server):
    return {name.removeprefix('cmdstat_').replace('|', ' ').upper():
            values['calls']
            for name, values in server.client().info('commandstats').items()}


@pytest.mark.parametrize('fault', [
    'healthy', 'least', 'no multi', 'no exec', 'no keys', 'replica', 'oom',
    'not writable', 'denied'])
def test_reads_only(fault, write_config):
    options = {'oom': {'maxmemory': '256kb'},
               'not writable': {'min_replicas_to_write': 1}}.get(fault, {})

    def probe(server, **more):
        return redis_probing.probe(write_config, server, **more)

    with redis_server.Redis(**options) as server:
        commands = [c for c in redis_probing.COMMANDS
                    if fault != f'no {c}']
        board = redis_probing.Account(server, probe, commands,
                                      keys=fault != 'no keys')
        if not options:
            owner = redis_probing.Account(server, probe)
            owner.namespace = board.namespace
            server.command('ACL', 'SETUSER', owner.name,
                           f'~{board.namespace}:*')
            with redis_probing.taskflow_board(owner) as jobs:
                jobs.claim(jobs.post('job-a'), 'me', expiry=1000)
                jobs.post('job-b')
        if fault == 'replica':
            server.command('CONFIG SET replica-serve-stale-data yes')
            server.command('REPLICAOF 127.0.0.1 1')
        before = state(server)
        assert options or len(before) == 4
        server.command('CONFIG RESETSTAT')
        administrator = {'CONFIG RESETSTAT', 'CLIENT SETINFO'}
        if fault == 'healthy':
            assert probe(server) == []
        else:
            wrong = {'jobboard_backend_password': 'wrong'}
            found = board.probe(**(wrong if fault == 'denied' else {}))
            assert bool(found) == (fault != 'least')
        ran = {name for name, calls in commands_run(server).items() if calls}
        assert ran - wire.READS - administrator == set()
        assert 'PING' in ran or fault == 'denied'
        assert state(server) == before


@pytest.mark.parametrize('command', [
    ('FLUSHALL',), ('SET', 'a', 'b'), ('CONFIG', 'SET', 'save', ''),
    ('CONFIG SET', 'save', ''), ('eval', 'return 1', 0), (b'HSET', 'a', 1),
    ('SENTINEL', 'RESET', '*'), ('CLIENT', 'KILL', 'TYPE', 'normal')])
def test_connections_send_nothing_that_writes(redis, command):
    """Whatever in redis-py or here would send it."""
    import redis as redis_py
    client = redis_py.Redis(redis.host, redis.port)
    pool = client.connection_pool
    pool.connection_class = wire.guarded(pool.connection_class)
    before = commands_run(redis)
    with client:
        assert client.ping()
        with client.pipeline(transaction=False) as pipe:
            pipe.ping()
            pipe.execute_command(*command)
            refused = [lambda: client.execute_command(*command),
                       pipe.execute]
            connection = pool.get_connection()
            refused += [
                lambda: connection.send_command(*command),
                lambda: connection.pack_command(*command),
                lambda: connection.pack_commands([('PING',), command])]
            for send in refused:
                with pytest.raises(ValueError, match='not a command that'):
                    send()
            pool.release(connection)
    after = commands_run(redis)
    assert {name for name in after if after[name] > before.get(name, 0)} <= (
        wire.READS | {'CLIENT SETINFO'})


def test_what_is_queued_cannot_be_carried_out(redis, write_config):
    """The transaction has an error in it before anything that writes."""
    account = redis_probing.Account(redis, None)
    seen = []
    with redis.client() as client, client.monitor() as monitor:
        assert redis_probing.probe(
            write_config, redis, jobboard_backend_username=account.name,
            jobboard_backend_password=probing.PASSWORD,
            jobboard_backend_namespace=account.namespace) == []
        redis.command('PING', 'end')
        while 'PING end' not in seen:
            seen.append(monitor.next_command()['command'])
    # MONITOR shows what was carried out: an EXEC that was refused is not.
    assert not [c for c in seen if c.split()[0] in ('HSET', 'INCRBY', 'SET')]

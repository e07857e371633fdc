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
    options = {'oom': {'maxmemory': '1mb'},
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

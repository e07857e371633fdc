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

"""The jobboard check and what a Redis account may do."""

import pytest

from tests import probing
from tests import redis_probing
from tests.redis_probing import work
from tests.servers import redis as redis_server


def test_healthy_with_the_least_account(redis_account):
    board = redis_account()
    assert board.probe() == []
    work(board)


@pytest.mark.parametrize('missing', redis_probing.COMMANDS)
def test_permission_missing(redis_account, missing):
    board = redis_account(commands=[c for c in redis_probing.COMMANDS
                              if c != missing])
    found = probing.only(board.probe(), 'jobboard.missing-permission')
    named = found.message.partition('may not ')[2].partition(' at ')[0]
    assert named == missing.upper().replace('|', ' ')
    assert board.name in found.message
    assert f'+{missing}' in redis_probing.commands(found.remedy)[0]
    redis_probing.run(board.server, found.remedy)
    assert board.probe() == []


def test_no_permission_at_all(redis_account):
    board = redis_account(commands=[], keys=False)
    found = probing.only(board.probe(), 'jobboard.missing-permission')
    redis_probing.run(board.server, found.remedy)
    assert board.probe() == []
    work(board)


def test_no_permission_but_for_transactions(redis_account):
    board = redis_account(commands=['multi', 'ping'], keys=False)
    found = probing.only(board.probe(), 'jobboard.missing-permission')
    redis_probing.run(board.server, found.remedy)
    # An account that may not HSET is not told whether it may use the key.
    assert 'HSET' in found.message and 'keys' not in found.message
    assert board.probe() == []
    work(board)


@pytest.mark.parametrize('namespace', ['of-another', 'glob*[a-c]?', 'q"\\'])
def test_keys_not_permitted(redis_account, namespace):
    board = redis_account()
    namespace += probing.name('')
    found = probing.only(board.probe(jobboard_backend_namespace=namespace),
                         'jobboard.missing-permission')
    assert f'{namespace}:*' in found.message
    redis_probing.run(board.server, found.remedy)
    assert board.probe(jobboard_backend_namespace=namespace) == []
    # The remedy grants this namespace, and not those its name would match.
    answer = board.server.command(
        'ACL', 'DRYRUN', board.name, 'GET', 'glob-stranger:a')
    assert answer != 'OK'


def test_keys_permitted_for_reading_only(redis_account):
    board = redis_account(keys=False)
    board.server.command('ACL', 'SETUSER', board.name,
                         f'%R~{board.namespace}:*')
    found = probing.only(board.probe(), 'jobboard.missing-permission')
    redis_probing.run(board.server, found.remedy)
    assert board.probe() == []


def test_select_not_permitted(redis_account):
    board = redis_account()
    found = probing.only(board.probe(jobboard_redis_backend_db=3),
                         'jobboard.missing-permission')
    assert 'SELECT' in found.message
    redis_probing.run(board.server, found.remedy)
    assert board.probe(jobboard_redis_backend_db=3) == []


def test_command_disabled(probe_redis):
    with redis_server.Redis(rename_command=('EVALSHA', '')) as server:
        found = probing.only(probe_redis(server),
                             'jobboard.missing-permission')
        assert 'EVALSHA' in found.message
        assert 'rename-command EVALSHA' in found.remedy
        server.config.write_text(''.join(
            line for line in server.config.open() if 'EVALSHA' not in line))
        server.restart()
        assert probe_redis(server) == []

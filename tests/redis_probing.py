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

"""The jobboard check on a Redis, and the administrator at its redis-cli."""

import contextlib
import re
import shlex
import uuid

from tests import jobboards
from tests import probing
from tests.servers import scripts

#: What a worker needs, found by taking commands away one by one while
#: TaskFlow posted, claimed, abandoned, consumed and trashed jobs.
COMMANDS = ('ping', 'info', 'hlen', 'hgetall', 'hsetnx', 'incrby', 'get',
            'pttl', 'pexpire', 'evalsha', 'script|load', 'exists', 'del',
            'set', 'hget', 'hset', 'hdel', 'hexists', 'multi', 'exec',
            'watch')


def probe(write_config, server, deadline=20, timeout=5, **options):
    """The findings of the jobboard check; options are of [task_flow].

    :param server: one server, or a list of those with the same port
    """
    servers = server if isinstance(server, list) else [server]
    options = {'jobboard_backend_hosts': [s.host for s in servers],
               'jobboard_backend_port': servers[0].port,
               **{name: value.replace('$', '$$')
                  if isinstance(value, str) else value
                  for name, value in options.items()}}
    return jobboards.Prober(write_config, 'redis_taskflow_driver')(
        options.pop('jobboard_backend_hosts'),
        options.pop('jobboard_backend_port'), deadline=deadline,
        timeout=timeout, **options)


def commands(remedy):
    """The commands in a remedy, word by word."""
    text = remedy.partition('In redis-cli, as an administrator: ')[2]
    assert text, remedy
    return [shlex.split(command) for command in text.split('; ')]


def run(server, remedy, password=None):
    """Do what a remedy says."""
    for words in commands(remedy):
        server.command(*(w.replace('PASSWORD', password) if password else w
                         for w in words))


def options(remedy):
    """The options that a remedy says to set in [task_flow]."""
    found = dict(re.findall(r'(jobboard_\w+) = ([^\s;]+)', remedy))
    found |= dict(re.findall(
        r'Set (jobboard_\w+) in \[task_flow\] to ([^\s;]+)', remedy))
    assert found, remedy
    return {name: value.rstrip(',.') for name, value in found.items()}


class Account:
    """A user and a namespace of this test's own on a shared server."""

    def __init__(self, server, probe, commands=COMMANDS,
                 keys=True):
        self.server = server
        self.name = probing.name('octavia')
        self.namespace = probing.name('jobs-')
        self._probe = probe
        rules = [f'+{c}' for c in commands]
        if keys:
            rules.append(f'~{self.namespace}:*')
        server.command('ACL', 'SETUSER', self.name, 'on',
                       f'>{probing.PASSWORD}', *rules)

    def probe(self, **options):
        return self._probe(self.server, **{
            'jobboard_backend_username': self.name,
            'jobboard_backend_password': probing.PASSWORD,
            'jobboard_backend_namespace': self.namespace, **options})


@contextlib.contextmanager
def taskflow_board(account):
    """TaskFlow's own jobboard, as a worker of the account uses it."""
    from taskflow.jobs import backends
    from taskflow.persistence import backends as persistence
    board = backends.fetch('jobs', {
        'board': 'redis', 'host': account.server.host,
        'port': account.server.port, 'username': account.name,
        'password': probing.PASSWORD, 'namespace': account.namespace,
        'ssl': False}, persistence=persistence.fetch({
            'connection': 'memory'}))
    board.connect()
    try:
        yield board
    finally:
        board.close()


def work(account):
    """Post, claim, abandon, trash and consume jobs as a worker does."""
    with taskflow_board(account) as board:
        for end in (board.consume, board.trash):
            job = board.post(f'job-{uuid.uuid4()}')
            assert job in list(board.iterjobs(ensure_fresh=True))
            board.claim(job, 'me', expiry=30)
            board.abandon(job, 'me')
            board.claim(job, 'me', expiry=30)
            assert job.expires_in() > 0 and job.extend_expiry(30)
            assert job.state and board.find_owner(job) and job.last_modified
            end(job, 'me')
        assert board.job_count == 0


#: What a server that speaks RESP3 says to HELLO 3.
HELLO = b'%2\r\n$6\r\nserver\r\n$5\r\nredis\r\n$5\r\nproto\r\n:3\r\n'


class Scripted(scripts.Silent):
    """Says what no Redis says on request.

    :param answers: by the first word of a command; +OK is said to others
    :param host: to listen on
    """

    def __init__(self, host='127.0.0.1', **answers):
        self._answers = {'HELLO': HELLO} | answers
        super().__init__(host)

    def answer(self, client, data):
        for command in data.split(b'*')[1:]:
            word = command.split(b'\r\n')[2].decode().upper()
            client.sendall(self._answers.get(word, b'+OK\r\n'))

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

"""The jobboard check where Redis fails, or something else answers."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from octavia_v2_checks import clock
from octavia_v2_checks import settings
from octavia_v2_checks.checks import jobboard
from tests import commands
from tests import jobboards
from tests import probing
from tests.servers import process
from tests.servers import redis as redis_server
from tests.servers import scripts

LOGIN = {'jobboard_backend_username': 'octavia',
         'jobboard_backend_password': probing.PASSWORD}

DENIED = (b'-DENIED Redis is running in protected mode because protected '
          b'mode is enabled and no password is set for the default user.\r\n')


class Echo(scripts.Silent):
    """Says what it is told, a login with it."""

    def answer(self, client, data):
        client.sendall(data)


@pytest.mark.parametrize('script, slug', [
    (scripts.Refuse, 'refused'),
    (scripts.Blackhole, 'timeout'),
    (scripts.Silent, 'timeout'),
    (scripts.Reset, 'refused'),
    (scripts.Hangup, 'refused'),
    (lambda: scripts.Answer(b'*14\r\n$6\r\nserv'), 'timeout'),
    (lambda: scripts.Drip(b'*14\r\n$6\r\nserver\r\n', 0.4), 'timeout'),
    (lambda: scripts.Greet(b'\xee\x01garbage\x00'), 'wrong-protocol'),
    (lambda: scripts.Drip(b'garbage', 0.4), 'wrong-protocol'),
    (lambda: scripts.Endless(b'x'), 'wrong-protocol'),
    (lambda: scripts.Endless(b'+x'), 'wrong-protocol'),
    (lambda: scripts.Endless(b':1\r\n'), 'wrong-protocol'),
    (lambda: scripts.Endless(b'*1\r\n'), 'wrong-protocol'),
    (lambda: scripts.Endless(b'*2000000000\r\n'), 'wrong-protocol'),
    (lambda: scripts.Endless(b'$2000000000\r\n'), 'wrong-protocol'),
    # redis-py waits for more.
    (lambda: scripts.Answer(b'*1\r\n$-5\r\n'), 'timeout'),
    (lambda: scripts.Endless(b'+OK\r\n'), 'wrong-protocol'),
    (Echo, 'wrong-protocol'),
    (lambda: scripts.Answer(DENIED), 'access-denied'),
], ids=['refused', 'blackhole', 'silent', 'reset', 'hangup', 'half', 'drip',
        'garbage', 'garbage by drips', 'endless', 'endless line',
        'endless numbers', 'endless depth', 'endless list', 'endless text',
        'nonsense', 'yes', 'echo', 'protected mode'])
def test_fault(probe_redis, script, slug):
    with script() as server:
        found = probe_redis(server, deadline=2.5, timeout=1, **LOGIN)
    found = probing.only(found, f'jobboard.{slug}')
    assert found.host == jobboards.peer(server)
    assert found.host in found.message and found.remedy


def test_a_long_answer_takes_no_more_than_its_time(probe_redis):
    """Nothing is wrong with any part of it; there only is no end."""
    endless = b'*1000000000\r\n' + b':1\r\n' * 100

    class Flood(scripts.Endless):
        def _drip(self, client):
            client.sendall(endless)
            super()._drip(client)

    with Flood(b':1\r\n', first=False) as server:
        found = probe_redis(server, deadline=3, timeout=1, **LOGIN)
    assert probing.ids(found)[0] in ('jobboard.timeout',
                                     'jobboard.wrong-protocol')


@pytest.mark.parametrize('text, word', [
    (b'-WEIRD ' + probing.PASSWORD.encode(), 'WEIRD'),
    (b'-' + probing.PASSWORD.encode(), 'ERR')])
def test_unknown_error(probe_redis, text, word):
    with scripts.Answer(text + b'\r\n') as server:
        found = probing.only(probe_redis(server, **LOGIN),
                             'jobboard.undetermined')
    assert f'the error {word},' in found.message
    assert found.host == jobboards.peer(server)


@pytest.mark.parametrize('fixture, name', [
    ('mariadb', 'MySQL'), ('postgres', 'PostgreSQL'),
    ('zookeeper', 'ZooKeeper'), ('etcd', 'etcd')])
def test_another_server(probe_redis, request, fixture, name):
    server = request.getfixturevalue(fixture)
    found = probing.only(probe_redis(server, timeout=2),
                         'jobboard.wrong-protocol')
    assert f'{name} answers' in found.message
    assert found.host == jobboards.peer(server)
    drivers = {'zookeeper': 'zookeeper_taskflow_driver',
               'etcd': 'etcd_taskflow_driver'}
    assert drivers.get(fixture, 'jobboard_backend_hosts') in found.remedy


@pytest.mark.parametrize('script, name', [
    (lambda: scripts.Http(b'{}'), 'an HTTP server'),
    (lambda: scripts.Greet(b'SSH-2.0-OpenSSH_9.2\r\n'), 'SSH'),
    (lambda: scripts.Answer(b'ERROR\r\n'), 'memcached'),
    (lambda: scripts.Answer(b'AMQP\0\0\x09\1'), 'RabbitMQ')])
def test_another_server_in_outline(probe_redis, script, name):
    with script() as server:
        found = probing.only(probe_redis(server), 'jobboard.wrong-protocol')
    assert f'{name} answers' in found.message


def test_resolver_knows_nothing(probe_redis, redis):
    found = probing.only(
        probe_redis(redis, jobboard_backend_hosts='no-such-host.invalid'),
        'jobboard.unresolvable')
    assert found.host == f'no-such-host.invalid:{redis.port}'
    assert probe_redis(redis, jobboard_backend_hosts='localhost') == []


RESOLVER = """
import json, socket, sys, threading
from octavia_v2_checks import clock, findings, settings
from octavia_v2_checks.checks import jobboard
socket.getaddrinfo = lambda *args, **kwargs: threading.Event().wait()
said = jobboard.check(settings.load([('file', sys.argv[1])]),
                      clock.Deadline(4, 1))
print(json.dumps([f.as_dict() for f in said
                  if isinstance(f, findings.Finding)]))
"""


def test_resolver_never_answers(write_config):
    config = write_config(jobboard_enabled=True,
                          jobboard_backend_hosts='redis.example')
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, '-c', RESOLVER, config], timeout=60, text=True,
        capture_output=True, env=commands.environment())
    # Python needs some time to begin.
    assert time.monotonic() - begin < 2 + 1 + 5
    assert '"jobboard.unresolvable"' in done.stdout, done.stderr
    assert 'resolver did not answer within 1 s' in done.stdout
    assert '"redis.example:6379"' in done.stdout


@pytest.mark.parametrize('hosts, healthy', [
    ('::1', True), ('[::1]', False)])
def test_ipv6(probe_redis, hosts, healthy):
    with redis_server.Redis(host='::1') as server:
        found = probe_redis(server, jobboard_backend_hosts=hosts)
    assert probing.ids(found) == (
        [] if healthy else ['jobboard.unresolvable'])


def connections(port):
    """How many clients a server on IPv4 has, whether it knows or not."""
    table = pathlib.Path('/proc/net/tcp').read_text()
    return len(re.findall(rf'^ *\d+: \w+:{port:04X} \w+:\w+ 01', table, re.M))


def test_server_hangs(probe_redis):
    with redis_server.Redis() as server:
        os.kill(server.pid, signal.SIGSTOP)
        found = probing.only(probe_redis(server, deadline=3, timeout=1),
                             'jobboard.timeout')
        assert found.host == jobboards.peer(server)
        os.kill(server.pid, signal.SIGCONT)
        assert probe_redis(server) == []


def test_server_killed_while_we_look(probe_redis):
    found = []
    with redis_server.Redis() as server:
        before = connections(server.port)
        os.kill(server.pid, signal.SIGSTOP)
        looking = threading.Thread(
            target=lambda: found.extend(probe_redis(server, **LOGIN)))
        looking.start()
        process.wait_until(lambda: connections(server.port) > before,
                           'no connection')
        server.kill()
        looking.join()
        assert probing.only(found, 'jobboard.refused').host == (
            jobboards.peer(server))
        server.start()
        assert probe_redis(server) == []


class Relay(scripts.Silent):
    """Passes on what a Redis says, with one word for another.

    :param asked: replaced in what clients ask; so is *answered* in answers
    """

    def __init__(self, server, asked=(b'', b''), answered=(b'', b'')):
        self._server = server
        self._asked = asked
        self._answered = answered
        self._upstream = {}
        super().__init__()

    def greet(self, client):
        upstream = socket.create_connection(
            (self._server.host, self._server.port))
        self._upstream[client] = upstream
        threading.Thread(target=self._back, args=(client, upstream),
                         daemon=True).start()

    def answer(self, client, data):
        self._upstream[client].sendall(data.replace(*self._asked))

    def _back(self, client, upstream):
        try:
            while data := upstream.recv(1 << 20):
                client.sendall(data.replace(*self._answered))
        except OSError:
            pass

    def stop(self):
        super().stop()
        for upstream in list(self._upstream.values()):
            upstream.close()


def test_old_server(probe_redis, redis):
    """There is none to be had, so a relay makes a new one look old."""
    version = redis.client().info()['redis_version'].encode()
    old = (b'2.5.' + b'9' * len(version))[:len(version)]
    with Relay(redis, answered=(b'redis_version:' + version,
                                b'redis_version:' + old)) as server:
        found = probing.only(probe_redis(server), 'jobboard.server-old')
        assert f'runs Redis {old.decode()}' in found.message
    with Relay(redis, answered=(b'redis_version:',
                                b'hidden_number:')) as server:
        found = probing.only(probe_redis(server), 'jobboard.server-old')
        assert 'does not report its version' in found.message
    with Relay(redis) as server:
        assert probe_redis(server) == []


def test_valkey(redis, write_config):
    """A relay makes a Redis tell what only a Valkey tells."""
    with Relay(redis, answered=(b'redis_git_dirty:0',
                                b'valkey_version:88')) as server:
        config = write_config(jobboard_enabled=True,
                              jobboard_backend_hosts=server.host,
                              jobboard_backend_port=server.port)
        fact, = jobboard.check(settings.load([('file', str(config))]),
                               clock.Deadline(20, 5))
    assert fact.startswith(f'Valkey 88 at {jobboards.peer(server)}: ')


def test_proxy_that_does_not_queue(probe_redis):
    """It says OK to MULTI, and then would carry out what follows."""
    with redis_server.Redis() as redis:
        with Relay(redis, asked=(
                b'$5\r\nMULTI', b'$4\r\nPING')) as proxy:
            probing.only(probe_redis(proxy), 'jobboard.wrong-protocol')
            assert redis.command('DBSIZE') == 0
            assert b'MULTI' in b''.join(proxy.received)
            assert b'HSET' not in b''.join(proxy.received)

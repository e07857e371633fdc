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

"""The verdict on Redis is what the jobboard of TaskFlow then does."""

import threading
import time

import pytest

from octavia_v2_checks import clock
from octavia_v2_checks import settings
from octavia_v2_checks.backends import redis as redis_backend
from tests import clients
from tests import probing
from tests import redis_probing
from tests import sentinels
from tests.servers import process
from tests.servers import redis as redis_server

DENIED = (b'-DENIED Redis is running in protected mode because protected '
          b'mode is enabled and no password is set for the default user.\r\n')


@pytest.fixture
def judge(write_config):
    """A function: the findings of a check, and what a worker gets."""
    def run(server, check='jobboard', **options):
        config = write_config(**{
            'jobboard_enabled': True, 'jobboard_backend_hosts': server.host,
            'jobboard_backend_port': server.port,
            'jobboard_backend_namespace': probing.name('verdict'), **options})
        return probing.probe(check, config), clients.work(config)

    return run


def test_server_that_refuses_resp3(judge):
    """As a proxy in front of Redis may, which carries out all the rest."""
    with redis_probing.Scripted(
            HELLO=b'-NOPROTO unsupported protocol version\r\n') as server:
        found, worker = judge(server)
    assert 'NOPROTO' in probing.only(found, 'jobboard.server-old').message
    assert worker['error'] == 'JobFailure'


class Slow(redis_probing.Scripted):
    """Answers every question, and the clients are gone by then."""

    def answer(self, client, data):
        if not self._stopping.wait(6):
            super().answer(client, data)


def test_server_slower_than_the_client_waits(write_config):
    """However much time the operator allows us."""
    with Slow(PING=b'+PONG\r\n') as server:
        config = write_config(
            jobboard_enabled=True, jobboard_backend_hosts=server.host,
            jobboard_backend_port=server.port)
        begin = time.monotonic()
        found = probing.probe('jobboard', config, 40, 30)
        took = time.monotonic() - begin
        worker = clients.work(config, 30)
    found = probing.only(found, 'jobboard.timeout')
    assert '5 s' in found.message and took < 12
    assert 'error' in worker


def test_first_sentinel_in_protected_mode(judge):
    """redis-py asks no other then; asked later, it is one that is down."""
    with redis_server.Redis() as master:
        with redis_probing.Scripted(sentinels.HOSTS[1],
                                    HELLO=DENIED) as denied:
            with sentinels.one(master, port=denied.port) as good:
                hosts = [denied.host, good.host]
                found, worker = judge(
                    good, jobboard_redis_sentinel=sentinels.NAME,
                    jobboard_backend_hosts=hosts)
                probing.only(found, 'jobboard.access-denied')
                assert worker['error'] == 'JobFailure'
                found, worker = judge(
                    good, jobboard_redis_sentinel=sentinels.NAME,
                    jobboard_backend_hosts=hosts[::-1])
                found = probing.only(found, 'jobboard.member-down')
                assert 'asks no further' in found.message
                assert worker == {'jobs': []}


def test_second_sentinel_with_a_port_of_its_own(judge):
    with redis_server.Redis() as master, sentinels.one(master) as good:
        hosts = [good.host, f'{sentinels.HOSTS[1]}:{good.port}']
        found, worker = judge(good, jobboard_redis_sentinel=sentinels.NAME,
                              jobboard_backend_hosts=hosts)
        found = probing.only(found, 'jobboard.client-fails')
        assert 'ValueError' in found.message
        assert worker['error'] == 'ValueError'
        with sentinels.one(master, sentinels.HOSTS[1], good.port):
            found, worker = judge(good, jobboard_redis_sentinel=sentinels.NAME,
                                  jobboard_backend_hosts=list(
                                      sentinels.HOSTS[:2]))
        assert found == [] and worker == {'jobs': []}


def test_clients_that_are_closed_without_a_word(judge, authority):
    """With TLS, Redis has no way to say that it serves no more."""
    tls = {'jobboard_redis_backend_ssl_options': {
        'ssl': 'True', 'ssl_ca_certs': authority.cert}}
    with redis_server.Redis(tls=authority.server('full'), ca=authority.cert,
                            maxclients=2) as server:
        with server.client() as first, server.client() as second:
            assert first.ping() and second.ping()
            found, worker = judge(server, **tls)
            found, = found
            assert found.id in ('jobboard.tls', 'jobboard.refused')
            assert 'maxclients' in found.remedy
            assert worker['error'] == 'JobFailure'
            for words in redis_probing.commands(found.remedy):
                first.execute_command(*words)
            found, worker = judge(server, **tls)
            assert found == [] and worker == {'jobs': []}


@pytest.mark.parametrize('namespace', [
    '/x', 'x/', 'a//b', 'a:b', ' odd', 'ünï', '*', 'a b'])
def test_namespaces_are_taken_literally(redis, write_config, namespace):
    """TaskFlow posts there, and its own listing and ours see it there."""
    from taskflow.jobs import backends
    namespace += probing.name('-')
    with backends.backend('jobs', {
            'board': 'redis', 'host': redis.host, 'port': redis.port,
            'namespace': namespace, 'ssl': False}) as board:
        board.post('one')
    config = write_config(
        jobboard_enabled=True, jobboard_backend_hosts=redis.host,
        jobboard_backend_port=redis.port,
        jobboard_backend_namespace=f"'{namespace}'")
    assert clients.work(config) == {'jobs': ['one']}
    assert listed(config) == ['one']


def listed(config):
    """The names of the jobs that we see on a board."""
    deadline = clock.Deadline(20, 5)
    board = redis_backend.Redis(settings.load([('file', str(config))]),
                                deadline).board()
    found = [job.name for page in board.pages() for job in page]
    assert board.count() == len(found)
    deadline.close()
    return found


def posting(**changes):
    """A posting as TaskFlow writes it, but for some fields; None is none."""
    from oslo_serialization import msgpackutils
    from oslo_utils import timeutils
    whole = {'uuid': 'u', 'name': 'good', 'priority': 'NORMAL', 'details': {},
             'created_on': timeutils.utcnow(), 'sequence': 1} | changes
    return msgpackutils.dumps(
        {k: v for k, v in whole.items() if v is not None})


@pytest.mark.parametrize(('data', 'readable'), [
    (posting(), True), (posting(priority='high'), True),
    (posting(details=None), True), (posting(details={'store': {
        'listener': 'x' * 100000}}), True),
    (posting(priority='urgent'), False), (posting(priority=7), False),
    (posting(created_on=None), False), (posting(sequence=None), False),
    (posting(uuid=None), False), (posting(name=None), False),
    (posting(details={'a': 'MIDDLE'}).replace(b'MIDDLE', b'MI\xffDLE'),
     False),
    (posting(details={'a': 'MIDDLE'}).replace(
        b'\xa6MIDDLE', b'\xc1MIDDLE'), False),
    (posting(details={'a': 'MIDDLE'}).replace(
        b'\xa6MIDDLE', b'\xc7\x05\x01\xff\xff\xff\xff\xff'), False),
    (posting() + b'\x00', False), (posting()[:-1], False),
    (b'\x91' * 5000 + b'\xc0', False), (b'\xdd\xff\xff\xff\xff', False),
    (b'', False), (b'{"uuid": "u"}', False), (b'\x93\x01\x02\x03', False)])
def test_postings_are_read_as_workers_read_them(redis, write_config, data,
                                                readable):
    """What workers cannot read, they delete."""
    config = write_config(
        jobboard_enabled=True, jobboard_backend_hosts=redis.host,
        jobboard_backend_port=redis.port,
        jobboard_backend_namespace=probing.name('posting'))
    key = settings.load([('file', str(config))]).get(
        'jobboard_backend_namespace') + ':listings'
    with redis.client() as client:
        client.connection_pool.connection_kwargs['decode_responses'] = False
        client.hset(key, b'u', data)
        assert listed(config) == (['good'] if readable else [None])
        worker = clients.work(config)
        assert (worker == {'jobs': ['good']}) is readable
        assert client.hexists(key, b'u') is readable


def test_a_client_that_goes_wrong_says_good_bye(redis, write_config):
    """No connection is left, and no thread, whatever was found."""
    before = threading.active_count()
    config = write_config(
        jobboard_enabled=True, jobboard_backend_hosts=redis.host,
        jobboard_backend_port=redis.port, jobboard_redis_backend_db=99)
    clients_before = len(redis.client().client_list())
    deadline = clock.Deadline(20, 5)
    backend = redis_backend.Redis(settings.load([('file', str(config))]),
                                  deadline)
    said = list(backend.probe())
    assert [f.slug for f in said] == ['unknown-database']
    with pytest.raises(Exception) as caught:
        backend.board()
    assert caught.value is said[0]
    deadline.close()
    process.wait_until(
        lambda: len(redis.client().client_list()) <= clients_before,
        'still connected', 10)
    assert threading.active_count() <= before + 2


def test_one_login(redis, write_config):
    """Both rows share a connection, with the least account too."""
    account = redis_probing.Account(redis, None)
    config = write_config(
        jobboard_enabled=True, jobboard_backend_hosts=redis.host,
        jobboard_backend_port=redis.port,
        jobboard_backend_username=account.name,
        jobboard_backend_password=probing.PASSWORD.replace('$', '$$'),
        jobboard_backend_namespace=account.namespace)

    deadline = clock.Deadline(20, 5)
    backend = redis_backend.Redis(settings.load([('file', str(config))]),
                                  deadline)
    with redis.client() as client:
        def received():
            return client.info()['total_connections_received']

        before = received()
        fact, = backend.probe()
        board = backend.board()
        assert board.count() == 0 and list(board.pages()) == []
        assert received() == before + 1
    deadline.close()
    assert fact.startswith('Redis ')

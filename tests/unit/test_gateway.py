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

"""Answers of etcd that are not what etcd answers."""

import base64
import json
import marshal

from hypothesis import example
from hypothesis import given
from hypothesis import strategies as st
import pytest

from octavia_v2_checks.backends import net
from octavia_v2_checks.backends.etcd import board
from octavia_v2_checks.backends.etcd import cluster
from octavia_v2_checks.backends.etcd import gateway
from octavia_v2_checks.backends.etcd import session

NAMES = st.sampled_from([
    'header', 'member_id', 'leader', 'errors', 'revision', 'members', 'ID',
    'name', 'clientURLs', 'isLearner', 'count', 'kvs', 'key', 'value',
    'error', 'message', 'code', 'etcdserver'])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats()
    | st.text(max_size=9) | st.sampled_from(['AA==', 'http://[', '1']),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(NAMES, inner, max_size=5), max_leaves=12)


class Session:
    """A way to a server that answers everything alike."""

    peer = 'etcd1:2379'

    def __init__(self, status, body):
        self.answer = session.Answer(status, body)

    def ask(self, path, body=None):
        return self.answer


class Server(gateway.Server):
    def __init__(self, value, status=200):
        body = value if isinstance(value, bytes) else json.dumps(
            value).encode()
        self._session = Session(status, body)
        self.peer = self._session.peer
        self._path = '/v3/'


class Child:
    """Answers as a member in a separate process does."""

    def __init__(self, url):
        self.url = url
        self.begun = 'environment'

    def begin(self, question):
        self.begun = question

    def finish(self):
        return (Server({'header': {}}).status()
                if self.begun == 'status' else {})

    def close(self):
        """Do nothing."""


def _cluster_of(server):
    return list(cluster.faults(server.peer, server.status(),
                               server.members(), Child))


QUESTIONS = (lambda s: s.version(), lambda s: s.status(),
             lambda s: s.members(), lambda s: s.count('/a/'),
             lambda s: s.paths(), lambda s: next(s.scan('/a/')),
             lambda s: next(s.tally('/a/', 'b')),
             lambda s: list(board.listed(s, '/a/')))


@given(VALUES, st.sampled_from([200, 400, 401, 404, 503]),
       st.sampled_from(QUESTIONS))
def test_anything(value, status, question):
    try:
        marshal.dumps(question(Server(value, status)))
    except net.Fault as exc:
        assert exc.host == 'etcd1:2379' and exc.text


@given(st.fixed_dictionaries(
    {'header': st.just({'member_id': '1', 'revision': '2'}) | VALUES},
    optional=dict.fromkeys(('leader', 'errors', 'members', 'count', 'kvs',
                            'error'), VALUES)),
    st.sampled_from([*QUESTIONS[:-1], _cluster_of]))
@example({'header': {}, 'count': float('inf')}, QUESTIONS[3])
@example({'header': {}, 'members': 3}, QUESTIONS[2])
@example({'header': {}, 'kvs': True}, QUESTIONS[5])
@example({'header': {}, 'kvs': [{'key': 1}]}, QUESTIONS[5])
def test_anything_with_a_header(value, question):
    try:
        question(Server(value))
    except net.Fault as exc:
        assert exc.host == 'etcd1:2379' and exc.text


@given(st.binary(max_size=99))
@example(b'[' * 100_000)
@example(b'1' * 10_000)
@example(b'{"a": NaN}')
def test_any_bytes(data):
    with pytest.raises(net.Fault):
        Server(data).status()


@given(st.dictionaries(st.text(max_size=9), st.binary(max_size=9),
                       min_size=1))
def test_pairs(pairs):
    kvs = [{'key': base64.b64encode(k.encode()).decode(),
            'value': base64.b64encode(v).decode()} for k, v in pairs.items()]
    page, = Server({'header': {}, 'kvs': kvs}).scan('/a/')
    assert dict(page) == pairs


@pytest.mark.parametrize('name', ['error', 'message'])
@pytest.mark.parametrize('error, slug', [
    ('etcdserver: user name is empty', 'auth-unsupported'),
    ('etcdserver: permission denied', 'auth-unsupported'),
    ('etcdserver: mvcc: database space exceeded', 'out-of-space'),
    ('etcdserver: request timed out', 'no-quorum'),
    ('connection closed', 'tls'),
    ('etcdserver: rpc not supported for learner', 'not-writable'),
    ('etcdserver: something new', 'undetermined')])
def test_errors(error, slug, name):
    with pytest.raises(net.Fault) as caught:
        Server({name: error, 'code': 9}, 503).status()
    assert caught.value.slug == slug
    assert error not in caught.value.text


@pytest.mark.parametrize('leader', [None, '', 0, '0'])
def test_no_leader(leader):
    """Newer gateways may write a number that is not set as "0"."""
    said = Server({'header': {}, 'leader': leader}).status()
    assert said['leader'] is None


def _cluster(leader, members, neighbour=lambda url: None):
    server = Server({
        'header': {'member_id': '1'}, 'leader': leader, 'members': [
            {'ID': str(number), 'clientURLs': ['http://etcd'] if urls else [],
             'isLearner': learner}
            for number, (urls, learner) in enumerate(members, 1)]})
    return [f.slug for f in cluster.faults(
        server.peer, server.status(), server.members(), neighbour)]


def test_a_learner_does_not_count():
    voter, learner = (True, False), (False, True)
    assert _cluster('1', [voter, voter]) == []
    assert _cluster('1', [voter, learner]) == ['member-down']
    assert _cluster(None, [voter, learner, learner]) == ['not-writable']
    assert _cluster(None, [voter, (False, False), learner]) == ['no-quorum']


def test_a_thousand_members_are_not_all_asked():
    asked = []

    def neighbour(url):
        asked.append(url)
        return Child(url)

    _cluster('1', [(True, False)] * 1000, neighbour)
    assert 1 < len(asked) < 20

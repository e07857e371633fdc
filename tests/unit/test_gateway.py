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

from hypothesis import example
from hypothesis import given
from hypothesis import strategies as st
import pytest

from octavia_v2_checks import clock
from octavia_v2_checks.backends import net
from octavia_v2_checks.backends.etcd import cluster
from octavia_v2_checks.backends.etcd import gateway
from octavia_v2_checks.backends.etcd import http

NAMES = st.sampled_from([
    'header', 'member_id', 'leader', 'errors', 'revision', 'members', 'ID',
    'name', 'clientURLs', 'isLearner', 'count', 'kvs', 'key', 'value',
    'error', 'code', 'etcdserver'])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats()
    | st.text(max_size=9) | st.sampled_from(['AA==', 'http://[', '1']),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(NAMES, inner, max_size=5), max_leaves=12)


class Client:
    """A way to a server that answers everything alike."""

    peer = 'etcd1:2379'

    def __init__(self, status, body):
        self.answer = http.Answer(status, body)

    def ask(self, clock_, path, body=None):
        return self.answer


def _gateway(value, status=200):
    return gateway.Gateway(Client(status, json.dumps(value).encode()),
                           lambda: clock.Clock(1), '/v3/')


def _neighbour(url, path):
    return _gateway({'header': {}})


QUESTIONS = (lambda g: g.version(), lambda g: g.status(),
             lambda g: g.members(), lambda g: g.count('/a/'),
             lambda g: g.range('/a/'),
             lambda g: list(cluster.faults(g, g.status(), _neighbour)))


@given(VALUES, st.sampled_from([200, 400, 404, 503]),
       st.sampled_from(QUESTIONS))
def test_anything(value, status, question):
    try:
        question(_gateway(value, status))
    except net.Fault as exc:
        assert exc.host == 'etcd1:2379' and exc.text


@given(st.fixed_dictionaries(
    {'header': st.just({'member_id': '1', 'revision': '2'}) | VALUES},
    optional=dict.fromkeys(('leader', 'errors', 'members', 'count', 'kvs',
                            'error'), VALUES)),
    st.sampled_from(QUESTIONS))
@example({'header': {}, 'count': float('inf')}, QUESTIONS[3])
@example({'header': {}, 'members': 3}, QUESTIONS[2])
@example({'header': {}, 'kvs': True}, QUESTIONS[4])
@example({'header': {}, 'kvs': [{'key': 1}]}, QUESTIONS[4])
def test_anything_with_a_header(value, question):
    try:
        question(_gateway(value))
    except net.Fault as exc:
        assert exc.host == 'etcd1:2379' and exc.text


@given(st.dictionaries(st.text(max_size=9), st.binary(max_size=9)))
def test_range(pairs):
    kvs = [{'key': base64.b64encode(k.encode()).decode(),
            'value': base64.b64encode(v).decode()} for k, v in pairs.items()]
    assert _gateway({'header': {}, 'kvs': kvs}).range('/a/') == pairs


@pytest.mark.parametrize('error, slug', [
    ('etcdserver: user name is empty', 'auth-unsupported'),
    ('etcdserver: permission denied', 'auth-unsupported'),
    ('etcdserver: mvcc: database space exceeded', 'out-of-space'),
    ('etcdserver: request timed out', 'no-quorum'),
    ('connection closed', 'tls'),
    ('etcdserver: something new', 'undetermined')])
def test_errors(error, slug):
    with pytest.raises(net.Fault) as caught:
        _gateway({'error': error, 'code': 9}, 503).status()
    assert caught.value.slug == slug
    assert error not in caught.value.text


def _cluster(leader, members):
    said = {'header': {'member_id': '1'}, 'leader': leader, 'members': [
        {'ID': str(number), 'clientURLs': ['http://etcd'] if urls else [],
         'isLearner': learner}
        for number, (urls, learner) in enumerate(members, 1)]}
    board = _gateway(said)
    return [f.slug for f in cluster.faults(board, board.status(),
                                           lambda url, path: None)]


def test_a_learner_does_not_count():
    voter, learner = (True, False), (False, True)
    assert _cluster('1', [voter, voter]) == []
    assert _cluster('1', [voter, learner]) == ['member-down']
    assert _cluster(None, [voter, learner, learner]) == ['not-writable']
    assert _cluster(None, [voter, (False, False), learner]) == ['no-quorum']

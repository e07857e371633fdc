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

"""ZooKeeper's protocol, in pieces of any size and with any content."""

import struct

from hypothesis import given
from hypothesis import strategies as st
import pytest

from octavia_v2_checks.backends import net
from octavia_v2_checks.backends.zookeeper import jute

TEXTS = st.text(max_size=20)
IDENTITIES = st.builds(jute.Identity, TEXTS, TEXTS)
GRANTS = st.builds(jute.Grant, st.integers(0, 31).map(jute.Permission),
                   IDENTITIES)


class Stream:
    """A connection whose other end says *data*, in pieces, and hangs up."""

    peer = 'zk1:2181'

    def __init__(self, data, piece=65536):
        self.data = data
        self.piece = piece
        self.sent = b''
        self.closed = False

    def send(self, data):
        self.sent += data

    def receive(self, most=65536):
        if not self.data:
            raise ConnectionResetError
        size = min(most, self.piece)
        data, self.data = self.data[:size], self.data[size:]
        return data

    def close(self):
        self.closed = True


def _frame(data):
    return struct.pack('>i', len(data)) + data


def _buffer(data):
    return struct.pack('>i', len(data)) + data


def _identity(identity):
    return _buffer(identity.scheme.encode()) + _buffer(identity.name.encode())


BEGIN = _frame(struct.pack('>iiq', 0, 5000, 7) + _buffer(bytes(16)) + b'\0')


def _reply(number, body, code=0):
    return _frame(struct.pack('>iqi', number, 1, code) + body)


def _list(items):
    return struct.pack('>i', len(items)) + b''.join(items)


@given(st.lists(TEXTS, max_size=9), st.integers(1, 40))
def test_children(names, piece):
    body = _list([_buffer(n.encode()) for n in names])
    session = jute.Session(Stream(BEGIN + _reply(1, body), piece))
    assert session.get_children('/a') == names


@given(st.lists(GRANTS, max_size=5), st.lists(IDENTITIES, max_size=5),
       st.integers(1, 40))
def test_access(grants, identities, piece):
    acl = _list([struct.pack('>i', g.permissions) + _identity(g.identity)
                 for g in grants]) + bytes(68)
    who = _list([_identity(i) for i in identities])
    session = jute.Session(Stream(
        BEGIN + _reply(1, acl) + _reply(2, who), piece))
    assert session.get_acl('/a') == grants
    assert session.whoami() == identities


@given(st.binary(max_size=99))
def test_data(data):
    session = jute.Session(Stream(
        BEGIN + _reply(1, _buffer(data) + bytes(68))))
    assert session.get_data('/a') == data


def test_no_data_is_empty():
    session = jute.Session(Stream(BEGIN + _reply(1, b'\xff' * 4)))
    assert session.get_data('/a') == b''


def test_what_is_sent():
    stream = Stream(BEGIN + _reply(1, bytes(68)))
    with jute.Session(stream) as session:
        asked = len(stream.sent)
        assert stream.sent[:4] == struct.pack('>i', asked - 4)
        assert session.exists('/\u00e4')
        assert stream.sent[asked:] == _frame(
            struct.pack('>ii', 1, 3) + _buffer('/\u00e4'.encode()) + b'\0')
        asked = len(stream.sent)
    assert stream.sent[asked:] == _frame(struct.pack('>ii', 2, -11))
    assert stream.closed


@pytest.mark.parametrize('code', [-101, -102, -124, 5])
def test_errors(code):
    session = jute.Session(Stream(BEGIN + _reply(1, b'', code)))
    with pytest.raises(jute.Refused) as caught:
        session.get_data('/a')
    assert caught.value.code == code


def test_exists_is_no_for_a_missing_znode_only():
    replies = _reply(1, b'', -101) + _reply(2, b'', -102)
    session = jute.Session(Stream(BEGIN + replies))
    assert not session.exists('/a')
    with pytest.raises(jute.Refused):
        session.exists('/a')


def test_a_session_that_is_not_granted():
    with pytest.raises(ConnectionError):
        jute.Session(Stream(_frame(bytes(37))))


QUESTIONS = (lambda s: s.exists('/a'), lambda s: s.get_children('/a'),
             lambda s: s.get_data('/a'), lambda s: s.get_acl('/a'),
             lambda s: s.whoami())


@given(st.binary(max_size=200), st.sampled_from(QUESTIONS), st.booleans(),
       st.booleans())
def test_anything(data, question, begun, framed):
    if framed:
        data = _reply(1, data)
    try:
        with jute.Session(Stream((BEGIN if begun else b'') + data)) as session:
            question(session)
    except (ConnectionError, jute.Malformed, jute.Refused, net.Fault):
        pass


@pytest.mark.parametrize('length', [-1, 2**31 - 1])
def test_lengths_that_nobody_means(length):
    data = struct.pack('>i', length)
    with pytest.raises(jute.Malformed):
        jute.Session(Stream(data + bytes(99)))
    for question in QUESTIONS[1:]:
        # As the number of items, or as the length of the content.
        session = jute.Session(Stream(
            BEGIN + _reply(1, struct.pack('>i', 2**31 - 1))))
        with pytest.raises(jute.Malformed):
            question(session)

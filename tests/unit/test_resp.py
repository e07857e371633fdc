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

"""The wire protocol of Redis: what is read, and what is never sent."""

import itertools
import socket

import hypothesis
from hypothesis import strategies
import pytest

from octavia_v2_checks import clock
from octavia_v2_checks.backends import stream as stream_
from octavia_v2_checks.backends.redis import resp


def reader(*chunks):
    """A reader of a server that sends chunks and then hangs up."""
    rest = iter(chunks)

    def receive():
        for chunk in rest:
            return chunk
        raise ConnectionResetError

    return resp.Reader(receive)


def wire(reply):
    """A reply as a server writes it."""
    if reply is None:
        return b'$-1\r\n'
    if isinstance(reply, resp.ErrorReply):
        return b'-%s\r\n' % reply.text.encode()
    if isinstance(reply, str):
        return b'+%s\r\n' % reply.encode()
    if isinstance(reply, int):
        return b':%d\r\n' % reply
    if isinstance(reply, bytes):
        return b'$%d\r\n%s\r\n' % (len(reply), reply)
    return b'*%d\r\n%s' % (len(reply), b''.join(map(wire, reply)))


line = strategies.text(strategies.characters(
    exclude_characters='\r\n', exclude_categories=('Cs',)))
replies = strategies.recursive(
    strategies.none() | line | strategies.binary()
    | strategies.integers(-2 ** 63, 2 ** 63 - 1)
    | line.map(resp.ErrorReply),
    lambda inner: strategies.lists(inner, max_size=5), max_leaves=20)


def pieces(data, cuts):
    """Data as it may arrive."""
    places = sorted({min(c, len(data)) for c in cuts} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


@hypothesis.given(strategies.lists(replies, max_size=4),
                  strategies.lists(strategies.integers(0, 400)))
def test_reads_what_servers_write(expected, cuts):
    source = reader(*pieces(b''.join(map(wire, expected)), cuts))
    assert [source.reply() for _ in expected] == expected
    with pytest.raises(ConnectionResetError):
        source.reply()


fragments = strategies.lists(strategies.sampled_from([
    b'+', b'-', b':', b'$', b'*', b'\r\n', b'\r', b'\n', b'1', b'-1', b'9',
    b'OK', b'*3\r\n', b'$3\r\n', b'99999999999999999999', b'\x00', b'\xff',
    b'_\r\n', b'%1\r\n', b'>1\r\n'])).map(b''.join)


@hypothesis.given(strategies.binary() | fragments,
                  strategies.lists(strategies.integers(0, 400)))
def test_never_fails_in_another_way(data, cuts):
    source = reader(*pieces(data, cuts))
    for _ in range(len(data) + 1):
        try:
            source.reply()
        except resp.Malformed as exc:
            assert data.startswith(exc.seen)
            return
        except ConnectionResetError:
            return
    pytest.fail('more replies than bytes')


@pytest.mark.parametrize('data', [
    b'+', b'$3\r\n', b'*9\r\n', b'$16000000\r\n', b'*1\r\n$1\r\n'])
def test_waits_for_the_rest(data):
    with pytest.raises(ConnectionResetError):
        reader(data).reply()


@pytest.mark.parametrize('data', [
    b'H', b'\x00', b'$x\r\n', b'$\r\n', b'$-2\r\n', b'*-2\r\n', b'*1.0\r\n',
    b'$1\r\nabc', b':' + b'9' * 20 + b'\r\n', b'$16777217\r\n',
    b'*1\r\n' * 9, b'+' * 65537, b'_\r\n', b'%1\r\n'])
def test_notices_at_once(data):
    with pytest.raises(resp.Malformed):
        reader(data).reply()


@pytest.mark.parametrize('data', [b'+x', b'*2000000000\r\n:1\r\n', b'*1\r\n'])
def test_ends_where_an_answer_does_not(data):
    source = resp.Reader(lambda: data * 1000)
    with pytest.raises(resp.Malformed):
        source.reply()


@pytest.mark.parametrize('text, word', [
    ('NOAUTH Authentication required.', 'NOAUTH'), ('OOM', 'OOM'),
    ('ERR no', 'ERR'), ('secret', 'ERR'), ('', 'ERR'), ('-SECRET', 'ERR'),
    ('Secret word', 'ERR'), ('NOAUTH: x', 'ERR'), ('A' * 33, 'ERR')])
def test_only_the_word_of_an_error_is_shown(text, word):
    error = resp.ErrorReply(text)
    assert error.word == word
    assert text not in repr(error) or not text


def test_commands_on_the_wire():
    assert resp.encode(('AUTH', 'é', 7)) == (
        b'*3\r\n$4\r\nAUTH\r\n$2\r\n\xc3\xa9\r\n$1\r\n7\r\n')
    assert resp.encode(('\udce9',)) == b'*1\r\n$1\r\n\xe9\r\n'


@pytest.fixture
def client():
    """A client, the server's end of its connection, and its own."""
    with socket.create_server(('127.0.0.1', 0)) as listener:
        stream = stream_.Stream('127.0.0.1', listener.getsockname()[1],
                            clock.Clock(5))
        server, _ = listener.accept()
        with server, stream:
            yield resp.Client(stream), server, stream


@pytest.mark.parametrize('command', [
    ('SET', 'a', 'b'), ('set', 'a', 'b'), ('CONFIG', 'SET', 'a', 'b'),
    ('CONFIG',), ('SENTINEL', 'FAILOVER', 'x'), ('DEBUG', 'SLEEP', 1)])
def test_sends_nothing_that_writes(client, command):
    asking, server, stream = client
    with pytest.raises(ValueError, match='not a command that reads'):
        asking.pipeline([('PING',), command])
    stream.close()
    assert server.recv(100) == b''


WRITES = [('SET', 'a', 'b')]


@pytest.mark.parametrize('answers, verdict', [
    (b'-NOPERM no\r\n+PONG\r\n', 'NOPERM'),
    (b'-ERR unknown command\r\n-NOPERM no\r\n', 'ERR'),
    (b'+OK\r\n+PONG\r\n', None), (b'+QUEUED\r\n+PONG\r\n', None),
    (b'+OK\r\n+OK\r\n', None), (b'$-1\r\n$-1\r\n', None)])
def test_asks_only_where_commands_are_queued(client, answers, verdict):
    asking, server, stream = client
    server.sendall(answers)
    if verdict:
        assert asking.would(WRITES).word == verdict
    else:
        with pytest.raises(resp.Malformed):
            asking.would(WRITES)
    stream.close()
    said = b''
    while data := server.recv(1000):
        said += data
    assert b'SET' not in said and b'MULTI' in said


@pytest.mark.parametrize('start', [
    b'+OK\r\n+QUEUED\r\n', b'+OK\r\n-NOPERM no\r\n',
    b'-ERR nested\r\n+QUEUED\r\n'])
def test_asks_and_throws_away(client, start):
    asking, server, stream = client
    server.sendall(start + b'-OOM full\r\n+OK\r\n')
    assert [a.word for a in asking.would(WRITES)] == ['OOM']
    stream.close()
    said = b''
    while data := server.recv(1000):
        said += data
    assert said.endswith(resp.encode(('DISCARD',)))

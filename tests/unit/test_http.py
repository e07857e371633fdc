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

"""HTTP answers in pieces of any size, and what only looks like one."""

import json

from hypothesis import example
from hypothesis import given
from hypothesis import strategies as st
import pytest

from octavia_v2_checks.backends.etcd import http

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.text(max_size=5), inner, max_size=3), max_leaves=9)


class Stream:
    """A connection whose other end says *data*, in pieces, and hangs up."""

    peer = 'etcd1:2379'

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


def _chunked(body, size):
    pieces = [body[i:i + size] for i in range(0, len(body), size)]
    return b''.join(b'%x\r\n%s\r\n' % (len(p), p)
                    for p in pieces) + b'0\r\n\r\n'


@given(st.integers(200, 599), st.binary(max_size=99), st.integers(1, 40),
       st.sampled_from(['length', 'chunked', 'close']))
def test_answers(status, body, piece, kind):
    if status in (204, 304):
        body = b''
    head = f'HTTP/1.1 {status} Whatever\r\n'.encode()
    data = {
        'length': head + b'Content-Length: %d\r\n\r\n' % len(body) + body,
        'chunked': head + b'Transfer-Encoding: chunked\r\n\r\n'
        + _chunked(body, piece),
        'close': head + b'Connection: close\r\n\r\n' + body}[kind]
    stream = Stream(data, piece)
    assert http.exchange(stream, b'GET') == http.Answer(status, body)
    assert stream.sent == b'GET'


@given(JSON)
def test_json(value):
    answer = http.Answer(200, json.dumps(value).encode())
    assert answer.json() == (value if isinstance(value, dict) else {})


@given(st.binary(max_size=99))
@example(b'[' * 100_000)
@example(b'1' * 10_000)
@example(b'{"a": NaN}')
def test_json_of_anything(data):
    assert isinstance(http.Answer(200, data).json(), dict)


@given(st.binary(max_size=200), st.sampled_from([
    b'', b'HTTP/1.1 200 OK\r\n', b'HTTP/1.1 100 Continue\r\n\r\n',
    b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
    b'HTTP/1.0 200\r\nContent-Length: ']), st.booleans())
def test_anything(data, head, body):
    try:
        http.exchange(Stream(head + data), b'', body=body)
    except (ConnectionError, http.Malformed):
        pass


@pytest.mark.parametrize('data', [
    b'', b'H', b'HTTP/1.1 ', b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12',
    b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12'])
def test_half_an_answer(data):
    with pytest.raises(ConnectionError):
        http.exchange(Stream(data), b'')


@pytest.mark.parametrize('data', [
    b'\n', b'-ERR what\r\n', b'HTTP/9.9 200 OK\r\n\r\n',
    b'HTTP/1.1 000 No\r\n\r\n', b'HTTP/1.1 200 OK\r\n' + b'A: b\r\n' * 101,
    b'HTTP/1.1 200 OK\r\nA: ' + b'b' * 70_000,
    b'HTTP/1.1 200 OK\r\n\r\n' + b'x' * http.LIMIT])
def test_no_answer(data):
    with pytest.raises(http.Malformed):
        http.exchange(Stream(data), b'')

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

"""HTTP/1.1 on connections that never outlive their clock.

``http.client`` reads the answers; what it reads from is bounded in time by
:class:`stream_.Stream` and in size here.
"""

from http import client as http_client
import io
import json
from typing import Any
from typing import NamedTuple

from octavia_v2_checks import clock as clocks
from octavia_v2_checks.backends import net
from octavia_v2_checks.backends import stream as stream_

#: Bytes of one answer. An entry of etcd has at most 1.5 MiB by default, and
#: comes in base64.
LIMIT = 8 * 1024 * 1024

_START = b'HTTP/'
_AGENT = 'octavia-v2-checks'
_PROXY_LOGIN = 407


class Malformed(Exception):
    """The other side does not speak HTTP."""


class TooLong(Malformed):
    """The answer goes on after :data:`LIMIT`."""


class Answer(NamedTuple):
    """What a server answered."""

    status: int
    body: bytes

    def json(self) -> dict[str, Any]:
        """Return the object that the body holds, empty if it holds none."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}


class Proxy(NamedTuple):
    """A proxy for plain HTTP and for CONNECT.

    :ivar variable: the environment variable that names it
    :ivar authorization: what goes into the header of that name, or None
    """

    variable: str
    host: str
    port: int
    authorization: str | None


class _Input(io.RawIOBase):
    """What a connection receives, for http.client to read."""

    def __init__(self, stream):
        self._stream = stream
        self.head = b''
        self.ended = False

    def readable(self):
        return True

    def readinto(self, buffer):
        try:
            data = self._stream.receive(len(buffer))
        except ConnectionError:
            self.ended = True
            return 0
        if len(self.head) < len(_START):
            self.head += data
        buffer[:len(data)] = data
        return len(data)


class _Socket:
    """As much of a socket as http.client uses."""

    def __init__(self, stream):
        self.input = _Input(stream)

    def makefile(self, mode):
        return io.BufferedReader(self.input)


def exchange(stream: stream_.Stream, request: bytes, *, body: bool = True
             ) -> Answer:
    """Send a request and read its answer.

    :param body: whether the answer has one to read
    :raises net.Fault: ``timeout`` or ``tls``
    :raises ConnectionError: if the server hangs up before its answer ends
    :raises Malformed: for what is no HTTP
    :raises TooLong: for what has no end
    """
    stream.send(request)
    source = _Socket(stream)
    answer = http_client.HTTPResponse(source, method='POST')  # type: ignore
    try:
        answer.begin()
        data = answer.read(LIMIT) if body else b''
    except http_client.HTTPException:
        if source.input.ended and _START.startswith(
                source.input.head[:len(_START)]):
            raise ConnectionResetError from None
        raise Malformed from None
    if len(data) == LIMIT:
        raise TooLong
    if body and answer.length:
        raise ConnectionResetError
    return Answer(answer.status, data)


class Client:
    """Asks one server.

    :param tls: context for https, None for http
    :param proxy: what to go through
    """

    def __init__(self, host: str, port: int, tls=None,
                 proxy: Proxy | None = None):
        self.peer = net.endpoint(host, port)
        self.tls = tls
        self.proxy = proxy
        self._host = host
        self._port = port

    def ask(self, clock: clocks.Clock, path: str, body: Any = None) -> Answer:
        """GET a path, or POST to it where there is a body.

        :param body: what is sent as JSON
        :raises net.Fault: where the server cannot be reached or falls silent
        :raises ConnectionError: if it hangs up before its answer ends
        :raises Malformed: if it does not speak HTTP
        :raises TooLong: if it says more than anybody asked for
        """
        content = b'' if body is None else json.dumps(body).encode()
        headers = [f'Host: {self.peer}', f'User-Agent: {_AGENT}',
                   'Accept: application/json', 'Connection: close']
        if body is not None:
            headers += ['Content-Type: application/json',
                        f'Content-Length: {len(content)}']
        target = path
        if self.proxy and not self.tls:
            target = f'http://{self.peer}{path}'
            headers += self._authorization()
        method = 'GET' if body is None else 'POST'
        with self._connect(clock) as stream:
            answer = exchange(
                stream, _head(method, target, headers) + content)
        if self.proxy and answer.status == _PROXY_LOGIN:
            raise self._unwilling(self.proxy, answer)
        return answer

    def _authorization(self):
        if self.proxy and self.proxy.authorization:
            return [f'Proxy-Authorization: {self.proxy.authorization}']
        return []

    def _connect(self, clock):
        if not self.proxy:
            return stream_.Stream(self._host, self._port, clock, self.tls)
        stream = self._to_proxy(self.proxy, clock)
        # From here on, what goes wrong is about the server behind it.
        stream.peer = self.peer
        if self.tls:
            try:
                self._tunnel(self.proxy, stream)
                stream.start_tls(self.tls, self._host)
            except BaseException:
                stream.close()
                raise
        return stream

    def _to_proxy(self, proxy, clock):
        try:
            return stream_.Stream(proxy.host, proxy.port, clock)
        except net.Fault as exc:
            what = {'unresolvable': 'has a name that does not resolve',
                    'timeout': 'did not accept a connection in time',
                    }.get(exc.slug, 'refused the connection')
            raise net.Fault(
                exc.slug, f'The proxy that {proxy.variable} names for '
                f'{self.peer} {what}.', host=self.peer) from None

    def _tunnel(self, proxy, stream):
        headers = [f'Host: {self.peer}', *self._authorization()]
        answer = exchange(stream, _head('CONNECT', self.peer, headers),
                          body=False)
        if answer.status != 200:
            raise self._unwilling(proxy, answer)

    def _unwilling(self, proxy, answer):
        return net.Fault(
            'refused', f'The proxy that {proxy.variable} names for '
            f'{self.peer} answered with HTTP status {answer.status}.',
            host=self.peer)


def _head(method, target, headers):
    lines = [f'{method} {target} HTTP/1.1', *headers, '', '']
    return '\r\n'.join(lines).encode()

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

"""The connection of a child process to etcd: requests, as etcd3gw sets it up.

Proxies, credentials from ``.netrc``, redirects, compressed answers and CA
certificates from the environment are then the same as for a worker. etcd3gw
itself is not used: it loads an event loop, and cannot request a part of a long
list.
"""

from collections.abc import Iterator
from http import client as http_client
import os
import re
import ssl
from typing import Any
from typing import NamedTuple
from urllib import parse

import requests
from requests import adapters
from requests import exceptions
from requests import utils
from urllib3 import exceptions as urllib3_errors

from octavia_v2_checks.backends import net
from octavia_v2_checks.backends import stream
from octavia_v2_checks.backends import witness as witness_

#: Bytes of one answer. An entry of etcd has at most 1.5 MiB by default, and
#: comes in base64.
LIMIT = 8 * 1024 * 1024

#: All requests that are allowed, by the end of the path: none of them changes
#: anything.
READS = {'GET': ('/version',),
         'POST': ('kv/range', 'lease/timetolive', 'maintenance/status',
                  'cluster/member/list')}

_BUNDLES = ('REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE')
_PROXY_LOGIN = 407


class Forbidden(Exception):
    """The request is not on the list of reads."""


class Guard(adapters.HTTPAdapter):
    """Sends only what is on the list of reads, after a redirect too."""

    def send(self, request, *args, **kwargs):
        """Send a request as requests does, or raise :class:`Forbidden`."""
        path = parse.urlsplit(request.url).path
        if not path.endswith(READS.get(request.method, ())):
            raise Forbidden
        return super().send(request, *args, **kwargs)


class Answer(NamedTuple):
    """What a server answered."""

    status: int
    body: bytes


class Session:
    """Sends requests to one server as the client of a worker would.

    :param url: of the server, without a path
    :param arguments: what TaskFlow passes to etcd3gw
    :param timeout: seconds that requests waits for the server, None for no
        limit
    """

    def __init__(self, url: str, arguments: dict[str, Any],
                 timeout: float | None):
        self.url = url
        self.peer = parse.urlsplit(url).netloc
        self._timeout = timeout
        self._witness = witness_.Witness()
        self.plain = configured(arguments)
        guard = Guard()
        self.plain.mount('http://', guard)
        self.plain.mount('https://', guard)

    def proxy(self) -> tuple[str, str | None] | None:
        """Return the proxy from the environment, None if there is none.

        :returns: the variable that names it, and its ``host:port`` if it is
            of a kind that has one
        """
        chosen = utils.select_proxy(self.url, self._merged()['proxies'])
        if not chosen:
            return None
        names = [n for n in os.environ if n.lower().endswith('_proxy')]
        variable = next((n for n in names if os.environ[n] == chosen),
                        'the environment')
        try:
            parts = parse.urlsplit(
                utils.prepend_scheme_if_needed(chosen, 'http'))
            port = parts.port or (443 if parts.scheme == 'https' else 80)
        except ValueError:
            return variable, None
        return variable, net.endpoint(parts.hostname or '', port)

    def bundle(self) -> str | None:
        """Return the variable whose CA certificates take precedence over the
        option.
        """
        name = next((n for n in _BUNDLES if os.environ.get(n)), None)
        if (not name or not self.url.startswith('https:')
                or os.environ[name] == self.plain.verify):
            return None
        return name

    def login(self) -> bool:
        """Return whether ``.netrc`` has credentials for the server."""
        return bool(utils.get_netrc_auth(self.url))

    def unloadable(self) -> str | None:
        """Return which of its files OpenSSL cannot load, None if all load.

        :returns: ``ca`` or ``cert``
        """
        if not self.url.startswith('https:'):
            return None
        merged = self._merged()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusted, pair = merged['verify'], merged['cert']
        try:
            if isinstance(trusted, str) and os.path.isdir(trusted):
                context.load_verify_locations(capath=trusted)
            elif isinstance(trusted, str) and trusted:
                context.load_verify_locations(trusted)
        except OSError:
            return 'ca'
        try:
            if pair and pair[0]:
                # Without a password, OpenSSL would ask on the terminal.
                context.load_cert_chain(pair[0], pair[1] or None, '')
        except (OSError, TypeError):
            return 'cert'
        return None

    def ask(self, path: str, body: dict | None = None) -> Answer:
        """GET a path, or POST to it where there is a body.

        :raises net.Fault: where there is no answer
        """
        self._witness.faults.clear()
        try:
            with self.plain.request(
                    'GET' if body is None else 'POST', self.url + path,
                    json=body, timeout=self._timeout, stream=True
            ) as response:
                answer = Answer(response.status_code, self._body(response))
        except Forbidden:
            raise net.Fault(
                'wrong-protocol', f'{self.peer} redirects {path} so that '
                                  'requests does not send a valid request to '
                                  'etcd: a POST stays one only with status '
                                  '307 or 308.',
                host=self.peer, detail='redirect') from None
        except (exceptions.RequestException, urllib3_errors.HTTPError,
                http_client.HTTPException, OSError, ValueError) as exc:
            raise self._fault(path, exc) from None
        if answer.status == _PROXY_LOGIN and self.proxy():
            raise self._unwilling(answer.status)
        return answer

    def close(self) -> None:
        """Close the connection."""
        self.plain.close()

    def _merged(self):
        return self.plain.merge_environment_settings(
            self.url, {}, None, None, None)

    def _body(self, response):
        body = bytearray()
        for part in response.iter_content(65536):
            body += part
            if len(body) > LIMIT:
                raise net.Fault(
                    'undetermined', f'{self.peer} answered with more than '
                    f'{LIMIT} bytes.', host=self.peer, detail='too-long')
        return bytes(body)

    def _fault(self, path, error):
        """Return what an exception of requests stands for.

        Its text is never used: it may contain the password of a proxy.
        """
        seen = self._witness.fault
        if seen:
            return seen
        chain = list(_chain(error))
        refused = next((m for m in (re.match(
            r'Tunnel connection failed: (\d{3})\b', str(e)) for e in chain)
            if m), None)
        if refused:
            return self._unwilling(refused[1])
        if isinstance(error, exceptions.InvalidURL) and not self.proxy():
            return self._no_address(path)
        return _of_kind(self.peer, chain, self._timeout) or self._unusable(
            chain[0])

    def _no_address(self, path):
        if path == '/version':
            host, _, port = self.peer.rpartition(':')
            return net.unresolvable(host, int(port),
                                    'it is not a valid host name')
        return net.Fault(
            'wrong-protocol', 'etcd3gw appends the path of the gateway to '
                              f'{self.peer}, and the result is no valid '
                              'address.',
            host=self.peer, detail='path')

    def _unwilling(self, status):
        variable, _ = self.proxy() or ('the environment', None)
        return net.Fault(
            'refused', f'The proxy that {variable} names for {self.peer} '
            f'answered with HTTP status {status}.', host=self.peer)

    def _unusable(self, error):
        name = type(error).__name__
        proxy = self.proxy()
        if proxy:
            return net.Fault(
                'undetermined', f'etcd3gw cannot use {self.peer}: requests '
                                f'cannot use the proxy that {proxy[0]} names '
                                f'({name}).', detail='proxy', host=self.peer)
        return net.Fault(
            'undetermined', f'etcd3gw cannot use {self.peer}: requests raises '
                            f'{name}.', host=self.peer)


def configured(arguments: dict[str, Any]) -> requests.Session:
    """Return a session with the settings that etcd3gw gives it."""
    session = requests.Session()
    if arguments.get('ca_cert') is not None:
        # '' is one of them: it turns verification off.
        session.verify = arguments['ca_cert']
    cert, key = arguments.get('cert_cert'), arguments.get('cert_key')
    if cert is not None and key is not None:
        session.cert = cert, key
    return session


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and all its causes."""
    left: list[object] = [error]
    seen = set()
    while left:
        one = left.pop(0)
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            left += [getattr(one, 'reason', None), *one.args,
                     one.__cause__, one.__context__]


def _of_kind(peer, chain, timeout):
    """Return the fault of a server that answered badly, None for other faults.
    """
    for error in chain:
        if isinstance(error, (TimeoutError, urllib3_errors.ReadTimeoutError)):
            return net.late(peer, 'answer', timeout or 0)
        if isinstance(error, ssl.SSLError) and 'ALERT' in (
                error.reason or ''):
            return stream.insecure(peer, peer, error)
        if isinstance(error, (ConnectionError, ssl.SSLError,
                              http_client.IncompleteRead)) or _cut(error):
            return net.Fault(
                'refused', f'{peer} closed the connection before it '
                           'answered.', host=peer)
        if isinstance(error, (
                http_client.HTTPException, exceptions.ContentDecodingError,
                exceptions.TooManyRedirects,
                urllib3_errors.InvalidChunkLength,
                urllib3_errors.DecodeError)):
            return net.Fault('wrong-protocol', f'{peer} does not answer as '
                             f'etcd does.', host=peer)
    return None


def _cut(error):
    """Whether the first line of an answer was cut off."""
    if not isinstance(error, http_client.BadStatusLine):
        return False
    line = error.args[0]
    return not line.endswith('\n') and 'HTTP/'.startswith(line[:5])

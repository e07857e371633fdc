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

Proxies, logins of ``.netrc``, redirects, compressed answers and authorities
of the environment are then what they are for a worker. etcd3gw itself is not
used: it brings an event loop along, and cannot ask for a part of a long list.
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

#: All that may be asked, by the end of the path: none of it changes anything.
READS = {'GET': ('/version',),
         'POST': ('kv/range', 'lease/timetolive', 'maintenance/status',
                  'cluster/member/list')}

_BUNDLES = ('REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE')
_PROXY_LOGIN = 407


class Forbidden(Exception):
    """What was about to be sent is not on the list of reads."""


class Guard(adapters.HTTPAdapter):
    """Lets out what is on the list of reads, after a redirect too."""

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
    """Asks one server as the worker's client would.

    :param url: of the server, without a path
    :param arguments: what TaskFlow hands to etcd3gw
    :param timeout: seconds that requests waits for a sign of the server,
        None for ever
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
        """Return what the environment puts in between, None for nothing.

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
        """Return the variable whose authorities come before the option's."""
        name = next((n for n in _BUNDLES if os.environ.get(n)), None)
        if (not name or not self.url.startswith('https:')
                or os.environ[name] == self.plain.verify):
            return None
        return name

    def login(self) -> bool:
        """Return whether a login for the server lies in ``.netrc``."""
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
                'wrong-protocol', f'{self.peer} redirects {path}, and what '
                f'requests asks for there is no question to etcd: a POST '
                f'stays one only with status 307 or 308.',
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

        Its text is never used: it may quote a proxy with its password.
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
            'wrong-protocol', f'etcd3gw appends the gateway\'s path to '
            f'{self.peer}, and the result is no address.',
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
                'undetermined', f'etcd3gw can ask {self.peer} nothing: '
                f'requests cannot use the proxy that {proxy[0]} names '
                f'({name}).', detail='proxy', host=self.peer)
        return net.Fault(
            'undetermined', f'etcd3gw can ask {self.peer} nothing: requests '
            f'ends with {name}.', host=self.peer)


def configured(arguments: dict[str, Any]) -> requests.Session:
    """Return a session with the settings that etcd3gw gives it."""
    session = requests.Session()
    if arguments.get('ca_cert') is not None:
        # '' among them, which turns the verification off.
        session.verify = arguments['ca_cert']
    cert, key = arguments.get('cert_cert'), arguments.get('cert_key')
    if cert is not None and key is not None:
        session.cert = cert, key
    return session


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and all that lies behind it."""
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
    """Return the fault of a server that answered badly, None for another."""
    for error in chain:
        if isinstance(error, (TimeoutError, urllib3_errors.ReadTimeoutError)):
            return net.late(peer, 'answer', timeout or 0)
        if isinstance(error, ssl.SSLError) and 'ALERT' in (
                error.reason or ''):
            return stream.insecure(peer, peer, error)
        if isinstance(error, (ConnectionError, ssl.SSLError,
                              http_client.IncompleteRead)) or _cut(error):
            return net.Fault(
                'refused', f'{peer} closed the connection before it had '
                f'answered.', host=peer)
        if isinstance(error, (
                http_client.HTTPException, exceptions.ContentDecodingError,
                exceptions.TooManyRedirects,
                urllib3_errors.InvalidChunkLength,
                urllib3_errors.DecodeError)):
            return net.Fault('wrong-protocol', f'{peer} does not answer as '
                             f'etcd does.', host=peer)
    return None


def _cut(error):
    """Whether the first line of an answer ended before it was whole."""
    if not isinstance(error, http_client.BadStatusLine):
        return False
    line = error.args[0]
    return not line.endswith('\n') and 'HTTP/'.startswith(line[:5])

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

"""A reverse proxy in front of another server, as operators set them up."""

from __future__ import annotations

import gzip
import http.client
import http.server
import threading
import time
from typing import TYPE_CHECKING

from tests.servers import process

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    Rewrite = Callable[[str, int, bytes], tuple[int, bytes]]

_BAD_GATEWAY = 502
_UNAUTHORISED = 401
_NOT_FOUND = 404


class _Quiet(http.server.ThreadingHTTPServer):
    """Says nothing of clients that go away."""

    daemon_threads = True

    def handle_error(self, request, client_address) -> None:
        """Print nothing."""


class Reverse:
    """Hands requests on to *server*, and its answers back.

    :param login: what ``Authorization`` must say; 401 without it
    :param compress: answer with gzip, whatever the client accepts
    :param redirect: answer every request with this status and the address
        of *server* in place of handing it on
    :param passes: beginnings of the paths that are handed on; 404 else
    :param rewrite: makes another answer of path, status and body
    """

    def __init__(self, server, *, login: str | None = None,
                 compress: bool = False, redirect: int | None = None,
                 passes: tuple[str, ...] = ('/',),
                 rewrite: Rewrite | None = None) -> None:
        self.server = server
        self.login = login
        self.compress = compress
        self.redirect = redirect
        self.passes = passes
        self.rewrite = rewrite
        self.asked: list[tuple[str, str]] = []
        self.host = process.LOOPBACK
        self._http = _Quiet((self.host, 0), self._handler())
        self.port: int = self._http.server_address[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc_info) -> None:
        self._http.shutdown()
        self._http.server_close()

    def answer(self, method: str, path: str, headers, body: bytes
               ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the answer to a request."""
        self.asked.append((method, path))
        if self.login and headers.get('Authorization') != self.login:
            return _UNAUTHORISED, {'WWW-Authenticate': 'Basic'}, b''
        if self.redirect:
            target = f'http://{self.server.host}:{self.server.port}{path}'
            return self.redirect, {'Location': target}, b''
        if not path.startswith(self.passes):
            return _NOT_FOUND, {}, b'404 page not found\n'
        status, said = self._ask(method, path, body)
        if self.rewrite:
            status, said = self.rewrite(path, status, said)
        extra = {'Content-Type': 'application/json'}
        if self.compress:
            extra['Content-Encoding'] = 'gzip'
            said = gzip.compress(said)
        return status, extra, said

    def _ask(self, method, path, body):
        # The answer to a watch has no end, and would have to be streamed.
        limit = 1 if path.endswith('/watch') else 10
        connection = http.client.HTTPConnection(
            self.server.host, self.server.port, timeout=limit)
        try:
            connection.request(method, path, body or None)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError:
            return _BAD_GATEWAY, b''
        finally:
            connection.close()

    def _handler(self):
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def _serve(self):
                size = int(self.headers.get('Content-Length') or 0)
                status, headers, body = owner.answer(
                    self.command, self.path, self.headers,
                    self.rfile.read(size))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header('Content-Length', str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = _serve  # noqa: N815 - names of http.server

            def log_message(self, *args):
                """Print nothing."""

        return Handler


class Slow(Reverse):
    """Answers after *pause* seconds, which its user sets."""

    def answer(self, *args):
        time.sleep(self.pause)
        return super().answer(*args)

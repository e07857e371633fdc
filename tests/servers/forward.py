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

"""What carries everything to another server: a forwarder, an HTTP proxy."""

import base64
import contextlib
import re
import socket
import threading

from tests.servers import scripts


class _Between(scripts.Silent):
    """Stands between a client and a server."""

    def carry(self, client, server):
        """Carry everything both ways, until the client hangs up."""
        threading.Thread(target=self._back, args=(server, client),
                         daemon=True).start()
        while data := client.recv(65536):
            server.sendall(data)

    def _back(self, server, client):
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)


class Forwarder(_Between):
    """Carries everything to another port, until it is cut."""

    def __init__(self, host, port):
        self._target = (host, port)
        super().__init__(host)

    def answer(self, client, data):
        with socket.create_connection(self._target, 5) as server:
            server.sendall(data)
            self.carry(client, server)


class Proxy(_Between):
    """An HTTP proxy; with *login* it lets nobody else through."""

    def __init__(self, login=None):
        self.login = login
        super().__init__()

    def answer(self, client, data):
        while b'\r\n\r\n' not in data:
            data += client.recv(65536)
        if self.login and (b'Proxy-Authorization: Basic '
                           + base64.b64encode(self.login)) not in data:
            client.sendall(b'HTTP/1.1 407 Proxy Authentication Required\r\n'
                           b'Content-Length: 0\r\n\r\n')
            client.shutdown(socket.SHUT_RDWR)
            return
        host, port = re.match(
            rb'(?:CONNECT |\w+ http://)([\d.]+):(\d+)', data).groups()
        with socket.create_connection((host, int(port)), 5) as server:
            if data.startswith(b'CONNECT'):
                client.sendall(b'HTTP/1.1 200 Connection established\r\n\r\n')
            else:
                server.sendall(re.sub(rb'^(\w+ )http://[^/]+', rb'\1', data))
            self.carry(client, server)

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

"""Speaks MySQL as far as it takes to say what no server here says.

For proxies in front of databases, for releases of MySQL that Debian does not
have, and for servers with bad intentions.
"""

import socket
from typing import Any

from tests.servers import scripts

OK = b'\0\0\0\2\0\0\0'

#: What a server of today can do, TLS left out.
_CAPABILITIES = 0x00aff7df & ~0x800 & ~0x20

CLIENT_DEPRECATE_EOF = 1 << 24


def error(number: int, text: str, state: str = 'HY000') -> bytes:
    """The packet of an error."""
    return (b'\xff' + number.to_bytes(2, 'little') + b'#' + state.encode()
            + text.encode())


def switch(plugin: str, data: bytes = b'x' * 20 + b'\0') -> bytes:
    """The packet that asks for another authentication method."""
    return b'\xfe' + plugin.encode() + b'\0' + data


def send_file(path: str) -> bytes:
    """The packet that requests a file of the client's host."""
    return b'\xfb' + path.encode()


class MySQL(scripts.Silent):
    """Lets everybody in, and answers every statement with OK.

    :param login: what it says to a login; more than one: each to what the
        client sends next
    :param select: what it says to a SELECT or SHOW, ``ENDLESS`` for packets
        without end
    :param version: in its greeting
    :param plugin: the way to log in that it proposes
    """

    ENDLESS = b'endless'

    def __init__(self, login: tuple[bytes, ...] = (OK,),
                 select: bytes = OK, version: str = '8.0.36',
                 plugin: str = 'mysql_native_password') -> None:
        self.login = login
        self.select = select
        self.version = version
        self.plugin = plugin
        self.statements: list[bytes] = []
        self._steps: dict[Any, int] = {}
        super().__init__()

    @property
    def everything(self) -> bytes:
        """All that clients have sent."""
        return b''.join(self.received)

    def greet(self, client: socket.socket) -> None:
        flags = _CAPABILITIES
        self._send(client, 0, (
            b'\x0a' + self.version.encode() + b'\0' + b'\1\0\0\0'
            + b'a' * 8 + b'\0' + (flags & 0xffff).to_bytes(2, 'little')
            + b'\x21\2\0' + (flags >> 16).to_bytes(2, 'little') + b'\x15'
            + b'\0' * 10 + b'b' * 12 + b'\0' + self.plugin.encode() + b'\0'))
        self._steps[client] = 0

    def answer(self, client: socket.socket, data: bytes) -> None:
        step = self._steps[client]
        self._steps[client] += 1
        number = data[3] + 1
        if step < len(self.login):
            self._send(client, number, self.login[step])
            return
        if data[4:5] != b'\3':
            if data[4:5] != b'\1':  # not a good-bye
                self._send(client, number, OK)
            return
        statement = data[5:]
        self.statements.append(statement)
        if not statement.upper().startswith((b'SELECT', b'SHOW')):
            self._send(client, number, OK)
        elif self.select is self.ENDLESS:
            while not self._stopping.is_set():
                client.sendall(b'\xff\xff\xff' + bytes((number % 256,))
                               + b'x' * 0xffffff)
                number += 1
        else:
            self._send(client, number, self.select)

    def _send(self, client, number, payload):
        client.sendall(len(payload).to_bytes(3, 'little')
                       + bytes((number,)) + payload)

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

"""Messages between the director and its children, one JSON text a line."""

import json
import socket
import threading
from typing import Any

Message = dict[str, Any]


class Channel:
    """One end of a pair of sockets.

    :ivar socket: this end
    """

    def __init__(self, sock: socket.socket):
        self.socket = sock
        self._lock = threading.Lock()
        self._rest = b''

    def send(self, message: Message) -> None:
        """Send a message, from any thread.

        :raises OSError: if the other end is gone
        """
        line = json.dumps(message).encode() + b'\n'
        with self._lock:
            self.socket.sendall(line)

    def receive(self) -> list[Message] | None:
        """Wait for messages; None if the other end is gone."""
        while b'\n' not in self._rest:
            try:
                data = self.socket.recv(65536)
            except ConnectionError:
                return None
            if not data:
                return None
            self._rest += data
        *lines, self._rest = self._rest.split(b'\n')
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        """Close this end."""
        self.socket.close()

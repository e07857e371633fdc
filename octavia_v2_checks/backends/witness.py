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

"""What the client of a worker does on the network, step by step.

Clients hide causes: kazoo calls everything a timeout, redis-py repeats what
the operating system said, PyMySQL gives one number for a name that does not
resolve and a port where nothing listens. In a child process it does no harm to
observe the client: it resolves names, opens connections and starts TLS through
this module. Drivers written in C are not observed.
"""

import functools
import socket
import ssl
from typing import Any

from octavia_v2_checks.backends import net
from octavia_v2_checks.backends import served
from octavia_v2_checks.backends import stream


class Witness:
    """What has been observed; create one in a child, before the client is
    used.

    :ivar faults: the last fault of each peer, in the order in which they
        happened; without those that succeeded later
    """

    def __init__(self) -> None:
        self.faults: dict[str, net.Fault] = {}
        #: (address, port) -> the name that was resolved
        self._names: dict[tuple, str] = {}
        self._watch(socket, 'getaddrinfo', self._resolve)
        self._watch(socket.socket, 'connect', self._connect)
        self._watch(ssl.SSLSocket, 'do_handshake', self._handshake)

    @property
    def fault(self) -> net.Fault | None:
        """The last fault."""
        return next(reversed(self.faults.values()), None)

    def _watch(self, owner: Any, name: str, seen: Any) -> None:
        plain = getattr(owner, name)

        @functools.wraps(plain)
        def watched(*args, **kwargs):
            return seen(plain, *args, **kwargs)

        setattr(owner, name, watched)

    def _resolve(self, plain, host, port, *args, **kwargs):
        if not isinstance(host, str) or not isinstance(port, int):
            return plain(host, port, *args, **kwargs)
        peer = net.endpoint(host, port)
        served.step('resolve', peer)
        try:
            found = plain(host, port, *args, **kwargs)
        except (OSError, UnicodeError, ValueError) as exc:
            self._note(peer, stream.unresolved(host, port, exc))
            raise
        for *_, where in found:
            self._names.setdefault((where[0], where[1]), host)
        return found

    def _connect(self, plain, sock, address, *args):
        peer = self._peer(address)
        served.step('connect', peer)
        try:
            answer = plain(sock, address, *args)
        except TimeoutError:
            self._note(peer, net.late(peer, net.CONNECTING,
                                      sock.gettimeout() or 0))
            raise
        except BlockingIOError:
            raise
        except OSError as exc:
            self._note(peer, stream.unconnected(peer, exc))
            raise
        self.faults.pop(peer, None)
        served.step('answer', peer)
        return answer

    def _handshake(self, plain, sock, *args, **kwargs):
        try:
            peer = self._peer(sock.getpeername())
        except OSError:
            return plain(sock, *args, **kwargs)  # it is closed already
        served.step('tls', peer)
        try:
            answer = plain(sock, *args, **kwargs)
        except TimeoutError:
            self._note(peer, net.late(peer, 'finish the TLS handshake',
                                      sock.gettimeout() or 0))
            raise
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except (OSError, ValueError) as exc:
            self._note(peer, stream.insecure(
                peer, str(sock.server_hostname), exc))
            raise
        self.faults.pop(peer, None)
        served.step('answer', peer)
        return answer

    def _peer(self, address: Any) -> str:
        if not isinstance(address, tuple):
            return address if isinstance(address, str) else 'a socket'
        host: str
        host, port = address[:2]
        return net.endpoint(self._names.get((host, port), host), port)

    def _note(self, peer: str, fault: net.Fault) -> None:
        # The newest comes last.
        self.faults.pop(peer, None)
        self.faults[peer] = fault

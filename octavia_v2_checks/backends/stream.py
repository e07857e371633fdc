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

"""Our own connections: to a port of an unknown kind, and for four-letter
words.

Socket timeouts restart with every byte, so a server that sends one byte a
second never times out. Here one clock runs for the whole connection.
"""

import contextlib
import errno
import socket
import ssl

from octavia_v2_checks import clock as clocks
from octavia_v2_checks.backends import net


def resolve(host: str, port: int, clock: clocks.Clock) -> list[tuple]:
    """Resolve a name, in bounded time.

    :returns: what ``getaddrinfo`` returns, for TCP
    :raises net.Fault: ``unresolvable``
    """
    try:
        return clocks.bounded(
            lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM),
            clock)
    except clocks.OutOfTime:
        raise net.unresolvable(
            host, port, f'the resolver did not answer within '
            f'{clocks.shown(clock.seconds)} s') from None
    except (OSError, UnicodeError, ValueError) as exc:
        raise unresolved(host, port, exc) from None


def unresolved(host: str, port: int, error: Exception) -> net.Fault:
    """Return the fault that an error of ``getaddrinfo`` stands for."""
    if not isinstance(error, socket.gaierror):
        reason = 'it is not a valid host name'
    elif error.errno == socket.EAI_AGAIN:
        reason = 'the resolver reports a temporary failure'
    else:
        reason = 'the resolver knows no address for it'
    return net.unresolvable(host, port, reason)


#: errno -> what keeps this host, rather than the server, from connecting
_OUR_SIDE = {
    errno.EHOSTUNREACH: 'no route to the host',
    errno.ENETUNREACH: 'no route to the network',
    errno.EADDRNOTAVAIL: 'no local port or address is free',
    errno.EACCES: 'a rule of this host forbids it',
    errno.EPERM: 'a rule of this host forbids it',
    errno.EMFILE: 'this process has too many open files',
    errno.ENFILE: 'this host has too many open files',
    errno.EAFNOSUPPORT: 'this host does not support the address family',
}


def unconnected(peer: str, error: OSError) -> net.Fault:
    """Return the fault of a connection that was not opened.

    :param error: from ``connect``, and no time-out
    """
    number = error.errno or 0
    if number in _OUR_SIDE:
        return net.Fault('refused', f'This host cannot reach {peer}: '
                         f'{_OUR_SIDE[number]}.', host=peer, detail='here')
    if number in (errno.EPIPE, errno.ECONNRESET):
        # The kernel reports this for one that was open and is closed already.
        return net.Fault('refused', f'{peer} closed the connection as soon '
                         f'as it was open.', host=peer, detail='closed')
    what = {errno.ECONNREFUSED: 'nothing listens there',
            errno.ENOENT: 'there is no such socket'}.get(
                number, errno.errorcode.get(number, 'socket error'))
    return net.Fault('refused', f'{peer} refused the connection: {what}.',
                     host=peer)


def insecure(peer: str, name: str, error: Exception) -> net.Fault:
    """Return the fault of a TLS handshake that failed, except for a timeout.

    :param name: the host name that the certificate must be for
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return net.Fault(
            'tls', f'The certificate of {peer} is not trusted: '
            f'{error.verify_message.rstrip(".")}.', host=peer,
            detail='verify')
    if isinstance(error, ssl.SSLError) and not isinstance(
            error, ssl.SSLEOFError):
        reason = error.reason or 'handshake failed'
        what = ('ended the TLS connection' if 'ALERT' in reason
                else 'does not speak TLS as asked')
        return net.Fault('tls', f'{peer} {what} ({reason}).', host=peer,
                         detail=reason)
    if isinstance(error, ValueError):
        return net.Fault('tls', 'A certificate cannot be issued for the name '
                                f'{name!r}.', host=peer)
    return net.Fault('tls', f'{peer} closed the connection during the TLS '
                     f'handshake.', host=peer)


class Stream:
    """A connection with one clock for everything.

    :param tls: context for TLS, or None for plain text
    :param name: host name the certificate must be for
    :ivar address: the address of the host that is connected
    :raises net.Fault: ``unresolvable``, ``refused``, ``timeout`` or ``tls``
    """

    def __init__(self, host: str, port: int, clock: clocks.Clock,
                 tls: ssl.SSLContext | None = None, name: str | None = None):
        self.peer = net.endpoint(host, port)
        self.clock = clock
        addresses = resolve(host, port, clock)
        fault: net.Fault | None = None
        for left, address in zip(range(len(addresses), 0, -1), addresses,
                                 strict=True):
            try:
                self._socket = self._connect(address, clock.left() / left)
                self.address: str = address[4][0]
                break
            except net.Fault as exc:
                fault = exc
        else:
            raise fault or net.Fault(
                'unresolvable', f'{host!r} has no address.', host=self.peer)
        if tls:
            self.start_tls(tls, name or host)

    def __enter__(self) -> 'Stream':
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _connect(self, address, seconds):
        family, kind, proto, _, where = address
        sock = socket.socket(family, kind, proto)
        try:
            sock.settimeout(max(seconds, 0.001))
            # A server that has closed already is noticed by receive().
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                sock.connect(where)
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        except TimeoutError:
            sock.close()
            raise self.timeout(net.CONNECTING) from None
        except OSError as exc:
            sock.close()
            raise unconnected(self.peer, exc) from None

    def start_tls(self, context: ssl.SSLContext, name: str) -> None:
        """Continue with TLS.

        :param name: host name the certificate must be for
        :raises net.Fault: ``timeout`` or ``tls``; the connection is closed
        """
        try:
            # The timeout of a handshake covers all of it.
            self._socket.settimeout(self.clock.require())
            self._socket = context.wrap_socket(self._socket,
                                               server_hostname=name)
        except (TimeoutError, clocks.OutOfTime):
            self.close()
            raise self.timeout('finish the TLS handshake') from None
        except (OSError, ValueError) as exc:
            self.close()
            raise insecure(self.peer, name, exc) from None

    def timeout(self, doing: str) -> net.Fault:
        """Return the fault of a server that took too long."""
        return net.late(self.peer, doing, self.clock.seconds)

    def send(self, data: bytes) -> None:
        """Send all of it.

        A server that has closed is noticed by :meth:`receive`, after the data
        it sent before.

        :raises net.Fault: ``timeout``
        """
        rest = memoryview(data)
        try:
            while rest:
                self._socket.settimeout(self.clock.require())
                rest = rest[self._socket.send(rest):]
        except (TimeoutError, clocks.OutOfTime):
            raise self.timeout('take a request') from None
        except OSError:
            pass

    def receive(self, most: int = 65536) -> bytes:
        """Return what has arrived, at least one byte.

        :raises net.Fault: ``timeout``, or ``tls`` if the server ends the
            connection because a certificate is missing
        :raises ConnectionError: if the server has closed the connection
        """
        try:
            self._socket.settimeout(self.clock.require())
            data = self._socket.recv(most)
        except (TimeoutError, clocks.OutOfTime):
            raise self.timeout('answer') from None
        except ssl.SSLError as exc:
            if 'ALERT' in (exc.reason or ''):
                raise insecure(self.peer, self.peer, exc) from None
            raise ConnectionResetError from exc
        except OSError as exc:
            raise ConnectionResetError from exc
        if not data:
            raise ConnectionResetError
        return data

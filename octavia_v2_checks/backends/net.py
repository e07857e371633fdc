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

"""A TCP or TLS connection that never outlives its clock.

Socket timeouts start anew with every byte, so a server that sends one byte a
second is never late for them. Here one clock runs for the whole connection.
"""

import errno
import socket
import ssl

from octavia_v2_checks import clock as clocks


class Fault(Exception):
    """Something a backend found wrong with its server.

    :ivar slug: the second half of a finding id
    :ivar text: what was seen
    :ivar remedy: exact remedy, or None for the catalogue's
    :ivar host: ``host:port`` it is about
    :ivar option: name of the ``[task_flow]`` option it is about
    :ivar detail: a word that tells causes of the same slug apart, such as
        OpenSSL's name of a TLS error
    """

    def __init__(self, slug: str, text: str, remedy: str | None = None,
                 host: str | None = None, option: str | None = None,
                 detail: str | None = None):
        super().__init__(slug)
        self.slug = slug
        self.text = text
        self.remedy = remedy
        self.host = host
        self.option = option
        self.detail = detail


def endpoint(host: str, port: int) -> str:
    """Return ``host:port``, with brackets around an IPv6 address."""
    bare = ':' in host and not host.startswith('[')
    return f'[{host}]:{port}' if bare else f'{host}:{port}'


def resolve(host: str, port: int, clock: clocks.Clock) -> list[tuple]:
    """Look a name up, in bounded time.

    :returns: what ``getaddrinfo`` returns, for TCP
    :raises Fault: ``unresolvable``
    """
    try:
        return clocks.bounded(
            lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM),
            clock)
    except clocks.OutOfTime:
        reason = f'the resolver did not answer within {clock.seconds:g} s'
    except socket.gaierror as exc:
        reason = ('the resolver failed for now'
                  if exc.errno == socket.EAI_AGAIN
                  else 'the resolver knows no address for it')
    except (UnicodeError, ValueError):
        reason = 'it is not a valid host name'
    raise Fault('unresolvable', f'The host name {host!r} does not resolve: '
                f'{reason}.', host=endpoint(host, port))


class Stream:
    """A connection with one clock for all that happens on it.

    :param tls: context for TLS, or None for plain text
    :param name: host name the certificate must be for
    :raises Fault: ``unresolvable``, ``refused``, ``timeout`` or ``tls``
    """

    def __init__(self, host: str, port: int, clock: clocks.Clock,
                 tls: ssl.SSLContext | None = None, name: str | None = None):
        self.peer = endpoint(host, port)
        self.clock = clock
        addresses = resolve(host, port, clock)
        fault: Fault | None = None
        for left, address in zip(range(len(addresses), 0, -1), addresses,
                                 strict=True):
            try:
                self._socket = self._connect(address, clock.left() / left)
                break
            except Fault as exc:
                fault = exc
        else:
            raise fault or Fault(
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
            sock.connect(where)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        except TimeoutError:
            sock.close()
            raise self.timeout('accept a connection') from None
        except OSError as exc:
            sock.close()
            what = {errno.ECONNREFUSED: 'nothing listens there',
                    errno.EHOSTUNREACH: 'no route to the host',
                    errno.ENETUNREACH: 'no route to the network'}.get(
                        exc.errno or 0,
                        errno.errorcode.get(exc.errno or 0, 'socket error'))
            raise Fault('refused', f'{self.peer} refused the connection: '
                        f'{what}.', host=self.peer) from None

    def start_tls(self, context: ssl.SSLContext, name: str) -> None:
        """Go on under TLS.

        :param name: host name the certificate must be for
        :raises Fault: ``timeout`` or ``tls``; the connection is then closed
        """
        try:
            # The timeout of a handshake is one for the whole of it.
            self._socket.settimeout(self.clock.require())
            self._socket = context.wrap_socket(self._socket,
                                               server_hostname=name)
        except (TimeoutError, clocks.OutOfTime):
            self.close()
            raise self.timeout('finish the TLS handshake') from None
        except ssl.SSLCertVerificationError as exc:
            self.close()
            raise Fault('tls', f'The certificate of {self.peer} is not '
                        f'trusted: {exc.verify_message.rstrip(".")}.',
                        host=self.peer, detail='verify') from None
        except ssl.SSLError as exc:
            self.close()
            raise self._tls_fault(exc) from None
        except ValueError:
            self.close()
            raise Fault('tls', f'No certificate can be for the name '
                        f'{name!r}.', host=self.peer) from None
        except OSError:
            self.close()
            raise Fault('tls', f'{self.peer} closed the connection during '
                        f'the TLS handshake.', host=self.peer) from None

    def _tls_fault(self, error):
        reason = error.reason or 'handshake failed'
        what = ('ended the TLS connection' if 'ALERT' in reason
                else 'does not speak TLS as asked')
        return Fault('tls', f'{self.peer} {what} ({reason}).',
                     host=self.peer, detail=reason)

    def timeout(self, doing: str) -> Fault:
        """Return the fault of a server that took too long."""
        return Fault('timeout', f'{self.peer} did not {doing} within '
                     f'{self.clock.seconds:g} s.', host=self.peer)

    def send(self, data: bytes) -> None:
        """Send all of it.

        A server that has hung up is noticed by :meth:`receive`, after what
        it said before.

        :raises Fault: ``timeout``
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

        :raises Fault: ``timeout``, or ``tls`` if the server ends the
            connection for want of a certificate
        :raises ConnectionError: if the server has hung up
        """
        try:
            self._socket.settimeout(self.clock.require())
            data = self._socket.recv(most)
        except (TimeoutError, clocks.OutOfTime):
            raise self.timeout('answer') from None
        except ssl.SSLError as exc:
            if 'ALERT' in (exc.reason or ''):
                raise self._tls_fault(exc) from None
            raise ConnectionResetError from exc
        except OSError as exc:
            raise ConnectionResetError from exc
        if not data:
            raise ConnectionResetError
        return data

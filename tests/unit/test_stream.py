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

"""What connecting tells about a server that closes at once.

Whether the kernel reports this in ``connect`` or later depends on timing, so
``connect`` is made to report it here.
"""

import errno
import socket

import pytest

from octavia_v2_checks import clock as clocks
from octavia_v2_checks.backends import net
from octavia_v2_checks.backends import stream
from octavia_v2_checks.backends import witness


@pytest.fixture(params=[errno.EPIPE, errno.ECONNRESET])
def hung_up(request, monkeypatch):
    """The port of a server whose ``connect`` ends with such an error."""
    plain = socket.socket.connect
    with socket.create_server(('127.0.0.1', 0)) as server:
        def connect(sock, address):
            plain(sock, address)
            server.accept()[0].close()
            raise OSError(request.param, 'closed')

        monkeypatch.setattr(socket.socket, 'connect', connect)
        yield server.getsockname()[1]


def test_own_connection_is_read_to_its_end(hung_up):
    with stream.Stream('127.0.0.1', hung_up, clocks.Clock(5)) as opened:
        opened.send(b'envi')
        with pytest.raises(ConnectionError):
            opened.receive()


def test_witness_says_that_the_server_closed_it(hung_up, monkeypatch):
    # They are put back with the fixture's.
    monkeypatch.setattr(socket, 'getaddrinfo', socket.getaddrinfo)
    monkeypatch.setattr('ssl.SSLSocket.do_handshake', None)
    seen = witness.Witness()
    with socket.socket() as sock, pytest.raises(OSError, match='closed'):
        sock.connect(('127.0.0.1', hung_up))
    fault = seen.fault
    assert fault is not None
    assert (fault.slug, fault.detail) == ('refused', 'closed')
    assert fault.host == net.endpoint('127.0.0.1', hung_up)
    assert 'as soon as it was open' in fault.text

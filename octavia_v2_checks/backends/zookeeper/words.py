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

"""The four-letter words, asked of one member at a time, in a child process.

Every ZooKeeper answers them without a session. Where a worker sees only a
timeout, they tell which member is down, which has lost its quorum, and which
hides its version.
"""

import re
import ssl
from typing import Any

from octavia_v2_checks import clock as clocks
from octavia_v2_checks.backends import net
from octavia_v2_checks.backends import sniff
from octavia_v2_checks.backends import stream as stream_
from octavia_v2_checks.backends import witness

_LIMIT = 65536

_HIDDEN = 'is not executed because it is not in the whitelist'
_MODE = re.compile(r'^Mode: ([a-z-]+)$', re.M)
_VERSION = re.compile(r'^zookeeper\.version=(\d+(?:\.\d+)+)', re.M)
_ZXID = re.compile(r'^Zxid: 0x([0-9a-f]+)$', re.M)


def context(client: dict[str, Any]) -> ssl.SSLContext | None:
    """Return the context that kazoo would create, None for plain text.

    :param client: the arguments of KazooClient
    :raises OSError: if certificate and key do not load
    """
    if not client['use_ssl']:
        return None
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.load_default_certs()
    made.check_hostname = False
    if not client['verify_certs']:
        made.verify_mode = ssl.CERT_NONE
    load_certificate(made, client)
    return made


def load_certificate(made: ssl.SSLContext, client: dict[str, Any]) -> None:
    """Load the client certificate as kazoo does: only together with its key.

    :raises OSError: if they do not load
    """
    if client['certfile'] and client['keyfile']:
        # Without a password, OpenSSL would ask on the terminal.
        made.load_cert_chain(client['certfile'], client['keyfile'],
                             client['keyfile_password'] or '')


class Words:
    """Answers questions about members, in a child process.

    :param client: the arguments of KazooClient
    :param seconds: for one question
    """

    def __init__(self, client: dict[str, Any], seconds: float):
        witness.Witness()
        self._tls = context(client)
        self._seconds = seconds

    def examine(self, host: str, port: int) -> dict[str, Any]:
        """Return the status of a member.

        :returns: its ``address``, ``mode``, ``serves`` (whether it accepts
            clients), ``version`` and ``zxid``; None for what it does not tell
        :raises net.Fault: where it does not answer like a ZooKeeper
        """
        status, address = self._word('srvr', host, port)
        version = _VERSION.search(self._word('envi', host, port)[0])
        mode = _MODE.search(status)
        zxid = _ZXID.search(status)
        return {
            'address': address,
            'mode': mode and mode[1],
            # One that hides srvr too may serve; the session will show it.
            'serves': mode[1] != 'read-only' if mode else _HIDDEN in status,
            'version': version and [int(n) for n in version[1].split('.')],
            'zxid': zxid and int(zxid[1], 16)}

    def zxids(self, members: list[tuple[str, int]]) -> list[int | None]:
        """Return the newest transaction of each, asked one after the other."""
        found = [_ZXID.search(self._word('srvr', *member)[0])
                 for member in members]
        return [zxid and int(zxid[1], 16) for zxid in found]

    def identify(self, host: str, port: int, seconds: float) -> str | None:
        """Return what else answers there; see :func:`sniff.identify`."""
        return sniff.identify(host, port, clocks.Clock(seconds))

    def _word(self, word, host, port):
        """Return the answer to a four-letter word, and the address it came
        from.

        :raises net.Fault: where it is not from a ZooKeeper; its detail is then
            ``closed``, or what answers there, if that is known
        """
        peer = net.endpoint(host, port)
        expected = tuple(t.encode() for t in (
            'Zookeeper version: ', 'This ZooKeeper instance is not ',
            'Environment:', f'{word} {_HIDDEN}'))
        data = b''
        with stream_.Stream(host, port, clocks.Clock(self._seconds),
                            self._tls) as stream:
            stream.send(word.encode())
            try:
                while len(data) < _LIMIT and any(
                        t.startswith(data[:len(t)]) for t in expected):
                    data += stream.receive()
            except ConnectionError:
                if data.startswith(expected):
                    return data.decode('utf-8', 'replace'), stream.address
        if data:
            raise net.Fault(
                'wrong-protocol', f'{peer} does not answer like a ZooKeeper.',
                host=peer, detail=sniff.recognise(data))
        raise net.Fault(
            'refused', f'{peer} closed the connection without an answer, as a '
                       'ZooKeeper does when it has more clients from this '
                       'host than maxClientCnxns in zoo.cfg '
                       'allows.', host=peer, detail='closed')

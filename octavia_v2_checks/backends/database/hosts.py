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

"""A PostgreSQL URL that names several hosts: which of them answer?

libpq tries them in turn, and continues with the next where one cannot be
reached. Here a separate process asks each, so that one that drops packets does
not use up the time of the others.
"""

from collections.abc import Sequence
import socket
from typing import Any
from typing import NamedTuple

from octavia_v2_checks import clock as clocks
from octavia_v2_checks.backends import isolated
from octavia_v2_checks.backends import net
from octavia_v2_checks.backends import sniff
from octavia_v2_checks.backends import witness as witness_

#: Faults after which libpq tries the next host; anything else ends its search.
_PASSED_OVER = frozenset({'refused', 'timeout', 'unresolvable'})

Place = tuple[str, int]


def split(host: str, port: Any, default: int) -> list[Place]:
    """Return the places in libpq's parameters ``host`` and ``port``.

    :param default: the port of a host for which none is given
    """
    hosts = host.split(',') if host else []
    ports = str(port or '').split(',')
    if len(ports) == 1:
        ports *= len(hosts)
    return [(h, int(p) if p.isdecimal() else default)
            for h, p in zip(hosts, ports, strict=True)]


class Search(NamedTuple):
    """How libpq tries the hosts.

    :ivar patient: whether it waits for each without a limit
    :ivar random: whether it begins with a random host
    :ivar attributes: ``target_session_attrs``, '' where there are none
    """

    patient: bool
    random: bool
    attributes: str

    def judge(self, places: Sequence[Place],
              looked: Sequence[net.Fault | None], used: int | None = None,
              standby: bool = False) -> None:
        """Determine whether a worker waits for a host that stays silent.

        :param looked: what is wrong with each place
        :param used: number of the place that the client has chosen, None if it
            has not started
        :param standby: whether that is one
        :raises net.Fault: ``timeout``
        """
        if not self.patient:
            return
        tried = len(places) if used is None else used
        if used is None:
            tried = looked.index(None) if not self.random else 0
        elif self.random or (self.attributes == 'prefer-standby'
                             and not standby):
            tried = len(places)
        for fault in looked[:tried]:
            if fault and fault.slug == 'timeout':
                raise net.Fault(
                    'timeout', f'{fault.text} Workers wait for it and do not '
                               'try the next '
                               'host.', 'Start that server, and add '
                    'connect_timeout=2 to the parameters of [task_flow] '
                    'persistence_connection.', host=fault.host)


def look(places: Sequence[Place], deadline: clocks.Deadline
         ) -> list[net.Fault | None]:
    """Determine which places a client could use.

    :returns: for each place what is wrong with it, None where it answers
    :raises net.Fault: for a place after which libpq does not try the next, and
        if no place answers
    """
    looks = [isolated.Child(deadline, f'{__name__}:Look') for _ in places]
    for child, place in zip(looks, places, strict=True):
        child.begin('at', *place)
    looked = [_answer(child) for child in looks]
    faults = [fault for fault in looked if fault]
    for fault in faults:
        if fault.slug not in _PASSED_OVER:
            raise fault
    if len(faults) == len(places):
        raise net.Fault(faults[0].slug, ' '.join(f.text for f in faults),
                        host=','.join(f.host or '' for f in faults))
    return looked


def _answer(child):
    try:
        child.finish()
    except net.Fault as fault:
        return fault
    finally:
        child.close()
    return None


class Look:
    """Asks one place; runs in a child process."""

    def at(self, host: str, port: int) -> None:
        """Determine whether a PostgreSQL server answers.

        :raises net.Fault: if none does
        """
        if host.startswith('/'):
            return  # a directory with a unix socket, which answers at once
        witness = witness_.Witness()
        peer = net.endpoint(host, port)
        answer = b''
        try:
            with socket.create_connection((host, port)) as connection:
                connection.sendall(sniff.SSL_REQUEST)
                answer = connection.recv(1)
        except OSError:
            if witness.fault:
                raise witness.fault from None
        if not answer:
            raise net.Fault('refused', f'{peer} closed the connection at '
                            f'once.', host=peer)
        if answer not in (b'S', b'N', b'E'):
            # Half a second is enough for a server that has just answered.
            name = recognise(host, port, 0.5) or 'something else'
            raise net.Fault('wrong-protocol', f'{peer} is {name}, not '
                            f'PostgreSQL.', host=peer)


def recognise(host: str, port: int, seconds: float) -> str | None:
    """Determine what answers at a port, in a child process.

    :returns: as :func:`octavia_v2_checks.backends.sniff.identify`
    """
    return sniff.identify(host, port, clocks.Clock(seconds))

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

libpq tries them in turn, and goes on to the next from one that cannot be
reached. Here all are asked at the same time, so that one that drops packets
does not use up the time of the others.
"""

import functools
from typing import Any

from octavia_v2_checks import clock as clocks
from octavia_v2_checks.backends import net
from octavia_v2_checks.backends import parallel
from octavia_v2_checks.backends import sniff
from octavia_v2_checks.backends import stream as stream_

#: What libpq goes on from to the next host; anything else ends its search.
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


def look(places: list[Place], deadline: clocks.Deadline, patient: bool
         ) -> list[net.Fault | None]:
    """Find out which places a client could use.

    :param patient: whether the client waits without a limit
    :returns: for each place what is wrong with it, None where it answers
    :raises net.Fault: for a place from which libpq does not go on to the
        next, and where no place answers
    """
    looked = parallel.run([functools.partial(_look, *place, deadline.probe())
                           for place in places])
    faults = [fault for fault in looked if fault]
    for fault in faults:
        if fault.slug not in _PASSED_OVER:
            raise fault
    if len(faults) == len(places):
        raise net.Fault(faults[0].slug, ' '.join(f.text for f in faults),
                        host=','.join(f.host or '' for f in faults))
    for fault in looked[:looked.index(None)] if patient else ():
        if fault and fault.slug == 'timeout':
            raise net.Fault(
                'timeout', f'{fault.text} Workers wait there and do not try '
                f'the next host.', 'Start that server, and add '
                'connect_timeout=2 to the parameters of [task_flow] '
                'persistence_connection.', host=fault.host)
    return looked


def _look(host, port, clock):
    """Return the fault of a place, None where a PostgreSQL answers."""
    if host.startswith('/'):
        return None  # a directory with a unix socket, which answers at once
    try:
        with stream_.Stream(host, port, clock) as stream:
            stream.send(sniff.SSL_REQUEST)
            answer = stream.receive(1)
    except net.Fault as fault:
        return fault
    except ConnectionError:
        peer = net.endpoint(host, port)
        return net.Fault('refused', f'{peer} closed the connection at once.',
                         host=peer)
    if answer in (b'S', b'N', b'E'):
        return None
    peer = net.endpoint(host, port)
    name = sniff.identify(host, port, clock) or 'something else'
    return net.Fault('wrong-protocol', f'{peer} is {name}, not PostgreSQL.',
                     host=peer)

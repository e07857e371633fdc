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

"""Looks at the other members of an etcd cluster."""

from collections.abc import Callable
from collections.abc import Iterator
import dataclasses
from typing import Any
from urllib import parse

from octavia_v2_checks.backends import isolated
from octavia_v2_checks.backends import net

#: Creates a child that has begun to load the client for a member at a URL,
#: None where none is to be asked.
Neighbour = Callable[[str], isolated.Child | None]

#: How many addresses of members to ask: each costs a process. A cluster has
#: seven members at most.
_MOST = 14


@dataclasses.dataclass
class _Look:
    """What one member looks like from here.

    :ivar answers: None where it cannot be asked
    :ivar fault: why it does not serve the cluster
    """

    member: dict[str, Any]
    answers: bool | None = None
    fault: net.Fault | None = None


def faults(peer: str, status: dict[str, Any], members: list[dict[str, Any]],
           neighbour: Neighbour) -> Iterator[net.Fault]:
    """Yield ``member-down``, or ``no-quorum`` where there is no leader.

    Without a leader although a majority answers, it is ``not-writable``:
    the members cannot reach each other.

    :param peer: the member that workers use
    :param status: its status
    :param members: as it lists them
    """
    looks = _looks([m for m in members if m['id'] != status['member']],
                   neighbour)
    if status['leader']:
        for look in looks:
            if look.fault:
                yield look.fault
        return
    voters = sum(m['votes'] for m in members)
    answering = voters - sum(
        look.answers is False and look.member['votes'] for look in looks)
    seen = ' '.join(look.fault.text for look in looks if look.fault)
    if answering <= voters // 2:
        yield net.Fault(
            'no-quorum', f'{peer} knows no leader, and only {answering} of '
            f'{voters} members may be up. {seen}', host=peer)
    else:
        yield net.Fault(
            'not-writable', f'{peer} knows no leader and accepts no writes. '
                            f'{seen}'.rstrip(),
            'Check the connections between the members (their peer URLs); an '
            'election that is under way ends within seconds.', host=peer)


def _looks(members, neighbour):
    """Ask the members side by side, each at all its addresses."""
    looks = [_Look(m) for m in members]
    places = [(look, url) for look in looks for url in look.member['urls']]
    asked = []
    for look, url in places[:_MOST]:
        child = neighbour(url)
        if child:
            asked.append((look, url, child))
    for _, _, child in asked:
        child.finish()
        child.begin('status')
    for look, url, child in asked:
        if not look.answers:
            _finish(look, url, child)
        child.close()
    for look in looks:
        if not look.member['urls']:
            look.answers, look.fault = False, _never_started(look.member)
    return looks


def _finish(look, url, child):
    peer = parse.urlsplit(url).netloc
    try:
        leader = child.finish()['leader']
    except net.Fault as exc:
        look.answers, look.fault = False, net.Fault(
            'member-down', exc.text,
            f'Start etcd at {peer}. If it runs, make the address in its '
            '--advertise-client-urls reachable from this host.', host=peer)
        return
    look.answers, look.fault = True, None if leader else net.Fault(
        'member-down', f'{peer} knows no leader: it is cut off.',
        'Check the connections between the members (their peer URLs).',
        host=peer)


def _never_started(member):
    return net.Fault(
        'member-down', f'Member {member["name"] or member["id"]} was added '
        f'to the cluster and never started.',
        f'Start it, or remove it: etcdctl member remove '
        f'{hexadecimal(member["id"])}')


def hexadecimal(number):
    """Return a member's number as etcdctl writes it."""
    return f'{int(number):x}' if number.isdecimal() else number

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
import functools

from octavia_v2_checks.backends import net
from octavia_v2_checks.backends import parallel
from octavia_v2_checks.backends.etcd import gateway

#: Makes the way to a member's URL, or None where there is none from here.
Neighbour = Callable[[str, str], gateway.Gateway | None]


@dataclasses.dataclass
class _Look:
    """What one member looks like from here.

    :ivar answers: None where it cannot be asked
    :ivar fault: why it is of no use to the cluster
    """

    member: gateway.Member
    answers: bool | None
    fault: net.Fault | None = None


def faults(board: gateway.Gateway, status: gateway.Status,
           neighbour: Neighbour) -> Iterator[net.Fault]:
    """Yield ``member-down``, or ``no-quorum`` where there is no leader.

    Without a leader although a majority answers, it is ``not-writable``:
    the members do not reach each other.

    :param board: the member that workers use
    :param status: what it says of itself
    :raises net.Fault: where it does not answer
    """
    members = board.members()
    looks = parallel.run([
        functools.partial(_look, member, neighbour, board.path)
        for member in members if member.id != status.member])
    if status.leader:
        for look in looks:
            if look.fault:
                yield net.Fault('member-down', look.fault.text,
                                look.fault.remedy, host=look.fault.host)
        return
    voters = sum(m.votes for m in members)
    answering = voters - sum(look.answers is False and look.member.votes
                             for look in looks)
    seen = ' '.join(look.fault.text for look in looks if look.fault)
    if answering <= voters // 2:
        yield net.Fault(
            'no-quorum', f'{board.peer} knows no leader, and only '
            f'{answering} of {voters} members may be up. {seen}',
            host=board.peer)
    else:
        yield net.Fault(
            'not-writable', f'{board.peer} knows no leader and takes no '
            f'writes. {seen}'.rstrip(),
            'Look at the connections between the members (their peer URLs); '
            'an election that is under way ends within seconds.',
            host=board.peer)


def _look(member, neighbour, path):
    if not member.urls:
        name = member.name or member.id
        return _Look(member, False, net.Fault(
            'member-down', f'Member {name} was added to the cluster and '
            f'never started.',
            f'Start it, or remove it: etcdctl member remove '
            f'{_hexadecimal(member.id)}'))
    look = _Look(member, None)
    for url in member.urls:
        way = neighbour(url, path)
        if not way:
            continue
        try:
            leader = way.status().leader
        except net.Fault as exc:
            look.answers, look.fault = False, exc
            continue
        fault = None if leader else net.Fault(
            'member-down', f'{way.peer} knows no leader: it is cut off.',
            host=way.peer)
        return _Look(member, True, fault)
    return look


def _hexadecimal(number):
    """Return a member's number as etcdctl writes it."""
    return f'{int(number):x}' if number.isdecimal() else number

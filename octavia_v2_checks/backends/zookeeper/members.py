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

"""The members of an ensemble: their answers, and what these mean."""

from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import dataclasses
import itertools
from typing import Any

from octavia_v2_checks import clock as clocks
from octavia_v2_checks.backends import isolated
from octavia_v2_checks.backends import net
from octavia_v2_checks.backends import sniff
from octavia_v2_checks.upstream import clients_zookeeper

#: TaskFlow refuses older servers: they do not support transactions.
MINIMUM = [3, 4, 0]

TLS = 'jobboard_zookeeper_ssl_options'

_WORDS = 'octavia_v2_checks.backends.zookeeper.words:Words'


@dataclasses.dataclass
class Member:
    """One server, and its answers.

    :ivar fault: why a worker cannot use it, or None
    :ivar address: where it was reached
    :ivar mode: ``leader``, ``follower``, ``observer``, ``standalone``,
        ``read-only``, or None where it does not tell
    :ivar serves: whether it accepts clients
    :ivar version: None where it does not tell
    :ivar zxid: the number of its newest transaction, likewise
    """

    host: str
    port: int
    fault: net.Fault | None = None
    address: str | None = None
    mode: str | None = None
    serves: bool = False
    version: list[int] | None = None
    zxid: int | None = None

    @property
    def peer(self) -> str:
        """``host:port``"""
        return net.endpoint(self.host, self.port)


def ask(deadline: clocks.Deadline, client: dict[str, Any],
        listed: Sequence[tuple[str, int]]) -> list[Member]:
    """Ask every member, each in a separate child process.

    :param client: the arguments of KazooClient
    :param listed: host and port of each
    """
    members = [Member(*where) for where in dict.fromkeys(listed)]
    children = [_child(deadline, client) for _ in members]
    for member, child in zip(members, children, strict=True):
        child.begin('examine', member.host, member.port)
    for member, child in zip(members, children, strict=True):
        try:
            said = child.finish()
        except net.Fault as exc:
            member.fault = exc
        else:
            vars(member).update(said)
        child.close()
        if not member.serves and not member.fault:
            member.fault = _idle(member)
    # What was seen stands where no time is left for a second look.
    with contextlib.suppress(clocks.OutOfTime):
        _look_again(deadline, client, [m for m in members if _is_odd(m.fault)])
    for member in members:
        member.fault = _explained(member.fault, client)
    return members


def _child(deadline, client):
    return isolated.Child(deadline, _WORDS, client, deadline.probe().seconds)


def _idle(member):
    return net.Fault(
        'no-quorum', f'{member.peer} answers that it '
        + ('is read-only, because it has lost the other members.'
           if member.mode else 'is not serving requests.'), host=member.peer)


def _is_odd(fault):
    """Whether another kind of server may be behind a fault."""
    if fault is None:
        return False
    if fault.slug == 'tls':
        return fault.detail != 'verify' and 'ALERT' not in (
            fault.detail or '')
    return (fault.slug in ('timeout', 'wrong-protocol')
            or fault.detail == 'closed')


def _look_again(deadline, client, members):
    """Determine what answers in place of some members."""
    seconds = sniff.second_look(deadline).seconds
    asked: list[isolated.Child | None] = []
    for member in members:
        if member.fault.slug == 'wrong-protocol' and member.fault.detail:
            asked.append(None)
            continue
        child = _child(deadline, client)
        child.begin('identify', member.host, member.port, seconds)
        asked.append(child)
    for member, child in zip(members, asked, strict=True):
        try:
            name = child.finish() if child else member.fault.detail
        except net.Fault:
            continue
        if name and name != ('TLS' if client['use_ssl'] else 'ZooKeeper'):
            member.fault = _stranger(member.peer, name)


def _stranger(peer, name):
    """Return the fault of another kind of server."""
    if name == 'ZooKeeper':
        text = f'is ZooKeeper without TLS, and use_ssl is on in {TLS}.'
        remedy = (f'Set {TLS} in [task_flow] to use_ssl:False, or turn TLS '
                  f'on at the server.')
    elif name == 'TLS':
        text = f'expects TLS, and use_ssl is off in {TLS}.'
        remedy = f'Set {TLS} in [task_flow] to use_ssl:True'
    else:
        return sniff.stranger(peer, name, 'ZooKeeper')
    return net.Fault('wrong-protocol', f'{peer} {text}', remedy, host=peer,
                     option=TLS)


def _explained(fault, client):
    """Add the option that fixes a TLS fault."""
    if fault is None or fault.slug != 'tls':
        return fault
    remedy = None
    if fault.detail == 'verify':
        remedy = ('Add the CA that signed it to the system store of every '
                  'controller, or name its file in the variable SSL_CERT_FILE '
                  f'of every Octavia service: {TLS} has no key for it.')
    elif 'ALERT' in (fault.detail or '') and not (
            client['certfile'] and client['keyfile']):
        remedy = (f'Name a client certificate and its key as certfile and '
                  f'keyfile in {TLS}; one alone is ignored.')
    return net.Fault('tls', fault.text, remedy, fault.host, TLS,
                     fault.detail)


def nobody_serves(members: Sequence[Member]) -> Iterator[net.Fault]:
    """Yield why no member accepts a worker."""
    said = [m for m in members if m.fault and m.fault.slug == 'no-quorum']
    if not said:
        yield from (m.fault for m in members if m.fault)
        return
    read_only = any(m.mode for m in said)
    yield net.Fault(
        'not-writable' if read_only else 'no-quorum',
        ' '.join(m.fault.text for m in members if m.fault),
        'Start the missing members: more than half of all must reach each '
        'other. If all run, check the server.N lines in their zoo.cfg: each '
        'address must lead the other members to that server, which 127.0.0.1 '
        'and localhost do not.', host=said[0].peer)


def down(members: Sequence[Member], patience: float) -> Iterator[net.Fault]:
    """Yield the members that cannot be used, while others can.

    :param patience: seconds that a worker waits for its first session
    """
    first = list(itertools.takewhile(lambda m: not m.serves, members))
    waits = {m.peer: _wait(m, len(members)) for m in first}
    late = sum(waits.values()) >= patience
    for member in members:
        if not member.fault:
            continue
        if late and waits.get(member.peer):
            late = False
            yield net.Fault(
                'timeout', f'{member.fault.text} A worker tries the members '
                f'in their order, waits {sum(waits.values()):g} s before it '
                f'gets to {members[len(first)].peer}, and gives up after '
                f'{patience:g} s.',
                'Start that server, move it to the end of '
                'jobboard_backend_hosts, or remove it.', member.peer)
        else:
            yield net.Fault('member-down', member.fault.text,
                            member.fault.remedy, host=member.peer)


def _wait(member, count):
    """Return the seconds that kazoo gives a member that does not serve."""
    if member.fault.slug != 'timeout':
        return 0
    # The handshake of a session has a share of its time, the connection
    # has all of it.
    return clients_zookeeper.SESSION / (
        count if member.fault.detail == 'answer' else 1)


def separate(deadline: clocks.Deadline, client: dict[str, Any],
             serving: Sequence[Member], peer: str | None
             ) -> Iterator[net.Fault]:
    """Find servers that workers treat as one ensemble and that are not.

    :param peer: the member with which a session was begun after all had been
        asked, None if there is none
    """
    serving = list({m.address: m for m in reversed(serving)}.values())[::-1]
    alone = [m for m in serving if m.mode == 'standalone']
    leaders = [m for m in serving if m.mode == 'leader']
    if len(serving) < 2 or not (alone or len(leaders) > 1):
        return
    anchor = next((m for m in serving if m.peer == peer), None)
    heads = alone + leaders
    if anchor:
        apart = [m for m in serving if m is not anchor
                 and not _same(deadline, client, anchor, m)]
        if not apart:
            return
        heads = [m for m in heads if m is anchor or m in apart]
        serving = [anchor, *apart]
    yield net.Fault(
        'split-ensemble', f'{len(serving)} servers serve, and '
        + ' and '.join(f'{m.peer} is {m.mode}' for m in heads) + '.',
        host=heads[0].peer)


def _same(deadline, client, one, other):
    """Whether two addresses lead to the same server.

    Beginning a session with one was a transaction. If the other has seen it
    too, and is neither behind nor ahead, they are the same.
    """
    if other.zxid is None:
        return False
    child = _child(deadline, client)
    try:
        before, seen, after = child.ask('zxids', [
            (m.host, m.port) for m in (one, other, one)])
    except net.Fault:
        return False
    finally:
        child.close()
    return None not in (before, seen, after) and (
        other.zxid < seen and before <= seen <= after)


def versions(members: Sequence[Member]) -> Iterator[net.Fault | str]:
    """Yield which members hide their version, which are too old, and which
    serve.
    """
    answering = [m for m in members if m.version or m.serves]
    hidden = [m for m in answering if not m.version]
    if hidden:
        names = ', '.join(m.peer for m in hidden)
        yield net.Fault(
            'version-hidden', f'These do not answer the four-letter word '
            f'envi, and a worker may connect to any of them: {names}.',
            host=hidden[0].peer)
    for member in answering:
        if member.version and member.version < MINIMUM:
            yield net.Fault(
                'server-old', f'{member.peer} is ZooKeeper '
                f'{_dotted(member.version)}; TaskFlow needs '
                f'{_dotted(MINIMUM)} or later.', host=member.peer)
    known = sorted({tuple(m.version) for m in answering if m.version})
    shown = ' and '.join(map(_dotted, known)) or 'of unknown version'
    yield f'ZooKeeper {shown}: ' + ', '.join(
        f'{m.peer} ({m.mode or "serving"})'
        for m in members if m.serves) + '.'


def _dotted(version):
    return '.'.join(map(str, version))

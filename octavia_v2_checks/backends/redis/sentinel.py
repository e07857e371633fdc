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

"""Which server do the Sentinels name, and could they name another one?"""

from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import functools

from octavia_v2_checks import clock as clocks
from octavia_v2_checks import statements
from octavia_v2_checks.backends import net
from octavia_v2_checks.backends import parallel
from octavia_v2_checks.backends.redis import resp
from octavia_v2_checks.backends.redis.connection import Access
from octavia_v2_checks.backends.redis.connection import Connection
from octavia_v2_checks.backends.redis.server import printable

#: redis-py asks the next Sentinel after one of these, and stops at any other.
_SKIPPED = frozenset({
    'unresolvable', 'refused', 'timeout', 'tls', 'auth-required',
    'access-denied', 'loading'})


@dataclasses.dataclass(frozen=True)
class Master:
    """A master as one Sentinel sees it.

    :ivar down: ``s_down`` or ``o_down``, None if it is up
    :ivar known: how many Sentinels there are, this one included
    :ivar quorum: how many must agree that the master is down
    """

    host: str
    port: int
    down: str | None
    known: int
    quorum: int

    @property
    def peer(self) -> str:
        """Its ``host:port``."""
        return net.endpoint(self.host, self.port)


@dataclasses.dataclass(frozen=True)
class Answer:
    """What one Sentinel said.

    :ivar fault: why it said nothing
    :ivar names: the masters that it knows
    :ivar master: the one of the configured name, None if it knows none
    :ivar majority: whether it reaches the Sentinels that a failover takes;
        None if it does not say
    """

    peer: str
    fault: net.Fault | None = None
    names: tuple[str, ...] = ()
    master: Master | None = None
    majority: bool | None = None


def _ask(access: Access, host: str, port: int, name: str,
         deadline: clocks.Deadline) -> Answer:
    """Ask one Sentinel."""
    peer = net.endpoint(host, port)
    try:
        with Connection(access, host, port, deadline) as connection:
            masters, quorum = connection.pipeline([
                ('SENTINEL', 'MASTERS'), ('SENTINEL', 'CKQUORUM', name)])
            if isinstance(masters, resp.ErrorReply):
                raise connection.fault(masters, 'SENTINEL MASTERS')
            try:
                found = _masters(masters)
                master = _master(found[name]) if name in found else None
            except (AttributeError, TypeError, ValueError, KeyError):
                raise connection.stranger() from None
    except net.Fault as fault:
        return Answer(peer, fault)
    majority = None
    if isinstance(quorum, str):
        majority = True
    elif isinstance(quorum, resp.ErrorReply) and quorum.word == 'NOQUORUM':
        majority = False
    return Answer(peer, None, tuple(sorted(found)), master, majority)


def _masters(answer):
    """Return the fields of every master by its name."""
    found = {}
    for state in answer:
        texts = [item.decode('utf-8', 'replace') for item in state]
        fields = dict(zip(texts[::2], texts[1::2], strict=True))
        found[fields['name']] = fields
    return found


def _master(state):
    flags = state['flags'].split(',')
    down = next((f for f in ('o_down', 's_down') if f in flags), None)
    if 'master' not in flags:
        down = down or 'no master'
    return Master(state['ip'], int(state['port']), down,
                  int(state['num-other-sentinels']) + 1,
                  int(state['quorum']))


class Watch:
    """What all Sentinels said about one master.

    :param places: host and port of each Sentinel
    :param name: the name of the master
    """

    def __init__(self, access: Access, places: Sequence[tuple[str, int]],
                 name: str, deadline: clocks.Deadline):
        self._name = name
        self._shown = printable(name)
        self._answers: list[Answer] = parallel.run([
            functools.partial(_ask, access, host, port, name, deadline)
            for host, port in places])
        self._heard = [a for a in self._answers if not a.fault]

    @property
    def master(self) -> Master | None:
        """The server that a worker would use, or else one that is down."""
        masters = [a.master for a in self._heard if a.master]
        return next((m for m in masters if not m.down),
                    masters[0] if masters else None)

    def faults(self) -> Iterator[net.Fault]:
        """Yield what is wrong with the Sentinels themselves."""
        lost = [a.fault for a in self._answers if a.fault]
        if not self._heard:
            yield from _joined(lost)
            return
        for fault in lost:
            if fault.slug in _SKIPPED:
                yield net.Fault(
                    'member-down', f'The Sentinel {fault.host} is of no use '
                    f'({fault.slug}): {fault.text}', fault.remedy,
                    fault.host, fault.option or 'jobboard_backend_hosts')
        yield from _joined([f for f in lost if f.slug not in _SKIPPED])
        if self.master:
            yield from self._disagreement(self.master)
            yield from self._quorum()
        else:
            yield self._unknown()

    def choice(self) -> Master:
        """Return the server that a worker would use.

        :raises net.Fault: where a worker would find none
        """
        for answer in self._answers:
            if answer.fault and not self._heard:
                raise answer.fault
        if not self.master:
            raise self._unknown()
        if self.master.down:
            raise self.down(self.master)
        return self.master

    def down(self, master: Master) -> net.Fault:
        """Return the fault of a master that all Sentinels hold for down."""
        return net.Fault(
            'sentinel-unknown-master',
            f'The Sentinels hold the master {self._shown}, {master.peer}, '
            f'for down ({master.down}), so workers get no server.',
            f'Bring {master.peer} back within reach of the Sentinels; '
            f'"SENTINEL MASTER {self._shown}" shows what they see.',
            master.peer, 'jobboard_redis_sentinel')

    def fact(self) -> str:
        """Return a sentence on Sentinels that are well."""
        master = self.master
        return (f'{len(self._heard)} of {len(self._answers)} Sentinels '
                f'answer; the master {self._shown} is '
                f'{master.peer if master else "unknown"}.')

    def _unknown(self):
        names = sorted({n for a in self._heard for n in a.names})
        shown = ', '.join(printable(n) for n in names) or 'none'
        remedy = None
        if names:
            remedy = ('Set jobboard_redis_sentinel in [task_flow] to '
                      + ' or '.join(printable(n) for n in names))
        return net.Fault(
            'sentinel-unknown-master',
            f'The master {self._shown!r} is not known to '
            f'{_list(self._heard)}, which monitor: {shown}.', remedy,
            self._heard[0].peer, 'jobboard_redis_sentinel')

    def _disagreement(self, used):
        places = {a.master.peer for a in self._heard if a.master}
        if len(places) > 1:
            said = '; '.join(f'{a.peer} says {a.master.peer}'
                             for a in self._heard if a.master)
            yield net.Fault(
                'sentinel-quorum', f'The Sentinels name different servers '
                f'as the master {self._shown}: {said}. Workers use the '
                f'first answer.', host=self._heard[0].peer)
        strangers = [a for a in self._heard if not a.master]
        if strangers:
            yield net.Fault(
                'sentinel-quorum', f'The master {self._shown} is not '
                f'monitored by {_list(strangers)}.', statements.in_redis_cli(
                    f'SENTINEL MONITOR {self._shown} {used.host} {used.port} '
                    f'{used.quorum}'), strangers[0].peer)
        blind = [a for a in self._heard if a.master and a.master.down]
        if blind and not used.down:
            yield net.Fault(
                'sentinel-quorum', f'The master {self._shown} is down for '
                f'{_list(blind)}, and not for others.',
                f'Look at the network between them and {used.peer}.',
                blind[0].peer)

    def _quorum(self):
        for answer in self._heard:
            master = answer.master
            if not master:
                continue
            needed = max(master.quorum, master.known // 2 + 1)
            if master.quorum > master.known:
                majority = master.known // 2 + 1
                yield net.Fault(
                    'sentinel-quorum', f'{answer.peer} sets the quorum of '
                    f'{self._shown} to {master.quorum} and the number of '
                    f'Sentinels is {master.known}: there can be no '
                    f'failover.',
                    statements.in_redis_cli(
                        f'SENTINEL SET {self._shown} quorum {majority}'),
                    answer.peer)
                return
            if answer.majority is False:
                yield net.Fault(
                    'sentinel-quorum', f'{answer.peer} reaches fewer than '
                    f'the {needed} of {master.known} Sentinels of '
                    f'{self._shown} that a failover takes.',
                    host=answer.peer)
                return


def _list(answers):
    return ' and '.join(a.peer for a in answers)


def _joined(faults: Sequence[net.Fault]) -> Iterator[net.Fault]:
    """Yield one fault for each cause, naming all hosts that share it."""
    causes: dict[str, list[net.Fault]] = {}
    for fault in faults:
        causes.setdefault(fault.slug, []).append(fault)
    for first, *others in causes.values():
        if others:
            first.text += (' The same goes for '
                           f'{", ".join(str(f.host) for f in others)}.')
        yield first

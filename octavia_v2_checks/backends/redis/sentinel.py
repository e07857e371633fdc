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
import ipaddress
from typing import NamedTuple

from octavia_v2_checks import clock as clocks
from octavia_v2_checks import statements
from octavia_v2_checks.backends import isolated
from octavia_v2_checks.backends import net
from octavia_v2_checks.backends.redis import connection as redis_connection
from octavia_v2_checks.backends.redis import errors
from octavia_v2_checks.backends.redis.server import printable

_CLIENT = 'octavia_v2_checks.backends.redis.client:Sentinel'

_HOSTS = 'jobboard_backend_hosts'
_NAME = 'jobboard_redis_sentinel'


class Master(NamedTuple):
    """A master as one Sentinel sees it.

    :ivar down: ``s_down`` or ``o_down``, None if it is up
    :ivar answers: whether it answers, but not like one that is up
    :ivar known: how many Sentinels there are, this one included
    :ivar quorum: how many must agree that the master is down
    :ivar run: run id, which identifies the server whatever its address; ''
        where the Sentinel has not reached it
    """

    host: str
    port: int
    down: str | None
    answers: bool
    known: int
    quorum: int
    run: str

    @property
    def peer(self) -> str:
        """Its ``host:port``."""
        return net.endpoint(self.host, self.port)

    @property
    def means_here(self) -> bool:
        """Whether its address means a different host on each host."""
        try:
            address = ipaddress.ip_address(self.host.partition('%')[0])
        except ValueError:
            name = self.host.rstrip('.').lower()
            return name == 'localhost' or name.endswith('.localhost')
        return (address.is_loopback or address.is_link_local
                or address.is_unspecified)


class Answer(NamedTuple):
    """What one Sentinel said.

    :ivar fault: why it did not answer
    :ivar names: names of the masters that it knows
    :ivar master: the one of the configured name, None if it knows none
    :ivar majority: whether it reaches the Sentinels that a failover needs;
        None if it does not tell
    :ivar here: whether it runs on this host
    """

    peer: str
    fault: net.Fault | None = None
    names: Sequence[str] = ()
    master: Master | None = None
    majority: bool | None = None
    here: bool = True


def _ask(access: errors.Access, options: dict, name: str,
         places: Sequence[tuple[str, int]], deadline: clocks.Deadline
         ) -> list[Answer]:
    """Ask all Sentinels, side by side.

    :raises errors.Useless: for an unusable option
    """
    children = []
    for host, port in places:
        child = isolated.Child(deadline, _CLIENT, tuple(access), options)
        child.begin('watch', host, port, name)
        children.append(child)
    return [_answer(child, *place, access, deadline)
            for child, place in zip(children, places, strict=True)]


def _answer(child, host, port, access, deadline):
    peer = net.endpoint(host, port)
    try:
        said = child.finish()
    except net.Fault as fault:
        better = redis_connection.stranger(deadline, fault, host, port,
                                           access)
        if isinstance(fault, errors.Final):
            better = errors.Final(*better.plain())
        return Answer(peer, better)
    master = said.pop('master')
    return Answer(peer, None, master=master and Master(**master), **said)


class Watch:
    """What all Sentinels said about one master.

    :param options: with the name of the master among them
    :param places: host and port of each Sentinel
    :raises errors.Useless: for an unusable option
    """

    def __init__(self, access: errors.Access, options: dict,
                 places: Sequence[tuple[str, int]],
                 deadline: clocks.Deadline):
        name = options[_NAME]
        self._shown = printable(name)
        self._answers = _ask(access, options, name, places, deadline)
        self._heard = [a for a in self._answers if not a.fault]

        lost = [a.fault for a in self._answers if a.fault]
        #: Where the search of a worker ends without a server.
        self._end: net.Fault | None = None
        self._used = self._search()
        self._failing = list(_joined(
            [f for f in lost if not self._heard or f is self._end
             # This is always wrong, whoever connects.
             or f.slug == 'wrong-protocol']))
        self._down = [f for f in lost if self._heard and f is not self._end
                      and f.slug != 'wrong-protocol']
        self._misplaced = self._misplacement()

    def _search(self) -> Answer | None:
        """Return the answer that a worker would use, as redis-py finds it."""
        for answer in self._answers:
            if isinstance(answer.fault, errors.Final):
                self._end = answer.fault
                return None
            if answer.master and not answer.master.down:
                return answer
        return None

    @property
    def master(self) -> Master | None:
        """The server that a worker would use, or else one that is down.

        None where there is nothing to look at.
        """
        if self._end or self._misplaced:
            return None
        if self._used:
            return self._used.master
        return next((a.master for a in self._heard if a.master), None)

    def faults(self) -> Iterator[net.Fault]:
        """Yield what is wrong with the Sentinels themselves."""
        for fault in self._down:
            ending = (' A worker that reaches it asks no further Sentinel.'
                      if isinstance(fault, errors.Final) else '')
            yield net.Fault(
                'member-down', f'The Sentinel {fault.host} cannot be used '
                               f'({fault.slug}): '
                               f'{fault.text}{ending}', fault.remedy,
                fault.host, fault.option or _HOSTS)
        yield from self._failing
        if self._misplaced:
            yield self._misplaced
        elif self.master:
            yield from self._disagreement(self.master)
            yield from self._quorum()
        elif self._heard and not self._end:
            yield self._unknown()

    def choice(self) -> Master:
        """Return the server that a worker would use.

        :raises net.Fault: where a worker would find none
        """
        master = self.master
        if not self._heard:
            raise self._failing[0]
        fault = self._end or self._misplaced
        if fault:
            raise fault
        if not master:
            raise self._unknown()
        if master.down:
            raise self.down(master)
        return master

    def down(self, master: Master, password: bool = False) -> net.Fault:
        """Return the fault of a master that all Sentinels consider down.

        :param password: whether it answers here, and requires a password
        """
        text = (f'The Sentinels consider the master {self._shown}, '
                f'{master.peer}, down ({master.down}), so workers get no '
                'server.')
        looks = f'"SENTINEL MASTER {self._shown}" shows what they see.'
        if not password or not master.answers:
            return net.Fault(
                'sentinel-unknown-master', text,
                f'Make {master.peer} reachable for the Sentinels; '
                f'{looks}', master.peer, _NAME)
        return net.Fault(
            'sentinel-unknown-master', f'{text} It answers them, but refuses '
                                       'their commands: most likely they have '
                                       'no password for it (auth-pass), or a '
                                       'wrong one.',
            f'Give every Sentinel the password of the master, and the user '
            f'(auth-user) where it is not the default one; if it has them, '
            f'{looks} ' + statements.in_redis_cli(
                f'SENTINEL SET {self._shown} auth-pass PASSWORD'),
            master.peer, _NAME)

    def unreached(self, fault: net.Fault) -> net.Fault:
        """Return the fault of a server that is up but not reachable from this
        host.

        :param fault: of this host on its way to :attr:`master`
        """
        master = self.master
        if not master or master.down or not (
                fault.slug == 'unresolvable' or fault.detail in (
                    'here', net.CONNECTING)):
            return fault
        return net.Fault(
            'sentinel-address', f'The Sentinels announce {master.peer} as '
            f'the master {self._shown}, and reach it; this host does not: '
            f'{fault.text}', self._monitor(
                f'Make {master.peer} reachable from this host, or have the '
                'Sentinels announce an ADDRESS that is, such as the published '
                'one of a container (replica-announce-ip in redis.conf for '
                'replicas).', 'ADDRESS', master), master.peer)

    def unfit(self, fault: net.Fault) -> net.Fault:
        """Return a fault of TLS with what helps where Sentinels are.

        :param fault: a certificate of :attr:`master` for another name
        """
        master = self.master
        if not master or fault.detail != 'verify' or (
                'mismatch' not in fault.text):
            return fault
        announce = statements.in_redis_cli(
            'SENTINEL CONFIG SET resolve-hostnames yes',
            'SENTINEL CONFIG SET announce-hostnames yes',
            f'SENTINEL REMOVE {self._shown}',
            f'SENTINEL MONITOR {self._shown} NAME {master.port} '
            f'{master.quorum}')
        return net.Fault(
            'tls', f'{fault.text} The Sentinels announce the master as '
                   f'{master.host}.', f'Issue a certificate for the address '
            f'{master.host} too, or have every Sentinel announce the NAME '
            f'that the certificate has, and set auth-pass there again. '
            f'{announce}', fault.host, fault.option, fault.detail)

    def fact(self) -> str:
        """Return a sentence about healthy Sentinels."""
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
            self._heard[0].peer, _NAME)

    def _misplacement(self) -> net.Fault | None:
        """Return the fault of an address that means another host here."""
        wrong = [(a, a.master) for a in self._heard
                 if not a.here and a.master and a.master.means_here]
        if not wrong:
            return None
        first, master = wrong[0]
        return net.Fault(
            'sentinel-address', f'{_list(a for a, _ in wrong)} runs on '
            f'another host and announces {master.peer} as the master '
            f'{self._shown}: a worker here looks for it on this host.',
            self._monitor(
                f'On every Sentinel, name the master by the ADDRESS that all '
                f'controllers reach, in "sentinel monitor {self._shown}" of '
                f'sentinel.conf too.', 'ADDRESS', master), first.peer)

    def _monitor(self, what, address, master):
        return (f'{what} Set auth-pass again where the master has a password. '
                + statements.in_redis_cli(
                    f'SENTINEL REMOVE {self._shown}',
                    f'SENTINEL MONITOR {self._shown} {address} {master.port} '
                    f'{master.quorum}'))

    def _disagreement(self, used):
        up = [(a, a.master) for a in self._heard
              if a.master and not a.master.down]
        servers = {m.run or m.peer for _, m in up}
        if len(servers) > 1:
            others = [a for a, m in up
                      if (m.run or m.peer) != (used.run or used.peer)]
            said = '; '.join(f'{a.peer} says {m.peer}' for a, m in up)
            yield net.Fault(
                'sentinel-address', f'The Sentinels name different servers '
                f'as the master {self._shown}: {said}. Workers use the '
                f'first answer.', self._monitor(
                    'Wait a minute if a failover is in progress. Otherwise, '
                    f'if {used.peer} is the master, correct it on '
                    f'{_list(others)}.',
                    printable(used.host), used), host=others[0].peer)
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
                f'Check the network between them and {used.peer}.',
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
                                       f'{self._shown} to {master.quorum}, '
                                       f'but there are only {master.known} '
                                       'Sentinels: no failover is possible.',
                    statements.in_redis_cli(
                        f'SENTINEL SET {self._shown} quorum {majority}'),
                    answer.peer)
                return
            if answer.majority is False:
                yield net.Fault(
                    'sentinel-quorum', f'{answer.peer} reaches fewer than the '
                                       f'{needed} of {master.known} Sentinels '
                                       f'of {self._shown} that a failover '
                                       'needs.',
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
            first.text += (' The same applies to '
                           f'{", ".join(str(f.host) for f in others)}.')
        yield first

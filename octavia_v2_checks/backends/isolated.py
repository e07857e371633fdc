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

"""One child process for each server, killed when its time is over.

A client cannot be bounded from inside: a resolver hangs, a timeout restarts
with every byte, an endless answer fills the memory. So the client runs in a
child, which answers questions over a socket with plain data or a fault, and
the parent waits on an absolute clock. The child reports what it is doing
(:func:`served.step`), so that the parent knows what took too long.

Children are forked by a spawner: a process that was forked before there were
threads, has none, and ends with this one.
"""

from collections.abc import Iterator
import contextlib
import importlib
import threading
from typing import Any
from typing import NamedTuple

from octavia_v2_checks import clock as clocks
from octavia_v2_checks.backends import channel
from octavia_v2_checks.backends import net
from octavia_v2_checks.backends import served
from octavia_v2_checks.backends import spawner as spawners


class Step(NamedTuple):
    """What a child was doing according to its last report.

    :ivar doing: ``resolve``, ``connect``, ``tls`` or ``answer``, or what the
        worker's client was doing before there was a server to wait for
    :ivar peer: ``host:port``, '' where there is none yet
    """

    doing: str
    peer: str = ''

    def late(self, seconds: float) -> net.Fault:
        """Return the fault of what was not done in time."""
        told = clocks.shown(seconds)
        if self.doing == 'resolve':
            host = self.peer.rpartition(':')[0].strip('[]')
            return net.Fault(
                'unresolvable', f'The host name {host!r} does not resolve: '
                f'the resolver did not answer within {told} s.',
                host=self.peer)
        if not self.peer:
            return net.Fault('undetermined', f'This host is too slow: '
                             f'{self.doing} took more than {told} s.')
        what = {'connect': net.CONNECTING,
                'tls': 'finish the TLS handshake'}.get(self.doing, 'answer')
        return net.late(self.peer, what, seconds)


class Child:
    """A process that answers questions about one server.

    Its methods may be called from several threads, which take turns.

    :param deadline: of the run; each question has its share
    :param target: ``module:class`` of what answers, made in the child of
        ``args``, which are plain data. Its methods are the questions. What
        they return is plain data too, and what they raise a
        :class:`net.Portable`. Its ``close()``, if it has one, ends the
        session.
    """

    def __init__(self, deadline: clocks.Deadline, target: str, *args: Any):
        self._deadline = deadline
        self._spawner = spawner(deadline)
        self._number, sock = self._spawner.start(
            deadline.left(), target, args)
        sock.settimeout(1)
        self._channel = channel.Channel(sock)
        self._lock = threading.Lock()
        self._pending: clocks.Clock | None = None
        self._step = Step('starting a process')
        #: Why it cannot answer any more, once it cannot.
        self.fault: net.Fault | None = None
        deadline.at_end(self.close)

    def ask(self, question: str, *args: Any,
            clock: clocks.Clock | None = None) -> Any:
        """Return the answer to a question.

        :param clock: for this question; a share of the deadline if omitted
        :raises net.Portable: what the child raised; a :class:`net.Fault`
            of what it was doing where it took too long or died, and the same
            for every question after that
        :raises clocks.OutOfTime: if the run is over before it is asked
        :raises clocks.Crashed: for an error in our own code there
        """
        with self._turn():
            self._begin(question, args, clock)
            return self._finish()

    def begin(self, question: str, *args: Any,
              clock: clocks.Clock | None = None) -> None:
        """Ask without waiting; :meth:`finish` returns the answer.

        No other question may be asked meanwhile.

        :param clock: as for :meth:`ask`
        :raises net.Fault: and others, as :meth:`ask`
        """
        with self._turn():
            self._begin(question, args, clock)

    def finish(self) -> Any:
        """Return the answer to what :meth:`begin` asked.

        :raises net.Fault: and others, as :meth:`ask`
        """
        with self._turn():
            return self._finish()

    def pages(self, question: str, *args: Any) -> Iterator[Any]:
        """Yield the items of a long answer, each with its own time limit.

        :param question: a method of the child that is a generator
        :raises net.Fault: and others, as :meth:`ask`
        """
        number = self.ask(question, *args)
        while page := self.ask('', number):
            yield page[0]

    def close(self) -> None:
        """End the child, which may take a moment."""
        self._channel.close()

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=self._deadline.left()):
            raise clocks.OutOfTime
        try:
            yield
        finally:
            self._lock.release()

    def _begin(self, question, args, clock):
        if self.fault:
            raise self.fault
        self._deadline.require()
        self._pending = clock or self._deadline.probe()
        try:
            self._channel.send(question, args)
        except channel.Gone:
            self._die()

    def _finish(self):
        clock, self._pending = self._pending, None
        if self.fault:
            raise self.fault
        if clock is None:
            raise RuntimeError('nothing was asked')
        while True:
            try:
                kind, *said = self._channel.receive(clock.left)
            except TimeoutError:
                self._spawner.kill(self._number)
                self._fail(self._step.late(clock.seconds))
            except channel.Gone:
                self._die()
            if kind == 'step':
                self._step = Step(*said)
                if self._step.doing == 'connect':
                    self._deadline.contacted[self._step.peer] = None
            elif kind == 'answer':
                return said[0]
            elif kind == 'raise':
                module, name, args = said
                raise getattr(importlib.import_module(module), name)(*args)
            elif kind == 'memory':
                self._fail(net.Fault(
                    'undetermined', f'{self._peer} sent more than fits into '
                    f'{served.MEMORY >> 20} MiB.',
                    host=self._step.peer or None))
            else:
                raise clocks.Crashed(said[0])

    @property
    def _peer(self):
        return self._step.peer or 'The server'

    def _die(self):
        """Say that the child has ended by itself."""
        name = self._spawner.kill(self._number, died=True)
        self._fail(net.Fault(
            'undetermined', f'The process that asked {self._peer} ended '
                            'before it had an answer '
                            f'({name or "no signal"}).',
            host=self._step.peer or None))

    def _fail(self, fault):
        self._channel.close()
        self.fault = fault
        raise fault


class _Function:
    """Answers one question, with a function."""

    def __init__(self, target: str):
        module, _, name = target.partition(':')
        self.call = getattr(importlib.import_module(module), name)


def call(deadline: clocks.Deadline, target: str, *args: Any,
         clock: clocks.Clock | None = None) -> Any:
    """Call a function in a separate child.

    :param target: ``module:function``
    :param clock: for the call; a share of the deadline if omitted
    :raises net.Fault: and others, as :meth:`Child.ask`
    """
    child = Child(deadline, f'{__name__}:_Function', target)
    try:
        return child.ask('call', *args, clock=clock)
    finally:
        child.close()


def spawner(deadline: clocks.Deadline) -> spawners.Spawner:
    """Return the spawner of a run; call it before any thread is started."""
    return deadline.kept(spawners.Spawner, spawners.Spawner)

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

A client cannot be bounded from inside: a resolver hangs, a time-out starts
again with every byte, an endless answer fills the memory. So the client works
in a child, which answers questions over a socket with plain data or a fault,
and the parent waits on an absolute clock. The child says what it is doing
(:func:`step`), so that the parent can tell what took too long.

Children are forked by a spawner: a process that was itself forked before
there was any thread, has none, and ends with us.
"""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import functools
import importlib
import marshal
import os
import signal
import socket
import struct
import threading
import time
from typing import Any
from typing import NamedTuple
import warnings
import weakref

from octavia_v2_checks import clock as clocks
from octavia_v2_checks.backends import net

#: Bytes of address space that a child may add to what it was born with.
MEMORY = 768 << 20

#: Seconds that a child outlives its run where nobody is left to kill it.
_GRACE = 2

#: Seconds for a child to say good-bye to its server.
_FAREWELL = 0.5

_HEADER = struct.Struct('!I')


class Step(NamedTuple):
    """What a child was doing when it was last heard of.

    :ivar doing: ``resolve``, ``connect``, ``tls`` or ``answer``, or what the
        worker's client was doing before there was a server to wait for
    :ivar peer: ``host:port``, '' where there is none yet
    """

    doing: str
    peer: str = ''

    def late(self, seconds: float) -> net.Fault:
        """Return the fault of what was not done in time."""
        if self.doing == 'resolve':
            host = self.peer.rpartition(':')[0].strip('[]')
            return net.Fault(
                'unresolvable', f'The host name {host!r} does not resolve: '
                f'the resolver did not answer within {seconds:g} s.',
                host=self.peer)
        if not self.peer:
            return net.Fault('undetermined', f'This host is too slow: '
                             f'{self.doing} took more than {seconds:g} s.')
        what = {'connect': net.CONNECTING,
                'tls': 'finish the TLS handshake'}.get(self.doing, 'answer')
        return net.late(self.peer, what, seconds)


class _Gone(Exception):
    """The other end of a channel is closed."""


class _Channel:
    """Messages of plain data over a stream socket."""

    def __init__(self, sock: socket.socket):
        self._socket = sock
        # The threads of a client say what they do, too.
        self._sending = threading.Lock()

    def send(self, *message: Any) -> None:
        data = marshal.dumps(message)
        with self._sending:
            if self._socket.gettimeout() is not None:
                self._socket.settimeout(1)
            try:
                self._socket.sendall(_HEADER.pack(len(data)) + data)
            except OSError:
                raise _Gone from None

    def receive(self, left: Callable[[], float] = lambda: 0.0) -> tuple:
        """Return the next message.

        :param left: gives the seconds to wait; none for a child, which
            waits for as long as there is a parent
        :raises TimeoutError: if there are none left
        """
        (size,) = _HEADER.unpack(self._exactly(_HEADER.size, left))
        # Both ends are this program: nothing of a server's is decoded here.
        return marshal.loads(self._exactly(size, left))  # noqa: S302

    def _exactly(self, size: int, left: Callable[[], float]) -> bytes:
        data = bytearray()
        while len(data) < size:
            if self._socket.gettimeout() is not None:
                self._socket.settimeout(max(left(), 1e-6))
            try:
                part = self._socket.recv(min(size - len(data), 1 << 20))
            except TimeoutError:
                raise
            except OSError:
                raise _Gone from None
            if not part:
                raise _Gone
            data += part
        return bytes(data)

    def close(self) -> None:
        self._socket.close()


class Spawner:
    """A process without threads that forks children on request.

    Make it before the first thread is started.
    """

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with warnings.catch_warnings():
            # Where somebody else's thread runs, Python 3.12 warns on stderr.
            warnings.simplefilter('ignore', DeprecationWarning)
            pid = os.fork()
        if not pid:
            _leave(functools.partial(_spawn, theirs))
        theirs.close()
        self._control = ours
        self._lock = threading.Lock()
        self._last = 0
        self.close = weakref.finalize(self, _end, ours, pid)

    def start(self, seconds: float, target: str, args: tuple
              ) -> tuple[int, socket.socket]:
        """Start a child.

        :param seconds: after which it ends in any case
        :returns: its number and our end of its socket
        """
        ours, theirs = socket.socketpair()
        with self._lock, theirs:
            self._last += 1
            self._request(theirs, self._last, seconds, target, args)
            return self._last, ours

    def kill(self, number: int, died: bool = False) -> str:
        """End a child.

        :param died: whether it has closed its socket, so that it is about
            to end by itself
        :returns: the name of the signal that ended it then, or ''
        """
        with self._lock:
            try:
                self._request(None, number, died)
                self._control.settimeout(1)
                code = self._control.recv(1)
            except OSError:
                return ''
        try:
            return signal.Signals(code[0]).name if code else ''
        except ValueError:
            return ''

    def _request(self, end: socket.socket | None, *message: Any) -> None:
        data = marshal.dumps(message)
        socket.send_fds(self._control, [_HEADER.pack(len(data))],
                        [end.fileno()] if end else [])
        self._control.sendall(data)


def _end(control: socket.socket, pid: int) -> None:
    """Let a spawner end, and its children with it."""
    control.close()
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass  # somebody else waits for every child of this process


def _leave(function: Callable[[], None]) -> None:
    """Do something in a forked process, and never return."""
    try:
        function()
    except BaseException:
        os._exit(1)
    os._exit(0)


def _spawn(control: socket.socket) -> None:
    """Fork children, kill them, and wait for requests; the spawner itself."""
    _detach(control)
    pids: dict[int, int] = {}
    try:
        while True:
            header, ends, _, _ = socket.recv_fds(control, _HEADER.size, 1)
            if not header:
                break
            (size,) = _HEADER.unpack(header)
            message = marshal.loads(  # noqa: S302
                control.recv(size, socket.MSG_WAITALL))
            if ends:
                number, seconds, target, args = message
                pid = os.fork()
                if not pid:
                    control.close()
                    _leave(functools.partial(
                        _child, socket.socket(fileno=ends[0]), seconds,
                        target, args))
                os.close(ends[0])
                pids[number] = pid
            else:
                number, died = message
                code = _ended(pids.pop(number, 0), _FAREWELL if died else 0)
                control.send(bytes([code]))
    finally:
        end = time.monotonic() + _FAREWELL
        for pid in pids.values():
            _ended(pid, end - time.monotonic())


def _ended(pid: int, patience: float) -> int:
    """Wait for a child to end, and end it when patience is over.

    :param patience: seconds
    :returns: the signal by which it ended before that, or 0
    """
    if not pid:
        return 0
    end = time.monotonic() + patience
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        if time.monotonic() >= end:
            break
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return 0


def _detach(keep: socket.socket) -> None:
    """Let go of all that a forked process has of its parent's.

    What was open leads to /dev/null: were it closed, a log handler would
    write into the connection that gets its number next.
    """
    null = os.open(os.devnull, os.O_RDWR)
    for name in os.listdir('/proc/self/fd'):
        if int(name) not in (keep.fileno(), null):
            with contextlib.suppress(OSError):
                os.dup2(null, int(name))
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        # Ctrl-C is for the parent, which ends us.
        action = {signal.SIGINT: signal.SIG_IGN,
                  signal.SIGPIPE: signal.SIG_IGN}.get(number, signal.SIG_DFL)
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, action)


def _child(sock: socket.socket, seconds: float, target: str, args: tuple
           ) -> None:
    """Answer questions until the parent has no more; the child itself."""
    import resource
    signal.setitimer(signal.ITIMER_REAL, seconds + _GRACE)
    with open('/proc/self/statm', encoding='ascii') as stream:
        pages = int(stream.read().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Whatever speaks TLS would write its secrets into that file.
    os.environ.pop('SSLKEYLOGFILE', None)
    with contextlib.suppress(OSError):
        # OpenSSL would ask a terminal for the password of a key, and wait.
        os.setsid()
    global _parent  # noqa: PLW0603 - a process has one parent
    _parent = _Channel(sock)
    module, _, name = target.partition(':')
    server: Any = None
    pages_of: dict[int, Iterator] = {}
    while True:
        try:
            question, values = _parent.receive()
        except _Gone:
            break
        try:
            if server is None:
                server = getattr(importlib.import_module(module), name)(*args)
            if question == '':
                _parent.send('answer', _next(pages_of, values[0]))
                continue
            answer = getattr(server, question)(*values)
            if isinstance(answer, Iterator):
                pages_of[len(pages_of)] = answer
                answer = len(pages_of) - 1
            _parent.send('answer', answer)
        except _Gone:
            break
        except net.Portable as exc:
            kind = type(exc)
            _parent.send('raise', kind.__module__, kind.__qualname__,
                         exc.plain())
        except MemoryError:
            server = None
            pages_of.clear()
            _parent.send('memory')
        except BaseException as exc:
            _parent.send('crash', _where(exc))
    close = getattr(server, 'close', None)
    if close:
        close()


def _next(pages_of: dict[int, Iterator], number: int) -> tuple:
    """Return the next page of a long answer in a tuple, () at its end."""
    for page in pages_of[number]:
        return (page,)
    return ()


def _where(exc: BaseException) -> str:
    """Return class and place of an exception, without its text."""
    trace = exc.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    if not trace:
        return type(exc).__name__
    file = trace.tb_frame.f_code.co_filename.rpartition('/')[2]
    return f'{type(exc).__name__} at {file}:{trace.tb_lineno}'


#: In a child, the way to its parent.
_parent: _Channel | None = None


def step(doing: str, peer: str = '') -> None:
    """Say what this child does next; see :class:`Step`.

    Does nothing in a process that is no child.
    """
    if _parent is None:
        return
    try:
        _parent.send('step', doing, peer)
    except _Gone:
        os._exit(0)


class Child:
    """A process that answers questions about one server.

    Its methods may be called from several threads: they take turns.

    :param deadline: of the run; each question has its share
    :param target: ``module:class`` of what answers, made in the child of
        ``args``, which are plain data. Its methods are the questions. What
        they return is plain data too, and what they raise a
        :class:`net.Portable`. Its ``close()``, if it has one, says good-bye.
    """

    def __init__(self, deadline: clocks.Deadline, target: str, *args: Any):
        self._deadline = deadline
        self._spawner = spawner(deadline)
        self._number, sock = self._spawner.start(
            deadline.left(), target, args)
        sock.settimeout(1)
        self._channel = _Channel(sock)
        self._lock = threading.Lock()
        self._pending: clocks.Clock | None = None
        self._step = Step('starting a process')
        #: Why it can be asked no more, once it cannot.
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
        """Ask, and go on; :meth:`finish` has the answer.

        Nobody else may ask meanwhile.

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
        """Yield the items of a long answer, each with time of its own.

        :param question: a method of the child that is a generator
        :raises net.Fault: and others, as :meth:`ask`
        """
        number = self.ask(question, *args)
        while page := self.ask('', number):
            yield page[0]

    def close(self) -> None:
        """Let the child end, which may be busy for a moment with that."""
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
        except _Gone:
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
            except _Gone:
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
                    f'{MEMORY >> 20} MiB.', host=self._step.peer or None))
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
            f'while it was busy with that ({name or "no signal"}).',
            host=self._step.peer or None))

    def _fail(self, fault):
        self._channel.close()
        self.fault = fault
        raise fault


class _Function:
    """What answers one question: a function."""

    def __init__(self, target: str):
        module, _, name = target.partition(':')
        self.call = getattr(importlib.import_module(module), name)


def call(deadline: clocks.Deadline, target: str, *args: Any,
         clock: clocks.Clock | None = None) -> Any:
    """Call a function in a child made for it alone.

    :param target: ``module:function``
    :param clock: for the call; a share of the deadline if omitted
    :raises net.Fault: and others, as :meth:`Child.ask`
    """
    child = Child(deadline, f'{__name__}:_Function', target)
    try:
        return child.ask('call', *args, clock=clock)
    finally:
        child.close()


def spawner(deadline: clocks.Deadline) -> Spawner:
    """Return the spawner of a run; call it before any thread is started."""
    return deadline.kept(Spawner, Spawner)

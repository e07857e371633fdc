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

"""What runs in a child process: it answers questions about one server."""

from collections.abc import Iterator
import contextlib
import gc
import importlib
import os
import signal
import socket
from typing import Any

from octavia_v2_checks.backends import channel
from octavia_v2_checks.backends import net

#: Bytes of address space that a child may add to what it started with.
MEMORY = 768 << 20

#: Seconds that a child outlives its run if its parent cannot kill it.
_GRACE = 2

#: In a child, the channel to its parent.
_parent: channel.Channel | None = None


def serve(sock: socket.socket, seconds: float, target: str, args: tuple
           ) -> None:
    """Answer questions until the parent has no more.

    :param seconds: after which the process ends at the latest
    :param target: ``module:class`` of what answers, created from ``args``
    """
    import resource
    signal.setitimer(signal.ITIMER_REAL, seconds + _GRACE)
    with open('/proc/self/statm', encoding='ascii') as stream:
        pages = int(stream.read().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # TLS libraries would write session secrets into that file.
    os.environ.pop('SSLKEYLOGFILE', None)
    with contextlib.suppress(OSError):
        # OpenSSL would ask a terminal for the password of a key, and wait.
        os.setsid()
    global _parent  # noqa: PLW0603 - a process has one parent
    _parent = channel.Channel(sock)
    # To look at what was inherited would copy it, and what is imported for
    # the first answer stays.
    gc.freeze()
    gc.disable()
    module, _, name = target.partition(':')
    server: Any = None
    pages_of: dict[int, Iterator] = {}
    while True:
        try:
            question, values = _parent.receive()
        except channel.Gone:
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
            gc.enable()
        except channel.Gone:
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


def step(doing: str, peer: str = '') -> None:
    """Report what this child does next; see :class:`Step`.

    Does nothing outside a child process.
    """
    if _parent is None:
        return
    try:
        _parent.send('step', doing, peer)
    except channel.Gone:
        os._exit(0)

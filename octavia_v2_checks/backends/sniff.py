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

"""Recognises the server that answers in place of the expected one."""

from collections.abc import Sequence
import queue
import re
import ssl
import threading

from octavia_v2_checks import clock as clocks
from octavia_v2_checks.backends import isolated
from octavia_v2_checks.backends import net
from octavia_v2_checks.backends import stream as stream_

_HTTP = 'an HTTP server'

#: Names that tell little about a server, the weakest first: one with TLS may
#: say so in plain HTTP, and PostgreSQL 17 answers a ClientHello.
_WEAK = (None, _HTTP, 'TLS')

#: What the servers answer to one of the questions below.
_SIGNS = (
    (re.compile(rb'HTTP/1\.\d [\s\S]*"etcdserver"'), 'etcd'),
    (re.compile(rb'HTTP/1\.\d 400 [\s\S]*HTTPS (server|port)'), 'TLS'),
    (re.compile(rb'HTTP/1\.\d \d{3}'), _HTTP),
    # A ServerHello or an alert; a ClientHello would be an echo of ours.
    (re.compile(rb'(\x16\x03[\x00-\x04]..\x02|\x15\x03[\x00-\x04]\x00\x02)',
                re.S), 'TLS'),
    (re.compile(rb'-ERR unknown command .GET'), 'a Redis Sentinel'),
    (re.compile(rb'-(ERR|NOAUTH|NOPERM|LOADING|DENIED|WRONGPASS|MASTERDOWN) '),
     'Redis'),
    (re.compile(rb'(Zookeeper version: |This ZooKeeper instance |'
                rb'srvr is not executed )'), 'ZooKeeper'),
    (re.compile(rb'...\x00\x0a[\x20-\x7e]+\x00', re.S), 'MySQL'),
    # An error; their numbers begin with 1000.
    (re.compile(rb'...[\x00-\x02]\xff.[\x03-\x13]', re.S), 'MySQL'),
    (re.compile(rb'E\x00\x00..SFATAL\x00', re.S), 'PostgreSQL'),
    (re.compile(rb'ERROR\r\n'), 'memcached'),
    (re.compile(rb'AMQP'), 'RabbitMQ'),
    (re.compile(rb'SSH-'), 'SSH'),
)

#: What is found here -> the jobboard driver that is meant for it.
DRIVERS = {'Redis': 'redis_taskflow_driver',
           'a Redis Sentinel': 'redis_taskflow_driver',
           'ZooKeeper': 'zookeeper_taskflow_driver',
           'etcd': 'etcd_taskflow_driver'}

#: Seconds to examine a server that has used up its time once.
_SECOND_LOOK = 2.0

_LIMIT = 16384

#: PostgreSQL closes the connection on all questions but this one, its own for
#: TLS; it answers with S or N.
SSL_REQUEST = b'\0\0\0\x08\x04\xd2\x16\x2f'

#: Seconds for a process to start.
_START = 1.0

#: Seconds to wait for a better name, after the first.
_AFTERTHOUGHT = 0.5


def second_look(deadline: clocks.Clock) -> clocks.Clock:
    """Return the clock for :func:`identify`, after a failure.

    At most half of what is left: the failure has to be reported in time.
    """
    return clocks.Clock(min(_SECOND_LOOK, deadline.left() / 2))


def at(deadline: clocks.Deadline, host: str, port: int) -> str | None:
    """Return what :func:`identify` finds, in a child process."""
    seconds = second_look(deadline).seconds
    try:
        return isolated.call(
            deadline, f'{__name__}:_identified', host, port, seconds,
            clock=clocks.Clock(min(seconds + _START, deadline.left())))
    except (net.Fault, clocks.OutOfTime):
        return None


def _identified(host: str, port: int, seconds: float) -> str | None:
    return identify(host, port, clocks.Clock(seconds))


def outline(deadline: clocks.Deadline, hosts: Sequence[str], port: int
            ) -> str:
    """Describe what is visible of some servers without a client for them."""
    children = []
    for host in hosts:
        children.append(isolated.Child(deadline, f'{__name__}:_Look'))
        children[-1].begin('see', host, port, deadline.probe().seconds)
    return ' '.join(map(_seen, children, hosts, [port] * len(hosts)))


def _seen(child: isolated.Child, host: str, port: int) -> str:
    try:
        name = child.finish() or 'an unknown kind of server'
    except net.Fault as fault:
        return fault.text
    except clocks.OutOfTime:
        name = 'nothing in time'
    return (f'{net.endpoint(host, port)} accepts connections, and {name} '
            f'answers there.')


class _Look:
    """A child process that examines one server."""

    def see(self, host: str, port: int, seconds: float) -> str | None:
        """Return what answers; raise a fault if no connection is possible."""
        clock = clocks.Clock(seconds)
        stream_.Stream(host, port, clock).close()
        # The parent waits as long, and must hear of a silent server.
        return identify(host, port, clocks.Clock(0.8 * clock.left()))


def recognise(data: bytes) -> str | None:
    """Return the kind of server that sends this, or None."""
    for sign, name in _SIGNS:
        if sign.match(data):
            return name
    return None


def identify(host: str, port: int, clock: clocks.Clock) -> str | None:
    """Determine what answers at a port where the right server does not.

    :returns: ``Redis``, ``a Redis Sentinel``, ``ZooKeeper``, ``etcd``,
        ``MySQL``, ``an HTTP server``, ``TLS`` …, or None
    """
    answers: queue.SimpleQueue = queue.SimpleQueue()
    questions = (b'GET /version HTTP/1.0\r\n\r\n', b'srvr', SSL_REQUEST,
                 _client_hello())

    def ask(question):
        answers.put(_ask(host, port, clock, question))

    for question in questions:
        threading.Thread(target=ask, args=(question,), daemon=True).start()
    name = None
    for _ in questions:
        try:
            found = answers.get(timeout=min(
                clock.left(), _AFTERTHOUGHT if name else clock.left()))
        except queue.Empty:
            break
        if found and found not in _WEAK:
            return found
        name = max(name, found, key=_WEAK.index)
    return name


def _client_hello():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    outgoing = ssl.MemoryBIO()
    try:
        context.wrap_bio(ssl.MemoryBIO(), outgoing).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def _ask(host, port, clock, question):
    data = b''
    try:
        with stream_.Stream(host, port, clock) as stream:
            stream.send(question)
            # Only the end of the answer tells which HTTP server it is.
            while len(data) < _LIMIT and (
                    data[:5] == b'HTTP/' or not recognise(data)):
                data += stream.receive()
                if question is SSL_REQUEST:
                    break
    except (net.Fault, ConnectionError):
        # The answers so far tell all there is to know.
        pass
    if question is SSL_REQUEST and data in (b'S', b'N'):
        return 'PostgreSQL'
    return recognise(data)


def stranger(peer: str, name: str, kind: str) -> net.Fault:
    """Return the fault of a server of another kind.

    :param peer: its ``host:port``
    :param name: what :func:`identify` found
    :param kind: what was expected: ``etcd``, ``ZooKeeper`` …
    """
    remedy = (f'Name the {kind} server in jobboard_backend_hosts and '
              f'jobboard_backend_port')
    if name in DRIVERS:
        remedy += f', or set jobboard_backend_driver to {DRIVERS[name]}'
    return net.Fault(
        'wrong-protocol', f'{peer} is not {kind}: {name} answers there.',
        f'{remedy}.', host=peer)

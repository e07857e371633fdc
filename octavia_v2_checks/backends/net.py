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

"""What backends say about a server, and how they write its address."""

from octavia_v2_checks import clock as clocks

#: What a server that was not reached did not do in time.
CONNECTING = 'accept a connection'


class Portable(Exception):
    """An exception that a child process passes to its parent.

    It is created there again from what :meth:`plain` returns.
    """

    def plain(self) -> tuple:
        """Return the arguments of an equal exception, as plain data."""
        return self.args


class Fault(Portable):
    """Something that is wrong with a server.

    :ivar slug: the second half of a finding id
    :ivar text: what was seen
    :ivar remedy: exact remedy, or None for that of the catalogue
    :ivar host: ``host:port`` it is about
    :ivar option: name of the ``[task_flow]`` option it is about
    :ivar detail: a word that distinguishes causes of the same slug, such as
        OpenSSL's name of a TLS error
    """

    def __init__(self, slug: str, text: str, remedy: str | None = None,
                 host: str | None = None, option: str | None = None,
                 detail: str | None = None):
        super().__init__(slug)
        self.slug = slug
        self.text = text
        self.remedy = remedy
        self.host = host
        self.option = option
        self.detail = detail

    def plain(self) -> tuple:
        """Return the arguments of an equal fault in another process."""
        return (self.slug, self.text, self.remedy, self.host, self.option,
                self.detail)


def endpoint(host: str, port: int) -> str:
    """Return ``host:port``, with brackets around an IPv6 address."""
    bare = ':' in host and not host.startswith('[')
    return f'[{host}]:{port}' if bare else f'{host}:{port}'


def unresolvable(host: str, port: int, reason: str) -> Fault:
    """Return the fault of a name without an address.

    :param reason: why, as the end of a sentence
    """
    return Fault('unresolvable', f'The host name {host!r} does not resolve: '
                 f'{reason}.', host=endpoint(host, port))


def late(peer: str, doing: str, seconds: float) -> Fault:
    """Return the fault of a server that took too long.

    :param doing: what it did not do, such as ``answer``; also the detail of
        the fault
    """
    return Fault('timeout', f'{peer} did not {doing} within '
                 f'{clocks.shown(seconds)} s.', host=peer, detail=doing)

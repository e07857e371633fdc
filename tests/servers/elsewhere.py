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

"""Another host: a network namespace with its own address."""

import itertools
import os

import pytest

from tests.servers import process

_numbers = itertools.count()


class Host:
    """A network namespace, reached at one address; a context manager.

    Servers whose ``inside`` is :attr:`inside` run there. It takes root and
    skips the test elsewhere.

    :ivar address: of that host, as this one reaches it
    :ivar hidden: another address of it, which this host does not reach
    """

    def __init__(self) -> None:
        number = next(_numbers)
        self.name = f'oct{os.getpid()}n{number}'
        net = f'10.213.{os.getpid() % 256}.{number % 32 * 8}'
        start = net.rpartition('.')[0], int(net.rpartition('.')[2])
        self._here, self.address, self.hidden = (
            f'{start[0]}.{start[1] + n}' for n in (1, 2, 3))
        self.inside = ('ip', 'netns', 'exec', self.name)

    def __enter__(self) -> 'Host':
        if os.geteuid():
            pytest.skip('network namespaces take root')
        one, two = f'{self.name}a', f'{self.name}b'
        self._run('ip', 'netns', 'add', self.name)
        try:
            self._run('ip', 'link', 'add', one, 'type', 'veth', 'peer',
                      'name', two, 'netns', self.name)
            self._run('ip', 'address', 'add', f'{self._here}/29', 'dev', one)
            self._run('ip', 'link', 'set', one, 'up')
            for words in (('link', 'set', 'lo', 'up'),
                          ('address', 'add', f'{self.address}/29', 'dev', two),
                          ('link', 'set', two, 'up'),
                          ('address', 'add', f'{self.hidden}/32', 'dev',
                           'lo')):
                self._run(*self.inside, 'ip', *words)
            # Nobody is told where the hidden address is.
            self._run(*self.inside, 'sh', '-c',
                      'echo 1 > /proc/sys/net/ipv4/conf/all/arp_ignore')
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self._run('ip', 'netns', 'delete', self.name)

    def _run(self, *words: str) -> None:
        process.run(process.find(words[0]), *words[1:])

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

"""ZooKeeper, alone or in an ensemble."""

import contextlib
import os
import pathlib
import socket

from tests.servers import ensemble
from tests.servers import process
from tests.servers import tls as tls_files

#: Those of another release, all that differ, may lie elsewhere.
_JAR = os.environ.get('ZOOKEEPER_JARS', '/usr/share/java/zookeeper.jar')
# The jar's manifest names what it needs, but nothing to log with, and in
# Debian not all that TLS needs. Java ignores a jar that is not there.
_CLASSPATH = ':'.join([_JAR, *(f'/usr/share/java/{name}.jar' for name in (
    'slf4j-simple', 'netty-codec', 'netty-resolver',
    'netty-transport-native-unix-common'))])
_MAIN = 'org.apache.zookeeper.server.quorum.QuorumPeerMain'


#: Where Java has the classes that a ZooKeeper loads, ready for use.
_CLASSES = 'classes.jsa'


def _load(path: pathlib.Path) -> None:
    """Let a ZooKeeper write the classes that it has loaded."""
    # Java before 13 cannot.
    with contextlib.suppress(process.StartError):
        with ZooKeeper(java=(f'-XX:ArchiveClassesAtExit={path}/{_CLASSES}',)
                       ) as server:
            client = server.client()
            client.create('/loaded')
            client.stop()
            server.stop()


class Member(process.Server):
    """One ZooKeeper; made by :class:`ZooKeeper`."""

    def __init__(self, owner: 'ZooKeeper', number: int, host: str,
                 port: int) -> None:
        super().__init__(host, port)
        self.owner = owner
        self.number = number

    @property
    def config(self) -> pathlib.Path:
        """Its zoo.cfg, read at every start."""
        return self.dir / 'zoo.cfg'

    def prepare(self) -> None:
        (self.dir / 'data').mkdir()
        (self.dir / 'data' / 'myid').write_text(f'{self.number}\n')
        lines = [f'dataDir={self.dir}/data', 'tickTime=500', 'initLimit=20',
                 'syncLimit=10', 'admin.enableServer=false',
                 'maxClientCnxns=0', 'forceSync=no',
                 *self._client_port(), *self.owner.quorum()]
        lines += [f'{name}={value}'
                  for name, value in self.owner.options.items()]
        self.config.write_text('\n'.join(lines) + '\n')

    def _client_port(self) -> list[str]:
        if not self.owner.tls:
            return [f'clientPort={self.port}',
                    f'clientPortAddress={self.host}']
        lines = [f'secureClientPort={self.port}',
                 f'secureClientPortAddress={self.host}',
                 'serverCnxnFactory='
                 'org.apache.zookeeper.server.NettyServerCnxnFactory',
                 f'ssl.keyStore.location={self.owner.tls.both}']
        if self.owner.client_ca:
            lines += [f'ssl.trustStore.location={self.owner.client_ca}',
                      'ssl.clientAuth=need']
        else:
            lines.append('ssl.clientAuth=none')
        return lines

    def argv(self) -> list[str]:
        properties = [f'-D{name}={value}'
                      for name, value in self.owner.properties.items()]
        return [process.find('java'), f'-Xmx{self.owner.memory}', '-Xms24m',
                '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1',
                '-XX:-UsePerfData', *(self.owner.java or self._classes()),
                *properties,
                '-cp', _CLASSPATH, _MAIN, str(self.config)]

    def _classes(self) -> list[str]:
        path = process.shared('zookeeper', _load) / _CLASSES
        return [f'-XX:SharedArchiveFile={path}'] if path.exists() else []

    def ask(self, word: str, timeout: float = 2.0) -> str:
        """The answer to a four-letter word.

        :raises OSError: where there is none.
        """
        with self._connect(timeout) as connection:
            connection.sendall(word.encode())
            with connection.makefile('rb') as answer:
                return answer.read().decode()

    def _connect(self, timeout: float) -> socket.socket:
        connection = socket.create_connection((self.host, self.port),
                                              timeout)
        if not self.owner.tls:
            return connection
        context = tls_files.context(self.owner.admin_certificate)
        return context.wrap_socket(connection)

    def answers(self) -> bool:
        """Whether it serves; one of several first waits for the others."""
        if len(self.owner.members) == 1:
            return self.mode() is not None
        try:
            return bool(self.ask('srvr'))
        except OSError:
            return False

    def mode(self) -> str | None:
        """``standalone``, ``leader``, ``follower``, ``read-only`` or None.

        None where it serves nobody.
        """
        try:
            answer = self.ask('srvr')
        except OSError:
            return None
        for line in answer.splitlines():
            if line.startswith('Mode: '):
                return line.removeprefix('Mode: ')
        return None


class ZooKeeper(ensemble.Ensemble[Member]):
    """A ZooKeeper of one or three members.

    :param whitelist: the four-letter words it answers; it must hold
        ``srvr``. None leaves the server's own default, ``srvr`` alone.
    :param tls: the certificate it shows; it then speaks TLS only.
    :param client_ca: with *tls*, demand a client certificate of this
        authority.
    :param admin_certificate: what the tests' own questions show then.
    :param read_only: members without a quorum serve readers.
    :param properties: Java system properties.
    :param memory: the most that each keeps its znodes in.
    :param java: options of Java.
    :param options: lines of zoo.cfg.
    """

    def __init__(self, size: int = 1, *,
                 whitelist: str | None = 'srvr,envi',
                 tls: tls_files.Certificate | None = None,
                 client_ca: str | None = None,
                 admin_certificate: tls_files.Certificate | None = None,
                 read_only: bool = False,
                 properties: dict[str, str] | None = None,
                 memory: str = '96m', java: tuple[str, ...] = (),
                 **options) -> None:
        if not os.path.exists(_JAR.partition(':')[0]):
            raise process.NotInstalled('zookeeper is not installed')
        self.tls = tls
        self.client_ca = client_ca
        self.admin_certificate = admin_certificate
        self.options = options
        if whitelist is not None:
            self.options['4lw.commands.whitelist'] = whitelist
        self.properties = properties or {}
        self.memory = memory
        self.java = java
        if read_only:
            self.properties['readonlymode.enabled'] = 'true'
        names = ensemble.hosts(size)
        port = process.free_port(*names)
        self._peer_port = process.free_port(*names)
        self._election_port = process.free_port(*names)
        super().__init__([Member(self, number, host, port)
                          for number, host in enumerate(names, 1)])

    def quorum(self) -> list[str]:
        """The lines of zoo.cfg that name the members."""
        if len(self.members) == 1:
            return []
        return [f'server.{member.number}={member.host}:{self._peer_port}:'
                f'{self._election_port}' for member in self.members]

    def healthy(self) -> bool:
        return all(member.mode() in ('standalone', 'leader', 'follower')
                   for member in self.members)

    def client(self):
        """A started kazoo client; not for an ensemble with TLS."""
        from kazoo import client
        started = client.KazooClient(','.join(
            f'{member.host}:{member.port}' for member in self.members))
        started.start(10)
        return started

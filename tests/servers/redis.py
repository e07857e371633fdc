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

"""Redis and Redis Sentinel."""

import pathlib
import re

from tests.servers import process
from tests.servers import tls as tls_files

# An account of the tests' own: it works whatever a test does to the
# ``default`` user with requirepass or an ACL.
ADMIN = 'test-admin'
_ADMIN_PASSWORD = 'test-admin-password'


def _words(value: object) -> str:
    """A value, or a tuple of them, as redis.conf quotes it."""
    values = value if isinstance(value, tuple) else (value,)
    return ' '.join('"' + re.sub(r'([\\\\"])', r'\\\1', str(v)) + '"'
                    for v in values)


class _Redis(process.Server):
    mode: tuple[str, ...] = ()

    def __init__(self, *args: str, host: str = process.LOOPBACK,
                 port: int | None = None,
                 tls: tls_files.Certificate | None = None,
                 ca: str | None = None, client_auth: bool = False,
                 acl: tuple[str, ...] = (), inside: tuple[str, ...] = (),
                 **options: object) -> None:
        super().__init__(host, port or (
            process.free_port() if inside else None))
        self.inside = inside
        self.socket = str(self.dir / 'sock')
        self.args = args
        self.tls = tls
        if 'cluster_enabled' in options:
            # By default it is in the range of outgoing connections.
            options.setdefault('cluster_port', process.free_port(host))
        self._lines = [
            f'dir {self.dir}', f'bind {host}', 'daemonize no',
            f'unixsocket {self.socket}',
            *self._ports(tls, ca, client_auth),
            f'user {ADMIN} on >{_ADMIN_PASSWORD} ~* &* +@all',
            *(f'user {rule}' for rule in acl),
            *(f'{name.replace("_", "-")} {_words(value)}'
              for name, value in options.items())]

    def _ports(self, tls, ca, client_auth) -> list[str]:
        if tls is None:
            return [f'port {self.port}']
        return ['port 0', f'tls-port {self.port}',
                f'tls-cert-file {tls.cert}', f'tls-key-file {tls.key}',
                f'tls-ca-cert-file {ca}',
                'tls-auth-clients ' + ('yes' if client_auth else 'no')]

    @property
    def config(self) -> pathlib.Path:
        """Its configuration file, read at every start."""
        return self.dir / 'redis.conf'

    def prepare(self) -> None:
        self.config.write_text('\n'.join(self._lines) + '\n')

    def argv(self) -> list[str]:
        return [process.find('redis-server', 'valkey-server'),
                str(self.config), *self.args, *self.mode]

    def client(self):
        """An administrator's client (redis-py), over the unix socket."""
        import redis
        return redis.Redis(unix_socket_path=self.socket, username=ADMIN,
                           password=_ADMIN_PASSWORD, decode_responses=True)

    def command(self, *words: str | int):
        """Run one command as administrator; its answer.

        ``command('CONFIG', 'SET', 'maxmemory', '1mb')``; a single string
        with blanks is split.

        :raises redis.RedisError: where the server refuses it.
        """
        if len(words) == 1:
            words = tuple(str(words[0]).split())
        with self.client() as client:
            return client.execute_command(*words)

    def answers(self) -> bool:
        import redis
        try:
            self.command('INFO')
        except redis.ConnectionError:
            return False
        return True


class Redis(_Redis):
    """A server that keeps nothing on disk unless told otherwise.

    :param args: arguments of redis-server (``'--requirepass', 'x'``).
    :param tls: the certificate it shows; it then speaks TLS only.
    :param ca: the authority it trusts, needed with *tls*.
    :param client_auth: with *tls*, demand a client certificate.
    :param inside: the way to another host; see :mod:`tests.servers.elsewhere`
    :param acl: users, as in ``octavia on >secret ~* +@all``.
    :param options: more options of redis.conf, underscores for hyphens; a
        tuple where one takes several words.
    """

    def url(self, password: str | None = None, db: int = 0) -> str:
        """A URL as redis-py reads it."""
        scheme = 'rediss' if self.tls else 'redis'
        login = f':{password}@' if password else ''
        return f'{scheme}://{login}{self.host}:{self.port}/{db}'


class Sentinel(_Redis):
    """A Sentinel that watches one master.

    :param master_name: the name it knows the master by.
    :param master: the master's :class:`Redis`.
    :param quorum: how many Sentinels must agree that it is down.
    :param settings: settings of the master, as in
        ``{'auth-pass': 'secret', 'down-after-milliseconds': 500}``.

    The rest is as for :class:`Redis`.
    """

    mode = ('--sentinel',)

    def __init__(self, master_name: str, master: Redis, quorum: int = 1, *,
                 settings: dict[str, object] | None = None,
                 **kwargs) -> None:
        super().__init__(**kwargs)
        self.master_name = master_name
        self._lines.append(f'sentinel monitor {master_name} {master.host} '
                           f'{master.port} {quorum}')
        for name, value in (settings or {}).items():
            self._lines.append(f'sentinel {name} {master_name} {value}')

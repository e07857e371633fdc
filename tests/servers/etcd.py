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

"""etcd, alone or in an ensemble."""

import json
import urllib.error
import urllib.request

from tests.servers import ensemble
from tests.servers import process
from tests.servers import tls as tls_files

_NO_PROXY = urllib.request.ProxyHandler({})


class Member(process.Server):
    """One etcd; made by :class:`Etcd`."""

    def __init__(self, owner: 'Etcd', host: str, port: int,
                 peer_port: int) -> None:
        super().__init__(host, port)
        self.owner = owner
        self.name = f'm{host.rpartition(".")[2]}'
        self.peer_url = f'http://{host}:{peer_port}'

    @property
    def client_url(self) -> str:
        """Where its clients find it."""
        scheme = 'https' if self.owner.tls else 'http'
        return f'{scheme}://{self.host}:{self.port}'

    def argv(self) -> list[str]:
        cluster = ','.join(f'{member.name}={member.peer_url}'
                           for member in self.owner.members)
        command = [
            process.find('etcd'), f'--name={self.name}',
            f'--data-dir={self.dir}/data',
            f'--listen-client-urls={self.client_url}',
            f'--advertise-client-urls={self.client_url}',
            f'--listen-peer-urls={self.peer_url}',
            f'--initial-advertise-peer-urls={self.peer_url}',
            f'--initial-cluster={cluster}', '--initial-cluster-state=new',
            '--heartbeat-interval=50', '--election-timeout=500']
        if self.owner.tls:
            command += [f'--cert-file={self.owner.tls.cert}',
                        f'--key-file={self.owner.tls.key}']
        if self.owner.client_auth:
            # The first of the two alone requires a certificate as well.
            command += [f'--trusted-ca-file={self.owner.ca}',
                        '--client-cert-auth']
        return command + [
            f'--{name.replace("_", "-")}={value}'
            for name, value in self.owner.options.items()]

    def call(self, path: str, body: dict | None = None,
             timeout: float = 10.0) -> dict:
        """POST *body* (GET without one) to *path*; the JSON answer.

        :raises urllib.error.HTTPError: where etcd refuses.
        """
        data = None if body is None else json.dumps(body).encode()
        opener = urllib.request.build_opener(
            _NO_PROXY, urllib.request.HTTPSHandler(
                context=tls_files.context(self.owner.admin_certificate)))
        with opener.open(self.client_url + path, data, timeout) as answer:
            return json.load(answer)

    def answers(self) -> bool:
        try:
            return bool(self.call('/version', timeout=2.0))
        except OSError:
            return False

    def healthy(self) -> bool:
        """Whether it has a leader and would take a write."""
        try:
            return self.call('/health', timeout=2.0)['health'] == 'true'
        except OSError:
            return False


class Etcd(ensemble.Ensemble[Member]):
    """An etcd of one or three members.

    :param tls: the certificate it shows; it then speaks TLS only.
    :param ca: the authority it trusts, needed with *tls*.
    :param client_auth: with *tls*, demand a client certificate.
    :param admin_certificate: what :meth:`call` shows then.
    :param options: options of etcd, underscores for hyphens.
    """

    def __init__(self, size: int = 1, *,
                 tls: tls_files.Certificate | None = None,
                 ca: str | None = None, client_auth: bool = False,
                 admin_certificate: tls_files.Certificate | None = None,
                 **options) -> None:
        self.tls = tls
        self.ca = ca
        self.client_auth = client_auth
        self.admin_certificate = admin_certificate
        self.options = options
        hosts = ensemble.hosts(size)
        port = process.free_port(*hosts)
        peer = process.free_port(*hosts)
        super().__init__([Member(self, host, port, peer) for host in hosts])

    def url(self) -> str:
        """The first member's URL."""
        return self.members[0].client_url

    def call(self, path: str, body: dict | None = None,
             timeout: float = 10.0) -> dict:
        """As :meth:`Member.call`, at the first member."""
        return self.members[0].call(path, body, timeout)

    def healthy(self) -> bool:
        return all(member.healthy() for member in self.members)

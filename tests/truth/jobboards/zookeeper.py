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

from tests.servers import process
from tests.servers import zookeeper as zookeeper_server
from tests.truth import lab as labs
from tests.truth.jobboards import base

board = labs.Table()


class ZooKeeper(base.Board):
    """A ZooKeeper, alone or in an ensemble.

    :param keep: nodes that are part of the system, and stay
    """

    driver = 'zookeeper_taskflow_driver'

    def __init__(self, server, *, keep: tuple[str, ...] = (), **options):
        super().__init__(server, **options)
        self.keep = keep

    def client(self):
        """An administrator's client, which the caller stops."""
        from kazoo import client
        started = client.KazooClient(','.join(
            f'{member.host}:{member.port}' for member in self.server.members
            if member.mode()))
        started.start(30)
        return started

    def reset(self) -> None:
        if any(member.mode() for member in self.server.members):
            client = self.client()
            try:
                self._remove_below(client, '/')
            finally:
                client.stop()
                client.close()

    def _remove_below(self, client, parent):
        from kazoo import exceptions
        with contextlib.suppress(exceptions.NoAuthError):
            for name in client.get_children(parent):
                path = f'{parent.rstrip("/")}/{name}'
                if path == '/zookeeper':
                    continue
                self._remove_below(client, path)
                if path not in self.keep:
                    client.delete(path)


def _zookeeper(lab, size=1, **options):
    return lab.server(lab.name('zookeeper'), lambda: (
        zookeeper_server.ZooKeeper(size, **options)))


@board('zookeeper', 'sound', weight=base.SOUND)
def zookeeper(lab):
    return ZooKeeper(_zookeeper(lab))


@board('zookeeper-three', 'sound', weight=base.SOUND // 2)
def zookeeper_three(lab):
    return ZooKeeper(_zookeeper(lab, 3))


class SecureZooKeeper(ZooKeeper):
    """A ZooKeeper with TLS, whose administrator has a certificate."""

    def __init__(self, lab, server, **options):
        super().__init__(server, **options)
        self._lab = lab
        # There is no option for an authority.
        self.environ = {'SSL_CERT_FILE': lab.authority.cert}

    def client(self):
        from kazoo import client
        authority, shown = self._lab.authority, self._lab.client
        started = client.KazooClient(
            f'{self.server.host}:{self.server.port}', use_ssl=True,
            ca=authority.cert, certfile=shown.cert, keyfile=shown.key)
        started.start(10)
        return started


@board('zookeeper-tls', 'sound', 'tls', weight=base.SOUND // 2)
def zookeeper_tls(lab):
    server = _zookeeper(lab, tls=lab.certificate())
    return SecureZooKeeper(lab, server, **{base.ZOOKEEPER_TLS: base.dictionary(
        use_ssl=True, verify_certs=True)})


def _zookeeper_client(lab, **options):
    server = _zookeeper(
        lab, tls=lab.certificate(),
        client_ca=lab.authority.cert, admin_certificate=lab.client)
    return SecureZooKeeper(lab, server, **{base.ZOOKEEPER_TLS: base.dictionary(
        use_ssl=True, verify_certs=True, **options)})


@board('zookeeper-tls-client', 'sound', 'tls', 'client',
       weight=base.SOUND // 2)
def zookeeper_tls_client(lab):
    return _zookeeper_client(lab, certfile=lab.client.cert,
                             keyfile=lab.client.key)


@board('zookeeper-tls-no-certificate', 'tls')
def zookeeper_tls_no_certificate(lab):
    return _zookeeper_client(lab)


@board('zookeeper-tls-untrusted', 'tls')
def zookeeper_tls_untrusted(lab):
    made = zookeeper_tls(lab)
    made.environ = {}
    return made


@board('zookeeper-as-installed')
def zookeeper_as_installed(lab):
    return ZooKeeper(_zookeeper(lab, whitelist=None))


def _zookeeper_down(lab, *numbers):
    server = _zookeeper(lab, 3)
    for number in numbers:
        server.members[number].kill()
    serving = 2 if len(numbers) == 1 else 0
    process.wait_until(
        lambda: sum(bool(m.mode()) for m in server.members) == serving,
        'no vote')
    return ZooKeeper(server)


@board('zookeeper-last-down', 'sound')
def zookeeper_last_down(lab):
    return _zookeeper_down(lab, 2)


@board('zookeeper-first-down', 'sound')
def zookeeper_first_down(lab):
    return _zookeeper_down(lab, 0)


@board('zookeeper-two-down')
def zookeeper_two_down(lab):
    return _zookeeper_down(lab, 0, 1)


def _zookeeper_acl(lab, **acls):
    """Let nodes have ACLs: name -> permissions of everybody."""
    from kazoo import security
    server = _zookeeper(lab)
    client = server.client()
    paths = []
    for path, rights in acls.items():
        client.ensure_path(path)
        paths.append(path)
        client.set_acls(path, [security.make_acl(
            'world', 'anyone', **dict.fromkeys(rights, True))])
    client.stop()
    client.close()
    return ZooKeeper(server, keep=tuple(paths))


@board('zookeeper-acl', 'sound', weight=base.SOUND // 2)
def zookeeper_acl(lab):
    """What "sample --provision" says."""
    all_ = ('create', 'delete', 'read')
    return _zookeeper_acl(lab, **{
        f'/{base.NAMESPACE}': all_, '/.trash': ('create', 'read'),
        '/.entities/conductor': all_, '/.entities': ('create', 'read'),
        '/': ('read',)})


@board('zookeeper-no-jobs')
def zookeeper_no_jobs(lab):
    return _zookeeper_acl(lab, **{f'/{base.NAMESPACE}': ('read',)})


@board('zookeeper-no-trash')
def zookeeper_no_trash(lab):
    return _zookeeper_acl(lab, **{'/.trash': ('read',)})


@board('zookeeper-no-entities')
def zookeeper_no_entities(lab):
    return _zookeeper_acl(lab, **{'/.entities': ('read',)})


@board('zookeeper-root-closed')
def zookeeper_root_closed(lab):
    return _zookeeper_acl(lab, **{'/': ('read',)})


@board('zookeeper-login')
def zookeeper_login(lab):
    from kazoo import security
    server = _zookeeper(lab)
    client = server.client()
    client.create(f'/{base.NAMESPACE}', acl=[
        security.make_digest_acl(base.USER, base.PASSWORD, all=True)])
    client.stop()
    client.close()
    return ZooKeeper(server, keep=(f'/{base.NAMESPACE}',))

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


"""Jobboards that cases have, sound ones and others.

To add one, write a function that starts it in a :class:`lab.Lab` and returns
a :class:`Board`, and register it with ``@board(NAME)``.
"""

import contextlib
from typing import Any

from octavia_v2_checks import statements
from tests.servers import etcd as etcd_server
from tests.servers import process
from tests.servers import redis as redis_server
from tests.servers import zookeeper as zookeeper_server
from tests.truth import lab as labs

NAMESPACE = 'octavia_jobboard'
PASSWORD = 'Amsel9-Drossel4'
USER = 'octavia'
MASTER = 'jobs'

#: How often the sound ones are drawn.
SOUND = 6

board = labs.Table()


class Board:
    """A jobboard, and how a worker gets at it.

    :param server: or an ensemble
    :param options: of ``[task_flow]``
    :ivar environ: what a worker has in its environment
    """

    driver: str

    def __init__(self, server: Any, **options: Any):
        self.server = server
        self.environ: dict[str, str] = {}
        self.options = {
            'jobboard_backend_driver': self.driver,
            'jobboard_backend_hosts': ','.join(
                getattr(server, 'hosts', None) or [server.host]),
            'jobboard_backend_port': str(server.port),
            'jobboard_backend_namespace': NAMESPACE} | options

    def reset(self) -> None:
        """Remove what cases have left."""
        raise NotImplementedError

    def allow(self, user: str | None, password: str) -> None:
        """Let a worker in with another user or password.

        :raises Exception: if the server does not take it
        """
        raise LookupError('there is no login here')


def dictionary(**options: Any) -> str:
    """A dictionary as a configuration file has it."""
    return ','.join(f'{name}:{value}' for name, value in options.items())


class Redis(Board):
    """One Redis with an account, if any.

    :param rules: those of its user; None for a password alone
    """

    driver = 'redis_taskflow_driver'

    def __init__(self, server, redis=None, *, user=None, password=None,
                 rules: tuple[str, ...] = (), **options):
        super().__init__(server, **options)
        self.redis = redis or server
        self.user, self.password, self.rules = user, password, rules
        self._known = {'default', redis_server.ADMIN}
        if user:
            self.options['jobboard_backend_username'] = user
        if password:
            self.options['jobboard_backend_password'] = password
        self.reset()

    def reset(self) -> None:
        with contextlib.suppress(Exception):
            # A replica takes no such thing.
            self.redis.command('FLUSHALL')
        for user in self.redis.command('ACL', 'USERS'):
            if user not in self._known:
                self.redis.command('ACL', 'DELUSER', user)
        if self.password:
            self.allow(self.user, self.password)

    def allow(self, user, password):
        if not self.password:
            raise LookupError('there is no login here')
        rules = self.rules if self.user else ('~*', '&*', '+@all')
        self.redis.command('ACL', 'SETUSER', user or 'default', 'reset',
                           'on', f'>{password}', *rules)


def _rules(*without: str, keys: str = f'~{NAMESPACE}:*') -> tuple[str, ...]:
    """What an account needs, as "sample --provision" has it."""
    return (keys, statements.drill_keys(NAMESPACE), *(
        statements.rule(command) for command in (
            *statements.REDIS_COMMANDS, 'SELECT') if command not in without))


def _acl(lab, rules, **options):
    server = lab.server(lab.name('redis'), redis_server.Redis)
    return Redis(server, user=USER, password=PASSWORD, rules=rules, **options)


def _redis(lab, **options):
    return lab.server(lab.name('redis'),
                      lambda: redis_server.Redis(**options))


@board('redis', 'sound', weight=SOUND)
def redis(lab):
    return Redis(_redis(lab, save=('3600', '1')))


@board('redis-password', 'sound', 'login', weight=SOUND // 2)
def redis_password(lab):
    return Redis(_redis(lab), password=PASSWORD)


@board('redis-acl', 'sound', 'login', weight=SOUND)
def redis_acl(lab):
    return _acl(lab, _rules())


@board('redis-ipv6', 'sound')
def redis_ipv6(lab):
    return Redis(_redis(lab, host='::1'))


REDIS_TLS = 'jobboard_redis_backend_ssl_options'


def _redis_tls(lab, certificate=None, client=False, **options):
    return _redis(lab, tls=certificate or lab.certificate(),
                  ca=lab.authority.cert, client_auth=client, **options)


def redis_options(lab, client: bool = False, **options) -> dict[str, str]:
    """What TLS to Redis needs, with or without a client certificate."""
    made = {'ssl': 'True', 'ssl_ca_certs': lab.authority.cert}
    if client:
        made |= {'ssl_certfile': lab.client.cert,
                 'ssl_keyfile': lab.client.key}
    return made | options


@board('redis-tls', 'sound', 'tls', weight=SOUND)
def redis_tls(lab):
    return Redis(_redis_tls(lab),
                 **{REDIS_TLS: dictionary(**redis_options(lab))})


@board('redis-tls-client', 'sound', 'tls', 'client', weight=SOUND)
def redis_tls_client(lab):
    return Redis(_redis_tls(lab, client=True),
                 **{REDIS_TLS: dictionary(**redis_options(lab, True))})


@board('redis-tls-acl', 'sound', 'tls', 'login', weight=SOUND // 2)
def redis_tls_acl(lab):
    return Redis(_redis_tls(lab), user=USER, password=PASSWORD,
                 rules=_rules(),
                 **{REDIS_TLS: dictionary(**redis_options(lab))})


@board('redis-tls-no-certificate', 'tls')
def redis_tls_no_certificate(lab):
    return Redis(_redis_tls(lab, client=True),
                 **{REDIS_TLS: dictionary(**redis_options(lab))})


@board('redis-tls-expired', 'tls')
def redis_tls_expired(lab):
    return Redis(_redis_tls(lab, lab.authority.expired()),
                 **{REDIS_TLS: dictionary(**redis_options(lab))})


@board('redis-tls-another-name', 'tls')
def redis_tls_another_name(lab):
    return Redis(_redis_tls(lab, lab.authority.wrong_host()),
                 **{REDIS_TLS: dictionary(**redis_options(lab))})


@board('redis-full')
def redis_full(lab):
    return Redis(_redis(lab, maxmemory='1mb'))


@board('redis-evicts')
def redis_evicts(lab):
    return Redis(_redis(lab, maxmemory='64mb',
                        maxmemory_policy='allkeys-lru'))


@board('redis-without-replicas')
def redis_without_replicas(lab):
    return Redis(_redis(lab, min_replicas_to_write=1))


@board('redis-cluster')
def redis_cluster(lab):
    server = _redis(lab, cluster_enabled='yes')
    server.command('CLUSTER ADDSLOTSRANGE 0 16383')
    process.wait_until(lambda: 'cluster_state:ok' in str(server.client(
        ).execute_command('CLUSTER', 'INFO')), 'no cluster')
    return Redis(server)


@board('redis-replica')
def redis_replica(lab):
    master, server = _redis(lab), _redis(lab)
    server.command('REPLICAOF', master.host, master.port)
    process.wait_until(lambda: server.client().info()[
        'master_link_status'] == 'up', 'no copy')
    return Redis(server)


@board('redis-reader', 'login')
def redis_reader(lab):
    return _acl(lab, ('~*', '+@read', '+@connection', '+info'))


@board('redis-other-keys', 'login')
def redis_other_keys(lab):
    return _acl(lab, _rules(keys='~other:*'))


@board('redis-no-claims', 'login')
def redis_no_claims(lab):
    return _acl(lab, _rules('EVALSHA', 'SCRIPT LOAD'))


@board('redis-no-trash', 'login')
def redis_no_trash(lab):
    return _acl(lab, _rules('HSET', 'HDEL'))


@board('redis-is-sentinel')
def redis_is_sentinel(lab):
    master = _redis(lab)
    return Redis(_sentinel(lab, master), master)


@board('redis-is-etcd')
def redis_is_etcd(lab):
    etcd = lab.server(lab.name('etcd'), etcd_server.Etcd)
    return Redis(_redis(lab), jobboard_backend_port=str(etcd.port))


# Sentinel.

SENTINEL_TLS = 'jobboard_redis_sentinel_ssl_options'


def _sentinel(lab, master, host=process.LOOPBACK, port=None, quorum=1,
              **options):
    return lab.server(lab.name('sentinel'), lambda: redis_server.Sentinel(
        MASTER, master, quorum, host=host, port=port,
        settings={'down-after-milliseconds': 5000,
                  'auth-user': redis_server.ADMIN,
                  'auth-pass': redis_server._ADMIN_PASSWORD},
        sentinel=('announce-ip', host), **options))


class Sentinels:
    """Three Sentinels of a Redis."""

    hosts = ['127.0.0.1', '127.0.0.2', '127.0.0.3']

    def __init__(self, lab, master):
        self.port = process.free_port(*self.hosts)
        self.members = [_sentinel(lab, master, host, self.port, 2)
                        for host in self.hosts]
        for member in self.members:
            member.command('SENTINEL', 'DEBUG', 'publish-period', 50,
                           'info-period', 100, 'ping-period', 50)
        process.wait_until(lambda: all(
            member.client().info('sentinel')['master0']['sentinels'] == 3
            for member in self.members), 'they do not know each other')


class Sentinel(Redis):
    """A Redis behind Sentinels."""

    def __init__(self, sentinels, redis, **options):
        super().__init__(sentinels, redis, **{
            'jobboard_redis_sentinel': MASTER} | options)


@board('sentinel', 'sound', weight=SOUND)
def sentinel(lab):
    master = _redis(lab)
    return Sentinel(_sentinel(lab, master), master)


@board('sentinel-three', 'sound', weight=SOUND // 2)
def sentinel_three(lab):
    master = _redis(lab)
    return Sentinel(Sentinels(lab, master), master)


@board('sentinel-password', 'sound', 'login', 'sentinel-login',
       weight=SOUND // 2, since=15)
def sentinel_password(lab):
    master = _redis(lab)
    return Sentinel(
        _sentinel(lab, master, requirepass=PASSWORD), master,
        password=PASSWORD, jobboard_redis_sentinel_password=PASSWORD)


@board('sentinel-acl', 'sound', 'login', 'sentinel-login', weight=SOUND // 2,
       since=15)
def sentinel_acl(lab):
    master = _redis(lab)
    account = (f'watcher on >{PASSWORD} +ping +sentinel|masters '
               f'+sentinel|ckquorum',)
    return Sentinel(
        _sentinel(lab, master, requirepass='another one', acl=account),
        master, user=USER, password=PASSWORD, rules=_rules(),
        jobboard_redis_sentinel_username='watcher',
        jobboard_redis_sentinel_password=PASSWORD)


def _sentinel_tls(lab, client):
    master = _redis_tls(lab, client=client, tls_replication='yes')
    options = dictionary(**redis_options(lab, client))
    return Sentinel(
        _sentinel(lab, master, tls=lab.certificate(client_too=True),
                  ca=lab.authority.cert, client_auth=client,
                  tls_replication='yes'), master,
        **{REDIS_TLS: options, SENTINEL_TLS: options})


@board('sentinel-tls', 'sound', 'tls', 'sentinel-tls', weight=SOUND // 2,
       since=15)
def sentinel_tls(lab):
    return _sentinel_tls(lab, False)


@board('sentinel-tls-client', 'sound', 'tls', 'sentinel-tls', 'client',
       weight=SOUND // 2, since=15)
def sentinel_tls_client(lab):
    return _sentinel_tls(lab, True)


def _sentinels_down(lab, *numbers):
    master = _redis(lab)
    made = Sentinels(lab, master)
    for number in numbers:
        made.members[number].kill()
    return Sentinel(made, master)


@board('sentinel-last-down', 'sound')
def sentinel_last_down(lab):
    return _sentinels_down(lab, 2)


@board('sentinel-first-down', 'sound')
def sentinel_first_down(lab):
    return _sentinels_down(lab, 0)


@board('sentinel-two-down')
def sentinel_two_down(lab):
    return _sentinels_down(lab, 0, 1)


@board('sentinel-all-down')
def sentinel_all_down(lab):
    return _sentinels_down(lab, 0, 1, 2)


class DeadMaster(Sentinel):
    """A Sentinel that still names a master that is no more."""

    def reset(self) -> None:
        """There is nothing to remove it from."""


@board('sentinel-master-down')
def sentinel_master_down(lab):
    master = _redis(lab)
    made = DeadMaster(_sentinel(lab, master), master)
    master.kill()
    return made


@board('sentinel-of-replica')
def sentinel_of_replica(lab):
    """The address that it knows is that of a replica which lost its master.
    """
    master, replica = _redis(lab), _redis(lab)
    made = Sentinel(_sentinel(lab, replica), replica)
    replica.command('REPLICAOF', master.host, master.port)
    process.wait_until(lambda: replica.client().info()[
        'master_link_status'] == 'up', 'no copy')
    return made


# ZooKeeper.

ZOOKEEPER_TLS = 'jobboard_zookeeper_ssl_options'


class ZooKeeper(Board):
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


@board('zookeeper', 'sound', weight=SOUND)
def zookeeper(lab):
    return ZooKeeper(_zookeeper(lab))


@board('zookeeper-three', 'sound', weight=SOUND // 2)
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


@board('zookeeper-tls', 'sound', 'tls', weight=SOUND // 2)
def zookeeper_tls(lab):
    server = _zookeeper(lab, tls=lab.certificate())
    return SecureZooKeeper(lab, server, **{ZOOKEEPER_TLS: dictionary(
        use_ssl=True, verify_certs=True)})


def _zookeeper_client(lab, **options):
    server = _zookeeper(
        lab, tls=lab.certificate(),
        client_ca=lab.authority.cert, admin_certificate=lab.client)
    return SecureZooKeeper(lab, server, **{ZOOKEEPER_TLS: dictionary(
        use_ssl=True, verify_certs=True, **options)})


@board('zookeeper-tls-client', 'sound', 'tls', 'client', weight=SOUND // 2)
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


@board('zookeeper-acl', 'sound', weight=SOUND // 2)
def zookeeper_acl(lab):
    """What "sample --provision" says."""
    all_ = ('create', 'delete', 'read')
    return _zookeeper_acl(lab, **{
        f'/{NAMESPACE}': all_, '/.trash': ('create', 'read'),
        '/.entities/conductor': all_, '/.entities': ('create', 'read'),
        '/': ('read',)})


@board('zookeeper-no-jobs')
def zookeeper_no_jobs(lab):
    return _zookeeper_acl(lab, **{f'/{NAMESPACE}': ('read',)})


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
    client.create(f'/{NAMESPACE}', acl=[
        security.make_digest_acl(USER, PASSWORD, all=True)])
    client.stop()
    client.close()
    return ZooKeeper(server, keep=(f'/{NAMESPACE}',))


# etcd.

ETCD_TLS = 'jobboard_etcd_ssl_options'


class Etcd(Board):
    """An etcd, alone or in an ensemble; a worker uses the first member."""

    driver = 'etcd_taskflow_driver'

    def reset(self) -> None:
        with contextlib.suppress(OSError):
            self.server.call('/v3/kv/deleterange',
                             {'key': 'AA==', 'range_end': 'AA=='})


def _etcd(lab, size=1, **options):
    return lab.server(lab.name('etcd'),
                      lambda: etcd_server.Etcd(size, **options))


@board('etcd', 'sound', weight=SOUND, since=16)
def etcd(lab):
    return Etcd(_etcd(lab))


@board('etcd-three', 'sound', weight=SOUND // 2, since=16)
def etcd_three(lab):
    return Etcd(_etcd(lab, 3))


def _etcd_tls(lab, client=False, certificate=None, **options):
    server = _etcd(
        lab, tls=certificate or lab.certificate(client_too=True),
        ca=lab.authority.cert, client_auth=client,
        admin_certificate=lab.client if client else None)
    return Etcd(server, **{ETCD_TLS: dictionary(
        use_ssl=True, ca_cert=lab.authority.cert, **options)})


@board('etcd-tls', 'sound', 'tls', weight=SOUND // 2, since=16)
def etcd_tls(lab):
    return _etcd_tls(lab)


@board('etcd-tls-client', 'sound', 'tls', 'client', weight=SOUND // 2,
       since=16)
def etcd_tls_client(lab):
    return _etcd_tls(lab, True, cert_cert=lab.client.cert,
                     cert_key=lab.client.key)


@board('etcd-tls-no-certificate', 'tls', since=16)
def etcd_tls_no_certificate(lab):
    return _etcd_tls(lab, True)


@board('etcd-tls-another-name', 'tls', since=16)
def etcd_tls_another_name(lab):
    return _etcd_tls(lab, certificate=lab.authority.wrong_host())


def _etcd_down(lab, *numbers):
    server = _etcd(lab, 3)
    for number in numbers:
        server.members[number].kill()
    return Etcd(server)


@board('etcd-last-down', 'sound', since=16)
def etcd_last_down(lab):
    return _etcd_down(lab, 2)


@board('etcd-first-down', since=16)
def etcd_first_down(lab):
    return _etcd_down(lab, 0)


@board('etcd-two-down', since=16)
def etcd_two_down(lab):
    made = _etcd_down(lab, 1, 2)
    process.wait_until(lambda: not made.server.members[0].healthy(),
                       'still a leader')
    return made


@board('etcd-login', since=16)
def etcd_login(lab):
    server = _etcd(lab)
    for path, body in (
            ('user/add', {'name': 'root', 'password': PASSWORD}),
            ('role/add', {'name': 'root'}),
            ('user/grant', {'user': 'root', 'role': 'root'}),
            ('enable', {})):
        server.call(f'/v3/auth/{path}', body)
    return Etcd(server)


@board('etcd-full', since=16)
def etcd_full(lab):
    server = _etcd(lab, quota_backend_bytes=2 * 1024 * 1024)
    with contextlib.suppress(OSError):
        for _ in range(20):
            server.call('/v3/kv/put', {'key': 'Zm8=',
                                       'value': 'YWJj' * 100_000})
    return Etcd(server)


@board('etcd-gateway-off', since=16)
def etcd_gateway_off(lab):
    return Etcd(_etcd(lab, enable_grpc_gateway='false'))

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

"""One Redis, which workers ask without Sentinels."""

import contextlib

from octavia_v2_checks import statements
from tests.servers import etcd as etcd_server
from tests.servers import process
from tests.servers import redis as redis_server
from tests.truth import lab as labs
from tests.truth.jobboards import base

board = labs.Table()


class Redis(base.Board):
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


def account_rules(*without: str, keys: str = f'~{base.NAMESPACE}:*'
                  ) -> tuple[str, ...]:
    """What an account needs, as "sample --provision" has it."""
    return (keys, statements.drill_keys(base.NAMESPACE), *(
        statements.rule(command) for command in (
            *statements.REDIS_COMMANDS, 'SELECT') if command not in without))


def _acl(lab, rules, **options):
    server = lab.server(lab.name('redis'), redis_server.Redis)
    return Redis(server, user=base.USER, password=base.PASSWORD, rules=rules,
                 **options)


def start(lab, **options):
    """A new Redis."""
    return lab.server(lab.name('redis'),
                      lambda: redis_server.Redis(**options))


@board('redis', 'sound', weight=base.SOUND)
def redis(lab):
    return Redis(start(lab, save=('3600', '1')))


@board('redis-password', 'sound', 'login', weight=base.SOUND // 2)
def redis_password(lab):
    return Redis(start(lab), password=base.PASSWORD)


@board('redis-acl', 'sound', 'login', weight=base.SOUND)
def redis_acl(lab):
    return _acl(lab, account_rules())


@board('redis-ipv6', 'sound')
def redis_ipv6(lab):
    return Redis(start(lab, host='::1'))


def start_tls(lab, certificate=None, client=False, **options):
    """A new Redis with TLS; *client* makes it ask for a certificate."""
    return start(lab, tls=certificate or lab.certificate(),
                 ca=lab.authority.cert, client_auth=client, **options)


def start_sentinel(lab, master, host=process.LOOPBACK, port=None, quorum=1,
                   **options):
    """A new Sentinel of a Redis."""
    return lab.server(lab.name('sentinel'), lambda: redis_server.Sentinel(
        base.MASTER, master, quorum, host=host, port=port,
        settings={'down-after-milliseconds': 5000,
                  'auth-user': redis_server.ADMIN,
                  'auth-pass': redis_server._ADMIN_PASSWORD},
        sentinel=('announce-ip', host), **options))


def redis_options(lab, client: bool = False, **options) -> dict[str, str]:
    """What TLS to Redis needs, with or without a client certificate."""
    made = {'ssl': 'True', 'ssl_ca_certs': lab.authority.cert}
    if client:
        made |= {'ssl_certfile': lab.client.cert,
                 'ssl_keyfile': lab.client.key}
    return made | options


@board('redis-tls', 'sound', 'tls', weight=base.SOUND)
def redis_tls(lab):
    return Redis(start_tls(lab),
                 **{base.REDIS_TLS: base.dictionary(**redis_options(lab))})


@board('redis-tls-client', 'sound', 'tls', 'client', weight=base.SOUND)
def redis_tls_client(lab):
    return Redis(start_tls(lab, client=True),
                 **{base.REDIS_TLS: base.dictionary(
                     **redis_options(lab, True))})


@board('redis-tls-acl', 'sound', 'tls', 'login', weight=base.SOUND // 2)
def redis_tls_acl(lab):
    return Redis(start_tls(lab), user=base.USER, password=base.PASSWORD,
                 rules=account_rules(),
                 **{base.REDIS_TLS: base.dictionary(**redis_options(lab))})


@board('redis-tls-no-certificate', 'tls')
def redis_tls_no_certificate(lab):
    return Redis(start_tls(lab, client=True),
                 **{base.REDIS_TLS: base.dictionary(**redis_options(lab))})


@board('redis-tls-expired', 'tls')
def redis_tls_expired(lab):
    return Redis(start_tls(lab, lab.authority.expired()),
                 **{base.REDIS_TLS: base.dictionary(**redis_options(lab))})


@board('redis-tls-another-name', 'tls')
def redis_tls_another_name(lab):
    return Redis(start_tls(lab, lab.authority.wrong_host()),
                 **{base.REDIS_TLS: base.dictionary(**redis_options(lab))})


@board('redis-full')
def redis_full(lab):
    return Redis(start(lab, maxmemory='256kb'))


@board('redis-evicts')
def redis_evicts(lab):
    return Redis(start(lab, maxmemory='64mb',
                        maxmemory_policy='allkeys-lru'))


@board('redis-without-replicas')
def redis_without_replicas(lab):
    return Redis(start(lab, min_replicas_to_write=1))


@board('redis-cluster')
def redis_cluster(lab):
    server = start(lab, cluster_enabled='yes')
    server.command('CLUSTER ADDSLOTSRANGE 0 16383')
    process.wait_until(lambda: 'cluster_state:ok' in str(server.client(
        ).execute_command('CLUSTER', 'INFO')), 'no cluster')
    return Redis(server)


@board('redis-replica')
def redis_replica(lab):
    master, server = start(lab), start(lab)
    server.command('REPLICAOF', master.host, master.port)
    process.wait_until(lambda: server.client().info()[
        'master_link_status'] == 'up', 'no copy')
    return Redis(server)


@board('redis-reader', 'login')
def redis_reader(lab):
    return _acl(lab, ('~*', '+@read', '+@connection', '+info'))


@board('redis-other-keys', 'login')
def redis_other_keys(lab):
    return _acl(lab, account_rules(keys='~other:*'))


@board('redis-no-claims', 'login')
def redis_no_claims(lab):
    return _acl(lab, account_rules('EVALSHA', 'SCRIPT LOAD'))


@board('redis-no-trash', 'login')
def redis_no_trash(lab):
    return _acl(lab, account_rules('HSET', 'HDEL'))


@board('redis-is-sentinel')
def redis_is_sentinel(lab):
    master = start(lab)
    return Redis(start_sentinel(lab, master), master)


@board('redis-is-etcd')
def redis_is_etcd(lab):
    etcd = lab.server(lab.name('etcd'), etcd_server.Etcd)
    return Redis(start(lab), jobboard_backend_port=str(etcd.port))

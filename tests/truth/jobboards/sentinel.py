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

"""Redis behind Sentinels."""

from tests.servers import process
from tests.truth import lab as labs
from tests.truth.jobboards import base
from tests.truth.jobboards import redis

board = labs.Table()


class Sentinels:
    """Three Sentinels of a Redis."""

    hosts = ['127.0.0.1', '127.0.0.2', '127.0.0.3']

    def __init__(self, lab, master):
        self.port = process.free_port(*self.hosts)
        self.members = [redis.start_sentinel(lab, master, host, self.port, 2)
                        for host in self.hosts]
        for member in self.members:
            member.command('SENTINEL', 'DEBUG', 'publish-period', 50,
                           'info-period', 100, 'ping-period', 50)
        process.wait_until(lambda: all(
            member.client().info('sentinel')['master0']['sentinels'] == 3
            for member in self.members), 'they do not know each other')


class Sentinel(redis.Redis):
    """A Redis behind Sentinels."""

    def __init__(self, sentinels, redis, **options):
        super().__init__(sentinels, redis, **{
            'jobboard_redis_sentinel': base.MASTER} | options)


@board('sentinel', 'sound', weight=base.SOUND)
def sentinel(lab):
    master = redis.start(lab)
    return Sentinel(redis.start_sentinel(lab, master), master)


@board('sentinel-three', 'sound', weight=base.SOUND // 2)
def sentinel_three(lab):
    master = redis.start(lab)
    return Sentinel(Sentinels(lab, master), master)


@board('sentinel-password', 'sound', 'login', 'sentinel-login',
       weight=base.SOUND // 2, since=15)
def sentinel_password(lab):
    master = redis.start(lab)
    return Sentinel(
        redis.start_sentinel(lab, master, requirepass=base.PASSWORD), master,
        password=base.PASSWORD, jobboard_redis_sentinel_password=base.PASSWORD)


@board('sentinel-acl', 'sound', 'login', 'sentinel-login',
       weight=base.SOUND // 2, since=15)
def sentinel_acl(lab):
    master = redis.start(lab)
    account = (f'watcher on >{base.PASSWORD} +ping +sentinel|masters '
               f'+sentinel|ckquorum',)
    return Sentinel(
        redis.start_sentinel(lab, master, requirepass='another one',
                             acl=account),
        master, user=base.USER, password=base.PASSWORD,
        rules=redis.account_rules(),
        jobboard_redis_sentinel_username='watcher',
        jobboard_redis_sentinel_password=base.PASSWORD)


def _sentinel_tls(lab, client):
    master = redis.start_tls(lab, client=client, tls_replication='yes')
    options = base.dictionary(**redis.redis_options(lab, client))
    return Sentinel(
        redis.start_sentinel(lab, master, tls=lab.certificate(client_too=True),
                             ca=lab.authority.cert, client_auth=client,
                             tls_replication='yes'), master,
        **{base.REDIS_TLS: options, base.SENTINEL_TLS: options})


@board('sentinel-tls', 'sound', 'tls', 'sentinel-tls', weight=base.SOUND // 2,
       since=15)
def sentinel_tls(lab):
    return _sentinel_tls(lab, False)


@board('sentinel-tls-client', 'sound', 'tls', 'sentinel-tls', 'client',
       weight=base.SOUND // 2, since=15)
def sentinel_tls_client(lab):
    return _sentinel_tls(lab, True)


def _sentinels_down(lab, *numbers):
    master = redis.start(lab)
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
    master = redis.start(lab)
    made = DeadMaster(redis.start_sentinel(lab, master), master)
    master.kill()
    return made


@board('sentinel-of-replica')
def sentinel_of_replica(lab):
    """The address that it knows is that of a replica which lost its master.
    """
    master, replica = redis.start(lab), redis.start(lab)
    made = Sentinel(redis.start_sentinel(lab, replica), replica)
    replica.command('REPLICAOF', master.host, master.port)
    process.wait_until(lambda: replica.client().info()[
        'master_link_status'] == 'up', 'no copy')
    return made

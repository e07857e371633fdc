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

"""Hosts and ports of the jobboard, and options for another kind of it."""

from tests.unit.fragments import Case
from tests.unit.fragments import ETCD
from tests.unit.fragments import OFF
from tests.unit.fragments import SENTINEL
from tests.unit.fragments import ZOOKEEPER

PRESENT = [
    Case('port-mismatch',
         '[task_flow]\njobboard_enabled = true\n'
         'persistence_connection = mysql+pymysql://o:pw@db/p\n'
         'jobboard_backend_driver = zookeeper_taskflow_driver§\n'),
    Case('port-mismatch',
         'jobboard_backend_driver = etcd_taskflow_driver§\n'),
    Case('port-mismatch', ZOOKEEPER.replace('2181', '6379§')),
    Case('port-mismatch', ZOOKEEPER.replace('2181', '2379§')),
    Case('port-mismatch', ZOOKEEPER.replace('2181', '2888§')),
    Case('port-mismatch', ETCD.replace('2379', '6379§')),
    Case('port-mismatch', ETCD.replace('2379', '2181§')),
    Case('port-mismatch', ETCD.replace('2379', '2380§')),
    Case('port-mismatch', 'jobboard_backend_port = 2181§\n'),
    Case('port-mismatch', 'jobboard_backend_port = 2379§\n'),
    Case('port-mismatch', 'jobboard_backend_port = 3306§\n'),
    Case('port-mismatch', 'jobboard_backend_port = 26379§\n'),
    # Sentinels without their name: several hosts are no second mistake.
    Case('port-mismatch', 'jobboard_backend_hosts = 10.0.0.1,10.0.0.2\n'
         'jobboard_backend_port = 26379§\n'),
    Case('port-mismatch', 'jobboard_redis_sentinel = mymaster§\n'),
    Case('port-mismatch', SENTINEL.replace('26379', '6379§')),

    *(Case('hosts-empty', f'jobboard_backend_hosts ={value}§\n')
      for value in ('', ' ,', ' ""')),

    *(Case('host-invalid', f'jobboard_backend_hosts = {host}§\n')
      for host in (
          'redis.example.org:6379', '10.0.0.1:6379', '[fd00::1]:6379',
          'redis://redis.example.org', 'http://10.0.0.1', '10.0.0.1/0',
          '10.0.0.1 10.0.0.2', '10.0.0.1;10.0.0.2', '10.0.0.256',
          "['10.0.0.1']", 'host$', 'redis..example.org', '.example.org',
          '"10.0.0.1"x', 'a' * 64 + '.example.org')),
    Case('host-invalid', ZOOKEEPER + 'jobboard_backend_hosts = zk1:2181§\n'),
    Case('host-invalid', ZOOKEEPER + 'jobboard_backend_hosts = zk1,,zk2§\n'),
    Case('host-invalid', ZOOKEEPER
         + 'jobboard_backend_hosts = zk1/oct,zk2§\n'),
    Case('host-invalid', ZOOKEEPER
         + 'jobboard_backend_hosts = zk1:2181,zk2/oct§\n'),
    Case('host-invalid', ETCD + 'jobboard_backend_hosts = https://e1§\n'),

    Case('host-bracketed', 'jobboard_backend_hosts = [fd00::1]§\n'),
    Case('host-bracketed', ETCD + 'jobboard_backend_hosts = [::1]§\n'),
    Case('host-bracketed',
         SENTINEL + 'jobboard_backend_hosts = [fd00::1],[fd00::2]§\n'),
    Case('host-ipv6', ZOOKEEPER + 'jobboard_backend_hosts = fd00::1§\n'),

    Case('hosts-ignored', 'jobboard_backend_hosts = 10.0.0.1,10.0.0.2§\n'),
    Case('hosts-ignored', ETCD + 'jobboard_backend_hosts = e1,e2,e3§\n'),
    Case('hosts-ignored', SENTINEL + 'jobboard_backend_hosts = s1,s2§\n',
         release='13.0'),

    Case('ignored-option', ZOOKEEPER + 'jobboard_backend_password = pw§\n'),
    Case('ignored-option', ETCD + 'jobboard_backend_username = octavia§\n'),
    Case('ignored-option', ETCD + 'jobboard_redis_sentinel = mymaster§\n'),
    Case('ignored-option', 'jobboard_etcd_timeout = 5§\n'),
    Case('ignored-option',
         'jobboard_zookeeper_ssl_options = use_ssl:False§\n'),
    Case('ignored-option', 'jobboard_redis_sentinel_password = pw§\n'),
    # Whatever stands in it.
    *(Case('ignored-option', ETCD + f'{line}§\n')
      for line in (
          'jobboard_backend_password = CHANGEME',
          'jobboard_backend_password = "half',
          'jobboard_backend_username = octavia # old',
          'jobboard_redis_sentinel = None',
          'jobboard_redis_backend_ssl_options = ssl:maybe',
          'jobboard_redis_backend_ssl_options = ssl:True,ca:/nonexistent',
          'jobboard_zookeeper_ssl_options = use_ssl:1,certfile:/nowhere')),
    Case('ignored-option', ETCD + 'jobboard_redis_sentinel =§\n'),
    Case('ignored-option', 'jobboard_etcd_api_path = v3§\n'),
    Case('ignored-option', '[DEFAULT]\njobboard_etcd_timeout = 5§\n'
         '[task_flow]\njobboard_enabled = true\n'
         'jobboard_backend_hosts = redis.example.org\n'
         'persistence_connection = mysql+pymysql://o:pw@db/p\n'),
]

ABSENT = [
    Case('port-mismatch', 'jobboard_backend_port = 6380\n'),
    Case('port-mismatch', 'jobboard_backend_port = 10001\n'),
    Case('port-mismatch', SENTINEL), Case('port-mismatch', ZOOKEEPER),
    Case('port-mismatch', ETCD),
    Case('port-mismatch', OFF + 'jobboard_backend_port = 2181\n'),
    Case('hosts-empty', OFF + 'jobboard_backend_hosts =\n'),
    *(Case('host-invalid', f'jobboard_backend_hosts = {host}\n')
      for host in ('10.0.0.1', 'fd00::1', 'fe80::1%eth0', 'redis_1',
                   'redis-1.example.org.', 'LOCALHOST', '10.0.0.1,')),
    Case('host-invalid', OFF + 'jobboard_backend_hosts = a:1,b:2\n'),
    Case('host-bracketed',
         ZOOKEEPER + 'jobboard_backend_hosts = [fd00::1],[fd00::2]\n'),
    Case('host-bracketed',
         SENTINEL + 'jobboard_backend_hosts = fd00::1,[fd00::2]\n'),
    Case('host-ipv6', ETCD + 'jobboard_backend_hosts = fd00::1\n'),
    Case('host-ipv6', OFF + ZOOKEEPER
         + 'jobboard_backend_hosts = fd00::1\n'),
    Case('hosts-ignored', ZOOKEEPER + 'jobboard_backend_hosts = z1,z2,z3\n'),
    Case('host-invalid', ZOOKEEPER + 'jobboard_backend_hosts = z1,z2/oct\n'),
    Case('host-invalid', ZOOKEEPER
         + 'jobboard_backend_hosts = z1,[fd00::1]:2181/a/b\n'),
    Case('hosts-ignored', SENTINEL + 'jobboard_backend_hosts = s1,s2,s3\n'),
    Case('hosts-ignored', OFF + 'jobboard_backend_hosts = r1,r2\n'),
    Case('ignored-option', 'jobboard_backend_password = pw\n'
         'jobboard_redis_backend_db = 2\n'),
    Case('ignored-option', OFF + 'jobboard_etcd_timeout = 5\n'),
    Case('ignored-option', ZOOKEEPER + 'jobboard_expiration_time = 30\n'),
]

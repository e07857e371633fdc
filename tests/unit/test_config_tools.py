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

"""Configurations as deployment tools write them, judged as a whole.

Each is made up after what the tool does; the values are our own.
"""

import pytest

from octavia_v2_checks import settings
from octavia_v2_checks.checks import config

DB = 'persistence_connection = mysql+pymysql://octavia:Zk3vQ8@10.0.0.5'

TOOLS = {
    'kolla, Sentinel': ([], f"""[task_flow]
        jobboard_backend_hosts = 10.0.0.11,10.0.0.12,10.0.0.13
        jobboard_backend_password = nB2zQ6
        jobboard_backend_port = 26379
        jobboard_backend_username = default
        jobboard_enabled = true
        jobboard_redis_sentinel = kolla
        jobboard_redis_sentinel_ssl_options = ssl:False
        jobboard_redis_backend_ssl_options = ssl:False
        {DB}/octavia_persistence
        """),
    'kolla, before Sentinel': (['hosts-ignored'], f"""[task_flow]
        {DB}/octavia_persistence
        jobboard_backend_driver = redis_taskflow_driver
        jobboard_backend_hosts = 10.0.0.11,10.0.0.12,10.0.0.13
        jobboard_backend_port = 6379
        jobboard_backend_password = nB2zQ6
        jobboard_enabled = true
        """),
    'kolla, IPv6': (['host-bracketed', 'hosts-ignored'], f"""[task_flow]
        {DB}/octavia_persistence
        jobboard_backend_hosts = [fd00::11],[fd00::12]
        jobboard_enabled = true
        """),
    'OpenStack-Ansible, ZooKeeper with TLS': ([], f"""[task_flow]
        max_workers = 5
        {DB}/octavia_persistence?charset=utf8
        jobboard_enabled = True
        jobboard_backend_driver = zookeeper_taskflow_driver
        jobboard_backend_hosts = 10.0.0.11,10.0.0.12,10.0.0.13
        jobboard_backend_port = 2281
        jobboard_backend_namespace = octavia_jobboard

        jobboard_zookeeper_ssl_options = use_ssl:True,verify_certs:True
        """),
    'OpenStack-Ansible, Redis at ZooKeeper\'s port': (
        ['dict-value', 'hosts-ignored', 'port-mismatch'], f"""[task_flow]
        {DB}/octavia_persistence?charset=utf8&ssl_verify_cert=true
        jobboard_enabled = True
        jobboard_backend_driver = redis_taskflow_driver
        jobboard_backend_hosts = 10.0.0.11,10.0.0.12
        jobboard_backend_port = 2281
        jobboard_redis_backend_ssl_options = ssl:True,ssl_cert_reqs:None
        """),
    'OpenStack-Ansible, no coordination': ([], """[task_flow]
        max_workers = 5
        """),
    'openstack-helm, Sentinels without a name': (
        ['port-mismatch'], f"""[task_flow]
        {DB}:3306/octavia_persistence
        jobboard_enabled = true
        jobboard_backend_hosts = valkey.openstack.svc.cluster.local
        jobboard_backend_port = 26379
        """),
    'Kubernetes, off on purpose': ([], f"""[task_flow]
        jobboard_backend_hosts = redis.redis.svc.cluster.local
        jobboard_backend_port = 6379
        jobboard_enabled = false
        {DB}/octavia-persistence
        """),
    'octavia-operator, one section per pod': ([], f"""[DEFAULT]
        debug = True
        transport_url = rabbit://octavia:pw@mq/octavia?ssl=1
        [database]
        connection = mysql+pymysql://octavia:x@db/octavia?read_default_file=/e
        [task_flow]
        {DB}/octavia_persistence?read_default_file=/etc/my.cnf
        jobboard_enabled = true
        jobboard_backend_hosts = redis.openstack.svc
        jobboard_backend_port = 6379
        """),
    'puppet, all at once': (
        ['ignored-option', 'persistence-unset', 'port-mismatch'],
        """[task_flow]
        engine=parallel
        jobboard_enabled=true
        jobboard_backend_driver=redis_taskflow_driver
        jobboard_backend_hosts=10.0.0.2,10.0.0.3
        jobboard_backend_port=6379
        jobboard_backend_username=user
        jobboard_backend_password=secret
        jobboard_redis_sentinel=sentinel
        jobboard_redis_backend_ssl_options=ssl:false,ssl_keyfile:None
        jobboard_zookeeper_ssl_options=use_ssl:false,keyfile:None
        jobboard_etcd_api_path=/v1
        persistence_connection=sqlite://
        """),
    'charms, nothing at all': ([], """[DEFAULT]
        debug = False
        """),
    'devstack, etcd': ([], """[task_flow]
        persistence_connection = mysql+pymysql://root:x@127.0.0.1:3306/octavia_p
        jobboard_expiration_time = 30
        jobboard_enabled = True
        jobboard_backend_driver = etcd_taskflow_driver
        jobboard_backend_port = 2379
        jobboard_backend_hosts = 10.0.0.10
        """),
    'devstack, dbcounter': ([], """[database]
        connection = mysql+pymysql://root:x@127.0.0.1/octavia?plugin=dbcounter
        [task_flow]
        persistence_connection = mysql+pymysql://root:x@127.0.0.1/oct_p?plugin=x
        jobboard_enabled = True
        jobboard_backend_driver = 'redis_taskflow_driver'
        jobboard_backend_port = 6379
        jobboard_backend_hosts = 127.0.0.1
        jobboard_backend_password = x
        jobboard_backend_namespace = 'octavia_jobboard'
        """),
    'the guide, not filled in': (['placeholder'] * 4, """[task_flow]
        persistence_connection = mysql+pymysql://o:OCTAVIA_DBPASS@controller/p
        jobboard_enabled = True
        jobboard_backend_driver = 'redis_taskflow_driver'
        jobboard_backend_hosts = KEYVALUE_HOST_IPS
        jobboard_backend_port = KEYVALUE_PORT
        jobboard_backend_password = OCTAVIA_JOBBOARDPASS
        jobboard_backend_namespace = 'octavia_jobboard'
        """),
    'the guide of Ussuri': (['jobboard-disabled'], f"""[task_flow]
        {DB}/octavia_persistence
        jobboard_backend_driver = 'redis_taskflow_driver'
        jobboard_backend_hosts = 10.0.0.11
        jobboard_backend_port = 6379
        """),
    'another provider alone': ([], """[api_settings]
        enabled_provider_drivers = ovn: OVN driver
        [task_flow]
        jobboard_enabled = true
        jobboard_backend_hosts = a:1
        jobboard_backend_port = 2379
        """),
    'lists as Python prints them': (
        ['host-invalid', 'hosts-ignored'], f"""[task_flow]
        {DB}/octavia_persistence
        jobboard_enabled = true
        jobboard_backend_hosts = ['10.0.0.11', '10.0.0.12']
        """),
}


@pytest.mark.parametrize('tool', TOOLS)
def test_as_its_operator_would_judge_it(tmp_path, tool):
    expected, text = TOOLS[tool]
    path = tmp_path / 'octavia.conf'
    path.write_text('\n'.join(
        line.strip() for line in text.splitlines()) + '\n')
    found = list(config.mistakes(
        settings.load([('file', str(path))]), target_release='19.0'))
    assert sorted({f.id for f in found}) == sorted(
        {f'config.{slug}' for slug in expected}), found
    if expected == ['placeholder'] * 4:
        assert len(found) == 4

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

"""Values of options, whatever server they are about."""

from tests.unit.fragments import Case
from tests.unit.fragments import ETCD
from tests.unit.fragments import OFF
from tests.unit.fragments import SENTINEL
from tests.unit.fragments import ZOOKEEPER

PRESENT = [
    Case('invalid-value', 'engine = paralel§\n'),
    Case('invalid-value', 'engine = Serial§\n'),
    Case('invalid-value', 'engine =§\n'),
    Case('invalid-value', 'max_workers = many§\n'),
    Case('invalid-value', 'max_workers = 0§\n'),
    Case('invalid-value', 'disable_revert = perhaps§\n'),
    Case('invalid-value', 'jobboard_enabled = enabled§\n'),
    Case('invalid-value', 'jobboard_backend_driver = redis§\n'),
    Case('invalid-value', 'jobboard_backend_port = 99999§\n'),
    Case('invalid-value', 'jobboard_backend_port = 0§\n'),
    Case('invalid-value', 'jobboard_backend_port = None§\n'),
    Case('invalid-value', 'jobboard_backend_port =§\n'),
    Case('invalid-value', 'jobboard_expiration_time = -1§\n'),
    Case('invalid-value', 'jobboard_expiration_time = 0§\n'),
    Case('invalid-value', 'jobboard_expiration_time =§\n'),
    Case('invalid-value', 'jobboard_expiration_time = 30s§\n'),
    Case('invalid-value', 'jobboard_redis_backend_db = -1§\n'),
    Case('invalid-value', 'jobboard_redis_backend_db =§\n'),
    Case('invalid-value', 'jobboard_redis_sentinel =§\n'),
    Case('invalid-value', 'jobboard_backend_namespace =§\n'),
    Case('invalid-value', 'jobboard_expiration_time = 100000000000000§\n'),
    Case('invalid-value', ETCD + 'jobboard_expiration_time = 9000000001§\n'),
    Case('invalid-value', ETCD + 'jobboard_etcd_timeout = 9223372037§\n'),
    Case('invalid-value', ETCD + 'jobboard_etcd_timeout = 0§\n'),
    Case('invalid-value', ETCD + 'jobboard_etcd_timeout = None§\n'),
    Case('invalid-value', ETCD + 'jobboard_etcd_api_path =§\n'),
    Case('invalid-value', ETCD + 'jobboard_etcd_api_path = /v3§\n'),
    Case('invalid-value', ETCD + 'jobboard_etcd_api_path = v3/§\n'),
    Case('invalid-value', ZOOKEEPER + 'jobboard_backend_namespace = /a§\n'),
    Case('invalid-value', ZOOKEEPER + 'jobboard_backend_namespace = a//b§\n'),
    Case('invalid-value', ZOOKEEPER + 'jobboard_backend_namespace = ../a§\n'),
    Case('invalid-value', ETCD + 'jobboard_backend_namespace = größe§\n'),
    Case('invalid-value', ZOOKEEPER
         + 'jobboard_backend_namespace = a\x07b§\n'),
    Case('invalid-value', ZOOKEEPER
         + 'jobboard_backend_namespace = \N{BALLOON}§\n'),
    # oslo.config refuses these whatever the jobboard is, and every service
    # logs all of its options when it starts.
    Case('invalid-value', OFF + 'jobboard_backend_port = 99999§\n'),
    Case('invalid-value', OFF + 'jobboard_backend_driver = consul§\n'),
    # Indented, and so the end of the value before.
    Case('invalid-value', 'jobboard_backend_hosts = 10.0.0.1\n'
         '    jobboard_backend_port = 6379§\n'),
    Case('invalid-value', '[octavia_v2_checks]\ndeadline = soon§\n'),
    Case('invalid-value', '[octavia_v2_checks]\nfail_level = error§\n'),
    Case('invalid-value',
         '[api_settings]\nenabled_provider_drivers = amphora,ovn§\n'),
    *(Case('invalid-value', f'[octavia_v2_checks]\n{name} = {text}§\n')
      for name in ('deadline', 'probe_timeout', 'wait')
      for text in ('', 'inf', '1e400', 'nan', '-1', '86401', '1 s')),
    *(Case('invalid-value', f'[octavia_v2_checks]\n{name} = 0.9§\n')
      for name in ('deadline', 'probe_timeout')),

    *(Case('provider-unknown',
           f'[api_settings]\nenabled_provider_drivers = {text}§\n')
      for text in ('', 'Amphora:x', 'amphra:x', 'AMPHORAV2:x',
                   'amphora-v2:x', 'ocatvia:x', 'amphora:x, ampora:y',
                   'ovn:x, amfora:y', 'frobnicator:x')),

    Case('half-quoted', "jobboard_redis_sentinel = 'mymaster§\n"
         'jobboard_backend_port = 26379\n'),
    Case('half-quoted', 'jobboard_backend_hosts = "10.0.0.1§\n'),
    Case('half-quoted', "jobboard_backend_hosts = '10.0.0.1', '10.0.0.2'§\n"),
    Case('half-quoted', 'engine = serial"§\n'),
    Case('half-quoted', 'jobboard_backend_password = "sesame§\n'),
    Case('half-quoted', 'persistence_connection = '
         '"mysql+pymysql://o:pw@db/octavia_persistence§\n'),
    Case('half-quoted', 'persistence_connection = '
         "mysql+pymysql://o:pw@db/octavia_persistence'§\n"),

    Case('inline-comment', 'engine = serial # for now§\n'),
    Case('inline-comment', 'jobboard_backend_port = 6379 ; Redis§\n'),
    Case('inline-comment', 'jobboard_backend_hosts = 10.0.0.1\t# one§\n'),
    Case('inline-comment', 'jobboard_backend_password = sesame  # old§\n'),
    Case('inline-comment', 'jobboard_backend_hosts = 10.0.0.1\n'
         '    # the second one is down§\n'),
    Case('inline-comment', OFF + 'jobboard_backend_port = 6379 # Redis§\n'),

    Case('substitution', 'jobboard_backend_password = pa$word§\n'),
    Case('substitution', 'persistence_connection = '
         'mysql+pymysql://o:pa$word@db/octavia_persistence§\n'),
    Case('substitution', OFF + 'jobboard_backend_password = pa$word§\n'),
    Case('substitution', 'jobboard_backend_password = pa$task_flow§\n'),
    Case('substitution', 'jobboard_backend_password = '
         '$jobboard_backend_password§\n'),
    Case('substitution', '[database]\n'
         'connection = mysql+pymysql://o:$pw@db/octavia§\n'),

    Case('placeholder', 'persistence_connection = mysql+pymysql://'
         'octavia:OCTAVIA_DBPASS@controller/octavia_persistence§\n'),
    Case('placeholder', 'persistence_connection = mysql+pymysql://'
         'octavia:<password>@10.0.0.1/octavia_persistence§\n'),
    Case('placeholder', 'persistence_connection = mysql+pymysql://'
         '{{ user }}:{{ password }}@{{ host }}/octavia_persistence§\n'),
    Case('placeholder', 'persistence_connection = mysql+pymysql://'
         'octavia:${DB_PASSWORD}@10.0.0.1/octavia_persistence§\n'),
    Case('placeholder', 'persistence_connection = mysql+pymysql://'
         'USER:PASSWORD@HOST/octavia_persistence§\n'),
    Case('placeholder', 'jobboard_backend_hosts = KEYVALUE_HOST_IPS§\n'),
    Case('placeholder', 'jobboard_backend_hosts = 10.0.0.x§\n'),
    Case('placeholder', 'jobboard_backend_hosts = 10.0.0.1,<other>§\n'),
    Case('placeholder', 'jobboard_backend_port = KEYVALUE_PORT§\n'),
    Case('placeholder', 'jobboard_backend_port = %(port)s§\n'),
    *(Case('placeholder', f'jobboard_backend_password = {word}§\n')
      for word in (
          'OCTAVIA_JOBBOARDPASS', 'REDIS_PASSWORD', 'ADMIN_PASS', 'PASSWORD',
          'changeme', 'CHANGE_ME', 'change-me', 'ChangeMe', 'replace_me',
          'REPLACE_WITH_PASSWORD', 'your_password', 'YOUR-REDIS-PASSWORD',
          'password_here', 'xxx', 'XXXXXXXX', '********', '...', 'TODO',
          'FIXME', 'placeholder', '<None>', 'None', 'null', 'undefined',
          'AnsibleUndefined', '@REDIS_PASSWORD@', '__REDIS_PASSWORD__',
          '%(redis_password)s', '{{ redis_password }}', '{password}',
          '[password]', '$(REDIS_PASSWORD)', '$REDIS_PASSWORD',
          '<no value>', '%REDIS_PASSWORD%')),
    *(Case('placeholder', f'jobboard_redis_sentinel = {word}§\n')
      for word in ('None', 'none', 'NONE', 'null', 'Null', 'nil', 'false',
                   'no', 'off', 'disabled', 'unset', '~', '-', 'N/A', '"\'\'"',
                   'undefined')),
    *(Case('placeholder', ETCD + f'jobboard_etcd_api_path = {word}§\n')
      for word in ('None', 'none', 'null')),
    Case('placeholder', 'jobboard_backend_namespace = <namespace>§\n'),
    Case('placeholder', 'jobboard_backend_namespace = {{ ns }}§\n'),
    Case('placeholder', 'jobboard_backend_username = CHANGEME§\n'),
    Case('placeholder', 'jobboard_backend_hosts = your-redis-host§\n'),
    Case('placeholder', SENTINEL.replace('mymaster', '<master name>§')),

    Case('expiration-short', 'jobboard_expiration_time = 5§\n'),
    Case('expiration-short', ETCD + 'jobboard_expiration_time = 29§\n'),
    Case('disable-revert', 'disable_revert = true§\n'),
    Case('disable-revert', OFF + 'disable_revert = yes§\n'),

    Case('jobboard-disabled', '[task_flow]\n'
         'jobboard_backend_hosts = 10.0.0.1§\n'),
    Case('jobboard-disabled', '[task_flow]\nmax_workers = 3\n'
         'jobboard_redis_sentinel = mymaster§\n'),
    *(Case('invalid-value', f'[octavia_v2_checks]\nwaivers = {waiver}§\n')
      for waiver in (
          'jobboard.refused', 'jobboard.refused until=2027-01-01',
          'jobboard.refused until=2027-02-30 reason=no such day',
          'jobboard.refused until=tomorrow reason=soon',
          'jobboard.refused reason=turned round until=2027-01-01',
          'jobboard until=2027-01-01 reason=a whole check')),
    *(Case('invalid-value', f'[octavia_v2_checks]\nreport_file = {file}§\n')
      for file in ('json', 'json:', ':/var/log/report', '/var/log/report')),
]

ABSENT = [
    Case('invalid-value', 'engine = serial\nmax_workers = 1\n'),
    Case('invalid-value', 'max_workers =\n'),
    Case('invalid-value', 'jobboard_backend_namespace = cloud/a\n'),
    Case('invalid-value', ZOOKEEPER + 'jobboard_backend_namespace = a/b\n'),
    Case('invalid-value', ZOOKEEPER + 'jobboard_backend_namespace = a/\n'),
    Case('invalid-value', ETCD + 'jobboard_etcd_api_path = /v3/\n'
         'jobboard_etcd_timeout = 5\n'),
    Case('invalid-value', OFF + 'jobboard_expiration_time = 0\n'),
    Case('invalid-value', OFF + 'jobboard_backend_port = 0\n'),
    Case('invalid-value', OFF + 'jobboard_backend_hosts =\n'),
    Case('invalid-value', 'jobboard_backend_hosts =\n    10.0.0.1\n'),
    Case('invalid-value',
         '[api_settings]\nenabled_provider_drivers = amphora: A, ovn: B\n'),
    *(Case('invalid-value', f'[octavia_v2_checks]\n{name} = {text}\n')
      for name in ('deadline', 'probe_timeout', 'wait')
      for text in ('1', '1.5', '1e2', '86400')),
    Case('invalid-value', '[octavia_v2_checks]\nwait = 0\n'),
    *(Case('provider-unknown',
           f'[api_settings]\nenabled_provider_drivers = {text}\n')
      for text in ('amphora:x', 'amphorav2:x', 'octavia:x', 'ovn:OVN',
                   'ovn:x, amphora:y', 'a10:x, f5:y, radware:z',
                   'noop_driver:x')),
    Case('half-quoted', "engine = 'serial'\n"
         'jobboard_backend_hosts = "10.0.0.1"\n'),
    Case('half-quoted', 'jobboard_backend_password = "q8#!zK\n'),
    Case('half-quoted', "jobboard_backend_password = it's\n"),
    Case('half-quoted', OFF + 'jobboard_backend_hosts = "10.0.0.1\n'),
    Case('inline-comment', 'jobboard_backend_password = pa#ss;w\n'),
    Case('inline-comment', 'jobboard_backend_password = #pass\n'),
    Case('inline-comment', 'persistence_connection = '
         'mysql+pymysql://o:p%23ss@db/octavia_persistence\n'),
    Case('inline-comment', OFF + 'jobboard_backend_namespace = a # b\n'),
    Case('substitution', 'jobboard_backend_password = pa$$word\n'),
    Case('substitution', 'jobboard_backend_password = pa\\$word\n'),
    Case('substitution', 'jobboard_backend_password = pa$1\n'),
    Case('substitution', 'jobboard_backend_password = pa$\n'),
    Case('substitution', 'jobboard_backend_hosts = $host\n'),
    Case('substitution', 'jobboard_backend_hosts = '
         '${jobboard_backend_namespace}\n'),
    *(Case('placeholder', f'jobboard_backend_password = {word}\n')
      for word in (
          'secret', 'password', 'kLmNoPqRsTuVwXyZ0123456789', 'Xx9Xx9',
          'aB<c>dE', 'x{9}y', 'QWERTZUIOPASDF', 'Q7F2A9K1KEY', 'p@ss',
          '5f4dcc3b5aa765d61d8327deb882cf99', 'a__b', 'none', 'xx',
          'hunter2', 'correct horse', 'GZk_9fKQ', '$$A')),
    Case('placeholder', 'jobboard_backend_hosts = controller\n'),
    Case('placeholder', 'jobboard_backend_hosts = REDIS01\n'),
    Case('placeholder', 'jobboard_backend_hosts = redis.example.com\n'),
    *(Case('placeholder', f'jobboard_backend_namespace = {word}\n')
      for word in (
          'OCTAVIA_JOBBOARD', 'x' * 300, 'X' * 300, 'a' * 300, 'xxx', 'todo',
          'PROD_HOST', 'SITE_KEY', '{octavia}', '__octavia__', '[octavia]',
          'yourtown', 'over_here', 'replaced', '10.0.0.x')),
    Case('placeholder', SENTINEL.replace('mymaster', 'TODO')),
    Case('placeholder', SENTINEL.replace('mymaster', 'MASTER_HOST')),
    Case('placeholder', 'jobboard_backend_username = REDIS_USER\n'),
    Case('placeholder', 'persistence_connection = mysql+pymysql://'
         'OCTAVIA_USER:pw@db/OCTAVIA_NAME\n'),
    Case('placeholder', 'jobboard_backend_hosts = yourtown-redis1\n'),
    *(Case('placeholder', f'jobboard_backend_password = {word}\n')
      for word in ('x' * 300, '<f9K2!x>', '[aZ3-_9]', '__k3q__', '{q8}7}')),
    Case('placeholder', OFF + 'jobboard_backend_password = CHANGEME\n'),
    Case('placeholder', OFF + 'persistence_connection = '
         'mysql+pymysql://octavia:OCTAVIA_DBPASS@controller/octavia\n'),
    Case('expiration-short', 'jobboard_expiration_time = 30\n'),
    Case('invalid-value', 'jobboard_backend_namespace = größe\n'),
    Case('invalid-value', ZOOKEEPER + 'jobboard_backend_namespace = größe\n'),
    Case('invalid-value', 'jobboard_expiration_time = 9000000001\n'),
    Case('invalid-value', ETCD + 'jobboard_expiration_time = 9000000000\n'),
    Case('expiration-short', OFF + 'jobboard_expiration_time = 5\n'),
    Case('expiration-short', ZOOKEEPER + 'jobboard_expiration_time = 5\n'),
    Case('disable-revert', 'disable_revert = false\n'),
    Case('jobboard-disabled', OFF),
    Case('jobboard-disabled', '[task_flow]\nmax_workers = 3\n'
         'persistence_connection = mysql+pymysql://o:pw@db/p\n'),
    Case('jobboard-disabled',
         '[api_settings]\nenabled_provider_drivers = ovn: OVN\n'
         '[task_flow]\njobboard_backend_hosts = 10.0.0.1\n'),
    Case('invalid-value', OFF + 'jobboard_etcd_timeout = None\n',
         release='15.0'),
]

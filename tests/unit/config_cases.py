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

"""What each ``config.*`` finding is about, and what it is not about.

A line that ends in ``§`` is the one that the finding must point at; the
mark is taken off. Fragments without a section belong to ``[task_flow]`` and
are added to a jobboard that works: see :func:`text`.
"""

import re
from typing import NamedTuple

#: A jobboard that works, with Redis.
WORKING = {
    'persistence_connection':
        'mysql+pymysql://octavia:pw@db.example.org/octavia_persistence',
    'jobboard_enabled': 'true',
    'jobboard_backend_hosts': 'redis.example.org',
}

ZOOKEEPER = ('jobboard_backend_driver = zookeeper_taskflow_driver\n'
             'jobboard_backend_port = 2181\n')
ETCD = ('jobboard_backend_driver = etcd_taskflow_driver\n'
        'jobboard_backend_port = 2379\n')
SENTINEL = ('jobboard_redis_sentinel = mymaster\n'
            'jobboard_backend_port = 26379\n')
OFF = 'jobboard_enabled = false\n'


class Case(NamedTuple):
    """A fragment of a configuration, and what is to be said about it.

    :ivar also: other ids that belong to it
    """

    id: str
    fragment: str
    also: tuple[str, ...] = ()
    release: str | None = None
    environ: dict[str, str] = {}


def text(fragment: str) -> str:
    """Return a whole configuration file for a fragment."""
    if re.search(r'^\ufeff?\[', fragment, re.MULTILINE):
        return fragment
    given = {line.partition('=')[0].strip() for line in fragment.splitlines()}
    lines = [f'{k} = {v}' for k, v in WORKING.items() if k not in given]
    return '\n'.join(['[task_flow]', fragment.rstrip('\n'), *lines, ''])


PRESENT = [
    Case('parse-error', '[task_flow]\njobboard_enabled true§\n'),
    Case('parse-error', '[task_flow]\nengine = serial\n[task_flow§\n'),
    Case('parse-error', '[task_flow]\nengine = serial\n[]§\n'),
    Case('parse-error', '[DEFAULT]\n\n  engine = serial§\n'),
    Case('parse-error', 'engine = serial§\n[task_flow]\n'),
    Case('parse-error', '[task_flow]\n= serial§\n'),
    Case('encoding', '\ufeff[task_flow]§\nengine = serial\n'),

    Case('unknown-option', 'jobboard_backend_host = 10.0.0.1§\n'),
    Case('unknown-option', 'Engine = serial§\n'),
    Case('unknown-option', 'jobboard-enabled = true§\n'),
    Case('unknown-option', 'something_else = 1§\n'),
    Case('unknown-option', '[octavia_v2_checks]\ndead_line = 5§\n'),
    Case('unknown-option', '[octavia-v2-checks]\ndeadline = 5§\n'),
    Case('unknown-option', '[DEFAULT]\njobboard_enable = true§\n'),
    # Nothing follows from what an option that is only misspelt would cause.
    Case('unknown-option',
         '[task_flow]\njobboard_enabled = true\n'
         'persistence_conection = mysql+pymysql://o:pw@db/p§\n'),
    Case('unknown-option',
         '[task_flow]\njobboard_enable = true§\n'
         'jobboard_backend_hosts = 10.0.0.1\n'),

    Case('unknown-option', '[task_flow]\n',
         environ={'OS_TASK_FLOW__JOBBOARD_HOSTS': '10.0.0.1'}),

    Case('misplaced-option', '[DEFAULT]\njobboard_enabled = true§\n'),
    Case('misplaced-option', '[taskflow]\nengine = serial§\n'),
    Case('misplaced-option', '[task-flow]\nmax_workers = 3§\n'),
    Case('misplaced-option', '[task_flow ]\nengine = serial§\n'),
    Case('misplaced-option', '[controller_worker]\n'
         'persistence_connection = mysql+pymysql://o:pw@db/p§\n'),
    Case('misplaced-option', '[octavia_v2_checks]\ndisable_revert = true§\n'),
    Case('misplaced-option',
         '[DEFAULT]\ndebug = true\n  [task_flow]§\n  engine = serial\n'),

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
    Case('parse-error',
         '[octavia_v2_checks]\nreport_file = json:/tmp/a\0b§\n'),

    *(Case('provider-unknown',
           f'[api_settings]\nenabled_provider_drivers = {text}§\n')
      for text in ('', 'Amphora:x', 'amphra:x', 'AMPHORAV2:x',
                   'amphora-v2:x', 'ocatvia:x', 'amphora:x, ampora:y',
                   'ovn:x, amfora:y', 'frobnicator:x')),

    Case('duplicate-option', 'engine = serial\nengine = parallel§\n'),
    Case('duplicate-option',
         '[task_flow]\nengine = serial\n[database]\n\n'
         '[TASK_FLOW]\nengine = serial§\n'),
    Case('duplicate-option', '[database]\nconnection = sqlite:////a\n'
         'connection = sqlite:////b§\n'),

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

    Case('env-override', 'engine = serial§\n',
         environ={'OS_TASK_FLOW__ENGINE': 'parallel'}),

    *(Case('persistence-url', f'persistence_connection = {url}§\n')
      for url in (
          '', 'mysql', 'db.example.org/octavia_persistence',
          'mysql+pymysql:/o:pw@db/p', 'mysql-pymysql://o:pw@db/p',
          'myqsl+pymysql://o:pw@db/p', 'mariadb+pymysql://o:pw@db/p',
          'postgres://o:pw@db/p', 'MySQL+pymysql://o:pw@db/p',
          'mysql+pymsql://o:pw@db/p', 'mysql+aiomysql://o:pw@db/p',
          'postgresql+asyncpg://o:pw@db/p', 'oracle://o:pw@db/p',
          'mysql+pymysql://o:p@ss@db/p', 'mysql+pymysql://o:p/ss@db/p',
          'mysql+pymysql://o:p#ss@db/p', 'mysql+pymysql://o:p?ss@db/p',
          'mysql+pymysql://o:pw@db', 'mysql+pymysql://o:pw@db/',
          'mysql+pymysql://o:pw@/p', 'mysql+pymysql:///p',
          'mysql+pymysql://o:pw@db:3306x/p', 'mysql+pymysql://o:pw@db:0/p',
          'mysql+pymysql://o:pw@db:66666/p',
          'mysql+pymysql://o:pw@my db/p',
          'mysql+pymysql://o:pw@db/p&charset=utf8',
          'mysql+pymysql://o:pw@db/p;charset=utf8',
          'mysql+pymysql://o:pw@db/p charset=utf8',
          'mysql+pymysql://o:pw@db/p=utf8', 'mysql+pymysql://o:pw@db/p,q',
          'mysql+pymysql://o:pw@db/p%3Fcharset=utf8',
          'mysql+pymysql://o:pw@db//p', 'mysql+pymysql://o:pw@db/p/',
          'postgresql://o:pw@db/p/q',
          'mysql+pymysql://o:pw@db/p?charset=utf8?read_timeout=9',
          'mysql+pymysql://o:pw@db/p?charset=utf8;read_timeout=9',
          'mysql+pymysql://o:pw@db/p?charset=utf8&amp;read_timeout=9',
          'mysql+pymysql://o:pw@db/p??charset=utf8',
          'mysql+pymysql://o:pw@db/p?charset=utf8&charset=utf8mb4',
          'mysql+pymysql://o:pw@db/p?charset=utf-8',
          'mysql+pymysql://o:pw@db/p?charset=nonsense',
          'mysql+pymysql://o:pw@db/p?port=3306',
          'mysql+pymysql://o:pw@db/p?use_unicode=maybe',
          'mysql+mysqldb://o:pw@db/p?local_infile=2',
          'mysql+pymysql://o:pw@db1:3306,db2:3306/p',
          'mysql+pymysql://o:pw@db1:3306, db2:3306/p',
          'mysql+pymysql://o:pw@[fd00::1]:3306,[fd00::2]:3306/p',
          'postgresql://o:pw@db1:5432,db2:5432/p',
          'mysql+pymysql://o:pw@fd00::1/p', 'mysql+pymysql://fd00::1:3306/p',
          'postgresql://o:pw@2001:db8:0:0:0:0:0:1:15432/p',
          'mysql+pymysql://o:pw@[fd00::1/p', 'mysql+pymysql://o:pw@fd00::1]/p',
          'mysql+pymysql://o:pw@db/p?chraset=utf8',
          'mysql+pymysql://o:pw@db/p?ssl=true',
          'mysql+pymysql://o:pw@db/p?sslmode=require',
          'mysql+pymysql://o:pw@db/p?connect_timeout=soon',
          'mysql+pymysql://o:pw@db/p?connect_timeout=0',
          'mysql+mysqldb://o:pw@db/p?ssl_verify_cert=true',
          'postgresql+psycopg2://o:pw@db/p?charset=utf8',
          'postgresql+psycopg://o:pw@db/p?ssl_ca=/x',
          'postgresql://o:pw@db/p?connect_timeout=never',
          'mysql+pymysql://o:p%E2%82%AC@db/p',
          'mysql+pymysql://o:pw@db1,db2/p',
          'mysql+pymysql://o:pw@/p?host=db1&host=db2',
          'postgresql://o:pw@/p?host=db1&host=db2&port=5432',
          'postgresql://o:pw@db/p?sslmode=on')),

    Case('persistence-unset', '[task_flow]\njobboard_enabled = true§\n'
         'jobboard_backend_hosts = 10.0.0.1\n'),
    *(Case('persistence-unset', f'persistence_connection = {url}§\n')
      for url in ('sqlite://', 'sqlite:///', 'sqlite:///:memory:',
                  'memory://')),
    Case('persistence-sqlite', 'persistence_connection = '
         'sqlite:////var/lib/octavia/persistence.sqlite§\n'),

    *(Case('persistence-shared',
           f'[database]\nconnection = {main}\n[task_flow]\n'
           f'jobboard_enabled = true\njobboard_backend_hosts = 10.0.0.1\n'
           f'persistence_connection = {url}§\n', also=also)
      for main, url, also in (
          ('mysql+pymysql://a:x@db/octavia',
           'mysql+pymysql://b:y@db/octavia', ()),
          ('mysql+pymysql://a:x@db/octavia',
           'mysql+pymysql://a:x@db:3306/octavia', ()),
          ('mysql+pymysql://a:x@db:03306/octavia',
           'mysql+pymysql://a:x@DB./octavia', ()),
          ('mysql+mysqldb://a:x@db/octavia',
           'mysql+pymysql://a:x@db/octavia', ()),
          ('mariadb+pymysql://a:x@db/octavia',
           'mysql+pymysql://a:x@db/octavia', ()),
          ('mysql+pymysql://a:x@localhost/octavia',
           'mysql+pymysql://a:x@127.0.0.1/octavia', ()),
          ('mysql+pymysql://a:x@[::1]/octavia',
           'mysql+pymysql://a:x@localhost/octavia', ()),
          ('mysql+pymysql://a:x@localhost/octavia',
           'mysql+pymysql://a:x@/octavia?unix_socket=/run/m.sock', ()),
          ('mysql+pymysql://a:x@db/octavia?charset=utf8&read_timeout=60',
           'mysql+pymysql://a:x@db/octavia?read_timeout=60&charset=utf8',
           ()),
          ('mysql+pymysql://a:x@db/octavia%5Fmain',
           'mysql+pymysql://a:x@db/octavia_main', ()),
          ('mysql+pymysql://a:x@[FD00::1]/octavia',
           'mysql+pymysql://a:x@[fd00::1]/octavia', ()),
          ('mysql+pymysql://a:x@[fd00:0:0::1]/octavia',
           'mysql+pymysql://a:x@[fd00::1]/octavia', ()),
          ('postgresql://a:x@db/octavia',
           'postgresql+psycopg2://a:x@db:5432/octavia', ()),
          ('sqlite:////tmp/x/../octavia.db', 'sqlite:////tmp/octavia.db',
           ('persistence-sqlite',)))),

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

    *(Case('dict-value', f'jobboard_redis_backend_ssl_options = {value}§\n')
      for value in (
          'ssl=True', 'ssl', 'True', 'ssl:True,', 'ssl:True,ssl:False',
          'ssl:maybe', 'ssl:"True"', 'ssl:True,ssl_cert_reqs:None',
          'ssl:True,ssl_cert_reqs:CERT_REQUIRED',
          'ssl:True,ssl_keyfile:None,ssl_cert_reqs:required',
          'ssl:True,ssl_keyfile:/etc/hostname', ':True',
          'ssl:True,ssl_ca_certs:')),
    Case('dict-value', OFF + 'jobboard_redis_backend_ssl_options = ssl§\n'),
    Case('dict-value', SENTINEL
         + 'jobboard_redis_sentinel_ssl_options = ssl:nope§\n'),
    Case('dict-value', ZOOKEEPER
         + 'jobboard_zookeeper_ssl_options = use_ssl:si§\n'),
    Case('dict-value', ZOOKEEPER
         + 'jobboard_zookeeper_ssl_options = use_ssl:1,verify_certs:no!§\n'),
    Case('dict-value', ZOOKEEPER + 'jobboard_zookeeper_ssl_options = '
         'use_ssl:True,certfile:/etc/hostname§\n'),
    Case('dict-value', ETCD
         + 'jobboard_etcd_ssl_options = use_ssl:perhaps§\n'),
    Case('dict-value', ETCD
         + 'jobboard_etcd_ssl_options = use_ssl:True,ca_cert:None§\n'),

    *(Case('dict-unknown-key',
           f'jobboard_redis_backend_ssl_options = {value}§\n')
      for value in ('ssl:True,ca_certs:/x', 'use_ssl:True',
                    'ssl:False,ssl_check_hostname:False')),
    Case('dict-unknown-key', ZOOKEEPER + 'jobboard_zookeeper_ssl_options = '
         'use_ssl:True,ca:/etc/ssl/ca.pem§\n'),
    Case('dict-unknown-key', ETCD + 'jobboard_etcd_ssl_options = '
         'use_ssl:True,verify:False§\n'),

    *(Case('dict-missing-key', ETCD + f'jobboard_etcd_ssl_options ={value}§\n')
      for value in ('', ' ca_cert:/etc/ssl/ca.pem')),
    Case('dict-missing-key', 'jobboard_redis_backend_ssl_options = '
         'ssl_ca_certs:/etc/ssl/ca.pem§\n'),
    *(Case('dict-truthy-string',
           ETCD + f'jobboard_etcd_ssl_options = use_ssl:{value}§\n')
      for value in ('False', 'false', 'no', '0', 'off', 'None')),

    Case('tls-file', 'jobboard_redis_backend_ssl_options = '
         'ssl:True,ssl_ca_certs:/nonexistent/ca.pem§\n'),
    Case('tls-file', ETCD + 'jobboard_etcd_ssl_options = '
         'use_ssl:True,ca_cert:/nonexistent/ca.pem§\n'),
    Case('tls-file', 'persistence_connection = '
         'mysql+pymysql://o:pw@db/p?ssl_ca=/nonexistent/ca.pem§\n'),
    Case('tls-file', 'persistence_connection = '
         'postgresql://o:pw@db/p?sslrootcert=/nonexistent/ca.pem§\n'),

    Case('tls-unverified', 'jobboard_redis_backend_ssl_options = '
         'ssl:True,ssl_cert_reqs:none§\n'),
    Case('tls-unverified', ZOOKEEPER + 'jobboard_zookeeper_ssl_options = '
         'use_ssl:True,verify_certs:False§\n'),
    Case('tls-unverified', ETCD + 'jobboard_etcd_ssl_options = '
         'use_ssl:True,ca_cert:§\n'),
    Case('tls-unverified', 'persistence_connection = '
         'mysql+pymysql://o:pw@db/p?ssl_check_hostname=false§\n'),
    *(Case('tls-unverified', 'persistence_connection = '
           f'mysql+pymysql://o:pw@db/p?{query}§\n')
      for query in (
          'ssl_verify_cert=false', 'ssl_verify_cert=x',
          'ssl_ca=/nonexistent/ca.pem&ssl_verify_cert=true',
          'ssl_ca=/nonexistent/ca.pem&ssl_verify_cert=false',
          'ssl_ca=/nonexistent/ca.pem&ssl_disabled=false',
          'ssl_disabled=no', 'ssl_key=/nonexistent&ssl_verify_identity=1')),
    Case('tls-unverified', 'persistence_connection = '
         'postgresql://o:pw@db/p?sslmode=require§\n'),

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

    Case('expiration-short', 'jobboard_expiration_time = 5§\n'),
    Case('expiration-short', ETCD + 'jobboard_expiration_time = 29§\n'),
    Case('disable-revert', 'disable_revert = true§\n'),
    Case('disable-revert', OFF + 'disable_revert = yes§\n'),

    Case('jobboard-disabled', '[task_flow]\n'
         'jobboard_backend_hosts = 10.0.0.1§\n'),
    Case('jobboard-disabled', '[task_flow]\nmax_workers = 3\n'
         'jobboard_redis_sentinel = mymaster§\n'),

    Case('release', SENTINEL + 'jobboard_redis_sentinel_password = pw§\n',
         release='14.0'),
    Case('release', 'jobboard_redis_backend_db = 1§\n', release='15.0'),
    Case('release', 'jobboard_redis_backend_db = 1§\n', release='2024.2'),
    Case('release', 'jobboard_backend_username = octavia§\n', release='13'),
    Case('release',
         'jobboard_backend_driver = etcd_taskflow_driver§\n'
         'jobboard_backend_port = 2379\n', release='15.0.0'),
    Case('release', '[task_flow]\njobboard_enabled = false§\n',
         release='6.0'),

    Case('waiver-expired', '[octavia_v2_checks]\n'
         'waivers = jobboard.refused until=2020-01-31 reason=moving§\n'
         'waivers = jobboard.timeout until=9999-12-31 reason=moving\n'),
    Case('waiver-unknown', '[octavia_v2_checks]\n'
         'waivers = jobboard.refused until=9999-12-31 reason=moving\n'
         'waivers = jobboard.refusd host=a until=9999-12-31 reason=b§\n'),
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

#: Fragments about which there is nothing to say at all; the id is the one
#: that a hasty rule would report.
ABSENT = [
    Case('waiver-expired', '[octavia_v2_checks]\nwaivers = jobboard.refused '
         'until=9999-12-31 reason=never opened\nwaivers =\n'),
    Case('waiver-unknown', '[octavia_v2_checks]\n'
         'waivers = jobboard.refused until=9999-12-31 reason=a\n'
         'waivers = acme.host until=9999-12-31 reason=of another package\n'),
    Case('parse-error', '# comment\n; comment\n[task_flow]\n\n'
         'jobboard_enabled: true\njobboard_backend_hosts = 10.0.0.1,\n'
         '  \n\t# not a comment, but after a blank line\n'
         .replace('\t#', '#')
         + 'persistence_connection = mysql+pymysql://o:pw@db/p\n'),
    Case('encoding', '# für später\n[task_flow]\nengine = serial\n'),
    Case('unknown-option', '[DEFAULT]\nsomething = 1\n[whatever]\nx = 1\n'),
    Case('unknown-option', '[nova]\nengine = x\nmax_workers = x\n'),
    Case('unknown-option', 'engine = serial\n',
         environ={'OS_TASK_FLOW__MAX_WORKERS': '2', 'OS_OTHER__X': '1',
                  'OS_TASK_FLOW': 'x'}),
    Case('misplaced-option', '[TASK_FLOW]\nengine = serial\n'),
    Case('misplaced-option', '[Task_Flow]\nengine = serial\n'),
    Case('misplaced-option', '[workers]\nmax_workers = 5\n'),
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
    Case('duplicate-option', '[task_flow]\nengine = serial\n'
         '[other]\nengine = serial\n'),
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
    Case('env-override', 'max_workers = 3\n',
         environ={'OS_TASK_FLOW__ENGINE': 'serial'}),
    Case('env-override', 'engine = serial\n',
         environ={'OS_TASK_FLOW__ENGINE': 'serial'}),
    *(Case('persistence-url', f'persistence_connection = {url}\n')
      for url in (
          'mysql+pymysql://o:p%40ss@db/p', 'mysql+pymysql://o@db/p',
          'mysql+pymysql://o:p:w@db:3306/p', 'mysql+pymysql://o:p+w%%@db/p',
          'mysql+pymysql://o:pw@[fd00::1]:3306/p',
          'mysql+pymysql://o@tenant:pw@db/p',
          'mysql+pymysql://o:pw@/p?unix_socket=/run/mysqld/mysqld.sock',
          'mysql+pymysql://o:pw@db/octavia-persistence',
          'mysql+pymysql://o:pw@db/p?charset=utf8mb4&read_timeout=60',
          'mysql+pymysql://o:pw@db/p?charset=GBK',
          'mysql+pymysql://o:pw@db/p?init_command=SET%20a=1;SET%20b=2',
          'postgresql://o:pw@db/p?options=-c%20lock_timeout=9',
          'mysql+mysqldb://o:pw@db/p?charset=anything',
          'mysql+pymysql://o:pw@db/p?plugin=dbcounter',
          'mysql+mysqldb://o:pw@db/p?ssl_mode=REQUIRED',
          'mysql+mysqlconnector://o:pw@db/p?whatever=1',
          'postgresql://o:pw@db/p', 'postgresql+psycopg2://o:pw@db/p',
          'postgresql+psycopg://o:pw@db/p?connect_timeout=5',
          'postgresql://o:pw@/p?host=/var/run/postgresql',
          'postgresql://o:p%E2%82%AC@db/p', 'mysql+pymysql://o:p%C3%A4@db/p',
          'postgresql://o:pw@/p?host=db1:5432&host=db2:5432',
          'postgresql://o:pw@/p?host=db1,db2&port=5432,5432',
          'postgresql://o:pw@db1,db2:5433/p',
          'postgresql+pg8000://o:pw@db/p')),
    Case('persistence-url', OFF + 'persistence_connection = nonsense\n'),
    Case('persistence-unset', '[task_flow]\njobboard_enabled = false\n'),
    Case('persistence-unset', '[task_flow]\nengine = serial\n'),
    Case('persistence-sqlite',
         OFF + 'persistence_connection = sqlite:////tmp/a.sqlite\n'),
    *(Case('persistence-shared',
           f'[database]\nconnection = {main}\n[task_flow]\n'
           f'jobboard_enabled = true\njobboard_backend_hosts = 10.0.0.1\n'
           f'persistence_connection = {url}\n')
      for main, url in (
          ('mysql+pymysql://a:x@db/octavia',
           'mysql+pymysql://a:x@db/octavia_persistence'),
          ('mysql+pymysql://a:x@db1/octavia',
           'mysql+pymysql://a:x@db2/octavia'),
          ('mysql+pymysql://a:x@db/octavia',
           'mysql+pymysql://a:x@db:3307/octavia'),
          ('mysql+pymysql://a:x@db/octavia',
           'postgresql://a:x@db/octavia'),
          ('mysql+pymysql://a:x@db/Octavia',
           'mysql+pymysql://a:x@db/octavia'))),
    Case('persistence-shared',
         '[database]\nconnection = mysql+pymysql://a:x@db/octavia\n'
         '[task_flow]\njobboard_enabled = false\n'
         'persistence_connection = mysql+pymysql://a:x@db/octavia\n'),
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
    *(Case('dict-value', f'jobboard_redis_backend_ssl_options = {value}\n')
      for value in ('', 'ssl:False', 'ssl:false,ssl_keyfile:None',
                    'ssl:no,ssl_cert_reqs:None', 'ssl:True',
                    'ssl:yes,ssl_cert_reqs:required,ssl_keyfile:')),
    Case('dict-value', ZOOKEEPER + 'jobboard_zookeeper_ssl_options = '
         'use_ssl:False,verify_certs:True\n'),
    Case('dict-unknown-key', OFF
         + 'jobboard_redis_backend_ssl_options = ca_certs:/x\n'),
    Case('dict-missing-key', ETCD + 'jobboard_etcd_ssl_options = use_ssl:\n'),
    Case('dict-missing-key',
         OFF + 'jobboard_etcd_ssl_options = ca_cert:/x\n'),
    Case('dict-missing-key', 'jobboard_redis_backend_ssl_options = '
         'ssl_cert_reqs:required\n'),
    Case('dict-truthy-string', ETCD
         + 'jobboard_etcd_ssl_options = use_ssl:True\n'),
    Case('dict-truthy-string', OFF
         + 'jobboard_etcd_ssl_options = use_ssl:False\n'),
    Case('tls-file', 'jobboard_redis_backend_ssl_options = '
         'ssl:False,ssl_ca_certs:/nonexistent/ca.pem\n'),
    Case('tls-file', 'persistence_connection = postgresql://o:pw@db/p'
         '?sslmode=disable&sslrootcert=/nonexistent/ca.pem\n'),
    Case('tls-file', 'persistence_connection = postgresql://o:pw@db/p'
         '?sslmode=verify-full&sslrootcert=system\n'),
    Case('tls-unverified', 'jobboard_redis_backend_ssl_options = '
         'ssl:False,ssl_cert_reqs:none\n'),
    Case('tls-unverified', ZOOKEEPER + 'jobboard_zookeeper_ssl_options = '
         'use_ssl:True,verify_certs:True\n'),
    Case('tls-unverified', 'persistence_connection = '
         'mysql+pymysql://o:pw@db/p?ssl_disabled=true\n'),
    # The trust store of the system has its authority.
    Case('tls-unverified', 'persistence_connection = '
         'mysql+pymysql://o:pw@db/p?ssl_verify_cert=true\n'),
    Case('ignored-option', 'jobboard_backend_password = pw\n'
         'jobboard_redis_backend_db = 2\n'),
    Case('ignored-option', OFF + 'jobboard_etcd_timeout = 5\n'),
    Case('ignored-option', ZOOKEEPER + 'jobboard_expiration_time = 30\n'),
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
    Case('release', 'jobboard_redis_backend_db = 1\n', release='16.0'),
    Case('release', 'jobboard_redis_backend_db = 1\n', release='2025.1'),
    Case('invalid-value', OFF + 'jobboard_etcd_timeout = None\n',
         release='15.0'),
    Case('release', OFF + 'jobboard_etcd_timeout = 5\n', release='15.0'),
]

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

"""TLS, of the jobboard and of the persistence database."""

from tests.unit.fragments import Case
from tests.unit.fragments import ETCD
from tests.unit.fragments import OFF
from tests.unit.fragments import SENTINEL
from tests.unit.fragments import ZOOKEEPER

PRESENT = [
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
]

ABSENT = [
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
]

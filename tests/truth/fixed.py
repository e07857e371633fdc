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


"""Cases that every run of the tests judges."""

#: Systems of each kind, and one fault of each sort.
_SYSTEMS = [
    'mariadb/redis', 'postgresql/redis-acl', 'sqlite/redis-password',
    'mariadb-tls-client/redis-tls-client', 'mariadb/sentinel-acl',
    'postgresql-tls-client/sentinel-tls-client', 'mariadb/zookeeper',
    'mariadb/zookeeper-tls-client', 'mariadb/etcd', 'mariadb/etcd-tls-client',
    'mariadb-reader/redis', 'mariadb-empty/redis', 'mariadb-behind/redis',
    'postgresql-read-only/etcd', 'mariadb/redis-reader', 'mariadb/redis-full',
    'mariadb/redis-tls-no-certificate', 'mariadb/zookeeper-as-installed',
    'mariadb/zookeeper-no-jobs', 'mariadb/etcd-login',
    'mariadb/redis/enabled=false', 'mariadb/redis/engine=misspelt',
    'mariadb/redis/backend_password=wrong',
    'mariadb/redis/backend_port=closed/persistence_connection=closed port',
    'mariadb/etcd/etcd_ssl_options=off',
]

#: Those whose verdict was wrong once, each from the day it was put right. A
#: server has one case at a time, so they are spread over databases.
_ONCE_WRONG = [
    # Read by no driver for etcd, and octavia-worker ends at start-up.
    'postgresql/etcd/backend_password=substituted',
    # A worker needs two.
    'mariadb-one-connection/redis', 'postgresql-one-connection/redis',
    # A line break, which ZooKeeper takes in no path.
    'sqlite/zookeeper/backend_namespace@continued',
    # No number, with which the drill itself failed.
    'mariadb/redis/expiration_time=empty',
    # No lease lasts so long.
    'postgresql/etcd/expiration_time=longest',
    'sqlite/redis-password/expiration_time~100000000000000',
    # Written as latin-1 and read as UTF-8.
    'sqlite/etcd/backend_namespace=unicode',
    # The drill lost itself in its own namespace.
    'postgresql/redis/backend_namespace=dollars',
    # It was taken for a placeholder.
    'sqlite/redis/backend_namespace=longer',
    # Octavia 14 has no such option, and uses number 0.
    'mariadb/redis/redis_backend_db~10501',
    # The reason for being strict had lost its words.
    'sqlite/zookeeper/backend_hosts~127.00.0.1',
    # libpq takes it for no limit.
    'postgresql/redis/persistence_connection=time-out zero',
    # PyMySQL takes a year at most, and our own limit took its place.
    'mariadb/redis/persistence_connection=time-out of years',
    # They had no reason for being strict.
    'postgresql/etcd/backend_namespace=empty',
    'sqlite/sentinel/redis_backend_ssl_options@half-quoted',
    'postgresql/zookeeper/zookeeper_ssl_options@semicolon',
]

CASES = _SYSTEMS + _ONCE_WRONG

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

"""Findings about the persistence database and the account that uses it."""

from octavia_v2_checks.catalogue import Entry

_STOPS = ('Workers cannot record flows: every load balancer that is created, '
          'changed or deleted ends in ERROR or stays in PENDING.')

ENTRIES = [
    Entry('persistence.driver-missing', 'FAILURE',
          'The Python driver named in persistence_connection is not '
          'installed.',
          'A worker in this environment stops at start-up. If the command '
          'runs on another host than the workers, nothing was checked here.',
          'Install the driver in the environment of Octavia, such as "pip '
          'install \'PyMySQL[rsa]\'", or correct the driver in the URL.'),
    Entry('persistence.wrong-protocol', 'FAILURE',
          'Something other than the database answers at its address.',
          _STOPS,
          'Correct the host, port and dialect of [task_flow] '
          'persistence_connection: MySQL and MariaDB usually listen on 3306, '
          'PostgreSQL on 5432.'),
    Entry('persistence.unresolvable', 'FAILURE',
          'The host name in persistence_connection does not resolve.',
          _STOPS,
          'Correct the host in [task_flow] persistence_connection, or its '
          'record in DNS or /etc/hosts.'),
    Entry('persistence.refused', 'FAILURE',
          'Nothing accepts connections at the address of the database.',
          _STOPS + ' Octavia itself needs more than eight minutes to report '
                   'this.',
          'Start the database server, or correct host and port in '
          '[task_flow] persistence_connection; check that it listens on that '
          'address and not on 127.0.0.1 alone, and look for a firewall or a '
          'proxy without a live server in between.'),
    Entry('persistence.timeout', 'FAILURE',
          'The database server does not answer in time.',
          'Workers wait without a limit for a server that accepts the '
          'connection and stays silent.',
          'Check the load of the server, firewalls that drop packets, and '
          'proxies in between, then try again; --probe-timeout allows more '
          'time.'),
    Entry('persistence.tls', 'FAILURE',
          'The encrypted connection to the database fails.',
          _STOPS,
          'Make the TLS parameters of persistence_connection (ssl_ca, '
          'ssl_cert and ssl_key, or sslmode and sslrootcert) fit the '
          'certificate of the server.'),
    Entry('persistence.access-denied', 'FAILURE',
          'The server refuses the account: wrong user name or password, or '
          'not allowed from this host.',
          _STOPS,
          'As an administrator of the database server, set the password of '
          'the account to the one in [task_flow] persistence_connection, or '
          'correct the URL; write @ : / % # in it as %40 %3A %2F %25 %23. '
          'MariaDB refuses an account that must use TLS in the same way: add '
          'ssl_ca to the URL.'),
    Entry('persistence.password-expired', 'FAILURE',
          'The password of the account has expired.',
          'The server lets the account log in and refuses every statement '
          '(error 1820), or refuses the login itself. ' + _STOPS,
          'As an administrator of the database server, set the password '
          'again, to the same text as in persistence_connection: ALTER USER '
          '\'USER\'@\'HOST\' IDENTIFIED BY \'PASSWORD\' PASSWORD EXPIRE '
          'NEVER; PASSWORD EXPIRE NEVER alone does not reactivate the '
          'password, and without it the new one expires again.'),
    Entry('persistence.unknown-database', 'FAILURE',
          'The database named in persistence_connection does not exist.',
          _STOPS,
          'If the name in the URL is right, create the database as an '
          'administrator of the server, grant the account privileges on it, '
          'and run octavia-db-manage upgrade_persistence.'),
    Entry('persistence.too-many-connections', 'FAILURE',
          'The server, or the account, has no connection left, or too few '
          'for one worker.',
          'Workers fail at random, whenever no connection is left. TaskFlow '
          'does not retry.',
          'Raise max_connections of the server or MAX_USER_CONNECTIONS of '
          'the account; each worker process holds up to [database] '
          'max_pool_size + max_overflow connections.'),
    Entry('persistence.member-down', 'WARNING',
          'One of several hosts in persistence_connection cannot be used.',
          'Workers find another host for now, after the driver gives up on '
          'this one. After the next failure they may not.',
          'Start that server, or remove it from [task_flow] '
          'persistence_connection; connect_timeout=2 in the URL makes the '
          'driver give up sooner.'),
    Entry('persistence.locked', 'FAILURE',
          'The server answers, but a lock keeps a query waiting.',
          'A backup (FLUSH TABLES WITH READ LOCK), a schema change or a '
          'forgotten session holds the lock. Workers wait as long as it is '
          'held, and their load balancers stay in PENDING. A migration would '
          'wait behind it, and every worker behind the migration.',
          'Find what holds the lock, and wait for it or end it. On MySQL and '
          'MariaDB: SHOW FULL PROCESSLIST, then KILL with its id; on '
          'PostgreSQL: SELECT pid, pg_blocking_pids(pid), query FROM '
          'pg_stat_activity, then pg_terminate_backend(). Other accounts are '
          'shown only to an administrator.'),
    Entry('persistence.not-writable', 'FAILURE',
          'The server answers, but does not accept writes.',
          _STOPS + ' A check that only connects does not notice.',
          'Point persistence_connection to the primary, or make this server '
          'writable again.'),
    Entry('persistence.missing-privileges', 'FAILURE',
          'The account may not read and write the tables of the persistence '
          'database.',
          _STOPS + ' The first install guides granted privileges on octavia.* '
          'to a user octavia_persistence: database and user were swapped.',
          'As an administrator of the database server, grant SELECT, INSERT, '
          'UPDATE and DELETE on the persistence database to the account in '
          'persistence_connection.'),
    Entry('persistence.server-old', 'WARNING',
          'The database server is older than the releases that current '
          'libraries are tested with.',
          'JSON functions, which are used to examine interrupted flows, were '
          'added in MySQL 5.7.8, MariaDB 10.2.3 and PostgreSQL 9.5.',
          'Upgrade the database server.'),
    Entry('persistence.undetermined', 'FAILURE',
          'The state of the persistence database could not be determined.',
          'Nothing is known about it, so the upgrade is not safe.',
          'Connect with the account in persistence_connection manually, and '
          'fix what the database client reports.'),
]

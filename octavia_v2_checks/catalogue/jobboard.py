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

"""Findings about the jobboard: its servers, its client, and the login."""

from octavia_v2_checks.catalogue import Entry

_STOPS = ('Workers can neither post a job nor claim one: every load balancer '
          'that is created, changed or deleted stays in PENDING or ends in '
          'ERROR.')

_SERVER_OPTIONS = ('jobboard_backend_driver, jobboard_backend_hosts and '
                   'jobboard_backend_port in [task_flow]')

ENTRIES = [
    Entry('jobboard.client-missing', 'FAILURE',
          'The Python client of the jobboard server is not installed.',
          'A worker in this environment stops at its first request, with a '
          'message that looks like a broken connection. If the command runs '
          'on another host than the workers, run it there too.',
          "Install it in the environment of Octavia: pip install "
          "'octavia-v2-checks[redis]', [zookeeper] or [etcd]."),
    Entry('jobboard.client-old', 'FAILURE',
          'The release of the Python client is not supported by the installed '
          'TaskFlow.',
          'TaskFlow uses names and arguments that only newer clients have. A '
          'worker stops when it first imports or calls them. Octavia\'s own '
          'requirement is looser and does not prevent it.',
          'Install the release that the extra of TaskFlow requires, such as '
          "pip install 'redis>=8.0.0'."),
    Entry('jobboard.client-broken', 'FAILURE',
          'The release of the Python client does not work with this '
          'configuration.',
          _STOPS,
          'Install another release of the client in the environment of '
          'Octavia, such as "pip install \'kazoo<2.11.0\'" for ZooKeeper with '
          'TLS.'),
    Entry('jobboard.client-fails', 'FAILURE',
          'The jobboard server works, but the client of the workers cannot '
          'use it in this configuration.',
          _STOPS + ' The exception in the message also appears in the log of '
          'octavia-worker. TaskFlow before 6.0.0, for example, raises a '
          'TypeError with Sentinels if TLS is off and the TLS options contain '
          'more than ssl.',
          'Install the release of TaskFlow or of the client that is named, '
          'on every controller, or change the option that is named.'),
    Entry('jobboard.unresolvable', 'FAILURE',
          'A host name of the jobboard does not resolve.',
          _STOPS,
          'Correct jobboard_backend_hosts in [task_flow], or the record of '
          'the name in DNS or /etc/hosts.'),
    Entry('jobboard.refused', 'FAILURE',
          'The jobboard server refuses connections, or drops them at once.',
          _STOPS,
          'Start the server, or correct ' + _SERVER_OPTIONS + '; check that '
          'it listens on that address and not on 127.0.0.1 alone, and look '
          'for a firewall or a proxy without a live server behind it.'),
    Entry('jobboard.timeout', 'FAILURE',
          'The jobboard server does not answer in time.',
          _STOPS + ' Most clients wait a minute or longer for a silent '
          'server, and the client of etcd waits without a limit.',
          'Check the load of the server and firewalls that drop packets, '
          'then try again; --probe-timeout allows more time.'),
    Entry('jobboard.tls', 'FAILURE',
          'The encrypted connection to the jobboard server fails.',
          _STOPS,
          'Make the TLS options of the driver (*_ssl_options in [task_flow]) '
          'fit the server: its certificate authority, the name in its '
          'certificate, and the client certificate that it may require.'),
    Entry('jobboard.auth-required', 'FAILURE',
          'The jobboard server requires authentication, and no credentials '
          'are configured.',
          _STOPS,
          'Set jobboard_backend_password in [task_flow] (for Sentinels '
          'jobboard_redis_sentinel_password), and the user name where the '
          'server has ACL users.'),
    Entry('jobboard.access-denied', 'FAILURE',
          'The jobboard server refuses the credentials.',
          _STOPS + ' The client retries for seconds, so it looks like a slow '
          'network.',
          'Set the password of the account and the one in [task_flow] to the '
          'same text; write $ in octavia.conf as $$. Where Redis has no ACL '
          'users, delete jobboard_backend_username.'),
    Entry('jobboard.auth-unsupported', 'FAILURE',
          'The jobboard server requires authentication that Octavia cannot '
          'provide.',
          'Octavia authenticates to Redis only. It sends no user and no '
          'password to ZooKeeper and etcd, so these must serve it without.',
          'Configure the server to accept the controllers without a password, '
          'and protect it with TLS client certificates or by the network; or '
          'use Redis.'),
    Entry('jobboard.missing-permission', 'FAILURE',
          'The account may log in, but lacks a permission that a worker '
          'needs.',
          'Workers connect and look healthy. The first job that is posted, '
          'claimed or finished then fails, and its load balancer stays in '
          'PENDING. Where only reading the list is forbidden, workers '
          'silently see no jobs at all.',
          'As an administrator of the server, grant what is missing. On '
          'Redis use ACL SETUSER on every server, and keep the change with '
          'ACL SAVE (where aclfile is set) or CONFIG REWRITE; on ZooKeeper '
          'set the ACL of the path with setAcl in zkCli.sh.'),
    Entry('jobboard.wrong-protocol', 'FAILURE',
          'Another kind of server answers where the jobboard was expected.',
          _STOPS,
          'Make ' + _SERVER_OPTIONS + ' belong to the same server, with TLS '
          'on both sides or on neither.'),
    Entry('jobboard.is-sentinel', 'FAILURE',
          'The server is a Redis Sentinel, and jobboard_redis_sentinel is '
          'not set.',
          'A Sentinel knows where Redis is but holds no data. A worker '
          'connects, and fails at its first job.',
          'Set jobboard_redis_sentinel in [task_flow] to the name of the '
          'master, or hosts and port to those of Redis itself.'),
    Entry('jobboard.replica', 'FAILURE',
          'The Redis server is a replica.',
          'A replica refuses writes, or loses them when it next synchronises '
          'with its master. A worker connects, and fails at its first job.',
          'Name the master in jobboard_backend_hosts and '
          'jobboard_backend_port, or use Sentinel, which finds it after a '
          'failover too.'),
    Entry('jobboard.loading', 'FAILURE',
          'The Redis server is still reading its data from disk.',
          'It refuses every command until it has finished.',
          'Wait until the server has read its data, and run the check '
          'again.'),
    Entry('jobboard.unknown-database', 'FAILURE',
          'The Redis database number does not exist on the server.',
          'Redis has as many numbered databases as its "databases" setting '
          'says, usually 16, and refuses others. ' + _STOPS,
          'Set jobboard_redis_backend_db in [task_flow] to 0, or raise '
          '"databases" in redis.conf and restart Redis.'),
    Entry('jobboard.not-writable', 'FAILURE',
          'The jobboard server answers, but does not accept writes.',
          'Workers connect and look healthy, and fail at their first job.',
          'Find the cause in the log of the server: a full disk, missing '
          'replicas or members. For Redis, INFO persistence and INFO '
          'replication name it.'),
    Entry('jobboard.out-of-memory', 'FAILURE',
          'The Redis server has used up its memory limit.',
          'It refuses every command that could use more. Workers connect and '
          'look healthy, and fail at their first job.',
          'As an administrator, raise maxmemory with CONFIG SET and in '
          'redis.conf, or remove what fills the server.'),
    Entry('jobboard.out-of-space', 'FAILURE',
          'The etcd server has used up its space and raised an alarm.',
          'It refuses every write until the alarm is disarmed manually.',
          'With etcdctl: compact the current revision, defrag every member, '
          'then alarm disarm, in this order; and raise '
          '--quota-backend-bytes.'),
    Entry('jobboard.cluster-mode', 'FAILURE',
          'The server is a Redis Cluster.',
          'TaskFlow uses several keys in one script, and a cluster refuses '
          'that when they belong to different slots. Jobs can be posted, but '
          'no worker can ever claim one.',
          'Use a Redis server with "cluster-enabled no", alone or with '
          'Sentinels.'),
    Entry('jobboard.sentinel-unknown-master', 'FAILURE',
          'The Sentinels know no usable master of the configured name.',
          _STOPS,
          'Set jobboard_redis_sentinel in [task_flow] to the name in '
          '"sentinel monitor" of sentinel.conf; if it is right, bring the '
          'master back.'),
    Entry('jobboard.sentinel-address', 'FAILURE',
          'The Sentinels announce an address at which this host does not '
          'find the master.',
          'A worker asks a Sentinel where the master is, and connects to the '
          'answer. 127.0.0.1 is then the controller itself, where another '
          'Redis may answer and take the jobs; an address inside a container '
          'network leads nowhere. jobboard_backend_hosts is not the cause.',
          'On every Sentinel host, write the address that controllers reach '
          'into "sentinel monitor" of sentinel.conf (at run time: SENTINEL '
          'REMOVE and SENTINEL MONITOR), and set replica-announce-ip in '
          'redis.conf of every Redis server that is behind address '
          'translation. For names instead of addresses, set sentinel '
          'resolve-hostnames and announce-hostnames to yes.'),
    Entry('jobboard.sentinel-quorum', 'WARNING',
          'The Sentinels could not carry out a failover, or do not agree.',
          'The jobboard works today. When the master fails, nothing replaces '
          'it, or workers are sent to different servers.',
          'Start the Sentinels that are missing, make all of them monitor '
          'the same master, and set the quorum to the majority of their '
          'number.'),
    Entry('jobboard.no-quorum', 'FAILURE',
          'The members of the jobboard cannot agree on a leader.',
          _STOPS,
          'Start the missing members: more than half of them must reach each '
          'other.'),
    Entry('jobboard.split-ensemble', 'FAILURE',
          'The ZooKeeper servers do not belong to one ensemble.',
          'Each keeps separate jobs. A worker that is connected to one never '
          'sees the jobs on the others, and their load balancers stay in '
          'PENDING.',
          'Write the same server.N lines into zoo.cfg of every member, a '
          'myid file for each, and restart them; or name one server only in '
          'jobboard_backend_hosts.'),
    Entry('jobboard.gateway-off', 'FAILURE',
          'etcd runs without its gRPC gateway.',
          'Octavia speaks JSON over HTTP to etcd, which only the gateway '
          'answers. /version still works, so etcd looks healthy; every '
          'request for a job gets 404. jobboard_etcd_api_path is not the '
          'cause.',
          'Start every member with --enable-grpc-gateway=true. Where etcd '
          'reads a configuration file, write "enable-grpc-gateway: true" '
          'into it: without the line the gateway is off, whatever the '
          'default on the command line is. Restart the members one by one.'),
    Entry('jobboard.version-hidden', 'FAILURE',
          'ZooKeeper does not reveal its version.',
          'TaskFlow sends the four-letter word envi and refuses to connect '
          'without an answer. ZooKeeper 3.5.3 and later answer only srvr '
          'by default. It looks like a broken network.',
          'Add envi to 4lw.commands.whitelist in zoo.cfg of every member; '
          'where there is no such line yet, add '
          '4lw.commands.whitelist=srvr,envi. Restart the members one by '
          'one.'),
    Entry('jobboard.member-down', 'WARNING',
          'One of several jobboard servers does not answer.',
          'The jobboard works for now, but may not after the next failure.',
          'Start that server, or remove it from jobboard_backend_hosts.'),
    Entry('jobboard.not-durable', 'WARNING',
          'Redis keeps the jobs in memory only.',
          'When Redis restarts, all jobs are gone. The flows behind them '
          'remain unfinished, no worker looks at them again, and their load '
          'balancers stay in PENDING for good.',
          'As an administrator, enable the append-only file on the master '
          'and every replica: CONFIG SET appendonly yes, and "appendonly '
          'yes" in redis.conf.'),
    Entry('jobboard.eviction', 'FAILURE',
          'Redis may evict jobs or claims when its memory is full.',
          'An evicted job leaves its load balancer in PENDING for good; an '
          'evicted claim lets a second worker run the same flow.',
          'As an administrator, set maxmemory-policy to noeviction with '
          'CONFIG SET and in redis.conf, on the master and every replica.'),
    Entry('jobboard.environment', 'WARNING',
          'An environment variable changes how the client connects.',
          'The check and the services behave differently unless both are '
          'started with the same environment.',
          'Unset the variable, or set it for every Octavia service too.'),
    Entry('jobboard.server-old', 'FAILURE',
          'The jobboard server is older than TaskFlow and its client '
          'require.',
          _STOPS,
          'Upgrade the server.'),
    Entry('jobboard.undetermined', 'FAILURE',
          'The state of the jobboard could not be determined.',
          'Nothing is known about it, so the upgrade is not safe.',
          'Connect to the server manually with the same credentials, and fix '
          'what it reports.'),
]

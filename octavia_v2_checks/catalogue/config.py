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

"""Findings of the ``config`` check: mistakes in the configuration files."""

from octavia_v2_checks.catalogue import Entry

ENTRIES = [
    Entry(
        'config.parse-error', 'FAILURE',
        'A configuration file has a line that oslo.config cannot parse, is '
        'not a text file, or is larger than 16 MiB.',
        'Every Octavia service that reads the file fails to start.',
        'Fix the line: [section] on a separate line, options as "name = '
        'value" from the first column, continuation lines indented. If the '
        'file is something else, name the configuration file instead.'),
    Entry(
        'config.encoding', 'FAILURE',
        'A configuration file or variable is not plain UTF-8.',
        'oslo.config reads UTF-8 without a byte order mark. Every Octavia '
        'service that reads the file fails to start; a value from such a '
        'variable cannot be sent to a server.',
        'Save the file as UTF-8 without a byte order mark; iconv converts '
        'from another encoding, such as iconv -f latin1 -t utf-8.'),
    Entry(
        'config.unknown-option', 'FAILURE',
        'Octavia does not know an option or section.',
        'Octavia silently ignores it and uses the default instead.',
        'Correct the name, or delete the line.'),
    Entry(
        'config.misplaced-option', 'FAILURE',
        'An option of [task_flow] is in another section.',
        'Octavia reads it only from [task_flow] and uses the default instead.',
        'Move the line to section [task_flow].'),
    Entry(
        'config.invalid-value', 'FAILURE',
        'An option has a value that Octavia cannot use.',
        'oslo.config checks a value only when a service first reads it. A '
        'worker then stops, or fails its first request.',
        'Write a value that the option accepts, or delete the line to leave '
        'the option unset.'),
    Entry(
        'config.duplicate-option', 'WARNING',
        'An option is set twice in one file.',
        'Octavia uses the last value. Editing the first one has no effect.',
        'Delete the line that is not intended.'),
    Entry(
        'config.half-quoted', 'FAILURE',
        'A value has a quotation mark at one end only.',
        'oslo.config removes a matching pair of quotation marks. A single one '
        'becomes part of the value.',
        'Delete the quotation mark, or write one at both ends.'),
    Entry(
        'config.inline-comment', 'FAILURE',
        'A value is followed by a comment on the same line.',
        'oslo.config supports comments only on separate lines. The comment '
        'becomes part of the value.',
        'Move the comment to a separate line, with # in the first column.'),
    Entry(
        'config.substitution', 'FAILURE',
        'A value has a $ that does not resolve.',
        'oslo.config replaces $name with the value of another option, and '
        'raises an error when a service first reads the option.',
        'Write $$ for a literal $; in a database URL, %24.'),
    Entry(
        'config.placeholder', 'FAILURE',
        'A value is a placeholder of a guide or template.',
        'Octavia uses it as it is: it logs in with a wrong password, or '
        'resolves a host name that does not exist.',
        'Replace it with the real value, or delete the line to leave the '
        'option unset.'),
    Entry(
        'config.env-override', 'WARNING',
        'An environment variable overrides the configuration files.',
        'This check and a service see different values unless both are '
        'started with the same environment.',
        'Unset the variable, or set it for every Octavia service too.'),
    Entry(
        'config.persistence-url', 'FAILURE',
        'persistence_connection is not a URL that Octavia can use.',
        'Without the persistence database a worker can neither begin nor '
        'resume a flow.',
        'Write persistence_connection as mysql+pymysql://USER:PASSWORD@HOST/'
        'DATABASE with special characters of the password percent-encoded.'),
    Entry(
        'config.persistence-unset', 'FAILURE',
        'The jobboard is on and the persistence database is in memory.',
        'Each process then has a separate database. A worker that takes over '
        'a job finds no logbook, discards the job, and the load balancer '
        'stays in PENDING for good.',
        'Set [task_flow] persistence_connection to a database that all '
        'controllers reach, such as '
        'mysql+pymysql://USER:PASSWORD@HOST/octavia_persistence, and run '
        'octavia-db-manage upgrade_persistence. "octavia-v2-checks sample '
        '--provision" prints the SQL that creates it.'),
    Entry(
        'config.persistence-sqlite', 'WARNING',
        'The persistence database is an SQLite file.',
        'Only processes on this machine see it, and they lock each other '
        'out. A worker on another controller cannot resume a flow.',
        'Set [task_flow] persistence_connection to a MySQL, MariaDB or '
        'PostgreSQL database, and run octavia-db-manage '
        'upgrade_persistence.'),
    Entry(
        'config.persistence-shared', 'FAILURE',
        'Persistence and Octavia itself use the same database.',
        'TaskFlow and Octavia both keep their schema revision in a table '
        'named alembic_version. Whichever migrates second fails with '
        '"Can\'t locate revision".',
        'Create a separate database, such as octavia_persistence, grant the '
        'account privileges on it, name it in [task_flow] '
        'persistence_connection, and run octavia-db-manage '
        'upgrade_persistence.'),
    Entry(
        'config.port-mismatch', 'FAILURE',
        'jobboard_backend_port belongs to another kind of server.',
        'A worker speaks the wrong protocol to whatever listens there and '
        'cannot use the jobboard.',
        'Set [task_flow] jobboard_backend_port to the port of the jobboard '
        'servers: usually 6379 for Redis, 26379 for Sentinels, 2181 for '
        'ZooKeeper, 2379 for etcd.'),
    Entry(
        'config.hosts-empty', 'FAILURE',
        'jobboard_backend_hosts names no host.',
        'A worker stops with an IndexError, or has nothing to connect to.',
        'Set [task_flow] jobboard_backend_hosts to the names or addresses of '
        'the jobboard servers, separated by commas.'),
    Entry(
        'config.host-invalid', 'FAILURE',
        'An entry of jobboard_backend_hosts is not just a host name.',
        'Octavia appends the port itself and resolves the entry as a host '
        'name, which does not exist.',
        'Write only host names or addresses, separated by commas. The port '
        'belongs in [task_flow] jobboard_backend_port.'),
    Entry(
        'config.host-bracketed', 'FAILURE',
        'An IPv6 address is in brackets.',
        'Clients of Redis and etcd resolve the text as a host name, including '
        'the brackets.',
        'Write the address without brackets.'),
    Entry(
        'config.host-ipv6', 'FAILURE',
        'An IPv6 address for ZooKeeper is not in brackets.',
        'Octavia appends the port as it is, and the client refuses the '
        'result with "bad hostname".',
        'Write the address in brackets.'),
    Entry(
        'config.hosts-ignored', 'WARNING',
        'Octavia uses only the first of several jobboard hosts.',
        'The others are no fallback. When the first is down, no load '
        'balancer can be changed.',
        'For Redis, run Sentinels, list them in [task_flow] '
        'jobboard_backend_hosts, and set jobboard_redis_sentinel. Otherwise '
        'name one host: a virtual address in front of the servers.'),
    Entry(
        'config.dict-value', 'FAILURE',
        'A TLS option dictionary has an entry that cannot be used.',
        'A worker fails when it connects to the jobboard, or uses TLS '
        'differently than intended.',
        'Write entries as KEY:VALUE, separated by commas, and omit a key '
        'that has no value.'),
    Entry(
        'config.dict-unknown-key', 'FAILURE',
        'A TLS option dictionary has a key that Octavia does not know.',
        'The entry is silently dropped, or stops the worker.',
        'Correct the key, or omit it.'),
    Entry(
        'config.dict-missing-key', 'FAILURE',
        'A TLS option dictionary lacks a key that Octavia reads.',
        'What is written replaces the whole default, so the key is gone. A '
        'worker stops with a KeyError.',
        'Add the key.'),
    Entry(
        'config.dict-truthy-string', 'FAILURE',
        'A TLS switch that was intended to be off is on.',
        'Octavia treats any text after use_ssl of etcd as true, even "False", '
        'and then speaks TLS to a server without it.',
        'Delete the line, or leave the value empty: '
        'jobboard_etcd_ssl_options = use_ssl:'),
    Entry(
        'config.tls-file', 'FAILURE',
        'A TLS file cannot be used.',
        'A worker cannot connect.',
        'Name a PEM file that the user octavia may read, with a certificate '
        'that is valid now, and the key that belongs to it. It must exist on '
        'every controller.'),
    Entry(
        'config.tls-unverified', 'WARNING',
        'TLS does not verify the server.',
        'Anybody who can redirect the connection can read and change jobs, '
        'passwords and certificates of load balancers.',
        'Turn verification on and name the CA.'),
    Entry(
        'config.ignored-option', 'WARNING',
        'An option has no effect in this configuration.',
        'It belongs to another jobboard driver, or to a mode that is not '
        'selected. Its author may believe that it is in effect.',
        'Delete the line, or select the driver or mode that it belongs to.'),
    Entry(
        'config.expiration-short', 'WARNING',
        'Claims expire faster than a busy worker can reliably renew them.',
        'A worker that is delayed for half of the time loses its job. Another '
        'one then runs the same flow at the same time.',
        'Set [task_flow] jobboard_expiration_time to 30 or more; 100 is a '
        'common choice.'),
    Entry(
        'config.disable-revert', 'WARNING',
        'Failed flows are not reverted.',
        'Every failure leaves partly created load balancers, ports and '
        'instances behind, and nothing cleans them up.',
        'Delete disable_revert from [task_flow] once debugging is over.'),
    Entry(
        'config.jobboard-disabled', 'WARNING',
        'Jobboard servers are configured, but the jobboard is off.',
        'jobboard_enabled exists since Octavia 7.0 and is false by default. A '
        'configuration written for Ussuri loses its jobboard: flows are lost '
        'with their worker.',
        'Add "jobboard_enabled = true" to [task_flow], or "jobboard_enabled '
        '= false" if the jobboard is off on purpose.'),
    Entry(
        'config.release', 'FAILURE',
        'An option needs a newer Octavia.',
        'The older release silently ignores it.',
        'Delete the line until the upgrade, or upgrade Octavia.'),
    Entry(
        'config.waiver-expired', 'WARNING',
        'A waiver has expired.',
        'The findings it covered count again. An expired waiver that stays in '
        'the configuration makes it easy to overlook that.',
        'Delete the line from [octavia_v2_checks] waivers, or set a new last '
        'day, in UTC, after until=.'),
    Entry(
        'config.waiver-unmatched', 'WARNING',
        'A waiver covers no finding.',
        'The fault that it was written for is gone, or it names another host. '
        'It would hide the next fault of that kind.',
        'Delete the line from [octavia_v2_checks] waivers, or correct its '
        'host=.'),
    Entry(
        'config.waiver-unknown', 'WARNING',
        'A waiver names a finding that does not exist.',
        'It covers nothing, although its author believes that it does.',
        'Correct the id; octavia-v2-checks list prints all of them.'),
    Entry(
        'config.no-files', 'FAILURE',
        'No configuration file of Octavia was read.',
        'No OS_TASK_FLOW__ variable is set either, or a directory that may '
        'hold a file cannot be read by this user. The defaults are valid, but '
        'tell nothing about the services.',
        'Run the command as a user who may read the configuration of Octavia, '
        'or name the files with --config-file.'),
    Entry(
        'config.provider-unknown', 'FAILURE',
        'enabled_provider_drivers is empty, or names a provider for which no '
        'driver is known.',
        'If the intended name is amphora, Octavia refuses every load balancer '
        'of that provider, and these checks have nothing to examine.',
        'Correct [api_settings] enabled_provider_drivers, such as '
        '"amphora:The Octavia Amphora driver".'),
    Entry(
        'config.undetermined', 'FAILURE',
        'The configuration could not be checked.',
        'A rule itself failed, or octavia-status has read a file that cannot '
        'be read a second time, so nothing is known about its contents.',
        'Put the configuration into regular files. If a rule failed, report '
        'it with what octavia-v2-checks --debug prints.'),
]

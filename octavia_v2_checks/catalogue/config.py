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
        'A configuration file has a line that oslo.config cannot read, or is '
        'no text, or has more than 16 MiB.',
        'Every Octavia service that reads the file stops at its start.',
        'Fix the line: [section] on a separate line, options as "name = '
        'value" from the first column, continuation lines indented. Name a '
        'configuration file where it is something else.'),
    Entry(
        'config.encoding', 'FAILURE',
        'A configuration file or variable is not plain UTF-8.',
        'oslo.config reads UTF-8 without a byte order mark. Every Octavia '
        'service that reads the file stops at its start; what stands in a '
        'variable cannot be sent to a server.',
        'Save the file as UTF-8 without a byte order mark.'),
    Entry(
        'config.unknown-option', 'FAILURE',
        'An option or section has a name that Octavia does not know.',
        'Octavia ignores it without a word and uses the default instead.',
        'Correct the name, or delete the line.'),
    Entry(
        'config.misplaced-option', 'FAILURE',
        'An option of [task_flow] stands in another section.',
        'Octavia looks for it in [task_flow] only and uses the default '
        'instead.',
        'Move the line below [task_flow].'),
    Entry(
        'config.invalid-value', 'FAILURE',
        'An option has a value that Octavia cannot use.',
        'oslo.config checks a value only when a service first reads it. A '
        'worker then stops, or fails its first request.',
        'Write a value that the option takes.'),
    Entry(
        'config.duplicate-option', 'WARNING',
        'An option is set twice in one file.',
        'Octavia uses the last value. Whoever edits the first sees no '
        'effect.',
        'Delete the line that is not meant.'),
    Entry(
        'config.half-quoted', 'FAILURE',
        'A value has a quote at one end only.',
        'oslo.config takes off a matching pair of quotes. A single one '
        'becomes part of the value.',
        'Delete the quote.'),
    Entry(
        'config.inline-comment', 'FAILURE',
        'A value is followed by a comment on the same line.',
        'oslo.config knows comments on lines of their own only. The comment '
        'becomes part of the value.',
        'Move the comment to a line of its own, with # in the first column.'),
    Entry(
        'config.substitution', 'FAILURE',
        'A value has a $ that does not resolve.',
        'oslo.config takes $name for the value of another option. It raises '
        'when a service first reads the option.',
        'Write $$ where a plain $ is meant.'),
    Entry(
        'config.placeholder', 'FAILURE',
        'A value is a placeholder of a guide or template.',
        'Octavia takes it for the real thing: it logs in with a password '
        'that nobody set, or looks up a host of that name.',
        'Replace it with the real value.'),
    Entry(
        'config.env-override', 'WARNING',
        'An environment variable beats the configuration files.',
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
        'Each process then has a database of its own. A worker that takes '
        'over a job finds no logbook, throws the job away, and the load '
        'balancer stays in PENDING for good.',
        'Set [task_flow] persistence_connection to a database that all '
        'controllers reach, such as '
        'mysql+pymysql://USER:PASSWORD@HOST/octavia_persistence.'),
    Entry(
        'config.persistence-sqlite', 'WARNING',
        'The persistence database is an SQLite file.',
        'Only processes on this machine see it, and they lock each other '
        'out. A worker on another controller cannot resume a flow.',
        'Set [task_flow] persistence_connection to a MySQL, MariaDB or '
        'PostgreSQL database.'),
    Entry(
        'config.persistence-shared', 'FAILURE',
        'Persistence and Octavia itself use the same database.',
        'TaskFlow and Octavia both keep their schema revision in a table '
        'named alembic_version. Whichever migrates second fails with '
        '"Can\'t locate revision".',
        'Create a database of its own, such as octavia_persistence, and name '
        'it in [task_flow] persistence_connection.'),
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
        'An entry of jobboard_backend_hosts is more than a host name.',
        'Octavia adds the port itself and looks the entry up as a name, '
        'which no name server knows.',
        'Write names or addresses only, separated by commas. The port goes '
        'into [task_flow] jobboard_backend_port.'),
    Entry(
        'config.host-bracketed', 'FAILURE',
        'An IPv6 address stands in brackets.',
        'Clients of Redis and etcd look the text up as a host name, brackets '
        'and all.',
        'Write the address without brackets.'),
    Entry(
        'config.host-ipv6', 'FAILURE',
        'An IPv6 address stands without brackets, for ZooKeeper.',
        'Octavia appends the port as it is, and the client refuses the '
        'result with "bad hostname".',
        'Write the address in brackets.'),
    Entry(
        'config.hosts-ignored', 'WARNING',
        'Octavia uses the first of several jobboard hosts only.',
        'The others are no fallback. When the first is down, no load '
        'balancer can be changed.',
        'For Redis, run Sentinels, name them in [task_flow] '
        'jobboard_backend_hosts, and set jobboard_redis_sentinel. Otherwise '
        'name one host: a virtual address in front of the servers.'),
    Entry(
        'config.dict-value', 'FAILURE',
        'A TLS option dictionary has an entry that cannot be used.',
        'A worker fails when it connects to the jobboard, or uses TLS in '
        'another way than was meant.',
        'Write entries as KEY:VALUE, separated by commas, and leave out a '
        'key that has no value.'),
    Entry(
        'config.dict-unknown-key', 'FAILURE',
        'A TLS option dictionary has a key that Octavia does not know.',
        'The entry is dropped without a word, or stops the worker.',
        'Correct the key, or leave it out.'),
    Entry(
        'config.dict-missing-key', 'FAILURE',
        'A TLS option dictionary lacks a key that Octavia reads.',
        'What is written replaces the whole default, so the key is gone. A '
        'worker stops with a KeyError.',
        'Add the key.'),
    Entry(
        'config.dict-truthy-string', 'FAILURE',
        'A TLS switch that was meant to be off is on.',
        'Octavia takes any text after use_ssl of etcd for yes, "False" '
        'included, and then speaks TLS to a server that does not.',
        'Delete the line, or leave the value empty: '
        'jobboard_etcd_ssl_options = use_ssl:'),
    Entry(
        'config.tls-file', 'FAILURE',
        'A TLS file cannot be used.',
        'A worker cannot connect.',
        'Name a PEM file that the octavia user may read, with a certificate '
        'that is valid now and the key that belongs to it.'),
    Entry(
        'config.tls-unverified', 'WARNING',
        'TLS does not verify the server.',
        'Whoever can redirect the connection can read and change jobs, '
        'passwords and certificates of load balancers.',
        'Turn verification on and name the CA.'),
    Entry(
        'config.ignored-option', 'WARNING',
        'An option has no effect in this configuration.',
        'It belongs to another jobboard driver, or to a mode that is not '
        'chosen. Who wrote it may think that it is in force.',
        'Delete the line, or choose the driver or mode that it belongs to.'),
    Entry(
        'config.expiration-short', 'WARNING',
        'Claims expire faster than a busy worker can be sure to renew them.',
        'A worker that is held up for half of the time loses its job. '
        'Another one runs the same flow a second time, side by side.',
        'Set [task_flow] jobboard_expiration_time to 30 or more; 100 is a '
        'common choice.'),
    Entry(
        'config.disable-revert', 'WARNING',
        'Failed flows are left as they stand.',
        'Every failure leaves load balancers, ports and instances half made, '
        'and nothing cleans them up.',
        'Delete disable_revert from [task_flow] once debugging is over.'),
    Entry(
        'config.jobboard-disabled', 'WARNING',
        'Jobboard servers are configured and the jobboard is off.',
        'jobboard_enabled exists since Octavia 7.0 and is false by default. '
        'A configuration written for Ussuri loses its jobboard: flows die '
        'with their worker.',
        'Add "jobboard_enabled = true" to [task_flow], or "jobboard_enabled '
        '= false" if the jobboard is off on purpose.'),
    Entry(
        'config.release', 'FAILURE',
        'An option needs a newer Octavia.',
        'The older release ignores it without a word.',
        'Delete the line until the upgrade, or upgrade Octavia.'),
    Entry(
        'config.waiver-expired', 'WARNING',
        'A waiver is out of date.',
        'What it covered counts again. A waiver that nobody removes hides '
        'the day on which the reason for it came back.',
        'Delete the line from [octavia_v2_checks] waivers, or give it a new '
        'last day, in UTC, after until=.'),
    Entry(
        'config.waiver-unmatched', 'WARNING',
        'A waiver covers nothing.',
        'The fault it was written for is gone, or it names another host. It '
        'would hide the next fault of that kind.',
        'Delete the line from [octavia_v2_checks] waivers, or correct its '
        'host=.'),
    Entry(
        'config.waiver-unknown', 'WARNING',
        'A waiver names a finding that does not exist.',
        'It covers nothing, and who wrote it believes that it does.',
        'Correct the id; octavia-v2-checks list prints all of them.'),
    Entry(
        'config.no-files', 'FAILURE',
        'No configuration file of Octavia was read.',
        'No OS_TASK_FLOW__ variable is set either, or a directory that may '
        'hold a file cannot be read by this user. The defaults are fine, and '
        'say nothing about the services.',
        'Run it as a user who may read the configuration of Octavia, or name '
        'the files with --config-file.'),
    Entry(
        'config.provider-unknown', 'FAILURE',
        'enabled_provider_drivers is empty, or names a provider that nothing '
        'here serves.',
        'Where the name was meant to be amphora, Octavia refuses every load '
        'balancer of that provider, and these checks have nothing to look '
        'at.',
        'Correct [api_settings] enabled_provider_drivers, such as '
        '"amphora:The Octavia Amphora driver".'),
    Entry(
        'config.undetermined', 'FAILURE',
        'The configuration could not be judged.',
        'A rule itself failed, or octavia-status has read a file that cannot '
        'be read a second time, so nothing is known about what it '
        'configures.',
        'Put the configuration into regular files. If a rule failed, report '
        'it with what octavia-v2-checks --debug prints.'),
]

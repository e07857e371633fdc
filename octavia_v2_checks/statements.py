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


"""Statements for servers: quoting, GRANTs and ACL rules.

For remedies and for ``sample --provision`` alike.
"""

from collections.abc import Iterable
import re

#: Prefix of the logbooks and flows of a drill, which no worker uses.
DRILL = 'octavia_v2_checks_drill_'

#: What a worker does with every table of the persistence database.
RUNTIME = ('SELECT', 'INSERT', 'UPDATE', 'DELETE')

#: What octavia-db-manage additionally needs to create and change the tables.
MIGRATION = ('CREATE', 'ALTER', 'DROP', 'INDEX', 'REFERENCES')

#: What a worker sends to Redis.
REDIS_COMMANDS = (
    'PING', 'INFO', 'HLEN', 'HGETALL', 'HSETNX', 'INCRBY', 'GET', 'PTTL',
    'PEXPIRE', 'EVALSHA', 'SCRIPT LOAD', 'EXISTS', 'DEL', 'SET', 'HGET',
    'HSET', 'HDEL', 'HEXISTS', 'MULTI', 'EXEC', 'WATCH')


def quoted(name: str) -> str:
    """Return a MySQL identifier in backquotes."""
    return '`' + name.replace('`', '``') + '`'


def literal(text: str) -> str:
    """Return a text as MySQL and MariaDB read it in a statement."""
    return "'" + text.replace('\\', '\\\\').replace("'", "''") + "'"


def mysql_account(account: str) -> str:
    """Return ``user@host``, as CURRENT_USER() gives it, quoted for GRANT."""
    user, _, host = account.rpartition('@')
    return f'{literal(user)}@{literal(host)}'


def grant(privileges: Iterable[str], name: str, account: str) -> str:
    """Return a GRANT that MySQL 8 and MariaDB both accept."""
    return (f'GRANT {", ".join(privileges)} ON {quoted(name)}.* TO '
            f'{mysql_account(account)};')


def identifier(name: str) -> str:
    """Return a PostgreSQL identifier in quotes."""
    return '"' + name.replace('"', '""') + '"'


def in_redis_cli(*commands: str) -> str:
    """Return the remedy that consists of commands of an administrator."""
    return 'In redis-cli, as an administrator: ' + '; '.join(commands)


def word(text: str) -> str:
    """Return one argument as redis-cli reads it."""
    if re.fullmatch(r'[\w.:~*+@|%-]+', text, re.A):
        return text
    return '"' + re.sub(r'([\\"])', r'\\\1', text) + '"'


def rule(command: str) -> str:
    """Return the ACL rule that permits a Redis command."""
    return '+' + command.lower().replace(' ', '|')


def literally(text: str) -> str:
    """Return a pattern of Redis ACL rules that matches only a text."""
    return re.sub(r'([\\*?\[\]])', r'\\\1', text)


def drill_keys(namespace: str) -> str:
    """Return the ACL rule for the keys of drills next to a jobboard.

    :param namespace: that of the jobboard
    """
    return f'~{literally(namespace.rstrip("/"))}_drill_*'

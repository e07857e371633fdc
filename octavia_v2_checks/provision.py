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

"""What to run on the servers to create the accounts of a configuration."""

from collections.abc import Iterator
import dataclasses

from octavia_v2_checks import settings as settings_
from octavia_v2_checks import statements
from octavia_v2_checks.checks.config import dburl
from octavia_v2_checks.upstream import broken

#: What redis-py and the jobboard check send to a Sentinel.
_SENTINEL_COMMANDS = ('SENTINEL MASTERS', 'SENTINEL CKQUORUM')


@dataclasses.dataclass(frozen=True)
class Block:
    """What to do on one server.

    :ivar where: the place, as a heading
    :ivar notes: paragraphs about what the statements do not cover
    :ivar statements: lines to run or to write there, as they are
    """

    where: str
    notes: tuple[str, ...] = ()
    statements: tuple[str, ...] = ()


def blocks(settings: settings_.Settings) -> Iterator[Block]:
    """Yield what to do, in order; nothing without a jobboard.

    :param settings: without any finding of the config check
    :raises octavia_v2_checks.settings.UsageError: where the database URL
        does not say which account to create
    """
    if not settings.get('jobboard_enabled'):
        return
    url = _url(settings.get('persistence_connection'))
    yield _postgresql(url) if url.dialect == 'postgresql' else _mysql(url)
    yield from {
        'redis_taskflow_driver': _redis,
        'zookeeper_taskflow_driver': _zookeeper,
        'etcd_taskflow_driver': _etcd,
    }[settings.get('jobboard_backend_driver')](settings)
    known = broken.migration(url.dialect)
    yield Block(
        'Any one controller, once octavia.conf has this section',
        # What TaskFlow cannot do would be the next failure.
        statements=(*([known.command] if known else []),
                    'octavia-db-manage upgrade_persistence',
                    'octavia-v2-checks upgrade check'))


def _url(text):
    url = dburl.parse(text)
    if not (url and url.username and url.password and url.database):
        raise settings_.UsageError(
            '--provision needs user, password and database in '
            'persistence_connection: mysql+pymysql://USER:PASSWORD@HOST/'
            'octavia_persistence')
    if not (url.username + url.password + url.database).isprintable():
        raise settings_.UsageError(
            '--provision: user, password or database in '
            'persistence_connection contains a character that cannot be '
            'printed')
    return url


def _mysql(url):
    account = f'{url.username}@%'
    quoted = statements.mysql_account(account)
    return Block(
        'MariaDB or MySQL, as administrator',
        ('An existing account keeps its password: choose another name in that '
         'case. If possible, replace % with the network of the controllers, '
         'such as 10.0.0.%.',),
        (f'CREATE DATABASE IF NOT EXISTS '
         f'{statements.quoted(url.database)};',
         f'CREATE USER IF NOT EXISTS {quoted} IDENTIFIED BY '
         f'{statements.literal(url.password)};',
         statements.grant(statements.RUNTIME + statements.MIGRATION,
                           url.database, account)))


def _postgresql(url):
    user = statements.identifier(url.username)
    # Without E'' a backslash is literal, whatever the password contains.
    password = "'" + url.password.replace("'", "''") + "'"
    return Block(
        'PostgreSQL, in psql as administrator',
        ('pg_hba.conf must let the controllers log in with it, by '
         'scram-sha-256.',),
        (f'CREATE ROLE {user} LOGIN PASSWORD {password};',
         f'CREATE DATABASE {statements.identifier(url.database)} OWNER '
         f'{user};'))


def _redis(settings):
    is_watched = bool(settings.get('jobboard_redis_sentinel'))
    notes = []
    if is_watched:
        notes.append('Run it on the master and on all replicas: accounts are '
                     'not replicated.')
    notes.append('With an aclfile in redis.conf, run ACL SAVE as well. Jobs '
                 'must survive a restart, hence the append-only file. Redis '
                 'accepts everybody as "default" until requirepass or ACL '
                 'SETUSER restricts it.')
    yield Block(
        'Every Redis server, in redis-cli as administrator' if is_watched
        else 'Redis, in redis-cli as administrator', tuple(notes),
        (*_redis_account(settings), 'CONFIG SET appendonly yes',
         'CONFIG REWRITE'))
    if is_watched:
        yield from _sentinels(settings)


def _redis_account(settings):
    user = settings.get('jobboard_backend_username')
    password = settings.get('jobboard_backend_password')
    if not user:
        return [f'CONFIG SET requirepass {statements.word(password)}'
                ] if password else []
    commands = list(statements.REDIS_COMMANDS)
    if settings.get('jobboard_redis_backend_db'):
        commands.append('SELECT')
    namespace = settings.get('jobboard_backend_namespace')
    keys = ' '.join(map(statements.word, (
        f'~{statements.literally(namespace)}:*',
        statements.drill_keys(namespace))))
    return ['ACL SETUSER ' + _acl_user(user, password, commands, keys)]


def _acl_user(user, password, commands, keys=''):
    """Return an account that may only run some commands."""
    login = statements.word(f'>{password}') if password else 'nopass'
    return ' '.join([
        statements.word(user), 'reset on', login, *([keys] if keys else []),
        *map(statements.rule, commands)])


def _sentinels(settings):
    user = settings.get('jobboard_redis_sentinel_username')
    password = settings.get('jobboard_redis_sentinel_password')
    if user:
        lines = ['user ' + _acl_user(user, password, _SENTINEL_COMMANDS)]
    elif password:
        lines = [f'requirepass {statements.word(password)}']
    else:
        return
    yield Block(
        'sentinel.conf of every Sentinel; restart it then',
        ('Where Redis requires authentication from the Sentinels too, '
         '"sentinel auth-user" and "sentinel auth-pass" name an account for '
         'them, not the one above.',), tuple(lines))


def _zookeeper(settings):
    yield Block(
        'zoo.cfg of every ZooKeeper server; restart it then',
        ('TaskFlow asks for the version with envi. Keep the words that are '
         'listed there already.',),
        ('4lw.commands.whitelist=srvr,envi',))
    yield Block(
        'ZooKeeper, in zkCli.sh as a user with permission; only if the ACL of '
        '/ does not permit others to create nodes',
        ('Octavia cannot authenticate to ZooKeeper, so its nodes are open to '
         'everybody who can reach the port. Allow only the controllers to '
         'reach it, or require client certificates (ssl.clientAuth=need) and '
         'name those in jobboard_zookeeper_ssl_options.',),
        tuple(f'create {path} "" world:anyone:{rights}' for path, rights in (
            (f'/{settings.get("jobboard_backend_namespace")}', 'cdr'),
            ('/.trash', 'cr'), ('/.entities', 'cr'),
            ('/.entities/conductor', 'cdr'))))


def _etcd(settings):
    del settings
    yield Block(
        'etcd',
        ('There is nothing to create. Octavia cannot authenticate to etcd: it '
         'has no option for a user, and on the HTTP interface that it uses, '
         'etcd refuses the name in a client certificate. Roles and users have '
         'no effect, and authentication must be off (etcdctl auth disable). '
         'Use a dedicated etcd for Octavia.',
         'Allow only the controllers to reach it. Or start every member with '
         '--client-cert-auth and --trusted-ca-file=FILE, with a server '
         'certificate for serverAuth and clientAuth both, and name the '
         'certificate of the controllers in jobboard_etcd_ssl_options: '
         'use_ssl:True,ca_cert:FILE,cert_cert:FILE,cert_key:FILE'))

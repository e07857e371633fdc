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

"""What the errors of Redis, Sentinel and redis-py mean to an operator.

The text of an error is examined and never passed on: it may repeat a password.
"""

import ssl
from typing import NamedTuple

from octavia_v2_checks import statements
from octavia_v2_checks.backends import net
from octavia_v2_checks.backends import sniff
from octavia_v2_checks.backends import stream
from octavia_v2_checks.backends.redis import refusals


class Access(NamedTuple):
    """The access to one kind of server, and the options that describe it.

    :ivar kind: ``Redis`` or ``Sentinel``
    :ivar username: as it is configured
    :ivar tls: whether it is under TLS
    :ivar certificate: whether a client certificate is configured
    :ivar user_option: name of the ``[task_flow]`` option; so are the next
    """

    kind: str
    username: str | None
    tls: bool
    certificate: bool
    user_option: str
    password_option: str
    tls_option: str
    database: int = 0

    @property
    def user(self) -> str:
        """The account that the server sees."""
        return self.username or 'default'

    @property
    def expected(self) -> tuple[str, ...]:
        """What :mod:`sniff` finds where the right server answers."""
        return ('TLS',) if self.tls else ('Redis', 'a Redis Sentinel')


class Useless(net.Portable):
    """An option cannot be used; no server was contacted.

    :ivar option: name of the ``[task_flow]`` option
    :ivar reason: what is wrong with it, for a reader
    """

    def __init__(self, option: str, reason: str):
        super().__init__(option, reason)
        self.option = option
        self.reason = reason


class Final(net.Fault):
    """A fault after which redis-py asks no further Sentinel."""


_WHY_NOT_WRITABLE = {
    'MISCONF': 'it cannot save its data to disk (MISCONF)',
    'NOREPLICAS': 'it has fewer live replicas than min-replicas-to-write '
                  'requires (NOREPLICAS)',
    'BUSY': 'a script keeps it busy (BUSY)',
}

#: What to do where a server closes connections silently.
_CLOSED = (
    'Find the reason in the log of the server. If it has as many clients as '
    'maxclients allows (INFO stats counts rejected_connections), raise '
    'maxclients in redis.conf. '
    + statements.in_redis_cli('CONFIG SET maxclients 10000'))

_WRITABLE_AGAIN = {
    'MISCONF': ('Free space on the disk of "dir" in redis.conf, make sure '
                'that Redis may write there, and save. ', 'BGSAVE'),
    'NOREPLICAS': ('Start the replicas again, or run without them. ',
                   'CONFIG SET min-replicas-to-write 0'),
    'BUSY': ('', 'SCRIPT KILL'),
}


def network(error: Exception, peer: str, access: Access,
            seen: net.Fault | None, seconds: float | None) -> net.Fault | None:
    """Return the fault of a connection that failed.

    :param error: of redis-py
    :param seen: what failed on the network
    :param seconds: the client's own time-out
    :returns: None for an exception that stands for something else
    """
    for cause in refusals.causes(error):
        if isinstance(cause, ssl.SSLError) and 'ALERT' in (
                cause.reason or ''):
            return tls(stream.insecure(peer, peer, cause), access)
    if seen:
        return tls(seen, access) if seen.slug == 'tls' else seen
    name = type(error).__name__
    if name == 'TimeoutError':
        return net.late(peer, 'answer', seconds or 0)
    if name == 'ConnectionError':
        return net.Fault(
            'refused', f'{peer} closed the connection before it '
                       'answered.', _CLOSED, host=peer, detail='closed')
    return None


def fault(refused: refusals.Refusal, command: str, peer: str, access: Access
          ) -> net.Fault:
    """Return the fault that an error stands for.

    :param command: what was asked, for the reader
    """
    slug = refusals.meaning(refused)
    makers = {
        'auth-required': _auth_required, 'access-denied': _access_denied,
        'protected': _protected, 'full': _full,
        'unknown-database': unknown_database, 'replica': _replica,
        'loading': _loading, 'out-of-memory': _out_of_memory,
        'cluster-mode': _cluster_mode, 'no-resp3': _no_resp3}
    if slug in makers:
        return makers[slug](peer, access)
    if slug == 'not-writable':
        remedy, command = _WRITABLE_AGAIN[refused.word]
        return net.Fault(
            slug, f'{peer} accepts no writes: '
                  f'{_WHY_NOT_WRITABLE[refused.word]}.',
            remedy + statements.in_redis_cli(command), host=peer)
    if slug == 'missing-permission':
        return missing_permission(peer, access, [command])
    if slug == 'unknown-command':
        return _unknown_command(peer, access, command)
    return net.Fault(
        'undetermined', f'{peer} answered {command} with the error '
                        f'{refused.word}, which this tool does not '
                        'know.', host=peer)


def _auth_required(peer, access):
    return net.Fault(
        'auth-required', f'{peer} requires authentication, and '
        f'{access.password_option} is not set.',
        f'Set {access.password_option} in [task_flow] to the password of the '
        f'server (requirepass), and {access.user_option} where it has ACL '
        f'users.', host=peer, option=access.password_option)


def _access_denied(peer, access):
    return net.Fault(
        'access-denied', f'{peer} refuses the login as {access.user!r}: the '
                         'password is wrong, or the user does not exist or is '
                         'disabled.',
        f'Correct {access.user_option} and {access.password_option} in '
        f'[task_flow], or give the user that password. '
        + statements.in_redis_cli(
            f'ACL SETUSER {statements.word(access.user)} on >PASSWORD'),
        host=peer, option=access.password_option)


def needs_no_login(peer: str, access: Access) -> net.Fault:
    """Return the fault of a login on a server without authentication."""
    what = (f'{access.username!r} with the configured password'
            if access.username else 'a password')
    return net.Fault(
        'access-denied', f'{peer} requires no authentication, and refuses '
                         f'{what}.',
        f'Remove {access.user_option} and {access.password_option} from '
        '[task_flow], or create the user. '
        + statements.in_redis_cli(
            f'ACL SETUSER {statements.word(access.user)} on >PASSWORD'),
        host=peer,
        option=access.user_option if access.username
        else access.password_option)


def _protected(peer, access):
    return net.Fault(
        'access-denied', f'{peer} is in protected mode: it has no password '
                         'and accepts only connections from its own host.',
        f'Set a password, and set {access.password_option} in [task_flow] to '
        'the same one. '
        + statements.in_redis_cli('CONFIG SET requirepass PASSWORD'),
        host=peer, option=access.password_option)


def _full(peer, access):
    return net.Fault(
        'refused', f'{peer} has as many clients as maxclients allows, and '
                   'refuses more, including redis-cli.',
        'Raise maxclients in redis.conf and restart Redis, or wait until '
        'redis-cli can connect. '
        + statements.in_redis_cli('CONFIG SET maxclients 10000'),
        host=peer)


def unknown_database(peer: str, access: Access, count: bytes = b''
                     ) -> net.Fault:
    """Return the fault of a database number out of range.

    :param count: how many there are, if the server tells
    """
    known = (f': it has the numbers 0 to {int(count) - 1}'
             if count.isdigit() else '')
    return net.Fault(
        'unknown-database',
        f'{peer} has no database {access.database}{known}.',
        host=peer, option='jobboard_redis_backend_db')


def _replica(peer, access):
    return net.Fault('replica', f'{peer} is a replica.', host=peer)


def _loading(peer, access):
    return net.Fault('loading', f'{peer} is still loading its data from '
                     f'disk.', host=peer)


def _out_of_memory(peer, access):
    return net.Fault('out-of-memory', f'{peer} has used up its maxmemory and '
                     f'refuses writes.', host=peer)


def _cluster_mode(peer, access):
    return net.Fault('cluster-mode', f'{peer} is a node of a Redis Cluster.',
                     host=peer)


def _no_resp3(peer, access):
    return net.Fault(
        'server-old', f'{peer} does not speak RESP3: it refuses HELLO 3 '
        f'(NOPROTO), with which redis-py 8.0 and later begin.',
        'Upgrade the server to Redis 6.0 or later; where a proxy answers in '
        'its place, upgrade that, or have workers connect to the server '
        'itself.', host=peer)


def missing_permission(peer: str, access: Access, commands: list[str],
                       rules: list[str] | None = None) -> net.Fault:
    """Return the fault of an account that may not run commands.

    :param commands: as shown to a reader: ``HSET``, ``SCRIPT LOAD``
    :param rules: the ACL rules that fix it, if they are more than the commands
    """
    rules = rules or [statements.rule(c) for c in commands]
    return net.Fault(
        'missing-permission', f'{access.user!r} may not '
        f'{", ".join(commands)} at {peer}.',
        statements.in_redis_cli(' '.join([
            'ACL SETUSER', statements.word(access.user),
            *(statements.word(r) for r in rules)])),
        host=peer, option=access.user_option)


def _unknown_command(peer, access, command):
    if command == 'HELLO':
        return net.Fault(
            'server-old', f'{peer} does not know HELLO, with which redis-py '
            f'8.0 and later begin.',
            'Upgrade the server to Redis 6.0 or later, or, where HELLO is '
            'renamed, delete "rename-command HELLO" from redis.conf.',
            host=peer)
    if command.startswith('SENTINEL'):
        return net.Fault(
            'wrong-protocol', f'{peer} is Redis itself and not a Sentinel.',
            'Remove jobboard_redis_sentinel from [task_flow], or set '
            'jobboard_backend_port to the port of the Sentinels, usually '
            '26379.', host=peer, option='jobboard_redis_sentinel')
    return net.Fault(
        'missing-permission', f'{peer} does not know {command}: the command '
        f'is renamed or disabled.',
        f'Delete "rename-command {command.split()[0]}" from redis.conf and '
        f'restart Redis.', host=peer)


def tls(found: net.Fault, access: Access) -> net.Fault:
    """Return a TLS fault with the option that fixes it."""
    remedy = None
    if found.detail == 'verify':
        remedy = ('Name the CA that signed the certificate as ssl_ca_certs in '
                  f'{access.tls_option}, and use a server name that is in the '
                  'certificate.')
    elif not found.detail:
        remedy = _CLOSED
    elif 'ALERT' in found.detail and not access.certificate:
        remedy = (f'Name a client certificate and its key as ssl_certfile '
                  f'and ssl_keyfile in {access.tls_option}.')
    return net.Fault('tls', found.text, remedy, found.host,
                     access.tls_option, found.detail)


def stranger(name: str | None, peer: str, access: Access) -> net.Fault:
    """Return the fault of a server of another kind.

    :param name: what it was recognised as, or None
    """
    option = None
    if name == 'TLS':
        option = access.tls_option
        text = f'{peer} expects TLS, and {option} does not turn it on.'
        remedy = (f'Set {option} in [task_flow] to '
                  f'ssl:True,ssl_ca_certs:CA_FILE')
    elif name in ('Redis', 'a Redis Sentinel') and access.tls:
        option = access.tls_option
        text = f'{peer} is {name} without TLS, and {option} turns TLS on.'
        remedy = (f'Set {option} in [task_flow] to ssl:False, or give the '
                  f'server a tls-port.')
    else:
        kind = 'not Redis' if access.kind == 'Redis' else 'not a Sentinel'
        text = (f'{peer} is {kind}: {name} answers there.' if name else
                f'{peer} is {kind}: its answer fits neither protocol.')
        remedy = (f'Name the {access.kind} server in jobboard_backend_hosts '
                  f'and jobboard_backend_port')
        if name in sniff.DRIVERS:
            remedy += (f', or set jobboard_backend_driver to '
                       f'{sniff.DRIVERS[name]}')
        remedy += '.'
    return net.Fault('wrong-protocol', text, remedy, peer, option)

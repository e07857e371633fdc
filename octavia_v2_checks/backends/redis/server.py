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

"""Can this Redis be a jobboard, and has the account the permissions?"""

from collections.abc import Iterator
import re
from typing import Any

from octavia_v2_checks import statements
from octavia_v2_checks.backends import net
from octavia_v2_checks.backends.redis import errors as redis_errors
from octavia_v2_checks.backends.redis import refusals
from octavia_v2_checks.backends.redis.connection import Connection

#: TaskFlow refuses older servers: they do not support scripts.
MINIMUM = (2, 6)

_JOB = '00000000-0000-4000-8000-000000000000'


def _work(namespace: str) -> list[tuple[str | int, ...]]:
    """Return all that a worker sends, with the keys that it uses."""
    listings, trash = f'{namespace}:listings', f'{namespace}:trash'
    owner = f'{namespace}:{_JOB}.owned'
    modified = f'{namespace}:{_JOB}.last_modified'
    return [
        ('INCRBY', f'{namespace}:sequence', 1),
        ('HSETNX', listings, _JOB, ''), ('HLEN', listings),
        ('HGETALL', listings), ('HEXISTS', listings, _JOB),
        ('HGET', listings, _JOB), ('HDEL', listings, _JOB),
        ('HSET', trash, _JOB, ''), ('EXISTS', owner), ('GET', owner),
        ('GET', modified), ('PTTL', owner), ('PEXPIRE', owner, 1000),
        ('SET', owner, ''), ('SET', modified, ''), ('DEL', owner, modified),
        ('SCRIPT', 'LOAD', ''),
        ('EVALSHA', '0' * 40, 4, owner, listings, modified, trash)]


def probe(connection: Connection, namespace: str
          ) -> Iterator[net.Fault | str]:
    """Yield why a server cannot be a jobboard.

    :param connection: to the server
    :param namespace: prefix of the keys
    :raises net.Fault: if the connection fails on the way
    """
    listings = f'{namespace}:listings'
    ping, text, save, watch, _, execute, _ = connection.ask([
        ('PING',), ('INFO',), ('CONFIG', 'GET', 'save'), ('WATCH', listings),
        # Empty: it shows whether the account may EXEC.
        ('MULTI',), ('EXEC',), ('DISCARD',)])
    info = parse_info(text) if isinstance(text, bytes) else {}
    unfit = _unfit(connection, info)
    if unfit:
        yield unfit
        return
    rights = _Rights(connection, namespace)
    for command, answer in (('PING', ping), ('INFO', text), ('WATCH', watch),
                            ('EXEC', execute)):
        rights.note(command, answer)
    if ping != b'PONG' and not isinstance(ping, refusals.Refusal):
        raise connection.stranger()
    rights.ask()
    faults = rights.faults()
    if not isinstance(text, refusals.Refusal):
        faults += _version_faults(connection, info)
        faults += _memory_faults(connection, info)
    for fault in faults:
        used = info.get('used_memory', '')
        if fault.slug == 'out-of-memory' and used.isdigit():
            fault.remedy = statements.in_redis_cli(
                f'CONFIG SET maxmemory {2 * int(used)}')
    durable = _durability(info, save)
    if durable is False and not any(f.slug == 'not-writable'
                                    for f in faults):
        faults.append(_not_durable(connection.peer, info, save))
    yield from faults
    if not faults:
        yield _fact(connection, info, durable)


def parse_info(text: bytes) -> dict[str, str]:
    """Return the fields of an INFO."""
    lines = text.decode('utf-8', 'replace').splitlines()
    return {key: value for key, colon, value in (
        line.partition(':') for line in lines if line[:1] != '#') if colon}


def printable(text: str) -> str:
    """Return a name from a server, safe to print."""
    return re.sub(r'[^\w.:-]', '?', text)[:200]


def _unfit(connection, info):
    """Return the fault of a server that cannot hold jobs at all."""
    peer = connection.peer
    if info.get('redis_mode') == 'sentinel':
        masters = [m[0] for m in (
            re.findall(r'name=([^,]+),', value) for key, value in
            sorted(info.items()) if re.fullmatch(r'master\d+', key)) if m]
        remedy = (f'Set jobboard_redis_sentinel in [task_flow] to '
                  f'{" or ".join(printable(m) for m in masters)}'
                  if masters else None)
        return net.Fault(
            'is-sentinel', f'{peer} is a Redis Sentinel, and '
            f'jobboard_redis_sentinel is not set.', remedy, peer,
            'jobboard_redis_sentinel')
    if info.get('loading') == '1':
        left = info.get('loading_eta_seconds', '')
        more = f', for about {int(left)} s more' if left.isdigit() else ''
        return net.Fault('loading', f'{peer} is still loading its data from '
                         f'disk{more}.', host=peer)
    if info.get('cluster_enabled') == '1':
        return net.Fault('cluster-mode', f'{peer} is a node of a Redis '
                         f'Cluster.', host=peer)
    if info.get('role') == 'slave':
        host = printable(info.get('master_host', ''))
        port = printable(info.get('master_port', ''))
        return net.Fault(
            'replica', f'{peer} is a replica; its master is {host} port '
            f'{port}.',
            f'Name the master in [task_flow]: jobboard_backend_hosts = '
            f'{host} and jobboard_backend_port = {port}; or use Sentinel.',
            peer, 'jobboard_backend_hosts')
    return None


class _Rights:
    """Collects what the server would refuse."""

    def __init__(self, connection, namespace):
        self._connection = connection
        self._namespace = namespace
        self._denied: list[str] = []
        self._keys_denied = False
        self._keys_seen = False
        self._others: dict[str, net.Fault] = {}

    def note(self, command: str, answer: Any) -> None:
        """Remember what an answer to a command says."""
        if not isinstance(answer, refusals.Refusal):
            return
        if answer.word == 'EXECABORT':
            # How EXEC is refused: "... because of: NOPERM ...".
            answer = refusals.said(answer.text.partition(': ')[2])
        if answer.word == 'NOPERM':
            if refusals.is_about_keys(answer):
                self._keys_denied = True
            elif command not in self._denied:
                self._denied.append(command)
        elif command != 'EXEC' or 'without MULTI' not in answer.text:
            fault = self._connection.fault(answer, command)
            self._others.setdefault(
                fault.text if fault.slug == 'missing-permission'
                else fault.slug, fault)

    def ask(self) -> None:
        """Ask for every command of a worker, without running one."""
        work = _work(self._namespace)
        answers = self._connection.would(work)
        if isinstance(answers, refusals.Refusal):
            self.note('MULTI', answers)
            return
        # Of all these, only SCRIPT LOAD uses no key.
        self._keys_seen = any(
            answer == b'QUEUED' for command, answer in zip(
                work, answers, strict=True) if command[0] != 'SCRIPT')
        for command, answer in zip(work, answers, strict=True):
            name = 'SCRIPT LOAD' if command[0] == 'SCRIPT' else command[0]
            self.note(str(name), answer)

    def faults(self) -> list[net.Fault]:
        """Return the faults, permissions as a single one."""
        faults = list(self._others.values())
        if not self._denied and not self._keys_denied:
            return faults
        keys = f'~{statements.literally(self._namespace)}:*'
        # Without MULTI nothing else could be asked, so grant all of it.
        missing = (statements.REDIS_COMMANDS if 'MULTI' in self._denied
                   else self._denied)
        rules = [statements.rule(c) for c in missing]
        # What may not be run is not checked for its keys.
        if self._keys_denied or not self._keys_seen:
            rules.insert(0, keys)
        names = list(self._denied)
        if self._keys_denied:
            names.append(f'use the keys {self._namespace}:*')
        return [redis_errors.missing_permission(
            self._connection.peer, self._connection.access, names, rules),
            *faults]


def _version_faults(connection, info):
    found = re.match(r'(\d+)\.(\d+)', info.get('redis_version', ''))
    if found and (int(found[1]), int(found[2])) >= MINIMUM:
        return []
    minimum = '.'.join(map(str, MINIMUM))
    what = (f'runs Redis {printable(info["redis_version"])}' if found
            else 'does not report its version')
    return [net.Fault(
        'server-old', f'{connection.peer} {what}; TaskFlow needs Redis '
                      f'{minimum} or later and checks that with INFO.',
        host=connection.peer)]


def _memory_faults(connection, info):
    peer = connection.peer
    policy = info.get('maxmemory_policy', 'noeviction')
    limit = info.get('maxmemory', '0')
    if limit == '0' or policy == 'noeviction':
        return []
    return [net.Fault(
        'eviction', f'{peer} has maxmemory-policy {printable(policy)}: at '
                    f'{printable(limit)} bytes it evicts keys.',
        statements.in_redis_cli('CONFIG SET maxmemory-policy noeviction'),
        host=peer)]


def _durability(info, save):
    """Whether jobs survive a restart; None if the server does not tell."""
    if info.get('aof_enabled') == '1':
        return True
    if info.get('aof_enabled') != '0':
        return None
    if info.get('rdb_last_bgsave_status') == 'err':
        return False
    if isinstance(save, list) and len(save) == 2:
        return bool(save[1])
    return None


def _not_durable(peer, info, save):
    why = ('its last snapshot failed' if isinstance(save, list) and save[1:]
           and save[1] else 'it has neither an append-only file nor '
           'snapshots')
    return net.Fault(
        'not-durable', f'{peer} loses all jobs when it restarts: {why}.',
        statements.in_redis_cli('CONFIG SET appendonly yes',
                                  'CONFIG REWRITE'), host=peer)


def _fact(connection, info, durable):
    product = ('Valkey ' + info['valkey_version'] if 'valkey_version' in info
               else 'Redis ' + info.get('redis_version', '?'))
    access = connection.access
    fact = (f'{re.sub("[^A-Za-z0-9. ]", "?", product)[:40]} at '
            f'{connection.peer}: {access.user!r} has every permission a '
            f'worker needs.')
    if durable is None:
        fact += (' Whether it keeps the jobs on disk could not be read: '
                 'CONFIG GET save is not permitted.')
    return fact

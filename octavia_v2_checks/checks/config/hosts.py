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

"""Hosts and port of the jobboard, as each driver uses them."""

from collections.abc import Iterator
import ipaddress
import re

from octavia_v2_checks.checks.config.view import ETCD
from octavia_v2_checks.checks.config.view import named
from octavia_v2_checks.checks.config.view import plain
from octavia_v2_checks.checks.config.view import REDIS
from octavia_v2_checks.checks.config.view import SERVER
from octavia_v2_checks.checks.config.view import View
from octavia_v2_checks.checks.config.view import ZOOKEEPER
from octavia_v2_checks.findings import Finding
from octavia_v2_checks.findings import finding

_HOSTS = 'jobboard_backend_hosts'
_PORT = 'jobboard_backend_port'

#: What usually listens on a port.
_LISTENS = {
    2181: 'ZooKeeper', 2182: 'ZooKeeper', 2281: 'ZooKeeper',
    2379: 'etcd', 4001: 'etcd',
    6379: 'Redis', 6380: 'Redis',
    26379: 'Sentinel',
    2380: 'the peers of etcd', 2888: 'the peers of ZooKeeper',
    3888: 'the peers of ZooKeeper', 16379: 'the peers of a Redis cluster',
    3306: 'MySQL', 5432: 'PostgreSQL', 5672: 'RabbitMQ', 11211: 'memcached',
}

_USUAL = {'ZooKeeper': 2181, 'etcd': 2379, 'Redis': 6379, 'Sentinel': 26379}


def wrong_port(view: View) -> Iterator[Finding]:
    """Yield a port on which another kind of server listens."""
    value = view.usable(_PORT)
    driver = view.settings['jobboard_backend_driver']
    sentinel = view.settings['jobboard_redis_sentinel']
    if value is None or view.driver is None:
        return
    wanted = 'Sentinel' if view.sentinel else SERVER[view.driver]
    listens = _LISTENS.get(value.value, wanted)
    if listens == wanted or (
            sentinel.option in view.reported
            and {listens, wanted} == {'Redis', 'Sentinel'}):
        return
    where = value.where
    if value.source == 'default':
        cause = sentinel if view.sentinel else driver
        where = cause.where | {'option': value.option}
    usual = _USUAL[wanted]
    remedy = f'Write {_PORT} = {usual}, or the port that {wanted} listens on.'
    why = f'{wanted} is expected there'
    if wanted == 'Redis' and listens == 'Sentinel':
        remedy = ('Set jobboard_redis_sentinel to the name of the Redis '
                  'master, or write the port of Redis, usually 6379.')
        why = ('jobboard_redis_sentinel is not set, so Octavia speaks to it '
               'as to Redis')
    elif wanted == 'Sentinel' and listens == 'Redis':
        remedy = ('Write the port of the Sentinels, usually 26379, or delete '
                  'jobboard_redis_sentinel.')
        why = 'jobboard_redis_sentinel is set, so Octavia expects Sentinels'
    default = ' (the default)' if value.source == 'default' else ''
    yield finding(
        'config.port-mismatch',
        f'{named(value)} = {value.value}{default} is usually the port of '
        f'{listens}, and {why}.', remedy, **where)


def no_hosts(view: View) -> Iterator[Finding]:
    """Yield an empty list of hosts."""
    value = view.usable(_HOSTS)
    if value and not any(value.value):
        yield finding('config.hosts-empty', f'{named(value)} is empty.',
                      **value.where)


def _dialled(view, value):
    """Return the hosts that Octavia connects to."""
    every = view.driver == ZOOKEEPER or view.sentinel
    return value.value if every else value.value[:1]


def _host_problem(host: str) -> str | None:
    """Return what is wrong with a host, unless it is an IPv6 address."""
    bare = host.removeprefix('[').removesuffix(']')
    if not host:
        return 'is empty: there is one comma too many'
    if '://' in host:
        return 'has a scheme'
    if re.fullmatch(r'\[[0-9A-Fa-f:.%\w]+\]:\d*|[^:\[\]]+:\d*', host):
        return 'has a port'
    if is_ipv6(bare) and host in (bare, f'[{bare}]'):
        return None
    if '/' in host:
        return 'has a path'
    if any(c.isspace() for c in host):
        return 'contains a space; hosts are separated by commas'
    if not re.fullmatch(r'[\w.-]+', host):
        return 'has a character that is not allowed in a host name'
    if re.fullmatch(r'\d+(?:\.\d+){3}', host):
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            return 'is not an IPv4 address'
    if '..' in host or host.startswith('.') or any(
            len(label) > 63 for label in host.split('.')):
        return 'is not a host name'
    return None


def is_ipv6(text: str) -> bool:
    """Return whether it is an IPv6 address, without brackets."""
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def invalid_hosts(view: View) -> Iterator[Finding]:
    """Yield entries that are not just a host."""
    value = view.usable(_HOSTS)
    if value is None or view.driver is None or not any(value.value):
        return
    dialled = _dialled(view, value)
    if view.driver == ZOOKEEPER:
        dialled = [*dialled[:-1], _without_chroot(dialled[-1])]
    for host in dialled:
        problem = _host_problem(host)
        if problem:
            yield finding(
                'config.host-invalid',
                f'{named(value)}: {_quoted(host)} {problem}.', **value.where)


def _without_chroot(host):
    """Return the last ZooKeeper host without the path that may follow it.

    Octavia appends the port to the path, so the host may have its own.
    """
    name, slash, _ = host.partition('/')
    return re.sub(r':\d+$', '', name) if slash and '://' not in host else host


def _quoted(host):
    return f'"{plain(host.partition("?")[0])}"'


def brackets(view: View) -> Iterator[Finding]:
    """Yield IPv6 addresses in a form that the client cannot use."""
    value = view.usable(_HOSTS)
    if value is None or view.driver is None:
        return
    if view.driver == ZOOKEEPER:
        for host in value.value:
            if is_ipv6(host):
                yield finding(
                    'config.host-ipv6',
                    f'{named(value)}: {host} becomes {host}:PORT, which the '
                    f'ZooKeeper client refuses.', f'Write [{host}].',
                    **value.where)
        return
    # Octavia itself brackets the Sentinels after the first.
    for host in value.value[:1]:
        bare = host[1:-1]
        if host == f'[{bare}]' and is_ipv6(bare):
            yield finding(
                'config.host-bracketed',
                f'{named(value)}: {host} is resolved as a host name, '
                'including the brackets.', f'Write {bare}.', **value.where)


def unused_hosts(view: View) -> Iterator[Finding]:
    """Yield hosts after the first where there is no fallback."""
    value = view.usable(_HOSTS)
    if value is None or len(value.value) < 2:
        return
    if view.sentinel:
        # The other Sentinels are asked since 14.0.
        alone = view.release is not None and view.release < (14, 0)
    else:
        alone = view.driver in (REDIS, ETCD)
    # Sentinels without a name are reported by their port.
    sentinels = _LISTENS.get(view.settings[_PORT].value) == 'Sentinel'
    if alone and not (view.driver == REDIS and not view.sentinel
                      and sentinels):
        yield finding(
            'config.hosts-ignored',
            f'{named(value)}: only {plain(value.value[0])} is used; '
            f'{plain(", ".join(value.value[1:]))} '
            f'{"is" if len(value.value) == 2 else "are"} no fallback.',
            'Upgrade to Octavia 14.0, which asks every Sentinel.'
            if view.sentinel else
            'Name one host, a virtual address in front of the servers.'
            if view.driver == ETCD else None, **value.where)


RULES = [wrong_port, no_hosts, unused_hosts, invalid_hosts, brackets]

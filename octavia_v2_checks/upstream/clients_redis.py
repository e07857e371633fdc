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

"""How Octavia and TaskFlow use the options for Redis.

The arguments that the redis-py of a worker gets, by the rules of the installed
releases, or of the newest ones.
"""

from collections.abc import Callable
from collections.abc import Mapping
import re
from typing import Any
from typing import NamedTuple
from typing import TypeAlias

from octavia_v2_checks.upstream import switches

#: Version of a distribution, such as (6, 0), or None if it is not installed.
Version: TypeAlias = tuple[int, ...] | None

#: The options of ``[task_flow]`` that matter here.
OPTIONS = (
    'jobboard_backend_hosts', 'jobboard_backend_port',
    'jobboard_backend_username', 'jobboard_backend_password',
    'jobboard_redis_backend_db', 'jobboard_redis_backend_ssl_options',
    'jobboard_redis_sentinel', 'jobboard_redis_sentinel_username',
    'jobboard_redis_sentinel_password',
    'jobboard_redis_sentinel_ssl_options')

#: The first TaskFlow that omits ssl_* if TLS is off. Older ones pass them to
#: the plain connections of Sentinel, which do not accept them.
FILTERS = (6,)

#: The first TaskFlow that switches off redis-py's maintenance notifications.
_QUIET = (6, 5)

#: The first Octavia with options for the Sentinels themselves.
_SENTINEL_OPTIONS = (15,)

#: The first Octavia with an option for the number of the database.
_DATABASE = (16,)

#: The first Octavia that keeps existing brackets of an address.
_ESCAPES = (16,)


class Arguments(NamedTuple):
    """The arguments of redis-py.

    :ivar client: of the connection to Redis
    :ivar sentinels: host and port of each, None without Sentinel
    :ivar name: of the master
    :ivar sentinel: of the connections to Sentinels; None for the defaults of
        redis-py
    :ivar quiet: whether maintenance notifications are switched off
    """

    client: dict[str, Any]
    sentinels: list[tuple[str, int]] | None
    name: str | None
    sentinel: dict[str, Any] | None
    quiet: bool


def arguments(options: Mapping[str, Any], taskflow: Version = None,
              octavia: Version = None) -> Arguments:
    """Return the arguments of the redis-py of a worker.

    :param options: the values of :data:`OPTIONS`
    :raises Exception: what stops a worker in the same way
    """
    given = _of_redis(options, octavia)
    client = {name: convert(given[name])
              for name, convert in _converters().items() if name in given}
    quiet = not taskflow or taskflow >= _QUIET
    name = options['jobboard_redis_sentinel']
    if name is None:
        return Arguments(client, None, None, None, quiet)
    sentinels = [(client.pop('host'), client.pop('port'))]
    sentinels += [
        _place(_written(host, options['jobboard_backend_port'], octavia),
               taskflow) for host in options['jobboard_backend_hosts'][1:]]
    sentinel = None
    if not octavia or octavia >= _SENTINEL_OPTIONS:
        sentinel = _of_sentinel(options)
    if not taskflow or taskflow >= FILTERS:
        client = _filtered(client)
        sentinel = None if sentinel is None else _filtered(sentinel)
    return Arguments(client, sentinels, name, sentinel, quiet)


def _of_redis(options, octavia):
    """Return Octavia's description of the board, ssl options last."""
    given = {'host': options['jobboard_backend_hosts'][0],
             'port': options['jobboard_backend_port']}
    if not octavia or octavia >= _DATABASE:
        given['db'] = options['jobboard_redis_backend_db']
    for name in 'username', 'password':
        value = options[f'jobboard_backend_{name}']
        if value is not None:
            given[name] = value
    return given | dict(options['jobboard_redis_backend_ssl_options'])


def _of_sentinel(options):
    given = dict(options['jobboard_redis_sentinel_ssl_options'])
    if 'ssl' in given:
        given['ssl'] = switches.is_true(given['ssl'])
    for name in 'username', 'password':
        value = options[f'jobboard_redis_sentinel_{name}']
        if value is not None:
            given[name] = value
    return given


def _converters() -> dict[str, Callable[[Any], Any]]:
    """Return what TaskFlow passes on, and how it converts each.

    It passes on more, for which Octavia has no option.
    """
    texts = ('host', 'username', 'password', 'ssl_keyfile', 'ssl_certfile',
             'ssl_cert_reqs', 'ssl_ca_certs')
    return {**dict.fromkeys(texts, str), 'port': int, 'db': int,
            'ssl': switches.is_true}


def _filtered(given):
    if given.get('ssl', False):
        return given
    return {k: v for k, v in given.items() if not k.startswith('ssl_')}


def _written(host, port, octavia):
    """Return how Octavia writes one of the other Sentinels."""
    from oslo_utils import netutils
    if octavia and octavia < _ESCAPES:
        return f'[{host}]:{port}' if ':' in host else f'{host}:{port}'
    return f'{netutils.escape_ipv6(host)}:{port}'


def _place(written, taskflow):
    """Return host and port as TaskFlow reads them."""
    from oslo_utils import netutils
    if taskflow and taskflow < FILTERS:
        found = (re.search(r'^\[(\S+)\]:(\d+)$', written)
                 or re.search(r'^(\S+):(\d+)$', written))
        host, port = found.groups() if found else (None, None)
    else:
        host, port = netutils.parse_host_port(written)
    if host is None or port is None:
        raise ValueError('not a host and port')
    return host, int(port)

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

"""What a worker passes to etcd3gw, and how that uses it.

Octavia passes options to TaskFlow, which passes some of them on; this has not
changed since TaskFlow 5.9, the first release with a jobboard on etcd.
"""

from collections.abc import Callable
from collections.abc import Mapping
import re
from typing import Any

_TLS = 'jobboard_etcd_ssl_options'

#: What TaskFlow passes on, and the type it converts it to.
_ARGUMENTS: Mapping[str, Callable[[Any], Any]] = {
    'host': str, 'port': int, 'protocol': str, 'ca_cert': str,
    'cert_key': str, 'cert_cert': str, 'timeout': float, 'api_path': str}

_ROOT = '/taskflow/jobs'
_TRASH = '/taskflow/.trash'

#: The variable from which etcd3gw takes the gateway's path.
PATH_VARIABLE = 'ETCD3GW_API_PATH'

#: Where releases of etcd have their gateway.
PATHS = ('/v3/', '/v3beta/', '/v3alpha/')


def arguments(get: Callable[[str], Any]) -> dict[str, Any]:
    """Return the arguments of the worker's ``etcd3gw.Etcd3Client``.

    :param get: returns an option of ``[task_flow]``
    :raises KeyError: where Octavia raises it: the TLS options do not say
        ``use_ssl``
    """
    conf: dict[str, Any] = {'host': get('jobboard_backend_hosts')[0],
                            'port': get('jobboard_backend_port')}
    if get(_TLS)['use_ssl']:
        # Any text is true.
        conf |= get(_TLS) | {'protocol': 'https'}
    for name in ('timeout', 'api_path'):
        value = get(f'jobboard_etcd_{name}')
        if value is not None:
            conf[name] = value
    return {name: convert(conf[name])
            for name, convert in _ARGUMENTS.items() if name in conf}


def base_url(host: str, port: int, protocol: str = 'http') -> str:
    """Return the URL before the path, as etcd3gw writes it."""
    return f'{protocol}://' + (
        f'[{host}]' if ':' in host else host) + f':{port}'


def given_path(path: str | None, environ: Mapping[str, str], client: str
               ) -> str | None:
    """Return the gateway's path, None where etcd3gw asks the server for it.

    :param path: the argument ``api_path``, if there is one
    :param client: the release of etcd3gw
    """
    if path is not None:
        return path
    found = None
    if _numbers(client) >= (2, 2):
        found = environ.get(PATH_VARIABLE)
    return '/v3alpha/' if found is None and _numbers(client) < (2, 3) else (
        found)


def found_path(release: tuple[int, ...]) -> str:
    """Return where etcd3gw looks for the gateway of a release of etcd."""
    if release >= (3, 4):
        return '/v3/'
    return '/v3beta/' if release >= (3, 3) else '/v3alpha/'


def timeout(seconds: float | None, client: str) -> float | None:
    """Return the time-out that takes effect, None for none.

    :param seconds: the argument ``timeout``, if there is one
    :param client: the release of etcd3gw: the first ones set it where
        requests does not look
    """
    return seconds if _numbers(client) >= (2, 4) else None


def jobs(namespace: str) -> str:
    """Return the prefix of the keys of all jobs on a board."""
    return f'{_ROOT}/{namespace.strip("/")}/job'


def trash(namespace: str) -> str:
    """Return the prefix of the keys in the trash of a board."""
    root = jobs(namespace).removesuffix('job')
    return root.replace(_ROOT, _TRASH)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(n) for n in re.findall(r'\d+', version)[:2])

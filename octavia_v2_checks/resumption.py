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

"""What controllers must agree on to finish the flows of each other."""

import hashlib
import json
from typing import Any

from octavia_v2_checks import findings
from octavia_v2_checks import settings as settings_
from octavia_v2_checks.checks.config import dburl
from octavia_v2_checks.checks.config import view

#: Length up to which a value is reported unchanged.
_LONGEST = 1000

#: Drivers that use only the first host of the list.
_FIRST_HOST_ONLY = (view.REDIS, view.ETCD)


def of(settings: settings_.Settings) -> dict[str, Any]:
    """Return the values that decide whether another host can resume a flow.

    They contain nothing secret, not even hashed: neither users nor passwords.

    :returns: by name: texts, lists of texts and numbers; null where Octavia
        could not read the option or does not use it; and ``fingerprint``, a
        SHA-256 over the others
    """
    enabled = _get(settings, 'jobboard_enabled')
    used = enabled is not False
    driver = _get(settings, 'jobboard_backend_driver')
    found: dict[str, Any] = {
        'jobboard_enabled': enabled,
        'jobboard_backend_driver': driver if used else None,
        'jobboard': _jobboard(settings, driver) if used else None,
        'jobboard_backend_namespace':
            _get(settings, 'jobboard_backend_namespace') if used else None,
        'jobboard_expiration_time':
            _get(settings, 'jobboard_expiration_time')
            if used and driver != view.ZOOKEEPER else None,
        'persistence': _persistence(settings) if used else None,
    }
    found = {name: _clean(value, settings.redactor)
             for name, value in found.items()}
    canonical = json.dumps(found, sort_keys=True).encode()
    return found | {'fingerprint': hashlib.sha256(canonical).hexdigest()}


def _get(settings, name):
    try:
        return settings.get(name)
    except findings.Blocked:
        return None


def _jobboard(settings, driver):
    """Return the addresses of the jobboard as ``host:port``, sorted if all are
    used.
    """
    hosts = _get(settings, 'jobboard_backend_hosts')
    port = _get(settings, 'jobboard_backend_port')
    if not hosts or port is None:
        return None
    places = [f'[{host}]:{port}' if ':' in host and host[0] != '['
              else f'{host}:{port}' for host in hosts]
    sentinel = _get(settings, 'jobboard_redis_sentinel')
    if driver == view.REDIS:
        end = f'/{_get(settings, "jobboard_redis_backend_db")}'
        if sentinel:
            return sorted(f'{place}/{sentinel}{end}' for place in places)
        return [places[0] + end]
    return places[:1] if driver in _FIRST_HOST_ONLY else sorted(places)


def _persistence(settings):
    url = dburl.parse(_get(settings, 'persistence_connection') or '')
    # If a piece of a password may precede the last @, no part is certain.
    if url is None or '@' in url.tail or not (url.port or '0').isdigit():
        return None
    if url.in_memory:
        return f'{url.dialect}://'
    kind, *place = url.place()
    if kind == 'sqlite':
        return f'{kind}:///{place[0]}'
    host, port, database = place
    return f'{kind}://{host}:{port}/{database}'


def _clean(value, redactor):
    if isinstance(value, str):
        return _short(redactor(value))
    if isinstance(value, list):
        return [_short(redactor(text)) for text in value]
    return value


def _short(text):
    """Return a text, or a shortened form with a hash if it is very long."""
    if len(text) <= _LONGEST:
        return text
    digest = hashlib.sha256(text.encode(errors='replace')).hexdigest()
    return f'{text[:80]}... (SHA-256 {digest})'

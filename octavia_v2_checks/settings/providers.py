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

"""The meaning of the providers in ``enabled_provider_drivers``."""

from collections.abc import Iterable
import difflib

from octavia_v2_checks import plugins
from octavia_v2_checks.upstream import versions

#: Names under which the amphora driver runs the amphorav2 code
#: (octavia.api.drivers entry points, from 9.0.0 on).
AMPHORA = frozenset({'amphora', 'amphorav2', 'octavia'})

#: Drivers that are known to exist. They need not be installed on a host that
#: only runs a worker.
_ELSEWHERE = frozenset({'a10', 'f5', 'noop_driver', 'noop_driver-alt', 'ovn',
                        'radware', 'vmwareedge'})

_ENTRY_POINTS = 'octavia.api.drivers'


def unknown(names: Iterable[str]) -> list[str]:
    """Return the names for which no driver is known.

    The drivers that are installed here are looked up, and not imported.
    """
    names = [n for n in names if n not in AMPHORA | _ELSEWHERE]
    if not names:
        return []
    here = {p.entry.name for p in plugins.find(_ENTRY_POINTS)}
    return [n for n in names if n not in here]


def meant(name: str) -> str | None:
    """Return the name of the amphora driver that a name resembles."""
    word = name.strip().lower().replace('-', '').replace('_', '')
    near = difflib.get_close_matches(word, sorted(AMPHORA), 1, 0.7)
    return near[0] if near else None


def looked() -> str:
    """Return where a driver was searched, as part of a sentence."""
    if versions.installed('octavia'):
        return 'no installed package provides a driver of that name'
    return ('it is not a known driver, and without Octavia installed no other '
            'can be looked up')

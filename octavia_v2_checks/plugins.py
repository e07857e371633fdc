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

"""Finds entry points, without parsing the metadata of everything there is.

``importlib.metadata.entry_points()`` reads and sorts the entry points of
every distribution, and stevedore keeps a cache in the home directory, where
a gate that promises to write nothing must not leave a file.
"""

import functools
from importlib import metadata
import sys
from typing import NamedTuple

from octavia_v2_checks.upstream import versions

#: What the names of the groups that matter here begin with.
GROUPS = ('octavia_v2_checks.', 'octavia.status.', 'octavia.api.drivers')


class Plugin(NamedTuple):
    """One entry point.

    :ivar owner: the distribution it comes from
    """

    owner: str
    entry: metadata.EntryPoint


@functools.cache
def _ours(path: tuple[str, ...]) -> tuple[Plugin, ...]:
    found: dict[tuple[str, str, str], Plugin] = {}
    for distribution in metadata.distributions(path=list(path)):
        text = distribution.read_text('entry_points.txt') or ''
        if not any(group in text for group in GROUPS):
            continue
        owner = versions.field(distribution, 'Name') or 'unknown'
        for entry in distribution.entry_points:
            # A checkout on sys.path shows its distribution a second time.
            found.setdefault((owner, entry.group, entry.name),
                             Plugin(owner, entry))
    return tuple(found.values())


def find(group: str) -> list[Plugin]:
    """Return the entry points of one of the groups."""
    return [p for p in _ours(tuple(sys.path))
            if p.entry.group == group]

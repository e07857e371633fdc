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

"""Entry points: found without a cache on disk, loaded by stevedore.

stevedore keeps a cache in the home directory, where a check that promises to
write nothing must not leave a file, and reads the entry points of every
distribution to create it.
"""

import functools
from importlib import metadata
import sys
from typing import Any
from typing import NamedTuple

from octavia_v2_checks.upstream import versions

#: The relevant groups begin with these.
GROUPS = ('octavia_v2_checks.', 'octavia.status.', 'octavia.api.drivers')


class Plugin(NamedTuple):
    """One entry point.

    :ivar owner: the distribution it comes from
    """

    owner: str
    entry: metadata.EntryPoint

    def load(self) -> Any:
        """Return what it names, loaded by a separate manager.

        So it may hang or end the thread without affecting others.

        :raises BaseException: what its module raises
        """
        extension, = _manager()(self.entry).extensions
        return extension.plugin


@functools.cache
def _manager() -> Any:
    """Return the class of managers; ``--help`` needs no stevedore."""
    from stevedore import extension

    class Manager(extension.ExtensionManager):
        """Loads a single entry point that was found elsewhere."""

        def __init__(self, entry: metadata.EntryPoint):
            self._entry = entry
            super().__init__(entry.group, on_load_failure_callback=_fail)

        def list_entry_points(self) -> list[metadata.EntryPoint]:
            """Return what is to be loaded, without a cache."""
            return [self._entry]

    return Manager


def _fail(_manager: Any, _entry: metadata.EntryPoint, exc: BaseException
          ) -> None:
    """Let the caller see why it does not load."""
    raise exc


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

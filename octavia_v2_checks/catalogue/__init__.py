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

"""Every finding id: what it means, why it matters, how to fix it.

One module per check and one for the drill, each with a list ``ENTRIES``.
``list``, ``explain`` and the documentation are generated from it, so they
cannot drift from the code. Ids are public: never rename, never reuse.
"""

import functools
import importlib
from typing import NamedTuple

#: Check id -> title of its row, in the order of the report.
CHECKS = {
    'config': 'AmphoraV2 configuration',
    'persistence': 'AmphoraV2 persistence database',
    'migration': 'AmphoraV2 persistence migration level',
    'jobboard': 'AmphoraV2 jobboard',
    'inflight': 'AmphoraV2 work in flight',
    'resources': 'AmphoraV2 stuck resources',
}

#: First part of an id -> its title; the drill is not a row.
AREAS = {**CHECKS, 'drill': 'The drill'}


#: What has to be fixed before the remedy of another finding can work.
NEEDED_BY = {
    'migration.upgrade-privileges': (
        'migration.uninitialised', 'migration.behind'),
    'migration.taskflow-broken': (
        'migration.uninitialised', 'migration.behind'),
}


class Entry(NamedTuple):
    """One finding id.

    :ivar id: ``area.slug``
    :ivar severity: name of a :class:`octavia_v2_checks.findings.Severity`
    :ivar title: what it means, as a short sentence
    :ivar why: what happens to load balancers if nothing is done
    :ivar remedy: how to fix it in general; a finding often has a remedy with
        the actual names
    """

    id: str
    severity: str
    title: str
    why: str
    remedy: str


@functools.cache
def area(name: str) -> dict[str, Entry]:
    """Return the entries of one check, by id.

    :raises ModuleNotFoundError: for a check that is not this project's
    """
    module = importlib.import_module(f'{__name__}.{name}')
    return {e.id: e for e in module.ENTRIES}


def entry(id_: str) -> Entry:
    """Return one entry.

    :raises KeyError: for an id that does not exist
    """
    name = id_.partition('.')[0]
    if name not in AREAS:
        raise KeyError(id_)
    return area(name)[id_]


def entries() -> list[Entry]:
    """Return all entries, check by check in the order of the report."""
    return [e for name in AREAS for e in area(name).values()]

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

"""The contents of a job posting on Redis, read as a worker reads it."""

from typing import Any
from typing import TypeAlias

from octavia_v2_checks.backends import board

#: Name, uuid of the logbook, id of the load balancer.
Summary: TypeAlias = tuple[str, str | None, str | None]

_PRIORITIES = frozenset({'VERY_HIGH', 'HIGH', 'NORMAL', 'LOW', 'VERY_LOW'})

#: Without one of these, workers delete a posting.
_NEEDED = frozenset({'created_on', 'uuid', 'name', 'sequence'})


def read(data: bytes) -> Summary | None:
    """Return the contents of a posting; None if workers cannot read it."""
    from oslo_serialization import msgpackutils
    try:
        # No value is larger than the available bytes.
        found: Any = msgpackutils.loads(data)
    except MemoryError:
        raise
    except Exception:
        return None
    if not isinstance(found, dict) or not found.keys() >= _NEEDED:
        return None
    priority = found.get('priority', 'NORMAL')
    if not isinstance(priority, str) or priority.upper() not in _PRIORITIES:
        return None
    job = board.describe('', found)
    return None if job.name is None else (job.name, job.book,
                                          job.load_balancer)

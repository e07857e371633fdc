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

"""Fragments of a configuration, and whole files made of them.

A line that ends in ``§`` is the one that the finding must point at; the
mark is taken off. Fragments without a section belong to ``[task_flow]`` and
are added to a jobboard that works: see :func:`text`.
"""

import re
from typing import NamedTuple

#: A jobboard that works, with Redis.
WORKING = {
    'persistence_connection':
        'mysql+pymysql://octavia:pw@db.example.org/octavia_persistence',
    'jobboard_enabled': 'true',
    'jobboard_backend_hosts': 'redis.example.org',
}

ZOOKEEPER = ('jobboard_backend_driver = zookeeper_taskflow_driver\n'
             'jobboard_backend_port = 2181\n')
ETCD = ('jobboard_backend_driver = etcd_taskflow_driver\n'
        'jobboard_backend_port = 2379\n')
SENTINEL = ('jobboard_redis_sentinel = mymaster\n'
            'jobboard_backend_port = 26379\n')
OFF = 'jobboard_enabled = false\n'


class Case(NamedTuple):
    """A fragment of a configuration, and what is to be said about it.

    :ivar also: other ids that belong to it
    """

    id: str
    fragment: str
    also: tuple[str, ...] = ()
    release: str | None = None
    environ: dict[str, str] = {}


def text(fragment: str) -> str:
    """Return a whole configuration file for a fragment."""
    if re.search(r'^\ufeff?\[', fragment, re.MULTILINE):
        return fragment
    given = {line.partition('=')[0].strip() for line in fragment.splitlines()}
    lines = [f'{k} = {v}' for k, v in WORKING.items() if k not in given]
    return '\n'.join(['[task_flow]', fragment.rstrip('\n'), *lines, ''])

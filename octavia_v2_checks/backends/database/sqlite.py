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

"""An SQLite file, opened so that nothing is created or changed."""

import os
from typing import Any
from urllib import parse

from octavia_v2_checks.backends import net


def connect(driver: Any, path: str, seconds: float) -> Any:
    """Open a file for reading.

    :param path: or a URI that begins with ``file:``
    :param seconds: to wait for a lock
    :raises net.Fault: ``unknown-database`` or ``access-denied``
    """
    if path.startswith('file:'):
        path = parse.unquote(path[5:].partition('?')[0])
    if not os.path.exists(path):
        raise net.Fault('unknown-database',
                        f'The SQLite file {path} does not exist.')
    if not os.access(path, os.R_OK):
        raise net.Fault('access-denied',
                        f'The SQLite file {path} is not readable.')
    # Opening a write-ahead-log database makes its -shm file, even
    # read-only, unless SQLite is told that nobody writes to it.
    mode = 'mode=ro'
    with open(path, 'rb') as stream:
        header = stream.read(20)
    if header[18:20] == b'\2\2' and not os.path.exists(f'{path}-wal'):
        mode = 'immutable=1'
    target = parse.quote(os.path.abspath(path))
    return driver.connect(f'file:{target}?{mode}', uri=True,
                          isolation_level=None, timeout=seconds)

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

"""Option files of MySQL's clients, such as ``/etc/mysql/my.cnf``.

The driver reads them itself; here only the values that a message has to name
are read, and whether a server may read files of this host.
"""

from collections.abc import Iterable
import glob
import os
import re

#: Files that include each other are followed to this depth.
_DEPTH = 10


def read(path: str, groups: Iterable[str]) -> dict[str, str]:
    """Return the options of some groups; the last of a name counts.

    :param path: a missing file has none
    :returns: name, with hyphens -> value
    """
    options: dict[str, str] = {}
    _read(os.path.expanduser(path), frozenset(groups), options, _DEPTH)
    return options


def _read(path, groups, options, depth):
    group = None
    try:
        with open(path, encoding='utf-8', errors='replace') as stream:
            lines = stream.readlines()
    except OSError:
        return
    for line in map(str.strip, lines):
        found = re.fullmatch(r'!include(dir)?\s+(.+)', line)
        if found and depth:
            for other in (sorted(glob.glob(f'{found[2]}/*.cnf')) if found[1]
                          else [found[2]]):
                _read(other, groups, options, depth - 1)
        elif line.startswith('['):
            group = line.strip('[]').strip()
        elif group in groups and line[:1] not in ('#', ';', '!', ''):
            name, _, value = line.partition('=')
            options[name.strip().replace('_', '-')] = value.strip().strip(
                '\'"')

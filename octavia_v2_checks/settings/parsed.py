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

"""What the oslo.config of a program has read, and whether we read the same.

Inside ``octavia-status`` the files have been parsed before we see them. A
pipe is empty by then, a file may have been replaced, and an option may have
been written in a short form; what was parsed is authoritative.
"""

import argparse
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import functools
from typing import Any
from typing import NamedTuple
from typing import NoReturn

from octavia_v2_checks.settings import inifile
from octavia_v2_checks.settings import redact

Options = dict[tuple[str, str], list[str]]


class Strange(Exception):
    """This oslo.config does not show what it has parsed."""


class Parsed(NamedTuple):
    """The arguments of oslo.config, and what it read.

    :ivar default_files: what it read before its arguments
    :ivar default_dirs: likewise
    :ivar named: ``('file', path)`` and ``('dir', path)`` as they were given
    :ivar options: ``(group, name)`` -> all texts, the one that wins last
    """

    default_files: list[str]
    default_dirs: list[str]
    named: list[tuple[str, str]]
    options: Options


def _pair(kind, path):
    return kind, path


class _Mirror(argparse.ArgumentParser):
    """Reads ``--config-file`` like the parser of oslo.config."""

    def __init__(self):
        super().__init__(add_help=False)
        for kind in ('file', 'dir'):
            self.add_argument(f'--config-{kind}', action='append',
                              dest='named', default=[],
                              type=functools.partial(_pair, kind))

    def error(self, message: str) -> NoReturn:
        raise Strange


def of(conf: Any) -> Parsed:
    """Return what a ConfigOpts has parsed; nothing is registered on it.

    :raises Strange: if it stores that differently than all releases so far
    """
    namespace = getattr(conf, '_namespace', None)
    tables = getattr(namespace, '_normalized', None)
    arguments = getattr(conf, '_args', None)
    if tables is None or arguments is None:
        raise Strange
    # The newest file comes first.
    options: Options = {}
    for table in reversed(tables):
        for section, assignments in table.items():
            for key, texts in assignments.items():
                options.setdefault((section, key), []).extend(texts)
    named = _Mirror().parse_known_args(list(arguments))[0].named
    return Parsed(_default(conf.default_config_files, arguments, 'file'),
                  _default(conf.default_config_dirs, arguments, 'dir'),
                  named, options)


def _default(paths: Sequence[str] | None, arguments, kind):
    # oslo.config compares the words: a short form leaves the defaults in.
    given = any(a == f'--config-{kind}' or a.startswith(f'--config-{kind}=')
                for a in arguments)
    return [] if given else list(paths or ())


def differences(files: Iterable[inifile.ConfigFile], parsed: Options,
                schema: Mapping[str, object]) -> list[str]:
    """Return the options that were read differently, as ``[group] name``.

    :param schema: the groups to compare; of [DEFAULT] only config_source
    """
    ours: Options = {}
    for file in files:
        for assignment in file.assignments:
            key = (inifile.normalise(assignment.section or ''),
                   assignment.key)
            ours.setdefault(key, []).append(assignment.value)
    keys = [key for key in {**ours, **parsed}
            if key[0] in schema or key == ('DEFAULT', 'config_source')]
    return [f'[{group}] {redact.option_name(name)}' for group, name in keys
            if ours.get((group, name)) != parsed.get((group, name))]

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

"""Finds and reads the configuration files, in oslo.config's order.

oslo.config treats a directory that it may not enter as missing. A check that
reports success must know the difference.
"""

from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import os
import stat
from typing import NamedTuple

from octavia_v2_checks import clock
from octavia_v2_checks import opts
from octavia_v2_checks.settings import inifile

#: Seconds within which the other end of a pipe must have written everything.
PIPE_SECONDS = 10.0

Named = Iterable[tuple[str, str]]


class UsageError(Exception):
    """A named file or directory cannot be read; exit code 64."""


class Found(NamedTuple):
    """The files that were read.

    :ivar files: in oslo.config's order: later ones win
    :ivar searched: how many of them are default files
    :ivar spent: files that another reader has emptied, such as pipes
    :ivar closed: directories with configuration that this user may not read
    """

    files: tuple[inifile.ConfigFile, ...]
    searched: int
    spent: tuple[str, ...]
    closed: tuple[str, ...]

    @property
    def telling(self) -> list[inifile.ConfigFile]:
        """The files that are part of the configuration of Octavia.

        An empty pipe is not, nor is a default file that only enables our rows.
        An empty file is: Octavia runs with the defaults.
        """
        return [file for number, file in enumerate(self.files)
                if file.problems
                or (number >= self.searched if file.assignments
                    else os.path.isfile(file.path))
                or any(not _is_ours(file, a) for a in file.assignments)]


def _is_ours(file, assignment):
    """Return whether an option only enables our rows."""
    if assignment.key == 'config_source':
        return True
    source = file.find('DEFAULT', 'config_source')
    groups = source.value.split(',') if source else []
    return inifile.normalise(assignment.section or '') in {
        opts.OWN_GROUP, *(inifile.normalise(g.strip()) for g in groups)}


def search_path() -> list[str]:
    """Return the directories in which oslo.config looks for files."""
    home = os.path.expanduser('~')
    snaps = [os.path.join(os.environ[name], 'etc', 'octavia')
             for name in ('SNAP_COMMON', 'SNAP') if os.environ.get(name)]
    return [os.path.join(home, '.octavia'), home, '/etc/octavia', '/etc',
            *snaps]


def _is_closed(path: str) -> bool:
    """Return whether a directory exists that this user may not read."""
    try:
        return (stat.S_ISDIR(os.stat(path).st_mode)
                and not os.access(path, os.R_OK | os.X_OK))
    except OSError:
        return False


def closed(default_files: list[str]) -> tuple[str, ...]:
    """Return the directories whose octavia.conf would have come first.

    :param default_files: what was found on the search path
    """
    place = next((os.path.dirname(path) for path in default_files
                  if os.path.basename(path) == 'octavia.conf'), None)
    path = search_path()
    if place in path:
        path = path[:path.index(place)]
    return tuple(folder for folder in path if _is_closed(folder))


class _Reading:
    """Reads files one by one."""

    def __init__(self, within: clock.Clock | None, afresh: bool):
        self._within = within
        self._afresh = afresh
        self._pipes: dict[tuple[int, int], bytes] = {}
        self.spent: list[str] = []
        self.closed: list[str] = []

    def file(self, path: str) -> Iterator[inifile.ConfigFile]:
        path = os.path.expanduser(path)
        try:
            found = os.stat(path)
            if stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode):
                yield inifile.read(path)
            elif self._afresh or os.path.samestat(
                    found, os.stat(os.devnull)):
                yield inifile.parse(path, self._pipe(path, found))
            else:
                self.spent.append(path)
        except OSError as exc:
            raise UsageError(
                f'{path or "an empty path"}: '
                f'{os.strerror(exc.errno or 0)}. Name a configuration file '
                f'that this user may read.') from None

    def _pipe(self, path, found):
        """Read something that gives its content only once, such as a pipe."""
        key = found.st_dev, found.st_ino
        if key not in self._pipes:
            left = self._within.left() if self._within else PIPE_SECONDS
            seconds = min(PIPE_SECONDS, 0.9 * left)
            try:
                self._pipes[key] = clock.bounded(
                    lambda: _content(path), clock.Clock(seconds))
            except clock.OutOfTime:
                raise UsageError(
                    f'{path}: what writes into this {_kind(found)} did not '
                    f'end within {seconds:.0f} s. Put the configuration into '
                    f'a regular file.') from None
        return self._pipes[key]

    def directory(self, path: str, named: bool
                  ) -> Iterator[inifile.ConfigFile]:
        path = os.path.expanduser(path)
        try:
            names = os.listdir(path)
        except OSError as exc:
            if named:
                raise UsageError(
                    f'{path or "an empty path"}: '
                    f'{os.strerror(exc.errno or 0)}. Name the directory that '
                    f'holds the *.conf files.') from None
            if not isinstance(exc, NotADirectoryError):
                self.closed.append(path)
            return
        # oslo.config globs *.conf, which skips hidden files.
        for name in sorted(names):
            if name.endswith('.conf') and not name.startswith('.'):
                yield from self.file(os.path.join(path, name))


def _content(path):
    with open(path, 'rb', buffering=0) as stream:
        data = b''
        while len(data) <= inifile.LARGEST and (
                piece := stream.read(1 << 20)):
            data += piece
    return data


def _kind(found):
    return ('pipe' if stat.S_ISFIFO(found.st_mode) else
            'terminal or device' if stat.S_ISCHR(found.st_mode) else 'file')


def read(named: Named, default_files: list[str], default_dirs: list[str],
         within: clock.Clock | None = None, afresh: bool = True) -> Found:
    """Read what is named, and the default files.

    :param named: ``('file', path)`` and ``('dir', path)`` in the order of
        the command line
    :param default_files: what is read before that
    :param default_dirs: likewise
    :param within: the time for all of it
    :param afresh: whether the pipes among them have not been read before
    :raises UsageError: for a named file or directory that cannot be read
    """
    reading = _Reading(within, afresh)
    files: list[inifile.ConfigFile] = []
    for path in default_files:
        files += reading.file(path)
    for path in default_dirs:
        files += reading.directory(path, named=False)
    searched = len(files)
    for kind, path in named:
        files += (reading.file(path) if kind == 'file'
                  else reading.directory(path, named=True))
    return Found(tuple(files), searched, tuple(reading.spent),
                 tuple(reading.closed))


@contextlib.contextmanager
def copies(files: Iterable[inifile.ConfigFile]) -> Iterator[list[str]]:
    """Give paths from which oslo.config can read the same files.

    A pipe gives its content only once; a copy in memory replaces it.
    """
    with contextlib.ExitStack() as stack:
        paths = []
        for file in files:
            path = file.path
            if not os.path.isfile(path):
                copy = stack.enter_context(os.fdopen(
                    os.memfd_create('octavia.conf'), 'wb'))
                copy.write('\n'.join(file.lines).encode())
                copy.flush()
                path = f'/proc/self/fd/{copy.fileno()}'
            paths.append(path)
        yield paths

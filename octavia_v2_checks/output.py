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

"""Documents: rendered in a format, printed or written to a file."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
import contextlib
import errno
import logging
import os
import re
import stat
import sys
import tempfile
from typing import TYPE_CHECKING

from octavia_v2_checks import arguments
from octavia_v2_checks import clock
from octavia_v2_checks import plugins

if TYPE_CHECKING:
    from octavia_v2_checks import engine

ENTRY_POINTS = 'octavia_v2_checks.reports'

LOG = logging.getLogger(__name__)

#: Seconds for the module of a format to load.
LOAD_SECONDS = 5.0

#: Seconds until a document must be written to what is not a regular file.
SECONDS = 5.0

#: The default format, and all formats for people.
DEFAULT = 'text'
HUMAN = (DEFAULT, 'short', 'table')

Render = Callable[['engine.Report'], str]


class Unwritten(Exception):
    """A document could not be written; the text says why."""


class Gone(Exception):
    """The reader of stdout has ended, which is not an error of this run."""


def formats(names: list[str]) -> dict[str, Render]:
    """Return the function that renders a report, for each format.

    :raises arguments.Usage: for a format that is not installed, or whose
        module does not load
    """
    known = {p.entry.name: p for p in reversed(plugins.find(ENTRY_POINTS))}
    found = {}
    for name in names:
        if name not in known:
            raise arguments.unknown('format', name, sorted(known))
        try:
            found[name] = _loaded(known[name])
        except KeyboardInterrupt:
            raise
        except BaseException as exc:
            # Any distribution may provide a format.
            raise arguments.Usage(
                f'the format {name} of {known[name].owner} does not load '
                f'({type(exc).__name__}). Fix or remove that '
                f'package.') from None
    return found


def leave(report: engine.Report, files: Iterable[tuple[str, str]],
          known: Mapping[str, Render]) -> list[str]:
    """Write a report to files; a failure does not affect the others.

    :param files: (format, path)
    :param known: the function that renders each format
    :returns: a sentence for each failure
    """
    wrong = []
    for form, path in files:
        try:
            write(path, rendered(form, known[form], report))
        except Unwritten as exc:
            wrong.append(exc.args[0])
    return wrong


def rendered(form: str, render: Render, report: engine.Report) -> str:
    """Return a report in a format.

    :raises Unwritten: if the format fails; any distribution may provide one
    """
    try:
        return str(render(report))
    except Exception as exc:
        LOG.debug('the format %s failed', form, exc_info=exc)
        raise Unwritten(f'the format {form} failed '
                        f'({type(exc).__name__})') from None


def _loaded(plugin):
    """Load a format; a third-party one may hang."""
    from octavia_v2_checks import registry
    if plugin.owner == registry.OURS:
        return plugin.load()
    return clock.bounded(plugin.load, clock.Clock(LOAD_SECONDS))


def write(path: str, text: str, private: bool = False) -> None:
    """Write a document completely, or not at all.

    A link is followed, and a regular file keeps its owner and mode. What is
    not a regular file (a device, a pipe) is written directly.

    :param private: whether only its owner may read it, if it is new or was
        readable by everybody
    :raises Unwritten: if it cannot be written there
    """
    data = encoded(text.rstrip('\n') + '\n')
    try:
        descriptor = _descriptor(path)
        if descriptor is not None:
            _through(descriptor, data)
            return
        path_ = os.path.realpath(path)
        try:
            old = os.stat(path_)
        except FileNotFoundError:
            _replace(path_, data, private, None)
            return
        if stat.S_ISREG(old.st_mode):
            _replace(path_, data, private, old)
        else:
            _through(path_, data)
    except clock.OutOfTime:
        raise Unwritten(f'cannot write {path}: nothing has read from it '
                        f'within {SECONDS:g} s') from None
    except OSError as exc:
        raise Unwritten(f'cannot write {path}: '
                        f'{os.strerror(exc.errno or 0)}') from None


def encoded(text: str) -> bytes:
    """Return UTF-8; lone surrogates, as in a file name, are escaped."""
    return text.encode('utf-8', 'backslashreplace')


def _descriptor(path):
    """Return the number if a path is one of this process's open files.

    ``/dev/stdout`` is a link to a link that only the kernel can follow.
    """
    for _ in range(10):
        folder, name = os.path.split(os.path.abspath(path))
        if os.path.realpath(folder) == f'/proc/{os.getpid()}/fd' and (
                re.fullmatch('[0-9]+', name)):
            return int(name)
        if not os.path.islink(path):
            return None
        path = os.path.join(folder, os.readlink(path))
    return None


def is_stdout(path: str) -> bool:
    """Return whether a path is stdout."""
    try:
        return _descriptor(path) == 1
    except OSError:
        return False


def _through(target, data):
    """Write to something that may be read slowly, or not at all."""
    def put():
        with open(target, 'wb', buffering=0,
                  closefd=isinstance(target, str)) as stream:
            _put(stream, data)

    clock.bounded(put, clock.Clock(SECONDS))


def _replace(path, data, private, old):
    """Write a new file, and replace the old one with it.

    :param old: os.stat_result of that one, None if there is none
    """
    try:
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path),
                                             prefix='.report-')
    except OSError:
        if old is None:
            raise
        _overwrite(path, data)
        return
    try:
        with os.fdopen(handle, 'wb') as stream:
            stream.write(data)
            alike = _make_alike(handle, old, private)
        if alike:
            os.replace(temporary, path)
            return
    except BaseException as exc:
        os.unlink(temporary)
        # A file that is mounted into a container cannot be replaced.
        if not isinstance(exc, OSError) or exc.errno != errno.EBUSY:
            raise
    else:
        os.unlink(temporary)
    _overwrite(path, data)


def _overwrite(path, data):
    """Overwrite a file that cannot be replaced."""
    with open(path, 'r+b') as stream:
        stream.write(data)
        stream.truncate()


def _make_alike(handle, old, private):
    """Give a new file the owner and mode of the old one, if permitted.

    :returns: whether it has them
    """
    if old is None:
        if not private:
            mask = os.umask(0)
            os.umask(mask)
            os.fchmod(handle, 0o666 & ~mask)
        return True
    try:
        new = os.fstat(handle)
        if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
            os.fchown(handle, old.st_uid, old.st_gid)
        mode = stat.S_IMODE(old.st_mode)
        os.fchmod(handle, 0o600 if private and mode & stat.S_IROTH else mode)
    except PermissionError:
        return False
    return True


def show(text: str, form: str = 'text') -> None:
    """Print a document; formats for people have colours.

    :param form: one of :data:`HUMAN`, or a format for machines, which is
        UTF-8 whatever the locale is
    :raises Gone: if the reader has ended
    :raises Unwritten: if stdout cannot be written
    """
    text = text.rstrip('\n') + '\n'
    with printing():
        if form in HUMAN and sys.stdout.isatty():
            _coloured(text)
        elif hasattr(sys.stdout, 'buffer'):
            sys.stdout.flush()
            _put(sys.stdout.buffer, text.encode(
                sys.stdout.encoding if form in HUMAN else 'utf-8',
                'backslashreplace'))
        else:
            print(text, end='')


def _put(stream, data):
    """Write all data; an unbuffered stream may accept only a part of it."""
    left = memoryview(data)
    while left:
        left = left[stream.write(left) or 0:]


@contextlib.contextmanager
def printing():
    """Print to stdout, and report if that fails.

    :raises Gone: if the reader has ended
    :raises Unwritten: if stdout cannot be written
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise Gone from None
    except OSError as exc:
        raise Unwritten(f'cannot write to stdout: '
                        f'{os.strerror(exc.errno or 0)}') from None


#: The id after the sign of a finding; without it, an ASCII sign could be text.
_ID = r'[\w-]+\.[\w-]+(?![\w.])'

_COLOURS = (
    (r'(?<=Result: )Success', 'green'), (r'(?<=Result: )Warning', 'yellow'),
    (r'(?<=Result: )Failure', 'bold red'),
    (r'(?m)^(To do first|Warnings):', 'bold'),
    (r'(?m)^(Why it matters|How to fix it)$', 'bold'),
    (r'(?m)^ *[✓+] ', 'green'),
    (rf'(?m)^ *! {_ID}', 'yellow'), (rf'(?m)^ *[✗x] {_ID}', 'bold red'),
    (r'(?m)^ *[–-] .*', 'dim'),  # noqa: RUF001 - it is a dash
    (r'(?m)^(Failures|.*(Do not upgrade yet|before you upgrade)\.)$',
     'bold red'),
    (r'(?m)^Warnings$', 'yellow'),
    (r'(?m)^.* Ready to upgrade\.$', 'bold green'),
)


def _coloured(text):
    from rich import console
    from rich import text as rich_text
    coloured = rich_text.Text(text)
    for pattern, style in _COLOURS:
        coloured.highlight_regex(pattern, style)
    # Lines must stay unbroken, or a remedy could not be copied.
    console.Console(highlight=False, soft_wrap=True).print(coloured, end='')

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

"""Documents: rendered in a format, shown or put into a file."""

from collections.abc import Callable
import os
import sys
import tempfile

from octavia_v2_checks import arguments
from octavia_v2_checks import clock
from octavia_v2_checks import engine
from octavia_v2_checks import plugins
from octavia_v2_checks import registry

ENTRY_POINTS = 'octavia_v2_checks.reports'

#: Seconds for the module of a format to load.
LOAD_SECONDS = 5.0

Render = Callable[[engine.Report], str]


def formats(names: list[str]) -> dict[str, Render]:
    """Return what renders a report, for each format that is named.

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
            # Any distribution may bring a format.
            raise arguments.Usage(
                f'the format {name} of {known[name].owner} does not load '
                f'({type(exc).__name__}). Mend or remove that '
                f'package.') from None
    return found


def _loaded(plugin):
    """Load a format; what others bring may hang."""
    if plugin.owner == registry.OURS:
        return plugin.load()
    return clock.bounded(plugin.load, clock.Clock(LOAD_SECONDS))


def write(path: str, text: str, private: bool = False) -> None:
    """Put a document in place whole, or not at all.

    :param private: whether only its owner may read it
    :raises arguments.Usage: if it cannot be written there
    """
    folder = os.path.dirname(path) or '.'
    try:
        handle, temporary = tempfile.mkstemp(dir=folder, prefix='.report-')
        try:
            with os.fdopen(handle, 'w', encoding='utf-8') as stream:
                stream.write(text.rstrip('\n') + '\n')
            if not private:
                mask = os.umask(0)
                os.umask(mask)
                os.chmod(temporary, 0o666 & ~mask)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as exc:
        raise arguments.Usage(f'cannot write {path}: '
                              f'{os.strerror(exc.errno or 0)}') from None


def show(text: str, table: bool = True) -> None:
    """Print a document; a table that a person looks at has colours.

    :param table: whether it is the format for a person
    """
    if not table or not sys.stdout.isatty():
        print(text.rstrip('\n'))
        return
    from rich import console
    from rich import text as rich_text
    coloured = rich_text.Text(text)
    for result, style in (('Success', 'green'), ('Warning', 'yellow'),
                          ('Failure', 'bold red')):
        coloured.highlight_regex(f'(?<=Result: ){result}', style)
    coloured.highlight_regex('(?m)^(To do first|Worth a look):', 'bold')
    # Lines must stay whole, or a remedy could not be copied.
    console.Console(highlight=False, soft_wrap=True).print(coloured)

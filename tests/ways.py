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

"""Ways in which the configuration of a system comes to a command.

With healthy servers each way is green, and with dead ones red. What can never
be green is in ``NEVER``.
"""

from collections.abc import Callable
import dataclasses
import os
import pathlib
import sys
import threading
from typing import Any

import pytest

from tests import commands

NOBODY = 65534


@dataclasses.dataclass
class Start:
    """How the command is started.

    :ivar before: arguments before the subcommand
    :ivar after: arguments at the end, which only our own command takes
    """

    before: list[str] = dataclasses.field(default_factory=list)
    after: list[str] = dataclasses.field(default_factory=list)
    environ: dict[str, str] = dataclasses.field(default_factory=dict)
    options: dict[str, Any] = dataclasses.field(default_factory=dict)


class Place:
    """A separate directory, and a configuration to bring in.

    :ivar sections: section -> option -> value, as they stand in a file
    """

    def __init__(self, path: pathlib.Path,
                 sections: dict[str, dict[str, Any]]):
        self.path = path
        self.sections = sections

    @property
    def text(self) -> str:
        return commands.config_text(self.sections)

    def write(self, name: str, text: str | None = None) -> str:
        """The path of a new file, with the configuration or with a text."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.text if text is None else text)
        return str(path)

    def pipe(self, name: str) -> str:
        """The path of a pipe into which one writer writes once."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(path)
        threading.Thread(target=path.write_text, args=(self.text,),
                         daemon=True).start()
        return str(path)

    def own(self, line: str) -> str:
        """The path of a file that also sets an option of ours."""
        return self.write('octavia.conf',
                          f'{self.text}\n[octavia_v2_checks]\n{line}\n')


OFF = '[task_flow]\njobboard_enabled = false\n'


def named(path: str, *more: str) -> Start:
    return Start(['--config-file', path, *more])


def two_halves(place):
    flow = {'task_flow': place.sections['task_flow']}
    rest = {k: v for k, v in place.sections.items() if k != 'task_flow'}
    return named(place.write('a.conf', commands.config_text(rest)),
                 '--config-file',
                 place.write('b.conf', commands.config_text(flow)))


def variables(place):
    return Start(environ={
        f'OS_{section}__{name}'.upper(): commands._value(value)
        for section, options in place.sections.items()
        for name, value in options.items()})


def at_home(*names: str) -> Callable[[Place], Start]:
    def start(place):
        for name in names:
            place.write(f'home/{name}')
        return Start()

    return start


def link(place):
    (place.path / 'link.conf').symlink_to(place.write('real.conf'))
    return named(str(place.path / 'link.conf'))


def relative(place):
    place.write('octavia.conf')
    return Start(['--config-file', 'octavia.conf'],
                 options={'cwd': str(place.path)})


#: What both doors take.
WAYS: dict[str, Callable[[Place], Start]] = {
    'file': lambda p: named(p.write('octavia.conf')),
    'joined': lambda p: Start([f'--config-file={p.write("octavia.conf")}']),
    'short': lambda p: Start(['--config-f', p.write('octavia.conf')]),
    'short and joined': lambda p: Start(
        [f'--config-fi={p.write("octavia.conf")}']),
    'short directory': lambda p: Start(
        ['--config-d', os.path.dirname(p.write('d/a.conf'))]),
    'twice': lambda p: named(p.write('a.conf'), '--config-file',
                             p.write('a.conf')),
    'two halves': two_halves,
    'later file': lambda p: named(p.write('a.conf', OFF), '--config-file',
                                  p.write('b.conf')),
    'directory': lambda p: Start(
        ['--config-dir', os.path.dirname(p.write('d/a.conf'))]),
    'later directory': lambda p: named(
        p.write('a.conf', OFF), '--config-dir',
        os.path.dirname(p.write('d/a.conf'))),
    'file after directory': lambda p: Start(
        ['--config-dir', os.path.dirname(p.write('d/a.conf', OFF)),
         '--config-file', p.write('b.conf')]),
    'home': at_home('octavia.conf'),
    'hidden home': at_home('.octavia/octavia.conf'),
    'home of the command': at_home('octavia-status.conf'),
    'directory at home': at_home('.octavia/octavia.conf.d/a.conf'),
    'all at home': at_home('.octavia/octavia.conf', '.octavia/octavia.conf.d/'
                           'a.conf', 'octavia-status.conf'),
    'variables': variables,
    'link': link,
    'relative': relative,
    'regular file as stdin': lambda p: Start(
        ['--config-file', '/dev/stdin'],
        options={'stdin': p.write('octavia.conf')}),
    'null device first': lambda p: named('/dev/null', '--config-file',
                                         p.write('octavia.conf')),
    'odd name': lambda p: named(p.write('o c\u00e4t\n"\'.conf')),
    'bytes as name': lambda p: named(p.write('o\udcff.conf')),
    'other line ends': lambda p: named(p.write(
        'octavia.conf', p.text.replace('\n', '\r\n'))),
    'upper case': lambda p: named(p.write(
        'octavia.conf', p.text.replace('[task_flow]', '[TASK_FLOW]'))),
    'fail_level': lambda p: named(p.own('fail_level = failure')),
    'wait': lambda p: named(p.own('wait = 1')),
    'times': lambda p: named(p.own('deadline = 10\nprobe_timeout = 1e0')),
    'skip': lambda p: named(p.own('skip = resources')),
    'report file': lambda p: named(p.own(
        f'report_file = json:{p.path}/report.json')),
    'null report': lambda p: named(p.own('report_file = json:/dev/null')),
}


def stdin_after_file(place):
    start = named(place.write('a.conf', OFF), '--config-file', '/dev/stdin')
    start.options['feed'] = place.text
    return start


#: What can be read once, and so not by a second reader in the stock command.
ONCE: dict[str, Callable[[Place], Start]] = {
    'stdin': lambda p: Start(['--config-file', '/dev/stdin'],
                             options={'feed': p.text}),
    'descriptor': lambda p: Start(['--config-file', '/dev/fd/0'],
                                  options={'feed': p.text}),
    'stdin after file': stdin_after_file,
    'pipe': lambda p: named(p.pipe('pipe.conf')),
    'pipe in a directory': lambda p: Start(
        ['--config-dir', os.path.dirname(p.pipe('d/a.conf'))]),
    'pipe at home': lambda p: p.pipe('home/.octavia/octavia.conf') and Start(),
}


def _is_open() -> bool:
    """Whether another user can use this Python and the package."""
    found = [pathlib.Path(sys.executable), pathlib.Path(__file__)]
    return all(folder.stat().st_mode & 0o001
               for path in found for folder in path.parents)


def closed(name: str) -> Callable[[Place], Start]:
    def start(place):
        if not _is_open():
            pytest.skip('another user cannot use this installation')
        place.write(f'{name}/octavia.conf')
        folder = place.path / name
        folder.chmod(0o700)
        for parent in [place.path, *place.path.parents[:3]]:
            if parent != pathlib.Path('/tmp'):
                parent.chmod(0o755)
        (place.path / 'home').chmod(0o700 if name == 'home' else 0o755)
        return Start(options={'user': NOBODY})

    return start


def with_own(line: str) -> Callable[[Place], Start]:
    return lambda p: named(p.own(line))


def with_providers(text: str) -> Callable[[Place], Start]:
    def start(place):
        place.sections['api_settings']['enabled_provider_drivers'] = text
        return named(place.write('octavia.conf'))

    return start


#: Ways that are red though nothing is wrong with any server: the finding that
#: says so, and a word of it.
NEVER: dict[str, tuple[Callable[[Place], Start], str, str]] = {
    'empty machine': (lambda p: Start(), 'config.no-files',
                      'No configuration file'),
    'only the switch': (
        lambda p: p.write(
            'home/.octavia/octavia-status.conf.d/a.conf',
            '[DEFAULT]\nconfig_source = octavia_v2_checks\n'
            '[octavia_v2_checks]\ndriver = octavia_v2_checks\n') and Start(),
        'config.no-files', 'octavia-status.conf.d/a.conf'),
    'empty directory': (
        lambda p: Start(['--config-dir',
                         os.path.dirname(p.write('d/a.txt'))]),
        'config.no-files', 'No configuration file'),
    'closed home': (closed('home'), 'config.no-files', '/home exists'),
    'closed hidden home': (closed('home/.octavia'), 'config.no-files',
                           '/home/.octavia exists'),
    'closed directory at home': (
        closed('home/.octavia/octavia.conf.d'), 'config.no-files',
        '/home/.octavia/octavia.conf.d exists'),
    **{f'{name} = {text}': (with_own(f'{name} = {text}'),
                            'config.invalid-value', name)
       for name in ('deadline', 'probe_timeout', 'wait')
       for text in ('', 'inf', '1e400', 'nan', '1e5', '-1')},
    'NUL': (with_own('report_file = json:/tmp/a\0b'), 'config.parse-error',
            '0x00'),
    **{f'providers {text}': (with_providers(text), 'config.provider-unknown',
                             'enabled_provider_drivers')
       for text in ('', 'Amphora:x', 'amphra:x', 'frobnicator:x',
                    'ovn:x, amphra:y')},
}

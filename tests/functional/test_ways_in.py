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

"""One system, configured in every way: each way, format and command.

A way brings the whole configuration of a system to the command. With both
servers dead none may end with 0, hang, or show a traceback or the password;
with live servers the same way must be green, so that no way passes the first
test by failing always. What can never be green is in ``NEVER``.
"""

from collections.abc import Callable
import dataclasses
import json
import os
import pathlib
import threading
import time
from typing import Any

import pytest

from octavia_v2_checks import plugins
from tests import cells
from tests import commands
from tests.servers import redis as redis_server
from tests.servers import scripts

OWN = sorted({p.entry.name for p in plugins.find('octavia_v2_checks.reports')})
STOCK = ('table', 'json')
VALIDATE = ('table', 'json', 'sarif')

#: Seconds in which every run ends: the servers refuse at once.
IN_TIME = 25.0

NOBODY = 65534

SWITCH = {'OS_DEFAULT__CONFIG_SOURCE': 'octavia_v2_checks',
          'OS_OCTAVIA_V2_CHECKS__DRIVER': 'octavia_v2_checks'}


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


def closed(name: str) -> Callable[[Place], Start]:
    def start(place):
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

SKIP_ALL = 'skip = config,persistence,migration,jobboard,inflight,resources'


@pytest.fixture(scope='module')
def run():
    """A function that goes one way in and returns how that ended."""
    def run(door, form, way, sections, path):
        place = Place(path, {k: dict(v) for k, v in sections.items()})
        (path / 'home').mkdir()
        start = way(place)
        words = {'own': ['upgrade', 'check', '--format', form],
                 'validate': ['validate', '--format', form],
                 'stock': ['upgrade', 'check', *(
                     ['--json'] if form == 'json' else [])]}[door]
        begin = time.monotonic()
        done = commands.ended(
            [commands.script('octavia-status' if door == 'stock'
                             else 'octavia-v2-checks'),
             *start.before, *words, *start.after],
            commands.environment(
                HOME=str(path / 'home'), **start.environ,
                **(SWITCH if door == 'stock' else {})), **start.options)
        outcome = cells.Outcome(done.returncode, done.stdout, done.stderr,
                                time.monotonic() - begin, 0.0)
        assert outcome.seconds < IN_TIME
        assert 'Traceback' not in outcome.text
        assert cells.leaks(outcome.text) == []
        if form in ('json', 'sarif'):
            json.loads(outcome.stdout)
        return outcome

    return run


@pytest.fixture(scope='module')
def healthy(mariadb, tmp_path_factory):
    """The sections of a system in which all is well."""
    with redis_server.Redis(save=('3600', '1'),
                            requirepass=cells.PASSWORD) as redis:
        system = cells.System(tmp_path_factory.mktemp('ways'), mariadb, redis)
        yield {'api_settings': {'enabled_provider_drivers': 'amphora:x'},
               'task_flow': system.options}


@pytest.fixture(scope='module')
def broken():
    """The same with both servers dead."""
    with scripts.Refuse() as database, scripts.Refuse() as board:
        url = (f'mysql+pymysql://octavia:{cells.QUOTED}@{database.host}:'
               f'{database.port}/octavia_persistence')
        yield {'api_settings': {'enabled_provider_drivers': 'amphora:x'},
               'task_flow': {
                   'jobboard_enabled': True, 'persistence_connection': url,
                   'jobboard_backend_hosts': board.host,
                   'jobboard_backend_port': board.port,
                   'jobboard_backend_password': cells.written(
                       cells.PASSWORD)}}


DOORS = [('own', form) for form in OWN] + [('stock', form) for form in STOCK]
STATIC = [('validate', form) for form in VALIDATE]


@pytest.mark.parametrize('door, form', DOORS)
@pytest.mark.parametrize('way', WAYS | ONCE)
def test_broken(run, broken, tmp_path, way, door, form):
    outcome = run(door, form, (WAYS | ONCE)[way], broken, tmp_path)
    assert outcome.code == 2, outcome.text
    if door == 'own' or way in WAYS:
        for id_ in ('persistence.refused', 'jobboard.refused'):
            assert id_ in outcome.stdout


#: Healthy ways go with one format: what a format makes of a healthy system
#: is not a matter of the way in.
ONE_FORM = [('own', 'json'), ('stock', 'json')]


@pytest.mark.parametrize('door, form', ONE_FORM)
@pytest.mark.parametrize('way', WAYS)
def test_healthy(run, healthy, tmp_path, way, door, form):
    outcome = run(door, form, WAYS[way], healthy, tmp_path)
    assert outcome.code == 0, outcome.text
    results = {c['result'] for c in json.loads(outcome.stdout)['checks']}
    assert results == {0}


@pytest.mark.parametrize('form', OWN)
def test_every_format_is_green_with_a_healthy_system(
        run, healthy, tmp_path, form):
    assert run('own', form, WAYS['file'], healthy, tmp_path).code == 0


@pytest.mark.parametrize('way', ONCE)
def test_a_pipe_is_read_once_and_works(run, healthy, tmp_path, way):
    outcome = run('own', 'json', ONCE[way], healthy, tmp_path)
    assert outcome.code == 0, outcome.text
    assert outcome.seconds < 10


@pytest.mark.parametrize('way', ONCE)
def test_a_pipe_cannot_be_read_again(run, healthy, tmp_path, way):
    """The stock command has emptied it; that is said, and no guess made."""
    outcome = run('stock', 'json', ONCE[way], healthy, tmp_path)
    assert outcome.code == 2
    row = json.loads(outcome.stdout)['checks'][0]
    assert row['details'].startswith('config.undetermined: ')
    assert 'regular file' in row['details']


@pytest.mark.parametrize('door, form', DOORS + STATIC)
@pytest.mark.parametrize('way', NEVER)
def test_never(run, tmp_path, way, door, form):
    """No server is needed here, so nothing but the way makes it red."""
    start, id_, word = NEVER[way]
    outcome = run(door, form, start, {
        'api_settings': {'enabled_provider_drivers': 'amphora:x'},
        'task_flow': {'jobboard_enabled': False}}, tmp_path)
    assert outcome.code == 2, outcome.text
    assert id_ in outcome.stdout
    if form == 'json':
        assert word in outcome.stdout


@pytest.mark.parametrize('form', STOCK)
def test_nothing_left_to_run_in_the_stock_command(run, tmp_path, form):
    outcome = run('stock', form, with_own(SKIP_ALL), {
        'api_settings': {}, 'task_flow': {}}, tmp_path)
    assert outcome.code == 2
    assert 'skip names every check' in ' '.join(
        outcome.stdout.replace('|', '').split())


@pytest.mark.parametrize('form', OWN)
def test_nothing_left_to_run(run, tmp_path, form):
    outcome = run('own', form if form != 'json' else 'table',
                  with_own(SKIP_ALL), {'api_settings': {}, 'task_flow': {}},
                  tmp_path)
    assert outcome.code == 64
    assert 'no check is left' in outcome.stderr


@pytest.mark.parametrize('door, code', [('own', 64), ('stock', 2)])
def test_own_options_that_are_wrong_where_no_row_says_so(
        run, tmp_path, door, code):
    outcome = run(door, 'table', with_own('skip = config\ndeadline = nan'), {
        'api_settings': {}, 'task_flow': {}}, tmp_path)
    assert outcome.code == code
    assert 'deadline has no valid value' in ' '.join(
        outcome.text.replace('|', '').split())


def test_other_providers_alone_are_no_fault(run, broken, tmp_path):
    """A deployment that serves OVN only has nothing to check, and is told."""
    outcome = run('own', 'json', with_providers('ovn:OVN'), broken, tmp_path)
    assert outcome.code == 0, outcome.text
    rows = json.loads(outcome.stdout)['checks']
    assert all('not in [api_settings] enabled_provider_drivers'
               in row['details'] for row in rows[1:])


@pytest.mark.parametrize('text', ['', 'Amphora:x', 'amphra:x'])
def test_rows_are_not_checked_where_the_provider_is_not_known(
        run, broken, tmp_path, text):
    outcome = run('own', 'json', with_providers(text), broken, tmp_path)
    rows = json.loads(outcome.stdout)['checks']
    assert {row['result'] for row in rows} == {2}
    for row in rows[1:]:
        assert row['details'].startswith('Not checked: ')
        assert 'config.provider-unknown' in row['details']

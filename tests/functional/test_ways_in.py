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
test by failing always. :mod:`tests.ways` has all of them.
"""

import json
import time

import pytest

from octavia_v2_checks import plugins
from tests import cells
from tests import commands
from tests import ways
from tests.servers import redis as redis_server
from tests.servers import scripts

OWN = sorted({p.entry.name for p in plugins.find('octavia_v2_checks.reports')})
STOCK = ('table', 'json')
VALIDATE = ('table', 'json', 'sarif')

#: Seconds in which every run ends: the servers refuse at once.
IN_TIME = 25.0

SWITCH = {'OS_DEFAULT__CONFIG_SOURCE': 'octavia_v2_checks',
          'OS_OCTAVIA_V2_CHECKS__DRIVER': 'octavia_v2_checks'}

SKIP_ALL = 'skip = config,persistence,migration,jobboard,inflight,resources'


@pytest.fixture(scope='module')
def run():
    """A function that goes one way in and returns how that ended."""
    def run(door, form, way, sections, path):
        place = ways.Place(path, {k: dict(v) for k, v in sections.items()})
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
@pytest.mark.parametrize('way', ways.WAYS | ways.ONCE)
def test_broken(run, broken, tmp_path, way, door, form):
    outcome = run(door, form, (ways.WAYS | ways.ONCE)[way], broken, tmp_path)
    assert outcome.code == 2, outcome.text
    if door == 'own' or way in ways.WAYS:
        for id_ in ('persistence.refused', 'jobboard.refused'):
            assert id_ in outcome.stdout


#: Healthy ways go with one format: what a format makes of a healthy system
#: is not a matter of the way in.
ONE_FORM = [('own', 'json'), ('stock', 'json')]


@pytest.mark.parametrize('door, form', ONE_FORM)
@pytest.mark.parametrize('way', ways.WAYS)
def test_healthy(run, healthy, tmp_path, way, door, form):
    outcome = run(door, form, ways.WAYS[way], healthy, tmp_path)
    assert outcome.code == 0, outcome.text
    results = {c['result'] for c in json.loads(outcome.stdout)['checks']}
    assert results == {0}


@pytest.mark.parametrize('form', OWN)
def test_every_format_is_green_with_a_healthy_system(
        run, healthy, tmp_path, form):
    assert run('own', form, ways.WAYS['file'], healthy, tmp_path).code == 0


@pytest.mark.parametrize('way', ways.ONCE)
def test_a_pipe_is_read_once_and_works(run, healthy, tmp_path, way):
    outcome = run('own', 'json', ways.ONCE[way], healthy, tmp_path)
    assert outcome.code == 0, outcome.text
    assert outcome.seconds < 10


@pytest.mark.parametrize('way', ways.ONCE)
def test_a_pipe_cannot_be_read_again(run, healthy, tmp_path, way):
    """The stock command has emptied it; that is said, and no guess made."""
    outcome = run('stock', 'json', ways.ONCE[way], healthy, tmp_path)
    assert outcome.code == 2
    row = json.loads(outcome.stdout)['checks'][0]
    assert row['details'].startswith('config.undetermined: ')
    assert 'regular file' in row['details']


@pytest.mark.parametrize('door, form', DOORS + STATIC)
@pytest.mark.parametrize('way', ways.NEVER)
def test_never(run, tmp_path, way, door, form):
    """No server is needed here, so nothing but the way makes it red."""
    start, id_, word = ways.NEVER[way]
    outcome = run(door, form, start, {
        'api_settings': {'enabled_provider_drivers': 'amphora:x'},
        'task_flow': {'jobboard_enabled': False}}, tmp_path)
    assert outcome.code == 2, outcome.text
    assert id_ in outcome.stdout
    if form == 'json':
        assert word in outcome.stdout


@pytest.mark.parametrize('form', STOCK)
def test_nothing_left_to_run_in_the_stock_command(run, tmp_path, form):
    outcome = run('stock', form, ways.with_own(SKIP_ALL), {
        'api_settings': {}, 'task_flow': {}}, tmp_path)
    assert outcome.code == 2
    assert 'skip names every check' in ' '.join(
        outcome.stdout.replace('|', '').split())


@pytest.mark.parametrize('form', OWN)
def test_nothing_left_to_run(run, tmp_path, form):
    outcome = run('own', form if form != 'json' else 'table',
                  ways.with_own(SKIP_ALL),
                  {'api_settings': {}, 'task_flow': {}}, tmp_path)
    assert outcome.code == 64
    assert 'no check is left' in outcome.stderr


@pytest.mark.parametrize('door, code', [('own', 64), ('stock', 2)])
def test_own_options_that_are_wrong_where_no_row_says_so(
        run, tmp_path, door, code):
    way = ways.with_own('skip = config\ndeadline = nan')
    outcome = run(door, 'table', way, {'api_settings': {}, 'task_flow': {}},
                  tmp_path)
    assert outcome.code == code
    assert 'deadline has no valid value' in ' '.join(
        outcome.text.replace('|', '').split())


def test_other_providers_alone_are_no_fault(run, broken, tmp_path):
    """A deployment that serves OVN only has nothing to check, and is told."""
    outcome = run('own', 'json', ways.with_providers('ovn:OVN'), broken,
                  tmp_path)
    assert outcome.code == 0, outcome.text
    rows = json.loads(outcome.stdout)['checks']
    assert all('not in [api_settings] enabled_provider_drivers'
               in row['details'] for row in rows[1:])


@pytest.mark.parametrize('text', ['', 'Amphora:x', 'amphra:x'])
def test_rows_are_not_checked_where_the_provider_is_not_known(
        run, broken, tmp_path, text):
    outcome = run('own', 'json', ways.with_providers(text), broken, tmp_path)
    rows = json.loads(outcome.stdout)['checks']
    assert {row['result'] for row in rows} == {2}
    for row in rows[1:]:
        assert row['details'].startswith('Not checked: ')
        assert 'config.provider-unknown' in row['details']

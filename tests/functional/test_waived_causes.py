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

"""A waiver excuses the finding it names, and nothing else.

A Redis that may evict jobs, which its operator has waived for now, and then
something else goes wrong while the board is read.
"""

import datetime

import pytest

from tests import boards
from tests import doors
from tests import probing
from tests.servers import redis as redis_server
from tests.servers import scripts

DAY = datetime.datetime.now(datetime.timezone.utc).date()

SHORT = {'probe_timeout': 1}


@pytest.fixture(scope='module')
def evicting():
    """A Redis that is sound, but for its maxmemory-policy."""
    with redis_server.Redis(save=('3600', '1'), maxmemory='64mb',
                            maxmemory_policy='allkeys-lru') as server:
        yield server


@pytest.fixture
def place(evicting, mariadb, write_config):
    name = probing.name('octavia_persistence_')
    mariadb.execute(f'CREATE DATABASE {name}')
    place = boards.RedisPlace(
        evicting, mariadb.url(database=name),
        lambda statements: mariadb.execute(statements, name), write_config)
    yield place
    place.close()


def look(place, waived, door=doors.own, **options):
    """Run all checks with one finding waived; what they say."""
    return door(place.config({'octavia_v2_checks': {
        **SHORT, 'waivers': f'{waived} until={DAY} reason=change 4711'}},
        **options))


def row(verdict, id_):
    """The Details of a row."""
    [check] = [c for c in verdict.document['checks'] if c['id'] == id_]
    return check


BOTH = pytest.mark.parametrize('door', [doors.own, doors.stock])


@BOTH
def test_nothing_else_is_wrong(place, door):
    verdict = look(place, 'jobboard.eviction', door)
    assert verdict.code == 0, verdict.text
    assert 'jobboard.eviction' in verdict.text
    assert set(verdict.rows.values()) == {0}
    assert look(place, 'jobboard.replica', door).code == 2


@BOTH
def test_a_board_of_the_wrong_type(place, evicting, door):
    evicting.command('SET', f'{place.namespace}:listings', 'no hash')
    verdict = look(place, 'jobboard.eviction', door)
    assert verdict.code == 2
    assert verdict.rows['jobboard'] == 0
    assert verdict.rows['inflight'] == 2
    assert verdict.ids >= {'inflight.undetermined'}
    evicting.command('DEL', f'{place.namespace}:listings')


@BOTH
@pytest.mark.parametrize('waived', ['jobboard.eviction', 'jobboard.refused'])
def test_a_server_that_stops_answering_at_that_moment(
        place, evicting, door, waived):
    with scripts.Forward(evicting, b'HSCAN') as way:
        verdict = look(place, waived, door, jobboard_backend_hosts=way.host,
                       jobboard_backend_port=way.port)
    assert verdict.code == 2
    assert verdict.rows['jobboard'] == (0 if 'eviction' in waived else 2)
    assert verdict.rows['inflight'] == 2
    assert f'{way.host}:{way.port} did not answer' in verdict.text


def test_what_was_seen_is_told_with_its_remedy(place, evicting):
    with scripts.Forward(evicting, b'HSCAN') as way:
        verdict = look(place, 'jobboard.eviction',
                       jobboard_backend_hosts=way.host,
                       jobboard_backend_port=way.port)
    [found] = row(verdict, 'inflight')['findings']
    assert found['id'] == 'inflight.undetermined'
    assert found['host'] == f'{way.host}:{way.port}'
    assert found['remedy'] and '--only' not in found['remedy']


@BOTH
@pytest.mark.parametrize('waived, code', [
    ('jobboard.refused', 0), ('jobboard.eviction', 2),
    ('jobboard.refused host=127.0.0.9', 2)])
def test_the_very_fault(place, door, waived, code):
    """The row counts as success only where that finding is waived."""
    with scripts.Refuse() as port:
        verdict = look(place, waived, door, jobboard_backend_hosts=port.host,
                       jobboard_backend_port=port.port)
    assert verdict.code == code, verdict.text
    assert verdict.rows['jobboard'] == verdict.rows['inflight'] == code
    assert 'inflight.undetermined' not in verdict.ids


@pytest.mark.parametrize('waived, code', [
    ('migration.uninitialised', 0), ('migration.behind', 2)])
def test_tables_that_are_not_there(place, mariadb, waived, code):
    name = probing.name('octavia_persistence_')
    mariadb.execute(f'CREATE DATABASE {name}')
    verdict = look(place, waived, persistence_connection=mariadb.url(
        database=name), jobboard_backend_hosts='127.0.0.1')
    assert verdict.rows['migration'] == verdict.rows['inflight'] == code
    assert row(verdict, 'inflight')['findings'] == []
    assert 'migration.uninitialised' in row(verdict, 'inflight')['details']


@pytest.mark.parametrize('waived, code', [
    ('config.invalid-value', 0), ('config.duplicate-option', 2),
    ('config.invalid-value option=task_flow.engine', 2),
    ('config.invalid-value option=task_flow.jobboard_backend_port', 0)])
def test_an_option_that_no_worker_could_read(place, waived, code):
    verdict = look(place, waived, jobboard_backend_port='many')
    for id_ in ('config', 'jobboard', 'inflight'):
        assert verdict.rows[id_] == code, verdict.text


def test_a_row_of_another_check_that_is_skipped(place):
    """Nothing was checked, so it is not known whether it is only that."""
    with scripts.Refuse() as port:
        config = place.config(
            {'octavia_v2_checks': {
                'waivers': f'jobboard.refused until={DAY} reason=a'}},
            jobboard_backend_hosts=port.host, jobboard_backend_port=port.port)
        verdict = doors.own(config, '--only', 'inflight')
    assert verdict.code == 2
    assert verdict.ids == {'inflight.undetermined'}
    assert f'{port.host}:{port.port}' in verdict.text

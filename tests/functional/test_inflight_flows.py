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

"""Flows in flight: whether a job and a release can finish them."""


import pytest

from octavia_v2_checks.upstream import flows
from octavia_v2_checks.upstream import versions
from tests import boards
from tests import commands
from tests import octavia_board
from tests import probing


def test_flow_without_job(place):
    with place.board() as board:
        book = place.save(state='RUNNING')
        job = place.post(board)
        found = place.probe()
        assert probing.ids(found) == ['inflight.flow-without-job',
                                      'inflight.jobs-waiting']
        assert book.uuid in found[0].message
        assert job.book.uuid not in found[0].message
        place.run_sql(found[0].remedy)
        probing.only(place.probe(), 'inflight.jobs-waiting')


def test_flow_without_job_before_it_has_a_factory(place):
    book = place.save(meta=False)
    found = probing.only(place.probe(), 'inflight.flow-without-job')
    assert book.uuid in found.message


def begin(place, book, store):
    """Give a flow what its job carries, as a worker does that begins."""
    from taskflow import storage
    storage.Storage(next(iter(book)), place.backend).inject(store)


def test_flow_without_job_names_its_load_balancer(place):
    """It is in what a worker has kept, or among the flow's arguments."""
    ids = [f'{n}1111111-1111-4111-8111-111111111111' for n in range(4)]
    secret = {'private_key': boards.PAYLOAD}
    begun = place.save(state='RUNNING')
    begin(place, begun, {'loadbalancer_id': ids[0], 'listener': secret})
    books = [begun] + [
        place.save(f'{octavia_board.FLOWS}.{name}', args) for name, args in (
            ('get_delete_load_balancer_flow',
             [{'loadbalancer_id': ids[1]} | secret]),
            ('get_failover_LB_flow',
             [[secret], {'loadbalancer_id': ids[2]} | secret]),
            ('get_failover_amphora_flow',
             [{'load_balancer_id': ids[3]} | secret, 1]))]
    waiting = place.save()
    found = probing.only(place.probe(), 'inflight.flow-without-job')
    for id_, book in zip(ids, books, strict=True):
        assert (f'{book.name} (load balancer {id_}, logbook {book.uuid})'
                in found.message)
    # Of such a flow, only the job says it.
    assert f'{waiting.name} (logbook {waiting.uuid})' in found.message


def test_flow_without_job_with_no_id_where_one_belongs(place):
    flow = f'{octavia_board.FLOWS}.get_delete_amphora_flow'
    for id_ in (None, boards.PAYLOAD, {'id': boards.PAYLOAD}):
        place.save(flow, [{'load_balancer_id': id_}])
    found = probing.only(place.probe(), 'inflight.flow-without-job')
    assert found.message.count('get_delete_amphora_flow-') == 3
    assert 'load balancer' not in found.message


def test_flow_without_job_where_little_can_be_read(place):
    """The names are welcome, and the finding does not depend on them."""
    book = place.save(state='RUNNING')
    place.sql('DROP TABLE atomdetails')
    found = probing.only(place.probe(), 'inflight.flow-without-job')
    assert found.message.endswith(f': logbook {book.uuid}.')
    place.run_sql(found.remedy)
    assert place.probe() == []


@pytest.mark.parametrize('flow, problem', [
    ({'factory': f'{octavia_board.FLOWS}.get_failover_flow'},
     'has no function get_failover_flow'),
    ({'factory': 'octavia.controller.worker.v9.flows.flow_utils.f'},
     'has no module octavia.controller.worker.v9.flows.flow_utils'),
    ({'factory': 'os.system', 'args': [boards.PAYLOAD]},
     'not a function of Octavia'),
    ({'kwargs': {'cloud': boards.PAYLOAD}}, 'takes no argument cloud'),
    ({'args': [boards.PAYLOAD] * 2},
     'takes 1 positional argument, and 2 are stored'),
    ({'factory': boards.CREATE}, 'needs topology'),
    ({'meta': False}, 'does not tell how it is built'),
])
def test_flow_unresolvable(place, flow, problem):
    with place.board() as board:
        place.post(board)
        job = place.post(board, **flow)
        found = place.probe()
        assert probing.ids(found) == ['inflight.flow-unresolvable',
                                      'inflight.jobs-waiting']
        assert problem in found[0].message, found[0].message
        assert found[0].message.startswith('1 job cannot')
        assert job.name in found[0].message
        assert boards.LOAD_BALANCER in found[0].message
        boards.finish(place, board, [job])
        probing.only(place.probe(), 'inflight.jobs-waiting')


def test_flow_that_another_release_can_build(redis_place):
    """The remedy names the releases whose workers can finish it."""
    name = f'{octavia_board.FLOWS}.get_create_amphora_flow'
    with redis_place.board() as board:
        redis_place.post(board, factory=name)
        found = redis_place.probe()[0]
        assert found.id == 'inflight.flow-unresolvable'
        assert '17.0.0' in found.remedy and '18.0.0' not in found.remedy
        assert f'Octavia {versions.installed("octavia")}' in found.message


def test_target_release(redis_place):
    """What is not installed is looked up."""
    name = f'{octavia_board.FLOWS}.get_create_amphora_flow'
    config = redis_place.config()

    def look(release):
        done = commands.checks(
            '--config-file', str(config), 'upgrade', 'check', '--json',
            '--only', 'inflight', '--target-release', release)
        return done.returncode, done.stdout + done.stderr

    with redis_place.board() as board:
        redis_place.post(board, factory=name)
        code, said = look('2025.2')
        assert code == 1 and 'inflight.jobs-waiting' in said, said
        code, said = look('18.0')
        assert code == 2 and 'inflight.flow-unresolvable' in said
        assert 'Octavia 18.0.0 has no such function' in said
        code, said = look('nonsense')
        assert code == 64 and '19.0.0' in said


def test_without_octavia(redis_place, monkeypatch):
    """Nobody can tell; that is a failure, and only while there is work."""
    installed = versions.installed
    monkeypatch.setattr(versions, 'installed', lambda name: (
        None if name == 'octavia' else installed(name)))
    assert redis_place.probe() == []
    with redis_place.board() as board:
        redis_place.post(board)
        found = redis_place.probe()
        assert probing.ids(found) == ['inflight.undetermined',
                                      'inflight.jobs-waiting']
        assert boards.LISTENER in found[0].message


def test_the_table_of_flows_is_that_of_the_installed_octavia():
    from importlib import util
    import pathlib
    release = flows.release(versions.installed('octavia'))
    source = pathlib.Path(util.find_spec('octavia').origin).parent.joinpath(
        *octavia_board.FLOWS.split('.')[1:]).with_suffix('.py').read_bytes()
    assert {name.rpartition('.')[2]: text
            for name, text in flows.table()[release].items()} == (
                flows.parameters(source))

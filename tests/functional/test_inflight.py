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

"""Work in flight, on boards and databases that TaskFlow has filled."""

import contextlib
import time
import uuid

import pytest

from octavia_v2_checks import clock
from octavia_v2_checks.checks import inflight
from octavia_v2_checks.upstream import flows
from octavia_v2_checks.upstream import versions
from tests import boards
from tests import commands
from tests import octavia_board
from tests import probing
from tests.servers import scripts

CREATE = f'{octavia_board.FLOWS}.get_create_load_balancer_flow'


def sqlite(tmp_path):
    import sqlite3
    path = tmp_path / 'persistence.db'

    def sql(statements):
        with sqlite3.connect(path) as connection:
            connection.executescript(statements)
        connection.close()

    return f'sqlite:///{path}', sql


def mysql(mariadb):
    name = probing.name('octavia_persistence_')
    mariadb.execute(f'CREATE DATABASE {name}')
    return (mariadb.url(database=name),
            lambda statements: mariadb.execute(statements, name))


def postgresql(postgres):
    name = probing.name('octavia_persistence_')
    postgres.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'pg-secret'")
    postgres.execute(f'CREATE DATABASE {name} OWNER {name}')
    return (postgres.url(name, 'pg-secret', name),
            lambda statements: postgres.execute(statements, name))


@pytest.fixture
def redis_place(redis, mariadb, write_config):
    place = boards.RedisPlace(redis, *mysql(mariadb), write_config)
    yield place
    place.close()


@pytest.fixture(params=['redis-mysql', 'zookeeper-postgresql',
                        'etcd-sqlite'])
def place(request, write_config, tmp_path):
    """Each kind of board, and each kind of database."""
    if request.param == 'redis-mysql':
        yield request.getfixturevalue('redis_place')
        return
    if request.param == 'etcd-sqlite':
        place = boards.EtcdPlace(request.getfixturevalue('etcd'),
                                 *sqlite(tmp_path), write_config)
    else:
        place = boards.ZooKeeperPlace(
            request.getfixturevalue('zookeeper'),
            *postgresql(request.getfixturevalue('postgres')), write_config)
    yield place
    place.close()


def test_nothing_in_flight(place):
    assert place.probe() == []
    with place.board():
        assert place.probe() == []


def test_the_flows_of_a_drill_are_no_work_in_flight(place):
    """They lie on a board of the drill, which removes them."""
    from taskflow.persistence import models
    name = 'octavia_v2_checks_drill_d1234'
    book = models.LogBook(name)
    book.add(models.FlowDetail(f'{name}-flow', str(uuid.uuid4())))
    with place.persistence() as connection:
        connection.save_logbook(book)
        assert place.probe() == []
        connection.destroy_logbook(book.uuid)


def test_jobs_waiting(place):
    with place.board() as board:
        jobs = [place.post(board, factory=CREATE, args=['SINGLE'],
                           kwargs={'listeners': [], 'flavor_dict': None})
                for _ in range(7)]
        found = probing.only(place.probe(), 'inflight.jobs-waiting')
        assert found.message.startswith('7 jobs')
        assert 'and 2 more' in found.message
        assert boards.LOAD_BALANCER in found.message
        assert 'get_create_load_balancer_flow-' in found.message
        assert place.namespace in found.message
        finish(place, board, jobs)
    assert place.probe() == []


def finish(place, board, jobs):
    """End jobs as a conductor of Octavia does."""
    for job in jobs:
        board.claim(job, 'worker')
        board.consume(job, 'worker')
        with place.persistence() as connection:
            connection.destroy_logbook(job.book.uuid)


def test_jobs_claimed(place):
    with place.board() as board:
        job = place.post(board, state='RUNNING')
        board.claim(job, 'octavia-task-flow-conductor-7',
                    **({'expiry': 25} if place.driver.startswith('redis')
                       else {}))
        found = probing.only(place.probe(), 'inflight.jobs-claimed')
        assert 'octavia-task-flow-conductor-7 (1)' in found.message
        assert job.name in found.message
        if not place.driver.startswith('zookeeper'):
            assert 'end in up to 2' in found.message
        board.consume(job, 'octavia-task-flow-conductor-7')
        with place.persistence() as connection:
            connection.destroy_logbook(job.book.uuid)
    assert place.probe() == []


def test_jobs_orphaned(place):
    """Begun by a worker and let go of."""
    with place.board() as board:
        job = place.post(board, state='RUNNING')
        board.claim(job, 'worker')
        board.abandon(job, 'worker')
        found = probing.only(place.probe(), 'inflight.jobs-orphaned')
        assert job.name in found.message
        finish(place, board, [job])
    assert place.probe() == []


def test_job_without_logbook(place):
    with place.board() as board:
        job = place.post(board)
        other = place.post(board)
        with place.persistence() as connection:
            connection.destroy_logbook(job.book.uuid)
        found = place.probe()
        assert probing.ids(found) == ['inflight.job-without-logbook',
                                      'inflight.jobs-waiting']
        assert found[0].message.startswith('1 job on')
        assert job.name in found[0].message
        assert other.name not in found[0].message
        assert boards.LOAD_BALANCER in found[0].remedy
        place.run(found[0].remedy)
        waiting = probing.only(place.probe(), 'inflight.jobs-waiting')
        assert other.name in waiting.message


def test_jobs_without_a_book(place):
    """Each counts, and a worker finds no logbook for any of them."""
    with place.board() as board:
        jobs = [board.post(f'bookless-{number}', details={})
                for number in range(3)]
        lost = place.post(board)
        with place.persistence() as connection:
            connection.destroy_logbook(lost.book.uuid)
        found = place.probe()
        assert probing.ids(found) == ['inflight.job-without-logbook',
                                      'inflight.jobs-waiting']
        assert found[0].message.startswith('4 jobs on')
        # TaskFlow itself sees as many, and has no book for them.
        unclaimed = list(board.iterjobs(only_unclaimed=True))
        assert len(unclaimed) == 4
        assert [j.book for j in unclaimed if j.name != lost.name] == (
            [None] * 3)
        place.run(found[0].remedy)
        assert place.probe() == []
        assert not [j for j in jobs if j.name in repr(list(
            board.iterjobs()))]


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
    ({'factory': CREATE}, 'needs topology'),
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
        finish(place, board, [job])
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


def test_jobs_trashed(place):
    with place.board() as board:
        for _ in range(2):
            job = place.post(board)
            board.claim(job, 'worker')
            board.trash(job, 'worker')
            with place.persistence() as connection:
                connection.destroy_logbook(job.book.uuid)
        found = place.probe()
        trashed = next(f for f in found if f.id == 'inflight.jobs-trashed')
        assert trashed.message.endswith(
            f'in the trash of {place_of(trashed)}.')
        place.run(trashed.remedy)
        assert place.probe() == []


def place_of(found):
    return found.message.partition('trash of ')[2].rstrip('.')


def test_logbooks_kept(place):
    for state in ('SUCCESS', 'REVERTED', 'FAILURE'):
        place.save(state=state)
    found = probing.only(place.probe(), 'inflight.logbooks-kept')
    assert '3 finished flows' in found.message and 'MiB' in found.message
    assert probing.ids(place.probe(jobboard_save_logbook=True)) == [
        'inflight.logbooks-kept']
    place.run_sql(found.remedy)
    assert place.probe(jobboard_save_logbook=True) == []


def test_entry_that_cannot_be_decoded(place):
    with place.board() as board:
        place.post(board)
        key = place.spoil()
        found = place.probe()
        assert probing.ids(found) == ['inflight.undetermined',
                                      'inflight.jobs-waiting']
        assert key in found[0].message
        place.run(found[0].remedy)
        probing.only(place.probe(), 'inflight.jobs-waiting')


def test_nothing_is_changed(place):
    with place.board() as board:
        place.post(board)
        place.save(state='RUNNING')
        place.save(state='SUCCESS')
        board.claim(place.post(board), 'worker')
        trashed = place.post(board)
        board.claim(trashed, 'worker')
        board.trash(trashed, 'worker')
        place.spoil()
        before = place.state()
        assert len(place.probe()) == 6
        assert place.state() == before


def test_account_that_may_not_scan(redis, mariadb, write_config):
    """With no more rights than a worker needs."""
    from tests import redis_probing
    place = boards.RedisPlace(redis, *mysql(mariadb), write_config)
    account = redis_probing.Account(redis, None)
    redis.command('ACL', 'SETUSER', account.name, f'~{place.namespace}:*')
    login = {'jobboard_backend_username': account.name,
             'jobboard_backend_password': probing.PASSWORD.replace(
                 '$', '$$')}
    with place.board() as board:
        for _ in range(250):
            place.post(board)
        found = probing.only(place.probe(**login), 'inflight.jobs-waiting')
        assert found.message.startswith('250 jobs')


def test_out_of_time(place, monkeypatch):
    """Then the count is the server's, and nobody takes it for a pass."""
    monkeypatch.setattr(inflight, '_RESERVE', 2)
    with place.board() as board:
        for _ in range(210):
            place.post(board)
        place.save(state='RUNNING')
        found = place.probe()
        assert probing.ids(found) == ['inflight.undetermined',
                                      'inflight.jobs-waiting']
        assert 'has 210 jobs' in found[0].message


def test_no_time_for_a_second_look(place, monkeypatch):
    monkeypatch.setattr(inflight, '_LAST', 2)
    with place.board() as board:
        place.post(board)
        assert probing.ids(place.probe()) == ['inflight.jobs-waiting']
        book = place.post(board).book.uuid
        with place.persistence() as connection:
            connection.destroy_logbook(book)
        found = place.probe()
        assert probing.ids(found) == ['inflight.undetermined',
                                      'inflight.jobs-waiting']
        assert '1 job without a logbook' in found[0].message
        monkeypatch.undo()
        assert 'inflight.job-without-logbook' in probing.ids(place.probe())


def test_deadline_is_kept(redis_place):
    with redis_place.board() as board:
        redis_place.post(board)
        begin = time.monotonic()
        with contextlib.suppress(probing.Blocked, clock.OutOfTime):
            redis_place.probe(deadline=0.05)
        assert time.monotonic() - begin < 1.05


def test_jobboard_refused(redis_place):
    with scripts.Refuse() as script:
        with pytest.raises(probing.Blocked) as caught:
            redis_place.probe(jobboard_backend_hosts=script.host,
                              jobboard_backend_port=script.port)
    assert caught.value.cause.id == 'jobboard.refused'
    assert caught.value.cause.host == f'{script.host}:{script.port}'
    assert str(script.port) in caught.value.reason


def test_persistence_refused(redis_place):
    with scripts.Refuse() as script:
        with pytest.raises(probing.Blocked) as caught:
            redis_place.probe(persistence_connection=f'mysql+pymysql://u@'
                              f'{script.host}:{script.port}/d')
    assert caught.value.cause.id == 'persistence.refused'
    assert caught.value.cause.host == f'{script.host}:{script.port}'


def test_persistence_without_tables(redis_place, mariadb):
    name = probing.name('octavia_persistence_')
    mariadb.execute(f'CREATE DATABASE {name}')
    with pytest.raises(probing.Blocked) as caught:
        redis_place.probe(persistence_connection=mariadb.url(database=name))
    assert caught.value.cause.id == 'migration.uninitialised'


@pytest.mark.parametrize('place', ['redis-mysql', 'zookeeper-postgresql'],
                         indirect=True)
def test_persistence_without_a_column(place):
    place.sql('ALTER TABLE flowdetails DROP COLUMN meta')
    with pytest.raises(probing.Blocked) as caught:
        place.probe()
    assert caught.value.cause.id == 'migration.incomplete'


def test_not_without_a_jobboard(write_config):
    config = write_config(persistence_connection='mysql+pymysql://u@h/d')
    with pytest.raises(probing.NotApplicable):
        probing.probe('inflight', config)


def test_the_table_of_flows_is_that_of_the_installed_octavia():
    from importlib import util
    import pathlib
    release = flows.release(versions.installed('octavia'))
    source = pathlib.Path(util.find_spec('octavia').origin).parent.joinpath(
        *octavia_board.FLOWS.split('.')[1:]).with_suffix('.py').read_bytes()
    assert {name.rpartition('.')[2]: text
            for name, text in flows.table()[release].items()} == (
                flows.parameters(source))

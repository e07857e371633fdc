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
from tests import boards
from tests import databases
from tests import probing
from tests import worker_board
from tests.servers import scripts


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
        jobs = [place.post(board, factory=boards.CREATE, args=['SINGLE'],
                           kwargs={'listeners': [], 'flavor_dict': None})
                for _ in range(7)]
        found = probing.only(place.probe(), 'inflight.jobs-waiting')
        assert found.message.startswith('7 jobs')
        assert 'and 2 more' in found.message
        assert boards.LOAD_BALANCER in found.message
        assert 'get_create_load_balancer_flow-' in found.message
        assert place.namespace in found.message
        boards.finish(place, board, jobs)
    assert place.probe() == []


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
        worker_board.known(board, board.consume, job,
                           'octavia-task-flow-conductor-7')
        with place.persistence() as connection:
            connection.destroy_logbook(job.book.uuid)
    assert place.probe() == []


def test_jobs_orphaned(place):
    """Begun by a worker and let go of."""
    with place.board() as board:
        job = place.post(board, state='RUNNING')
        worker_board.known(board, board.claim, job, 'worker')
        worker_board.known(board, board.abandon, job, 'worker')
        found = probing.only(place.probe(), 'inflight.jobs-orphaned')
        assert job.name in found.message
        boards.finish(place, board, [job])
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


def test_jobs_trashed(place):
    with place.board() as board:
        for _ in range(2):
            job = place.post(board)
            worker_board.known(board, board.claim, job, 'worker')
            worker_board.known(board, board.trash, job, 'worker')
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
        worker_board.known(board, board.claim, trashed, 'worker')
        worker_board.known(board, board.trash, trashed, 'worker')
        place.spoil()
        before = place.state()
        assert len(place.probe()) == 6
        assert place.state() == before


def test_account_that_may_not_scan(redis, mariadb, write_config):
    """With no more rights than a worker needs."""
    from tests import redis_probing
    place = boards.RedisPlace(redis, *databases.mysql(mariadb), write_config)
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
    """Then the count is that of the server, and not a pass."""
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

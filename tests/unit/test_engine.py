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

"""The engine: side by side, bounded, fail-closed."""

import threading
import time

import pytest

from octavia_v2_checks import catalogue
from octavia_v2_checks import clock
from octavia_v2_checks import engine
from octavia_v2_checks import findings
from octavia_v2_checks import settings
from octavia_v2_checks.findings import Finding
from octavia_v2_checks.findings import Severity


@pytest.fixture
def empty(tmp_path):
    path = tmp_path / 'octavia.conf'
    path.write_text('')
    return settings.load([('file', str(path))])


def run(loaded, functions, seconds=5.0):
    checks = [engine.Check(id_, f'Row {id_}', lambda f=function: f)
              for id_, function in functions.items()]
    report = engine.run(loaded, checks, clock.Deadline(seconds, 1.0))
    return {row.id: row for row in report.rows}, report


def fine(settings, deadline):
    return ['it works']


def failing(settings, deadline):
    yield Finding('persistence.refused', Severity.FAILURE, 'refused')


def warning(settings, deadline):
    yield Finding('a.note', Severity.WARNING, 'look')
    yield Finding('a.bad', Severity.FAILURE, 'bad')


def crashing(settings, deadline):
    yield Finding('crash.first', Severity.WARNING, 'seen before')
    raise RuntimeError('top-secret-text')


def test_a_row_is_its_worst_finding(empty):
    rows, report = run(empty, {'a': warning, 'b': fine})
    assert rows['a'].severity is Severity.FAILURE
    assert [f.id for f in rows['a'].findings] == ['a.bad', 'a.note']
    assert rows['b'].severity is Severity.SUCCESS
    assert rows['b'].details == 'it works'
    assert report.severity is Severity.FAILURE


def test_order_of_rows_is_that_of_the_checks(empty):
    _, report = run(empty, {'z': fine, 'a': fine, 'm': fine})
    assert [row.id for row in report.rows] == ['z', 'a', 'm']


def test_a_crash_fails_its_row_and_no_other(empty):
    rows, _ = run(empty, {'crash': crashing, 'b': fine})
    assert rows['crash'].severity is Severity.FAILURE
    assert [f.id for f in rows['crash'].findings] == [
        'crash.undetermined', 'crash.first']
    assert 'RuntimeError' in rows['crash'].details
    assert 'top-secret-text' not in rows['crash'].details
    assert rows['b'].severity is Severity.SUCCESS


@pytest.mark.parametrize('rubbish', [
    lambda s, d: None, lambda s, d: [42], lambda s: [],
    lambda s, d: (_ for _ in ()).throw(SystemExit(0)),
    lambda s, d: (_ for _ in ()).throw(KeyboardInterrupt())])
def test_rubbish_is_a_failure(empty, rubbish):
    rows, _ = run(empty, {'odd': rubbish})
    assert [f.id for f in rows['odd'].findings] == ['odd.undetermined']


def test_a_check_that_hangs(empty):
    release = threading.Event()

    def hanging(settings, deadline):
        yield Finding('slow.seen', Severity.WARNING, 'seen in time')
        release.wait(30)

    began = time.monotonic()
    rows, _ = run(empty, {'slow': hanging, 'b': fine}, seconds=0.5)
    assert time.monotonic() - began < 1.5
    release.set()
    assert [f.id for f in rows['slow'].findings] == [
        'slow.undetermined', 'slow.seen']
    assert rows['b'].severity is Severity.SUCCESS


def test_checks_run_side_by_side(empty):
    barrier = threading.Barrier(3, timeout=5)

    def meeting(settings, deadline):
        barrier.wait()
        return []

    rows, _ = run(empty, {'a': meeting, 'b': meeting, 'c': meeting})
    assert {row.severity for row in rows.values()} == {Severity.SUCCESS}


def test_no_thread_holds_the_process(empty):
    release = threading.Event()
    seen = {}

    def hanging(settings, deadline):
        seen['thread'] = threading.current_thread()
        release.wait(30)
        return []

    run(empty, {'slow': hanging}, seconds=0.2)
    assert seen['thread'].daemon
    release.set()


def blocked_by(check):
    def function(settings, deadline):
        raise findings.Blocked(check, 'the way is blocked')
    return function


def test_one_cause_makes_one_finding(empty):
    rows, _ = run(empty, {'persistence': failing,
                          'migration': blocked_by('persistence'),
                          'inflight': blocked_by('migration')})
    for id_ in ('migration', 'inflight'):
        assert rows[id_].findings == ()
        assert rows[id_].severity is Severity.FAILURE
        assert rows[id_].note == ('Not checked: the way is blocked '
                                  '(persistence.refused).')


@pytest.mark.parametrize('others', [
    {}, {'persistence': fine}, {'persistence': blocked_by('migration')}])
def test_blocked_by_a_check_that_says_nothing(empty, others):
    rows, _ = run(empty, {**others, 'migration': blocked_by('persistence')})
    assert [f.id for f in rows['migration'].findings] == [
        'migration.undetermined']
    assert rows['migration'].severity is Severity.FAILURE


def test_not_applicable_is_a_success_that_says_why(empty):
    def function(settings, deadline):
        raise findings.NotApplicable('not used here')

    rows, _ = run(empty, {'a': function})
    assert rows['a'].severity is Severity.SUCCESS
    assert rows['a'].details == 'not used here'


@pytest.mark.parametrize('severity, level, code', [
    (Severity.SUCCESS, 'warning', 0), (Severity.WARNING, 'warning', 1),
    (Severity.WARNING, 'failure', 0), (Severity.FAILURE, 'failure', 2),
    (Severity.FAILURE, 'warning', 2)])
def test_exit_codes(empty, severity, level, code):
    _, report = run(empty, {'a': lambda s, d: [
        Finding('a.b', severity, 'said')]})
    assert report.exit_code(level) == code


def test_secrets_are_taken_out_of_what_a_check_says(tmp_path):
    path = tmp_path / 'octavia.conf'
    path.write_text(
        '[task_flow]\npersistence_connection = mysql+pymysql://octavia:'
        'c%40nary-in-url@db/octavia_persistence\n'
        'jobboard_backend_password = c@nary/plain\n')
    loaded = settings.load([('file', str(path))])

    def leaking(settings, deadline):
        yield Finding('a.b', Severity.FAILURE,
                      'c@nary-in-url c%40nary-in-url c%40nary%2Fplain octavia',
                      'type c@nary/plain')

    rows, _ = run(loaded, {'a': leaking})
    assert rows['a'].details == ('a.b: *** *** *** octavia Remedy: type ***')


def test_a_password_that_is_a_public_word_masks_nothing(tmp_path):
    path = tmp_path / 'octavia.conf'
    path.write_text('[task_flow]\npersistence_connection = mysql+pymysql://'
                    'octavia:octavia@db/octavia_persistence\n')
    loaded = settings.load([('file', str(path))])
    assert loaded.redactor('octavia@db') == 'octavia@db'


def test_bounded_returns_and_raises_what_the_function_does():
    assert clock.bounded(lambda: 42, clock.Clock(1)) == 42
    with pytest.raises(KeyError):
        clock.bounded(lambda: {}['x'], clock.Clock(1))
    with pytest.raises(clock.OutOfTime):
        clock.bounded(lambda: time.sleep(5), clock.Clock(0.05))


def test_a_clock_knows_what_is_spent():
    assert clock.Clock(10, spent=20).left() == 0
    with pytest.raises(clock.OutOfTime):
        clock.Clock(10, spent=20).require()
    deadline = clock.Deadline(10, 3)
    assert 2 < deadline.probe().left() <= 3
    assert clock.Deadline(10, 30).probe().left() <= 10


def test_every_check_can_be_undetermined():
    """Any of them can crash or come late, so each has an entry for it."""
    for id_ in catalogue.CHECKS:
        assert catalogue.entry(f'{id_}.undetermined').severity == 'FAILURE'


def test_a_rule_that_crashes(empty, monkeypatch):
    from octavia_v2_checks.checks import config

    def broken(view):
        raise RuntimeError('top-secret-text')

    monkeypatch.setattr(config, 'RULES', [broken])
    rows, _ = run(empty, {'config': config.check})
    assert [f.id for f in rows['config'].findings] == ['config.undetermined']
    assert 'top-secret-text' not in rows['config'].details


def test_what_was_found_before_the_way_was_blocked_is_shown(empty):
    def half(settings, deadline):
        yield Finding('migration.note', Severity.WARNING, 'seen before')
        raise findings.Blocked('persistence', 'the way is blocked')

    rows, _ = run(empty, {'persistence': failing, 'migration': half})
    assert rows['migration'].details == (
        'migration.note: seen before Not checked: the way is blocked '
        '(persistence.refused).')

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

"""The engine: parallel, bounded, fail-closed."""

import dataclasses
import threading
import time

import pytest

from octavia_v2_checks import catalogue
from octavia_v2_checks import clock
from octavia_v2_checks import engine
from octavia_v2_checks import findings
from octavia_v2_checks import settings
from octavia_v2_checks import waiting
from octavia_v2_checks.checks import config
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


REFUSED = findings.finding('persistence.refused', 'refused', 'start it',
                           host='db:3306')


def failing(settings, deadline):
    yield REFUSED


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


def blocked_by(cause=None, option=None):
    def function(settings, deadline):
        raise findings.Blocked('the way is blocked', cause=cause,
                               option=option)
    return function


def saying(**change):
    """A check that reports REFUSED, but for what is changed."""
    return lambda settings, deadline: [dataclasses.replace(REFUSED, **change)]


def test_one_cause_makes_one_finding(empty):
    rows, report = run(empty, {'persistence': failing,
                               'migration': blocked_by(REFUSED)})
    assert rows['migration'].findings == ()
    assert rows['migration'].severity is Severity.FAILURE
    assert rows['migration'].blocked_by == REFUSED
    assert rows['migration'].note == ('Not checked: the way is blocked '
                                      '(persistence.refused).')
    assert report.to_do == [REFUSED]


@pytest.mark.parametrize('others', [
    {}, {'persistence': fine}, {'persistence': warning},
    {'persistence': saying(host='other:3306')},
    {'persistence': saying(id='persistence.timeout')},
    {'persistence': saying(severity=Severity.WARNING)},
    {'persistence': blocked_by(REFUSED)}])
def test_blocked_by_what_no_other_row_reports(empty, others):
    """The row then names what it has seen, and what fixes that."""
    rows, _ = run(empty, {**others, 'migration': blocked_by(REFUSED)})
    assert rows['migration'].findings == (dataclasses.replace(
        REFUSED, id='migration.undetermined',
        message='Not checked: the way is blocked.'),)
    assert rows['migration'].severity is Severity.FAILURE
    assert rows['migration'].blocked_by is None


def test_a_row_is_no_cause_of_itself(empty):
    def both(settings, deadline):
        yield REFUSED
        raise findings.Blocked('the way is blocked', cause=REFUSED)

    rows, _ = run(empty, {'persistence': both})
    assert [f.id for f in rows['persistence'].findings] == [
        'persistence.undetermined', 'persistence.refused']


def test_blocked_by_an_option(tmp_path):
    path = tmp_path / 'octavia.conf'
    path.write_text('[task_flow]\njobboard_enabled = perhaps\n')
    loaded = settings.load([('file', str(path))])

    def asking(settings, deadline):
        settings.get('jobboard_enabled')

    rows, _ = run(loaded, {'config': config.check, 'jobboard': asking})
    assert rows['jobboard'].findings == ()
    assert rows['jobboard'].blocked_by.id == 'config.invalid-value'
    rows, _ = run(loaded, {'config': fine, 'jobboard': asking})
    [found] = rows['jobboard'].findings
    assert (found.id, found.option, found.line) == (
        'jobboard.undetermined', 'task_flow.jobboard_enabled', 2)
    assert 'jobboard_enabled' in found.remedy


def test_a_cause_that_is_not_looked_for_again(tmp_path):
    """With --wait, the row config is not run a second time."""
    path = tmp_path / 'octavia.conf'
    path.write_text('[task_flow]\njobboard_enabled = perhaps\n')
    loaded = settings.load([('file', str(path))])

    def asking(settings, deadline):
        settings.get('jobboard_enabled')

    checks = [engine.Check(id_, id_, lambda f=function: f) for id_, function
              in (('config', config.check), ('jobboard', asking))]
    report = waiting.run(loaded, checks, clock.Deadline(5, 1), (), 0.1,
                         lambda line: None)
    assert report.rows[1].findings == ()
    assert report.rows[1].blocked_by.id == 'config.invalid-value'


def test_blocked_by_an_option_that_nobody_knows(empty):
    rows, _ = run(empty, {'a': blocked_by(option='acme.host')})
    [found] = rows['a'].findings
    assert (found.id, found.option) == ('a.undetermined', 'acme.host')


def test_blocked_by_a_configuration_that_does_not_parse(tmp_path):
    path = tmp_path / 'octavia.conf'
    path.write_text('[task_flow\n')
    loaded = settings.load([('file', str(path))])

    def asking(settings, deadline):
        settings.get('jobboard_enabled')

    rows, _ = run(loaded, {'config': config.check, 'jobboard': asking})
    assert rows['jobboard'].blocked_by.id == 'config.parse-error'
    rows, _ = run(loaded, {'jobboard': asking})
    [found] = rows['jobboard'].findings
    assert (found.id, found.file, found.line) == (
        'jobboard.undetermined', str(path), 1)


def test_blocked_for_no_reason_that_a_finding_has(empty):
    rows, _ = run(empty, {'persistence': failing, 'a': blocked_by()})
    [found] = rows['a'].findings
    assert found.id == 'a.undetermined'
    assert rows['a'].severity is Severity.FAILURE


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
    def broken(view):
        raise RuntimeError('top-secret-text')

    monkeypatch.setattr(config, 'RULES', [broken])
    rows, _ = run(empty, {'config': config.check})
    assert [f.id for f in rows['config'].findings] == ['config.undetermined']
    assert 'top-secret-text' not in rows['config'].details


def test_what_was_found_before_the_way_was_blocked_is_shown(empty):
    def half(settings, deadline):
        yield Finding('migration.note', Severity.WARNING, 'seen before')
        raise findings.Blocked('the way is blocked', cause=REFUSED)

    rows, _ = run(empty, {'persistence': failing, 'migration': half})
    assert rows['migration'].details == (
        'migration.note: seen before Not checked: the way is blocked '
        '(persistence.refused).')

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


"""What the truth runs are made of: tables, names, drawing and the page."""

import collections
import dataclasses
import types

import pytest

from octavia_v2_checks import catalogue
from octavia_v2_checks import opts
from tests.truth import changes
from tests.truth import databases
from tests.truth import drawing
from tests.truth import fixed
from tests.truth import jobboards
from tests.truth import judging
from tests.truth import odd
from tests.truth import page
from tests.truth import record
from tests.truth import stricter
from tests.truth import systems
from tests.truth import values

OPTIONS = {option.dest for option in opts.task_flow_opts()}

#: Where no case may go: it must stay on this machine.
ABROAD = ('0.0.0.0', '8.8.8.8', '.com', '.org')


@pytest.fixture
def system():
    """One whose servers nobody needs."""
    lab = types.SimpleNamespace(
        closed=1, silent=2, authority=types.SimpleNamespace(cert='/ca'),
        stranger=types.SimpleNamespace(cert='/other'),
        client=types.SimpleNamespace(cert='/c', key='/k', both='/b'),
        strange_client=types.SimpleNamespace(cert='/sc', key='/sk'))
    database = databases.Database(
        print, user='o', password='p$w', database='d', host='127.0.0.1',
        port=3, scheme='mysql+pymysql', query={'ssl_ca': '/ca'})
    board = types.SimpleNamespace(options={
        'jobboard_backend_driver': 'redis_taskflow_driver',
        'jobboard_backend_namespace': jobboards.NAMESPACE,
        'jobboard_backend_hosts': '127.0.0.1', 'jobboard_backend_port': '4',
        jobboards.REDIS_TLS: 'ssl:True,ssl_ca_certs:/ca'}, environ={})
    return systems.system(lab, database, board)


def test_every_option_has_values_spellings_and_odd_texts():
    assert values.VALUES.keys() == OPTIONS
    assert {name.partition('.')[0] for name in odd.STRATEGIES} == OPTIONS
    assert changes.FAMILIES.keys() <= OPTIONS
    families = {kind.family for kind in jobboards.board.kinds.values()}
    assert set().union(*changes.FAMILIES.values()) == families


@pytest.mark.parametrize('option', values.VALUES)
def test_every_change_makes_a_text(system, option):
    names = [
        *(changes.value_name(option, name) for name in values.VALUES[option]),
        *(changes.spelling_name(option, name) for name in changes.SPELLINGS)]
    texts = set()
    for name in names:
        one = dataclasses.replace(
            system, options=dict(system.options), environ={}, spelled={},
            outside=[], agreements=[])
        changes.apply(name, one)
        assert not any(place in one.text() for place in ABROAD)
        texts.add((one.text(), *one.environ))
    # Some values are those of the system, or the same in it.
    assert len(texts) > len(names) * 0.7


def test_spellings_differ(system):
    texts = collections.Counter()
    for name in changes.SPELLINGS:
        system.spelled.clear()
        system.outside.clear()
        system.environ.clear()
        changes.apply(f'backend_port@{name}', system)
        texts[system.text() + repr(system.environ)] += 1
    assert set(texts.values()) == {1}


def test_a_change_that_does_not_exist(system):
    for name in 'engine=never', 'nothing=one', 'engine', 'engine@never':
        with pytest.raises(KeyError):
            changes.apply(name, system)


@pytest.mark.parametrize('text', ['a/b', 'ä ~@=%', '$x', ' '])
def test_odd_texts_come_through_names(system, text):
    changes.apply(changes.odd_name('jobboard_backend_password', text),
                  system)
    assert system.options['jobboard_backend_password'] == (
        text.replace('$', '$$'))
    assert len(system.agreements) == 1
    name = changes.odd_name('persistence_connection.password', text)
    assert '/' not in name
    changes.apply(name, system)
    assert ('password' in name) and len(system.agreements) == 2


def test_odd_texts_stay_on_this_machine():
    for text in odd.texts('jobboard_backend_hosts', 1, 200):
        assert text.endswith('.invalid') or not any(
            place in text for place in ABROAD)
        assert text.endswith('.invalid') or '.' not in text or (
            text.strip('"\'$').startswith(('127', '0', '１２７', '2130', '::',
                                           'user@127')))


def test_the_same_seed_draws_the_same():
    first, again, other = (drawing.Drawing(seed).cases(60)
                           for seed in (1, 1, 2))
    assert first == again != other
    assert len(set(first)) == 60
    used = {name.split('/')[1].partition('-')[0] for name in first}
    assert used == {'redis', 'sentinel', 'zookeeper', 'etcd'}


def test_fixed_cases_exist(system):
    assert len(fixed.CASES) == len(set(fixed.CASES)) >= 24
    for name in fixed.CASES:
        database, board, *names = name.split('/')
        assert database in databases.database.kinds
        assert board in jobboards.board.kinds
        for each in names:
            changes.apply(each, system)


def test_stricter_findings_exist():
    severities = {e.id: e.severity for e in catalogue.entries()}
    for id_, reasons in stricter.REASONS.items():
        assert severities[id_] == 'FAILURE'
        assert all(reason.text.endswith('.') for reason in reasons)


@pytest.mark.parametrize('message, is_one', [
    ('o@h may not DELETE on logbooks.', True),
    ('o@h may not UPDATE, DELETE on logbooks.', False)])
def test_reasons_are_for_some_messages_only(message, is_one):
    found = stricter.reason([('persistence.missing-privileges', message)])
    assert (found is not None) == is_one


FAILURE = 'jobboard.eviction', 'It may evict keys.'
REFUSED = 'jobboard.refused', 'Refused.'


@pytest.mark.parametrize('level, failures, works, kind', [
    (0, [], True, 'agreement'), (1, [], True, 'agreement'),
    (2, [REFUSED], False, 'agreement'),
    (0, [], False, 'false pass'), (1, [], False, 'false pass'),
    (2, [REFUSED], True, 'false alarm'),
    (2, [FAILURE], True, 'stricter'),
    (2, [FAILURE, REFUSED], True, 'false alarm'),
    (2, [], True, 'false alarm')])
def test_kinds(level, failures, works, kind):
    outcome = judging.Outcome('mariadb/redis', level, failures, works, {})
    assert outcome.kind == kind
    assert outcome.stock_kind is None


@pytest.mark.parametrize('level, found, works, classes, certain', [
    (0, [], True, [], True), (0, [], False, ['JobFailure'], False),
    (2, [REFUSED], True, [], False), (2, [REFUSED], False, ['X'], True),
    (2, [REFUSED], False, [], False),
    (2, [('jobboard.timeout', '')], False, [], True),
    (2, [FAILURE], True, [], True)])
def test_what_is_looked_at_again(level, found, works, classes, certain):
    outcome = judging.Outcome('mariadb/redis', level, found, works,
                              {'classes': classes})
    assert outcome.is_certain == certain


@pytest.mark.parametrize('result, works, kind', [
    (0, True, 'agreement'), (1, False, 'false pass'),
    (2, True, 'false alarm'), (3, False, 'traceback'),
    (None, True, 'nothing')])
def test_kinds_of_the_stock_check(result, works, kind):
    outcome = judging.Outcome('mariadb/redis', 0, [], works, {}, False,
                              result, True)
    assert outcome.stock_kind == kind


@pytest.fixture
def log(tmp_path, monkeypatch):
    """A function: the log of a run with outcomes, in a folder of its own."""
    monkeypatch.setattr(record, '__file__', str(tmp_path / 'a/b/c'))

    def make(outcomes, resume=False):
        made = record.Log(7, [o.name for o in OUTCOMES], resume)
        for outcome in outcomes:
            made.add(outcome)
        return made

    return make


WRONG = judging.Outcome('mariadb/redis-acl/a=b', 0, [], False, {})
OUTCOMES = [
    judging.Outcome('mariadb/redis', 0, [], True, {}, stock=2,
                    asked_stock=True), WRONG,
    judging.Outcome('mariadb/etcd', 2, [FAILURE], True, {}),
    judging.Outcome('mariadb/etcd-tls', 2, [REFUSED], False, {}, True)]


def test_a_record_and_its_page(log, tmp_path):
    found = record.summary(log(OUTCOMES))
    assert found['wrong'] == [[WRONG.name, 'false pass']]
    assert (record.total(found, 'cases'), found['corrected']) == (4, [])
    path = tmp_path / 'truth.json'
    record.write(path, found)
    record.write(path, found)
    read = record.read(path)
    assert len(read) == 1
    text = page.render(read)
    assert page.row(*[f'**{name}**' for name in (*read, 'all')],
                    4, 2, 2, 1, 1, 0) in text
    assert f'false pass, ``{WRONG.name}``' in text
    assert stricter.reason([FAILURE]) in text
    assert 'No verdict was wrong' not in text


def test_a_run_that_goes_on(log):
    log(OUTCOMES[:3])
    resumed = log([], resume=True)
    assert resumed.missing() == [WRONG.name, OUTCOMES[3].name]
    assert resumed.outcomes['mariadb/etcd'].kind == 'stricter'
    resumed.add(dataclasses.replace(WRONG, works=True))
    found = record.summary(resumed)
    assert (found['wrong'], found['corrected']) == ([], [WRONG.name])
    text = page.render({'19.0.0, TaskFlow 6': found})
    assert f'``{WRONG.name}``' in text.partition('judged again')[2]
    assert log([]).outcomes == {}


def test_the_page_is_made_of_the_record():
    runs = record.read(page.RECORD)
    assert page.PAGE.read_text() == page.render(runs)
    assert runs

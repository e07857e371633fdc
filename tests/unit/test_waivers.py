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

"""Waivers: what they cover, for how long, and what they cover no longer."""

import dataclasses
import datetime
import json

import pytest

from octavia_v2_checks import catalogue
from octavia_v2_checks import cli
from octavia_v2_checks import clock
from octavia_v2_checks import engine
from octavia_v2_checks import findings
from octavia_v2_checks import registry
from octavia_v2_checks import settings
from octavia_v2_checks import waivers
from octavia_v2_checks.findings import Finding
from octavia_v2_checks.findings import Severity

TODAY = datetime.datetime.now(datetime.timezone.utc).date()
DAY = datetime.timedelta(days=1)


@pytest.fixture
def load(tmp_path):
    def write(*lines):
        path = tmp_path / 'octavia.conf'
        path.write_text('\n'.join(['[octavia_v2_checks]', *(
            f'waivers = {line}' for line in lines), '']))
        return settings.load([('file', str(path))])
    return write


REFUSED = Finding('persistence.refused', Severity.FAILURE, 'refused', 'start',
                  host='10.0.0.1:3306')


def refused(_settings, _deadline):
    yield REFUSED


def blocked(_settings, _deadline):
    raise findings.Blocked('the database does not answer', cause=REFUSED)


def fine(_settings, _deadline):
    return ['all is well']


def late(_settings, deadline):
    raise clock.OutOfTime


def off(_settings, _deadline):
    raise findings.NotApplicable('not used')


def run(loaded, **functions):
    checks = [registry.Check(id_, id_, lambda f=function: f)
              for id_, function in functions.items()]
    report = engine.run(loaded, checks, clock.Deadline(5, 1))
    return {row.id: row for row in report.rows}, report


def test_a_waived_finding_stays_and_does_not_count(load):
    loaded = load(f'persistence.refused until={TODAY} reason=being moved')
    rows, report = run(loaded, persistence=refused)
    [finding] = rows['persistence'].findings
    assert finding.severity is Severity.FAILURE
    assert finding.as_dict()['waived'] == {
        'reason': 'being moved', 'until': str(TODAY)}
    assert f'waived until {TODAY}: being moved' in rows['persistence'].details
    assert report.severity is Severity.SUCCESS
    assert report.to_do == []


@pytest.mark.parametrize('until, counts', [
    (TODAY - DAY, True), (TODAY, False), (TODAY + DAY, False)])
def test_the_last_day_is_included(load, until, counts):
    _, report = run(load(f'persistence.refused until={until} reason=a'),
                    persistence=refused)
    assert (report.severity is Severity.FAILURE) is counts


@pytest.mark.parametrize('host, covered', [
    ('10.0.0.1', True), ('10.0.0.1:3306', True), ('10.0.0.1:3307', False),
    ('10.0.0.2', False), ('0.0.0.1', False)])
def test_the_host_of_a_waiver(load, host, covered):
    rows, _ = run(load(f'persistence.refused host={host} until={TODAY} '
                       f'reason=a'), persistence=refused)
    ids = [f.id for f in rows['persistence'].findings]
    assert bool(rows['persistence'].findings[0].waived) is covered
    assert ('config.waiver-unmatched' in ids) is not covered


@pytest.mark.parametrize('host', ['fd00::1', '[fd00::1]:6379'])
def test_an_address_in_brackets(host):
    rule = waivers.parse(f'jobboard.refused host={host} until={TODAY} '
                         f'reason=a')
    assert rule.covers('jobboard.refused', '[fd00::1]:6379')
    assert not rule.covers('jobboard.refused', None)


def test_what_a_waived_finding_blocks_does_not_count_either(load):
    waiver = f'persistence.refused until={TODAY} reason=being moved'
    rows, report = run(load(waiver), persistence=refused, migration=blocked)
    assert rows['migration'].severity is Severity.SUCCESS
    assert 'persistence.refused, waived until' in rows['migration'].note
    assert report.exit_code('warning') == 0


@pytest.mark.parametrize('waiver', [
    'persistence.timeout', 'persistence.refused host=10.0.0.2'])
def test_a_waiver_excuses_nothing_else(load, waiver):
    """Neither another finding of that server, nor that of another server."""
    def three(_settings, _deadline):
        yield from refused(None, None)
        yield dataclasses.replace(REFUSED, id='persistence.timeout')
        yield dataclasses.replace(REFUSED, host='10.0.0.2:3306')

    loaded = load(f'{waiver} until={TODAY} reason=being moved')
    rows, _ = run(loaded, persistence=three, migration=blocked)
    assert rows['migration'].severity is Severity.FAILURE
    assert rows['migration'].note.endswith('(persistence.refused).')


def test_what_nobody_else_saw_is_not_excused(load):
    """The server stops answering when a waived finding is already told."""
    loaded = load(f'persistence.member-down until={TODAY} reason=a',
                  f'persistence.refused until={TODAY} reason=a')
    rows, _ = run(loaded, persistence=lambda s, d: [dataclasses.replace(
        REFUSED, id='persistence.member-down')], migration=blocked)
    assert rows['migration'].severity is Severity.FAILURE
    [found] = rows['migration'].findings
    assert (found.id, found.host) == ('migration.undetermined', REFUSED.host)


def test_what_could_not_be_looked_at_can_be_waived_by_its_name(load):
    loaded = load(f'migration.undetermined until={TODAY} reason=a')
    rows, _ = run(loaded, persistence=fine, migration=blocked)
    assert rows['migration'].severity is Severity.SUCCESS
    assert rows['migration'].findings[0].waived


@pytest.mark.parametrize('found, excused', [
    ('config.invalid-value', True), ('config.half-quoted', True),
    ('config.placeholder', False), ('config.release', False)])
def test_a_waiver_of_what_a_value_is_makes_it_not_readable(
        load, found, excused):
    def option(_settings, _deadline):
        raise findings.Blocked('no value', option='task_flow.engine')

    loaded = load(f'{found} until={TODAY} reason=a')
    rows, _ = run(loaded, jobboard=option, config=lambda s, d: [
        findings.finding(found, 'wrong', option='task_flow.engine')])
    assert (rows['jobboard'].severity is Severity.SUCCESS) is excused


def test_a_waiver_that_covers_nothing(load):
    waiver = f'persistence.refused until={TODAY} reason=being moved'
    rows, _ = run(load(waiver), persistence=fine)
    [finding] = rows['persistence'].findings
    assert finding.id == 'config.waiver-unmatched'
    assert 'persistence.refused' in finding.message
    assert rows['persistence'].severity is Severity.WARNING


@pytest.mark.parametrize('function', [late, off, blocked])
def test_nothing_is_said_of_a_waiver_where_nothing_was_looked_at(
        load, function):
    waiver = f'migration.behind until={TODAY} reason=being moved'
    rows, _ = run(load(waiver), persistence=refused, migration=function)
    assert 'config.waiver-unmatched' not in [
        f.id for f in rows['migration'].findings]


def test_a_malformed_waiver_waives_nothing(load):
    rows, _ = run(load('persistence.refused until=soon reason=a',
                       f'persistence.refused until={TODAY} reason=a'),
                  persistence=refused)
    assert rows['persistence'].severity is Severity.FAILURE


def test_a_secret_in_a_reason(tmp_path):
    path = tmp_path / 'octavia.conf'
    path.write_text(
        '[task_flow]\njobboard_backend_password = w@iver-secret\n'
        f'[octavia_v2_checks]\nwaivers = persistence.refused until={TODAY} '
        'reason=the password is w@iver-secret\n')
    rows, _ = run(settings.load([('file', str(path))]), persistence=refused)
    assert 'w@iver-secret' not in rows['persistence'].details


def test_validate_obeys_them(tmp_path, capsys):
    path = tmp_path / 'octavia.conf'
    path.write_text('[task_flow]\ndisable_revert = true\n'
                    '[octavia_v2_checks]\nwaivers = config.disable-revert '
                    f'until={TODAY} reason=we debug\n')
    assert cli.main(['validate', '--format', 'json', str(path)]) == 0
    [finding] = json.loads(capsys.readouterr().out)['findings']
    assert finding['waived']['reason'] == 'we debug'
    assert cli.main(['validate', str(path)]) == 0
    assert 'waived until' in capsys.readouterr().out
    path.write_text(path.read_text().replace('= true', '= false'))
    assert cli.main(['validate', str(path)]) == 1
    assert 'config.waiver-unmatched' in capsys.readouterr().out


def test_what_another_remedy_needs_is_done_first(load):
    def migration(_settings, _deadline):
        for id_ in ('migration.behind', 'migration.upgrade-privileges'):
            yield findings.finding(id_, 'said')

    def config(_settings, _deadline):
        yield findings.finding('config.tls-unverified', 'said')

    _, report = run(load(), config=config, persistence=refused,
                    migration=migration)
    assert [f.id for f in report.to_do] == [
        'persistence.refused', 'migration.upgrade-privileges',
        'migration.behind', 'config.tls-unverified']


def test_the_order_of_remedies_names_findings():
    for id_, others in catalogue.NEEDED_BY.items():
        assert catalogue.entry(id_)
        assert all(catalogue.entry(other) for other in others)

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

"""What a person sees at a terminal."""

import contextlib
import dataclasses
import datetime
import io
import os
import re
import sys

import pytest

from octavia_v2_checks import catalogue
from octavia_v2_checks import cli
from octavia_v2_checks import engine
from octavia_v2_checks.findings import Finding
from octavia_v2_checks.findings import Severity
from octavia_v2_checks.findings import Waiver
from octavia_v2_checks.reports import layout
from octavia_v2_checks.reports import terminal

PROSE = ('Start the server, and see that nothing between it and this host '
         'drops packets on their way.')
SQL = ("GRANT SELECT, INSERT, UPDATE, DELETE ON `octavia_persistence`.* TO "
       "'octavia'@'10.0.0.%' -- which is longer than any terminal here is;")
FAILURE = Finding('persistence.refused', Severity.FAILURE,
                  'db1:3306 refused the connection: nothing listens there, '
                  'which takes more than a line to say in full.', PROSE,
                  file='/etc/octavia/octavia.conf', line=12)
GRANT = Finding('persistence.missing-privileges', Severity.FAILURE, 'No.',
                SQL)
WARNING = Finding('jobboard.not-durable', Severity.WARNING, 'It forgets.',
                  'In redis-cli, as an administrator: CONFIG SET appendonly '
                  'yes; CONFIG REWRITE')
WAIVED = dataclasses.replace(FAILURE, waived=Waiver(
    'change 4711', datetime.date(2027, 1, 31)))
UNSEEN = Finding('inflight.undetermined', Severity.FAILURE, 'Who knows.')


def row(*found, facts=(), applies=True, blocked_by=None, id_='persistence'):
    severity = max([f.counts for f in found]
                   + ([blocked_by.counts] if blocked_by else []),
                   default=Severity.SUCCESS)
    return engine.Row(id_, f'The row {id_}', severity, tuple(found),
                      ' '.join(facts) or None, 0.1, applies, blocked_by,
                      tuple(facts))


def report(*rows, skipped=(), **more):
    return engine.Report(
        rows, tuple(skipped), '18.0.0', '6.0.2',
        datetime.datetime(2026, 11, 26, tzinfo=datetime.timezone.utc), 0.94,
        'controller-1', **more)


@pytest.fixture(autouse=True)
def columns(monkeypatch):
    """A function that sets the width of the terminal; 80 at first."""
    def to(number):
        monkeypatch.setenv('COLUMNS', str(number))

    to(80)
    return to


def test_the_header_says_what_was_looked_at():
    lines = terminal.render(report(
        row(), target_release='19.0.0', servers=('db1:3306', 'redis1:6379'),
        config_files=('/etc/octavia/octavia.conf', '/etc/o/x.conf')
    )).splitlines()
    assert lines[0].startswith('octavia-v2-checks ')
    assert lines[0].endswith(' on controller-1')
    assert lines[1:4] == [
        'Octavia: 18.0.0, target release 19.0.0',
        'Files:   /etc/octavia/octavia.conf, /etc/o/x.conf',
        'Servers: db1:3306, redis1:6379']


def test_each_thing_has_its_sign():
    shown = terminal.render(report(
        row(FAILURE, WARNING, WAIVED, facts=['MariaDB 10.11 at db1:3306.']),
        row(facts=['Nothing was contacted.'], applies=False, id_='jobboard'),
        row(facts=['Not checked: no.'], blocked_by=FAILURE, id_='migration'),
        row(id_='config')))
    for line in ('  ✗ persistence.refused  [/etc/octavia/octavia.conf:12]',
                 '  ! jobboard.not-durable',
                 '  – persistence.refused (waived until 2027-01-31: change '  # noqa: RUF001
                 '4711)  [/etc/octavia/octavia.conf:12]',
                 '  ✓ MariaDB 10.11 at db1:3306.',
                 '  – Nothing was contacted.', '  – Not checked: no.',  # noqa: RUF001
                 '  ✓ nothing wrong'):
        assert line in shown.splitlines()


class Ascii:
    encoding = 'ascii'


def test_signs_where_there_is_nothing_but_ascii(monkeypatch):
    monkeypatch.setattr(sys, 'stdout', Ascii())
    terminal.render(report(row(FAILURE, WARNING), row())).encode('ascii')


@pytest.mark.parametrize(('asked', 'used'), [
    (20, 60), (60, 60), (100, 100), (160, 160), (500, 160)])
def test_prose_is_as_wide_as_the_terminal(columns, asked, used):
    columns(asked)
    long = dataclasses.replace(FAILURE, message='word ' * 100,
                               remedy='other ' * 100)
    lines = terminal.render(report(row(long))).splitlines()
    wide = [line for line in lines if 'word' in line or 'other' in line]
    assert used - 10 < max(map(len, wide)) <= used


def test_what_is_typed_stays_whole_and_says_where():
    shown = terminal.render(report(row(GRANT, WARNING))).splitlines()
    at = shown.index(f'      {SQL}')
    assert shown[at - 1] == '    On the database, as an administrator:'
    at = shown.index('      CONFIG SET appendonly yes; CONFIG REWRITE')
    assert shown[at - 1] == '    In redis-cli, as an administrator:'


@pytest.mark.parametrize('said', [
    'octavia-db-manage --config-file /etc/octavia/octavia.conf '
    'upgrade_persistence',
    "/opt/octavia/bin/python -m pip install 'redis>=8.0.0'",
    'Let the account read it: setfacl -m u:octavia:r and so on, as many words '
    'as a line has, and more',
    'Run chown octavia:octavia /etc/octavia/certificates/private/server.pem '
    'on each controller'])
def test_no_command_is_broken(said):
    assert any(line.strip() == said for line in layout.remedy(said, '  '))


def test_statements_and_what_follows_them():
    sql = "UPDATE load_balancer SET provisioning_status = 'ERROR' WHERE 1;"
    assert list(layout.remedy(
        f"If nothing waits, run in Octavia's own database: {sql} {sql} Then: "
        f'openstack loadbalancer failover X', '  ')) == [
            "  If nothing waits, run in Octavia's own database:",
            f'    {sql} {sql}', '  Then:',
            '    openstack loadbalancer failover X']
    assert list(layout.remedy(
        f'In the persistence database: {sql} The check names the rest.',
        '')) == ['In the persistence database:', f'  {sql}',
                 'The check names the rest.']


@pytest.mark.parametrize('before', range(30, 70))
def test_an_option_and_its_value_stay_on_one_line(before):
    lines = list(layout.remedy(
        f'{"x" * before} jobboard_backend_hosts = redis1 in [task_flow] of '
        f'/etc/octavia/octavia.conf, where redis1 is meant.', '  '))
    assert max(map(len, lines)) <= 80
    assert any('jobboard_backend_hosts = redis1' in line for line in lines)


def test_failures_stand_apart_from_warnings():
    shown = terminal.render(report(row(WARNING, FAILURE)))
    assert shown.index('\nFailures\n 1. persistence.refused') < shown.index(
        '\nWarnings\n 1. jobboard.not-durable')


@pytest.mark.parametrize(('rows', 'skipped', 'said'), [
    ([row()], [], 'Nothing found in 0.9 s. Ready to upgrade.'),
    ([row(WARNING)], [], '1 warning in 0.9 s. Ready to upgrade, once the '
     'warnings have been read.'),
    ([row(FAILURE, GRANT, WARNING)], [],
     '2 failures, 1 warning in 0.9 s. Do not upgrade yet.'),
    ([row(WAIVED)], [], '1 finding waived in 0.9 s. Ready to upgrade.'),
    ([row(FAILURE), row(UNSEEN), row(blocked_by=FAILURE)], [],
     '1 failure, 2 not checked in 0.9 s. Do not upgrade yet.'),
    ([row()], ['jobboard'], '1 check skipped in 0.9 s. What was skipped may '
     'still be wrong.'),
    ([row(FAILURE)], ['jobboard', 'inflight'], '1 failure, 2 checks skipped '
     'in 0.9 s. Do not upgrade yet.')])
def test_the_verdict(rows, skipped, said):
    made = report(*rows, skipped=skipped)
    assert terminal.sentence(made) == said
    assert said in terminal.render(made).splitlines()
    assert terminal.render_short(made).splitlines()[-1] == said


def test_where_to_read_on():
    *_, before, last = terminal.render(report(row(FAILURE))).splitlines()
    assert before.endswith('octavia-v2-checks explain persistence.refused')
    assert last.endswith('/findings.html#finding-persistence-refused')
    assert 'explain' not in terminal.render(report(row()))
    # A check of a third party has no page here.
    other = dataclasses.replace(FAILURE, id='acme.host')
    assert 'explain' not in terminal.render(report(row(other)))
    assert 'explain persistence.refused' in terminal.render(
        report(row(other, FAILURE)))


def test_short():
    shown = terminal.render_short(report(
        row(FAILURE, WARNING, facts=['Fine.']),
        row(facts=['Not checked: no.'], blocked_by=FAILURE, id_='migration')))
    assert shown.splitlines() == [
        '✗ persistence.refused: db1:3306 refused the connection: nothing '
        'listens there,', '  which takes more than a line to say in full.  '
        '[/etc/octavia/octavia.conf:12]',
        '– migration: Not checked: no.',  # noqa: RUF001
        '1 failure, 1 warning, 1 not checked in 0.9 s. Do not upgrade yet.']


def test_nothing_moves_the_cursor():
    evil = dataclasses.replace(FAILURE, message='a\x1b[2Jb', remedy='\x1b[A')
    assert '\x1b' not in terminal.render(report(row(evil)))
    assert os.linesep in terminal.render(report(row(evil)))


def test_a_remedy_is_broken_only_where_nothing_is_typed():
    said = [line for entry in catalogue.entries()
            for line in layout.remedy(entry.remedy, '  ')]
    long = [line for line in said if len(line) > 80]
    assert len(said) > 100 and 0 < len(long) < 10
    for line in long:
        assert re.search(
            r'-f latin1|ALTER USER|SHOW FULL|pip install|as \$\$', line)


class Terminal(io.StringIO):
    """What shows all characters."""

    encoding = 'utf-8'


class Narrow(io.StringIO):
    """What shows nothing but ASCII."""

    encoding = 'ascii'


def printed(*words, stream=None):
    """The exit code of a command, and the lines that it prints."""
    out = stream or Terminal()
    with contextlib.redirect_stdout(out):
        code = cli.main(list(words))
    return code, out.getvalue().splitlines()


FAULTY = """\
[task_flow]
jobboard_enabled = true
max_worker = 5
jobboard_backend_password = 'hunter2
disable_revert = true
persistence_connection = mysql+pymysql://octavia:x@db1/octavia_persistence
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / 'octavia.conf'
    path.write_text('[api_settings]\nenabled_provider_drivers = amphora:x\n'
                    + FAULTY)
    return path


def test_validate(config):
    code, lines = printed('validate', str(config))
    assert code == 2
    assert lines[0].startswith('octavia-v2-checks ')
    assert f'Files:   {config}' in lines
    assert lines.index('Failures') < lines.index('Warnings')
    at = lines.index(f'  ✗ config.unknown-option  [{config}:5]')
    assert lines[at + 1:at + 4] == [
        '    | max_worker = 5',
        '    [task_flow] max_worker: there is no such option. Did you mean '
        'max_workers?',
        '    Remedy: Write max_workers in [task_flow], or delete the line.']
    assert f'  ! config.disable-revert  [{config}:7]' in lines
    # What is masked is not shown as three stars either.
    assert not any('***' in line or 'hunter2' in line for line in lines)
    assert '✓ 5 options set in 1 file, checked against 32 rules.' in lines
    assert lines[-3:-1] == [
        '2 failures, 1 warning. Correct the configuration before you '
        'upgrade.', 'Read on: octavia-v2-checks explain config.unknown-option']


def test_validate_of_what_is_sound(config):
    config.write_text('[task_flow]\njobboard_enabled = false\n')
    code, lines = printed('validate', str(config))
    assert code == 0
    assert lines[-2:] == [
        '✓ 1 option set in 1 file, checked against 32 rules.',
        'Nothing found. The servers were not asked: octavia-v2-checks '
        'upgrade check does.']


def test_validate_of_what_does_not_parse(config):
    config.write_text('nonsense\n')
    code, lines = printed('validate', str(config))
    assert code == 2
    assert f'  ✗ config.parse-error  [{config}:1]' in lines
    assert not any('judged' in line for line in lines)


@pytest.mark.parametrize('words', [
    ['validate'], ['list'], ['explain', 'jobboard'],
    ['explain', 'jobboard.gateway-off']], ids=' '.join)
@pytest.mark.parametrize(('asked', 'used'), [
    (20, 60), (60, 60), (100, 100), (160, 160), (300, 160)])
def test_every_command_is_as_wide_as_the_terminal(config, columns, words,
                                                  asked, used):
    columns(asked)
    if words == ['validate']:
        words = ['validate', str(config)]
    _, lines = printed(*words)
    prose = [line for line in lines
             if str(config) not in line and '://' not in line]
    assert max(map(len, prose)) <= used
    # No word is cut in two: what a narrow terminal shows, a wide one does.
    columns(160)
    assert ' '.join(lines).split() == ' '.join(printed(*words)[1]).split()


@pytest.mark.parametrize('words', [
    ['validate'], ['list'], ['explain', 'jobboard'],
    ['explain', 'migration.behind']], ids=' '.join)
def test_every_command_has_signs_in_ascii(config, words):
    if words == ['validate']:
        words = ['validate', str(config)]
    stream = Narrow()
    _, lines = printed(*words, stream=stream)
    stream.getvalue().encode('ascii')
    assert any(line.lstrip().startswith('x ') for line in lines)


def test_list_shows_severity_and_meaning():
    _, lines = printed('list')
    for entry in catalogue.entries():
        sign = {'WARNING': '!', 'FAILURE': '✗'}[entry.severity]
        [line] = [one for one in lines if f' {entry.id} ' in one]
        assert line.split()[:3] == [sign, entry.id, entry.severity.lower()]
    assert lines[-2] == (f'{len(catalogue.entries())} findings of 6 checks '
                         f'and the drill.')


def test_explain_says_why_and_what_to_do():
    _, lines = printed('explain', 'migration.behind')
    entry = catalogue.entry('migration.behind')
    assert lines[0] == '✗ migration.behind  failure'
    text = ' '.join(' '.join(lines).split())
    for part in (entry.title, f'Why it matters {entry.why}',
                 f'How to fix it {entry.remedy}'):
        assert part in text
    assert lines[-1].endswith('/findings.html#finding-migration-behind')

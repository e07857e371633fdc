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

import dataclasses
import datetime
import os
import sys

import pytest

from octavia_v2_checks import engine
from octavia_v2_checks.findings import Finding
from octavia_v2_checks.findings import Severity
from octavia_v2_checks.findings import Waiver
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
    'Set jobboard_backend_hosts = redis1 in [task_flow] of '
    '/etc/octavia/octavia.conf, where redis1 is the server that is meant'])
def test_no_command_is_broken(said):
    assert any(line.strip() == said for line in terminal.remedy(said, '  '))


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

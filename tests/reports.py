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

"""Reports of every kind, for the tests of the output formats."""

import dataclasses
import datetime

from octavia_v2_checks import engine
from octavia_v2_checks import findings
from octavia_v2_checks.findings import Finding
from octavia_v2_checks.findings import Severity

#: Markup, quotes, line breaks, what XML forbids, other scripts, a word that
#: is wider than a telephone, a lone surrogate, and a change of direction.
NASTY = ('<script>alert("x")</script> \'&amp;\' ]]> \x00\x07\x1b[31m\r\n'
         'Zürich 東京 🦑 \udcff \u202e \ufffe \\n "} ' + 'w' * 300)

HOST = 'controller-1'

WAIVER = findings.Waiver('change 4711 is under way',
                         datetime.date(2027, 1, 31))

REFUSED = findings.finding(
    'persistence.refused',
    'No server accepts connections at controller:3306.',
    'systemctl start mariadb', option='task_flow.persistence_connection',
    file='/etc/octavia/octavia.conf', line=12, host='controller:3306')

NOT_DURABLE = findings.finding(
    'jobboard.not-durable', 'controller:6379 loses all jobs when it restarts: '
    'it has neither an append-only file nor snapshots.',
    'In redis-cli, as an administrator: CONFIG SET appendonly yes; CONFIG '
    'REWRITE', host='controller:6379')

WAIVED = findings.finding(
    'config.duplicate-option', '[task_flow] max_workers is set twice; the '
    'last one counts.', 'Delete line 8.', option='task_flow.max_workers',
    file='/etc/octavia/octavia.conf', line=9, waived=WAIVER)

UNKNOWN = findings.finding(
    'inflight.undetermined', 'No result within the deadline of 20 s.')

BLIND = findings.finding(
    'resources.undetermined', 'The account may not read the table '
    'load_balancer.', waived=WAIVER)

FOREIGN = Finding('site rules.dns"name', Severity.WARNING, 'No such name.')

UGLY = Finding('jobboard.wrong-protocol', Severity.FAILURE, NASTY, NASTY,
               option='task_flow.x<y', file=f'/tmp/{NASTY}', line=3,
               host=NASTY)


def row(id_, *said, note=None, applies=True, blocked_by=None):
    """A row as the engine makes it."""
    severity = max((f.counts for f in said), default=Severity.SUCCESS)
    if blocked_by:
        severity = max(severity, blocked_by.counts)
    return engine.Row(id_, f'Row {id_}', severity, said, note, 0.25, applies,
                      blocked_by, (note,) if note else ())


def report(*rows, skipped=()):
    """A report of these rows."""
    return engine.Report(
        rows, skipped, '19.0.0', None, datetime.datetime(
            2026, 11, 22, 21, 44, 53, tzinfo=datetime.timezone.utc), 1.5, HOST)


WAIVED_CAUSE = dataclasses.replace(REFUSED, waived=WAIVER)


#: name -> report, verdict of its row ``jobboard``, exit code
CASES = {
    'success': (report(row('jobboard', note='Redis answers.')),
                'success', 0),
    'silence': (report(row('jobboard')), 'success', 0),
    'warning': (report(row('jobboard', NOT_DURABLE)), 'warning', 1),
    'failure': (report(row('jobboard', REFUSED, NOT_DURABLE)), 'failure', 2),
    'undetermined': (report(row('jobboard', UNKNOWN)), 'undetermined', 2),
    'both': (report(row('jobboard', UNKNOWN, REFUSED)), 'failure', 2),
    'blocked': (report(row('config', REFUSED), row(
        'jobboard', note='Not checked: no way (persistence.refused).',
        blocked_by=REFUSED)), 'blocked', 2),
    'blocked with a warning': (report(row(
        'jobboard', NOT_DURABLE, note='Not checked: no way '
        '(persistence.refused).', blocked_by=REFUSED)), 'blocked', 2),
    'blocked by what is waived': (report(row('config', WAIVED_CAUSE), row(
        'jobboard', note='Not checked: no way (persistence.refused, waived).',
        blocked_by=WAIVED_CAUSE)), 'blocked', 0),
    'not applicable': (report(row(
        'jobboard', note='jobboard_enabled is false.', applies=False)),
        'not-applicable', 0),
    'waived': (report(row('jobboard', WAIVED)), 'success', 0),
    'waived beside a warning': (report(row('jobboard', NOT_DURABLE, WAIVED)),
                                'warning', 1),
    'waived undetermined': (report(row('jobboard', BLIND)), 'success', 0),
    'third party': (report(row('jobboard'), row('site rules', FOREIGN)),
                    'success', 1),
    'nasty': (report(row('jobboard', UGLY), row(f'x{NASTY}', note=NASTY)),
              'failure', 2),
    'twice': (report(row('jobboard', REFUSED, REFUSED)), 'failure', 2),
    'skipped': (report(row('jobboard'), skipped=('config', 'site rules')),
                 'success', 0),
    'everything': (report(
        row('config', WAIVED), row('persistence', REFUSED),
        row('migration', note='Not checked: the database cannot be asked '
            '(persistence.refused).', blocked_by=REFUSED),
        row('jobboard', NOT_DURABLE), row('inflight', UNKNOWN),
        row('site rules', FOREIGN), row('quotas', note='All is well.'),
        skipped=('resources',)), 'warning', 2),
}

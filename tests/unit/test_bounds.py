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

"""Input without bounds: it takes bounded time, and bounded paper."""

import datetime
import itertools
import json
import time

import pytest

from octavia_v2_checks import clock
from octavia_v2_checks import engine
from octavia_v2_checks import plugins
from octavia_v2_checks import registry
from octavia_v2_checks import settings
from octavia_v2_checks import validate
from octavia_v2_checks.checks import config
from octavia_v2_checks.findings import Finding
from octavia_v2_checks.findings import Severity

UNTIL = datetime.date.today() + datetime.timedelta(days=9)

HEAD = '[task_flow]\njobboard_enabled = true\n'

#: Processor time for all formats of one configuration; it takes a second or
#: two, and took minutes.
SECONDS = 10

#: Characters of the longest document.
LONGEST = 300_000

#: Names that oslo.config puts in for each other.
LAUGHS = ['log_dir', 'log_file', 'host', 'config_dir', 'use_json',
          'log_color', 'use_syslog', 'debug', 'use_stderr', 'use_journal',
          'publish_errors', 'instance_format', 'log_options',
          'transport_url', 'control_exchange', 'backdoor_port',
          'syslog_log_facility', 'max_logfile_count', 'rate_limit_burst',
          'rate_limit_interval', 'log_date_format', 'default_log_levels']


def numbered(line, count):
    return ''.join(line.replace('#', str(n)) + '\n' for n in range(count))


CONFIGURATIONS = {
    'duplicates': 'max_workers = 5\n' * 10_000,
    'passwords': numbered('jobboard_backend_password = secret#x', 10_000),
    'sections': numbered('[section#]\na = 1', 25_000),
    'sections near ours': numbered('[taskflo#]\nengine = x', 12_500),
    'unknown options': numbered('jobboard_x# = 1', 10_000),
    'no options': 'nonsense\n' * 10_000,
    'waivers': '[octavia_v2_checks]\n' + numbered(
        f'waivers = config.duplicate-option option=a# until={UNTIL} '
        'reason=x', 2_500) + HEAD + 'max_workers = 5\n' * 2_500,
    'skip': '[octavia_v2_checks]\nskip = ' + ','.join(
        f'check{n}' for n in range(5_000)) + '\n',
    'reports': '[octavia_v2_checks]\n' + numbered(
        'report_file = form#:/nowhere', 1_250),
    'hosts': 'jobboard_backend_hosts = ' + ','.join(
        f'h_{n}:1' for n in range(12_500)) + '\n',
    'dictionary': 'jobboard_redis_backend_ssl_options = ' + ','.join(
        f'key{n}:{n}' for n in range(5_000)) + '\n',
    'colons': 'jobboard_backend_namespace = ' + ':' * 250_000 + '\n',
    'questions': 'jobboard_backend_namespace = ://' + '?' * 250_000 + '\n',
    'at signs': 'jobboard_backend_namespace = ' + '://@' * 50_000 + '\n',
    'passwords in a line': 'jobboard_backend_namespace = ' +
                           'password=x ' * 25_000 + '\n',
    'parameters': 'persistence_connection = mysql://h/d?' +
                  'password=x&' * 12_500 + '?password=x' * 12_500 + '\n',
    'long value': 'jobboard_enabled = ' + 'x' * 500_000 + '\n',
    'long name': 'x' * 500_000 + ' = 1\n',
    'laughs': '[DEFAULT]\n' + ''.join(
        f'{a} = ${b}${b}\n' for a, b in itertools.pairwise(LAUGHS)) + (
        f'{LAUGHS[-1]} = \n{HEAD}jobboard_backend_namespace = $log_dir\n'),
}


def documents(loaded):
    """What every format makes of a configuration."""
    check = registry.Check('config', 'config', lambda: config.check)
    report = engine.run(loaded, [check], clock.Deadline(SECONDS, 1))
    yield 'report', json.dumps([str(r) for r in report.rows])
    for _, entry in plugins.find('octavia_v2_checks.reports'):
        yield entry.name, entry.load()(report)
    found = validate.run(loaded, None)
    for form in ('table', 'json', 'sarif'):
        yield f'validate {form}', validate.render(form, found, loaded)


@pytest.mark.parametrize('name', CONFIGURATIONS)
def test_configuration(tmp_path, name):
    path = tmp_path / 'octavia.conf'
    path.write_text(HEAD + CONFIGURATIONS[name])
    begin = time.process_time()
    for form, text in documents(settings.load([('file', str(path))])):
        assert len(text) < LONGEST, form
        assert 'undetermined' not in text or form == 'prometheus', form
    assert time.process_time() - begin < SECONDS


@pytest.mark.parametrize('what, said', [
    ('/dev/zero', '16 MiB'), ('large', '16 MiB'),
    ('binary', 'not a text file')])
def test_what_is_no_configuration(tmp_path, what, said):
    path = tmp_path / 'octavia.conf'
    if what == 'large':
        path.write_text(HEAD + '# x\n' * (5 << 20))
    elif what == 'binary':
        path.write_bytes(b'\x7fELF\x02\x01\x01\0\0')
    else:
        path.symlink_to(what)
    loaded = settings.load([('file', str(path))])
    [found] = validate.run(loaded, None)
    assert found.id == 'config.parse-error'
    assert (found.file, found.line) == (str(path), 1)
    assert said in found.message
    assert loaded.excerpt(str(path), 1) is None


def many(number, **change):
    return [Finding('a.b', Severity.WARNING, f'said {n}', 'do it',
                    option=f'g.o{n}', **change) for n in range(number)]


def row_of(tmp_path, found, *lines):
    path = tmp_path / 'octavia.conf'
    path.write_text('\n'.join(['[octavia_v2_checks]', *lines, '']))
    report = engine.run(
        settings.load([('file', str(path))]),
        [registry.Check('a', 'a', lambda: lambda s, d: found)],
        clock.Deadline(30, 1))
    return report.rows[0], report


def test_fifty_are_listed(tmp_path):
    row, _ = row_of(tmp_path, many(50))
    assert [f.message for f in row.findings] == [
        f'said {n}' for n in range(50)]


def test_more_are_counted(tmp_path):
    row, report = row_of(tmp_path, many(1234))
    assert len(row.findings) == 51
    last = row.findings[-1]
    assert (last.id, last.severity, last.many) == (
        'a.b', Severity.WARNING, 1184)
    assert '1184 more' in last.message
    assert last.remedy and last.option is None
    assert len(report.to_do) == 51
    metrics = dict(plugins_render('prometheus', report))
    assert metrics['octavia_v2_checks_finding{id="a.b",severity="warning",'
                   'waived="false"}'] == '1234'


def plugins_render(name, report):
    [entry] = [e for _, e in plugins.find('octavia_v2_checks.reports')
               if e.name == name]
    for line in entry.load()(report).splitlines():
        if line[0] != '#':
            yield line.rsplit(' ', 1)


def test_each_kind_is_counted_for_itself(tmp_path):
    """One that counts is not lost among many that are waived."""
    found = many(100)
    waivers = [f'waivers = a.b option=o{n} until={UNTIL} reason=x'
               for n in range(99)]
    row, report = row_of(tmp_path, found, *waivers)
    assert len(row.findings) == 52
    [open_] = [f for f in row.findings if not f.waived]
    assert open_.message == 'said 99'
    assert report.severity is Severity.WARNING
    assert row_of(tmp_path, found, *waivers, waivers[-1].replace(
        'o98', 'o99'))[1].severity is Severity.SUCCESS


def test_another_check_may_have_many_kinds(tmp_path):
    found = [Finding(f'a.b{n}', Severity.WARNING, 'said', 'do it')
             for n in range(3000)]
    begin = time.process_time()
    _, report = row_of(tmp_path, found)
    for _, entry in plugins.find('octavia_v2_checks.reports'):
        entry.load()(report)
    assert time.process_time() - begin < SECONDS

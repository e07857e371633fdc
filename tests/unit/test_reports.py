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

"""The output formats: one verdict in all of them, whatever the texts."""

import datetime
import json
import re

import hypothesis
from hypothesis import strategies
from pydantic_sarif import model
import pytest

from octavia_v2_checks import cli
from octavia_v2_checks import plugins
from octavia_v2_checks.findings import Finding
from octavia_v2_checks.findings import Severity
from octavia_v2_checks.reports import html
from octavia_v2_checks.reports import json as json_
from octavia_v2_checks.reports import junit
from octavia_v2_checks.reports import nagios
from octavia_v2_checks.reports import prometheus
from octavia_v2_checks.reports import text
from octavia_v2_checks.reports import verdict
from tests import readers
from tests import reports

FORMATS = {p.entry.name: p.entry.load()
           for p in plugins.find('octavia_v2_checks.reports')}

#: What a format says for each verdict, and what its exit code is.
SAID = {
    'success': ('Success', 'passed', (0, 1), 'Success', 0),
    'warning': ('Warning', 'passed', (1, 1), 'Warning', 1),
    'failure': ('Failure', 'failure', (2, 1), 'Failure', 2),
    'undetermined': ('Failure', 'error', (2, 0), 'Failure: undetermined', 2),
    'blocked': ('Failure', 'error', (2, 0), 'Failure: not checked', 2),
    'not-applicable': ('Success', 'skipped', (0, 0), 'Does not apply', 0),
}

SIGNS = {'success': '✓', 'warning': '!', 'failure': '✗',
         'undetermined': '✗', 'blocked': '–',  # noqa: RUF001
         'not-applicable': '–'}  # noqa: RUF001

#: The same where the finding in the way is waived.
NOT_COUNTED = ('Success', 'skipped', (0, 0), 'Not checked', 0)


def expected(form, word, code=2):
    table, case, numbers, badge, _ = (
        SAID[word] if code or word != 'blocked' else NOT_COUNTED)
    return {'table': table, 'text': SIGNS[word], 'json': word, 'junit': case,
            'prometheus': numbers, 'html': badge, 'nagios': word}[form]


def test_every_format_is_read_here():
    assert FORMATS.keys() == readers.READERS.keys() | {'short'}


@pytest.mark.parametrize('case', reports.CASES)
@pytest.mark.parametrize('form', readers.READERS)
def test_verdict(form, case):
    report, word, code = reports.CASES[case]
    seen = readers.READERS[form](FORMATS[form](report))
    if form == 'prometheus' and case in ('both', 'waived undetermined'):
        # Whatever else it found, it did not look to the end.
        assert seen['jobboard'] == (expected(form, word, code)[0], 0)
    elif form == 'text' and case == 'blocked with a warning':
        assert seen['jobboard'] == '!'
    elif form == 'text' and case == 'waived undetermined':
        assert seen['jobboard'] == '–'  # noqa: RUF001
    else:
        assert seen['jobboard'] == expected(form, word, code)
    assert report.exit_code('warning') == code


@pytest.mark.parametrize('case', reports.CASES)
def test_the_worst_row_is_the_exit_code(case):
    report, _, code = reports.CASES[case]
    assert json.loads(json_.render(report))['result'] == code
    assert max(n for n, _ in readers.read_prometheus(
        prometheus.render(report)).values()) == code
    # A warning is no failure in JUnit.
    assert bool({'failure', 'error'} & {
        *readers.read_junit(junit.render(report)).values()}) == (code == 2)
    title = re.search('<title>(\\w+)', html.render(report))[1]
    assert title == ('Success', 'Warning', 'Failure')[code]
    state = nagios.render(report).split()[1]
    assert state == ('OK', 'WARNING', 'CRITICAL')[code]


@pytest.mark.parametrize('form', [
    'table', 'json', 'junit', 'html', 'nagios'])
def test_a_waived_finding_is_shown_with_its_reason(form):
    document = FORMATS[form](reports.CASES['waived'][0])
    for part in ('config.duplicate-option', 'change 4711', '2027-01-31'):
        assert part in re.sub(r'\s*\|\n\|\s*', ' ', document)
    assert 'To do first' not in document
    assert 'Warnings' not in document


@pytest.mark.parametrize('form', readers.READERS)
def test_what_was_skipped_is_named(form):
    document = FORMATS[form](reports.CASES['skipped'][0])
    if form == 'junit':
        skipped = readers.cases(document)['config'].result[0]
        assert skipped.message == 'skipped on request'
    elif form == 'prometheus':
        metrics = readers.samples(document)
        assert metrics['complete']['config',] == 0
        assert ('config',) not in metrics['result']
    elif form == 'html':
        assert readers.Page(document).badges['config'] == 'Skipped'
    elif form == 'nagios':
        assert readers.read_nagios(document)['config'] == 'skipped'
    assert 'site rules' in document


# Through the command.

FAULTY = 'max_workers = many'


@pytest.mark.parametrize('form', readers.READERS)
@pytest.mark.parametrize('line, args, row, word', [
    ('jobboard_enabled = false', ['--only', 'config'], 'config', 'success'),
    ('max_workers = 2\nmax_workers = 3', ['--offline'], 'config', 'warning'),
    (FAULTY, ['--offline'], 'config', 'failure'),
    ('nonsense', ['--only', 'persistence'], 'persistence', 'undetermined'),
    ('nonsense', ['--only', 'config,migration'], 'migration', 'blocked'),
    ('jobboard_enabled = false', ['--skip', 'config'], 'jobboard',
     'not-applicable'),
])
def test_the_command(tmp_path, capsys, form, line, args, row, word):
    path = tmp_path / 'octavia.conf'
    path.write_text(f'[api_settings]\nenabled_provider_drivers = amphora:x\n'
                    f'[task_flow]\n{line}\n')
    args = ['--config-file', str(path), 'upgrade', 'check', *args,
            '--format', form]
    code = cli.main(args)
    seen = readers.READERS[form](capsys.readouterr().out)
    if form in ('table', 'text'):
        seen = {row: list(seen.values())[-1 if row == 'migration' else 0]}
    assert code == SAID[word][-1]
    assert seen[row] == expected(form, word)
    assert cli.main([*args, '--fail-level', 'failure']) == (
        0 if code == 1 else code)


@pytest.mark.parametrize('form', readers.READERS)
def test_a_waiver_in_the_configuration(tmp_path, capsys, form):
    path = tmp_path / 'octavia.conf'
    until = datetime.date.today() + datetime.timedelta(9)
    path.write_text(
        f'[task_flow]\n{FAULTY}\n[octavia_v2_checks]\nwaivers = '
        f'config.invalid-value until={until} reason=see change 4711\n')
    assert cli.main(['--config-file', str(path), 'upgrade', 'check',
                     '--offline', '--format', form]) == 0
    document = capsys.readouterr().out
    assert 'config.invalid-value' in document
    if form == 'prometheus':
        assert readers.samples(document)['finding'][
            'config.invalid-value', 'failure', 'true'] == 1
    else:
        assert str(until) in document


def test_a_waiver_in_sarif(tmp_path, capsys):
    path = tmp_path / 'octavia.conf'
    until = datetime.date.today() + datetime.timedelta(9)
    path.write_text(
        f'[task_flow]\nmax_workers = 2\n{FAULTY}\n[octavia_v2_checks]\n'
        f'waivers = config.invalid-value until={until} reason=change 4711\n')
    assert cli.main(['validate', '--format', 'sarif', str(path)]) == 1
    log = json.loads(capsys.readouterr().out)
    model.StaticAnalysisResultsFormatSarifVersion210JsonSchema(**log)
    seen = {r['ruleId']: r.get('suppressions')
            for r in log['runs'][0]['results']}
    [waived] = seen.pop('config.invalid-value')
    assert waived['justification'] == f'waived until {until}: change 4711'
    assert seen == {'config.duplicate-option': None}


@pytest.mark.parametrize('line, number', [('', 0), (FAULTY, 1)])
def test_validate_follows_the_schema(tmp_path, capsys, line, number):
    path = tmp_path / 'octavia.conf'
    path.write_text(f'[task_flow]\n{line}\n')
    cli.main(['validate', '--format', 'json', str(path)])
    document = readers.valid(json.loads(capsys.readouterr().out))
    assert len(document['findings']) == number


# Texts from elsewhere

@pytest.mark.parametrize('form', ['json', 'junit', 'html'])
def test_a_document_is_ascii(form):
    """A pipe may have any encoding, and a lone surrogate has none."""
    assert FORMATS[form](reports.CASES['nasty'][0]).isascii()


def test_nasty_texts_come_out_as_they_are():
    report = reports.CASES['nasty'][0]
    shown = text.printable(reports.NASTY)
    assert '\\x00\\x07\\x1b[31m\\r\n' in shown
    assert 'Zürich 東京 🦑 \\udcff \\u202e \\ufffe' in shown
    seen = readers.Page(html.render(report))
    assert ('pre', shown) in seen.texts
    [case] = [c for c in readers.cases(junit.render(report)).values()
              if c.result]
    assert case.result[0].message == f'jobboard.wrong-protocol: {shown}'
    assert shown in case.result[0].text


@hypothesis.given(strategies.text(strategies.characters(), min_size=1))
def test_any_text_comes_out_as_it_is(said):
    report = reports.report(reports.row('jobboard', Finding(
        'jobboard.refused', Severity.FAILURE, said, said)))
    shown = text.printable(said)
    assert ('pre', shown) in readers.Page(html.render(report)).texts
    case = readers.cases(junit.render(report))['jobboard']
    assert case.result[0].message == f'jobboard.refused: {shown}'


def test_nasty_ids_in_prometheus():
    results = readers.samples(prometheus.render(
        reports.CASES['nasty'][0]))['result']
    assert len(results) == 2
    counts = readers.samples(prometheus.render(
        reports.CASES['third party'][0]))
    assert counts['finding']['site rules.dns"name', 'warning', 'false'] == 1


def test_a_case_has_its_verdict():
    for report, word, _ in reports.CASES.values():
        [row] = [r for r in report.rows if r.id == 'jobboard']
        assert verdict.of(row).value == word


def test_a_table_moves_no_cursor():
    report = reports.CASES['nasty'][0]
    document = FORMATS['table'](report)
    assert all(c.isprintable() or c == '\n' for c in document)
    document.encode()

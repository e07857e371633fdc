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

import base64
import copy
import datetime
import hashlib
from html import parser
from importlib import resources
import itertools
import json
import re
from xml.etree import ElementTree

import hypothesis
from hypothesis import strategies
import jsonschema
import junitparser
from prometheus_client import parser as prometheus_parser
from pydantic_sarif import model
import pytest

from octavia_v2_checks import catalogue
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
from tests import reports

FORMATS = {p.entry.name: p.entry.load()
           for p in plugins.find('octavia_v2_checks.reports')}

SCHEMA = json.loads((resources.files('octavia_v2_checks') / 'data'
                     / 'report.schema.json').read_text())


def valid(document):
    """Return a document of which the schema has nothing to say."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft202012Validator(
        SCHEMA, format_checker=jsonschema.FormatChecker()).validate(document)
    return document


class Page(parser.HTMLParser):
    """What a browser would see: elements with their attributes and texts.

    :ivar badges: the word of each check, by its id
    :ivar texts: (element, text)
    """

    VOID = ('meta', 'br')

    def __init__(self, page):
        super().__init__()
        self.open, self.elements, self.texts = [], [], []
        self.feed(page)
        self.close()
        assert self.open == []
        # The first badge and the first code of a check are its own.
        checks = page.split('<article class="check">')[1:]
        self.badges = {
            re.search('<code>(.*?)</code>', re.sub('<h3>.*?</h3>', '', check,
                                                   flags=re.S), re.S)[1]:
            re.search('</span> (.*?)</span>', check)[1] for check in checks}

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else None, data))

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


def read_table(document):
    return dict(re.findall(r'Check: (?:Row )?(\S+) .*\n\| Result: (\w+)',
                           document))


def read_json(document):
    return {row['id']: row['verdict']
            for row in valid(json.loads(document))['checks']}


def cases(document):
    [suite] = junitparser.JUnitXml.fromstring(document.encode())
    return {case.name: case for case in suite}


def read_junit(document):
    return {name: case.result[0]._tag if case.result else 'passed'
            for name, case in cases(document).items()}


def samples(document):
    """Return metric -> labels (and in them the values) -> value."""
    found = {}
    for family in prometheus_parser.text_string_to_metric_families(
            document + '\n'):
        assert family.type == 'gauge' and family.documentation
        values = found.setdefault(family.name.removeprefix(
            'octavia_v2_checks_'), {})
        for sample in family.samples:
            key = tuple(sample.labels.values())
            assert key not in values
            values[key] = sample.value
    return found


def read_prometheus(document):
    metrics = samples(document)
    return {id_: (value, metrics['complete'][id_,])
            for (id_,), value in metrics['result'].items()}


def read_html(document):
    return Page(document).badges


def read_nagios(document):
    first, *lines = document.splitlines()
    assert re.fullmatch(
        r'OCTAVIA (OK|WARNING|CRITICAL) - [^|]+ \| failures=\d+ '
        r'warnings=\d+ waived=\d+ duration=\d+\.\d{3}s', first)
    assert '|' not in ''.join(lines)
    return dict(line.split(': ') for line in lines
                if not line.startswith('- '))


def read_text(document):
    """Return the worst sign of each row of :mod:`tests.reports`."""
    found = {}
    for part in document.split('\n\n'):
        title, *lines = part.splitlines() or ['']
        if lines and all(line.startswith('  ') for line in lines):
            signs = {line[2] for line in lines}
            found[title.removeprefix('Row ')] = next(
                s for s in '✗!✓– ' if s in signs)  # noqa: RUF001
    return found


READERS = {'text': read_text, 'table': read_table, 'json': read_json,
           'junit': read_junit, 'prometheus': read_prometheus,
           'html': read_html, 'nagios': read_nagios}

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
    assert FORMATS.keys() == READERS.keys() | {'short'}


@pytest.mark.parametrize('case', reports.CASES)
@pytest.mark.parametrize('form', READERS)
def test_verdict(form, case):
    report, word, code = reports.CASES[case]
    seen = READERS[form](FORMATS[form](report))
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
    assert max(n for n, _ in read_prometheus(
        prometheus.render(report)).values()) == code
    # A warning is no failure in JUnit.
    assert bool({'failure', 'error'} & {
        *read_junit(junit.render(report)).values()}) == (code == 2)
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


@pytest.mark.parametrize('form', READERS)
def test_what_was_skipped_is_named(form):
    document = FORMATS[form](reports.CASES['skipped'][0])
    if form == 'junit':
        skipped = cases(document)['config'].result[0]
        assert skipped.message == 'skipped on request'
    elif form == 'prometheus':
        metrics = samples(document)
        assert metrics['complete']['config',] == 0
        assert ('config',) not in metrics['result']
    elif form == 'html':
        assert Page(document).badges['config'] == 'Skipped'
    elif form == 'nagios':
        assert read_nagios(document)['config'] == 'skipped'
    assert 'site rules' in document


# Through the command.

FAULTY = 'max_workers = many'


@pytest.mark.parametrize('form', READERS)
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
    seen = READERS[form](capsys.readouterr().out)
    if form in ('table', 'text'):
        seen = {row: list(seen.values())[-1 if row == 'migration' else 0]}
    assert code == SAID[word][-1]
    assert seen[row] == expected(form, word)
    assert cli.main([*args, '--fail-level', 'failure']) == (
        0 if code == 1 else code)


@pytest.mark.parametrize('form', READERS)
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
        assert samples(document)['finding'][
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
    document = valid(json.loads(capsys.readouterr().out))
    assert len(document['findings']) == number


# JSON

@pytest.mark.parametrize('place, value', [
    (['result'], 3), (['result'], '2'), (['schema_version'], 2),
    (['started'], '2026-11-22T21:44:53'), (['duration'], -1),
    (['skipped'], None), (['checks', 0, 'result'], 1),
    (['checks', 0, 'verdict'], 'fine'), (['checks', 0, 'findings'], []),
    (['checks', 0, 'id'], ''), (['checks', 0, 'findings', 0, 'line'], 0),
    (['checks', 0, 'findings', 0, 'id'], 'refused'),
    (['checks', 0, 'findings', 0, 'severity'], 'FAILURE'),
    (['checks', 0, 'findings', 0, 'waived'], True),
    (['checks', 0, 'findings', 0, 'waived'],
     {'reason': 'so', 'until': 'later'}),
])
def test_the_schema_sees_what_is_wrong(place, value):
    document = json.loads(json_.render(reports.CASES['failure'][0]))
    *way, last = place
    part = document
    for step in way:
        part = part[step]
    valid(document)
    part[last] = value
    with pytest.raises(jsonschema.ValidationError):
        valid(document)
    if last != 'waived':
        del part[last]
        with pytest.raises(jsonschema.ValidationError):
            valid(document)


def test_the_schema_lets_fields_be_added():
    document = json.loads(json_.render(reports.CASES['failure'][0]))
    added = copy.deepcopy(document)
    for part in (added, added['checks'][0],
                 added['checks'][0]['findings'][0]):
        part['more'] = {'x': 1}
    valid(added)


# JUnit

#: Element -> its attributes and what may be in it, as Jenkins reads it.
SHAPE = {
    'testsuites': ({'name', 'tests', 'failures', 'errors'}, {'testsuite'}),
    'testsuite': ({'name', 'hostname', 'timestamp', 'time', 'tests',
                   'failures', 'errors', 'skipped'},
                  {'properties', 'testcase'}),
    'properties': (set(), {'property'}),
    'property': ({'name', 'value'}, set()),
    'testcase': ({'classname', 'name', 'time'},
                 {'failure', 'error', 'skipped', 'system-out'}),
    'failure': ({'message', 'type'}, set()),
    'error': ({'message', 'type'}, set()),
    'skipped': ({'message', 'type'}, set()),
    'system-out': (set(), set()),
}


@pytest.mark.parametrize('case', reports.CASES)
def test_junit_has_the_shape_that_readers_know(case):
    document = junit.render(reports.CASES[case][0])
    root = ElementTree.fromstring(document)
    assert root.tag == 'testsuites'
    for element in root.iter():
        attributes, children = SHAPE[element.tag]
        assert element.attrib.keys() <= attributes
        assert {child.tag for child in element} <= children
    for case in root.iter('testcase'):
        assert len(case) <= 1
    for suite in (root, root[0]):
        for number, tag in (('tests', 'testcase'), ('failures', 'failure'),
                            ('errors', 'error'), ('skipped', 'skipped')):
            if number in suite.attrib:
                assert int(suite.get(number)) == len(
                    list(root.iter(tag)))
    assert root[0].get('hostname') == reports.HOST
    assert re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d',
                        root[0].get('timestamp'))


def test_junit_says_what_is_wrong_and_what_mends_it():
    found = cases(junit.render(reports.CASES['everything'][0]))
    failure = found['persistence'].result[0]
    assert failure.message == ('persistence.refused: No server accepts '
                               'connections at controller:3306.')
    assert failure.type == 'persistence.refused'
    for part in ('/etc/octavia/octavia.conf:12', 'controller:3306',
                 'Remedy: systemctl start mariadb'):
        assert part in failure.text
    assert 'not-durable' in found['jobboard'].system_out
    assert found['migration'].result[0].type == 'persistence.refused'
    assert found['quotas'].system_out == 'All is well.'


def test_junit_names_the_failure_before_what_is_undetermined():
    case = cases(junit.render(reports.CASES['both'][0]))['jobboard']
    assert case.result[0].type == 'persistence.refused'
    assert 'inflight.undetermined' in case.result[0].text


# Prometheus

def test_zero_only_where_somebody_looked():
    counts = samples(prometheus.render(
        reports.CASES['everything'][0]))['finding']
    assert counts['persistence.refused', 'failure', 'false'] == 1
    assert counts['persistence.tls', 'failure', 'false'] == 0
    assert counts['config.duplicate-option', 'warning', 'true'] == 1
    assert counts['config.duplicate-option', 'warning', 'false'] == 0
    assert counts['inflight.undetermined', 'failure', 'false'] == 1
    areas = {id_.partition('.')[0] for id_, _, _ in counts}
    assert areas == {'config', 'persistence', 'jobboard', 'inflight',
                     'site rules'}
    assert [id_ for id_, _, _ in counts if id_.startswith('inflight.')] == [
        'inflight.undetermined']


def test_two_findings_of_one_id_are_counted():
    counts = samples(prometheus.render(reports.CASES['twice'][0]))['finding']
    assert counts['persistence.refused', 'failure', 'false'] == 2


def test_labels_hold_no_messages():
    """So that the number of series is bounded by that of the ids."""
    quiet = samples(prometheus.render(reports.report(
        *(reports.row(id_) for id_ in catalogue.CHECKS))))
    loud = samples(prometheus.render(reports.report(
        *(reports.row(id_, *[reports.UGLY] * 9)
          for id_ in catalogue.CHECKS))))
    assert quiet.keys() == loud.keys()
    for name, values in loud.items():
        assert values.keys() == quiet[name].keys()


def test_times_and_versions():
    metrics = samples(prometheus.render(reports.CASES['success'][0]))
    assert metrics['start_time_seconds'][()] == 1795383893
    assert metrics['duration_seconds'][()] == 1.5
    assert metrics['check_duration_seconds']['jobboard',] == 0.25
    [(_, octavia, taskflow)] = metrics['build_info']
    assert (octavia, taskflow) == ('19.0.0', '')


# HTML

@pytest.fixture(params=reports.CASES)
def page(request):
    return html.render(reports.CASES[request.param][0])


def test_a_page_stands_alone(page):
    seen = Page(page)
    tags = {tag for tag, _ in seen.elements}
    assert not tags & {'script', 'img', 'link', 'iframe', 'form', 'base'}
    places = [a['id'] for _, a in seen.elements if 'id' in a]
    assert len(places) == len(set(places))
    for _, attributes in seen.elements:
        assert not {a for a in attributes if a.startswith('on')
                    or a in ('style', 'src')}
        href = attributes.get('href')
        assert href is None or href.removeprefix('#') in places
    assert 'url(' not in page and '@import' not in page


def test_a_page_may_load_nothing(page):
    [policy] = [a['content'] for a in Page(page).all('meta')
                if a.get('http-equiv') == 'Content-Security-Policy']
    style = page.partition('<style>')[2].partition('</style>')[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest())
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest.decode()}'; "
        f"base-uri 'none'; form-action 'none'")


def test_a_page_can_be_heard(page):
    seen = Page(page)
    [attributes] = seen.all('html')
    assert attributes['lang'] == 'en'
    levels = [int(tag[1]) for tag, _ in seen.elements
              if re.fullmatch('h[1-6]', tag)]
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(after <= before + 1
               for before, after in itertools.pairwise(levels))
    [title] = [t for tag, t in seen.texts if tag == 'title']
    assert title.split()[0] in ('Success', 'Warning', 'Failure')


def test_a_finding_has_all_it_knows():
    seen = Page(html.render(reports.CASES['failure'][0]))
    texts = [t for _, t in seen.texts]
    for part in ('persistence.refused', '/etc/octavia/octavia.conf:12',
                 'task_flow.persistence_connection', 'controller:3306',
                 'What to do first', '19.0.0', '2026-11-22 21:44:53 UTC',
                 '1.50 s', reports.HOST):
        assert part in texts
    assert ('pre', 'systemctl start mariadb') in seen.texts


@pytest.mark.parametrize('case, headline', [
    ('success', 'Success: nothing wrong was found'),
    ('waived', 'Success: what was found is waived'),
    ('waived beside a warning', 'Warning: it works, but needs attention'),
    ('failure', 'Failure: fix this before you upgrade')])
def test_the_headline(case, headline):
    assert ('h1', headline) in Page(html.render(reports.CASES[case][0])).texts


def test_what_kept_a_check_from_looking_is_shown_beside_a_finding():
    assert 'Not checked: no way' in html.render(
        reports.CASES['blocked with a warning'][0])


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
    seen = Page(html.render(report))
    assert ('pre', shown) in seen.texts
    [case] = [c for c in cases(junit.render(report)).values() if c.result]
    assert case.result[0].message == f'jobboard.wrong-protocol: {shown}'
    assert shown in case.result[0].text


@hypothesis.given(strategies.text(strategies.characters(), min_size=1))
def test_any_text_comes_out_as_it_is(said):
    report = reports.report(reports.row('jobboard', Finding(
        'jobboard.refused', Severity.FAILURE, said, said)))
    shown = text.printable(said)
    assert ('pre', shown) in Page(html.render(report)).texts
    case = cases(junit.render(report))['jobboard']
    assert case.result[0].message == f'jobboard.refused: {shown}'


def test_nasty_ids_in_prometheus():
    results = samples(prometheus.render(reports.CASES['nasty'][0]))['result']
    assert len(results) == 2
    counts = samples(prometheus.render(reports.CASES['third party'][0]))
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

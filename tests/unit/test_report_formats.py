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

"""Each output format by itself: what its readers expect of it."""

import base64
import copy
import hashlib
import itertools
import json
import re
from xml.etree import ElementTree

import jsonschema
import pytest

from octavia_v2_checks import catalogue
from octavia_v2_checks.reports import html
from octavia_v2_checks.reports import json as json_
from octavia_v2_checks.reports import junit
from octavia_v2_checks.reports import prometheus
from tests import readers
from tests import reports

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
    readers.valid(document)
    part[last] = value
    with pytest.raises(jsonschema.ValidationError):
        readers.valid(document)
    if last != 'waived':
        del part[last]
        with pytest.raises(jsonschema.ValidationError):
            readers.valid(document)


def test_the_schema_lets_fields_be_added():
    document = json.loads(json_.render(reports.CASES['failure'][0]))
    added = copy.deepcopy(document)
    for part in (added, added['checks'][0],
                 added['checks'][0]['findings'][0]):
        part['more'] = {'x': 1}
    readers.valid(added)


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
    found = readers.cases(junit.render(reports.CASES['everything'][0]))
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
    case = readers.cases(junit.render(reports.CASES['both'][0]))['jobboard']
    assert case.result[0].type == 'persistence.refused'
    assert 'inflight.undetermined' in case.result[0].text


# Prometheus

def test_zero_only_where_somebody_looked():
    counts = readers.samples(prometheus.render(
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
    counts = readers.samples(prometheus.render(
        reports.CASES['twice'][0]))['finding']
    assert counts['persistence.refused', 'failure', 'false'] == 2


def test_labels_hold_no_messages():
    """So that the number of series is bounded by that of the ids."""
    quiet = readers.samples(prometheus.render(reports.report(
        *(reports.row(id_) for id_ in catalogue.CHECKS))))
    loud = readers.samples(prometheus.render(reports.report(
        *(reports.row(id_, *[reports.UGLY] * 9)
          for id_ in catalogue.CHECKS))))
    assert quiet.keys() == loud.keys()
    for name, values in loud.items():
        assert values.keys() == quiet[name].keys()


def test_times_and_versions():
    metrics = readers.samples(prometheus.render(reports.CASES['success'][0]))
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
    seen = readers.Page(page)
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
    [policy] = [a['content'] for a in readers.Page(page).all('meta')
                if a.get('http-equiv') == 'Content-Security-Policy']
    style = page.partition('<style>')[2].partition('</style>')[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest())
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest.decode()}'; "
        f"base-uri 'none'; form-action 'none'")


def test_a_page_can_be_heard(page):
    seen = readers.Page(page)
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
    seen = readers.Page(html.render(reports.CASES['failure'][0]))
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
    ('waived and a warning', 'Warning: it works, but needs attention'),
    ('failure', 'Failure: fix this before you upgrade')])
def test_the_headline(case, headline):
    assert ('h1', headline) in readers.Page(
        html.render(reports.CASES[case][0])).texts


def test_what_kept_a_check_from_looking_is_shown_beside_a_finding():
    assert 'Not checked: no way' in html.render(
        reports.CASES['blocked with a warning'][0])

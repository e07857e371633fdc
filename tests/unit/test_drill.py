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

"""The parts of a drill without a server: names, file, reports, causes."""

import json
import os
import subprocess
import time
from xml.etree import ElementTree

import pytest

from octavia_v2_checks import findings
from octavia_v2_checks.drill import errors
from octavia_v2_checks.drill import names
from octavia_v2_checks.drill import report
from octavia_v2_checks.drill import result


@pytest.fixture
def child():
    with subprocess.Popen(['sleep', '60']) as process:
        yield process
        process.kill()


def test_a_name_says_whether_the_drill_is_in_use(child):
    id_ = names.make(60, child.pid)
    assert id_.running and id_.in_use
    child.kill()
    # It is gone before anybody has asked for its exit code, too.
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not id_.running and not id_.in_use


def test_a_drill_that_was_begun_waits(child):
    id_ = names.make(60, 4194304, begun=True)
    assert not id_.running and id_.in_use
    assert not id_._replace(end=int(time.time()) - 1).in_use


def test_a_drill_of_another_host():
    id_ = names.make(60, os.getpid())._replace(host='0' * 6)
    assert id_.running
    assert not id_._replace(end=int(time.time()) - 1).running


def test_names_and_namespaces_lead_to_the_drill():
    id_ = names.make(60, 4711)
    assert names.parse(id_.text) == id_
    for name in (id_.text, f'{id_.text}-0b4f3a67'):
        assert names.owner(f'{names.PREFIX}{name}') == id_
    for base in ('jobs', '/a/b', 'x/', 'a_drill_b'):
        assert names.in_namespace(base, names.namespace(base, id_)) == id_


@pytest.mark.parametrize('name', [
    'get_create_load_balancer_flow-1', 'octavia_v2_checks_drill_',
    'octavia_v2_checks_drill_d0', 'x_drill_' + 'g' * 25])
def test_what_is_no_drill(name):
    assert names.owner(name) is None
    assert names.in_namespace('x', name) is None
    with pytest.raises(ValueError):
        names.parse(name)


def begun():
    return result.Begun(names.make(60, 1, True), 'jobs_drill_x', 'c1', 'now',
                        0, ['u'], {'jobboard': ['h:1']})


def test_the_file_is_read_back():
    handed = begun()
    assert result.read(handed.as_json()) == handed


@pytest.mark.parametrize('change', [
    {'id': 'x'}, {'id': None}, {'uuids': 'u'}, {'held': 'first'},
    {'schema_version': 2}, {'namespace': 1}])
def test_another_file_is_not(change):
    said = json.loads(begun().as_json()) | change
    with pytest.raises(result.Unusable):
        result.read(json.dumps(said))


@pytest.mark.parametrize('text', ['', '[]', 'null', '{}', '{"id": 1'])
def test_what_is_no_such_file(text):
    with pytest.raises(result.Unusable):
        result.read(text)


def failed():
    came = result.Result(
        id='d1', namespace='jobs_drill_d1', flows=2, claim=30,
        failed='resumed', plan=tuple(result.STEPS), findings=[
            findings.finding('drill.not-resumed', 'Nobody \x00 did.', 'Do.'),
            findings.finding('drill.leftovers', 'Not removed: x.', 'Clean.')])
    for at, name in enumerate(('loaded', 'opened', 'posted', 'claimed',
                               'killed')):
        came.steps.append(result.Step(name, float(at)))
    return came


def test_junit():
    suite = ElementTree.fromstring(report.RENDER['junit'](failed()))[0]
    cases = {case.get('name'): [e.tag for e in case] for case in suite}
    assert cases['killed'] == []
    assert cases['claim ended'] == cases['finished'] == ['skipped']
    assert cases['resumed'] == cases['removed'] == ['failure']
    assert suite.get('failures') == '2'


def test_table():
    text = report.RENDER['table'](failed())
    assert '    4.00 s  +  1.00 s  killed' in text
    assert 'Nobody \\x00 did.' in text
    assert 'Remedy: Clean.' in text and text.endswith('Result: Failure')


def test_json():
    document = json.loads(report.RENDER['json'](failed()))
    assert (document['result'], document['failed']) == (2, 'resumed')
    assert document['resumed_after'] is None


def test_no_text_of_an_exception_is_told():
    try:
        try:
            raise ConnectionError('secret')
        except ConnectionError as exc:
            raise ValueError('secret') from exc
    except ValueError as exc:
        said = errors.describe(exc)
    assert said == {'classes': ['ValueError', 'ConnectionError'],
                    'code': None, 'where': None}


def test_numbers_of_databases():
    import pymysql
    said = errors.describe(pymysql.err.OperationalError(1290, 'secret'))
    assert said == {'classes': ['OperationalError'], 'code': 1290,
                    'where': 'persistence'}

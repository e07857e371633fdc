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

"""SARIF: valid, at the right lines, and free of secrets."""

import json
import os
import pathlib
import urllib.parse

from pydantic_sarif import model
import pytest

from octavia_v2_checks import settings
from octavia_v2_checks import validate
from tests.unit import config_cases
from tests.unit import fragments

CONTENT = ('[task_flow]\r\njobboard_enabled = true\r\nengine = x\r\n'
           'persistence_connection = mysql+pymysql://o:c4nary@db\r\n'
           'max_workers = 2\r\nmax_workers = 3\r\n')


@pytest.fixture
def rendered(tmp_path, monkeypatch):
    """Render what is wrong with a file; below the working directory."""
    monkeypatch.chdir(tmp_path)

    def render(content, name='etc/octavia & co.conf'):
        path = pathlib.Path(name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode())
        loaded = settings.load([('file', name)])
        found = validate.run(loaded, None)
        text = validate.render('sarif', found, loaded)
        log = json.loads(text)
        # A model made from the published schema, which refuses what the
        # schema does not know.
        model.StaticAnalysisResultsFormatSarifVersion210JsonSchema(**log)
        assert 'c4nary' not in text
        return found, log['runs'][0]
    return render


def test_lines_levels_and_rules(rendered):
    found, run = rendered(CONTENT)
    rules = [r['id'] for r in run['tool']['driver']['rules']]
    seen = []
    for result in run['results']:
        assert rules[result['ruleIndex']] == result['ruleId']
        place = result['locations'][0]['physicalLocation']
        seen.append((result['ruleId'], result['level'],
                     place['region']['startLine']))
    assert seen == [('config.invalid-value', 'error', 3),
                    ('config.persistence-url', 'error', 4),
                    ('config.duplicate-option', 'warning', 6)]
    assert len(found) == 3
    assert len({json.dumps(r['partialFingerprints'])
                for r in run['results']}) == 3


def test_paths(rendered, tmp_path):
    _, run = rendered(CONTENT)
    place = run['results'][0]['locations'][0]['physicalLocation'][
        'artifactLocation']
    assert place['uriBaseId'] == '%SRCROOT%'
    base = run['originalUriBaseIds']['%SRCROOT%']['uri']
    assert base.endswith('/')
    url = urllib.parse.urljoin(base, place['uri'])
    assert urllib.parse.unquote(urllib.parse.urlsplit(url).path) == (
        str(tmp_path / 'etc' / 'octavia & co.conf'))


def test_a_path_elsewhere_is_absolute(rendered, tmp_path, monkeypatch):
    (tmp_path / 'work').mkdir()
    os.chdir(tmp_path / 'work')
    _, run = rendered(CONTENT, str(tmp_path / 'octavia.conf'))
    assert run['results'][0]['locations'][0]['physicalLocation'][
        'artifactLocation'] == {'uri': (tmp_path / 'octavia.conf').as_uri()}


def test_no_finding(rendered):
    _, run = rendered('[task_flow]\nengine = serial\n')
    assert run['results'] == []
    assert run['tool']['driver']['rules'] == []
    assert run['artifacts'][0]['location']['uriBaseId'] == '%SRCROOT%'


def test_a_finding_without_a_file(rendered, monkeypatch):
    monkeypatch.setenv('OS_TASK_FLOW__ENGINE', 'x')
    _, run = rendered('[task_flow]\n')
    [result] = run['results']
    assert 'physicalLocation' not in result['locations'][0]
    assert result['locations'][0]['logicalLocations'] == [
        {'fullyQualifiedName': 'task_flow.engine', 'kind': 'member'}]


@pytest.mark.parametrize(
    'case', {c.id: c for c in config_cases.PRESENT}.values(),
    ids=lambda c: c.id)
def test_every_id(rendered, case):
    rendered(fragments.text(case.fragment).replace('§', ''))

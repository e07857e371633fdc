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

"""Every finding of the configuration, brought about and left out."""

import re

import pytest

from octavia_v2_checks import catalogue
from octavia_v2_checks import settings
from octavia_v2_checks.checks import config
from tests.unit import config_cases


def name_of(case):
    last = case.fragment.rstrip('\n').rpartition('\n')[2]
    return f'{case.id}-{last[:60]}'


def findings(tmp_path, monkeypatch, case):
    """Return what is found, and the line that is marked."""
    content = config_cases.text(case.fragment)
    marked = [n for n, line in enumerate(content.split('\n'), 1)
              if line.endswith('§')]
    path = tmp_path / 'octavia.conf'
    path.write_text(content.replace('§', ''), encoding='utf-8')
    for variable, value in case.environ.items():
        monkeypatch.setenv(variable, value)
    loaded = settings.load([('file', str(path))])
    found = list(config.check(loaded, target_release=case.release))
    return found, (str(path), marked[0] if marked else None)


@pytest.mark.parametrize('case', config_cases.PRESENT, ids=name_of)
def test_present(tmp_path, monkeypatch, case):
    found, place = findings(tmp_path, monkeypatch, case)
    ids = {f'config.{id_}' for id_ in (case.id, *case.also)}
    assert {f.id for f in found} == ids
    about = [f for f in found if f.id == f'config.{case.id}']
    assert {(f.file, f.line) for f in about} == {
        place if place[1] else (None, None)}
    for finding in about:
        assert finding.message.endswith(('.', '?'))
        assert finding.remedy
        assert finding.option or case.id in (
            'parse-error', 'encoding', 'misplaced-option')


@pytest.mark.parametrize('case', config_cases.ABSENT, ids=name_of)
def test_absent(tmp_path, monkeypatch, case):
    assert findings(tmp_path, monkeypatch, case)[0] == []


def test_every_id_is_there_and_not_there():
    ids = {id_.removeprefix('config.') for id_ in catalogue.area('config')}
    assert {c.id for c in config_cases.PRESENT} == ids
    assert {c.id for c in config_cases.ABSENT} == ids


def test_no_secret_is_in_a_message(tmp_path, monkeypatch):
    for case in config_cases.PRESENT:
        for finding in findings(tmp_path, monkeypatch, case)[0]:
            assert not re.search(r'o:p|pa\$|sesame|\bpw\b',
                                 f'{finding.message} {finding.remedy}')

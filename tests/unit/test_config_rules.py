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

"""Every finding of the configuration, present and absent."""

import re
import subprocess
import sys
from urllib import parse

import pytest

from octavia_v2_checks import catalogue
from octavia_v2_checks import settings
from octavia_v2_checks.checks import config
from octavia_v2_checks.upstream import versions
from tests.unit import config_cases
from tests.unit import fragments


def name_of(case):
    last = case.fragment.rstrip('\n').rpartition('\n')[2]
    return f'{case.id}-{last[:60]}'


def findings(tmp_path, monkeypatch, case):
    """Return what is found, and the line that is marked."""
    content = fragments.text(case.fragment)
    marked = [n for n, line in enumerate(content.split('\n'), 1)
              if line.endswith('§')]
    path = tmp_path / 'octavia.conf'
    path.write_text(content.replace('§', ''), encoding='utf-8')
    for variable, value in case.environ.items():
        monkeypatch.setenv(variable, value)
    loaded = settings.load([('file', str(path))])
    # Whatever Octavia is installed.
    found = list(config.mistakes(loaded,
                              target_release=case.release or '19.0'))
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
    # A rule that fails itself, and a waiver that nothing matched, are a
    # matter of the engine's tests; that there is no file, of the ways in.
    ids = {id_.removeprefix('config.') for id_ in catalogue.area('config')
           } - {'undetermined', 'waiver-unmatched', 'no-files'}
    assert {c.id for c in config_cases.PRESENT} == ids
    assert {c.id for c in config_cases.ABSENT} == ids


def test_no_secret_is_in_a_message(tmp_path, monkeypatch):
    for case in config_cases.PRESENT:
        for finding in findings(tmp_path, monkeypatch, case)[0]:
            assert not re.search(r'o:p|pa\$|sesame|\bpw\b',
                                 f'{finding.message} {finding.remedy}')


def check(tmp_path, fragment):
    path = tmp_path / 'octavia.conf'
    path.write_text(fragments.text(fragment))
    return list(config.mistakes(settings.load([('file', str(path))]),
                             target_release='19.0'))


def test_mysql_alone_needs_its_driver(tmp_path, monkeypatch):
    fragment = 'persistence_connection = mysql://o:pw@db/p\n'
    monkeypatch.setitem(sys.modules, 'MySQLdb', None)
    [found] = check(tmp_path, fragment)
    assert found.id == 'config.persistence-url'
    assert 'MySQLdb' in found.message
    monkeypatch.delitem(sys.modules, 'MySQLdb')
    (tmp_path / 'MySQLdb.py').write_text('')
    monkeypatch.syspath_prepend(str(tmp_path))
    assert check(tmp_path, fragment) == []


def test_the_remedy_for_special_characters_works(tmp_path):
    """The command in it prints what is to be written into the URL."""
    password = 'p@ss/w#r?d%'
    url = 'persistence_connection = mysql+pymysql://o:{}@db/p\n'
    [found] = check(tmp_path, url.format(password))
    assert password not in found.as_text()
    command = re.search('python3 -c .*', found.remedy)[0]
    encoded = subprocess.run(
        command, shell=True, input=password, text=True, check=True,
        capture_output=True, timeout=60, start_new_session=True)
    word = encoded.stdout.strip().rpartition(' ')[2]
    assert parse.unquote(word) == password
    assert check(tmp_path, url.format(word)) == []


@pytest.mark.parametrize('release', ['', 'x', '16.x', 'master', '-1'])
def test_what_is_no_release_is_a_usage_error(tmp_path, release):
    path = tmp_path / 'octavia.conf'
    path.write_text('')
    loaded = settings.load([('file', str(path))])
    with pytest.raises(settings.UsageError, match='not a release'):
        list(config.mistakes(loaded, target_release=release))


@pytest.mark.parametrize('word', ['None', 'null', 'off', '""'])
def test_the_remedy_for_a_sentinel_that_is_none(tmp_path, word):
    [found] = check(tmp_path, f'jobboard_redis_sentinel = {word}\n')
    assert found.remedy.startswith('Delete the line')
    assert check(tmp_path, '') == []


@pytest.mark.parametrize('release', ['1.2.3', '1.2.4'])
def test_what_identity_alone_verifies(tmp_path, monkeypatch, release):
    monkeypatch.setattr(versions, 'installed', lambda name: release)
    found = check(tmp_path, 'persistence_connection = mysql+pymysql://o:pw@'
                            'db/p?ssl_verify_identity=true\n')
    assert [f.id for f in found] == (
        ['config.tls-unverified'] if release == '1.2.3' else [])

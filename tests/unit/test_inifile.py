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

"""The reader of files, next to oslo.config's own."""

import os
import tempfile

from hypothesis import example
from hypothesis import given
from hypothesis import strategies as st
from oslo_config import cfg
from oslo_config import iniparser
import pytest

from octavia_v2_checks.settings import inifile

#: What files are made of, and what trips parsers up.
PIECES = st.sampled_from([
    '[task_flow]', '[DEFAULT]', '[Task_Flow]', '[', ']', '[]', '[ ]', '[a]b',
    'engine', 'jobboard_enabled', '=', ':', ' = ', ' ', '  ', '\t', '\n',
    '\n\n', '\r\n', '\r', '#', ';', ' # ', '"', "'", 'serial', '10.0.0.1',
    ',', '$', '$$', '\\', '\ufeff', 'ü', '\x0b', '\x0c', '\x1c', '\x85',
    '\u2028', '\x00', 'mysql+pymysql://o:pw@db/p', '%', '{}', 'x' * 100])
TEXTS = st.lists(PIECES | st.text(max_size=3), max_size=30).map(''.join)
FILES = TEXTS.map(lambda text: text.encode('utf-8', 'surrogatepass'))


def accepted(data: bytes):
    """Return what oslo.config makes of a file, None if it refuses it."""
    sections: dict = {}
    handle, path = tempfile.mkstemp()
    try:
        os.write(handle, data)
        os.close(handle)
        cfg.ConfigParser(path, sections).parse()
    except (iniparser.ParseError, UnicodeDecodeError):
        return None
    finally:
        os.unlink(path)
    return sections


@given(FILES)
@example(b'a = 1\n[x]\n')
@example(b'[x]\na = "\n')
@example(b'[x]\na = \'b\n  c\'\n')
@example(b'[x]\na\n = b')
@example(b'[x]\n\x0ca = b')
@example(b'\xef\xbb\xbf[x]\n')
@example(b'\xef\xbb\xbf')
@example('[x]\na = \xe4'.encode('latin-1'))
def test_reads_what_oslo_config_reads(data):
    parsed = inifile.parse('x', data)
    expected = None if b'\0' in data else accepted(data)
    assert (expected is None) == bool(parsed.problems)
    if expected is not None:
        found: dict = {name: {} for name, _ in parsed.sections}
        for assignment in parsed.assignments:
            found[assignment.section].setdefault(assignment.key, []).append(
                assignment.value)
        assert found == expected


@given(st.binary(max_size=200))
def test_refuses_what_oslo_config_refuses(data):
    assert (b'\0' in data or accepted(data) is None) == bool(
        inifile.parse('x', data).problems)


@given(FILES)
def test_lines_are_where_they_are(data):
    parsed = inifile.parse('x', data)
    for assignment in parsed.assignments:
        lines = parsed.lines[assignment.line - 1:assignment.last_line]
        assert assignment.key in lines[0]
        assert all(line[0] in ' \t' for line in lines[1:])
    for name, line in parsed.sections:
        assert f'[{name}]' in parsed.lines[line - 1]
    for problem in parsed.problems:
        assert 1 <= problem.line <= max(1, len(parsed.lines)) or b'\0' in data


@pytest.mark.parametrize('end', ['\n', '\r\n', '\r'])
def test_line_numbers_with_every_line_end(end):
    text = end.join(['# x', '', '[task_flow]', 'engine = serial',
                     '\tand more', '', 'max_workers: 3', ''])
    parsed = inifile.parse('x', text.encode())
    assert parsed.problems == ()
    assert [(a.key, a.value, a.line, a.last_line)
            for a in parsed.assignments] == [
        ('engine', 'serial\nand more', 4, 5), ('max_workers', '3', 7, 7)]
    assert parsed.sections == (('task_flow', 3),)


def test_goes_on_after_a_mistake():
    parsed = inifile.parse('x', b'[a]\nnonsense\nk = v\n[b\n\n  x\n= y\n')
    assert [(p.kind, p.line) for p in parsed.problems] == [
        ('parse', 2), ('parse', 4), ('parse', 6), ('parse', 7)]
    assert [a.key for a in parsed.assignments] == ['k']


def test_a_byte_that_is_not_utf8_is_found_in_its_line():
    parsed = inifile.parse('x', b'[a]\r\n# caf\xc3\xa9\r\nk = caf\xe9\r\n')
    assert [(p.kind, p.line, p.text) for p in parsed.problems] == [
        ('encoding', 3, 'byte 0xe9 is not UTF-8')]


def test_a_byte_order_mark_and_more():
    parsed = inifile.parse('x', b'\xef\xbb\xbf[a]\nk = \xe9\n')
    assert [(p.kind, p.line) for p in parsed.problems] == [
        ('encoding', 1), ('encoding', 2)]
    assert parsed.assignments[0].section == 'a'


@pytest.mark.parametrize('data, line, what', [
    (b'\0', 1, 'not a text file'), (b'[a]\nk = a\0b\n', 2, 'not a text file'),
    (b'[a]\r\nk =\r\n\0', 3, 'not a text file'),
    (b'[a]\n' + b'#' * inifile.LARGEST, 1, '16 MiB')])
def test_what_is_no_configuration(data, line, what):
    parsed = inifile.parse('x', data)
    assert [(p.kind, p.line) for p in parsed.problems] == [('parse', line)]
    assert what in parsed.problems[0].text
    assert not parsed.lines and not parsed.assignments


def test_the_largest_configuration():
    data = b'[a]\n#'.ljust(inifile.LARGEST, b'x')
    assert inifile.parse('x', data).problems == ()


def test_a_device_without_an_end():
    assert '16 MiB' in inifile.read('/dev/zero').problems[0].text


def test_find_takes_the_last():
    parsed = inifile.parse('x', b'[A]\nk = 1\n[a]\nk = 2\n[b]\nk = 3\n')
    assert parsed.find('a', 'k').value == '2'
    assert parsed.find('a', 'x') is None
    assert parsed.find('DEFAULT', 'k') is None


def test_an_unreadable_file_raises(tmp_path):
    with pytest.raises(FileNotFoundError):
        inifile.read(str(tmp_path / 'none'))

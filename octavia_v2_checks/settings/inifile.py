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

"""Reads a configuration file as oslo.config does, and remembers the lines.

oslo.config forgets where a value stood and stops at the first bad line. This
reader follows the same grammar (:mod:`oslo_config.iniparser`), continues after
a mistake, and notes each one.
"""

import codecs
from typing import NamedTuple

#: Bytes of the largest configuration that is read. Real ones have less than a
#: hundredth of it; a device is endless.
LARGEST = 16 << 20


class Assignment(NamedTuple):
    """One ``key = value``, with its continuation lines.

    :ivar section: as written; None before the first section
    :ivar key: as written
    :ivar value: as oslo.config passes it on: lines joined with newlines,
        without a matching pair of quotation marks around the first line
    :ivar written: the value of the first line including quotation marks
    :ivar line: line of the key, counted from 1
    :ivar last_line: line where the value ends
    """

    section: str | None
    key: str
    value: str
    written: str
    line: int
    last_line: int


class Problem(NamedTuple):
    """A line that oslo.config cannot read.

    :ivar kind: ``parse`` or ``encoding``
    :ivar text: what is wrong, without the line itself, which may be secret
    """

    kind: str
    line: int
    text: str


class ConfigFile(NamedTuple):
    """The contents of one file.

    :ivar path: as the operator named it
    :ivar lines: the text, line by line, without line ends
    :ivar sections: section names as written, each with its line
    """

    path: str
    lines: tuple[str, ...]
    sections: tuple[tuple[str, int], ...]
    assignments: tuple[Assignment, ...]
    problems: tuple[Problem, ...]

    def find(self, section: str, key: str) -> Assignment | None:
        """Return the assignment that wins in this file, or None."""
        for assignment in reversed(self.assignments):
            if (assignment.key == key and assignment.section is not None
                    and normalise(assignment.section) == section):
                return assignment
        return None


def normalise(section: str) -> str:
    """Return a section name as oslo.config compares it."""
    return section if section == 'DEFAULT' else section.lower()


def _decode(data: bytes) -> tuple[str, list[Problem]]:
    problems = []
    if data.startswith(codecs.BOM_UTF8):
        problems.append(Problem(
            'encoding', 1, 'starts with a byte order mark, which oslo.config '
            'treats as part of the first line'))
        data = data[len(codecs.BOM_UTF8):]
    try:
        return data.decode('utf-8'), problems
    except UnicodeDecodeError as exc:
        before = data[:exc.start].decode('utf-8')
        line = len(_split(before + '.'))
        problems.append(Problem(
            'encoding', line, f'byte 0x{data[exc.start]:02x} is not UTF-8'))
        return data.decode('latin-1'), problems


def _split(text: str) -> list[str]:
    """Split like text files in Python, which support three line endings."""
    lines = text.replace('\r\n', '\n').replace('\r', '\n').split('\n')
    if lines[-1] == '':
        lines.pop()
    return lines


def read(path: str) -> ConfigFile:
    """Read one file.

    :raises OSError: if it cannot be opened
    """
    with open(path, 'rb') as stream:
        return parse(path, stream.read(LARGEST + 1))


def _unfit(data):
    """Return the problem of a file that is not a configuration at all."""
    if len(data) > LARGEST:
        return Problem('parse', 1, f'is larger than {LARGEST >> 20} MiB, so '
                       'not a configuration file')
    at = data.find(b'\0')
    if at < 0:
        return None
    line = 1 + max(data.count(b'\n', 0, at), data.count(b'\r', 0, at))
    return Problem('parse', line, 'is not a text file: it contains a byte '
                                  '0x00')


def parse(path: str, data: bytes) -> ConfigFile:
    """Parse the content of a file; never fails, see ``problems``.

    A file that is too large, or not text, has a problem and no lines.
    """
    unfit = _unfit(data)
    if unfit:
        return ConfigFile(path, (), (), (), (unfit,))
    return _parsed(path, data)


def _parsed(path, data):
    text, problems = _decode(data)
    lines = _split(text)
    sections: list[tuple[str, int]] = []
    assignments: list[Assignment] = []
    section: str | None = None
    pending: tuple[str, list[str], str, int] | None = None

    def flush(last_line):
        nonlocal pending
        if pending:
            key, values, written, line = pending
            if section is None:
                problems.append(Problem(
                    'parse', line, 'an option before the first [section]'))
            assignments.append(Assignment(
                section, key, '\n'.join(values), written, line, last_line))
        pending = None

    for number, raw in enumerate(lines, 1):
        line = raw.rstrip()
        if not line:
            flush(number - 1)
        elif line[0] in ' \t':
            if pending:
                pending[1].append(line.lstrip())
            else:
                problems.append(Problem(
                    'parse', number,
                    'an indented line without an option before it'))
        else:
            flush(number - 1)
            if line[0] == '[':
                name = line[1:-1]
                if line[-1] != ']' or not name:
                    problems.append(Problem(
                        'parse', number, 'a section without its closing ]'
                        if name else 'a section without a name'))
                    continue
                section = name
                sections.append((section, number))
            elif line[0] not in '#;':
                key, written = _key_value(line)
                if key:
                    pending = (key, [_unquoted(written)], written, number)
                else:
                    problems.append(Problem(
                        'parse', number, 'a line without "="'
                        if key is None else 'a value without a name'))
    flush(len(lines))
    return ConfigFile(path, tuple(lines), tuple(sections), tuple(assignments),
                      tuple(sorted(problems, key=lambda p: p.line)))


def _key_value(line: str) -> tuple[str | None, str]:
    places = [p for p in (line.find(':'), line.find('=')) if p >= 0]
    if not places:
        return None, ''
    at = min(places)
    return line[:at].strip(), line[at + 1:].strip()


def _unquoted(value: str) -> str:
    if value and value[0] == value[-1] and value[0] in '"\'':
        return value[1:-1]
    return value

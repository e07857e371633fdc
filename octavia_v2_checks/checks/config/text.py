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

"""Text: quotation marks, comments, ``$`` and other text that is not the value.
"""

from collections.abc import Iterator
import re

from octavia_v2_checks import opts
from octavia_v2_checks.checks.config.view import named
from octavia_v2_checks.checks.config.view import plain
from octavia_v2_checks.checks.config.view import shown
from octavia_v2_checks.checks.config.view import View
from octavia_v2_checks.findings import Finding
from octavia_v2_checks.findings import finding
from octavia_v2_checks.settings import reader
from octavia_v2_checks.settings.reader import Value

_OPTION_LINE = r'(\w+)\s*[=:]'
_COMMENT = r'(?:^|\s)(?:#|;(?=\s|$))'
_AFTER_HIDDEN = r'(?:^|\s)[#;](?=\s)'
_NAMES = {o.dest for o in opts.task_flow_opts()}


def swallowed_lines(view: View) -> Iterator[Finding]:
    """Yield indented options, which become part of the previous value."""
    for value in view.given(opts.TASK_FLOW):
        for number, line in enumerate((value.raw or '').split('\n')):
            match = re.match(_OPTION_LINE, line)
            if not (number and match and match[1] in _NAMES
                    and value.source == 'file'):
                continue
            name = match[1]
            if not (view.matters(value) or view.used(name)):
                continue
            view.reported |= {value.option, f'{opts.TASK_FLOW}.{name}'}
            yield finding(
                'config.invalid-value',
                f'{name} is indented, so oslo.config treats it as a '
                f'continuation of {value.name} in line {value.line}.',
                f'Delete the spaces in front of {name}.',
                option=value.option, file=value.origin,
                line=(value.line or 0) + number)


def not_utf8(view: View) -> Iterator[Finding]:
    """Yield variables with bytes that no client could send."""
    for value in view.given(*{group for group, _ in view.settings.values}):
        if reader.is_bytes(value.raw or '') and view.matters(value):
            yield finding(
                'config.encoding',
                f'{named(value)} has bytes that are not UTF-8.',
                f'Set {value.origin} to a text in UTF-8.', **value.where)


def half_quoted(view: View) -> Iterator[Finding]:
    """Yield values that begin or end with a single quote mark."""
    for value in view.given(opts.TASK_FLOW, opts.OWN_GROUP):
        assignment = view.assignment(value)
        if assignment is None or not view.matters(value):
            continue
        written = assignment.written
        if isinstance(value.value, list):
            half = any(map(_is_half_quoted, value.value))
        elif value.secret and '://' not in written:
            # A generated password may begin or end with a quotation mark; it
            # then has other marks too.
            half = (_is_half_quoted(written) and bool(
                re.fullmatch(r'\w*', written.strip('\'"'))))
        else:
            half = _is_half_quoted(written)
        if half:
            yield finding(
                'config.half-quoted',
                f'{shown(value)} has a quotation mark at one end only, which '
                'becomes part of the value.',
                'Delete the quotation mark, or write one at both ends of the '
                'whole value.', **value.where)


def _is_half_quoted(text):
    for quote in '\'"':
        if (text.startswith(quote) or text.endswith(quote)) and (
                text.count(quote) % 2):
            return True
    return False


def inline_comments(view: View) -> Iterator[Finding]:
    """Yield values with a comment on the same or an indented line."""
    for value in view.given(opts.TASK_FLOW, opts.OWN_GROUP):
        if not view.matters(value) or value.source != 'file':
            continue
        pattern = _AFTER_HIDDEN if value.secret else _COMMENT
        for number, line in enumerate((value.raw or '').split('\n')):
            match = re.search(pattern, line)
            if match:
                text = line[:match.start()] if not value.secret else ''
                text = f' = {plain(text)}' if text and not number else ''
                yield finding(
                    'config.inline-comment',
                    f'{named(value)}{text} is followed by '
                    f'"{line[match.start():].strip()[0]}", which does not '
                    'begin a comment here: it becomes part of the value.',
                    **value.where | {
                        'line': (value.line or 0) + number})
                break


def unresolved(view: View) -> Iterator[Finding]:
    """Yield values with a $ that oslo.config cannot resolve."""
    for value in view.settings.values.values():
        if (value.error == 'substitution'
                and value.option not in view.reported):
            remedy = ('Write $$ for a literal $. In a database URL, write '
                      '%24.' if value.name.endswith('connection') else
                      'Write $$ for a literal $.')
            if value.group == opts.TASK_FLOW and view.foreign(value.name):
                remedy = f'Delete the line: {view.driver} does not read it.'
            yield finding(
                'config.substitution',
                f'{named(value)} has a $ that is not followed by the name of '
                'an option, and every Octavia service stops when it reads it, '
                'at the latest when it logs its options at start-up.',
                remedy, **value.where)


def overridden(view: View) -> Iterator[Finding]:
    """Yield options that an environment variable overrides."""
    for value in view.given(opts.TASK_FLOW):
        if value.source != 'environment':
            continue
        found = _last(view, value)
        if found and found[1].value != value.raw:
            file, assignment = found
            yield finding(
                'config.env-override',
                f'The environment variable {value.origin} overrides '
                f'[{value.group}] {value.name} of {file.path}.',
                f'Run "unset {value.origin}", or set it for every Octavia '
                f'service too.',
                option=value.option, file=file.path, line=assignment.line)


def _last(view: View, value: Value):
    for file in reversed(view.settings.files):
        assignment = file.find(value.group, value.name)
        if assignment:
            return file, assignment
    return None


RULES = [not_utf8, swallowed_lines, half_quoted, inline_comments, overridden]
LATE_RULES = [unresolved]

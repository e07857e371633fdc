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

"""Names: options and sections that Octavia does not read."""

from collections.abc import Iterator
import difflib
import functools
import re

from octavia_v2_checks import opts
from octavia_v2_checks.checks.config.view import ETCD
from octavia_v2_checks.checks.config.view import plain
from octavia_v2_checks.checks.config.view import View
from octavia_v2_checks.findings import Finding
from octavia_v2_checks.findings import finding
from octavia_v2_checks.settings import inifile
from octavia_v2_checks.settings import redact

_KNOWN = {
    opts.TASK_FLOW: [o.dest for o in opts.task_flow_opts()],
    opts.OWN_GROUP: [o.dest for o in opts.own_opts()],
}

#: Options of [task_flow] whose names exist in no other section.
_UNMISTAKABLE = frozenset(_KNOWN[opts.TASK_FLOW]) - {'engine', 'max_workers'}


#: For how many unknown options the intended name is searched.
_HINTS = 1000

#: Longer words are not a misspelt name.
_LONGEST = 60


@functools.cache
def nearest(word: str, known: tuple[str, ...]) -> str | None:
    """Return the known word that was probably intended, or None."""
    if len(word) > _LONGEST:
        return None
    word = word.strip().lower().replace('-', '_').replace(' ', '_')
    begun = [k for k in known if word and k.startswith(word)]
    if len(begun) == 1:
        return begun[0]
    found = difflib.get_close_matches(word, known, 1, 0.6)
    return found[0] if found else None


@functools.cache
def _meant(section: str) -> str | None:
    """Return the group that a section is, or probably is intended to be."""
    name = inifile.normalise(section)
    if name in _KNOWN:
        return name
    squashed = re.sub('[^a-z0-9]', '', name.lower())
    for group in _KNOWN:
        right = group.replace('_', '')
        # The cheap test first: there may be a thousand sections.
        if abs(len(squashed) - len(right)) < 4 and difflib.SequenceMatcher(
                None, squashed, right).ratio() > 0.85:
            return group
    return None


def strangers(view: View) -> Iterator[Finding]:
    """Yield options that are misspelt or in the wrong section."""
    hints = _HINTS
    for file in view.settings.files:
        for assignment in file.assignments:
            section, key = assignment.section or '', assignment.key
            group = _meant(section)
            if key in _UNMISTAKABLE or key.startswith('jobboard_'):
                group = opts.TASK_FLOW
            if group is None or (key in _KNOWN[group] and
                                 inifile.normalise(section) == group):
                continue
            where = {'file': file.path, 'line': assignment.line}
            section = redact.section_name(section)
            if group == opts.TASK_FLOW and view.foreign(key):
                yield finding(
                    'config.ignored-option',
                    f'[{section}] {key} has no effect: it is read only from '
                    f'[{group}], and not by '
                    f'{view.driver}.', 'Delete the line.',
                    option=f'{group}.{key}', **where)
            elif key in _KNOWN[group]:
                yield finding(
                    'config.misplaced-option' if group == opts.TASK_FLOW
                    else 'config.unknown-option',
                    f'[{section}] {key} has no effect: it is read only from '
                    f'[{group}].',
                    f'Move the line to section [{group}].',
                    option=f'{group}.{key}', **where)
            else:
                hints -= 1
                near = (nearest(key, tuple(_KNOWN[group])) if hints >= 0
                        else None)
                yield _unknown(view, group, section, key, near, where)


def _unknown(view, group, section, key, near, where):
    hint = remedy = None
    if near:
        hint = f' Did you mean {near}?'
        remedy = f'Write {near} in [{group}], or delete the line.'
        # The missing option has this cause.
        if view.settings[group, near].source == 'default':
            view.reported.add(f'{group}.{near}')
    shown = redact.option_name(key)
    return finding(
        'config.unknown-option',
        f'[{section}] {shown}: there is no such option.{hint or ""}',
        remedy, option=f'{group}.{shown}', **where)


def strange_variables(view: View) -> Iterator[Finding]:
    """Yield environment variables that match no option."""
    for variable in view.settings.strange_variables:
        group, _, name = variable.removeprefix('OS_').lower().partition('__')
        near = nearest(name, tuple(_KNOWN[group]))
        right = f'OS_{group}__{near or ""}'.upper()
        yield finding(
            'config.unknown-option',
            f'The environment variable {plain(variable)} matches no option of '
            f'[{group}].' + (f' Did you mean {right}?' if near
                                       else ''),
            f'Rename it to {right}, or unset it.' if near else 'Unset it.',
            option=f'{group}.{plain(name)}')


def swallowed_sections(view: View) -> Iterator[Finding]:
    """Yield a [task_flow] that is indented, and so part of a value."""
    for file in view.settings.files:
        for assignment in file.assignments:
            if assignment.line == assignment.last_line:
                continue
            for number in range(assignment.line + 1,
                                assignment.last_line + 1):
                text = file.lines[number - 1].strip()
                if text[:1] == '[' and text[-1] == ']' and (
                        _meant(text[1:-1]) == opts.TASK_FLOW):
                    yield finding(
                        'config.misplaced-option',
                        f'{text} is indented, so oslo.config treats it as a '
                        f'continuation of {plain(assignment.key)} in line '
                        f'{assignment.line}.',
                        'Delete the spaces in front of the section and its '
                        'options.', file=file.path, line=number)


def duplicates(view: View) -> Iterator[Finding]:
    """Yield options that one file sets more than once."""
    single = {(group, name) for group, name in view.settings.values
              if (group, name) not in _multi()}
    for file in view.settings.files:
        first: dict[tuple[str, str], int] = {}
        for assignment in file.assignments:
            key = inifile.normalise(assignment.section or ''), assignment.key
            if key not in single:
                continue
            if key in first:
                group, name = key
                yield finding(
                    'config.duplicate-option',
                    f'[{group}] {name} is set in line {first[key]} already; '
                    f'the last line counts.',
                    option=f'{group}.{name}', file=file.path,
                    line=assignment.line)
            else:
                first[key] = assignment.line


def _multi():
    return {(opts.OWN_GROUP, o.dest) for o in opts.own_opts() if o.multi}


def too_new(view: View) -> Iterator[Finding]:
    """Yield options that the release does not have yet."""
    if view.release is None:
        return
    release = '.'.join(map(str, view.release))
    for value in view.given(opts.TASK_FLOW):
        since = opts.SINCE[value.name]
        what = value.name
        if what == 'jobboard_backend_driver' and view.driver == ETCD:
            since, what = '16.0', f'{what} = {ETCD}'
        if not view.used(value.name) or view.knows(value.name, since):
            continue
        yield finding(
            'config.release',
            f'[{opts.TASK_FLOW}] {what} needs Octavia {since}; the release is '
            f'{release}.',
            f'Choose another driver, or upgrade to Octavia {since}.'
            if what != value.name else
            f'Delete the line until the upgrade to Octavia {since}, or '
            f'upgrade.', **value.where)


RULES = [strangers, strange_variables, swallowed_sections, duplicates, too_new]

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

"""What all texts for people share: signs, width and line breaks."""

from collections.abc import Iterable
from collections.abc import Iterator
import itertools
import re
import shutil
import sys
import textwrap
from typing import NamedTuple

from octavia_v2_checks import catalogue
from octavia_v2_checks.findings import Finding
from octavia_v2_checks.findings import Severity
from octavia_v2_checks.reports import text
from octavia_v2_checks.upstream import versions

#: Where each finding is documented.
PAGES = ('https://docs.openstack.org/octavia-v2-checks/latest/findings.html'
         '#finding-')

NARROW, WIDE = 60, 160

#: How a remedy that is nothing but a command begins, and where that is typed.
_TYPED = (
    (r'(ALTER|CREATE|DROP|FLUSH|GRANT|INSERT|RESET|REVOKE|SET|'
     r'TRUNCATE|UPDATE) ',
     'On the database, as an administrator:'),
    (r'(octavia-db-manage|octavia-v2-checks) ',
     'On a controller:'),
    (r'(\S*python\S* -m )?pip install ',
     'In the environment of Octavia:'),
)

#: A sentence that tells where the command after it is typed.
_PLACE = r'(\b(?:In|On|run in|run on) [^:;]{3,80}:) (?=\S)'

#: What prose names or separates without asking anybody to type it.
_PROSE = (
    r'\b(?:and|as|from|in|of|or|to) (?:\S*/\S|<)|; (?:--[\w-]+ )?(?=[a-z0-9])|'
    r'\b(?:raise|with) --[\w-]+')

#: What shows that a sentence has a command in it, wherever that may end.
_COMMAND = r'[;`$|<>]| --?\w|\S/\S| /\S'

_SENTENCE = r'(?<=[^.][.]) (?=[A-Z"])'


class Signs(NamedTuple):
    """The signs at the beginning of a line."""

    good: str
    warning: str
    failure: str
    none: str

    def of(self, severity: Severity) -> str:
        """Return the sign of a severity that counts."""
        return (self.good, self.warning, self.failure)[severity]


def signs() -> Signs:
    """Return the signs that stdout can show."""
    shown = Signs('✓', '!', '✗', '–')  # noqa: RUF001 - it is a dash
    try:
        ''.join(shown).encode(sys.stdout.encoding or 'ascii')
    except (UnicodeError, LookupError):
        return Signs('+', '!', 'x', '-')
    return shown


def width() -> int:
    """Return the columns that are used."""
    return min(max(shutil.get_terminal_size((80, 24)).columns, NARROW), WIDE)


def fill(said: str, first: str = '') -> list[str]:
    """Return prose as lines of the terminal's width, no word cut in two.

    :param first: what stands before the first line, and as spaces before
        the others
    """
    return textwrap.wrap(
        said, width(), initial_indent=first,
        subsequent_indent=' ' * len(first), break_long_words=False,
        break_on_hyphens=False)


def header(host: str, facts: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield what ran on which host, and what was checked."""
    version = versions.installed('octavia-v2-checks')
    yield f'octavia-v2-checks {version} on {host}'
    for name, value in facts:
        yield from fill(value, f'{name + ":":<9}')


def one_line(said: str) -> str:
    """Return a text without its line breaks."""
    return ' '.join(said.split())


def heading(found: Finding) -> str:
    """Return the line of a finding: its sign, its id and its place."""
    sign = signs().of(found.counts) if found.counts else signs().none
    waived = (f' ({one_line(found.waived.as_text())})' if found.waived
              else '')
    return f'{sign} {found.id}{waived}{place(found)}'


def place(found: Finding) -> str:
    """Return where a finding is, as the end of a line."""
    where = text.place(found)
    return f'  [{one_line(where)}]' if where else ''


def remedy(said: str, indent: str) -> Iterator[str]:
    """Yield the lines of a remedy: prose wrapped, what is typed left whole.

    A command that is broken into lines cannot be copied.
    """
    for pattern, where in _TYPED:
        if re.match(pattern, said):
            yield indent + where
            yield f'{indent}  {said}'
            return
    parts = re.split(_PLACE, said, maxsplit=1)
    if len(parts) == 3:
        before, where, command = parts
        yield from fill(before + where, indent)
        yield from _typed(command, indent)
        return
    for typed, sentences in itertools.groupby(
            re.split(_SENTENCE, said), lambda s: bool(
                re.search(_COMMAND, re.sub(_PROSE, '', s)))):
        if typed:
            yield from (indent + sentence for sentence in sentences)
        else:
            # An option and its value stay on one line.
            glued = ' '.join(sentences).replace(' = ', '\0=\0')
            yield from (line.replace('\0', ' ')
                        for line in fill(glued, indent))


def _typed(said: str, indent: str) -> Iterator[str]:
    """Yield statements as they are, and what follows them."""
    for part in re.split(r'(?<=;) (?=The |Then: )', said):
        if part.startswith('Then: '):
            yield f'{indent}Then:'
            yield f'{indent}  {part.removeprefix("Then: ")}'
        elif part.startswith('The '):
            yield from fill(part, indent)
        else:
            yield f'{indent}  {part}'


def counted(findings: Iterable[Finding]) -> list[str]:
    """Return how many findings there are: failures, warnings, waived ones."""
    findings = list(findings)
    return [said for said in (
        number(sum(f.many for f in findings if f.counts is Severity.FAILURE),
               'failure'),
        number(sum(f.many for f in findings if f.counts is Severity.WARNING),
               'warning'),
        number(sum(f.many for f in findings if f.waived), 'finding',
               ' waived')) if said]


def number(count: int, what: str, more: str = '') -> str:
    """Return a count with its noun; an empty text for 0."""
    return f'{count} {what}{"" if count == 1 else "s"}{more}' if count else ''


def read_on(findings: Iterable[Finding]) -> Iterator[str]:
    """Yield where to read more about the first finding that is documented.

    Those of third-party checks are not.
    """
    known = {entry.id for entry in catalogue.entries()}
    for found in findings:
        if found.id in known:
            yield f'Read on: octavia-v2-checks explain {found.id}'
            yield f'         {page(found.id)}'
            return


def page(id_: str) -> str:
    """Return the address of the documentation of a finding."""
    return PAGES + id_.replace('.', '-')

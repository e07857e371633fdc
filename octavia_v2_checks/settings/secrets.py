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
"""The secrets of one configuration, and its lines without them."""

import bisect
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import difflib
import functools
import re

from oslo_config import cfg

from octavia_v2_checks import catalogue
from octavia_v2_checks.settings import doubt
from octavia_v2_checks.settings import inifile
from octavia_v2_checks.settings import redact
from octavia_v2_checks.settings.reader import Value

Schema = Mapping[str, Iterable[cfg.Opt]]

#: Pattern of a word of this program.
_WORD = r'[\w .:/-]{1,30}'

#: A part of a value that indicates a secret.
_TELLING = '(?i)pas+_?w|pwd|secret|token'

#: Characters of a line that are shown.
_WIDEST = 1000


def of(values: Iterable[Value], files: Sequence[inifile.ConfigFile],
       schema: Schema, sources: Iterable[str] = ()) -> set[str]:
    """Return every secret text in plain form, URL passwords decoded.

    A value that a later file overrides, or that has a wrong name, is as secret
    as one in effect.

    :param sources: names in config_source that do not answer; one without a
        section may be anything
    """
    options = _by_name(schema)
    found: set[str] = set()
    for value in values:
        for text in {t for t in (value.raw, value.text, value.value)
                     if isinstance(t, str)}:
            if text:
                found |= redact.secrets_in(text, value.secret)
                found |= _doubtful(options, value.name, text)
        if isinstance(value.value, dict):
            found |= {str(v) for k, v in value.value.items()
                      if 'password' in k and v}
    for file in files:
        for assignment in file.assignments:
            found |= redact.secrets_in(
                assignment.value, redact.is_secret_name(assignment.key))
            found |= _doubtful(options, assignment.key, assignment.value)
    sections = {inifile.normalise(name) for file in files
                for name, _ in file.sections}
    found |= {s for s in sources if inifile.normalise(s) not in sections}
    return found - {''}


def _by_name(schema):
    found: dict[str, list[cfg.Opt]] = {}
    for options in schema.values():
        for opt in options:
            found.setdefault(opt.dest, []).append(opt)
    return found


def _doubtful(options, name, text):
    return {piece for opt in options.get(name, ())
            for piece in doubt.pieces(opt, text)}


def redactor(secrets: Iterable[str], schema: Schema) -> redact.Redactor:
    """Return what removes secrets from text.

    A secret that is one of this program's own words, such as ``octavia`` or
    ``password``, is not masked: the word appears whatever the configuration,
    so it reveals nothing, and without it messages would be unreadable.
    """
    spoken = ''
    masked = []
    for secret in secrets:
        if re.fullmatch(_WORD, secret):
            spoken = spoken or _spoken(schema)
            if secret in spoken:
                continue
        masked.append(secret)
    return redact.Redactor(masked)


def _spoken(schema):
    words = [text for e in catalogue.entries()
             for text in (e.id, e.title, e.why, e.remedy)]
    for group, options in schema.items():
        for opt in options:
            words += [f'{group}.{opt.dest}', str(opt.default)]
    return '\n'.join([*words, *catalogue.CHECKS.values()])


class Lines:
    """The lines of some files, as they may be shown.

    :param clean: removes the secrets
    """

    def __init__(self, files: Iterable[inifile.ConfigFile], schema: Schema,
                 clean: redact.Redactor):
        self._files = {}
        for file in files:
            self._files[file.path] = self._files[clean(file.path)] = file
        self._options = _by_name(schema)
        self._clean = clean

    def excerpt(self, path: str | None, line: int | None) -> str | None:
        """Return a line with its secrets masked.

        :param path: of the file, with or without its secrets
        :returns: None for no line, and for a file that was not read
        """
        file = self._files.get(path or '')
        if file is None or not line or line > len(file.lines):
            return None
        text = file.lines[line - 1]
        owner = _owner(file.assignments, line)
        if owner is None:
            return self._stray(text)
        hidden = (f'{redact.option_name(owner.key)} = {redact.MASK}'
                  if owner.line == line else redact.MASK)
        opt = self._option(owner.key)
        if (opt is None or opt.secret or len(text) > _WIDEST
                or re.search(_TELLING, text.replace(owner.key, '', 1))
                or owner.value.strip() in doubt.pieces(opt, owner.value)):
            return hidden[:_WIDEST]
        return self._clean(redact.without_credentials(' '.join(text.split())))

    def _stray(self, text):
        """Return a line that belongs to no option."""
        if text.startswith('['):
            name = redact.section_name(text[1:].rstrip(']\n '))
            return f'[{name}' + (']' if text.rstrip().endswith(']') else '')
        # Not understood: it may be the rest of a password.
        word = text.split()[0] if text.split() else ''
        return (f'{word} {redact.MASK}' if word in self._options
                else redact.MASK)

    def _option(self, key):
        """Return the option that a key is, or probably is intended to be.

        A misspelt name may be that of a password.
        """
        if key not in self._options:
            near = _nearest(key, tuple(self._options))
            if near is None or redact.is_secret_name(key):
                return None
            key = near
        secret = [o for o in self._options[key] if o.secret]
        return (secret or self._options[key])[0]


def _owner(assignments: Sequence[inifile.Assignment], line: int
           ) -> inifile.Assignment | None:
    """Return the assignment that a line belongs to."""
    at = bisect.bisect_right(assignments, line, key=lambda a: a.line) - 1
    if at < 0 or assignments[at].last_line < line:
        return None
    return assignments[at]


@functools.lru_cache(1024)
def _nearest(key: str, known: tuple[str, ...]) -> str | None:
    if len(key) > 60:
        return None
    found = difflib.get_close_matches(key, known, 1, 0.8)
    return found[0] if found else None

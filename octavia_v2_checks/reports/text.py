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

"""Text that cannot break a document, whatever a server has sent."""

from octavia_v2_checks.findings import Finding


def printable(text: str) -> str:
    """Return a text with invisible characters as backslash escapes.

    These are characters that XML and HTML forbid (control characters, lone
    surrogates), and those that would misrepresent a command (writing
    direction, unusual spaces). Line breaks and tabs stay.
    """
    return ''.join(
        c if c.isprintable() or c in '\n\t'
        else c.encode('unicode_escape').decode('ascii') for c in text)


def line(text: str) -> str:
    """Return a text that stays on one line, whatever its content."""
    return printable(text).replace('\n', '\\n').replace('\t', '\\t')


def place(finding: Finding) -> str | None:
    """Return ``file:line`` as far as they are known."""
    if finding.file and finding.line:
        return f'{finding.file}:{finding.line}'
    return finding.file

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

"""Installed releases, according to their metadata, not their code."""

from importlib import metadata
import re


def installed(distribution: str) -> str | None:
    """Return the installed version of a distribution, or None."""
    try:
        return field(metadata.distribution(distribution), 'Version')
    except metadata.PackageNotFoundError:
        return None


def numbers(distribution: str) -> tuple[int, ...] | None:
    """Return the installed version of a distribution as numbers, or None."""
    found = re.match(r'\d+(\.\d+)*', installed(distribution) or '')
    return tuple(map(int, found[0].split('.'))) if found else None


def field(distribution: metadata.Distribution, name: str) -> str | None:
    """Return a field of a distribution's metadata, None if it has none."""
    return next(iter(_fields(distribution, name)), None)


def requirements(distribution: str) -> list[str]:
    """Return the requirements of an installed distribution, of all extras.

    :raises importlib.metadata.PackageNotFoundError: if it is not installed
    """
    found = metadata.distribution(distribution)
    # An egg has them in another file.
    return _fields(found, 'Requires-Dist') or found.requires or []


def _fields(distribution, name):
    """All values of a field.

    importlib.metadata parses the whole file as an e-mail each time.
    """
    # A distribution that distutils installed is a file, not a folder.
    text = (distribution.read_text('METADATA')
            or distribution.read_text('PKG-INFO')
            or distribution.read_text('') or '')
    head, *_ = re.split(r'\r?\n\r?\n', text, maxsplit=1)
    return re.findall(rf'(?mi)^{name}:[ \t]*(\S.*?)\s*$', head)


def older(version: str, than: str) -> bool:
    """Return whether a release comes before another one.

    Three numbers count; the suffix of a release candidate does not.
    """
    def numbers(text):
        found = [int(n) for n in re.findall(r'\d+', text)[:3]]
        return found + [0] * (3 - len(found))

    return numbers(version) < numbers(than)


def octavia_release(text: str) -> tuple[int, int] | None:
    """Return (major, minor) of a release of Octavia, None if it is none.

    :param text: ``16``, ``16.0``, ``16.0.1``, or ``2025.1``, the release of
        OpenStack that it belongs to
    """
    match = re.fullmatch(r'(\d+)(?:\.(\d+))?(?:\.\d+)*', text.strip())
    if not match:
        return None
    major, minor = int(match[1]), int(match[2] or 0)
    if major > 2000:
        # Two releases a year; 2024.1 is 14.0.
        return 14 + 2 * (major - 2024) + minor - 1, 0
    return major, minor

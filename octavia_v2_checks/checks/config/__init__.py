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

"""The check ``config``: mistakes that show without opening a connection."""

from collections.abc import Iterator
import functools
import re

from octavia_v2_checks import settings as settings_
from octavia_v2_checks.checks.config import dbtls
from octavia_v2_checks.checks.config import files
from octavia_v2_checks.checks.config import hosts
from octavia_v2_checks.checks.config import names
from octavia_v2_checks.checks.config import persistence
from octavia_v2_checks.checks.config import placeholder
from octavia_v2_checks.checks.config import text
from octavia_v2_checks.checks.config import tls
from octavia_v2_checks.checks.config import values
from octavia_v2_checks.checks.config import waived
from octavia_v2_checks.checks.config.view import Rule
from octavia_v2_checks.checks.config.view import View
from octavia_v2_checks.findings import Finding
from octavia_v2_checks.findings import Severity
from octavia_v2_checks.upstream import versions

#: The order decides which rule reports a cause: later rules ignore an option
#: that has a failure already.
RULES: list[Rule] = [
    *names.RULES, *text.RULES, *placeholder.RULES, *text.LATE_RULES,
    *values.RULES, *persistence.RULES, *hosts.RULES, *tls.RULES,
    *dbtls.RULES, *waived.RULES]


def check(settings: settings_.Settings, _deadline: object = None
          ) -> Iterator[Finding | str]:
    """Yield every mistake in the configuration, and what was checked.

    Nothing here waits for a server.
    """
    yield from mistakes(settings)
    yield from scope(settings)


def scope(settings: settings_.Settings) -> Iterator[str]:
    """Yield what the rules have checked, if they could."""
    if settings.unreadable or _unknown(settings):
        return
    given = [v for v in settings.values.values() if v.raw is not None]
    places = [_number(len(settings.files), 'file')]
    places += [f'the {name}' for name, source in (
        ('environment', 'environment'), ('config sources', 'source'))
        if any(v.source == source for v in given)]
    yield (f'{_number(len(given), "option")} set in {" and ".join(places)}, '
           f'checked against {len(RULES)} rules.')


def _unknown(settings):
    return (settings.unknown is not None
            and settings.unknown.id == 'config.undetermined')


def _number(count, what):
    return f'{count} {what}{"" if count == 1 else "s"}'


def mistakes(settings: settings_.Settings, target_release: str | None = None
             ) -> Iterator[Finding]:
    """Yield every mistake in the configuration.

    :param target_release: the Octavia release to check for, such as 16.0 or
        2025.1; the installed one if omitted
    :raises octavia_v2_checks.settings.UsageError: for a release that is none
    """
    if target_release is None:
        target_release = settings.target_release
    view = View(settings, _release(target_release))
    if settings.unknown and not settings.unreadable:
        yield settings.unknown
        if _unknown(settings):
            return
    for rule in files.RULES if settings.unreadable else RULES:
        for found in rule(view):
            if found.option and found.severity is Severity.FAILURE:
                view.reported.add(found.option)
            yield found


def _release(target):
    """Return (major, minor), or None where neither is known."""
    if target is None:
        return _installed()
    found = versions.octavia_release(target)
    if found is None:
        raise settings_.UsageError(
            f'{target} is not a release of Octavia. Write it as 16.0 or '
            '2025.1.')
    return found


@functools.cache
def _installed():
    match = re.match(r'(\d+)\.(\d+)', versions.installed('octavia') or '')
    return (int(match[1]), int(match[2])) if match else None

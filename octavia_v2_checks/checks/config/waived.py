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

"""Waivers without effect: expired, or for an unknown finding."""

from collections.abc import Iterator
import difflib
from typing import Any

from octavia_v2_checks import catalogue
from octavia_v2_checks import opts
from octavia_v2_checks import settings as settings_
from octavia_v2_checks import waivers
from octavia_v2_checks.checks.config.view import View
from octavia_v2_checks.findings import Finding
from octavia_v2_checks.findings import finding
from octavia_v2_checks.settings import inifile

_OPTION = f'{opts.OWN_GROUP}.waivers'


def idle(view: View) -> Iterator[Finding]:
    """Yield every waiver that has expired or names an unknown finding."""
    known = [e.id for e in catalogue.entries()]
    where = places(view.settings)
    for rule in view.settings.waivers:
        # The findings of third-party checks are not known.
        if rule.area in catalogue.CHECKS and rule.id not in known:
            near = difflib.get_close_matches(rule.id, known, 1)
            hint = f' Did you mean {near[0]}?' if near else ''
            yield finding(
                'config.waiver-unknown',
                f'The waiver of {rule.id} names an unknown finding.{hint}',
                **where[rule])
        elif rule.expired:
            yield finding(
                'config.waiver-expired',
                f'The waiver of {rule.id} expired after {rule.until} '
                f'({rule.reason}). What it covers counts again.',
                **where[rule])


def places(settings: settings_.Settings
           ) -> dict[waivers.Rule, dict[str, Any]]:
    """Return option, file and line of each waiver that is in effect."""
    found: dict[waivers.Rule, dict[str, Any]] = {
        rule: {'option': _OPTION} for rule in settings.waivers}
    for file in settings.files:
        for assignment in file.assignments:
            if assignment.key == 'waivers' and inifile.normalise(
                    assignment.section or '') == opts.OWN_GROUP:
                rule = _parsed(assignment.value)
                if rule in found:
                    found[rule] |= {'file': file.path,
                                    'line': assignment.line}
    return found


def _parsed(text):
    try:
        return waivers.parse(text)
    except ValueError:
        return None


RULES = [idle]

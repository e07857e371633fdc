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
"""Findings as a report has them: waived, limited in number, without secrets.
"""

import collections
from collections.abc import Iterable
import dataclasses

from octavia_v2_checks import catalogue
from octavia_v2_checks import settings as settings_
from octavia_v2_checks import waivers
from octavia_v2_checks.checks.config import waived as waived_
from octavia_v2_checks.findings import Finding
from octavia_v2_checks.findings import finding
from octavia_v2_checks.findings import Waiver

#: How many findings of one kind a report lists.
LISTED = 50


def judged(area: str, findings: Iterable[Finding],
           settings: settings_.Settings) -> list[Finding]:
    """Return the findings of a check as a report has them.

    :param area: id of the check
    :param findings: as the check yields them
    :returns: with waivers, a warning for each waiver that covers none, limited
        in number, and without secrets
    """
    said = waived(findings, settings)
    said += unmatched(area, said, settings)
    return settings.redactor.clean(listed(said))


def waived(findings: Iterable[Finding],
           settings: settings_.Settings) -> list[Finding]:
    """Return findings, those that a waiver covers marked with it."""
    rules = _holding(settings)

    def mark(found):
        rule = next(rules.covering(found.id, found.host, found.option), None)
        return dataclasses.replace(
            found, waived=Waiver(rule.reason, rule.until)) if rule else found

    return [mark(f) for f in findings]


def _holding(settings):
    return waivers.Rules(r for r in settings.waivers if not r.expired)


def unmatched(check: str, findings: Iterable[Finding],
              settings: settings_.Settings) -> list[Finding]:
    """Return a finding for each waiver that covers nothing of a check."""
    mine = [rule for rule in settings.waivers if rule.area == check]
    if not mine:
        return []
    known = {e.id for e in catalogue.entries()}
    where = waived_.places(settings)
    rules = _holding(settings)
    used = {rule for f in findings
            for rule in rules.covering(f.id, f.host, f.option)}
    return [finding('config.waiver-unmatched',
                    f'The waiver of {rule.id}'
                    + (f' on {rule.host}' if rule.host else '')
                    + (f' for {rule.option}' if rule.option else '')
                    + ' covers nothing: this run has no such finding.',
                    **where[rule])
            for rule in mine
            # A waiver of an unknown finding is reported separately.
            if (rule.id in known or check not in catalogue.CHECKS)
            and rule not in used and not rule.expired]


def listed(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings, limited to a readable number of each kind.

    One more finding of the kind counts the rest.
    """
    seen: collections.Counter[tuple] = collections.Counter()
    first: dict[tuple, Finding] = {}
    shown: list[Finding] = []
    for said in findings:
        kind = said.id, said.severity, bool(said.waived)
        seen[kind] += said.many
        first.setdefault(kind, said)
        if seen[kind] <= LISTED:
            shown.append(said)
    return shown + [
        dataclasses.replace(
            first[kind], many=count - LISTED, option=None, file=None,
            line=None, host=None,
            message=f'{count - LISTED} more findings of this kind are not '
                    'listed.',
            remedy='Fix those that are listed, and run it again.')
        for kind, count in seen.items() if count > LISTED]

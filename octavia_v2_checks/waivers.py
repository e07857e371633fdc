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

"""Waivers: findings that an operator has decided not to count for some time.

They are written ``ID [host=H] [option=O] until=YYYY-MM-DD reason=…``, one in
each line ``waivers`` of ``[octavia_v2_checks]``.
"""

from collections.abc import Iterable
from collections.abc import Iterator
import datetime
import re
from typing import NamedTuple

FORM = 'ID [host=HOST] [option=OPTION] until=YYYY-MM-DD reason=WHY'

_RULE = (
    r'(?s)(?P<id>[a-z0-9_:-]+\.[a-z0-9_.-]+)'
    r'(\s+host=(?P<host>\S+))?'
    r'(\s+option=(?P<option>\S+))?'
    r'\s+until=(?P<until>\d{4}-\d{2}-\d{2})'
    r'\s+reason=(?P<reason>\S.*)')


class Rule(NamedTuple):
    """One waiver.

    :ivar host: of the finding, with or without its port; None for any
    :ivar until: the last day on which it holds, in UTC
    :ivar option: of the finding, with or without its group; None for any
    """

    id: str
    host: str | None
    until: datetime.date
    reason: str
    option: str | None = None

    def __str__(self) -> str:
        host = f' host={self.host}' if self.host else ''
        option = f' option={self.option}' if self.option else ''
        return (f'{self.id}{host}{option} until={self.until} '
                f'reason={self.reason}')

    @property
    def area(self) -> str:
        """The check whose findings it is about."""
        return self.id.rpartition('.')[0]

    @property
    def expired(self) -> bool:
        """Whether its last day is over."""
        return datetime.datetime.now(datetime.timezone.utc).date() > self.until


class Rules:
    """All waivers, indexed by their subject.

    :param rules: those in effect; of two with the same subject, the first
        counts
    """

    def __init__(self, rules: Iterable[Rule]):
        self._rules: dict[tuple[str, str | None, str | None], Rule] = {}
        for rule in rules:
            self._rules.setdefault((rule.id, rule.host, rule.option), rule)

    def covering(self, id_: str, host: str | None, option: str | None
                 ) -> Iterator[Rule]:
        """Yield the waivers that cover a finding.

        :param id_: of the finding; so are the next
        """
        hosts = [None, *([host, re.sub(r':\d+$', '', host).strip('[]')]
                         if host else [])]
        options = [None, *([option, option.partition('.')[2]]
                           if option else [])]
        keys = dict.fromkeys((id_, h, o) for h in hosts for o in options)
        yield from (self._rules[key] for key in keys if key in self._rules)


def parse(text: str) -> Rule:
    """Parse a waiver.

    :raises ValueError: for an invalid text, without repeating it
    """
    match = re.fullmatch(_RULE, text.strip())
    if match is None:
        raise ValueError(f'a waiver is written {FORM}')
    until = datetime.date.fromisoformat(match['until'])
    return Rule(match['id'], match['host'], until,
                ' '.join(match['reason'].split()), match['option'])

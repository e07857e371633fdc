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


"""Draws cases, the same for the same seed."""

import itertools
import random

from octavia_v2_checks.upstream import versions
from tests.truth import changes
from tests.truth import databases
from tests.truth import jobboards
from tests.truth import odd
from tests.truth import values

#: How often a system is sound, with the other one as it may be.
_SOUND = 0.88

#: How many changes a configuration has, and how often.
_CHANGES = {0: 2, 1: 6, 2: 2}

#: How much more often an option is drawn that the jobboard has a use for.
_USEFUL = 4

#: How often a value, a spelling and an odd text are drawn.
_WAYS = {'=': 6, '@': 2, '~': 2}

#: Odd texts to choose from, for each option.
_TEXTS = 40


class Drawing:
    """Draws cases for the Octavia that is installed."""

    def __init__(self, seed: int):
        self._seed = seed
        self._random = random.Random(seed)
        release, _ = versions.octavia_release(versions.installed('octavia'))
        self._databases = list(databases.database.kinds.values())
        self._boards = [kind for kind in jobboards.board.kinds.values()
                        if kind.since <= release]
        self._texts: dict[str, list[str]] = {}

    def cases(self, number: int) -> list[str]:
        """Names of cases, all of them different."""
        found: dict[str, None] = {}
        # What is drawn twice is drawn again, and so on for a while.
        for _ in itertools.repeat(None, 20 * number):
            found[self._case()] = None
            if len(found) == number:
                break
        return list(found)

    def _case(self):
        database = self._weighted(self._databases)
        board = self._weighted(self._boards)
        number, = self._random.choices(list(_CHANGES), _CHANGES.values())
        names = []
        options = self._options(board)
        for _ in range(number):
            option, = self._random.choices(list(options), options.values())
            del options[option]
            names.append(self._change(option, database))
        return '/'.join([database.name, board.name, *names])

    def _weighted(self, kinds):
        is_sound = self._random.random() < _SOUND
        kinds = [k for k in kinds if ('sound' in k.traits) == is_sound]
        kind, = self._random.choices(kinds, [k.weight for k in kinds])
        return kind

    def _options(self, board):
        return {option: _USEFUL if board.family in changes.FAMILIES.get(
            option, {board.family}) else 1 for option in changes.OPTIONS}

    def _change(self, option, database):
        way, = self._random.choices(list(_WAYS), _WAYS.values())
        if way == '=':
            return changes.value_name(option, self._random.choice(
                list(values.VALUES[option])))
        if way == '@':
            return changes.spelling_name(option, self._random.choice(
                list(changes.SPELLINGS)))
        if option == 'persistence_connection':
            if database.family == 'sqlite':
                return changes.value_name(option, 'localhost')
            option += self._random.choice(['.password', '.user',
                                           '.database'])
        return changes.odd_name(option, self._random.choice(
            self._odd(option)))

    def _odd(self, option):
        if option not in self._texts:
            self._texts[option] = odd.texts(option, self._seed, _TEXTS)
        return self._texts[option]

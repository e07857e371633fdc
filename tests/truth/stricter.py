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


"""Failures on purpose, although a worker can do its work.

To add one, give its finding a reason. A case counts as stricter only if all
that fails in it stands here; everything else that fails with a worker that
works is a false alarm.
"""

#: Finding -> why it is a failure all the same.
REASONS = {
    'jobboard.eviction':
        'The store forgets jobs as soon as its memory runs short.',
    'migration.behind':
        'A migration is pending: the installed TaskFlow writes what the '
        'tables do not expect yet.',
    'migration.ahead':
        'Another release has migrated the tables; this one cannot migrate '
        'them again.',
    'config.unknown-option':
        'The option has no effect: what works is its default, by chance.',
    'config.misplaced-option':
        'The option has no effect: what works is its default, by chance.',
    'config.release':
        'The installed Octavia does not know the option: what works is '
        'what it does without it.',
}


def reason(failures: list[str]) -> str | None:
    """Why findings that a worker can live with are failures, if all are.

    :param failures: ids of the findings that are failures
    """
    if failures and all(id_ in REASONS for id_ in failures):
        return REASONS[failures[0]]
    return None

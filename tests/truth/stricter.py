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

from collections.abc import Iterable
import re
from typing import NamedTuple


class Reason(NamedTuple):
    """Why a finding is a failure all the same.

    :ivar pattern: what its message must match
    """

    text: str
    pattern: str = ''


_BY_CHANCE = Reason(
    'Something that is written has no effect: what works without it does so '
    'by chance.')

_UNPROTECTED = (
    'Files for TLS are named, or its switch is misspelt, and TLS is off: '
    'what was to be protected is not.')

_PART_OF_IT = Reason(
    'A quote or a comment is a part of the namespace: hosts without it have '
    'another jobboard.', 'namespace')

#: Finding -> its reasons.
REASONS: dict[str, list[Reason]] = {
    'jobboard.eviction': [Reason(
        'The store forgets jobs as soon as its memory runs short.')],
    'jobboard.missing-permission': [Reason(
        'Workers cannot put a job into the trash that they cannot begin '
        'with: they try again without end.', 'trash|hset|hdel')],
    'persistence.missing-privileges': [Reason(
        'Without DELETE a worker finishes its flows, and their records stay '
        'for good.', '^(?!.*(SELECT|INSERT|UPDATE)).*DELETE')],
    'migration.behind': [Reason(
        'A migration is pending: the installed TaskFlow writes what the '
        'tables do not expect yet.')],
    'migration.ahead': [Reason(
        'Another release has migrated the tables; this one cannot migrate '
        'them again.')],
    'migration.incomplete': [Reason(
        'The tables are not what their revision says: workers get slow, and '
        'the next migration fails.', 'lacks index')],
    'config.persistence-url': [Reason(
        'A name that nobody gives a database: more likely a mistake in the '
        'URL.', 'in the name of the database')],
    'config.host-invalid': [Reason(
        'Not every program reads such an address: a leading zero makes it '
        'octal for some, and is an error for others.',
        'is not an IPv4 address')],
    'config.dict-unknown-key': [_BY_CHANCE],
    'config.dict-missing-key': [Reason(_UNPROTECTED, 'TLS is off')],
    'config.dict-value': [Reason(_UNPROTECTED, 'treats it as no')],
    'config.placeholder': [
        Reason('A placeholder in the place of a password: the server asks '
               'for none, or for one that everybody knows.', 'password'),
        Reason('A placeholder in the place of the namespace: who else reads '
               'the same guide has the same.', 'namespace')],
    'config.inline-comment': [_PART_OF_IT, Reason(
        _BY_CHANCE.text, 'jobboard_backend_hosts|_ssl_options')],
    'config.half-quoted': [_PART_OF_IT, Reason(
        _BY_CHANCE.text, '_ssl_options')],
    'config.invalid-value': [
        Reason('Claims have no end, so nobody goes on with the flows of a '
               'worker that died.',
               'jobboard_expiration_time (is empty|= .* is more seconds)'),
        Reason('The thread that renews claims never rests, or ends at once.',
               'jobboard_expiration_time = [-+0_ ]'),
        Reason(_BY_CHANCE.text, 'is indented, so oslo.config treats it'),
        Reason('Without a namespace, the jobs of clouds that share a server '
               'are not kept apart, and ZooKeeper takes no jobs at all.',
               'jobboard_backend_namespace is empty'),
        Reason('Threads below one: any other jobboard, and Octavia without '
               'one, fails.', 'max_workers = ')],
    'config.unknown-option': [_BY_CHANCE],
    'config.misplaced-option': [_BY_CHANCE],
    'config.release': [_BY_CHANCE],
}


def reason(failures: Iterable[tuple[str, str]]) -> str | None:
    """Why findings that a worker can live with are failures, if all are.

    :param failures: ids and messages of the findings that are failures
    """
    found = [next((reason.text for reason in REASONS.get(id_, ())
                   if re.search(reason.pattern, message)), None)
             for id_, message in failures]
    return found[0] if found and all(found) else None

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

"""What the answers of several members mean together."""

import pytest

from octavia_v2_checks.backends import net
from octavia_v2_checks.backends.zookeeper import access
from octavia_v2_checks.backends.zookeeper import members
from octavia_v2_checks.upstream import clients_zookeeper

CONNECT = 'accept a connection'
HANDSHAKE = 'finish the TLS handshake'
ANSWER = 'answer'


def _ensemble(*said):
    """Members; each serves (None) or was late with something."""
    found = []
    for number, doing in enumerate(said):
        member = members.Member(f'zk{number}', 2181)
        member.serves = doing is None
        if doing == 'refused':
            member.fault = net.Fault('refused', 'No.', host=member.peer)
        elif doing:
            member.fault = net.late(member.peer, doing, 5)
        found.append(member)
    return found


@pytest.mark.parametrize('said, patience, slugs', [
    ([None], 10, []),
    ([CONNECT, None], 10, ['timeout']),
    ([HANDSHAKE, None], 10, ['timeout']),
    ([CONNECT, None], 15, ['member-down']),
    ([CONNECT, CONNECT, None], 15, ['timeout', 'member-down']),
    ([None, CONNECT], 10, ['member-down']),
    ([CONNECT, None, CONNECT], 10, ['timeout', 'member-down']),
    ([ANSWER, None], 10, ['member-down']),
    ([ANSWER, ANSWER, None], 10, ['member-down'] * 2),
    (['refused', CONNECT, None], 10, ['member-down', 'timeout']),
    (['refused', 'refused', None], 10, ['member-down'] * 2)])
def test_a_worker_waits_for_the_first_members(said, patience, slugs):
    faults = list(members.down(_ensemble(*said), patience))
    assert [f.slug for f in faults] == slugs
    for fault in faults:
        if fault.slug == 'timeout':
            assert 'gives up after' in fault.text


class Session:
    """Znodes with the rights of everybody; what it hides, 3.9 hides."""

    def __init__(self, **rights):
        self._rights = {'/' + path.replace('_', '/').replace('dot', '.'): r
                        for path, r in rights.items()}

    def exists(self, path):
        """As ZooKeeper 3.9 tells it."""
        if path not in self._rights:
            return False
        return True if 'r' in self._rights[path] else None

    def grants(self, path):
        """Nobody but everybody has any."""
        rights = self._rights[path]
        return [access.Grant(
            sum((access._LETTERS[letter] for letter in rights),
                access.Permission(0)), access.ANYONE)]

    def identities(self):
        """Nobody asks."""
        raise AssertionError


GOOD = {'': 'r', 'board': 'cdr', 'dottrash': 'cr',
        'dotentities': 'r', 'dotentities_conductor': 'cr'}


def _faults(**rights):
    found = access.faults(Session(**GOOD | rights), 'zk1:2181',
                          clients_zookeeper.paths('board'))
    return [(f.slug, f.text.split()[0], f.text.partition('grants ')[2])
            for f in found]


def test_what_a_worker_needs_of_zookeeper_39():
    assert _faults() == []
    assert _faults(dottrash='c') == [
        ('missing-permission', '/.trash', 'READ to nobody.')]
    assert _faults(dotentities_conductor='c') == [
        ('missing-permission', '/.entities/conductor', 'READ to nobody.')]
    # Those that are there already are not looked up.
    assert _faults(**{'': '', 'dotentities': ''}) == []


@pytest.mark.parametrize('rights, missing', [
    ('c', 'READ'), ('r', 'CREATE'), ('', 'CREATE, READ'), ('cr', None)])
def test_what_is_created_needs_its_parent(rights, missing):
    found = access.faults(
        Session(**{'': rights, 'dottrash': 'cr',
                   'dotentities_conductor': 'cr'}), 'zk1:2181',
        clients_zookeeper.paths('board'))
    assert [f.text for f in found] == ([
        f'/ on zk1:2181 grants {missing} to nobody.'] if missing else [])

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

"""What access control lists of ZooKeeper grant."""

from hypothesis import given
from hypothesis import strategies as st
import pytest

from octavia_v2_checks.backends.zookeeper import access
from octavia_v2_checks.backends.zookeeper.access import Grant
from octavia_v2_checks.backends.zookeeper.access import Identity
from octavia_v2_checks.backends.zookeeper.access import Permission

ALL = Permission(31)
NEEDED = Permission.READ | Permission.CREATE | Permission.DELETE
US = [Identity('ip', '192.0.2.7'), Identity('x509', 'CN=octavia')]
PERMISSIONS = st.integers(0, 31).map(Permission)


def _judge(grants, identities=US):
    fault = access.judge('zk1:2181', '/board', NEEDED, grants, identities)
    return fault and fault.slug


@pytest.mark.parametrize('scheme, name', [
    ('world', 'anyone'), ('ip', '192.0.2.7'), ('ip', '192.0.2.0/24'),
    ('x509', 'CN=octavia')])
def test_granted(scheme, name):
    assert _judge([Grant(NEEDED, Identity(scheme, name))]) is None
    assert _judge([Grant(NEEDED & ~Permission.DELETE,
                         Identity(scheme, name))]) == 'missing-permission'


@pytest.mark.parametrize('scheme, name, slug', [
    ('ip', '192.0.2.8', 'missing-permission'),
    ('ip', '2001:db8::/32', 'missing-permission'),
    ('ip', 'nonsense', 'missing-permission'),
    ('x509', 'CN=other', 'missing-permission'),
    ('world', 'nobody', 'missing-permission'),
    ('digest', 'octavia:x', 'auth-unsupported'),
    ('sasl', 'octavia', 'auth-unsupported')])
def test_granted_to_others(scheme, name, slug):
    assert _judge([Grant(ALL, Identity(scheme, name))]) == slug


def test_several_grants_add_up():
    assert _judge([Grant(Permission.READ, access.ANYONE),
                   Grant(Permission.CREATE | Permission.DELETE, US[0])]
                  ) is None


@pytest.mark.parametrize('scheme, slug', [
    ('ip', 'undetermined'), ('x509', 'undetermined'),
    ('digest', 'auth-unsupported')])
def test_a_server_that_does_not_tell_who_we_are(scheme, slug):
    assert _judge([Grant(ALL, Identity(scheme, 'x'))], None) == slug
    assert _judge([Grant(ALL, Identity(scheme, 'x')),
                   Grant(NEEDED, access.ANYONE)], None) is None


def test_nothing_is_shown():
    assert _judge(None) == 'missing-permission'


@given(PERMISSIONS, st.lists(st.builds(Grant, PERMISSIONS, st.builds(
    Identity, st.sampled_from(['ip', 'x509']), st.just('other')))))
def test_the_remedy_grants_what_is_needed_and_takes_nothing(given_, others):
    grants = [Grant(given_, access.ANYONE), *others]
    fault = access.judge('zk1:2181', '/board', NEEDED, grants, US)
    assert bool(fault) == bool(NEEDED & ~given_)
    if fault:
        words = fault.remedy.split()
        assert words[:5] == ['zkCli.sh', '-server', 'zk1:2181', 'setAcl',
                             '/board']
        letters = {'r': 1, 'w': 2, 'c': 4, 'd': 8, 'a': 16}
        written = [entry.rsplit(':', 1) for entry in words[5].split(',')]
        assert [(who, sum(letters[letter] for letter in rights))
                for who, rights in written] == [
            ('world:anyone', int(given_ | NEEDED)),
            *((f'{g.identity.scheme}:{g.identity.name}', int(g.permissions))
              for g in others)]

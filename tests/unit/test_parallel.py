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

import contextlib
import threading

import pytest

from octavia_v2_checks.backends import parallel


class Door:
    """What is entered and left, and told so."""

    def __init__(self):
        self.may_open = threading.Event()
        self.left = []

    @contextlib.contextmanager
    def open(self):
        assert self.may_open.wait(10)
        try:
            yield 'room'
        except KeyError as exc:
            self.left.append(exc)
            raise LookupError from exc
        self.left.append(None)


def test_entered_meanwhile():
    door = Door()
    with parallel.entering(door.open()) as entered:
        door.may_open.set()
        assert entered() == 'room'
        assert not door.left
    assert door.left == [None]


def test_what_fails_inside_is_told_to_the_manager():
    door = Door()
    door.may_open.set()
    with pytest.raises(LookupError) as caught:
        with parallel.entering(door.open()) as entered:
            entered()
            raise KeyError('inside')
    assert type(caught.value) is LookupError
    assert repr(door.left) == "[KeyError('inside')]"


def test_left_though_nobody_asked():
    door = Door()
    with pytest.raises(ValueError, match='ours'):
        with parallel.entering(door.open()):
            door.may_open.set()
            raise ValueError('ours')
    assert door.left == [None]


def test_what_fails_at_the_door():
    @contextlib.contextmanager
    def closed():
        raise PermissionError('theirs')
        yield

    with parallel.entering(closed()) as entered:
        with pytest.raises(PermissionError, match='theirs'):
            entered()
    with pytest.raises(ValueError, match='ours'):
        with parallel.entering(closed()):
            raise ValueError('ours')

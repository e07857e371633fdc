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

"""Switches are read as TaskFlow reads them."""

import hypothesis
from hypothesis import strategies
from oslo_utils import strutils
import pytest

from octavia_v2_checks.upstream import switches

WORDS = (*strutils.TRUE_STRINGS, *strutils.FALSE_STRINGS)


def agree(value):
    for default in (False, True):
        assert switches.is_true(value, default) == strutils.bool_from_string(
            value, default=default)


@pytest.mark.parametrize('value', [
    *WORDS, *map(str.upper, WORDS), *(f' {word}\n' for word in WORDS), True,
    False, None, 0, 1, 2, 1.0, '', 'enabled', 'false  # as it was'])
def test_what_people_write(value):
    agree(value)


@hypothesis.given(strategies.text())
def test_any_text(value):
    agree(value)

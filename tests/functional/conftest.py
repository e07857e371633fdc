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

"""Boards that more than one module asks for."""

import contextlib

import pytest

from tests import boards
from tests import jobboards


@pytest.fixture
def redis_place(request):
    """A jobboard on Redis, and its persistence database on MariaDB."""
    with contextlib.closing(boards.place(
            'redis-mysql', request.getfixturevalue)) as found:
        yield found


@pytest.fixture(params=boards.KINDS)
def place(request):
    """Each kind of board, and each kind of database."""
    with contextlib.closing(boards.place(
            request.param, request.getfixturevalue)) as found:
        yield found


@pytest.fixture
def no_environment(monkeypatch, tmp_path):
    """Nothing outside the configuration changes how requests connects."""
    jobboards.clear_environment(monkeypatch)
    monkeypatch.setenv('HOME', str(tmp_path))

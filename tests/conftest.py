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

"""Servers for the tests, each started once per test process when asked for.

A test that changes how a server behaves (stops it, sets ``read_only``)
starts its own from :mod:`tests.servers` instead. A machine without one of
the servers fails those tests: ``tools/test`` installs all of them.
"""

import pytest

from tests.servers import mariadb as mariadb_server
from tests.servers import redis as redis_server


@pytest.fixture(scope='session')
def mariadb():
    """A MariaDB; make your own database and users in it."""
    with mariadb_server.MariaDB() as server:
        yield server


@pytest.fixture(scope='session')
def redis():
    """A Redis without a password; keys carry the test's own namespace."""
    with redis_server.Redis() as server:
        yield server

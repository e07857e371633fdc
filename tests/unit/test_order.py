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

"""The order in which the tests run."""

import pathlib

from tests import conftest

TESTS = pathlib.Path(conftest.__file__).parent


def test_every_slow_module_exists():
    """A module that was renamed would be dealt last, and all wait for it."""
    modules = {path.stem for path in TESTS.rglob('test_*.py')}
    assert conftest.SLOWEST.keys() <= modules

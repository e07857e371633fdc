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

"""A pytest plugin that records the findings of a test run.

``pytest -p tests.recording`` appends a line of JSON to the file that the
variable FINDINGS names, for each finding that is made in the process of the
tests: id, message and the module of the test. See tools/finding-examples.
"""

import functools
import json
import os

import pytest

from octavia_v2_checks import findings

_current = {'module': ''}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Note whose findings follow."""
    _current['module'] = item.path.stem


def _recorded(made):
    @functools.wraps(made)
    def make(self, *args, **kwargs):
        made(self, *args, **kwargs)
        line = json.dumps([self.id, self.message, _current['module']])
        with open(os.environ['FINDINGS'], 'a', encoding='utf-8') as stream:
            stream.write(f'{line}\n')

    return make


findings.Finding.__init__ = _recorded(findings.Finding.__init__)

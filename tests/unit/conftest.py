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

"""Hypothesis for the unit tests.

The same examples every time, so that a gate is not closed by chance;
``HYPOTHESIS_EXAMPLES=10000`` looks for new ones.
"""

import os

import hypothesis

hypothesis.settings.register_profile(
    # No time limit for one example: the machine may be busy.
    'unit', deadline=None,
    derandomize='HYPOTHESIS_EXAMPLES' not in os.environ,
    max_examples=int(os.environ.get('HYPOTHESIS_EXAMPLES', '100')))
hypothesis.settings.load_profile('unit')

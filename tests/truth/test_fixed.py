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


"""Verdicts on systems that never change, and what workers do there."""

import contextlib

from tests.truth import fixed
from tests.truth import judging
from tests.truth import lab as labs

#: Most of it is waiting.
LANES = 4


def test_fixed_cases():
    with contextlib.ExitStack() as stack:
        outcomes = dict(judging.run(labs.Lab(stack), fixed.CASES, LANES))
    assert outcomes.keys() == set(fixed.CASES)
    wrong = {name: outcome for name, outcome in outcomes.items()
             if getattr(outcome, 'kind', None) not in (
                 'agreement', 'stricter')}
    assert wrong == {}
    works = [name for name, outcome in outcomes.items() if outcome.works]
    assert 10 <= len(works) <= len(outcomes) - 10

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

"""The harmless flow: three tasks that only report that they ran."""

from collections.abc import Callable
import threading

from taskflow import task
from taskflow.patterns import linear_flow

#: Told the number of the flow and the task, in the process of a conductor.
tell: Callable[[int, str], None] = lambda number, name: None  # noqa: E731

#: Whether the second task waits for its conductor to be killed.
hold = False


class _Told(task.Task):
    def execute(self, number):
        tell(number, self.name)


class _Held(_Told):
    def execute(self, number):
        tell(number, self.name)
        if hold:
            threading.Event().wait()


def make():
    """Return the flow; a worker finds this function by its name."""
    return linear_flow.Flow('drill').add(
        _Told('first'), _Held('second'), _Told('third'))

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

"""Opens one server while something else is asked."""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import queue
import threading
from typing import TypeVar

T = TypeVar('T')


@contextlib.contextmanager
def entering(manager: contextlib.AbstractContextManager[T]
             ) -> Iterator[Callable[[], T]]:
    """Enter a context manager in a thread, while something else is done.

    It is exited in the thread of the caller, even if nobody waited for it.

    :param manager: what bounds its own time
    :returns: a function that waits for the value of the manager; it raises
        what entering raised
    """
    ended: queue.SimpleQueue = queue.SimpleQueue()

    def enter():
        try:
            ended.put((manager.__enter__(), None))
        except BaseException as exc:
            ended.put((None, exc))

    threading.Thread(target=enter, daemon=True).start()
    with contextlib.ExitStack() as stack:
        asked = False

        def entered():
            nonlocal asked
            asked = True
            value, error = ended.get()
            if error:
                raise error
            stack.push(manager)
            return value

        try:
            yield entered
        finally:
            # An error before that is not an error of the manager.
            if not asked and not ended.get()[1]:
                manager.__exit__(None, None, None)

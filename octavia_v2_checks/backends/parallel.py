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

"""Asks several servers at the same time."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import queue
import threading
from typing import TypeVar

T = TypeVar('T')


def run(functions: Sequence[Callable[[], T]]) -> list[T]:
    """Call functions side by side, in threads that hold no process.

    :param functions: each with a clock of its own, because all are waited
        for
    :returns: what they returned, in their order
    :raises Exception: what the first of them raised
    """
    ended: queue.SimpleQueue = queue.SimpleQueue()

    def call(number, function):
        try:
            ended.put((number, function(), None))
        except BaseException as exc:
            ended.put((number, None, exc))

    for number, function in enumerate(functions):
        threading.Thread(target=call, args=(number, function),
                         daemon=True).start()
    answers = sorted((ended.get() for _ in functions), key=lambda a: a[0])
    for _, _, error in answers:
        if error:
            raise error
    return [result for _, result, _ in answers]


@contextlib.contextmanager
def entering(manager: contextlib.AbstractContextManager[T]
             ) -> Iterator[Callable[[], T]]:
    """Enter a context manager in a thread, while something else is done.

    It is left in the caller's thread, even if nobody asked for it.

    :param manager: what bounds its own time
    :returns: a function that waits for what the manager gives; it raises
        what entering it raised
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
            # What went wrong before anybody asked is not the manager's.
            if not asked and not ended.get()[1]:
                manager.__exit__(None, None, None)

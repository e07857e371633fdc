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

"""Time limits: the deadline of a run, and the clock of one probe."""

from collections.abc import Callable
from collections.abc import Hashable
import queue
import threading
import time
from typing import TypeVar

T = TypeVar('T')


class OutOfTime(Exception):
    """A question had no answer in time."""


class Crashed(Exception):
    """The code in a child process raised an error.

    :param what: class and place of the exception, without its text
    """

    def __init__(self, what: str):
        super().__init__(what)
        self.what = what


def shown(seconds: float) -> str:
    """Return a time for a message, such as 1.8 of 1.76415."""
    return f'{round(seconds, 1):g}' if seconds >= 1 else f'{seconds:.1g}'


class Clock:
    """A point in time after which nothing is waited for.

    :param seconds: from now
    :param spent: seconds of them that have passed already
    """

    def __init__(self, seconds: float, spent: float = 0.0):
        self.seconds = seconds
        self._end = time.monotonic() + seconds - spent

    def left(self) -> float:
        """Return the seconds that are left, 0 at least."""
        return max(0.0, self._end - time.monotonic())

    def require(self) -> float:
        """Return the seconds that are left.

        :raises OutOfTime: if there are none
        """
        left = self.left()
        if not left:
            raise OutOfTime
        return left


class _Once:
    """Things that several threads use, and that are created once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slots: dict[Hashable, tuple[threading.Lock, list]] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        with self._lock:
            lock, made = self._slots.setdefault(key, (threading.Lock(), []))
        with lock:
            if not made:
                try:
                    made += [make(), None]
                except Exception as exc:
                    made += [None, exc]
            result, error = made
        if error:
            raise error.with_traceback(None)
        return result


#: Seconds, and share of a run, that are left for telling what the last
#: question waited for.
_TELLING, _TELLING_SHARE = 0.3, 0.1


class Deadline(Clock):
    """One run: its time, of which every probe has a share, and shared objects.

    Questions to servers end a moment before the run, so that a server that
    did not answer is named.

    :param seconds: for all probes together
    :param probe: at most for one question to a server
    :param spent: seconds of them that have passed already
    """

    def __init__(self, seconds: float, probe: float, spent: float = 0.0):
        super().__init__(seconds, spent)
        self._probe = probe
        self._telling = min(_TELLING, _TELLING_SHARE * seconds)
        self._shared = _Once()
        self._kept = _Once()
        self._at_end: list[Callable[[], None]] = []
        #: The servers that were contacted, in their order; values are None.
        self.contacted: dict[str, None] = {}

    def left(self) -> float:
        """Return the seconds that are left for questions, 0 at least."""
        return max(0.0, self.until_end() - self._telling)

    def until_end(self) -> float:
        """Return the seconds until the end of the run, 0 at least."""
        return super().left()

    def shared(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what all checks of this run share, created by the first.

        :raises Exception: the exception of creating it, for each of them
        """
        return self._shared.get(key, make)

    def kept(self, key: Hashable, make: Callable[[], T]) -> T:
        """Do as :meth:`shared`, for this run and those renewed from it."""
        return self._kept.get(key, make)

    def at_end(self, function: Callable[[], None]) -> None:
        """Register a function to be called when the run is over."""
        self._at_end.append(function)

    def close(self) -> None:
        """End the run: close what its checks have opened."""
        while self._at_end:
            self._at_end.pop()()

    def probe(self) -> Clock:
        """Return the clock of one question, which starts now."""
        return Clock(min(self._probe, self.left()))

    def renewed(self) -> 'Deadline':
        """Return another with as much time, which starts now."""
        fresh = Deadline(self.seconds, self._probe)
        fresh._kept = self._kept
        return fresh


def bounded(function: Callable[[], T], clock: Clock) -> T:
    """Call something that may never return, such as ``getaddrinfo``.

    What does not return in time continues in a daemon thread, which does not
    keep the process alive.

    :returns: what the function returns
    :raises OutOfTime: if it has not returned when the clock ran out
    :raises Exception: what the function raises
    """
    answers: queue.SimpleQueue = queue.SimpleQueue()

    def run():
        try:
            answers.put((function(), None))
        except BaseException as exc:
            answers.put((None, exc))

    threading.Thread(target=run, daemon=True).start()
    try:
        result, error = answers.get(timeout=clock.left())
    except queue.Empty:
        raise OutOfTime from None
    if error:
        raise error
    return result

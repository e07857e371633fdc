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

"""The three streams of a process, which may be closed, full or narrow."""

import io
import os
import sys


def prepare() -> None:
    """Make stdin, stdout and stderr usable, even if they are closed.

    The descriptor of a closed stream is filled: otherwise the next socket
    would get its number, and output of a library would go to a server. A
    closed stdout still cannot be written, and output to a closed stderr is
    still lost.
    """
    for number, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY),
                         (2, os.O_RDWR)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)
    for number, name in ((1, 'stdout'), (2, 'stderr')):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, 'w', closefd=False))
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            # What a terminal or a locale cannot show is escaped.
            stream.reconfigure(errors='backslashreplace')


def tell(line: str) -> None:
    """Print a line on stderr, or drop it if nothing can be printed."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(f'{line}\n')
        sys.stderr.flush()
    except (OSError, ValueError):
        pass


def finish() -> None:
    """Keep Python from complaining at exit about unwritten output."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())

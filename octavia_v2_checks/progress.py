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

"""Progress, shown only on a terminal."""

import contextlib
import os
import sys

from octavia_v2_checks import engine
from octavia_v2_checks import registry


@contextlib.contextmanager
def shown():
    """Show a line for each check while it runs, and remove them at the end.

    :returns: a context manager that gives the observer of
        :func:`octavia_v2_checks.engine.run`, which does nothing if stderr is
        not a terminal that can move its cursor
    """
    if not sys.stderr.isatty() or os.environ.get('TERM') in (None, 'dumb'):
        yield engine.unobserved
        return
    from rich import console
    from rich import progress
    lines = progress.Progress(
        progress.SpinnerColumn(), progress.TextColumn('{task.description}'),
        progress.TimeElapsedColumn(), transient=True,
        console=console.Console(stderr=True))
    tasks: dict[str, progress.TaskID] = {}

    def observe(check: registry.Check, severity) -> None:
        if severity is None and check.id not in tasks:
            tasks[check.id] = lines.add_task(check.title, total=1)
        elif severity is None:
            lines.reset(tasks[check.id], description=check.title)
        else:
            lines.update(tasks[check.id], completed=1, description=(
                f'{check.title}: {severity.name.capitalize()}'))

    with lines:
        yield observe

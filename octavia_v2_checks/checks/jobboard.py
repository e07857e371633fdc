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

"""Can a worker use the jobboard: its client, its servers, its login?"""

from collections.abc import Iterable
from collections.abc import Iterator
from importlib import metadata
import importlib.util
import re
import shlex
import sys

from octavia_v2_checks import clock
from octavia_v2_checks import findings
from octavia_v2_checks import plugins
from octavia_v2_checks import settings as settings_
from octavia_v2_checks.backends import jobboard
from octavia_v2_checks.backends import net
from octavia_v2_checks.findings import Finding
from octavia_v2_checks.upstream import versions

ENTRY_POINTS = 'octavia_v2_checks.jobboards'

_DRIVER = 'jobboard_backend_driver'

#: A line of TaskFlow's metadata: name, lower bound and extra.
_BOUND = re.compile(
    r'([\w.-]+)\s*>=\s*([\w.]+).*;\s*extra\s*==\s*["\'](\w+)["\']')


def check(settings: settings_.Settings, deadline: clock.Deadline
          ) -> Iterable[Finding | str]:
    """Yield what keeps a worker from posting, claiming and finishing jobs.

    :raises findings.NotApplicable: without jobboard or amphora provider
    :raises findings.Blocked: for an option that a worker could not use
    """
    settings.require_jobboard()
    driver = settings.get(_DRIVER)
    try:
        kind = load(driver)
    except (ImportError, AttributeError) as exc:
        yield findings.finding(
            'jobboard.undetermined',
            f'The backend for {driver} does not load '
            f'({type(exc).__name__}).',
            'Install octavia-v2-checks, or the package that brings the '
            'backend, anew.', **settings[_DRIVER].where)
        return
    if kind is None:
        yield unknown(settings)
        return
    yield from _client(settings, kind.client)
    for said in shared(kind, settings, deadline).probe():
        yield said if isinstance(said, str) else finding_of(settings, said)


def load(driver: str) -> type[jobboard.Jobboard] | None:
    """Return the backend of a driver, None if there is none.

    :raises ImportError: if it is there and does not load
    :raises AttributeError: likewise
    """
    for _, entry in plugins.find(ENTRY_POINTS):
        if entry.name == driver:
            return entry.load()
    return None


def shared(kind: type[jobboard.Jobboard], settings: settings_.Settings,
           deadline: clock.Deadline) -> jobboard.Jobboard:
    """Return the jobboard that all checks of a run ask.

    :raises findings.Blocked: for an option that a worker could not use
    """
    return deadline.shared('jobboard', lambda: kind(settings, deadline))


def unknown(settings: settings_.Settings) -> Finding:
    """Return the finding of a driver that nothing here can look at."""
    driver = settings.get(_DRIVER)
    return findings.finding(
        'jobboard.undetermined',
        f'Nothing here knows how to look at {driver}.',
        f'Install a package that brings an entry point {driver} in '
        f'{ENTRY_POINTS}.', **settings[_DRIVER].where)


def finding_of(settings: settings_.Settings, fault: net.Fault) -> Finding:
    """Return the finding of a fault, the same in every row that meets it.
    """
    where = settings[fault.option].where if fault.option else {}
    return findings.finding(f'jobboard.{fault.slug}', fault.text,
                            fault.remedy, host=fault.host, **where)


def _client(settings: settings_.Settings, client: jobboard.Client
            ) -> Iterator[Finding]:
    """Yield what is wrong with the client; it is looked for, not imported."""
    where = settings[_DRIVER].where
    taskflow = versions.installed('taskflow')
    minimum = _minimum(client) if taskflow else None
    wanted = f'{client.distribution}>={minimum}'
    # What pip shall install: with TaskFlow here, what that needs.
    package = wanted if minimum else f'octavia-v2-checks[{client.extra}]'
    remedy = f'{shlex.quote(sys.executable)} -m pip install ' + shlex.quote(
        package)
    if importlib.util.find_spec(client.module) is None:
        yield findings.finding(
            'jobboard.client-missing',
            f'{settings.get(_DRIVER)} needs the Python module '
            f'{client.module}, which {sys.executable} does not have.',
            remedy, **where)
        return
    installed = versions.installed(client.distribution)
    if minimum and installed and _older(installed, minimum):
        yield findings.finding(
            'jobboard.client-old',
            f'TaskFlow {taskflow} needs {wanted}, and {client.distribution} '
            f'{installed} is installed.', remedy, **where)


def _minimum(client: jobboard.Client) -> str | None:
    """Return the oldest client that the installed TaskFlow takes.

    Its extras name nothing but a lower bound, so a whole parser of
    requirements is not worth the time to import it.
    """
    for text in metadata.requires('taskflow') or []:
        found = _BOUND.match(text)
        if found and (found[1].lower(), found[3]) == (
                client.distribution.lower(), client.extra):
            return found[2]
    return None


def _older(version: str, than: str) -> bool:
    def numbers(text):
        return [int(n) for n in re.findall(r'\d+', text)[:3]]

    return numbers(version) < numbers(than)

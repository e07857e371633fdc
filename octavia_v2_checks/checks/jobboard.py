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

"""Can a worker use the jobboard: client, servers and login?"""

from collections.abc import Iterable
from collections.abc import Iterator
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
from octavia_v2_checks.backends import sniff
from octavia_v2_checks.findings import Finding
from octavia_v2_checks.upstream import broken
from octavia_v2_checks.upstream import switches
from octavia_v2_checks.upstream import versions

ENTRY_POINTS = 'octavia_v2_checks.jobboards'

_DRIVER = 'jobboard_backend_driver'
_HOSTS = 'jobboard_backend_hosts'
_PORT = 'jobboard_backend_port'
_ZOOKEEPER_TLS = 'jobboard_zookeeper_ssl_options'

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
            'Reinstall octavia-v2-checks, or the package that provides the '
            'backend.', **settings[_DRIVER].where)
        return
    if kind is None:
        yield unknown(settings)
        return
    found = missing(settings, deadline, kind.client)
    if found:
        yield found
        return
    yield from _client(settings, kind.client)
    for said in shared(kind, settings, deadline).probe():
        yield said if isinstance(said, str) else finding_of(settings, said)


def load(driver: str) -> type[jobboard.Jobboard] | None:
    """Return the backend of a driver, None if there is none.

    :raises ImportError: if it exists but does not load
    :raises AttributeError: likewise
    """
    for plugin in plugins.find(ENTRY_POINTS):
        if plugin.entry.name == driver:
            return plugin.load()
    return None


def shared(kind: type[jobboard.Jobboard], settings: settings_.Settings,
           deadline: clock.Deadline) -> jobboard.Jobboard:
    """Return the jobboard that all checks of a run ask.

    :raises findings.Blocked: for an option that a worker could not use
    """
    return deadline.shared('jobboard', lambda: kind(settings, deadline))


def missing(settings: settings_.Settings, deadline: clock.Deadline,
            client: jobboard.Client) -> Finding | None:
    """Return the finding of a client that is not installed, or None.

    Without it, little can be determined about the servers.
    """
    if importlib.util.find_spec(client.module) is not None:
        return None

    def make():
        try:
            seen = sniff.outline(deadline, settings.get(_HOSTS),
                                 settings.get(_PORT))
        except findings.Blocked as blocked:
            seen = f'{blocked.reason}.'
        return findings.finding(
            'jobboard.client-missing',
            f'{settings.get(_DRIVER)} needs the Python module '
            f'{client.module}, which {sys.executable} does not have; without '
            f'it only this is known: {seen}',
            _installing(client), **settings[_DRIVER].where)

    return deadline.shared('client missing', make)


def unknown(settings: settings_.Settings) -> Finding:
    """Return the finding of a driver without a backend."""
    driver = settings.get(_DRIVER)
    return findings.finding(
        'jobboard.undetermined',
        f'No installed backend can check {driver}.',
        f'Install a package that provides an entry point {driver} in '
        f'{ENTRY_POINTS}.', **settings[_DRIVER].where)


def finding_of(settings: settings_.Settings, fault: net.Fault) -> Finding:
    """Return the finding of a fault, the same in every row that has it.
    """
    where = settings[fault.option].where if fault.option else {}
    return findings.finding(f'jobboard.{fault.slug}', fault.text,
                            fault.remedy, host=fault.host, **where)


def _client(settings: settings_.Settings, client: jobboard.Client
            ) -> Iterator[Finding]:
    """Yield what is wrong with the client; it is searched for, not imported.
    """
    taskflow = versions.installed('taskflow')
    minimum = _minimum(client) if taskflow else None
    installed = versions.installed(client.distribution)
    if minimum and installed and versions.older(installed, minimum):
        yield findings.finding(
            'jobboard.client-old',
            f'TaskFlow {taskflow} needs {client.distribution}>={minimum}, '
            f'and {client.distribution} {installed} is installed.',
            _installing(client), **settings[_DRIVER].where)
        return
    known = broken.lookup(client.distribution, installed, 'tls')
    if known and _uses_tls(settings):
        yield findings.finding(
            'jobboard.client-broken',
            f'{client.distribution} {installed} is installed, and use_ssl is '
            f'on in {_ZOOKEEPER_TLS}: {known.fails}.', known.command,
            **settings[_ZOOKEEPER_TLS].where)


def _uses_tls(settings):
    options = settings.get(_ZOOKEEPER_TLS)
    return switches.is_true(options.get('use_ssl'))


def _installing(client: jobboard.Client) -> str:
    """Return the command that installs a client."""
    # The requirement of TaskFlow, if it is installed.
    minimum = _minimum(client) if versions.installed('taskflow') else None
    package = (f'{client.distribution}>={minimum}' if minimum
               else f'octavia-v2-checks[{client.extra}]')
    return (f'{shlex.quote(sys.executable)} -m pip install '
            f'{shlex.quote(package)}')


def _minimum(client: jobboard.Client) -> str | None:
    """Return the oldest client that the installed TaskFlow accepts.

    Its extras have only lower bounds, so a full parser of requirements is not
    worth its import time.
    """
    for text in versions.requirements('taskflow'):
        found = _BOUND.match(text)
        if found and (found[1].lower(), found[3]) == (
                client.distribution.lower(), client.extra):
            return found[2]
    return None

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

"""The available checks: ours, and those of other distributions."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import functools
import importlib
import re
from typing import NamedTuple

from octavia_v2_checks import catalogue
from octavia_v2_checks import clock
from octavia_v2_checks import plugins
from octavia_v2_checks import settings as settings_
from octavia_v2_checks.findings import Finding
from octavia_v2_checks.findings import Severity

ENTRY_POINTS = 'octavia_v2_checks.checks'

#: Classes with ``get_checks()``, as Neutron projects provide them for
#: ``neutron-status``: a list of (title, function of the upgrade command).
CLASSES = 'octavia.status.upgrade.checks'

#: Seconds within which the classes must have named their checks.
CLASSES_SECONDS = 5.0

OURS = 'octavia-v2-checks'

CheckFunction = Callable[[settings_.Settings, clock.Deadline],
                         Iterable[Finding | str]]


class Unfit(Exception):
    """Something offered as a check is not one; the text is free of secrets."""


class Check(NamedTuple):
    """One row of the report.

    :ivar load: returns the check function; called in the thread of the check,
        so that its imports run while others wait for the network
    :ivar owner: the distribution it comes from
    """

    id: str
    title: str
    load: Callable[[], CheckFunction]
    owner: str = OURS

    def accept(self, said: object) -> Finding | str:
        """Return what the check yielded, if it is what a check may yield.

        :raises Unfit: for anything else, and for an id of another check
        """
        if isinstance(said, Finding):
            if not all(isinstance(text, str) for text in (
                    said.id, said.message, said.remedy or '',
                    said.option or '', said.file or '', said.host or '')):
                raise Unfit('it yielded a Finding whose texts are not strings')
            if not isinstance(said.severity, Severity):
                raise Unfit('it yielded a Finding without a Severity')
            if self.owner != OURS and not said.id.startswith(f'{self.id}.'):
                raise Unfit(f'it yielded {said.id!r}, which is not its own '
                            f'id: they begin with {self.id}.')
        elif not isinstance(said, str):
            raise Unfit(f'it yielded {type(said).__name__}, which is neither '
                        f'Finding nor text')
        return said


def _own(id_: str) -> CheckFunction:
    def check(settings, deadline):
        # Where there is nothing to ask, the module is not imported.
        if id_ != 'config':
            settings.require_jobboard()
        return importlib.import_module(
            f'octavia_v2_checks.checks.{id_}').check(settings, deadline)

    return check


def checks() -> list[Check]:
    """Return every check that is installed, ours first.

    A check is an entry point in ``octavia_v2_checks.checks``, whose function
    may carry its row's title as an attribute ``title``, or one of those that
    a class in ``octavia.status.upgrade.checks`` names.
    """
    found = [Check(id_, title, functools.partial(_own, id_))
             for id_, title in catalogue.CHECKS.items()]
    for plugin in plugins.find(ENTRY_POINTS):
        name = plugin.entry.name
        if plugin.owner != OURS:
            _add(found, Check(name, name, plugin.load, plugin.owner))
    for plugin in plugins.find(CLASSES):
        for check in _of_class(plugin):
            _add(found, check)
    return found


def _add(found, check):
    if check.id in {c.id for c in found}:
        check = _failing(
            f'{check.owner}:{check.id}', check.title, check.owner,
            Unfit(f'it uses the id {check.id} of another check'))
    found.append(check)


def _failing(id_, title, owner, exc):
    """Return a check whose row tells why there is no other."""
    def load():
        raise exc
    return Check(id_, title, load, owner)


def _of_class(plugin) -> list[Check]:
    """Return the checks of one class, or one that fails in their place."""
    name, owner = plugin.entry.name, plugin.owner
    try:
        named = clock.bounded(lambda: list(plugin.load()().get_checks()),
                              clock.Clock(CLASSES_SECONDS))
        return list(_named(owner, name, named))
    except clock.OutOfTime:
        return [_failing(name, name, owner, Unfit(
            f'its class named no checks within {CLASSES_SECONDS:g} s'))]
    except BaseException as exc:
        return [_failing(name, name, owner, exc)]


def _named(owner, name, named) -> Iterator[Check]:
    for title, function in named:
        slug = re.sub('[^a-z0-9]+', '-', str(title).lower()).strip('-')
        id_ = f'{name}-{slug}'
        yield Check(id_, str(title),
                    functools.partial(_adapted, id_, function), owner)


def _adapted(id_, given) -> CheckFunction:
    """Return a check that calls a function of the upgrade command.

    :param given: the function, or a tuple of it and keyword arguments, as
        oslo.upgradecheck has them
    """
    function, arguments = given if isinstance(given, tuple) else (given, {})

    def check(_settings, _deadline):
        # A bound method of the class, called with the command that runs it;
        # here there is no such command.
        result = function(None, **arguments)
        severity = Severity(int(result.code))
        details = str(result.details or '')
        if severity is Severity.SUCCESS:
            yield details
        else:
            yield Finding(f'{id_}.{severity.name.lower()}', severity, details)

    return check

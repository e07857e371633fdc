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

"""Reports of several hosts: do they agree on what resumption requires?"""

import collections
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import json
import os
import re
from typing import Any
from typing import NamedTuple

from octavia_v2_checks.findings import Severity
from octavia_v2_checks.reports import text
from octavia_v2_checks.settings import redact

SCHEMA_VERSION = 1

#: Characters of a value that are shown.
_WIDEST = 1000

#: Bytes of the largest report; a real one has a few thousand.
LARGEST = 16 << 20


class Unusable(Exception):
    """A file that is not a report; the text names it and says what to do."""


@dataclasses.dataclass(frozen=True)
class HostReport:
    """The relevant parts of the report of one host.

    :ivar name: the host, with the file if two reports name the same host
    :ivar host: the host that the report names
    :ivar values: what must agree, by name
    """

    name: str
    host: str
    values: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Difference:
    """One difference between hosts.

    :ivar values: each value, as shown, with the hosts that have it; the most
        common first
    """

    what: str
    severity: Severity
    message: str
    remedy: str
    values: tuple[tuple[str, tuple[str, ...]], ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the difference as the JSON document shows it."""
        return dataclasses.asdict(self) | {
            'severity': self.severity.name.lower(),
            'values': [{'value': value, 'hosts': list(hosts)}
                       for value, hosts in self.values]}


def _always(_values: Sequence[Any]) -> Severity:
    return Severity.FAILURE


def _harmless(_values: Sequence[Any]) -> Severity:
    return Severity.WARNING


def _if_disjoint(values: Sequence[Any]) -> Severity:
    """Lists that overlap most likely belong to the same servers."""
    common = set.intersection(*(set(v) for v in values))
    return Severity.WARNING if common else Severity.FAILURE


def _if_major(values: Sequence[Any]) -> Severity:
    majors = {re.split(r'\D', str(v))[0] for v in values}
    return Severity.FAILURE if len(majors) > 1 else Severity.WARNING


class _Rule(NamedTuple):
    severity: Callable[[Sequence[Any]], Severity]
    message: str
    remedy: str


_RELEASES = ('Upgrade the controllers to one release, after the workers of '
             'the old one have finished their jobs: octavia-v2-checks upgrade '
             'check --only inflight')

_RULES = {
    'jobboard_enabled': _Rule(
        _always, 'Some hosts use the jobboard and some do not: flows of the '
        'latter are lost with their worker.',
        'Set [task_flow] jobboard_enabled to the same value on all.'),
    'jobboard_backend_driver': _Rule(
        _always, 'The hosts look for jobs on different kinds of servers.',
        'Set [task_flow] jobboard_backend_driver to the same value on all.'),
    'jobboard': _Rule(
        _if_disjoint, 'The hosts look for jobs on different servers.',
        'Set [task_flow] jobboard_backend_hosts, jobboard_backend_port, '
        'jobboard_redis_backend_db and jobboard_redis_sentinel to the same '
        'values on all.'),
    'jobboard_backend_namespace': _Rule(
        _always, 'The hosts look for jobs under different names: none sees '
        'those of another.',
        'Set [task_flow] jobboard_backend_namespace to the same value on '
        'all.'),
    'jobboard_expiration_time': _Rule(
        _harmless, 'Claims last for different times: how long a load '
        'balancer waits for another worker depends on which one died.',
        'Set [task_flow] jobboard_expiration_time to the same value on all.'),
    'persistence': _Rule(
        _always, 'The hosts record their flows in different databases: a '
        'worker that claims a job of another host finds no logbook, and '
        'trashes the job.',
        'Set [task_flow] persistence_connection to the same database on '
        'all.'),
    'octavia': _Rule(
        _if_major, 'The hosts have different releases of Octavia: a flow of '
        'one may not exist in another.', _RELEASES),
    'taskflow': _Rule(
        _if_major, 'The hosts have different releases of TaskFlow: one may '
        'not read what another has stored.', _RELEASES),
}

_LOCAL = re.compile(
    r'(?:^|//)(?:localhost|127\.[\d.]+|\[::1\])(?=[:/])|^sqlite:|^memory:')


def read(paths: Sequence[str]) -> list[HostReport]:
    """Read the JSON reports of several hosts.

    :raises Unusable: for a file that is not a report, and for fewer than two
    """
    if len(paths) < 2:
        raise Unusable('name at least two reports, of different hosts')
    documents = [_document(path) for path in paths]
    hosts = [document['host'] for document in documents]
    many = collections.Counter(hosts)
    return [HostReport(
        host if many[host] == 1 else f'{host} ({path})', host,
        _values(path, document))
        for path, host, document in zip(paths, hosts, documents, strict=True)]


def _values(path, document):
    """Return what must agree, if it can be compared."""
    given = document['resumption'] | {name: document.get(name)
                                      for name in ('octavia', 'taskflow')}
    values = {name: given.get(name) for name in _RULES}
    for name, value in values.items():
        parts = value if isinstance(value, list) else [value]
        kinds = str if isinstance(value, list) else (
            str, int, float, type(None))
        if not all(isinstance(part, kinds) for part in parts):
            raise Unusable(f'{path}: "{name}" is not a text, number or list '
                           'of texts. Write it with octavia-v2-checks upgrade '
                           'check --json')
    return values


def _document(path):
    try:
        with open(path, 'rb') as stream:
            data = stream.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise Unusable(f'{path}: larger than {LARGEST >> 20} MiB, so not '
                           'a report')
        document = json.loads(data.decode())
    except OSError as exc:
        raise Unusable(f'{path}: {os.strerror(exc.errno or 0)}') from None
    # Python raises the last one for ten thousand brackets.
    except (ValueError, RecursionError):
        raise Unusable(f'{path}: not JSON. Write it with octavia-v2-checks '
                       'upgrade check --json') from None
    if not isinstance(document, dict) or document.get(
            'schema_version') != SCHEMA_VERSION:
        raise Unusable(f'{path}: not a report with "schema_version": '
                       f'{SCHEMA_VERSION}. Write it with octavia-v2-checks '
                       'upgrade check --json')
    if not (isinstance(document.get('host'), str)
            and isinstance(document.get('resumption'), dict)):
        raise Unusable(f'{path}: a report without "host" and "resumption". '
                       f'Write it with octavia-v2-checks upgrade check '
                       f'--json of this version')
    return document


def differences(reports: Sequence[HostReport]) -> list[Difference]:
    """Return what the hosts differ in, worst first."""
    found = []
    for what, rule in _RULES.items():
        given = {r.name: r.values.get(what) for r in reports}
        known = [v for v in given.values() if v is not None]
        values = _grouped(given)
        if what == 'jobboard_enabled' and len(known) < len(given):
            found.append(_unreadable(values))
        elif len(_grouped({str(i): v for i, v in enumerate(known)})) > 1:
            found.append(Difference(what, rule.severity(known), rule.message,
                                    rule.remedy, values))
        elif known and len(known) < len(given) and _comparable(what, reports):
            found.append(Difference(
                what, Severity.WARNING, 'The reports of some hosts do not '
                'contain '
                f'{what}.', 'Run the check where Octavia runs.', values))
        elif len({r.host for r in reports if r.values.get(what)
                  is not None}) > 1 and _is_local(known):
            found.append(Difference(
                what, Severity.FAILURE, 'Every host names itself: no host '
                'sees what another writes.', rule.remedy, values))
    return sorted(found, key=lambda d: -d.severity)


def _comparable(what, reports):
    """Return whether a value that one report lacks should be there."""
    return what in ('octavia', 'taskflow') or (
        what != 'jobboard_expiration_time'
        and all(r.values.get('jobboard_enabled') for r in reports))


def _unreadable(values):
    return Difference(
        'jobboard_enabled', Severity.FAILURE, 'The configuration of some '
        'hosts could not be read, so nothing is known about them.',
        'Fix it: octavia-v2-checks validate', values)


def _is_local(known):
    texts = known[0] if known and isinstance(known[0], list) else known[:1]
    return any(isinstance(t, str) and _LOCAL.search(t) for t in texts)


def _grouped(given):
    """Return each value, as shown, with the hosts that have it; the most
    common first.
    """
    groups: dict[str, list[str]] = {}
    for name, value in given.items():
        shown = ('unknown' if value is None else ', '.join(value)
                 if isinstance(value, list) else str(value))
        groups.setdefault(shown, []).append(name)
    # The values come from files that anybody may have written.
    return tuple(sorted(((redact.without_credentials(value[:_WIDEST]),
                          tuple(names)) for value, names in groups.items()),
                        key=lambda group: -len(group[1])))


def render(form: str, reports: Sequence[HostReport],
           found: Sequence[Difference]) -> str:
    """Return the comparison as ``table`` or ``json``."""
    if form == 'json':
        return json.dumps({
            'schema_version': SCHEMA_VERSION, 'result': exit_code(found),
            'hosts': [r.name for r in reports],
            'differences': [d.as_dict() for d in found]}, indent=2)
    if not found:
        return (f'{len(reports)} hosts agree on everything that resumption '
                'requires.')
    lines = []
    for difference in found:
        lines += [f'{difference.what}: {difference.severity.name.lower()}: '
                  f'{difference.message}']
        lines += [text.line(f'    {value}: {", ".join(hosts)}')
                  for value, hosts in difference.values]
        lines += [f'    Remedy: {difference.remedy}', '']
    return '\n'.join(lines).rstrip('\n')


def exit_code(found: Sequence[Difference]) -> int:
    """Return 0, 1 or 2, as ``upgrade check`` does."""
    return int(max((d.severity for d in found), default=Severity.SUCCESS))

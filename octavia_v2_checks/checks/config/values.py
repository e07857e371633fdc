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

"""Values: what oslo.config refuses, and what Octavia does with the rest."""

from collections.abc import Iterator
import re

from oslo_config import types

from octavia_v2_checks import opts
from octavia_v2_checks import settings as settings_
from octavia_v2_checks import waivers
from octavia_v2_checks.checks.config.names import nearest
from octavia_v2_checks.checks.config.view import DRIVER_OF
from octavia_v2_checks.checks.config.view import ETCD
from octavia_v2_checks.checks.config.view import named
from octavia_v2_checks.checks.config.view import OF_SENTINEL
from octavia_v2_checks.checks.config.view import plain
from octavia_v2_checks.checks.config.view import REDIS
from octavia_v2_checks.checks.config.view import SERVER
from octavia_v2_checks.checks.config.view import shown
from octavia_v2_checks.checks.config.view import View
from octavia_v2_checks.checks.config.view import ZOOKEEPER
from octavia_v2_checks.findings import Finding
from octavia_v2_checks.findings import finding
from octavia_v2_checks.settings import providers
from octavia_v2_checks.settings import redact
from octavia_v2_checks.upstream import clients_zookeeper

#: Driver and option -> seconds beyond which server or client refuse: etcd's
#: longest lease, milliseconds in the 17 digits of a number of Redis, and
#: nanoseconds in Python.
_LONGEST = {
    (ETCD, 'jobboard_expiration_time'): 9_000_000_000,
    (REDIS, 'jobboard_expiration_time'): 99_999_999_999_999,
    (ETCD, 'jobboard_etcd_timeout'): 9_223_372_036,
}

#: Seconds, the default of Octavia.
_SHORTEST_CLAIM = 30

_TYPES = {opt.dest: opt.type for options in settings_.schema().values()
          for opt in options}


def sources(view: View) -> Iterator[Finding]:
    """Yield config sources that did not answer."""
    for group, what in view.settings.broken_sources.items():
        yield finding(
            'config.invalid-value',
            f'The config source {plain(group)} could not be read ({what}), '
            f'so the values that it supplies are unknown.',
            f'Fix section [{plain(group)}], or remove it from [DEFAULT] '
            'config_source.', option='DEFAULT.config_source',
            **_config_source(view))


def _config_source(view):
    for file in reversed(view.settings.files):
        assignment = file.find('DEFAULT', 'config_source')
        if assignment:
            return {'file': file.path, 'line': assignment.line}
    return {}


def invalid(view: View) -> Iterator[Finding]:
    """Yield values of the wrong type, out of range or not among the choices.
    """
    for value in view.settings.values.values():
        if (value.error not in ('value', 'use')
                or value.option in view.reported
                or value.name == 'persistence_connection'
                or value.name.endswith('_ssl_options')
                or not view.matters(value)):
            continue
        what, remedy = _expected(value)
        if value.group == opts.TASK_FLOW and view.foreign(value.name):
            remedy = (f'Delete the line: {view.driver} does not read it, but '
                      f'every service logs it at start-up and stops.')
        yield finding(
            'config.invalid-value',
            f'{shown(value)} is {what}.' if value.written.strip()
            else f'{named(value)} is empty, which is {what}.',
            remedy, **value.where)


def _expected(value):
    """Return what the value is, and what fixes it."""
    if value.name == 'jobboard_redis_sentinel':
        return ('a name to Octavia, which uses the hosts as Sentinels',
                'Delete the line, or write the name of the Redis master.')
    if value.name == 'jobboard_etcd_api_path':
        return ('used as it is, instead of asking the server',
                'Write /v3/, or delete the line.')
    kind = _TYPES[value.name]
    if isinstance(kind, opts.Waiver):
        return (f'not written {waivers.FORM}, or has a day that does not '
                f'exist', f'Write {waivers.FORM}.')
    if isinstance(kind, opts.ReportFile):
        return ('not written FORMAT:PATH',
                'Write it like junit:/var/log/octavia/checks.xml.')
    choices = getattr(kind, 'choices', None)
    if choices:
        near = (None if value.doubtful
                else nearest(value.written, tuple(choices)))
        hint = f'; did you mean {near}?' if near else ''
        return (f'none of {", ".join(choices)}{hint}'.rstrip('?'),
                f'Write {near or " or ".join(choices)}.')
    if isinstance(kind, types.Boolean):
        return 'neither true nor false', 'Write true or false.'
    if isinstance(kind, types.Number):
        low, high = kind.min, kind.max
        span = (f' from {low:g} to {high:g}' if high is not None else
                f' of {low:g} or more' if low is not None else '')
        what = 'number' if isinstance(kind, types.Float) else 'whole number'
        return f'not a {what}{span}', f'Write a {what}{span}.'
    if isinstance(kind, types.Dict):
        return ('not a list of NAME:DESCRIPTION pairs',
                'Write NAME:DESCRIPTION pairs, separated by commas.')
    return 'no name', 'Write a name, or delete the line.'


def strange_providers(view: View) -> Iterator[Finding]:
    """Yield unknown providers, which may be intended as amphora."""
    value = view.settings['api_settings', 'enabled_provider_drivers']
    if value.error or value.option in view.reported:
        return
    right = 'such as "amphora:The Octavia Amphora driver".'
    if not value.value:
        yield finding(
            'config.provider-unknown',
            f'{named(value)} is empty, so Octavia serves no load balancers at '
            'all.', f'Name the providers, {right}', **value.where)
    for name in providers.unknown(value.value):
        near = providers.meant(name)
        yield finding(
            'config.provider-unknown',
            f'{named(value)} names the provider '
            f'{redact.option_name(name)!r}: {providers.looked()}.'
            + (f' Did you mean {near}?' if near else ''),
            f'Write {near}.' if near else
            f'Install its driver, or correct the name, {right}',
            **value.where)


def paths(view: View) -> Iterator[Finding]:
    """Yield paths of the jobboard that its client cannot join."""
    value = view.usable('jobboard_etcd_api_path')
    if value and value.value and not (
            value.value.startswith('/') and value.value.endswith('/')):
        yield finding(
            'config.invalid-value',
            f'{shown(value)} does not begin and end with a slash, and is '
            'joined with host and key unchanged.',
            'Write /v3/, or delete the line.' if '://' in value.value else
            f'Write /{value.value.strip("/")}/, or delete the line.',
            **value.where)
    value = view.usable('jobboard_backend_namespace')
    if value and view.driver == ZOOKEEPER:
        yield from _namespace(value)
    if value and view.driver == ETCD and not value.value.isascii():
        yield finding(
            'config.invalid-value',
            f'{shown(value)} is not ASCII: the client for etcd writes it as '
            f'latin-1, and TaskFlow, which reads UTF-8, never finds a job.',
            'Write letters, digits, and signs of ASCII only.', **value.where)


def _namespace(value):
    """Yield a ZooKeeper path that a worker cannot use."""
    refused = clients_zookeeper.REFUSED
    try:
        if re.search(refused, value.value):
            what = ('which has a character that ZooKeeper refuses '
                    '(BadArgumentsError)')
        elif clients_zookeeper.paths(value.value).claimable:
            return
        else:
            what = ('in which TaskFlow does not find its own jobs: it posts '
                    'them but cannot claim them (NotFound)')
    except ValueError:
        what = 'which kazoo refuses (ValueError)'
    parts = [part for part in re.sub(refused, '', value.value).split('/')
             if part not in ('', '.', '..')]
    yield finding(
        'config.invalid-value',
        f'{shown(value)} leads to the ZooKeeper path /{plain(value.value)}, '
        f'{what}.', f'Write {"/".join(parts) or "octavia_jobboard"}.',
        **value.where)


def trap(view: View) -> Iterator[Finding]:
    """Yield jobboard servers that releases after Ussuri do not use."""
    switch = view.settings['jobboard_enabled']
    if (switch.source != 'default' or not view.amphora
            or switch.option in view.reported):
        return
    for value in view.given(opts.TASK_FLOW):
        if value.name in DRIVER_OF or value.name.startswith(
                'jobboard_backend_'):
            yield finding(
                'config.jobboard-disabled',
                f'{named(value)} is set but jobboard_enabled is not, so the '
                'jobboard is off.',
                **value.where | {'option': switch.option})
            return


def ignored(view: View) -> Iterator[Finding]:
    """Yield options that the chosen driver does not read."""
    if not view.jobboard or view.driver is None:
        return
    server = SERVER[view.driver]
    for value in view.given(opts.TASK_FLOW):
        if view.used(value.name):
            continue
        if value.name in OF_SENTINEL and DRIVER_OF[value.name] == view.driver:
            why = 'jobboard_redis_sentinel is not set'
        elif value.name.startswith('jobboard_backend_'):
            why = f'Octavia cannot authenticate to {server}'
        else:
            why = f'the jobboard driver is {view.driver}'
        yield finding(
            'config.ignored-option',
            f'{named(value)} has no effect: {why}.',
            f'Delete the line{_instead(value.name)}.', **value.where)


def _instead(name):
    if name in OF_SENTINEL:
        return ', or set jobboard_redis_sentinel'
    if name.startswith('jobboard_backend_'):
        return '; the server must accept Octavia without a password'
    return ''


def short_claims(view: View) -> Iterator[Finding]:
    """Yield a claim time that a busy worker can miss."""
    value = view.usable('jobboard_expiration_time')
    if (value and view.driver not in (None, ZOOKEEPER)
            and value.value < _SHORTEST_CLAIM):
        yield finding(
            'config.expiration-short',
            f'{shown(value)}: a worker that is delayed for '
            f'{value.value / 2:g} s loses its job.', **value.where)


def too_long(view: View) -> Iterator[Finding]:
    """Yield times that the worker's client cannot ask for."""
    for (driver, name), longest in _LONGEST.items():
        value = view.usable(name) if driver == view.driver else None
        if value and value.value and value.value > longest:
            yield finding(
                'config.invalid-value',
                f'{shown(value)} is more seconds than {SERVER[driver]} or '
                f'its client can count.',
                f'Write a number of {longest} or less, such as '
                f'{_SHORTEST_CLAIM}.', **value.where)


def no_revert(view: View) -> Iterator[Finding]:
    """Yield the debugging switch that leaves failed flows as they are."""
    value = view.usable('disable_revert')
    if value and value.value:
        yield finding('config.disable-revert',
                      f'{shown(value)}: failed flows are not reverted.',
                      **value.where)


RULES = [sources, invalid, strange_providers, paths, trap, ignored,
         short_claims, too_long, no_revert]

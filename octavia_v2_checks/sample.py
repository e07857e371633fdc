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

"""A ready ``[task_flow]`` section, and the statements that go with it."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
import re
import secrets
import string
import textwrap

from octavia_v2_checks import opts
from octavia_v2_checks import provision as provision_
from octavia_v2_checks import settings as settings_
from octavia_v2_checks.checks import config
from octavia_v2_checks.checks.config import names
from octavia_v2_checks.settings import inifile
from octavia_v2_checks.settings import reader
from octavia_v2_checks.settings import UsageError

_WIDTH = 77

#: Omitted by default if the installed Octavia lacks them: the login is then
#: that of the server, not of a user.
_DISPENSABLE = frozenset({'jobboard_backend_username',
                          'jobboard_redis_sentinel_password'})

_WHY = {
    'persistence_connection':
        'Every step of every flow is recorded here. It must be a separate '
        'database, because Octavia and TaskFlow cannot share a version table.',
    'jobboard_enabled':
        'Without it Octavia uses neither jobboard nor persistence database, '
        'and a flow is lost with its worker.',
    'jobboard_backend_namespace':
        'Prefix of every key. A second cloud on the same servers needs a '
        'different one.',
    'jobboard_redis_sentinel':
        'The name in "sentinel monitor" of sentinel.conf.',
    'jobboard_redis_sentinel_password':
        'The Sentinels have a separate password.',
    'jobboard_expiration_time':
        'The claim of a worker that died expires after this time. A worker '
        'that is delayed for half of it loses its job, and the flow runs '
        'twice; the default of 30 is short for a busy controller.',
    'jobboard_etcd_timeout':
        'Without a limit, a silent etcd blocks a worker permanently.',
}

_WHY_HERE: Mapping[str, Mapping[str, str]] = {
    'redis': {'jobboard_backend_hosts':
              'One host: Octavia uses only the first unless the hosts are '
              'Sentinels.'},
    'redis-sentinel': {'jobboard_backend_hosts':
                       'All Sentinels, at least three; Redis itself is not '
                       'listed. The port is also theirs.'},
    'zookeeper': {'jobboard_backend_hosts': 'All members of the ensemble.'},
    'etcd': {'jobboard_backend_hosts':
             'One host: Octavia uses only the first. With several members, '
             'use an address in front of them.'},
    'none': {'jobboard_enabled':
             'Off on purpose: a flow is lost with its worker, and its load '
             'balancer stays in PENDING until somebody fixes it.'},
}


def _password() -> str:
    """Return a new password that needs no quoting in URL, SQL, ini or ACL."""
    letters = string.ascii_letters + string.digits
    return ''.join(secrets.choice(letters) for _ in range(32))


def _jobboard(driver: str, port: int, **more: str) -> dict[str, str]:
    # The account is not called octavia: The database of Octavia usually has an
    # account of that name, with another password.
    return {
        'persistence_connection': f'mysql+pymysql://octavia_taskflow:'
                                  f'{_password()}@127.0.0.1/'
                                  f'octavia_persistence',
        'jobboard_enabled': 'true',
        'jobboard_backend_driver': driver,
        'jobboard_backend_hosts': '127.0.0.1',
        'jobboard_backend_port': str(port),
        'jobboard_backend_namespace': 'octavia_jobboard',
    } | more


def _redis(port: int, **more: str) -> dict[str, str]:
    return _jobboard('redis_taskflow_driver', port,
                     jobboard_backend_username='octavia',
                     jobboard_backend_password=_password(),
                     jobboard_expiration_time='100', **more)


#: Backend -> function that returns its options, with new passwords.
BACKENDS: Mapping[str, Callable[[], dict[str, str]]] = {
    'redis': lambda: _redis(6379),
    'redis-sentinel': lambda: _redis(
        26379, jobboard_redis_sentinel='mymaster',
        jobboard_redis_sentinel_password=_password()),
    # Claims on ZooKeeper end with the session and need no expiration time.
    'zookeeper': lambda: _jobboard('zookeeper_taskflow_driver', 2181),
    'etcd': lambda: _jobboard('etcd_taskflow_driver', 2379,
                              jobboard_expiration_time='100',
                              jobboard_etcd_timeout='10'),
    'none': lambda: {'jobboard_enabled': 'false'},
}


def render(backend: str, assignments: Iterable[str] = (),
           provision: bool = False) -> str:
    """Return a fragment of octavia.conf in which ``validate`` finds nothing.

    :param backend: one of :data:`BACKENDS`
    :param assignments: ``OPTION=VALUE`` texts, the value as a worker is to see
        it; an empty one omits the option
    :param provision: whether to add, as comments, what to run on the servers
    :raises UsageError: for an option that does not exist, or a value that
        leads to a finding
    """
    given = _given(assignments)
    options = BACKENDS[backend]()
    decided = {name: options[name] for name in (
        'jobboard_enabled', 'jobboard_backend_driver') if name in options}
    options = {name: value for name, value in (options | given).items()
               if value}
    settings = _settings(options)
    _compare(backend, decided, settings)
    found = list(config.mistakes(settings))
    too_new = {f.option.partition('.')[2] for f in found
               if f.id == 'config.release' and f.option}
    surplus = (too_new & _DISPENSABLE) - given.keys()
    if surplus:
        options = {name: value for name, value in options.items()
                   if name not in surplus}
        settings = _settings(options)
        found = list(config.mistakes(settings))
    for finding in found:
        raise UsageError(f'{finding.message} {finding.remedy}')
    _verify(options, settings)
    text = _section(options, {**_WHY, **_WHY_HERE[backend]})
    if provision:
        for block in provision_.blocks(settings):
            text += _comment(block)
    return text.rstrip('\n')


def _given(assignments):
    """Parse OPTION=VALUE texts; the last one of an option counts."""
    given = {}
    for assignment in assignments:
        name, equals, value = assignment.partition('=')
        name = name.strip()
        if not equals:
            # Not repeated: it may be a password.
            raise UsageError('--set takes OPTION=VALUE')
        if name not in opts.SINCE:
            near = names.nearest(name, tuple(opts.SINCE))
            hint = f' Did you mean {near}?' if near else (
                ' "oslo-config-generator --namespace '
                'octavia_v2_checks.task_flow" prints all options.')
            raise UsageError(f'--set: [task_flow] has no option '
                             f'{name!r}.{hint}')
        if not value.isprintable():
            raise UsageError(f'--set {name}: the value contains a character '
                             'that cannot be printed')
        given[name] = value
    return given


def _settings(options):
    """Return the settings that a worker would read from these options."""
    file = inifile.parse('sample', _section(options).encode())
    values = reader.Reader([file], settings_.schema(), {}).values()
    return settings_.Settings(values, (file,), ())


def _compare(backend, decided, settings):
    """Raise if an option contradicts the backend."""
    expected = _settings(decided)
    for name in decided:
        value = settings[name]
        if not value.error and value.value != expected[name].value:
            raise UsageError(f'--set {name} contradicts --backend {backend}')


def _verify(options, settings):
    """Raise if oslo.config would read back anything other than intended."""
    for name, value in options.items():
        if settings[name].text != value:
            raise UsageError(f'--set {name}: an octavia.conf cannot hold '
                             f'this value')


def _section(options, why: Mapping[str, str] | None = None):
    lines = [f'[{opts.TASK_FLOW}]']
    for option in opts.task_flow_opts():
        name = option.dest
        if name in options:
            lines += _wrapped((why or {}).get(name, ''))
            lines.append(f'{name} = {_written(options[name])}')
    return '\n'.join(lines) + '\n'


def _written(value):
    """Return a value as oslo.config reads it from a file."""
    # \$ stands for $ as well, so a backslash before it is doubled.
    value = re.sub(r'\\?\$', lambda found: (
        r'\\$' if len(found[0]) > 1 else '$$'), value)
    if value == value.strip() and not {value[0], value[-1]} & {'"', "'"}:
        return value
    quote = "'" if value.count('"') % 2 else '"'
    return f'{quote}{value}{quote}'


def _comment(block):
    lines = ['', *_wrapped(f'--- {block.where}:')]
    for note in block.notes:
        lines += _wrapped(note)
    lines += [f'#     {statement}' for statement in block.statements]
    return '\n'.join(lines) + '\n'


def _wrapped(text):
    return [f'# {line}' for line in textwrap.wrap(
        text, _WIDTH, break_long_words=False, break_on_hyphens=False)]

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

"""What is otherwise in a configuration than in one that fits the system.

To add a way to write an option, add a function to :data:`SPELLINGS`. A change
is called ``OPTION=NAME`` with a name of :data:`values.VALUES`,
``OPTION@NAME`` with one of ``SPELLINGS``, and ``OPTION~TEXT`` or
``OPTION.PART~TEXT`` with a text of :mod:`odd`, quoted as in a URL.
"""

from collections.abc import Callable
from urllib import parse

from octavia_v2_checks import opts
from tests.truth import jobboards
from tests.truth import systems
from tests.truth import values

OPTIONS = [option.dest for option in opts.task_flow_opts()]

#: What the names of options begin with, and names of changes do not.
_PREFIX = 'jobboard_'

#: Options of one family alone; what has none of these is for all.
FAMILIES = {
    'jobboard_backend_username': {'redis', 'sentinel'},
    'jobboard_backend_password': {'redis', 'sentinel'},
    'jobboard_redis_backend_db': {'redis', 'sentinel'},
    'jobboard_redis_sentinel': {'redis', 'sentinel'},
    'jobboard_redis_backend_ssl_options': {'redis', 'sentinel'},
    'jobboard_redis_sentinel_username': {'sentinel'},
    'jobboard_redis_sentinel_password': {'sentinel'},
    'jobboard_redis_sentinel_ssl_options': {'sentinel'},
    'jobboard_zookeeper_ssl_options': {'zookeeper'},
    'jobboard_etcd_ssl_options': {'etcd'},
    'jobboard_etcd_timeout': {'etcd'},
    'jobboard_etcd_api_path': {'etcd'},
}


def _lines(*forms: str):
    """Write the option in lines with ``{name}`` and ``{value}``."""
    def spell(system, name, value):
        system.spelled[name] = [
            form.format(name=name, value=value) for form in forms]

    return spell


def _elsewhere(section: str):
    def spell(system, name, value):
        system.spelled[name] = []
        system.outside += [f'[{section}]', f'{name} = {value}']

    return spell


def _in_environment(system, name, value):
    system.spelled[name] = []
    system.environ[f'OS_TASK_FLOW__{name.upper()}'] = value


#: Name -> function of the system, the option and its value.
SPELLINGS: dict[str, Callable[[systems.System, str, str], None]] = {
    'quoted': _lines('{name} = "{value}"'),
    'single-quoted': _lines("{name} = '{value}'"),
    'half-quoted': _lines("{name} = '{value}"),
    'comment': _lines('{name} = {value}  # as it was'),
    'semicolon': _lines('{name} = {value} ; as it was'),
    'colon': _lines('{name}: {value}'),
    'dense': _lines('{name}={value}'),
    'indented': _lines('  {name} = {value}'),
    'continued': _lines('{name} =', '  {value}'),
    'more': _lines('{name} = {value}', '  and more'),
    'capital': lambda system, name, value: _lines(
        f'{name.upper()} = {{value}}')(system, name, value),
    'hyphens': lambda system, name, value: _lines(
        f'{name.replace("_", "-")} = {{value}}')(system, name, value),
    'misspelt': lambda system, name, value: _lines(
        f'{name[:-1]} = {{value}}')(system, name, value),
    'twice': _lines('{name} = {value}', '{name} = {value}'),
    'no value': _lines('{name}'),
    'commented out': _lines('# {name} = {value}'),
    'in DEFAULT': _elsewhere('DEFAULT'),
    'in taskflow': _elsewhere('taskflow'),
    'in TASK_FLOW': _elsewhere('TASK_FLOW'),
    'in environment': _in_environment,
}


def short(option: str) -> str:
    """The name of an option as names of changes have it."""
    return option.removeprefix(_PREFIX)


def _option(name: str) -> str:
    return name if name in OPTIONS else _PREFIX + name


def value_name(option: str, name: str) -> str:
    """The name of a change to a value of :data:`VALUES`."""
    return f'{short(option)}={name}'


def spelling_name(option: str, name: str) -> str:
    """The name of a change of how an option is written."""
    return f'{short(option)}@{name}'


def odd_name(option: str, text: str) -> str:
    """The name of a change to an odd text."""
    return f'{short(option)}~{parse.quote(text, safe="")}'


def apply(name: str, system: systems.System) -> None:
    """Change a system, and later its servers, as a name says.

    :raises KeyError: if there is no such change
    """
    for sign, change in (('~', _odd), ('=', _value), ('@', _spelling)):
        option, found, rest = name.partition(sign)
        if found:
            change(system, option, rest)
            return
    raise KeyError(name)


def _value(system, option, name):
    option = _option(option)
    value = values.VALUES[option][name]
    system.options[option] = value(system) if callable(value) else value


def _spelling(system, option, name):
    option = _option(option)
    value = system.options.get(option)
    if value is systems.ABSENT:
        value = DEFAULTS[option]
    system.options[option] = value
    SPELLINGS[name](system, option, value)


#: What is written where a system has no value of an option.
DEFAULTS = {
    'engine': 'serial', 'max_workers': '3', 'disable_revert': 'False',
    'jobboard_backend_username': 'default',
    'jobboard_backend_password': 'some-text', 'jobboard_redis_backend_db':
    '1', 'jobboard_redis_sentinel': 'jobs',
    'jobboard_redis_sentinel_username': 'default',
    'jobboard_redis_sentinel_password': 'some-text',
    'jobboard_redis_backend_ssl_options': 'ssl:False',
    'jobboard_redis_sentinel_ssl_options': 'ssl:False',
    'jobboard_zookeeper_ssl_options': 'use_ssl:False',
    'jobboard_etcd_ssl_options': 'use_ssl:', 'jobboard_etcd_timeout': '5',
    'jobboard_etcd_api_path': '/v3/', 'jobboard_expiration_time': '20',
    'jobboard_save_logbook': 'False',
}


def _odd(system, option, quoted):
    text = parse.unquote(quoted)
    option, _, part = option.partition('.')
    option = _option(option)
    if part:
        system.options[option] = systems.written(
            system.database.url(**{part: text}))
        system.agreements.append(
            lambda: system.database.allow(**{part: text}))
        return
    system.options[option] = systems.written(text)
    if option == 'jobboard_backend_password':
        user = system.options.get('jobboard_backend_username')
        system.agreements.append(lambda: system.board.allow(user, text))
    elif option == 'jobboard_backend_username':
        system.agreements.append(
            lambda: system.board.allow(text, jobboards.PASSWORD))

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

"""Files, environment and defaults, read once, into something frozen.

The values come from oslo.config itself, on a private ``ConfigOpts``; the
file and line of each come from :mod:`octavia_v2_checks.inifile`. Nothing
here touches ``cfg.CONF``.
"""

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import functools
import os
import re
import shlex
from typing import Any
from urllib import parse

from oslo_config import cfg

from octavia_v2_checks import findings
from octavia_v2_checks import inifile
from octavia_v2_checks import opts

#: Program whose default files are read: octavia.conf and octavia-status.conf
#: with their .conf.d directories, in ~/.octavia, ~, /etc/octavia and /etc.
PROG = 'octavia-status'

#: Provider names under which the amphora driver runs the amphorav2 code
#: (octavia.api.drivers entry points, from 9.0.0 on).
AMPHORA_PROVIDERS = frozenset({'amphora', 'amphorav2', 'octavia'})


class UsageError(Exception):
    """What was asked for cannot be read at all; exit code 64."""


@dataclasses.dataclass(frozen=True)
class Value:
    """One option as a worker would read it.

    :ivar value: typed; None where ``error`` is set
    :ivar raw: the text it came from, None for a default
    :ivar source: ``default``, ``file``, ``environment`` or ``source`` (another
        config source, such as Vault)
    :ivar origin: the file, the variable, or the kind of source
    :ivar error: ``value`` or ``substitution`` where oslo.config raises
    """

    group: str
    name: str
    value: Any
    raw: str | None = None
    source: str = 'default'
    origin: str | None = None
    line: int | None = None
    error: str | None = None
    secret: bool = False

    @property
    def option(self) -> str:
        """``group.name``, as findings show it."""
        return f'{self.group}.{self.name}'

    @property
    def where(self) -> dict[str, Any]:
        """Option, file and line, as keyword arguments of a finding."""
        is_file = self.source == 'file'
        return {'option': self.option,
                'file': self.origin if is_file else None,
                'line': self.line if is_file else None}


@dataclasses.dataclass(frozen=True)
class Settings:
    """All that the checks know of a configuration.

    :ivar values: ``(group, name)`` -> :class:`Value`, every known option
    :ivar files: what was read, in oslo.config's order: later ones win
    :ivar arguments: the ``--config-file`` and ``--config-dir`` arguments
    """

    values: Mapping[tuple[str, str], Value]
    files: tuple[inifile.ConfigFile, ...]
    arguments: tuple[str, ...]

    def __getitem__(self, key: str | tuple[str, str]) -> Value:
        """Return an option by name (of ``[task_flow]``) or (group, name)."""
        return self.values[
            (opts.TASK_FLOW, key) if isinstance(key, str) else key]

    def get(self, name: str, group: str = opts.TASK_FLOW) -> Any:
        """Return a typed value.

        :raises findings.Blocked: if a worker could not read it; the config
            check says why
        """
        if self.unreadable:
            raise findings.Blocked('config', 'the configuration does not parse')
        value = self.values[group, name]
        if value.error:
            raise findings.Blocked(
                'config', f'[{group}] {name} has no valid value')
        return value.value

    @property
    def unreadable(self) -> bool:
        """Whether oslo.config refuses one of the files."""
        return any(f.problems for f in self.files)

    @functools.cached_property
    def config_args(self) -> str:
        """The arguments that make another program read the same files."""
        return ''.join(f' {shlex.quote(a)}' for a in self.arguments)

    def require_jobboard(self) -> None:
        """Let a live check pass only where Octavia would use the jobboard.

        :raises findings.NotApplicable: with the reason
        """
        providers = self.get('enabled_provider_drivers', 'api_settings') or {}
        if not AMPHORA_PROVIDERS & set(providers):
            raise findings.NotApplicable(
                'The amphora provider is not in [api_settings] '
                'enabled_provider_drivers; nothing was contacted.')
        if not self.get('jobboard_enabled'):
            raise findings.NotApplicable(
                '[task_flow] jobboard_enabled is false, so Octavia uses '
                'neither jobboard nor persistence database; nothing was '
                'contacted.')

    def secrets(self) -> set[str]:
        """Return every secret text in plain form, URL passwords decoded."""
        found = set()
        for value in self.values.values():
            texts = [value.raw] if value.raw else []
            if isinstance(value.value, str):
                texts.append(value.value)
            for text in texts:
                if '://' in text:
                    found |= url_secrets(text)
                elif value.secret:
                    found.add(text)
            if isinstance(value.value, dict):
                found |= {str(v) for k, v in value.value.items()
                          if 'password' in k and v}
        return found


_SECRET_PARAMETER = re.compile(
    r'(?:[?&])(?:[^=&#]*(?:pass|pwd|secret|token|key)[^=&#]*)=([^&#]+)', re.I)


def url_secrets(text: str) -> set[str]:
    """Return the passwords in a database URL, decoded and as written."""
    found = set(_SECRET_PARAMETER.findall(text))
    userinfo = text.partition('://')[2].rpartition('@')[0]
    password = userinfo.partition(':')[2]
    if password:
        found.add(password)
    return found | {parse.unquote_plus(s) for s in found} | {
        parse.unquote(s) for s in found}


def _schema():
    """Return the options read here, by group."""
    return {
        opts.TASK_FLOW: opts.task_flow_opts(),
        opts.OWN_GROUP: opts.own_opts(),
        'database': [cfg.StrOpt('connection', secret=True,
                                default='sqlite://')],
        'api_settings': [cfg.DictOpt(
            'enabled_provider_drivers',
            default={'amphora': 'The Octavia Amphora driver.',
                     'octavia': 'Deprecated alias of the Octavia Amphora '
                                'driver.'})],
    }


def _readable(path: str) -> str:
    path = os.path.expanduser(path)
    try:
        with open(path, 'rb') as stream:
            stream.read(0)
    except OSError as exc:
        raise UsageError(
            f'{path}: {os.strerror(exc.errno or 0)}. Name a configuration '
            f'file that this user may read.') from None
    return path


def _directory(path: str) -> list[str]:
    path = os.path.expanduser(path)
    if not os.path.isdir(path):
        raise UsageError(f'{path}: no such directory. Name the directory that '
                         f'holds the *.conf files.')
    # oslo.config globs *.conf, which leaves out hidden files.
    return sorted(_readable(os.path.join(path, name))
                  for name in os.listdir(path)
                  if name.endswith('.conf') and not name.startswith('.'))


def _paths(named: Iterable[tuple[str, str]],
           default_files: list[str], default_dirs: list[str]) -> list[str]:
    """Return the files in the order in which oslo.config parses them."""
    named = list(named)
    kinds = {kind for kind, _ in named}
    paths = [] if 'file' in kinds else list(default_files)
    if 'dir' not in kinds:
        for path in default_dirs:
            paths += _directory(path)
    for kind, path in named:
        paths += [_readable(path)] if kind == 'file' else _directory(path)
    return paths


def _locate(files, group, name):
    """Find the file and assignment that oslo.config would use."""
    for exact in (True, False):
        for file in reversed(files):
            found = file.find(group, name, exact)
            if found:
                return file, found
    return None, None


def _foreign_sources(files, environ):
    """Return the groups of config_source that other drivers serve."""

    def read(group, name):
        variable = f'OS_{group.upper()}__{name.upper()}'
        if variable in environ:
            return environ[variable]
        found = _locate(files, group, name)[1]
        return found.value if found else ''

    groups = [g.strip() for g in read('DEFAULT', 'config_source').split(',')]
    return [g for g in groups if g and read(g, 'driver') != opts.OWN_GROUP]


def load(named: Iterable[tuple[str, str]] = ()) -> Settings:
    """Read a configuration as ``octavia-status`` would.

    :param named: ``('file', path)`` and ``('dir', path)`` in the order of
        the command line; the default files of octavia-status where none of
        a kind is named
    :raises UsageError: for a file or directory that is not there or not
        readable
    """
    named = list(named)
    default_files = cfg.find_config_files('octavia', PROG)
    default_dirs = cfg.find_config_dirs('octavia', PROG)
    files = []
    for path in _paths(named, default_files, default_dirs):
        try:
            files.append(inifile.read(path))
        except OSError as exc:
            raise UsageError(f'{path}: {os.strerror(exc.errno or 0)}. Name a '
                             f'configuration file.') from None
    arguments = []
    for kind, path in named:
        arguments += [f'--config-{kind}', path]
    values = {}
    if not any(f.problems for f in files):
        conf = cfg.ConfigOpts()
        for group, options in _schema().items():
            conf.register_opts(options, group=group)
        # Our own driver yields no values, and loading any source makes
        # oslo.config import every driver that is installed.
        conf.set_override('config_source',
                          _foreign_sources(files, os.environ))
        conf(arguments, project='octavia', prog=PROG,
             default_config_files=default_files,
             default_config_dirs=default_dirs)
        for group, options in _schema().items():
            for opt in options:
                values[group, opt.dest] = _value(conf, files, group, opt)
    return Settings(values, tuple(files), tuple(arguments))


def _value(conf, files, group, opt):
    value = error = None
    try:
        value = conf[group][opt.dest]
    except (cfg.TemplateSubstitutionError, cfg.NoSuchOptError):
        error = 'substitution'
    except (cfg.ConfigFileValueError, cfg.ConfigSourceValueError, ValueError):
        error = 'value'
    common = {'group': group, 'name': opt.dest, 'value': value,
              'error': error, 'secret': opt.secret}
    variable = f'OS_{group.upper()}__{opt.dest.upper()}'
    if variable in os.environ:
        return Value(raw=os.environ[variable], source='environment',
                     origin=variable, **common)
    file, found = _locate(files, group, opt.dest)
    if found:
        return Value(raw=found.value, source='file', origin=file.path,
                     line=found.line, **common)
    if conf.config_source and not error:
        location = conf.get_location(opt.dest, group)
        if location and location.location not in (
                cfg.Locations.opt_default, cfg.Locations.set_default):
            return Value(raw=value if isinstance(value, str) else None,
                         source='source', origin=location.location.name,
                         **common)
    return Value(**common)

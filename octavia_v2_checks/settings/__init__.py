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

The lines come from :mod:`octavia_v2_checks.settings.inifile`, the values from
:mod:`octavia_v2_checks.settings.reader`. Nothing here touches ``cfg.CONF``.
"""

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import functools
import os
import shlex
from typing import Any

from oslo_config import cfg

from octavia_v2_checks import clock
from octavia_v2_checks import findings
from octavia_v2_checks import opts
from octavia_v2_checks import waivers
from octavia_v2_checks.settings import inifile
from octavia_v2_checks.settings import problems
from octavia_v2_checks.settings import reader as reader_
from octavia_v2_checks.settings import redact
from octavia_v2_checks.settings.reader import Value

#: Program whose default files are read: octavia.conf and octavia-status.conf
#: with their .conf.d directories, in ~/.octavia, ~, /etc/octavia and /etc.
PROG = 'octavia-status'

#: Provider names under which the amphora driver runs the amphorav2 code
#: (octavia.api.drivers entry points, from 9.0.0 on).
AMPHORA_PROVIDERS = frozenset({'amphora', 'amphorav2', 'octavia'})


#: Seconds to read the configuration: the default deadline, since the
#: configured one is not known yet.
LOAD_SECONDS = 20.0


class UsageError(Exception):
    """What was asked for cannot be read at all; exit code 64."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """All that the checks know of a configuration.

    :ivar values: ``(group, name)`` -> :class:`Value`, every known option
    :ivar files: what was read, in oslo.config's order: later ones win
    :ivar arguments: the ``--config-file`` and ``--config-dir`` arguments
    :ivar strange_variables: environment variables that are named like those
        of an option and belong to none
    :ivar broken_sources: config sources that could not be asked: group ->
        what came of it
    :ivar target_release: the Octavia that is to run, the installed one if
        None
    """

    values: Mapping[tuple[str, str], Value]
    files: tuple[inifile.ConfigFile, ...]
    arguments: tuple[str, ...]
    strange_variables: tuple[str, ...] = ()
    broken_sources: Mapping[str, str] = dataclasses.field(
        default_factory=dict)
    target_release: str | None = None

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
            raise findings.Blocked(
                'the configuration does not parse',
                cause=next(problems.finding_of(f, p) for f in self.files
                           for p in f.problems))
        value = self.values[group, name]
        if value.error:
            raise findings.Blocked(f'[{group}] {name} has no valid value',
                                   option=value.option)
        return value.value

    def own(self, name: str) -> Any:
        """Return an option of ``[octavia_v2_checks]``.

        A configuration that cannot be read must not keep the checks from
        saying so: its default then stands in.
        """
        value = self.values.get((opts.OWN_GROUP, name))
        if value is None or value.error:
            return next(o.default for o in opts.own_opts() if o.dest == name)
        return value.value

    @functools.cached_property
    def waivers(self) -> tuple[waivers.Rule, ...]:
        """The findings that shall not count."""
        return tuple(waivers.parse(t) for t in self.own('waivers') or () if t)

    @functools.cached_property
    def report_files(self) -> tuple[tuple[str, str], ...]:
        """The reports to leave behind, as (format, path)."""
        split = [t.partition(':') for t in self.own('report_file') or () if t]
        return tuple((form.strip(), path.strip()) for form, _, path in split)

    @functools.cached_property
    def unreadable(self) -> bool:
        """Whether oslo.config refuses one of the files."""
        return any(f.problems for f in self.files)

    @functools.cached_property
    def config_args(self) -> str:
        """The arguments that make another program read the same files."""
        return ''.join(f' {shlex.quote(a)}' for a in self.arguments)

    def amphora_enabled(self) -> bool:
        """Whether Octavia serves load balancers of the amphora provider.

        :raises findings.Blocked: if a worker could not read the option
        """
        providers = self.get('enabled_provider_drivers', 'api_settings')
        return bool(AMPHORA_PROVIDERS & set(providers or {}))

    def require_jobboard(self) -> None:
        """Let a live check pass only where Octavia would use the jobboard.

        :raises findings.NotApplicable: with the reason
        """
        if not self.amphora_enabled():
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
        found: set[str] = set()
        for value in self.values.values():
            for text in (value.raw, value.text, value.value):
                if isinstance(text, str):
                    found |= redact.secrets_in(
                        text, value.secret or value.doubtful)
            if isinstance(value.value, dict):
                found |= {str(v) for k, v in value.value.items()
                          if 'password' in k and v}
        # What a later file overrides, or stands under a wrong name, is as
        # secret as what is in force.
        for file in self.files:
            for assignment in file.assignments:
                found |= redact.secrets_in(
                    assignment.value, redact.is_secret_name(assignment.key)
                    or _doubtful(assignment))
        return found - {''}

    @functools.cached_property
    def redactor(self) -> redact.Redactor:
        """What takes this configuration's secrets out of text."""
        public = [*(f.path for f in self.files),
                  *(f'{group}.{name}' for group, name in self.values)]
        for value in self.values.values():
            text = value.raw if value.raw is not None else str(value.value)
            if '://' in text:
                public += redact.public_parts(text)
            elif not (value.secret or value.doubtful
                      or value.name == 'waivers'
                      or redact.secrets_in(text, False)):
                public.append(text)
        return redact.Redactor(self.secrets(), public)

    def excerpt(self, path: str | None, line: int | None) -> str | None:
        """Return a line of a file with what is secret in it masked.

        :returns: None for no line, and for a file that was not read
        """
        file = next((f for f in self.files if f.path == path), None)
        if file is None or not line or line > len(file.lines):
            return None
        text = ' '.join(file.lines[line - 1].split())
        owner = next((a for a in file.assignments
                      if a.line <= line <= a.last_line), None)
        if owner is None:
            if text.startswith('['):
                return self.redactor(text)
            # Not understood: it may be the rest of a password.
            word = text.partition(' ')[0]
            return (f'{word} {redact.MASK}' if word in _known()
                    else redact.MASK)
        # A misspelt name may be that of a password.
        if owner.key not in _harmless() or _doubtful(owner) or (
                'pas' in text.lower().replace(owner.key, '')):
            return (f'{redact.option_name(owner.key)} = {redact.MASK}'
                    if owner.line == line else redact.MASK)
        return self.redactor(redact.without_credentials(text))


@functools.cache
def _known():
    return {opt.dest for options in schema().values() for opt in options}


def _doubtful(assignment):
    """Return whether a line may hold a password in the wrong place."""
    return any(reader_.doubtful(opt, assignment.value)
               for options in schema().values() for opt in options
               if opt.dest == assignment.key)


@functools.cache
def _harmless():
    return {opt.dest for options in schema().values() for opt in options
            if not opt.secret}


def schema() -> dict[str, list[cfg.Opt]]:
    """Return the options that are read, by group."""
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
    try:
        names = os.listdir(path)
    except OSError as exc:
        raise UsageError(
            f'{path}: {os.strerror(exc.errno or 0)}. Name the directory that '
            f'holds the *.conf files.') from None
    # oslo.config globs *.conf, which leaves out hidden files.
    return [_readable(os.path.join(path, name)) for name in sorted(names)
            if name.endswith('.conf') and not name.startswith('.')]


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


def _foreign_sources(reader):
    """Return the groups of config_source that other drivers serve.

    Our own driver yields no values.
    """
    groups = reader.text('DEFAULT', 'config_source').split(',')
    return [g.strip() for g in groups if g.strip()
            and reader.text(g.strip(), 'driver') != opts.OWN_GROUP]


def _open_sources(reader, groups, arguments, default_files, default_dirs):
    """Let the drivers of other config sources answer too."""
    from stevedore import driver
    conf = cfg.ConfigOpts()
    # Otherwise oslo.config would import every driver there is.
    conf.set_override('config_source', [])
    for group in groups:
        try:
            if not reader.sources:
                conf(arguments, project='octavia', prog=PROG,
                     default_config_files=default_files,
                     default_config_dirs=default_dirs)
            manager: Any = driver.DriverManager(
                'oslo.config.driver', reader.text(group, 'driver'),
                invoke_on_load=True)
            source = manager.driver.open_source_from_opt_group(conf, group)
        except (Exception, SystemExit) as exc:
            # oslo.config, too, goes on without a source that fails, whatever
            # its driver raises; here the values are marked as unknown.
            reader.broken[group] = type(exc).__name__
        else:
            reader.sources.append((group, source))


def _strange_variables():
    known = schema()
    names = {f'OS_{group}__{opt.dest}'.upper()
             for group in known for opt in known[group]}
    prefixes = tuple(f'OS_{group}__'.upper()
                     for group in (opts.TASK_FLOW, opts.OWN_GROUP))
    return tuple(sorted(name for name in os.environ
                        if name.startswith(prefixes) and name not in names))


def load_in_time(named: Iterable[tuple[str, str]],
                 seconds: float = LOAD_SECONDS) -> Settings:
    """Do as :func:`load`, but wait for no config source that is remote.

    :raises clock.OutOfTime: if they have not all answered
    """
    return clock.bounded(lambda: load(named), clock.Clock(seconds))


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
    values: Mapping[tuple[str, str], Value] = {}
    broken: Mapping[str, str] = {}
    if not any(f.problems for f in files):
        reader = reader_.Reader(files, schema())
        groups = _foreign_sources(reader)
        if groups:
            _open_sources(reader, groups, arguments, default_files,
                          default_dirs)
        values = reader.values()
        broken = reader.broken
    return Settings(values, tuple(files), tuple(arguments),
                    _strange_variables(), broken)

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
from octavia_v2_checks.settings import files as files_
from octavia_v2_checks.settings import inifile
from octavia_v2_checks.settings import parsed as parsed_
from octavia_v2_checks.settings import problems
from octavia_v2_checks.settings import providers
from octavia_v2_checks.settings import reader as reader_
from octavia_v2_checks.settings import redact
from octavia_v2_checks.settings import secrets as secrets_
from octavia_v2_checks.settings import trust
from octavia_v2_checks.settings.files import UsageError as UsageError
from octavia_v2_checks.settings.reader import Value

#: Program whose default files are read: octavia.conf and octavia-status.conf
#: with their .conf.d directories, in ~/.octavia, ~, /etc/octavia and /etc.
PROG = 'octavia-status'

#: Seconds to read the configuration: the default deadline, since the
#: configured one is not known yet.
LOAD_SECONDS = 20.0


@dataclasses.dataclass(frozen=True)
class Settings:
    """All that the checks know of a configuration.

    :ivar values: ``(group, name)`` -> :class:`Value`, every known option
    :ivar files: what was read, in oslo.config's order: later ones win
    :ivar arguments: the ``--config-file`` and ``--config-dir`` arguments
    :ivar strange_variables: environment variables that are named like an
        option that does not exist
    :ivar broken_sources: config sources that could not be read: group -> error
    :ivar target_release: the Octavia release to check for, the installed one
        if None
    :ivar unknown: why these values may not be in effect, None if they are
    """

    values: Mapping[tuple[str, str], Value]
    files: tuple[inifile.ConfigFile, ...]
    arguments: tuple[str, ...]
    strange_variables: tuple[str, ...] = ()
    broken_sources: Mapping[str, str] = dataclasses.field(
        default_factory=dict)
    target_release: str | None = None
    unknown: findings.Finding | None = None

    def __getitem__(self, key: str | tuple[str, str]) -> Value:
        """Return an option by name (of ``[task_flow]``) or (group, name)."""
        return self.values[
            (opts.TASK_FLOW, key) if isinstance(key, str) else key]

    def get(self, name: str, group: str = opts.TASK_FLOW) -> Any:
        """Return a typed value.

        :raises findings.Blocked: if a worker could not read it; the config
            check reports why
        """
        if self.unreadable:
            raise findings.Blocked(
                'the configuration does not parse',
                cause=next(problems.finding_of(f, p) for f in self.files
                           for p in f.problems))
        if self.unknown:
            raise findings.Blocked('the configuration is not known',
                                   cause=self.unknown)
        value = self.values[group, name]
        if value.error:
            raise findings.Blocked(f'[{group}] {name} has no valid value',
                                   option=value.option)
        return value.value

    def own(self, name: str) -> Any:
        """Return an option of ``[octavia_v2_checks]``.

        A configuration that cannot be read must not keep the checks from
        reporting it: the default is used then.
        """
        value = self.values.get((opts.OWN_GROUP, name))
        if value is None or value.error:
            return next(o.default for o in opts.own_opts() if o.dest == name)
        return value.value

    def require_own(self) -> None:
        """Permit a run without the check ``config`` only with valid own
        options.

        Otherwise nothing would report that a default replaces an invalid
        value.

        :raises UsageError: for an option of ours that cannot be read
        """
        for value in self.values.values():
            if value.group == opts.OWN_GROUP and value.error:
                raise UsageError(
                    f'[{value.group}] {value.name} has no valid value; '
                    f'octavia-v2-checks validate{self.config_args} shows why.')

    @functools.cached_property
    def waivers(self) -> tuple[waivers.Rule, ...]:
        """The findings that are not to count."""
        return tuple(waivers.parse(t) for t in self.own('waivers') or () if t)

    @functools.cached_property
    def report_files(self) -> tuple[tuple[str, str], ...]:
        """The reports to write, as (format, path)."""
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

        :raises findings.Blocked: if a worker could not read the option, or
            another name may be intended for it
        """
        enabled = self.get('enabled_provider_drivers', 'api_settings')
        if providers.AMPHORA & set(enabled):
            return True
        if not enabled or providers.unknown(enabled):
            raise findings.Blocked(
                'it is not known which providers Octavia serves',
                option='api_settings.enabled_provider_drivers')
        return False

    def require_jobboard(self) -> None:
        """Continue only if Octavia would use the jobboard.

        :raises findings.NotApplicable: with the reason
        """
        if not self.amphora_enabled():
            raise findings.NotApplicable(
                'The amphora provider is not in [api_settings] '
                'enabled_provider_drivers; nothing was contacted.')
        if not self.get('jobboard_enabled'):
            raise findings.NotApplicable(
                '[task_flow] jobboard_enabled is false, so Octavia uses '
                'neither the jobboard nor the persistence database; nothing '
                'was contacted.')

    def secrets(self) -> set[str]:
        """Return every secret text in plain form, URL passwords decoded."""
        return secrets_.of(self.values.values(), self.files, schema(),
                           self.broken_sources)

    @functools.cached_property
    def redactor(self) -> redact.Redactor:
        """Removes the secrets of this configuration from text."""
        return secrets_.redactor(self.secrets(), schema())

    @functools.cached_property
    def lines(self) -> secrets_.Lines:
        """The lines of the files, as they may be shown."""
        return secrets_.Lines(self.files, schema(), self.redactor)

    def excerpt(self, path: str | None, line: int | None) -> str | None:
        """Return a line of a file with its secrets masked.

        :returns: None for no line, and for a file that was not read
        """
        return self.lines.excerpt(path, line)


@functools.cache
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


def _foreign_sources(reader):
    """Return the groups of config_source that other drivers serve.

    Our own driver yields no values.
    """
    groups = reader.text('DEFAULT', 'config_source').split(',')
    return [g.strip() for g in groups if g.strip()
            and reader.text(g.strip(), 'driver') != opts.OWN_GROUP]


def _open_sources(reader, groups, files):
    """Open the config sources of other drivers."""
    from stevedore import driver
    conf = cfg.ConfigOpts()
    # Otherwise oslo.config would import every driver there is.
    conf.set_override('config_source', [])
    for group in groups:
        try:
            if not reader.sources:
                with files_.copies(files) as paths:
                    conf([], project='octavia', prog=PROG,
                         default_config_files=paths, default_config_dirs=[])
            manager: Any = driver.DriverManager(
                'oslo.config.driver', reader.text(group, 'driver'),
                invoke_on_load=True)
            source = manager.driver.open_source_from_opt_group(conf, group)
        except (Exception, SystemExit) as exc:
            # oslo.config also continues without a source that fails, whatever
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
                 seconds: float = LOAD_SECONDS,
                 parsed: parsed_.Parsed | None = None) -> Settings:
    """Like :func:`load`, but with a time limit for remote config sources.

    :raises clock.OutOfTime: if they have not all answered
    """
    within = clock.Clock(seconds)
    return clock.bounded(lambda: load(named, parsed, within), within)


def load(named: Iterable[tuple[str, str]] = (),
         parsed: parsed_.Parsed | None = None,
         within: clock.Clock | None = None) -> Settings:
    """Read a configuration as ``octavia-status`` would.

    :param named: ``('file', path)`` and ``('dir', path)`` in the order of
        the command line; the default files of octavia-status where none of
        a kind is named
    :param parsed: what this program has parsed already; it is read again and
        compared, and nothing else is read
    :param within: the time for all of it
    :raises UsageError: for a file or directory that does not exist or is not
        readable
    """
    if parsed is None:
        named = list(named)
        kinds = {kind for kind, _ in named}
        default_files = ([] if 'file' in kinds else
                         cfg.find_config_files('octavia', PROG))
        default_dirs = ([] if 'dir' in kinds else
                        cfg.find_config_dirs('octavia', PROG))
    else:
        default_files, default_dirs, named, _ = parsed
    found = files_.read(named, default_files, default_dirs, within,
                        afresh=parsed is None)
    values: Mapping[tuple[str, str], Value] = {}
    broken: Mapping[str, str] = {}
    if not any(f.problems for f in found.files):
        reader = reader_.Reader(found.files, schema())
        groups = _foreign_sources(reader)
        if groups:
            _open_sources(reader, groups, found.files)
        values = reader.values()
        broken = reader.broken
    return Settings(
        values, found.files,
        tuple(word for kind, path in named
              for word in (f'--config-{kind}', path)),
        _strange_variables(), broken, unknown=(
            trust.not_in_force(found, parsed, schema()) or trust.not_known(
                found, [*values.values()], bool(broken), () if any(
                    kind == 'file' for kind, _ in named)
                else files_.closed(default_files))))

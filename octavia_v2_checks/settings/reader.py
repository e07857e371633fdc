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

"""Evaluates files, environment and other sources like oslo.config.

Precedence, substitution and conversion are the rules of oslo.config, applied
here one option at a time, so that one bad value hides no other and every
value keeps its file and line.
"""

from collections.abc import Iterable
from collections.abc import Mapping
import os
import socket
from typing import Any
from typing import NamedTuple

from oslo_config import cfg
from oslo_config import types

from octavia_v2_checks import opts
from octavia_v2_checks.settings import doubt
from octavia_v2_checks.settings import inifile

#: Types of Octavia where our schema is stricter: Octavia starts with values
#: that only our schema refuses, and fails when it uses them.
_LOADED_AS = {
    'max_workers': types.Integer(),
    'jobboard_backend_port': types.Integer(min=0, max=65535),
    'jobboard_expiration_time': types.Integer(),
    'jobboard_etcd_timeout': types.Integer(),
    'jobboard_backend_namespace': types.String(),
    'persistence_connection': types.String(),
    'jobboard_redis_backend_ssl_options': types.Dict(),
    'jobboard_redis_sentinel_ssl_options': types.Dict(),
    'jobboard_zookeeper_ssl_options': types.Dict(),
    'jobboard_etcd_ssl_options': types.Dict(),
}

#: Options whose empty value oslo.config accepts but Octavia cannot use.
_NOT_EMPTY = frozenset({
    'jobboard_backend_port', 'jobboard_expiration_time',
    'jobboard_redis_backend_db', 'jobboard_redis_sentinel',
    'jobboard_etcd_api_path'})

#: Options that the services of Octavia register in [DEFAULT], for $name.
_DEFAULT_NAMES = frozenset({
    'backdoor_port', 'backdoor_socket', 'config_dir', 'config_file',
    'config_source', 'control_exchange', 'debug', 'default_log_levels',
    'executor_thread_pool_size', 'fatal_deprecations',
    'graceful_shutdown_timeout', 'host', 'instance_format',
    'instance_uuid_format', 'log_color', 'log_config_append',
    'log_date_format', 'log_dir', 'log_file', 'log_options',
    'log_rotate_interval', 'log_rotate_interval_type', 'log_rotation_type',
    'logging_context_format_string', 'logging_debug_format_suffix',
    'logging_default_format_string', 'logging_exception_prefix',
    'logging_user_identity_format', 'max_logfile_count', 'max_logfile_size_mb',
    'octavia_plugins',
    'publish_errors', 'rate_limit_burst', 'rate_limit_except_level',
    'rate_limit_interval', 'rpc_ping_enabled', 'rpc_response_timeout',
    'run_external_periodic_tasks', 'syslog_log_facility', 'transport_url',
    'use_journal', 'use_json', 'use_stderr', 'use_syslog'})

#: Limits for the substitution of $name, in names and in characters: names may
#: refer to each other endlessly.
_MOST_NAMES = 100_000
_LONGEST = 1 << 20


class Value(NamedTuple):
    """One option as a worker would read it.

    :ivar value: typed; None where ``error`` is set
    :ivar raw: the text it came from, None for a default
    :ivar text: the same after substitution; None for a default, and where
        substitution fails
    :ivar source: ``default``, ``file``, ``environment`` or ``source`` (another
        config source, such as Vault)
    :ivar origin: the file, the variable, or the group of the config source
    :ivar doubtful: whether it may be a password in the wrong place
    :ivar error: ``substitution`` or ``value`` where oslo.config raises,
        ``use`` where it does not and Octavia fails later, ``source`` where
        a config source did not answer
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
    text: str | None = None
    doubtful: bool = False

    @property
    def option(self) -> str:
        """``group.name``, as findings show it."""
        return f'{self.group}.{self.name}'

    @property
    def written(self) -> str:
        """The text, substituted if that is possible; '' for a default."""
        return (self.raw or '') if self.text is None else self.text

    @property
    def where(self) -> dict[str, Any]:
        """Option, file and line, as keyword arguments of a finding."""
        is_file = self.source == 'file'
        return {'option': self.option,
                'file': self.origin if is_file else None,
                'line': self.line if is_file else None}


class _Unresolved(Exception):
    """A ``$name`` that oslo.config would raise on."""


class Reader:
    """Reads options as oslo.config would.

    :param files: in oslo.config's order: later ones win
    :param schema: the options that are known, by group
    :param environ: the environment
    """

    def __init__(self, files: Iterable[inifile.ConfigFile],
                 schema: Mapping[str, Iterable[cfg.Opt]],
                 environ: Mapping[str, str] = os.environ):
        self._environ = environ
        self._schema = {(group, opt.dest): opt
                        for group, options in schema.items()
                        for opt in options}
        self._found: dict[tuple[str, str], list[tuple[
            inifile.ConfigFile, inifile.Assignment]]] = {}
        for file in files:
            for assignment in file.assignments:
                if assignment.section is not None:
                    key = inifile.normalise(assignment.section), assignment.key
                    self._found.setdefault(key, []).append((file, assignment))
        self._values: dict[tuple[str, str], Value | None] = {}
        self._names = 0
        #: (group of config_source, source), asked last
        self.sources: list[tuple[str, Any]] = []
        #: group of config_source -> name of what was raised
        self.broken: dict[str, str] = {}

    def values(self) -> dict[tuple[str, str], Value]:
        """Return every option of the schema."""
        return {key: self._value(key) for key in self._schema}

    def text(self, group: str, name: str) -> str:
        """Return an option outside the schema, '' if it is not set.

        Neither substituted nor converted.
        """
        texts = self._locate((inifile.normalise(group), name),
                             cfg.StrOpt(name))[0]
        return texts[-1] if texts else ''

    def _value(self, key):
        if key in self._values:
            value = self._values[key]
            if value is None:
                raise _Unresolved  # $a within a, or a cycle
            return value
        self._values[key] = None
        group, name = key
        opt = self._schema[key]
        texts, place = self._locate(key, opt)
        common = {'group': group, 'name': name, 'secret': opt.secret, **place}
        if texts is None:
            value = Value(value=None if 'error' in place else opt.default,
                          **common)
        else:
            value = self._convert(opt, texts, common)
        self._values[key] = value
        return value

    def _locate(self, key, opt):
        """Return the texts of an option, oldest first, and their origin."""
        group, name = key
        variable = f'OS_{group.upper()}__{name.upper()}'
        if variable in self._environ:
            return [self._environ[variable]], {
                'source': 'environment', 'origin': variable}
        found = self._found.get(key)
        if found:
            file, assignment = found[-1]
            return [a.value for _, a in found], {
                'source': 'file', 'origin': file.path,
                'line': assignment.line}
        return self._ask(key, opt)

    def _ask(self, key, opt):
        group, name = key
        for origin, source in self.sources:
            try:
                answer = source.get(group, name, opt)[0]
            except Exception as exc:
                # Any driver may serve a source and raise anything; oslo.config
                # passes it on to the reader of the option.
                self.broken[origin] = type(exc).__name__
                continue
            if isinstance(answer, (str, list)):
                texts = answer if isinstance(answer, list) else [answer]
                return texts, {'source': 'source', 'origin': origin}
        if self.broken and group != opts.OWN_GROUP:
            return None, {'source': 'source', 'error': 'source',
                          'origin': ', '.join(self.broken)}
        return None, {}

    def _convert(self, opt, texts, common):
        common['raw'] = texts[-1]
        try:
            texts = [self._substituted(t, common['group'])
                     for t in (texts if opt.multi else texts[-1:])]
        except _Unresolved:
            return Value(value=None, error='substitution', **common)
        common['text'] = texts[-1]
        error = value = None
        try:
            value = ([opt.type(t) for t in texts] if opt.multi
                     else opt.type(texts[-1]))
        except ValueError:
            error = _error(opt.dest, texts[-1])
        if error is None and (is_bytes(texts[-1]) or (
                opt.dest in _NOT_EMPTY and not texts[-1].strip())):
            error, value = 'use', None
        text = texts[-1].strip()
        return Value(value=value, error=error,
                     doubtful=text in doubt.pieces(opt, text), **common)

    def _substituted(self, text, group):
        if '$' not in text:
            return text
        template = cfg.ConfigOpts.Template(text.replace(r'\$', '$$'))
        made = template.safe_substitute(_Names(self, group))
        if len(made) > _LONGEST:
            raise _Unresolved
        return made

    def resolve(self, name: str, group: str) -> str:
        """Return what ``$name`` stands for in a value of a group.

        :raises _Unresolved: if oslo.config would raise
        """
        self._names += 1
        if self._names > _MOST_NAMES:
            raise _Unresolved
        other, dot, option = name.partition('.')
        key = (other, option) if dot else (group, name)
        if key in self._schema:
            value = self._value(key)
            if value.error == 'use':
                return value.text
            if value.error:
                raise _Unresolved
            return '' if value.value is None else str(value.value)
        # Octavia has more sections than are known here; whatever a file sets
        # in one of them counts as an option.
        if dot and key in self._found:
            return self._plain(key)
        if name in _DEFAULT_NAMES:
            return self._plain(('DEFAULT', name))
        raise _Unresolved

    def _plain(self, key):
        """Return an option of Octavia that is only used in $name."""
        if key in self._values:
            raise _Unresolved
        texts = self._locate(key, cfg.StrOpt(key[1]))[0]
        if not texts:
            return socket.gethostname() if key[1] == 'host' else ''
        self._values[key] = None
        try:
            return self._substituted(texts[-1], key[0])
        finally:
            del self._values[key]


class _Names(dict):
    """The names a template may use."""

    def __init__(self, reader, group):
        super().__init__()
        self._reader = reader
        self._group = group

    def __getitem__(self, name):
        return self._reader.resolve(name, self._group)


def is_bytes(text: str) -> bool:
    """Return whether a text of the environment is not UTF-8.

    Python keeps such bytes as lone surrogates, which no client can send.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _error(name, text):
    """Return what refuses a value: oslo.config (value) or Octavia (use)."""
    if name not in _LOADED_AS:
        return 'value'
    try:
        _LOADED_AS[name](text)
    except ValueError:
        return 'value'
    return 'use'

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

"""What the rules examine: the settings, and which of them matter."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import functools

from octavia_v2_checks import findings
from octavia_v2_checks import opts
from octavia_v2_checks import settings as settings_
from octavia_v2_checks.settings import inifile
from octavia_v2_checks.settings import redact
from octavia_v2_checks.settings.reader import Value

REDIS = 'redis_taskflow_driver'
ZOOKEEPER = 'zookeeper_taskflow_driver'
ETCD = 'etcd_taskflow_driver'

#: How messages name the server of a driver.
SERVER = {REDIS: 'Redis', ZOOKEEPER: 'ZooKeeper', ETCD: 'etcd'}

#: Read whether the jobboard is on or off.
_ALWAYS = frozenset({'engine', 'max_workers', 'disable_revert'})

#: Options that one driver reads and the others do not.
DRIVER_OF = {
    'jobboard_backend_username': REDIS,
    'jobboard_backend_password': REDIS,
    'jobboard_redis_backend_db': REDIS,
    'jobboard_redis_sentinel': REDIS,
    'jobboard_redis_sentinel_username': REDIS,
    'jobboard_redis_sentinel_password': REDIS,
    'jobboard_redis_backend_ssl_options': REDIS,
    'jobboard_redis_sentinel_ssl_options': REDIS,
    'jobboard_zookeeper_ssl_options': ZOOKEEPER,
    'jobboard_etcd_ssl_options': ETCD,
    'jobboard_etcd_timeout': ETCD,
    'jobboard_etcd_api_path': ETCD,
}

#: Options of Redis that are read only where there is a Sentinel name.
OF_SENTINEL = frozenset({
    'jobboard_redis_sentinel_username', 'jobboard_redis_sentinel_password',
    'jobboard_redis_sentinel_ssl_options'})


class View:
    """One configuration, as a rule sees it.

    :ivar settings: what was read
    :ivar release: (major, minor) of the Octavia release to check for, or None
    :ivar reported: options that have a failure already; one cause gives one
        finding
    """

    def __init__(self, settings: settings_.Settings,
                 release: tuple[int, int] | None):
        self.settings = settings
        self.release = release
        self.reported: set[str] = set()

    @functools.cached_property
    def amphora(self) -> bool:
        """Whether the amphora provider is enabled, as far as is known."""
        try:
            return self.settings.amphora_enabled()
        except findings.Blocked:
            return True

    @property
    def jobboard(self) -> bool:
        """Whether Octavia uses jobboard and persistence database."""
        return self.amphora and bool(self.settings['jobboard_enabled'].value)

    @property
    def driver(self) -> str | None:
        """The jobboard driver, None where there is no valid one."""
        return self.settings['jobboard_backend_driver'].value

    @property
    def sentinel(self) -> bool:
        """Whether the hosts are Sentinels."""
        return (self.driver == REDIS
                and self.settings['jobboard_redis_sentinel'].value is not None)

    def used(self, name: str) -> bool:
        """Whether Octavia acts on an option of ``[task_flow]``."""
        if name in _ALWAYS or name == 'jobboard_enabled':
            return self.amphora
        if not self.jobboard:
            return False
        if name in OF_SENTINEL and not self.sentinel:
            return False
        return DRIVER_OF.get(name, self.driver) == self.driver

    def foreign(self, name: str) -> bool:
        """Whether an option belongs to another driver than the chosen one."""
        return (self.jobboard and self.driver is not None
                and DRIVER_OF.get(name, self.driver) != self.driver)

    def matters(self, value: Value) -> bool:
        """Whether a mistake in a value has any effect.

        Every Octavia service logs all of its options at start-up, whatever the
        log level, so one that oslo.config cannot read stops it, used or not.
        What a release does not know it does not read.
        """
        if value.group == opts.TASK_FLOW and not self.knows(value.name):
            return False
        return (value.error in ('value', 'substitution')
                or value.group != opts.TASK_FLOW or self.used(value.name))

    def knows(self, name: str, since: str | None = None) -> bool:
        """Whether the release in question has an option of [task_flow].

        :param since: the release that brought it, if that is not the one of
            the option
        """
        return self.release is None or self.release >= tuple(
            map(int, (since or opts.SINCE[name]).split('.')))

    def given(self, *groups: str) -> Iterator[Value]:
        """Yield the options of some sections that are set and have no failure
        yet.
        """
        for value in self.settings.values.values():
            if (value.raw is not None and value.group in groups
                    and value.option not in self.reported):
                yield value

    def usable(self, name: str) -> Value | None:
        """Return an option that is used, readable and not reported yet."""
        value = self.settings[name]
        if (not self.used(name) or value.error
                or value.option in self.reported):
            return None
        return value

    @functools.cached_property
    def _assignments(self):
        return {(f.path, a.line): a
                for f in self.settings.files for a in f.assignments}

    def assignment(self, value: Value) -> inifile.Assignment | None:
        """Return the line in the file, None for another source."""
        if value.source != 'file':
            return None
        return self._assignments.get((value.origin, value.line))


Rule = Callable[[View], Iterable[findings.Finding]]


def named(value: Value) -> str:
    """Return ``[group] name`` and, unless it is a file, where it is set."""
    origin = {'environment': f' (environment variable {value.origin})',
              'source': f' (config source {value.origin})'}
    return f'[{value.group}] {value.name}{origin.get(value.source, "")}'


def shown(value: Value) -> str:
    """Return ``[group] name = text``, without the text if it is secret."""
    if value.doubtful:
        return f'{named(value)} = {redact.MASK}'
    if value.secret or value.raw is None or isinstance(value.value, dict):
        return named(value)
    return f'{named(value)} = {plain(value.written)}'


def plain(text: str) -> str:
    """Return a text on one line, short, and without URL credentials."""
    text = ' '.join(text.split())
    if '@' in text:
        text = f'***@{text.rpartition("@")[2]}'
    return text if len(text) <= 80 else f'{text[:77]}...'

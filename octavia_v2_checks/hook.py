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

"""Our rows inside the stock ``octavia-status upgrade check``.

oslo.config loads configuration sources through ``oslo.config.driver`` after
it has parsed the files and before the program goes on. In ``octavia-status``
that is after ``octavia.cmd.status`` was imported and before its ``check()``
reads the list of checks. Everywhere else the driver does nothing, and this
module imports next to nothing.
"""

import contextlib
import sys
from typing import Any

from oslo_config import sources

#: The stock row that ours replace, by the name of its method.
STOCK_CHECK = '_check_amphorav2'


class Source(sources.ConfigurationSource):
    """A configuration source that has no values."""

    def get(self, group_name, option_name, opt):
        """Return that the value must come from elsewhere."""
        return sources._NoValue, None


class Driver(sources.ConfigurationSourceDriver):
    """The entry point ``octavia_v2_checks`` of ``oslo.config.driver``."""

    def list_options_for_discovery(self):
        """Return nothing: the options are in their own namespace."""
        return []

    def open_source_from_opt_group(self, conf, group_name):
        """Add the rows if the program is octavia-status.

        :param conf: the program's own ConfigOpts
        :param group_name: the group that names this driver
        :returns: a source without values
        """
        status = sys.modules.get('octavia.cmd.status')
        if status is not None and conf is getattr(status, 'CONF', None):
            _install(status.Checks, conf)
        return Source()


def _install(checks, conf):
    """Add our rows to the list of checks of the command, once."""
    stock = checks._upgrade_checks
    if any(isinstance(func, _Row) for _, func in stock):
        return
    run = _Run(conf)
    ours = [(title, _Row(run, id_)) for id_, title in run.titles]
    rows: list[tuple] = []
    for title, func in stock:
        if _name(func) == STOCK_CHECK:
            rows += ours
            ours = []
            if not run.keep_stock:
                continue
        rows.append((title, _Guarded(func)))
    checks._upgrade_checks = tuple(rows + ours)


def _name(func):
    """Return the name of a check, given as ``func`` or ``(func, kwargs)``."""
    return getattr(func[0] if isinstance(func, tuple) else func,
                   '__name__', '')


class _Refused(Exception):
    """The run cannot be set up as configured; the text says why."""


class _Run:
    """One run of the engine, which all our rows share.

    Whatever prevents the run becomes a row that fails: oslo.config would
    swallow an exception, and the upgrade would not be stopped.
    """

    def __init__(self, conf):
        self.report: Any = None
        self.settings: Any = None
        self.broken = None
        self.keep_stock = False
        self.unwritten = []
        try:
            self._set_up(conf)
        except _Refused as exc:
            clean = self.settings.redactor if self.settings else str
            self._break(clean(exc.args[0]))
        except Exception as exc:
            self._break(f'The checks could not be set up '
                        f'({type(exc).__name__}). Remedy: run '
                        f'octavia-v2-checks --debug upgrade check, which '
                        f'shows why.')

    def _break(self, details):
        self.broken = f'config.undetermined: {details}'
        self.titles = [('config', 'AmphoraV2 configuration')]

    def _set_up(self, conf):
        from octavia_v2_checks import arguments
        from octavia_v2_checks import output
        from octavia_v2_checks import registry
        from octavia_v2_checks import settings
        self.settings = _settings(conf)
        own = self.settings.own
        self.keep_stock = own('stock_check') == 'keep'
        try:
            self.formats = output.formats(
                [form for form, _ in self.settings.report_files])
        except arguments.Usage as exc:
            raise _Refused(f'[octavia_v2_checks] report_file: '
                           f'{exc.args[0]}.') from None
        checks = registry.checks()
        unknown = set(own('skip')) - {c.id for c in checks}
        if unknown:
            raise _Refused(
                f'[octavia_v2_checks] skip names {min(unknown)!r}, which is '
                'not a check. Remedy: octavia-v2-checks list prints the '
                'checks.')
        self.skipped = [c.id for c in checks if c.id in own('skip')]
        self.selected = [c for c in checks if c.id not in self.skipped]
        if not self.selected:
            raise _Refused(
                '[octavia_v2_checks] skip names every check, so nothing was '
                'checked. Remedy: remove at least one check from skip.')
        if 'config' in self.skipped:
            try:
                self.settings.require_own()
            except settings.UsageError as exc:
                raise _Refused(exc.args[0]) from None
        self.titles = [(c.id, c.title) for c in self.selected]

    def row(self, id_):
        """Return a row of the report; the first call runs all checks."""
        if self.report is None:
            # A check that prints must not spoil --json.
            with contextlib.redirect_stdout(sys.stderr):
                self._run()
        return next(r for r in self.report.rows if r.id == id_)

    def _run(self):
        from octavia_v2_checks import clock
        from octavia_v2_checks import output
        from octavia_v2_checks import streams
        from octavia_v2_checks import waiting
        own = self.settings.own
        self.report = waiting.run(
            self.settings, self.selected,
            clock.Deadline(own('deadline'), own('probe_timeout')),
            self.skipped, own('wait'), streams.tell)
        self.unwritten = [
            self.settings.redactor(said) for said in output.leave(
                self.report, self.settings.report_files, self.formats)]


def _settings(conf):
    """Return the settings, which must be those of this program.

    :raises _Refused: if they cannot be read, or not compared
    """
    from octavia_v2_checks import clock
    from octavia_v2_checks import settings
    from octavia_v2_checks.settings import parsed
    try:
        return settings.load_in_time((), parsed=parsed.of(conf))
    except parsed.Strange:
        raise _Refused(
            'This release of oslo.config does not show what it has read, so '
            'the checks cannot determine whether they see the same values. '
            'Remedy: run octavia-v2-checks upgrade check instead.') from None
    except settings.UsageError as exc:
        raise _Refused(exc.args[0]) from None
    except clock.OutOfTime:
        raise _Refused(
            f'The configuration sources did not answer within '
            f'{settings.LOAD_SECONDS:g} s, so nothing was checked. Remedy: '
            f'see [DEFAULT] config_source.') from None


class _Row:
    """One of our rows, as the command calls it."""

    def __init__(self, run, id_):
        self.run = run
        self.id = id_

    def __call__(self, _checks):
        from oslo_upgradecheck import upgradecheck
        if self.run.broken:
            return upgradecheck.Result(upgradecheck.Code.FAILURE,
                                       _spoken(self.run.broken))
        row = self.run.row(self.id)
        if self.run.unwritten and self.id == self.run.titles[0][0]:
            # A missing file must not go unnoticed.
            return upgradecheck.Result(
                upgradecheck.Code.FAILURE, _spoken(' '.join(
                    [f'{"; ".join(self.run.unwritten)}. Remedy: correct '
                     f'[octavia_v2_checks] report_file.',
                     row.details or '']).rstrip()))
        code = upgradecheck.Code(int(row.severity))
        if (code == upgradecheck.Code.WARNING
                and self.run.settings.own('fail_level') == 'failure'):
            code = upgradecheck.Code.SUCCESS
        return upgradecheck.Result(code, row.details
                                   and _spoken(row.details))


def _spoken(details):
    """Return Details that the command can print wherever it runs."""
    from octavia_v2_checks.reports import text
    details = text.printable(details)
    encoding = getattr(sys.stdout, 'encoding', None) or 'utf-8'
    return details.encode(encoding, 'backslashreplace').decode(encoding)


class _Guarded:
    """A stock row; if it raises, the row fails and the others are shown.

    Octavia 12.0.1 to 16.1.0 end every run with a traceback otherwise: their
    policy row reads an option group that nobody registered.
    """

    def __init__(self, func):
        self.func, self.kwargs = (
            func if isinstance(func, tuple) else (func, {}))

    def __call__(self, checks):
        from oslo_upgradecheck import upgradecheck
        try:
            return self.func(checks, **self.kwargs)
        except Exception as exc:
            return upgradecheck.Result(
                upgradecheck.Code.FAILURE,
                f'This check of octavia-status itself failed '
                f'({type(exc).__name__}), so nothing is known. Remedy: '
                f'upgrade Octavia; 12.0.1 to 16.1.0 have a policy check that '
                f'cannot run.')

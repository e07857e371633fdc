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

"""The command ``octavia-v2-checks``."""

import argparse
from collections.abc import Iterable
import dataclasses
import difflib
import importlib
import json
import logging
import os
import sys
import tempfile
import textwrap
import time
import traceback
from typing import Any
from typing import NoReturn

from octavia_v2_checks import catalogue

EXIT_USAGE = 64
EXIT_BROKEN = 255

LOG = logging.getLogger(__package__)


class _Usage(Exception):
    """What was typed cannot be done; the text says what to type instead."""


class _Broken(Exception):
    """The run cannot go on; the text says why."""


class _SecretFree(logging.Formatter):
    """Shows where an exception was raised, but not its text.

    The messages of drivers and of oslo.config repeat the values they were
    given, passwords among them.
    """

    def formatException(self, ei):  # noqa: N802
        lines: list[str] = []
        exc = ei[1]
        while exc:
            lines[:0] = [*traceback.format_tb(exc.__traceback__),
                         f'{type(exc).__name__}\n']
            exc = exc.__cause__ or exc.__context__
        return ''.join(lines).rstrip()


class _Parser(argparse.ArgumentParser):
    """Reports mistakes in one line, with exit code 64."""

    def error(self, message: str) -> NoReturn:
        raise _Usage(f'{message} (see {self.prog} --help)')


class _Config(argparse.Action):
    """Keeps --config-file and --config-dir in one list, in their order."""

    def __call__(self, parser, namespace, values, option_string=None):
        named = [*getattr(namespace, self.dest), (self.const, values)]
        setattr(namespace, self.dest, named)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float('inf'):
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a number of seconds above 0')
    return value


def _ids(text: str) -> list[str]:
    return [part.strip() for part in text.split(',') if part.strip()]


def _config_arguments(parser, dest):
    for kind, metavar, what in (
            ('file', 'FILE', 'a configuration file'),
            ('dir', 'DIR', 'a directory of *.conf files')):
        parser.add_argument(
            f'--config-{kind}', action=_Config, const=kind, metavar=metavar,
            dest=dest, default=[],
            help=f'read {what}; may be given several times, later ones win '
                 f'(default: what octavia-status reads)')


def _target_argument(parser):
    parser.add_argument('--target-release', metavar='RELEASE',
                        help='the Octavia that is to run, such as 16.0 or '
                             '2025.1 (default: the installed one)')


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog='octavia-v2-checks',
        description='Tells before an upgrade whether the jobboard and the '
                    'persistence database of Octavia\'s amphorav2 provider '
                    'work. Reads only.')
    parser.add_argument('--version', action='store_true',
                        help='print the version and exit')
    parser.add_argument('--debug', action='store_true',
                        help='log to stderr, and show a traceback if the '
                             'command itself fails')
    _config_arguments(parser, 'config')
    commands = parser.add_subparsers(dest='command', metavar='COMMAND',
                                     parser_class=_Parser)
    for add in (_add_check, _add_validate, _add_sample, _add_list,
                _add_explain):
        add(commands)
    return parser


def _add_check(commands):
    upgrade = commands.add_parser('upgrade', help='run the checks')
    upgrade_commands = upgrade.add_subparsers(
        dest='upgrade_command', metavar='check', required=True)
    check = upgrade_commands.add_parser(
        'check', help='run the checks',
        description='Exit codes: 0 all is well, 1 warnings, 2 failures, '
                    '64 a mistake in the command line, 255 the run itself '
                    'failed.')
    _config_arguments(check, 'more_config')
    check.add_argument('--json', action='store_const', const='json',
                       dest='format', help='same as --format json')
    check.add_argument('--format', metavar='FORMAT', dest='format',
                       help='table (the default) or json')
    check.add_argument('--output', metavar='FILE',
                       help='write the report to FILE; with another format '
                            'than table, stdout still gets the table')
    check.add_argument('--only', type=_ids, metavar='ID,..',
                       help='run these checks and no others')
    check.add_argument('--skip', type=_ids, metavar='ID,..',
                       help='leave these checks out')
    check.add_argument('--fail-level', choices=('warning', 'failure'),
                       help='with "failure", warnings alone exit with 0')
    check.add_argument('--probe-timeout', type=_seconds, metavar='S',
                       help='seconds for one question to a server')
    check.add_argument('--deadline', type=_seconds, metavar='S',
                       help='seconds for all probes together')
    check.add_argument('--offline', action='store_true',
                       help='look at the configuration only, open no '
                            'connection')
    _target_argument(check)
    check.set_defaults(run=_upgrade_check)


def _add_validate(commands):
    validate = commands.add_parser(
        'validate', help='look at the configuration only, without a '
                         'connection',
        description='Names every mistake in [task_flow] with file and line. '
                    'Exit codes are those of "upgrade check".')
    _config_arguments(validate, 'more_config')
    validate.add_argument('files', nargs='*', metavar='CONFIG',
                          help='a configuration file, as --config-file')
    validate.add_argument('--format', choices=('table', 'json', 'sarif'),
                          default='table')
    _target_argument(validate)
    validate.set_defaults(run=_validate)


def _add_sample(commands):
    sample = commands.add_parser(
        'sample', help='print a ready [task_flow] section',
        description='Prints a [task_flow] in which validate finds nothing. '
                    'Passwords that are not set are made up anew each time.')
    sample.add_argument(
        '--backend', required=True, help='the kind of jobboard',
        choices=('redis', 'redis-sentinel', 'zookeeper', 'etcd', 'none'))
    sample.add_argument(
        '--set', action='append', default=[], metavar='OPTION=VALUE',
        dest='assignments',
        help='set an option of [task_flow], with the value as Octavia shall '
             'see it ($ is doubled in the output); an empty value leaves '
             'the option out; may be given several times')
    sample.add_argument(
        '--provision', action='store_true',
        help='add, as comments, what to run on the servers: databases, '
             'accounts, rights')
    sample.add_argument('--output', metavar='FILE',
                        help='write to FILE, which only you may read')
    sample.set_defaults(run=_sample)


def _add_list(commands):
    listing = commands.add_parser(
        'list', help='print every check and every finding id')
    listing.add_argument('--format', choices=('table', 'json'),
                         default='table')
    listing.set_defaults(run=_list)


def _add_explain(commands):
    explain = commands.add_parser(
        'explain', help='say what a finding means and how to mend it')
    explain.add_argument('id', metavar='ID',
                         help='a finding id such as migration.behind, or a '
                              'check id')
    explain.set_defaults(run=_explain)


def _unknown(what: str, given: str, known: Iterable[str],
             rest: str | None = None) -> _Usage:
    """Return the mistake of naming something that does not exist.

    :param rest: where to find all names, if they are too many to print
    """
    known = list(known)
    near = difflib.get_close_matches(given, known, 1, 0.5)
    hint = f' Did you mean {near[0]}?' if near else ''
    return _Usage(f'unknown {what} {given!r}.{hint} '
                  + (rest or f'Known: {", ".join(known)}'))


def _select(checks, only, skip, offline):
    """Return the checks to run and the ids of those left out."""
    known = [c.id for c in checks]
    for id_ in [*(only or []), *skip]:
        if id_ not in known:
            raise _unknown('check', id_, known)
    chosen = [c for c in checks
              if c.id not in skip and (only is None or c.id in only)
              and (not offline or c.id == 'config')]
    if not chosen:
        raise _Usage('no check is left to run')
    return chosen, [id_ for id_ in known
                    if id_ not in {c.id for c in chosen}]


def _reports() -> dict[str, str]:
    """Return the output formats, each with the module that renders it."""
    return {'table': 'octavia_v2_checks.reports.table',
            'json': 'octavia_v2_checks.reports.json'}


def _upgrade_check(args) -> int:
    from octavia_v2_checks import clock
    from octavia_v2_checks import engine
    formats = _reports()
    name = args.format or 'table'
    if name not in formats:
        raise _unknown('format', name, formats)
    begin = time.monotonic()
    settings = _load(args.config + args.more_config, args.deadline)
    if args.target_release:
        settings = dataclasses.replace(
            settings, target_release=_release(args.target_release))
    own = settings.own
    chosen, skipped = _select(
        engine.checks(), args.only,
        own('skip') if args.skip is None else args.skip, args.offline)
    deadline = clock.Deadline(args.deadline or own('deadline'),
                              args.probe_timeout or own('probe_timeout'),
                              time.monotonic() - begin)
    report = engine.run(settings, chosen, deadline, skipped)
    text = _render(formats[name], report)
    if args.output:
        _write(args.output, text)
        name = 'table'
        text = _render(formats[name], report)
    print(text)
    return report.exit_code(args.fail_level or own('fail_level'))


def _release(given: str) -> str:
    """Return the release whose flows are known that a text stands for."""
    from octavia_v2_checks import flows
    release = flows.release(given)
    if release is None:
        raise _unknown('release', given, flows.table())
    return release


def _validate(args) -> int:
    from octavia_v2_checks import settings
    from octavia_v2_checks import validate
    loaded = _load(args.config + args.more_config
                   + [('file', path) for path in args.files])
    try:
        found = validate.run(loaded, args.target_release)
    except settings.UsageError as exc:
        raise _Usage(exc.args[0]) from None
    print(validate.render(args.format, found, loaded))
    return validate.exit_code(found)


def _sample(args) -> int:
    from octavia_v2_checks import sample
    from octavia_v2_checks import settings
    try:
        text = sample.render(args.backend, args.assignments, args.provision)
    except settings.UsageError as exc:
        raise _Usage(exc.args[0]) from None
    if args.output:
        _write(args.output, text, private=True)
    else:
        print(text)
    return 0


def _load(config, seconds=None):
    """Read the settings, in bounded time: a config source may be remote."""
    from octavia_v2_checks import clock
    from octavia_v2_checks import settings
    seconds = seconds or settings.LOAD_SECONDS
    try:
        return settings.load_in_time(config, seconds)
    except settings.UsageError as exc:
        raise _Usage(exc.args[0]) from None
    except clock.OutOfTime:
        raise _Broken(
            f'the configuration sources did not answer within '
            f'{seconds:g} s, so nothing was checked. See [DEFAULT] '
            f'config_source.') from None


def _render(module: str, report: Any) -> str:
    return importlib.import_module(module).render(report)


def _write(path: str, text: str, private: bool = False) -> None:
    """Put a document in place whole, or not at all.

    :param private: whether only its owner may read it
    """
    folder = os.path.dirname(path) or '.'
    try:
        handle, temporary = tempfile.mkstemp(dir=folder, prefix='.report-')
        try:
            with os.fdopen(handle, 'w', encoding='utf-8') as stream:
                stream.write(text + '\n')
            if not private:
                mask = os.umask(0)
                os.umask(mask)
                os.chmod(temporary, 0o666 & ~mask)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as exc:
        raise _Usage(f'cannot write {path}: '
                     f'{os.strerror(exc.errno or 0)}') from None


def _list(args) -> int:
    if args.format == 'json':
        print(json.dumps([
            {'id': id_, 'title': title, 'findings': [
                {'id': e.id, 'severity': e.severity.lower(),
                 'title': e.title} for e in catalogue.area(id_).values()]}
            for id_, title in catalogue.CHECKS.items()], indent=2))
        return 0
    width = max(len(e.id) for e in catalogue.entries())
    for id_, title in catalogue.CHECKS.items():
        print(f'{id_}: {title}')
        for e in catalogue.area(id_).values():
            print(f'  {e.id:<{width}}  {e.severity.lower():<7}  {e.title}')
    return 0


def _explain(args) -> int:
    if args.id in catalogue.CHECKS:
        print(f'{args.id}: {catalogue.CHECKS[args.id]}\n')
        for id_ in catalogue.area(args.id):
            print(f'  {id_}')
        return 0
    known = {e.id: e for e in catalogue.entries()}
    if args.id not in known:
        raise _unknown('id', args.id, known,
                       '"octavia-v2-checks list" prints all of them')
    entry = known[args.id]
    print(f'{entry.id} ({entry.severity.lower()})\n')
    for title, text in (('', entry.title), ('Why it matters: ', entry.why),
                        ('How to mend it: ', entry.remedy)):
        print(textwrap.fill(title + text, 78, break_on_hyphens=False) + '\n')
    return 0


def main(argv: list[str] | None = None) -> int:
    """Run the command.

    :param argv: arguments; those of the process if None
    :returns: exit code: 0, 1 and 2 as oslo.upgradecheck has them, 64 for a
        mistake in the command line, 255 if the run itself failed
    """
    argv = sys.argv[1:] if argv is None else argv
    if '--debug' in argv:
        handler = logging.StreamHandler()
        handler.setFormatter(_SecretFree('%(name)s: %(message)s'))
        LOG.addHandler(handler)
        LOG.setLevel(logging.DEBUG)
    try:
        code = _main(argv)
        sys.stdout.flush()
        return code
    except _Usage as exc:
        print(f'octavia-v2-checks: {exc.args[0]}', file=sys.stderr)
        return EXIT_USAGE
    except _Broken as exc:
        print(f'octavia-v2-checks: {exc.args[0]}', file=sys.stderr)
        return EXIT_BROKEN
    except BrokenPipeError:
        # The reader has gone; without this, Python complains once more
        # when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN
    except KeyboardInterrupt:
        print('octavia-v2-checks: interrupted', file=sys.stderr)
        return EXIT_BROKEN
    except Exception as exc:
        print(f'octavia-v2-checks: internal error ({type(exc).__name__}). '
              f'Nothing was checked; run again with --debug and report what '
              f'it prints.', file=sys.stderr)
        LOG.debug('internal error', exc_info=exc)
        return EXIT_BROKEN


def _main(argv: list[str]) -> int:
    parser = _parser()
    args = parser.parse_args(argv)
    if args.version:
        from octavia_v2_checks import versions
        print(f'octavia-v2-checks {versions.installed("octavia-v2-checks")}')
        return 0
    if not args.command:
        parser.error('no command given')
    return args.run(args)

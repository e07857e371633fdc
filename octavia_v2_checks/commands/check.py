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

"""``upgrade check``: run the checks and report."""

import contextlib
import dataclasses
import sys
import time

from octavia_v2_checks import arguments
from octavia_v2_checks import catalogue
from octavia_v2_checks import streams


def add(commands):
    """Add the command to the parser."""
    upgrade = commands.add_parser('upgrade', help='run the checks')
    upgrade_commands = upgrade.add_subparsers(
        dest='upgrade_command', metavar='check', required=True)
    check = upgrade_commands.add_parser(
        'check', help='run the checks',
        description='Runs the checks, and reports whether it is safe to '
                    'upgrade. Exit codes: 0 success, 1 warnings, 2 failures, '
                    '64 usage error, 130 interrupted, 255 the run itself '
                    'failed or an output could not be written.')
    arguments.config_arguments(check, 'more_config')
    check.add_argument('--json', action='store_const', const='json',
                       dest='format', help='same as --format json')
    check.add_argument('--format', metavar='FORMAT', dest='format',
                       help='text, short, table, json, junit, prometheus, '
                            'html, nagios, or one that another package '
                            'provides (default: text)')
    check.add_argument('--output', metavar='FILE', type=arguments.path,
                       help='write the report to FILE; stdout gets it as '
                            'text')
    check.add_argument('--only', type=arguments.ids, metavar='ID,..',
                       help='run only these checks: '
                            f'{", ".join(catalogue.CHECKS)}, or one that '
                            'another package provides (default: all)')
    check.add_argument('--skip', type=arguments.ids, metavar='ID,..',
                       help='skip these checks ' + _unless_set('skip', 'none'))
    check.add_argument('--fail-level', choices=('warning', 'failure'),
                       help='with "failure", warnings alone exit with 0 '
                            + _unless_set('fail_level', 'warning'))
    check.add_argument('--probe-timeout', type=arguments.seconds, metavar='S',
                       help='seconds for one question to a server '
                            + _unless_set('probe_timeout', 5))
    check.add_argument('--deadline', type=arguments.seconds, metavar='S',
                       help='seconds for all probes together '
                            + _unless_set('deadline', 20))
    check.add_argument('--wait', type=arguments.seconds, metavar='S',
                       help='run checks that fail again for S seconds, until '
                            'they pass, and print each change on stderr '
                            + _unless_set('wait', 0))
    check.add_argument('--offline', action='store_true',
                       help='check the configuration only, without opening a '
                            'connection')
    arguments.target_argument(check)
    check.set_defaults(run=run)


def _unless_set(name: str, default: object) -> str:
    """Return the text in --help for an option that files can set."""
    return f'(default: [octavia_v2_checks] {name}, {default} unless set)'


def _select(checks, only, skip, offline):
    """Return the checks to run and the ids of those that are skipped."""
    known = [c.id for c in checks]
    for id_ in [*(only or []), *skip]:
        if id_ not in known:
            raise arguments.unknown('check', id_, known)
    chosen = [c for c in checks
              if c.id not in skip and (only is None or c.id in only)
              and (not offline or c.id == 'config')]
    if not chosen:
        raise arguments.Usage('no check is left to run')
    return chosen, [id_ for id_ in known
                    if id_ not in {c.id for c in chosen}]


def run(args) -> int:
    """Run the command, and return its exit code."""
    begin = time.monotonic()
    settings = arguments.load(args.config + args.more_config, args.deadline)
    with arguments.secret_free(settings):
        return _run(args, settings, begin)


def _run(args, settings, begin):
    from octavia_v2_checks import clock
    from octavia_v2_checks import engine
    from octavia_v2_checks import output
    from octavia_v2_checks import progress
    from octavia_v2_checks import registry
    from octavia_v2_checks import waiting
    own = settings.own
    name = args.format or output.DEFAULT
    formats = output.formats(
        [output.DEFAULT, name, *(form for form, _ in settings.report_files)])
    if args.target_release:
        settings = dataclasses.replace(
            settings, target_release=_release(args.target_release))
    # A check that prints must not spoil the document on stdout.
    with contextlib.redirect_stdout(sys.stderr):
        chosen, skipped = _select(
            registry.checks(), args.only,
            own('skip') if args.skip is None else args.skip, args.offline)
        if 'config' in skipped:
            arguments.require_own(settings)
        deadline = clock.Deadline(args.deadline or own('deadline'),
                                  args.probe_timeout or own('probe_timeout'),
                                  time.monotonic() - begin)
        engine.prepare(settings, chosen, deadline)
        with progress.shown() as observer:
            report = waiting.run(settings, chosen, deadline, skipped,
                                 args.wait or own('wait'), streams.tell,
                                 observer)
    files = list(settings.report_files)
    if args.output and not output.is_stdout(args.output):
        files.append((name, args.output))
        name = output.DEFAULT
    wrong = output.leave(report, files, formats)
    try:
        document = output.rendered(name, formats[name], report)
    except output.Unwritten as exc:
        wrong.append(exc.args[0])
        name = output.DEFAULT
        document = formats[name](report)
    try:
        output.show(document, name)
    except output.Unwritten as exc:
        wrong.append(exc.args[0])
    except output.Gone:
        if not wrong:
            raise
    if report.interrupted:
        raise KeyboardInterrupt
    if wrong:
        raise arguments.Broken('; '.join(wrong))
    return report.exit_code(args.fail_level or own('fail_level'))


def _release(given: str) -> str:
    """Return the release whose flows are known that a text stands for."""
    from octavia_v2_checks.upstream import flows
    release = flows.release(given)
    if release is None:
        raise arguments.unknown('release', given, flows.table())
    return release

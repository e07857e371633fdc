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
from collections.abc import Iterator
import contextlib
import gc
import logging
import os
import sys
import traceback
from typing import NoReturn

from octavia_v2_checks import arguments
from octavia_v2_checks import output
from octavia_v2_checks import streams
from octavia_v2_checks.commands import catalogue
from octavia_v2_checks.commands import check
from octavia_v2_checks.commands import compare
from octavia_v2_checks.commands import drill
from octavia_v2_checks.commands import sample
from octavia_v2_checks.commands import validate

EXIT_USAGE = 64
EXIT_INTERRUPTED = 130
EXIT_GONE = 141
EXIT_BROKEN = 255

LOG = logging.getLogger(__package__)


class _SecretFree(logging.Formatter):
    """Shows where an exception was raised, but not its text.

    The messages of drivers and of oslo.config repeat their arguments,
    including passwords.
    """

    def formatException(self, ei):  # noqa: N802
        lines: list[str] = []
        exc = ei[1]
        while exc:
            lines[:0] = [*traceback.format_tb(exc.__traceback__),
                         f'{type(exc).__name__}\n']
            exc = exc.__cause__ or exc.__context__
        return ''.join(lines).rstrip()


class _Stderr(logging.StreamHandler):
    """Says nothing of a stderr that cannot be written: its text is secret."""

    def handleError(self, record):  # noqa: N802
        pass


@contextlib.contextmanager
def _logging(wanted: bool) -> Iterator[None]:
    """Log to stderr while the command runs."""
    if not wanted:
        yield
        return
    handler, level = _Stderr(), LOG.level
    handler.setFormatter(_SecretFree('%(name)s: %(message)s'))
    LOG.addHandler(handler)
    LOG.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        LOG.removeHandler(handler)
        LOG.setLevel(level)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command."""
    whole = arguments.Parser(
        prog='octavia-v2-checks',
        description='Checks before an upgrade whether the jobboard and the '
                    'persistence database of Octavia\'s amphorav2 provider '
                    'work. Only reads, except for drill.')
    whole.add_argument('-V', '--version', action='store_true',
                        help='print the version and exit')
    whole.add_argument('--debug', action='store_true',
                        help='log to stderr, and show a traceback if the '
                             'command itself fails')
    arguments.config_arguments(whole, 'config')
    commands = whole.add_subparsers(dest='command', metavar='COMMAND',
                                     parser_class=arguments.Parser)
    for command in (check, validate, sample, compare, drill, catalogue):
        command.add(commands)
    return whole


def run() -> NoReturn:
    """Run the command with the arguments of the process, and end it.

    It ends at once: a check of another distribution may have left threads
    for which Python would wait, and taking the interpreter apart is a tenth
    of a short run.
    """
    # Next to nothing becomes garbage while modules are imported.
    gc.set_threshold(50_000)
    os._exit(main())


def main(argv: list[str] | None = None) -> int:
    """Run the command.

    :param argv: arguments; those of the process if None
    :returns: exit code: 0, 1 and 2 as oslo.upgradecheck has them, 64 for a
        usage error, 130 if interrupted, 141 if the reader of stdout has
        gone, 255 if the run itself failed
    """
    argv = sys.argv[1:] if argv is None else argv
    streams.prepare()
    with _logging('--debug' in argv):
        code, said = _outcome(argv)
    if said:
        streams.tell(f'octavia-v2-checks: {said}')
    streams.finish()
    return code


def _outcome(argv):
    """Run the command, and return its exit code and a line for stderr."""
    try:
        return _main(argv), None
    except arguments.Usage as exc:
        return EXIT_USAGE, exc.args[0]
    except (arguments.Broken, output.Unwritten) as exc:
        return EXIT_BROKEN, exc.args[0]
    except output.Gone:
        return EXIT_GONE, None
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED, 'interrupted'
    except Exception as exc:
        LOG.debug('internal error', exc_info=exc)
        return EXIT_BROKEN, (
            f'internal error ({type(exc).__name__}). Nothing was checked; '
            f'run again with --debug and report what it prints.')


def _main(argv: list[str]) -> int:
    whole = parser()
    try:
        with output.printing():
            args = whole.parse_args(argv)
    except SystemExit:
        return 0  # after --help
    if args.version:
        from octavia_v2_checks.upstream import versions
        output.show(
            f'octavia-v2-checks {versions.installed("octavia-v2-checks")}')
        return 0
    if not args.command:
        whole.error('no command given')
    return args.run(args)


if __name__ == '__main__':
    run()

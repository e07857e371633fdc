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
import logging
import os
import sys
import traceback

from octavia_v2_checks import arguments
from octavia_v2_checks.commands import catalogue
from octavia_v2_checks.commands import check
from octavia_v2_checks.commands import compare
from octavia_v2_checks.commands import drill
from octavia_v2_checks.commands import sample
from octavia_v2_checks.commands import validate

EXIT_USAGE = 64
EXIT_BROKEN = 255

LOG = logging.getLogger(__package__)


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


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command."""
    whole = arguments.Parser(
        prog='octavia-v2-checks',
        description='Tells before an upgrade whether the jobboard and the '
                    'persistence database of Octavia\'s amphorav2 provider '
                    'work. Reads only, but for the drill.')
    whole.add_argument('--version', action='store_true',
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
    except arguments.Usage as exc:
        print(f'octavia-v2-checks: {exc.args[0]}', file=sys.stderr)
        return EXIT_USAGE
    except arguments.Broken as exc:
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
    whole = parser()
    args = whole.parse_args(argv)
    if args.version:
        from octavia_v2_checks.upstream import versions
        print(f'octavia-v2-checks {versions.installed("octavia-v2-checks")}')
        return 0
    if not args.command:
        whole.error('no command given')
    return args.run(args)

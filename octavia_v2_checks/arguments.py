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

"""What the commands share: usage errors, argument types, the settings."""

import argparse
from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import difflib
import re
import sys
from typing import Any
from typing import NoReturn

from octavia_v2_checks.reports import text as text_


class Stop(Exception):
    """Why the command ends: one line, safe to print on a terminal."""

    def __init__(self, said: str):
        super().__init__(text_.line(said))


class Usage(Stop):
    """A usage error; the text says what to type instead."""


class Broken(Stop):
    """The run cannot continue; the text says why."""


@contextlib.contextmanager
def secret_free(settings: Any) -> Iterator[None]:
    """Remove the secrets of a configuration from the error that ends the
    command."""
    try:
        yield
    except Stop as exc:
        raise type(exc)(settings.redactor(exc.args[0])) from None


class Parser(argparse.ArgumentParser):
    """Reports usage errors in one line, with exit code 64."""

    def error(self, message: str) -> NoReturn:
        wrong = re.search(r"invalid choice: '(\S+)'|"
                          r'unrecognized arguments: (\S+)', message)
        near = wrong and difflib.get_close_matches(
            wrong[1] or wrong[2], self._words(), 1)
        hint = f'. Did you mean {near[0]}?' if near else ''
        raise Usage(f'{message}{hint} (see {self.prog} --help)')

    def _words(self) -> Iterator[str]:
        """Yield every command, option and choice, of subcommands too."""
        for action in self._actions:
            yield from action.option_strings
            yield from map(str, action.choices or ())
            if isinstance(action.choices, dict):
                for parser in action.choices.values():
                    yield from parser._words()

    def _print_message(self, message, file=None):
        # The method of argparse ignores a stdout that cannot be written.
        stream = file or sys.stdout
        stream.write(message)
        stream.flush()


class ConfigAction(argparse.Action):
    """Keeps --config-file and --config-dir in one list, in their order."""

    def __call__(self, parser, namespace, values, option_string=None):
        named = [*getattr(namespace, self.dest), (self.const, values)]
        setattr(namespace, self.dest, named)


def seconds(text: str) -> float:
    """Return the number of seconds that an argument gives.

    The bounds are those of the options: a second and a day.
    """
    from octavia_v2_checks import opts
    try:
        return opts.Duration()(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a number of seconds from '
            f'{opts.SHORTEST:g} to {opts.LONGEST:g}') from None


def path(text: str) -> str:
    """Return the path of a file to write, which must not be empty."""
    if not text.strip():
        raise argparse.ArgumentTypeError('the name of the file is empty')
    return text


def ids(text: str) -> list[str]:
    """Return the ids in a comma-separated argument."""
    return [part.strip() for part in text.split(',') if part.strip()]


def config_arguments(parser: argparse.ArgumentParser, dest: str) -> None:
    """Add --config-file and --config-dir, kept in their order in *dest*."""
    for kind, metavar, what in (
            ('file', 'FILE', 'a configuration file'),
            ('dir', 'DIR', 'a directory of *.conf files')):
        parser.add_argument(
            f'--config-{kind}', action=ConfigAction, const=kind,
            metavar=metavar, dest=dest, default=[],
            help=f'read {what}; may be given several times, later files win '
                 '(default: what octavia-status reads)')


def format_argument(parser: argparse.ArgumentParser, *formats: str,
                    default: Any = None) -> None:
    """Add --format, of which the first choice is the default.

    :param default: another default, for a part of a command
    """
    parser.add_argument('--format', choices=formats,
                        default=default or formats[0],
                        help=f'output format (default: {formats[0]})')


def target_argument(parser: argparse.ArgumentParser) -> None:
    """Add --target-release."""
    parser.add_argument('--target-release', metavar='RELEASE',
                        help='the Octavia release to check for, such as 16.0 '
                             'or 2025.1 (default: the installed one)')


def unknown(what: str, given: str, known: Iterable[str],
            rest: str | None = None) -> Usage:
    """Return the usage error for a name that does not exist.

    :param rest: where to find all names, if they are too many to print
    """
    known = list(known)
    near = difflib.get_close_matches(given, known, 1, 0.5)
    hint = f' Did you mean {near[0]}?' if near else ''
    return Usage(f'unknown {what} {given!r}.{hint} '
                 + (rest or f'Known: {", ".join(known)}'))


def require_own(settings: Any) -> None:
    """Refuse a run in which no check reports invalid options of ours.

    :raises Usage: for the first of them
    """
    from octavia_v2_checks import settings as settings_
    try:
        settings.require_own()
    except settings_.UsageError as exc:
        raise Usage(exc.args[0]) from None


def load(config: list[tuple[str, str]], within: float | None = None):
    """Read the settings, in bounded time: a config source may be remote.

    :param config: as :func:`octavia_v2_checks.settings.load` has it
    :param within: seconds
    :raises Usage: for a file or directory that cannot be read
    :raises Broken: if a config source does not answer in time
    """
    from octavia_v2_checks import clock
    from octavia_v2_checks import settings
    within = within or settings.LOAD_SECONDS
    try:
        return settings.load_in_time(config, within)
    except settings.UsageError as exc:
        raise Usage(exc.args[0]) from None
    except clock.OutOfTime:
        raise Broken(
            f'the configuration sources did not answer within '
            f'{within:g} s, so nothing was checked. See [DEFAULT] '
            f'config_source.') from None

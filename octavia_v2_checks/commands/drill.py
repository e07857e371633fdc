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

"""``drill``: kill a worker on purpose, and see another one finish."""

import argparse
import contextlib
import os
import signal
import sys

from octavia_v2_checks import arguments

_FORMATS = ('table', 'json', 'junit')

_MOST_FLOWS = 100


def add(commands):
    """Add the command to the parser."""
    drill = commands.add_parser(
        'drill', help='kill a worker in the middle of a flow, and see '
                      'another one finish it',
        description='Posts harmless flows in a separate namespace, lets a '
                    'worker begin one, kills it, and waits for another worker '
                    'to finish. Writes to the jobboard and the persistence '
                    'database, and removes everything again. Exit codes: 0 '
                    'success, 1 warnings, 2 failures, 64 usage error, 130 '
                    'interrupted, 255 the run itself failed.')
    arguments.config_arguments(drill, 'more_config')
    _common(drill)
    _asking(drill)
    drill.set_defaults(run=_run_whole)
    below = drill.add_subparsers(dest='drill_command', metavar='PART',
                                 parser_class=arguments.Parser)
    _add_halves(below)
    clean = below.add_parser(
        'clean', help='remove the remains of earlier drills')
    arguments.config_arguments(clean, 'last_config')
    _common(clean, default=argparse.SUPPRESS)
    _yes(clean, 'no effect: it does not ask')
    clean.set_defaults(run=_run_clean)


def _add_halves(below):
    begin = below.add_parser(
        'begin', help='do the first half, up to the kill, on this host')
    finish = below.add_parser(
        'finish', help='do the second half on this host')
    for parser, what in (
            (begin, 'where to write the data for "drill finish"'),
            (finish, 'the data from "drill begin"')):
        parser.add_argument('file', metavar='FILE',
                            help=f'{what}; - is stdout or stdin')
        arguments.config_arguments(parser, 'last_config')
        _common(parser, default=argparse.SUPPRESS)
    _asking(begin, default=argparse.SUPPRESS)
    _yes(finish, 'no effect: "drill begin" has asked')
    begin.set_defaults(run=_run_begin)
    finish.set_defaults(run=_run_finish)


def _common(parser, default=None):
    parser.add_argument('--timeout', type=arguments.seconds, metavar='S',
                        default=default,
                        help='seconds for the whole drill (default: three '
                             'times those of a claim, plus 30)')
    arguments.format_argument(parser, *_FORMATS, default=default)
    parser.add_argument('--output', metavar='FILE', default=default,
                        help='write the report to FILE; stdout then has the '
                             'table')


def _yes(parser, what, default=argparse.SUPPRESS):
    parser.add_argument('--yes', action='store_true', default=default,
                        help=what)


def _asking(parser, default=None):
    _yes(parser, 'do not ask before it begins', default or False)
    parser.add_argument('--flows', type=_flows, metavar='N',
                        default=default or 1,
                        help='how many flows to post (default: 1)')


def _flows(text):
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_FLOWS:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a number from 1 to {_MOST_FLOWS}')
    return int(text)


def _run_whole(args) -> int:
    """Do both halves on this host."""
    from octavia_v2_checks.drill import director

    def play(settings, observe):
        return director.run(settings, args.flows, timeout=args.timeout,
                            observe=observe)

    return _perform(args, play, asks=True)


def _run_begin(args) -> int:
    """Do the first half, and leave a file for the second."""
    from octavia_v2_checks import output
    from octavia_v2_checks.drill import director
    handed: list[str] = []

    def hand_over(begun):
        if args.file == '-':
            _to_stdout(begun.as_json())
        else:
            output.write(args.file, begun.as_json())
        handed.append(args.file)

    def play(settings, observe):
        if args.file != '-':
            # Better fail now than when there is something to hand over.
            output.write(args.file, '{}')
        try:
            return director.begin(settings, args.flows, hand_over,
                                  timeout=args.timeout, observe=observe)
        finally:
            if not handed and args.file != '-':
                os.unlink(args.file)

    return _perform(args, play, asks=True)


def _to_stdout(text):
    """Write the data for the other half, or fail while it can be removed."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as exc:
        raise arguments.Broken(f'cannot write to stdout: '
                               f'{os.strerror(exc.errno or 0)}') from None


def _run_finish(args) -> int:
    """Do the second half of the drill that a file describes."""
    from octavia_v2_checks.drill import director
    from octavia_v2_checks.drill import result
    try:
        if args.file == '-':
            text = sys.stdin.read()
        else:
            with open(args.file, encoding='utf-8') as stream:
                text = stream.read()
        begun = result.read(text)
    except OSError as exc:
        raise arguments.Usage(f'cannot read {args.file}: '
                              f'{os.strerror(exc.errno or 0)}') from None
    except (result.Unusable, UnicodeDecodeError) as exc:
        why = (exc.args[0] if isinstance(exc, result.Unusable)
               else 'it is not a text file')
        raise arguments.Usage(f'{args.file}: {why}') from None
    return _perform(args, lambda settings, observe: director.finish(
        settings, begun, timeout=args.timeout, observe=observe))


def _run_clean(args) -> int:
    """Remove what earlier drills have left."""
    from octavia_v2_checks.drill import director
    return _perform(args, lambda settings, observe: director.clean(
        settings, timeout=args.timeout, observe=observe))


def _perform(args, play, asks=False) -> int:
    """Load, ask, play and report."""
    from octavia_v2_checks import output
    from octavia_v2_checks.drill import report
    from octavia_v2_checks.drill import result
    from octavia_v2_checks.drill import stage
    settings = arguments.load(args.config + args.more_config
                              + getattr(args, 'last_config', []))
    if asks and not stage.obstacle(settings) and not _agreed(args, settings):
        print('octavia-v2-checks: nothing was written', file=sys.stderr)
        return result.EXIT_INTERRUPTED
    with _interruptible(), _shown() as observe:
        came = play(settings, observe)
    form = args.format
    if args.output:
        output.write(args.output, report.RENDER[form](came))
        form = 'table'
    if getattr(args, 'file', None) == '-' and args.run is _run_begin:
        # stdout has the data for the other half.
        print(report.RENDER[form](came), file=sys.stderr)
    else:
        output.show(report.RENDER[form](came), form)
    return came.exit_code


def _agreed(args, settings) -> bool:
    """Tell what will be written, and ask unless --yes is given.

    :raises arguments.Usage: if there is no terminal to ask on
    """
    from octavia_v2_checks.drill import causes
    is_terminal = sys.stdin.isatty() and sys.stderr.isatty()
    if not args.yes and not is_terminal:
        raise arguments.Usage(
            'drill writes to the jobboard and the persistence database; '
            'without a terminal to ask on, it requires --yes')
    print(f'octavia-v2-checks: the drill writes {args.flows} harmless '
          f'flow(s) to {causes.place(settings)}, and removes them again.',
          file=sys.stderr)
    if args.yes:
        return True
    print('Continue? [y/N] ', end='', file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ('y', 'yes')


@contextlib.contextmanager
def _interruptible():
    """Let only the first termination signal raise KeyboardInterrupt."""
    kinds = [s for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
             if signal.getsignal(s) is not signal.SIG_IGN]

    def stop(signum, frame):
        del signum, frame
        for kind in kinds:
            signal.signal(kind, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {kind: signal.signal(kind, stop) for kind in kinds}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


@contextlib.contextmanager
def _shown():
    """Show what the drill waits for, only on a terminal."""
    from octavia_v2_checks.drill import director
    if not sys.stderr.isatty() or os.environ.get('TERM') in (None, 'dumb'):
        yield director.unobserved
        return
    from rich import console
    from rich import progress
    lines = progress.Progress(
        progress.SpinnerColumn(), progress.TextColumn('{task.description}'),
        progress.TimeElapsedColumn(), transient=True,
        console=console.Console(stderr=True))
    with lines:
        task = lines.add_task('', total=None)
        yield lambda text: lines.update(task, description=text)

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


"""Compares verdicts with what workers do.

Usage: python -m tests.truth [--cases N] [--seed S] [--stock N]
[--resume]
[--write], or python -m tests.truth --case NAME...
"""

import argparse
import contextlib
import dataclasses
import random
import sys
import time

from tests import zygote
from tests.truth import drawing
from tests.truth import fixed
from tests.truth import judging
from tests.truth import lab as labs
from tests.truth import page
from tests.truth import record


def _arguments():
    parser = argparse.ArgumentParser(prog='python -m tests.truth')
    parser.add_argument('--cases', type=int, default=500,
                        help='how many to draw')
    parser.add_argument('--seed', type=int, help='of what is drawn')
    parser.add_argument('--case', nargs='+', metavar='NAME',
                        help='judge these, and tell all about them')
    parser.add_argument('--fixed', action='store_true',
                        help='judge the cases of fixed.py')
    parser.add_argument('--lanes', type=int, default=judging.LANES,
                        help='cases at a time')
    parser.add_argument('--stock', type=int, default=0, metavar='N',
                        help='let the stock check judge N of them, too')
    parser.add_argument('--resume', action='store_true',
                        help='go on with the last run of this seed, and '
                             'judge again what was wrong in it')
    parser.add_argument('--write', action='store_true',
                        help='put the result into the documentation')
    return parser.parse_args()


def _tell(outcome, seconds):
    line = (f'{seconds:7.1f} {outcome.kind:11} {outcome.level} '
            f'{"works" if outcome.works else "fails"} {outcome.name}')
    print(line, ' '.join(id_ for id_, _ in outcome.failures), flush=True)
    if outcome.kind.startswith('false'):
        print('        ', outcome.said, outcome.failures, flush=True)


def _judge(lab, names, args, log):
    """Judge cases; whether all of them could be."""
    begin = time.monotonic()
    complete = True
    for name, outcome in judging.run(lab, names, args.lanes):
        if isinstance(outcome, Exception):
            complete = False
            print(f'not judged: {name}: {outcome!r}', flush=True)
            continue
        log.add(outcome)
        _tell(outcome, time.monotonic() - begin)
        if args.case:
            print('        ', outcome.said)
    return complete


def _ask_stock(lab, names, log):
    """Let the stock check judge cases, too."""
    begin = time.monotonic()
    for name, result in judging.run(lab, names, judging.STOCK_LANES,
                                    judging.ask_stock):
        if isinstance(result, Exception):
            print(f'not asked: {name}: {result!r}', flush=True)
            continue
        outcome = dataclasses.replace(log.outcomes[name], stock=result,
                                      asked_stock=True)
        log.add(outcome)
        print(f'{time.monotonic() - begin:7.1f} stock {outcome.stock_kind} '
              f'{name}', flush=True)


def main() -> int:
    """Draw, judge, tell, and write.

    :returns: 1 if a verdict is wrong, or a case could not be judged
    """
    args = _arguments()
    seed = random.SystemRandom().randrange(10 ** 6) if (
        args.seed is None) else args.seed
    names = args.case or (fixed.CASES if args.fixed
                          else drawing.Drawing(seed).cases(args.cases))
    print(f'{len(names)} cases, seed {seed}', flush=True)
    log = record.Log(seed, names, args.resume)
    with contextlib.ExitStack() as stack:
        stack.callback(zygote.close_place, zygote.open_place())
        lab = labs.Lab(stack)
        complete = _judge(lab, log.missing(), args, log)
        _ask_stock(lab, log.missing_stock(args.stock), log)
    found = record.summary(log)
    for line in record.lines(found):
        print(line)
    if args.write:
        record.write(page.RECORD, found)
        page.main()
    return int(bool(found['wrong']) or not complete)


if __name__ == '__main__':
    sys.exit(main())

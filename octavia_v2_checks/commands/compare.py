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

"""``compare``: do several hosts agree on what resumption requires?"""

from octavia_v2_checks import arguments


def add(commands):
    """Add the command to the parser."""
    compare = commands.add_parser(
        'compare', help='find differences between hosts that keep one from '
                        'finishing the flows of another',
        description='Reads reports of "upgrade check --json" from several '
                    'hosts. Exit codes: 0 the hosts agree, 1 harmless '
                    'differences, 2 harmful differences.')
    compare.add_argument('reports', nargs='+', metavar='REPORT',
                         help='a JSON report, one for each host')
    arguments.format_argument(compare, 'table', 'json')
    compare.set_defaults(run=run)


def run(args) -> int:
    """Run the command, and return its exit code."""
    from octavia_v2_checks import compare
    from octavia_v2_checks import output
    try:
        reports = compare.read(args.reports)
    except compare.Unusable as exc:
        raise arguments.Usage(exc.args[0]) from None
    found = compare.differences(reports)
    output.show(compare.render(args.format, reports, found))
    return compare.exit_code(found)

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

"""``sample``: a ready ``[task_flow]``."""

from octavia_v2_checks import arguments


def add(commands):
    """Add the command to the parser."""
    sample = commands.add_parser(
        'sample', help='print a ready [task_flow] section',
        description='Prints a [task_flow] section in which validate finds '
                    'nothing. Passwords that are not set are generated each '
                    'time.')
    sample.add_argument(
        '--backend', required=True, help='the kind of jobboard',
        choices=('redis', 'redis-sentinel', 'zookeeper', 'etcd', 'none'))
    sample.add_argument(
        '--set', action='append', default=[], metavar='OPTION=VALUE',
        dest='assignments',
        help='set an option of [task_flow] to the value that Octavia is to '
             'see ($ is doubled in the output); an empty value omits the '
             'option; may be given several times')
    sample.add_argument(
        '--provision', action='store_true',
        help='add the statements for the servers as comments: databases, '
             'accounts, permissions')
    sample.add_argument('--output', metavar='FILE', type=arguments.path,
                        help='write to FILE, readable only by you; an '
                             'existing file that is not readable by everybody '
                             'keeps its owner and mode')
    sample.set_defaults(run=run)


def run(args) -> int:
    """Run the command, and return its exit code."""
    from octavia_v2_checks import output
    from octavia_v2_checks import sample
    from octavia_v2_checks import settings
    try:
        text = sample.render(args.backend, args.assignments, args.provision)
    except settings.UsageError as exc:
        raise arguments.Usage(exc.args[0]) from None
    if args.output is None or output.is_stdout(args.output):
        output.show(text, 'conf')
    else:
        output.write(args.output, text, private=True)
    return 0

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

"""``validate``: the configuration, without a connection."""

from octavia_v2_checks import arguments


def add(commands):
    """Add the command to the parser."""
    validate = commands.add_parser(
        'validate', help='check the configuration only, without opening a '
                         'connection',
        description='Reports every mistake in [task_flow] with file and line. '
                    'Exit codes are those of "upgrade check".')
    arguments.config_arguments(validate, 'more_config')
    validate.add_argument('files', nargs='*', metavar='CONFIG',
                          help='a configuration file, like --config-file')
    arguments.format_argument(validate, 'text', 'table', 'json', 'sarif')
    arguments.target_argument(validate)
    validate.set_defaults(run=run)


def run(args) -> int:
    """Run the command, and return its exit code."""
    from octavia_v2_checks import output
    from octavia_v2_checks import settings
    from octavia_v2_checks import validate
    loaded = arguments.load(args.config + args.more_config
                   + [('file', path) for path in args.files])
    try:
        found = validate.run(loaded, args.target_release)
    except settings.UsageError as exc:
        raise arguments.Usage(exc.args[0]) from None
    output.show(validate.render(args.format, found, loaded), args.format)
    return validate.exit_code(found)

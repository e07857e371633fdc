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

"""Whether what was read is the configuration in effect."""

from collections.abc import Iterable
from collections.abc import Mapping
import os

from octavia_v2_checks import findings
from octavia_v2_checks import opts
from octavia_v2_checks.settings import files
from octavia_v2_checks.settings import parsed
from octavia_v2_checks.settings import reader


def not_in_force(found: files.Found, program: parsed.Parsed | None,
                 schema: Mapping[str, object]) -> findings.Finding | None:
    """Return why the values may differ from those of this program.

    :param program: what it has parsed, None if it has not
    :param schema: the groups that matter
    """
    if program is None:
        return None
    if found.spent:
        paths = ', '.join(found.spent)
        return findings.finding(
            'config.undetermined',
            f'{paths}: this is not a regular file. It was read once, before '
            'the checks began, and cannot be read again, so nothing is known '
            'about its contents.',
            'Put the configuration into a regular file, or use '
            'octavia-v2-checks upgrade check, which reads a pipe itself.',
            file=found.spent[0])
    differing = parsed.differences(found.files, program.options, schema)
    if differing:
        return findings.finding(
            'config.undetermined',
            f'{", ".join(differing[:3])}: octavia-status has read another '
            'value than its configuration files have now, so it is not known '
            'what is in effect.',
            'Run it again; if that does not help, put the configuration '
            'into a regular file and name it with --config-file.')
    return None


def not_known(found: files.Found, values: Iterable[reader.Value],
              broken: bool, closed: Iterable[str]
              ) -> findings.Finding | None:
    """Return why no configuration is known, if none is.

    :param broken: whether a config source did not answer
    :param closed: directories of the search path that were not looked into
        and come before the octavia.conf that was found
    """
    projects = [d for d in closed if os.path.basename(d) in (
        'octavia', '.octavia')]
    told = broken or bool(found.telling) or any(
        v.source == 'source' or (
            v.source == 'environment' and v.group == opts.TASK_FLOW)
        for v in values)
    if told and not projects and not found.closed:
        return None
    said = [f'{path} exists, but this user may not read it'
            for path in dict.fromkeys([*closed, *found.closed])]
    if not told:
        said.insert(0, 'No configuration file of Octavia was read' + (
            f', only {", ".join(f.path for f in found.files)}'
            if found.files else ''))
    return findings.finding(
        'config.no-files',
        f'{"; ".join(said)}. What Octavia is configured to do is not known.',
        'Run the command as a user who may read the configuration of Octavia, '
        'or name the files with --config-file.')

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

"""What oslo-config-validator and Octavia refuse is refused here too."""

import re
import subprocess
import sys

from oslo_config import validator
import pytest
import yaml

from octavia_v2_checks import findings
from octavia_v2_checks import settings
from octavia_v2_checks.checks import config
from tests.servers import process
from tests.unit import config_cases
from tests.unit import fragments
from tests.unit import test_config_properties

CASES = [c for c in [*config_cases.PRESENT, *config_cases.ABSENT]
         if not c.environ and not c.release]


def _define(folder):
    """Write Octavia's own definitions, as oslo-config-validator reads them."""
    made = subprocess.run(
        [sys.executable, '-m', 'oslo_config.generator', '--namespace',
         'octavia', '--format', 'yaml'],
        check=True, capture_output=True, timeout=120).stdout
    opts = yaml.safe_load(made)['options']['task_flow']['opts']
    # What it does not look at would take most of the time of every case.
    (folder / 'octavia.yaml').write_text(yaml.safe_dump({
        'options': {'task_flow': {'opts': [
            {'name': o['name'], 'dest': o.get('dest')} for o in opts]}},
        'deprecated_options': {}}))


@pytest.fixture(scope='module')
def definitions():
    return str(process.shared('definitions', _define) / 'octavia.yaml')


def validated(monkeypatch, definitions, path):
    """Return whether oslo-config-validator accepts a file."""
    monkeypatch.setattr(sys, 'argv', [
        'oslo-config-validator', '--opt-data', definitions,
        '--input-file', path])
    try:
        return validator.main() == 0
    except Exception:
        # It ends with a traceback on files that do not parse.
        return False


@pytest.mark.parametrize('case', CASES, ids=lambda c: c.id)
def test_nothing_that_others_refuse_passes(tmp_path, monkeypatch, definitions,
                                           case):
    content = fragments.text(case.fragment).replace('§', '')
    path = tmp_path / 'octavia.conf'
    path.write_text(content, encoding='utf-8')
    loaded = settings.load([('file', str(path))])
    failed = any(f.severity is findings.Severity.FAILURE
                 for f in config.mistakes(loaded))
    if set(re.findall(r'^\[.*', content, re.MULTILINE)) == {'[task_flow]'}:
        # The definitions are those of this section, and the validator does
        # not know that oslo.config takes its name in any case.
        assert failed or validated(monkeypatch, definitions, str(path))
    if not loaded.unreadable:
        read = test_config_properties.octavia([str(path)])
        assert failed or not any(isinstance(v, Exception)
                                 for v in read.values())

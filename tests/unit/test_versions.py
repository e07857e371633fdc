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

"""What is installed, however it was installed."""

from importlib import metadata

import pytest

from octavia_v2_checks.upstream import versions


def test_as_the_library_says():
    for distribution in metadata.distributions():
        for name in ('Name', 'Version'):
            assert versions.field(distribution, name) == (
                distribution.metadata[name])


@pytest.mark.parametrize('place', [
    'odd-1.2.dist-info/METADATA', 'odd-1.2.egg-info/PKG-INFO',
    'odd-1.2.egg-info'])
def test_installers(tmp_path, monkeypatch, place):
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    path.write_text('Metadata-Version: 2.1\nName: odd\nVersion: 1.2\n\n'
                    'Version: 9\n')
    monkeypatch.syspath_prepend(tmp_path)
    assert versions.installed('odd') == '1.2'


def test_not_installed():
    assert versions.installed('nobody-has-this') is None

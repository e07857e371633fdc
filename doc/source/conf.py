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

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / '_ext'))

project = 'octavia-v2-checks'
copyright = 'The octavia-v2-checks authors'
extensions = ['openstackdocstheme', 'oslo_config.sphinxext', 'reno.sphinxext',
              'finding_list']
html_theme = 'openstackdocs'
html_static_path = ['_static']
html_css_files = ['look.css']
openstackdocs_auto_name = False
openstackdocs_auto_version = False
openstackdocs_use_storyboard = False
pygments_style = 'native'

man_pages = [
    ('cli/index', 'octavia-v2-checks',
     "check the jobboard and the persistence of Octavia's amphorav2",
     ['The octavia-v2-checks authors'], 1)]

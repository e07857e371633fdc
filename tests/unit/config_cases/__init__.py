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

"""What each ``config.*`` finding is about, and what it is not about."""

from tests.unit.config_cases import names
from tests.unit.config_cases import persistence
from tests.unit.config_cases import servers
from tests.unit.config_cases import tls
from tests.unit.config_cases import values

PRESENT = [*names.PRESENT, *values.PRESENT, *persistence.PRESENT,
           *servers.PRESENT, *tls.PRESENT]

#: Fragments about which there is nothing to say at all; the id is the one
#: that a hasty rule would report.
ABSENT = [*names.ABSENT, *values.ABSENT, *persistence.ABSENT,
          *servers.ABSENT, *tls.ABSENT]

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


"""The stock check's own row on the provider, without the rows beside it.

Up to Octavia 16 the row about the policy file ends the whole command with a
traceback, with the libraries of that time.
"""

import sys

from octavia.cmd import status
from oslo_upgradecheck import upgradecheck

ROW = 'AmphoraV2 Check'


class _Checks(status.Checks):
    _upgrade_checks = tuple(
        (name, check) for name, check in status.Checks._upgrade_checks
        if name == ROW)


def main(args) -> int:
    """Run the command with these arguments; its exit code."""
    sys.argv = ['octavia-status', *args]
    return upgradecheck.main(status.CONF, project='octavia',
                             upgrade_command=_Checks(), argv=args)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))

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

"""Checks of another project: one that is right, and every way to be wrong."""

import os
import sys
import threading
import time

from oslo_upgradecheck import upgradecheck

from octavia_v2_checks import findings


def check(settings, deadline):
    """Yield jobboard hosts that are not in our domain."""
    hosts = settings.get('jobboard_backend_hosts')
    strangers = [h for h in hosts if not h.endswith('.acme.example')]
    for host in strangers:
        yield findings.Finding(
            'acme.host', findings.Severity.WARNING,
            f'{host} is not a host of Acme.',
            f'Write {host}.acme.example in jobboard_backend_hosts.',
            **settings['jobboard_backend_hosts'].where)
    if not strangers:
        yield f'All {len(hosts)} jobboard hosts are in acme.example.'


check.title = 'Rules of Acme'


def raises(settings, deadline):
    """Fail with a text that holds the password."""
    raise RuntimeError(settings.get('jobboard_backend_password'))


def leaves(settings, deadline):
    """Try to end the process with success."""
    sys.exit(0)


def hangs(settings, deadline):
    """Never answer."""
    while True:
        time.sleep(1)


def lingers(settings, deadline):
    """Leave a thread for which Python waits at its end, if that is wanted."""
    seconds = float(os.environ.get('ACME_LINGERS', '0'))
    threading.Thread(target=time.sleep, args=(seconds,), daemon=False).start()
    return ['there is a thread left']


def prints(settings, deadline):
    """Write to stdout, where the document belongs."""
    print('spam')  # noqa: T201
    return ['it printed']


def rubbish(settings, deadline):
    """Yield what is neither a finding nor a text."""
    yield {'severity': 'fine'}


def no_text(settings, deadline):
    """Yield a finding whose message is no text."""
    yield findings.Finding('acme_no_text.odd', findings.Severity.WARNING, 5)


def thief(settings, deadline):
    """Yield a finding under the id of another check."""
    yield findings.Finding('jobboard.refused', findings.Severity.SUCCESS,
                           'all is well')


nothing = None


def render(report):
    """Return the report in our format."""
    return f'acme: {report.severity.name}'


class Checks:
    """Checks in the manner of neutron-status."""

    def get_checks(self):
        """Return titles and functions."""
        return [('Acme gateways', self.gateways),
                ('Acme licence', (self.licence, {'days': 3})),
                ('Acme accounts', self.accounts)]

    def gateways(self, checker):
        """Pass."""
        return upgradecheck.Result(upgradecheck.Code.SUCCESS, 'Two gateways.')

    def licence(self, checker, days):
        """Warn."""
        return upgradecheck.Result(upgradecheck.Code.WARNING,
                                   f'The licence ends in {days} days.')

    def accounts(self, checker):
        """Fail to determine anything."""
        raise KeyError('accounts')


class RaisingChecks:
    """A class that cannot name its checks."""

    def get_checks(self):
        """Fail."""
        raise OSError('no licence')

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

"""The jobboard check on etcd, and what a worker makes of the same."""

from tests import clients
from tests import jobboards
from tests import probing

DRIVER = 'etcd_taskflow_driver'
TLS = 'jobboard_etcd_ssl_options'

LOGIN = f'octavia:{probing.PASSWORD}'
QUOTED = 'octavia:k%40n%3Aa%2Fr%25y%24%27%22%23'


def tls(authority):
    """TLS options that fit a server which requires a client certificate."""
    certificate = authority.client('etcd-faults')
    return {'use_ssl': True, 'ca_cert': authority.cert,
            'cert_cert': certificate.cert, 'cert_key': certificate.key}


class Both:
    """A function: the findings, and whether TaskFlow's jobboard works.

    :param write_config: the fixture of that name
    """

    def __init__(self, write_config):
        self.probe = jobboards.Prober(write_config, DRIVER)

    def __call__(self, server, **options):
        found = self.probe([server.host], server.port, **options)
        said = clients.work(self.probe.config([server.host], server.port,
                                              **options))
        return found, 'jobs' in said


def sound(outcome, *warnings):
    """It works, and the only findings are these warnings."""
    found, works = outcome
    assert probing.ids(found) == [f'jobboard.{w}' for w in warnings], found
    assert works


def broken(outcome, *ids):
    """It does not work, and these are the findings; the last is returned."""
    found, works = outcome
    assert probing.ids(found) == [f'jobboard.{i}' for i in ids], found
    assert not works
    return found[-1]

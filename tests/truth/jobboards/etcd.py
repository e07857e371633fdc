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

"""etcd, alone or in a cluster."""

import contextlib

from tests.servers import etcd as etcd_server
from tests.servers import process
from tests.truth import lab as labs
from tests.truth.jobboards import base

board = labs.Table()


class Etcd(base.Board):
    """An etcd, alone or in an ensemble; a worker uses the first member."""

    driver = 'etcd_taskflow_driver'

    def reset(self) -> None:
        with contextlib.suppress(OSError):
            self.server.call('/v3/kv/deleterange',
                             {'key': 'AA==', 'range_end': 'AA=='})


def _etcd(lab, size=1, **options):
    return lab.server(lab.name('etcd'),
                      lambda: etcd_server.Etcd(size, **options))


@board('etcd', 'sound', weight=base.SOUND, since=16)
def etcd(lab):
    return Etcd(_etcd(lab))


@board('etcd-three', 'sound', weight=base.SOUND // 2, since=16)
def etcd_three(lab):
    return Etcd(_etcd(lab, 3))


def _etcd_tls(lab, client=False, certificate=None, **options):
    server = _etcd(
        lab, tls=certificate or lab.certificate(client_too=True),
        ca=lab.authority.cert, client_auth=client,
        admin_certificate=lab.client if client else None)
    return Etcd(server, **{base.ETCD_TLS: base.dictionary(
        use_ssl=True, ca_cert=lab.authority.cert, **options)})


@board('etcd-tls', 'sound', 'tls', weight=base.SOUND // 2, since=16)
def etcd_tls(lab):
    return _etcd_tls(lab)


@board('etcd-tls-client', 'sound', 'tls', 'client', weight=base.SOUND // 2,
       since=16)
def etcd_tls_client(lab):
    return _etcd_tls(lab, True, cert_cert=lab.client.cert,
                     cert_key=lab.client.key)


@board('etcd-tls-no-certificate', 'tls', since=16)
def etcd_tls_no_certificate(lab):
    return _etcd_tls(lab, True)


@board('etcd-tls-another-name', 'tls', since=16)
def etcd_tls_another_name(lab):
    return _etcd_tls(lab, certificate=lab.authority.wrong_host())


def _etcd_down(lab, *numbers):
    server = _etcd(lab, 3)
    for number in numbers:
        server.members[number].kill()
    return Etcd(server)


@board('etcd-last-down', 'sound', since=16)
def etcd_last_down(lab):
    return _etcd_down(lab, 2)


@board('etcd-first-down', since=16)
def etcd_first_down(lab):
    return _etcd_down(lab, 0)


@board('etcd-two-down', since=16)
def etcd_two_down(lab):
    made = _etcd_down(lab, 1, 2)
    process.wait_until(lambda: not made.server.members[0].healthy(),
                       'still a leader')
    return made


@board('etcd-login', since=16)
def etcd_login(lab):
    server = _etcd(lab)
    for path, body in (
            ('user/add', {'name': 'root', 'password': base.PASSWORD}),
            ('role/add', {'name': 'root'}),
            ('user/grant', {'user': 'root', 'role': 'root'}),
            ('enable', {})):
        server.call(f'/v3/auth/{path}', body)
    return Etcd(server)


@board('etcd-full', since=16)
def etcd_full(lab):
    server = _etcd(lab, quota_backend_bytes=2 * 1024 * 1024)
    with contextlib.suppress(OSError):
        for _ in range(20):
            server.call('/v3/kv/put', {'key': 'Zm8=',
                                       'value': 'YWJj' * 100_000})
    return Etcd(server)


@board('etcd-gateway-off', since=16)
def etcd_gateway_off(lab):
    return Etcd(_etcd(lab, enable_grpc_gateway='false'))

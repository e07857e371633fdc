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

"""Runs the jobboard check on servers of the tests, and watches how."""

import os
import threading
import time

from octavia_v2_checks import clock
from octavia_v2_checks import settings
from octavia_v2_checks.findings import Finding
from tests import probing


class Prober:
    """One driver of the jobboard check.

    :param write_config: the fixture of that name
    :param driver: value of ``jobboard_backend_driver``
    """

    def __init__(self, write_config, driver: str) -> None:
        self._write_config = write_config
        self._driver = driver

    def config(self, hosts, port: int, **options):
        """The path of an octavia.conf that names these servers."""
        return self._write_config(
            jobboard_enabled=True, jobboard_backend_driver=self._driver,
            jobboard_backend_hosts=hosts, jobboard_backend_port=port,
            **options)

    def __call__(self, hosts, port: int | None = None, *,
                 deadline: float = 20, timeout: float = 5, **options
                 ) -> list[Finding]:
        """The findings; the check must end in time and leave no thread.

        :param hosts: a list of hosts, or a server or ensemble of the tests
        :param options: of ``[task_flow]``
        """
        if port is None:
            hosts, port = getattr(hosts, 'hosts', [hosts.host]), hosts.port
        config = self.config(hosts, port, **options)
        before = set(threading.enumerate())
        begin = time.monotonic()
        found = probing.probe('jobboard', config, deadline, timeout)
        assert time.monotonic() - begin < deadline + 1
        # A daemon thread does not hold the process.
        assert all(t.daemon for t in set(threading.enumerate()) - before)
        return found

    def backend(self, kind, hosts, port: int, **options):
        """A separate backend, for what it can beside ``probe``."""
        loaded = settings.load(
            [('file', str(self.config(hosts, port, **options)))])
        return kind(loaded, clock.Deadline(20, 5))


def clear_environment(monkeypatch) -> None:
    """Take away what changes how requests connects."""
    for name in list(os.environ):
        if name.lower().endswith('_proxy') or name in (
                'REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE', 'ETCD3GW_API_PATH'):
            monkeypatch.delenv(name)


def peer(server) -> str:
    """How a finding names a server."""
    return f'{server.host}:{server.port}'


def assert_another(probe, server, name: str, driver: str) -> None:
    """A server of another kind is named, and the option that fits it.

    :param probe: a :class:`Prober`
    :param driver: what the remedy says: its driver, or another option
    """
    found = probing.only(probe([server.host], server.port, timeout=2),
                         'jobboard.wrong-protocol')
    assert f'{name} answers' in found.message
    assert found.host == peer(server)
    assert driver in found.remedy

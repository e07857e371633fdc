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

"""The persistence check where a MariaDB fails, or something else answers."""

import time

import pytest

from tests import mysql_probing as mysql
from tests import probing
from tests.servers import mariadb as mariadb_server
from tests.servers import scripts


def fault(write_config, host, port, id_, deadline=3.0, timeout=1.0):
    config = write_config(jobboard_enabled=True,
                          persistence_connection=mysql.url(host, port))
    began = time.monotonic()
    found = probing.only(
        probing.probe('persistence', config, deadline, timeout),
        f'persistence.{id_}')
    assert time.monotonic() - began < deadline + 1
    assert found.host == f'{host}:{port}'
    assert found.host.partition(':')[0] in found.message
    assert 'secret-9876' not in repr(found)
    return found


def test_refused(write_config):
    with scripts.Refuse() as script:
        fault(write_config, script.host, script.port, 'refused')


def test_dropped(write_config):
    with scripts.Blackhole() as script:
        fault(write_config, script.host, script.port, 'timeout')


def test_silent(write_config):
    with scripts.Silent() as script:
        fault(write_config, script.host, script.port, 'timeout')


def test_unresolvable(write_config):
    fault(write_config, 'no-such-host.invalid', 3306, 'unresolvable')


def test_resolver_that_never_answers(write_config, monkeypatch):
    import socket
    import threading
    ended = threading.Event()
    monkeypatch.setattr(socket, 'getaddrinfo',
                        lambda *args, **kwargs: ended.wait(30))
    fault(write_config, 'db.example.org', 3306, 'unresolvable')
    ended.set()


def test_server_that_dies_while_it_is_asked(write_config, octavia_db_manage,
                                            monkeypatch):
    from octavia_v2_checks.backends import database
    with mariadb_server.MariaDB() as server:
        spot = mysql.Place(server, write_config)
        real = database.Database.rows

        def rows(self, statement):
            if statement.startswith('EXPLAIN UPDATE'):
                server.kill()
            return real(self, statement)

        monkeypatch.setattr(database.Database, 'rows', rows)
        found = probing.only(spot.probe(), 'persistence.refused')
        assert found.host == f'{server.host}:{server.port}'


def test_undetermined(write_config):
    """A server that speaks the protocol and says something unheard of."""
    packet = b'\xff\x0f\x27' + b'#HY000No'
    greeting = len(packet).to_bytes(3, 'little') + b'\0' + packet
    with scripts.Say(greeting) as script:
        config = write_config(
            jobboard_enabled=True,
            persistence_connection=mysql.url(script.host, script.port))
        found = probing.only(probing.probe('persistence', config, 5, 1),
                             'persistence.undetermined')
        assert found.host == f'{script.host}:{script.port}'


@pytest.mark.parametrize('server, named', [
    ('redis', 'Redis'), ('etcd', 'etcd'), ('postgres', 'PostgreSQL'),
    ('zookeeper', 'ZooKeeper')])
def test_another_server(request, write_config, server, named):
    other = request.getfixturevalue(server)
    config = write_config(
        jobboard_enabled=True,
        persistence_connection=mysql.url(other.host, other.port))
    found = probing.only(probing.probe('persistence', config, 10, 2),
                         'persistence.wrong-protocol')
    assert named in found.message
    assert found.host == f'{other.host}:{other.port}'


def test_web_server(write_config):
    with scripts.Http() as script:
        fault(write_config, script.host, script.port, 'wrong-protocol', 6)


@pytest.mark.parametrize('script, id_', [
    # The client waits for the server to begin, so it is only late here.
    (scripts.Hangup, 'timeout'),
    (scripts.Reset, 'refused'),
    (lambda: scripts.Say(b'\x4a\0\0\0\x0a10.11.6-MariaDB\0'), 'timeout'),
    (lambda: scripts.Drip(b'\x4a\0\0\0\x0a10.11.6-MariaDB\0', 0.3),
     'timeout'),
    (lambda: scripts.Endless(b'x' * 1000), 'wrong-protocol'),
    (lambda: scripts.Say(bytes(range(256))), 'wrong-protocol')],
    ids=['hangs-up', 'resets', 'half-a-greeting', 'drips', 'never-ends',
         'garbage'])
def test_odd_servers(write_config, script, id_):
    """Each ends in time, with a failure that names the host."""
    with script() as server:
        fault(write_config, server.host, server.port, id_, 6)

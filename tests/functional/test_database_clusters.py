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

"""Databases with several hosts, standbys, clusters, and proxies."""

import collections
import dataclasses
import os
import re
import signal
import socket
import threading
from urllib import parse

import pytest

from tests import mysql_probing as mysql
from tests import probing
from tests.functional import test_persistence_postgres as postgres_tests
from tests.servers import mariadb as mariadb_server
from tests.servers import postgres as postgres_server
from tests.servers import process
from tests.servers import scripts

DOWN = 'persistence.member-down'
FORMS = ('host=h:p&host=h:p', 'host=h,h&port=p,p', '@h,h:p')

Nobody = collections.namedtuple('Nobody', 'host port')


def peer(server):
    return f'{server.host}:{server.port}'


def sql(remedy):
    """The statement that a remedy ends with."""
    return re.search(r'\b(SET|SELECT|ALTER|FLUSH) .*;$', remedy)[0]


@pytest.fixture(params=['postgresql+psycopg2', 'postgresql+psycopg'])
def driver(request):
    return request.param


@pytest.fixture
def spot(postgres, write_config, driver):
    return postgres_tests.Place(postgres, write_config, driver)


def probe(spot, *servers, form=FORMS[0], timeout=2, **query):
    """The findings with a URL that names several servers.

    :param form: how the URL names them; the last form has one port
    """
    place = ''
    named = [('host', peer(s)) for s in servers]
    if form == FORMS[1]:
        named = [('host', ','.join(s.host for s in servers)),
                 ('port', ','.join(str(s.port) for s in servers))]
    elif form == FORMS[2]:
        place = f'{",".join(s.host for s in servers)}:{servers[0].port}'
        named = []
    login = f'{spot.user}:{parse.quote(probing.PASSWORD, safe="")}'
    url = (f'{spot.driver}://{login}@{place}/{spot.database}?'
           + parse.urlencode([*named, *query.items()]))
    config = spot.write_config(jobboard_enabled=True,
                               persistence_connection=url)
    return probing.probe('persistence', config, 10, timeout)


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('first', [True, False])
def test_one_of_two_hosts_is_down(spot, form, first):
    there = spot.server
    gone = Nobody('127.0.0.2', there.port)
    hosts = (gone, there) if first else (there, gone)
    found = probing.only(probe(spot, *hosts, form=form), DOWN)
    assert found.host == peer(gone)
    assert peer(gone) in found.message and peer(there) in found.message
    assert found.option == 'task_flow.persistence_connection'
    assert found.file and found.line and found.severity == 1
    assert probe(spot, there, form=form) == []


@pytest.mark.parametrize('script', [
    scripts.Blackhole, scripts.Silent, scripts.Reset, scripts.Close])
def test_one_of_three_hosts_fails(spot, script):
    """A host that is slow to fail does not use the time of the others."""
    with script() as bad:
        found = probing.only(probe(spot, spot.server, bad, spot.server), DOWN)
        assert found.host == peer(bad)
        found = probing.only(probe(spot, bad, spot.server,
                                   connect_timeout='2'), DOWN)
        assert found.host == peer(bad)


@pytest.mark.parametrize('script', [scripts.Blackhole, scripts.Silent])
def test_a_first_host_that_keeps_workers_waiting(spot, script):
    """libpq has no time limit itself."""
    with script() as bad:
        found = probing.only(probe(spot, bad, spot.server),
                             'persistence.timeout')
        assert peer(bad) in found.message
        name, value = re.search(r'(\w+)=(\d+)', found.remedy).groups()
        probing.only(probe(spot, bad, spot.server, **{name: value}), DOWN)


def test_a_host_of_several_does_not_resolve(spot):
    found = probing.only(probe(spot, Nobody('no-such-host.invalid', 5432),
                               spot.server), DOWN)
    assert found.host == 'no-such-host.invalid:5432'


def test_all_hosts_are_down(spot):
    with scripts.Refuse() as one, scripts.Silent() as two:
        found = probing.only(probe(spot, one, two), 'persistence.refused')
    for server in (one, two):
        assert peer(server) in found.host and peer(server) in found.message


def test_another_server_among_the_hosts(spot, mariadb):
    """The driver gives up there, without trying the next."""
    found = probing.only(probe(spot, mariadb, spot.server),
                         'persistence.wrong-protocol')
    assert f'{peer(mariadb)} is MySQL' in found.message


def test_hosts_that_no_driver_takes(spot):
    """SQLAlchemy does not accept two ways of naming them at once."""
    with pytest.raises(probing.Blocked) as caught:
        probe(spot, spot.server, spot.server, port='5432')
    assert caught.value.option == 'task_flow.persistence_connection'


def test_more_hosts_than_ports(spot):
    with pytest.raises(probing.Blocked) as caught:
        probing.probe('persistence', spot.write_config(
            jobboard_enabled=True, persistence_connection=(
                f'{spot.driver}://u:p-123456@/d?host=a,b,c&port=1,2')))
    assert caught.value.option == 'task_flow.persistence_connection'


def become_standby(server):
    """Restart it as what pg_basebackup --write-recovery-conf makes."""
    server.stop()
    (server.dir / 'data' / 'standby.signal').touch()
    process.give(server.dir, server.user)
    server.start()


def test_standby(write_config, driver):
    with postgres_server.PostgreSQL() as server:
        spot = postgres_tests.Place(server, write_config, driver)
        assert spot.probe() == []
        become_standby(server)
        found = probing.only(spot.probe(), 'persistence.not-writable')
        assert found.host == peer(server) and 'standby' in found.message
        again = probing.only(spot.probe(target_session_attrs='read-only'),
                             'persistence.not-writable')
        # Each probe has a separate configuration file.
        assert dataclasses.replace(again, file=found.file) == found
        found = probing.only(spot.probe(target_session_attrs='read-write'),
                             'persistence.not-writable')
        assert found.host == peer(server)
        server.execute(sql(probing.only(
            spot.probe(), 'persistence.not-writable').remedy))
        assert spot.probe() == []


def test_standby_and_primary(write_config, driver):
    """The first host is what counts, unless the URL asks for writing."""
    with (postgres_server.PostgreSQL() as standby,
          postgres_server.PostgreSQL() as primary):
        spot = postgres_tests.Place(standby, write_config, driver)
        twin = postgres_tests.Place(primary, write_config, driver)
        primary.execute(f'ALTER ROLE {twin.user} RENAME TO {spot.user}')
        primary.execute(f'ALTER DATABASE {twin.database} RENAME TO '
                        f'{spot.database}')
        become_standby(standby)
        found = probing.only(probe(spot, standby, primary),
                             'persistence.not-writable')
        assert found.host == peer(standby)
        assert probe(spot, primary, standby) == []
        assert probe(spot, standby, primary,
                     target_session_attrs='read-write') == []


@pytest.fixture
def galera(write_config):
    """A place on a Galera node that bootstraps a cluster."""
    with mariadb_server.MariaDB(**mariadb_server.galera()) as server:
        process.wait_until(lambda: serves(server), 'no cluster')
        yield mysql.Place(server, write_config)


def status(server, name='cluster_status'):
    return server.execute(
        f"SHOW GLOBAL STATUS LIKE 'wsrep_{name}'")[0][1]


def serves(server):
    """A member of a primary component is first prepared for use."""
    return (status(server), status(server, 'ready')) == ('Primary', 'ON')


def test_galera_that_rejects_queries(galera):
    assert galera.probe() == []
    galera.server.execute('SET GLOBAL wsrep_reject_queries = ALL')
    found = probing.only(galera.probe(), 'persistence.not-writable')
    assert 'wsrep_reject_queries is ALL' in found.message
    assert found.host == peer(galera.server)
    galera.server.execute(sql(found.remedy))
    assert galera.probe() == []


def test_galera_outside_the_primary_component(galera):
    server = galera.server
    server.execute(
        f"SET GLOBAL wsrep_cluster_address = "
        f"'gcomm://127.0.0.1:{process.free_port()}?pc.wait_prim=no'")
    process.wait_until(lambda: status(server) != 'Primary', 'still Primary')
    found = probing.only(galera.probe(), 'persistence.not-writable')
    assert status(server) in found.message and '1047' in found.message
    assert found.host == peer(server)
    server.execute(sql(found.remedy))
    process.wait_until(lambda: serves(server), 'not Primary')
    assert galera.probe() == []


def test_mysql_certificate_of_another_host(write_config, authority):
    with mariadb_server.MariaDB(tls=authority.wrong_host()) as server:
        spot = mysql.Place(server, write_config)
        found = probing.only(spot.probe(ssl_ca=authority.cert),
                             'persistence.tls')
        assert found.host == peer(server)
        assert 'not valid for' in found.message
        assert spot.probe(ssl_ca=authority.cert,
                          ssl_check_hostname='false') == []


def test_postgresql_certificate_of_another_host(write_config, authority,
                                                driver):
    with postgres_server.PostgreSQL(tls=authority.wrong_host()) as server:
        spot = postgres_tests.Place(server, write_config, driver)
        trusted = {'sslrootcert': authority.cert}
        found = probing.only(spot.probe(sslmode='verify-full', **trusted),
                             'persistence.tls')
        assert found.host == peer(server)
        assert 'does not match host name' in found.message
        assert spot.probe(sslmode='verify-ca', **trusted) == []


@pytest.mark.parametrize('dialect', [
    'mysql+pymysql', 'postgresql+psycopg2', 'postgresql+psycopg'])
@pytest.mark.parametrize('script', [scripts.Close, scripts.Hangup])
def test_proxy_without_a_server(write_config, dialect, script):
    """HAProxy accepts, looks for a live server, and closes."""
    with script() as proxy:
        config = write_config(
            jobboard_enabled=True, persistence_connection=(
                f'{dialect}://octavia:secret-9876@{peer(proxy)}/p'))
        found, = probing.probe('persistence', config, 10, 2)
    # A MySQL client waits for the server to begin.
    waits = dialect.startswith('mysql') and script is scripts.Hangup
    assert found.id == f'persistence.{"timeout" if waits else "refused"}'
    assert found.host == peer(proxy)
    assert waits or 'proxy' in found.message


def killed_while_we_look(server, spot):
    """The findings if the server ends after the login."""
    os.kill(server.pid, signal.SIGSTOP)
    timer = threading.Timer(0.7, server.kill)
    timer.start()
    try:
        return spot.probe()
    finally:
        timer.join()


def test_postgresql_killed_while_we_look(write_config, driver):
    with postgres_server.PostgreSQL() as server:
        spot = postgres_tests.Place(server, write_config, driver)
        found = probing.only(killed_while_we_look(server, spot),
                             'persistence.refused')
        assert found.host == peer(server)


def test_mariadb_killed_while_we_look(write_config):
    with mariadb_server.MariaDB() as server:
        spot = mysql.Place(server, write_config)
        found = probing.only(killed_while_we_look(server, spot),
                             'persistence.refused')
        assert found.host == peer(server)


def test_mariadb_blocks_a_host_after_errors(write_config):
    # The server counts no errors of 127.0.0.1.
    source = '127.0.0.3'
    with mariadb_server.MariaDB(max_connect_errors=1) as server:
        spot = mysql.Place(server, write_config)
        with socket.create_connection((server.host, server.port), 10,
                                      (source, 0)) as client:
            client.recv(1000)
            client.sendall(b'\5\0\0\1xxxxx')
            # Some releases wait for more.
            client.shutdown(socket.SHUT_WR)
            while client.recv(1000):
                pass
        found = probing.only(spot.probe(bind_address=source),
                             'persistence.refused')
        assert '1129' in found.message
        server.execute(sql(found.remedy))
        assert spot.probe(bind_address=source) == []

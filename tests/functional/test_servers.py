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

"""The servers of the tests themselves."""

import base64
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import psycopg2
import pymysql
import pytest
import redis as redis_py

from tests.servers import etcd as etcd_server
from tests.servers import mariadb as mariadb_server
from tests.servers import postgres as postgres_server
from tests.servers import process
from tests.servers import redis as redis_server
from tests.servers import scripts
from tests.servers import zookeeper as zookeeper_server


def _tls_socket(server, authority, client=None):
    import ssl
    context = ssl.create_default_context(cafile=authority.cert)
    if client:
        context.load_cert_chain(client.cert, client.key, client.password)
    return context.wrap_socket(
        socket.create_connection((server.host, server.port), 5),
        server_hostname='localhost')


def test_mariadb():
    with mariadb_server.MariaDB(max_connections=17) as server:
        assert server.execute('SELECT 1; SELECT @@max_connections') == [
            (17,)]
        assert server.execute(
            "SELECT user FROM mysql.user WHERE user = ''") == []
        with pymysql.connect(host=server.host, port=server.port,
                             user='root') as connection:
            assert connection.get_server_info()
        server.execute('CREATE DATABASE kept')
        server.restart()
        assert ('kept',) in server.execute('SHOW DATABASES')
    assert not server.dir.exists()
    with pytest.raises(pymysql.OperationalError):
        pymysql.connect(host=server.host, port=server.port, user='root')


def test_mariadb_tls(authority):
    with mariadb_server.MariaDB(tls=authority.server(),
                                client_ca=authority.cert) as server:
        with pymysql.connect(host='localhost', port=server.port,
                             user='root', ssl_ca=authority.cert,
                             ssl_verify_identity=True) as connection:
            with connection.cursor() as cursor:
                cursor.execute("SHOW STATUS LIKE 'Ssl_cipher'")
                assert cursor.fetchone()[1]


def test_postgres():
    with postgres_server.PostgreSQL(max_connections=17) as server:
        assert server.execute('SHOW max_connections') == [('17',)]
        server.execute("CREATE ROLE octavia LOGIN PASSWORD 'right'")
        login = {'host': server.host, 'port': server.port,
                 'user': 'octavia', 'dbname': 'postgres'}
        psycopg2.connect(password='right', **login).close()
        with pytest.raises(psycopg2.OperationalError):
            psycopg2.connect(password='wrong', **login)
        server.kill()
        server.start()
        assert server.execute('SELECT 1', 'template1') == [(1,)]


def test_postgres_tls(authority):
    with postgres_server.PostgreSQL(tls=authority.server()) as server:
        server.execute("CREATE ROLE octavia LOGIN PASSWORD 'right'")
        with psycopg2.connect(
                host='localhost', hostaddr=server.host, port=server.port,
                user='octavia', password='right', dbname='postgres',
                sslmode='verify-full',
                sslrootcert=authority.cert) as connection:
            assert connection.info.ssl_in_use


def test_redis():
    with redis_server.Redis(
            '--maxmemory', '3mb', requirepass='se cret',
            acl=('reader on >word ~* +get',)) as server:
        assert server.command('CONFIG GET maxmemory') == {
            'maxmemory': '3145728'}
        assert server.command('CONFIG', 'GET', 'requirepass') == {
            'requirepass': 'se cret'}
        with redis_py.Redis(host=server.host, port=server.port,
                            username='reader', password='word') as client:
            assert client.get('anything') is None
            with pytest.raises(redis_py.exceptions.NoPermissionError):
                client.set('anything', 1)


def test_redis_tls(authority):
    client = authority.client()
    with redis_server.Redis(tls=authority.server(), ca=authority.cert,
                            client_auth=True) as server:
        with redis_py.Redis.from_url(
                server.url(), ssl_ca_certs=authority.cert,
                ssl_certfile=client.cert, ssl_keyfile=client.key) as peer:
            assert peer.ping()


def test_sentinel():
    with redis_server.Redis() as master, \
            redis_server.Sentinel('octavia', master) as sentinel:
        assert sentinel.command(
            'SENTINEL GET-MASTER-ADDR-BY-NAME octavia') == [
                master.host, str(master.port)] or sentinel.command(
            'SENTINEL GET-MASTER-ADDR-BY-NAME octavia') == (
                master.host, master.port)


@pytest.mark.parametrize('size', [1, 3])
def test_zookeeper(size):
    with zookeeper_server.ZooKeeper(size) as ensemble:
        client = ensemble.client()
        client.create('/kept', b'x')
        client.stop()
        client.close()
        modes = sorted(member.mode() for member in ensemble.members)
        assert modes == (['standalone'] if size == 1 else
                         ['follower', 'follower', 'leader'])
        assert 'zookeeper.version' in ensemble.members[0].ask('envi')
        for member in ensemble.members[1:]:
            member.kill()
        if size == 3:
            process.wait_until(lambda: ensemble.members[0].mode() is None,
                               'the quorum was not lost')
        ensemble.start()
        client = ensemble.client()
        assert client.get('/kept')[0] == b'x'
        client.stop()
        client.close()


def test_zookeeper_own_whitelist():
    with zookeeper_server.ZooKeeper(whitelist=None) as server:
        assert 'not in the whitelist' in server.members[0].ask('envi')


def test_zookeeper_tls(authority):
    client = authority.client('zookeeper-client')
    with zookeeper_server.ZooKeeper(
            tls=authority.server(), client_ca=authority.cert,
            admin_certificate=client) as server:
        with _tls_socket(server, authority, client) as connection:
            connection.sendall(b'srvr')
            assert b'ersion' in connection.recv(1000)


@pytest.mark.parametrize('size', [1, 3])
def test_etcd(size):
    with etcd_server.Etcd(size) as ensemble:
        key = base64.b64encode(b'kept').decode()
        ensemble.call('/v3/kv/put', {'key': key, 'value': key})
        for member in ensemble.members[1:]:
            member.kill()
        if size == 3:
            process.wait_until(lambda: not ensemble.members[0].healthy(),
                               'the quorum was not lost')
        ensemble.start()
        answer = ensemble.members[-1].call('/v3/kv/range', {'key': key})
        assert answer['kvs'][0]['value'] == key


def test_etcd_tls(authority):
    client = authority.client('etcd-client')
    with etcd_server.Etcd(tls=authority.server(), ca=authority.cert,
                          client_auth=True,
                          admin_certificate=client) as server:
        assert server.url().startswith('https:')
        with _tls_socket(server, authority, client) as connection:
            connection.sendall(b'GET /version HTTP/1.0\r\n\r\n')
            assert b'200 OK' in connection.recv(1000)


def test_servers_die_with_the_process_that_started_them():
    code = ('import os, signal\n'
            'from tests.servers import redis\n'
            'server = redis.Redis().start()\n'
            'print(server.pid, server.dir, flush=True)\n'
            'os.kill(os.getpid(), signal.SIGKILL)\n')
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True,
        cwd=pathlib.Path(__file__).parents[2])
    assert done.returncode == -signal.SIGKILL, done.stderr
    pid, directory = done.stdout.split()
    process.wait_until(lambda: not _alive(int(pid)), 'it still runs', 10)
    process.remove(pathlib.Path(directory))


def _alive(pid: int) -> bool:
    try:
        status = pathlib.Path(f'/proc/{pid}/stat').read_text()
    except OSError:
        return False
    return status.rpartition(')')[2].split()[0] != 'Z'


def test_a_server_that_cannot_start_says_why():
    with pytest.raises(process.StartError, match='no-such-option'):
        with redis_server.Redis(no_such_option='1'):
            pass


def _connect(server) -> socket.socket:
    return socket.create_connection((server.host, server.port), 1.5)


def test_refuse():
    with scripts.Refuse() as server, pytest.raises(ConnectionRefusedError):
        _connect(server)


def test_blackhole():
    with scripts.Blackhole() as server:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                _connect(server)


def test_silent():
    with scripts.Silent() as server, _connect(server) as client:
        client.sendall(b'hello')
        process.wait_until(lambda: server.received == [b'hello'],
                           'nothing arrived', 10)
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(1)
        assert server.connections == 1
        server.stop()
        client.settimeout(5)
        assert client.recv(1) == b''


def test_reset():
    # The reset may come before connect() has returned.
    with scripts.Reset() as server:
        with pytest.raises(ConnectionResetError), _connect(server) as client:
            client.recv(1)


def test_hangup():
    with scripts.Hangup() as server, _connect(server) as client:
        client.sendall(b'hello')
        assert client.recv(1) == b''


def test_greet_answer_and_say():
    with scripts.Greet(b'half') as server, _connect(server) as client:
        assert client.recv(10) == b'half'
        client.sendall(b'more')
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(1)
    with scripts.Answer(b'yes') as server, _connect(server) as client:
        client.sendall(b'hello')
        assert client.recv(10) == b'yes'
    with scripts.Say(b'yes') as server, _connect(server) as client:
        assert client.recv(10) == b'yes'
        client.sendall(b'hello')
        assert client.recv(10) == b'yes'


def test_drip_and_endless():
    with scripts.Drip(b'ab', 0.05) as server, _connect(server) as client:
        assert [client.recv(10) for _ in range(3)] == [b'a', b'b', b'a']
    with scripts.Endless(b'ab') as server, _connect(server) as client:
        end, size = time.monotonic() + 10, 0
        while size < 10_000_000 and time.monotonic() < end:
            size += len(client.recv(1_000_000))
        assert size >= 10_000_000


def test_http():
    with scripts.Http(json.dumps({'a': 1}).encode()) as server:
        url = f'http://{server.host}:{server.port}/'
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=5) as answer:
            assert json.load(answer) == {'a': 1}
    with scripts.Http(status='503 Service Unavailable') as server:
        url = f'http://{server.host}:{server.port}/'
        with pytest.raises(urllib.error.HTTPError, match='503'):
            opener.open(url, timeout=5)


def test_octavia_db_manage(mariadb, write_config, octavia_db_manage):
    mariadb.execute('CREATE DATABASE servers_persistence')
    config = write_config(persistence_connection=mariadb.url(
        database='servers_persistence'))
    octavia_db_manage(config)
    assert ('logbooks',) in mariadb.execute('SHOW TABLES',
                                            'servers_persistence')
    assert os.access(config, os.R_OK)

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

"""The persistence check on MariaDB."""

import re
import time

import pytest

from tests import probing
from tests.servers import mariadb as mariadb_server
from tests.servers import scripts

PASSWORD = probing.PASSWORD
ALL = ('SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, '
       'REFERENCES')


def literal(text):
    return "'" + text.replace('\\', '\\\\').replace("'", "''") + "'"


class Place:
    """A database and an account of this test's own on a shared server."""

    def __init__(self, server, write_config, database=True, rights=ALL,
                 host='%'):
        self.server = server
        self.database = probing.name('octavia_persistence_')
        self.user = probing.name('octavia')
        self.write_config = write_config
        self.account = f"'{self.user}'@'{host}'"
        server.execute(f'CREATE USER {self.account} IDENTIFIED BY '
                       f'{literal(PASSWORD)}')
        if database:
            server.execute(f'CREATE DATABASE {self.database}')
        if rights:
            server.execute(f'GRANT {rights} ON {self.database}.* TO '
                           f'{self.account}')

    def config(self, password=PASSWORD, **query):
        return self.write_config(
            jobboard_enabled=True, persistence_connection=self.server.url(
                self.user, password, self.database, **query
            ).replace('$', '$$'))

    def probe(self, password=PASSWORD, **query):
        return probing.probe('persistence', self.config(password, **query))


@pytest.fixture
def place(mariadb, write_config):
    def make(**options):
        return Place(mariadb, write_config, **options)
    return make


@pytest.fixture(params=['pymysql', 'mysqldb'])
def driver(request):
    if request.param == 'mysqldb':
        pytest.importorskip('MySQLdb')
    return f'mysql+{request.param}'


def test_healthy(place, octavia_db_manage):
    spot = place()
    octavia_db_manage(spot.config())
    assert spot.probe() == []


def test_healthy_before_the_tables_are_made(place):
    assert place().probe() == []


def test_no_account(place):
    spot = place()
    spot.server.execute(f'DROP USER {spot.account}')
    found = probing.only(spot.probe(), 'persistence.access-denied')
    assert spot.user in found.message and '1045' in found.message
    assert found.option == 'task_flow.persistence_connection'
    assert found.line and found.file


def test_wrong_password(place):
    spot = place()
    found = probing.only(spot.probe(password='wrong-password-9'),
                         'persistence.access-denied')
    assert 'wrong-password-9' not in repr(found)


def test_locked_account(place):
    spot = place()
    spot.server.execute(f'ALTER USER {spot.account} ACCOUNT LOCK')
    probing.only(spot.probe(), 'persistence.access-denied')


def test_unknown_database(place):
    """Only an account with wider rights is told that it is missing."""
    spot = place(database=False, rights=None)
    pattern = spot.database.replace('_', r'\_')
    spot.server.execute(f'GRANT ALL ON `{pattern}%`.* TO {spot.account}')
    found = probing.only(spot.probe(), 'persistence.unknown-database')
    assert spot.database in found.message
    spot.server.execute(found.remedy)
    assert spot.probe() == []


def test_no_database_and_no_grant(place):
    spot = place(database=False, rights=None)
    found = probing.only(spot.probe(), 'persistence.missing-privileges')
    assert '1044' in found.message
    spot.server.execute(found.remedy)
    assert spot.probe() == []


def test_the_wrong_grant_of_the_guide(place, octavia_db_manage):
    """It names user and database the wrong way round."""
    spot = place(rights=None)
    other = probing.name('octavia_swapped')
    spot.server.execute(
        f"CREATE USER '{other}'@'%'; GRANT ALL PRIVILEGES ON "
        f"{other}.* TO '{other}'@'%'")
    found = probing.only(spot.probe(), 'persistence.missing-privileges')
    assert found.file and found.line
    spot.server.execute(found.remedy)
    assert spot.probe() == []
    octavia_db_manage(spot.config())
    assert spot.probe() == []


@pytest.mark.parametrize('host', ['%', '127.0.0.1', '127.0.0.%'])
def test_remedy_names_the_account_as_the_server_has_it(place, host):
    spot = place(rights=None, host=host)
    found = probing.only(spot.probe(), 'persistence.missing-privileges')
    assert f"'{spot.user}'@'{host}'" in found.remedy
    spot.server.execute(found.remedy)
    assert spot.probe() == []


@pytest.mark.parametrize('migrated', [False, True])
@pytest.mark.parametrize('missing', ['SELECT', 'INSERT', 'UPDATE', 'DELETE'])
def test_one_missing_privilege(place, octavia_db_manage, missing, migrated):
    spot = place()
    if migrated:
        octavia_db_manage(spot.config())
    spot.server.execute(f'REVOKE {missing} ON {spot.database}.* FROM '
                        f'{spot.account}')
    found = probing.only(spot.probe(), 'persistence.missing-privileges')
    assert missing in found.message and missing in found.remedy
    spot.server.execute(found.remedy)
    assert spot.probe() == []


def test_read_only_account(place, octavia_db_manage):
    spot = place()
    octavia_db_manage(spot.config())
    spot.server.execute(
        f'REVOKE ALL PRIVILEGES ON {spot.database}.* FROM {spot.account}; '
        f'GRANT SELECT ON {spot.database}.* TO {spot.account}')
    found = probing.only(spot.probe(), 'persistence.missing-privileges')
    assert 'INSERT, UPDATE, DELETE' in found.message
    spot.server.execute(found.remedy)
    assert spot.probe() == []


def test_rights_through_a_role(place):
    spot = place(rights=None)
    role = probing.name('role')
    spot.server.execute(
        f'CREATE ROLE {role}; GRANT {ALL} ON {spot.database}.* TO {role}; '
        f'GRANT {role} TO {spot.account}')
    found = probing.only(spot.probe(), 'persistence.missing-privileges')
    assert '1044' in found.message
    spot.server.execute(f'SET DEFAULT ROLE {role} FOR {spot.account}')
    assert spot.probe() == []


@pytest.mark.parametrize('pattern', [r'octavia\_%', 'octavia_persistence%'])
def test_rights_through_a_wildcard(place, pattern):
    spot = place(rights=None)
    spot.server.execute(f'GRANT {ALL} ON `{pattern}`.* TO {spot.account}')
    assert spot.probe() == []


def test_rights_on_tables_only(place, octavia_db_manage):
    spot = place()
    octavia_db_manage(spot.config())
    spot.server.execute(f'REVOKE ALL PRIVILEGES ON {spot.database}.* FROM '
                        f'{spot.account}')
    for table in ('logbooks', 'flowdetails', 'atomdetails'):
        spot.server.execute(f'GRANT SELECT, INSERT, UPDATE, DELETE ON '
                            f'{spot.database}.{table} TO {spot.account}')
    assert spot.probe() == []
    spot.server.execute(f'REVOKE DELETE ON {spot.database}.flowdetails FROM '
                        f'{spot.account}')
    found = probing.only(spot.probe(), 'persistence.missing-privileges')
    assert 'DELETE on flowdetails' in found.message


def test_read_only_server(write_config):
    with mariadb_server.MariaDB(read_only=True) as server:
        spot = Place(server, write_config)
        found = probing.only(spot.probe(), 'persistence.not-writable')
        assert '1290' in found.message
        server.execute(found.remedy)
        assert spot.probe() == []


def test_read_only_transactions(write_config):
    with mariadb_server.MariaDB() as server:
        spot = Place(server, write_config)
        server.execute('SET GLOBAL tx_read_only = 1')
        found = probing.only(spot.probe(), 'persistence.not-writable')
        assert '1792' in found.message
        server.execute(found.remedy)
        assert spot.probe() == []


def test_too_many_connections(write_config):
    with mariadb_server.MariaDB(max_connections=10) as server:
        spot = Place(server, write_config)
        assert spot.probe() == []
        # One connection above the limit is kept for administrators.
        held = [server.connect() for _ in range(11)]
        found = probing.only(spot.probe(), 'persistence.too-many-connections')
        assert '1040' in found.message
        for connection in held:
            connection.close()


def test_account_out_of_connections(place):
    spot = place()
    spot.server.execute(f'GRANT USAGE ON *.* TO {spot.account} WITH '
                        f'MAX_CONNECTIONS_PER_HOUR 1')
    spot.probe()
    found = probing.only(spot.probe(), 'persistence.too-many-connections')
    assert '1226' in found.message


def test_too_few_connections(place):
    """A worker needs two at a time; one is enough to be told so."""
    spot = place()
    spot.server.execute(f'GRANT USAGE ON *.* TO {spot.account} WITH '
                        f'MAX_USER_CONNECTIONS 1')
    found = probing.only(spot.probe(), 'persistence.too-many-connections')
    assert '1 connection at a time' in found.message
    spot.server.execute(found.remedy)
    assert spot.probe() == []


def test_old_server(write_config):
    with mariadb_server.MariaDB(version='5.5.68-MariaDB') as server:
        spot = Place(server, write_config)
        found = probing.only(spot.probe(), 'persistence.server-old')
        assert '5.5.68' in found.message


def test_tls_wanted_where_there_is_none(place, authority):
    found = probing.only(place().probe(ssl_ca=authority.cert),
                         'persistence.tls')
    assert found.host


def both_causes(found):
    """A wrong password, or missing TLS: both are named, with what helps."""
    found = probing.only(found, 'persistence.access-denied')
    assert 'password is wrong' in found.message
    assert 'requires TLS' in found.message
    assert 'ssl_ca' in found.remedy and 'ssl_disabled' in found.remedy


def test_tls(write_config, authority):
    certificate = authority.server()
    with mariadb_server.MariaDB(tls=certificate) as server:
        spot = Place(server, write_config)
        server.execute(f'ALTER USER {spot.account} REQUIRE SSL')
        assert spot.probe(ssl_ca=authority.cert) == []
        # Recent PyMySQL encrypts on its own accord where it can. Without
        # TLS the server says the same whatever the password is.
        for password in (PASSWORD, 'wrong'):
            both_causes(spot.probe(ssl_disabled='true', password=password))
        found = probing.only(spot.probe(password='wrong'),
                             'persistence.access-denied')
        assert 'TLS' not in found.message
        probing.only(spot.probe(ssl_ca='/nowhere/ca.pem'), 'persistence.tls')


def test_tls_with_another_authority(write_config, authority, tmp_path):
    from tests.servers import tls
    certificate = tls.Authority(tmp_path).server()
    with mariadb_server.MariaDB(tls=certificate) as server:
        spot = Place(server, write_config)
        probing.only(spot.probe(ssl_ca=authority.cert), 'persistence.tls')


def test_server_wants_tls(write_config, authority):
    with mariadb_server.MariaDB(tls=authority.server(),
                                require_secure_transport=True) as server:
        spot = Place(server, write_config)
        both_causes(spot.probe(ssl_disabled='true'))
        # What the remedy says.
        assert spot.probe(ssl_ca=authority.cert) == []
        # PyMySQL encrypts, and believes everybody, unless told otherwise.
        assert spot.probe() == []


def test_driver_missing(place):
    found = probing.only(place().probe(driver='mysql+cymysql'),
                         'persistence.driver-missing')
    assert 'pip install' in found.remedy


def test_parameter_that_the_driver_does_not_take(place):
    with pytest.raises(probing.Blocked) as caught:
        place().probe(nonsense='1')
    assert caught.value.option == 'task_flow.persistence_connection'


def test_password_that_the_driver_cannot_send(place):
    with pytest.raises(probing.Blocked) as caught:
        place().probe(password='euro-\u20ac')
    assert caught.value.option == 'task_flow.persistence_connection'


def url(host, port):
    return f'mysql+pymysql://octavia:secret-9876@{host}:{port}/octavia_p'


def fault(write_config, host, port, id_, deadline=3.0, timeout=1.0):
    config = write_config(jobboard_enabled=True,
                          persistence_connection=url(host, port))
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
        spot = Place(server, write_config)
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
            persistence_connection=url(script.host, script.port))
        found = probing.only(probing.probe('persistence', config, 5, 1),
                             'persistence.undetermined')
        assert found.host == f'{script.host}:{script.port}'


def test_reads_only(write_config, octavia_db_manage):
    """Before and after, the data are the same, and no statement writes."""
    with mariadb_server.MariaDB(general_log=True) as server:
        spot = Place(server, write_config)
        octavia_db_manage(spot.config())
        before = server.execute(
            f'CHECKSUM TABLE {spot.database}.logbooks, '
            f'{spot.database}.flowdetails, {spot.database}.atomdetails, '
            f'{spot.database}.alembic_version')
        start = len(server.general_log.read_text(errors='replace'))
        assert spot.probe() == []
        assert probing.probe('migration', spot.config()) == []
        log = server.general_log.read_text(errors='replace')[start:]
        statements = re.findall(r'\bQuery\t(\w+)', log)
        assert statements
        assert set(statements) <= {'SELECT', 'SHOW', 'SET', 'DESCRIBE',
                                   'EXPLAIN'}
        assert before == server.execute(
            f'CHECKSUM TABLE {spot.database}.logbooks, '
            f'{spot.database}.flowdetails, {spot.database}.atomdetails, '
            f'{spot.database}.alembic_version')


@pytest.mark.parametrize('server, named', [
    ('redis', 'Redis'), ('etcd', 'etcd'), ('postgres', 'PostgreSQL'),
    ('zookeeper', 'ZooKeeper')])
def test_another_server(request, write_config, server, named):
    other = request.getfixturevalue(server)
    config = write_config(jobboard_enabled=True,
                          persistence_connection=url(other.host, other.port))
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

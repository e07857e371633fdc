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

import pymysql
import pytest

from tests import mysql_probing as mysql
from tests import probing
from tests.servers import mariadb as mariadb_server
from tests.servers import process


@pytest.fixture
def place(mariadb, write_config):
    def make(**options):
        return mysql.Place(mariadb, write_config, **options)
    return make


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
    """It swaps user and database."""
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
        f'CREATE ROLE {role}; GRANT {mysql.ALL} ON {spot.database}.* TO '
        f'{role}; GRANT {role} TO {spot.account}')
    found = probing.only(spot.probe(), 'persistence.missing-privileges')
    assert '1044' in found.message
    spot.server.execute(f'SET DEFAULT ROLE {role} FOR {spot.account}')
    assert spot.probe() == []


@pytest.mark.parametrize('pattern', [r'octavia\_%', 'octavia_persistence%'])
def test_rights_through_a_wildcard(place, pattern):
    spot = place(rights=None)
    spot.server.execute(f'GRANT {mysql.ALL} ON `{pattern}`.* TO '
                        f'{spot.account}')
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
        spot = mysql.Place(server, write_config)
        found = probing.only(spot.probe(), 'persistence.not-writable')
        assert '1290' in found.message
        server.execute(found.remedy)
        assert spot.probe() == []


def test_read_only_transactions(write_config):
    with mariadb_server.MariaDB() as server:
        spot = mysql.Place(server, write_config)
        server.execute('SET GLOBAL tx_read_only = 1')
        found = probing.only(spot.probe(), 'persistence.not-writable')
        assert '1792' in found.message
        server.execute(found.remedy)
        assert spot.probe() == []


def test_too_many_connections(write_config):
    with mariadb_server.MariaDB(max_connections=10) as server:
        spot = mysql.Place(server, write_config)
        assert spot.probe() == []
        # One connection above the limit is kept for administrators.
        held = process.hold(server, 11, pymysql.OperationalError)
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
        spot = mysql.Place(server, write_config)
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
        spot = mysql.Place(server, write_config)
        server.execute(f'ALTER USER {spot.account} REQUIRE SSL')
        assert spot.probe(ssl_ca=authority.cert) == []
        # Recent PyMySQL encrypts on its own accord where it can. Without
        # TLS the server says the same whatever the password is.
        for password in (mysql.PASSWORD, 'wrong'):
            both_causes(spot.probe(ssl_disabled='true', password=password))
        found = probing.only(spot.probe(password='wrong'),
                             'persistence.access-denied')
        assert 'TLS' not in found.message
        probing.only(spot.probe(ssl_ca='/nowhere/ca.pem'), 'persistence.tls')


def test_tls_with_another_authority(write_config, authority, tmp_path):
    from tests.servers import tls
    certificate = tls.Authority(tmp_path).server()
    with mariadb_server.MariaDB(tls=certificate) as server:
        spot = mysql.Place(server, write_config)
        probing.only(spot.probe(ssl_ca=authority.cert), 'persistence.tls')


def test_server_wants_tls(write_config, authority):
    with mariadb_server.MariaDB(tls=authority.server(),
                                require_secure_transport=True) as server:
        spot = mysql.Place(server, write_config)
        found = spot.probe(ssl_disabled='true')
        if probing.ids(found) == ['persistence.tls']:
            # As MariaDB 11.8 says it, with an error of its own.
            assert 'requires TLS (error 3159)' in found[0].message
            assert 'ssl_ca' in found[0].remedy
        else:
            both_causes(found)
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


def test_reads_only(write_config, octavia_db_manage):
    """Before and after, the data are the same, and no statement writes."""
    with mariadb_server.MariaDB(general_log=True) as server:
        spot = mysql.Place(server, write_config)
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

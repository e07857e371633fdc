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

"""The persistence check on PostgreSQL, with both drivers."""

import psycopg2
import pytest

from tests import migrations
from tests import probing
from tests.servers import postgres as postgres_server
from tests.servers import process
from tests.servers import scripts

PASSWORD = probing.PASSWORD


class Place:
    """A database and an account of this test's own."""

    def __init__(self, server, write_config, driver='postgresql+psycopg2'):
        self.server = server
        self.driver = driver
        self.write_config = write_config
        self.database = probing.name('octavia_persistence_')
        self.user = probing.name('octavia')
        literal = PASSWORD.replace("'", "''")
        server.execute(f"CREATE ROLE {self.user} LOGIN PASSWORD '{literal}'")
        server.execute(f'CREATE DATABASE {self.database} OWNER {self.user}')

    def sql(self, statements):
        for statement in statements.split(';'):
            if statement.strip():
                self.server.execute(statement, self.database)

    def config(self, password=PASSWORD, **query):
        return self.write_config(
            jobboard_enabled=True, persistence_connection=self.server.url(
                self.user, password, self.database, driver=self.driver,
                **query))

    def probe(self, password=PASSWORD, **query):
        return probing.probe('persistence', self.config(password, **query))


@pytest.fixture(params=['postgresql+psycopg2', 'postgresql+psycopg'])
def driver(request):
    return request.param


@pytest.fixture
def place(postgres, write_config, driver):
    return Place(postgres, write_config, driver)


def migrate(spot):
    migrations.migrate(spot.server.url(
        spot.user, PASSWORD, spot.database), 'head')


def test_healthy(place):
    assert place.probe() == []
    migrate(place)
    assert place.probe() == []


def test_wrong_password(place):
    found = probing.only(place.probe(password='wrong-one-77'),
                         'persistence.access-denied')
    assert 'wrong-one-77' not in repr(found)


def test_unknown_database(place):
    place.server.execute(f'DROP DATABASE {place.database}')
    found = probing.only(place.probe(), 'persistence.unknown-database')
    place.server.execute(found.remedy)
    assert place.probe() == []


def test_may_not_connect(place):
    place.server.execute(
        f'ALTER DATABASE {place.database} OWNER TO postgres')
    place.server.execute(
        f'REVOKE CONNECT ON DATABASE {place.database} FROM PUBLIC')
    found = probing.only(place.probe(), 'persistence.missing-privileges')
    place.server.execute(found.remedy)
    assert place.probe() == []


@pytest.mark.parametrize('missing', ['SELECT', 'INSERT', 'UPDATE', 'DELETE'])
def test_missing_privilege(place, missing):
    migrate(place)
    other = Place(place.server, place.write_config, place.driver)
    for table in ('logbooks', 'flowdetails', 'atomdetails'):
        place.sql(f'GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO '
                  f'{other.user}')
    other.database, owned = place.database, other.database
    assert other.probe() == []
    place.sql(f'REVOKE {missing} ON flowdetails FROM {other.user}')
    found = probing.only(other.probe(), 'persistence.missing-privileges')
    assert f'{missing} on flowdetails' in found.message
    place.sql(found.remedy)
    assert other.probe() == []
    place.server.execute(f'DROP DATABASE {owned}')


def test_rights_through_a_role(place):
    migrate(place)
    other = Place(place.server, place.write_config, place.driver)
    other.database = place.database
    probing.only(other.probe(), 'persistence.missing-privileges')
    place.sql(f'GRANT {place.user} TO {other.user}')
    assert other.probe() == []


def test_no_schema(place):
    place.server.execute(
        f'ALTER DATABASE {place.database} OWNER TO postgres')
    place.sql('REVOKE ALL ON SCHEMA public FROM PUBLIC')
    found = probing.only(place.probe(), 'persistence.missing-privileges')
    assert 'schema' in found.message
    place.sql(found.remedy)
    assert place.probe() == []


def test_read_only_role(place):
    place.server.execute(
        f'ALTER ROLE {place.user} SET default_transaction_read_only = on')
    found = probing.only(place.probe(), 'persistence.not-writable')
    place.server.execute(found.remedy)
    assert place.probe() == []


def test_too_many_connections(place):
    place.server.execute(f'ALTER ROLE {place.user} CONNECTION LIMIT 0')
    probing.only(place.probe(), 'persistence.too-many-connections')
    place.server.execute(f'ALTER ROLE {place.user} CONNECTION LIMIT 5')
    assert place.probe() == []


@pytest.mark.parametrize('kind', ['ROLE', 'DATABASE'])
def test_too_few_connections(place, kind):
    """A worker needs two at a time; one is enough to be told so."""
    name = {'ROLE': place.user, 'DATABASE': place.database}[kind]
    place.server.execute(f'ALTER {kind} {name} CONNECTION LIMIT 1')
    found = probing.only(place.probe(), 'persistence.too-many-connections')
    assert f'{place.user} may have 1 connection at a time' in found.message
    place.server.execute(found.remedy)
    assert place.probe() == []


def test_server_out_of_connections(write_config, driver):
    with postgres_server.PostgreSQL(
            max_connections=8, superuser_reserved_connections=3) as server:
        spot = Place(server, write_config, driver)
        held = process.hold(server, 5, psycopg2.OperationalError)
        probing.only(spot.probe(), 'persistence.too-many-connections')
        for connection in held:
            connection.close()


def test_tls(write_config, driver, authority):
    with postgres_server.PostgreSQL(
            tls=authority.server(),
            hba=('hostssl all all all scram-sha-256',
                 'hostnossl all all all reject')) as server:
        spot = Place(server, write_config, driver)
        assert spot.probe(sslmode='verify-full', sslrootcert=authority.cert,
                          ) == []
        probing.only(spot.probe(sslmode='verify-full',
                                sslrootcert='/nowhere/ca.pem'),
                     'persistence.tls')
        found = probing.only(spot.probe(sslmode='disable'),
                             'persistence.tls')
        assert found.host == f'{server.host}:{server.port}'


def test_tls_wanted_where_there_is_none(place):
    probing.only(place.probe(sslmode='require'), 'persistence.tls')


def test_driver_missing(write_config):
    config = write_config(
        jobboard_enabled=True,
        persistence_connection='postgresql+pg8000://u:p-123456@h/d')
    found = probing.only(probing.probe('persistence', config),
                         'persistence.driver-missing')
    assert 'pg8000' in found.remedy


def fault(write_config, driver, script, id_):
    config = write_config(
        jobboard_enabled=True, persistence_connection=(
            f'{driver}://octavia:secret-9876@{script.host}:{script.port}/p'))
    found = probing.only(probing.probe('persistence', config, 5, 1.5),
                         f'persistence.{id_}')
    assert found.host == f'{script.host}:{script.port}'
    assert 'secret-9876' not in repr(found)


@pytest.mark.parametrize('script, id_', [
    (scripts.Refuse, 'refused'), (scripts.Blackhole, 'timeout'),
    (scripts.Silent, 'timeout')])
def test_faults(write_config, driver, script, id_):
    with script() as server:
        fault(write_config, driver, server, id_)


def test_unresolvable(write_config, driver):
    config = write_config(
        jobboard_enabled=True, persistence_connection=(
            f'{driver}://octavia:secret-9876@no-such-host.invalid/p'))
    found = probing.only(probing.probe('persistence', config),
                         'persistence.unresolvable')
    assert 'no-such-host.invalid' in found.message


def test_reads_only(place):
    """Nothing is written: no table, no row."""
    migrate(place)
    tuples = ('SELECT relname, n_tup_ins, n_tup_upd, n_tup_del FROM '
              'pg_stat_user_tables ORDER BY relname')
    # What a session has done is counted at its end.
    process.wait_until(lambda: place.server.execute(
        'SELECT count(*) FROM pg_stat_activity WHERE datname = '
        'current_database() AND pid <> pg_backend_pid()',
        place.database) == [(0,)], 'sessions live on')
    before = place.server.execute(tuples, place.database)
    names = place.server.execute(
        'SELECT relname FROM pg_class ORDER BY 1', place.database)
    assert place.probe() == []
    assert probing.probe('migration', place.config()) == []
    assert place.server.execute(tuples, place.database) == before
    assert place.server.execute(
        'SELECT relname FROM pg_class ORDER BY 1', place.database) == names

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

"""What servers and proxies answer when they refuse, at every step.

The numbers that no server here gives come from a script that speaks MySQL.
"""

import re

import pytest

from tests import cells
from tests import migrations
from tests import mysql_probing as mysql
from tests import probing
from tests.functional import test_persistence_postgres as postgres_tests
from tests.servers import mariadb as mariadb_server
from tests.servers import pgbouncer
from tests.servers import postgres as postgres_server
from tests.servers import rogue

SECRET = 'TOP-SECRET-CANARY'
DRIVERS = ('pymysql', 'mysqldb', 'mysqlconnector')


@pytest.fixture(params=DRIVERS)
def driver(request):
    if request.param == 'mysqldb':
        pytest.importorskip('MySQLdb')
    return f'mysql+{request.param}'


def config(write_config, server, driver='mysql+pymysql', **query):
    return write_config(
        jobboard_enabled=True,
        persistence_connection=mariadb_server.database_url(
            driver, 'octavia', 'secret-9876', server.host, server.port,
            'octavia_p', query))


def probe(write_config, server, *args, timeout=3, **query):
    found = probing.probe('persistence', config(
        write_config, server, *args, **query), 20, timeout)
    assert 'secret-9876' not in repr(found)
    assert 'itself failed' not in repr(found)
    for each in found:
        assert each.host in (f'{server.host}:{server.port}', None)
    return found


#: Number -> finding, and a word of the message.
NUMBERS = {
    1040: ('too-many-connections', 'no connection left'),
    1203: ('too-many-connections', 'no connection left'),
    1226: ('too-many-connections', 'no connection left'),
    1135: ('too-many-connections', 'no connection left'),
    1045: ('access-denied', 'refuses the account'),
    3118: ('access-denied', 'refuses the account'),
    3955: ('access-denied', 'refuses the account'),
    1862: ('password-expired', 'has expired'),
    1820: ('password-expired', 'has expired'),
    1053: ('refused', 'shutting down'),
    1927: ('refused', 'killed'),
    3032: ('refused', 'offline mode'),
    3169: ('refused', 'killed'),
    9001: ('refused', 'proxy that cannot reach a server'),
    3159: ('tls', 'TLS'),
}


@pytest.mark.parametrize('number', NUMBERS)
@pytest.mark.parametrize('when', ['login', 'question'])
def test_number(write_config, driver, number, when):
    """The same at every step, with every driver."""
    packet = rogue.error(number, f"for user 'octavia'@'{SECRET}'")
    said = ({'login': (packet,)} if when == 'login' else {'select': packet})
    with rogue.MySQL(**said) as server:
        slug, word = NUMBERS[number]
        found = probing.only(probe(write_config, server, driver),
                             f'persistence.{slug}')
        assert word in found.message and str(number) in found.message
        # A refused login is tried once.
        assert server.connections == 1


def test_unknown_number_at_a_question(write_config, driver):
    with rogue.MySQL(select=rogue.error(9999, SECRET)) as server:
        found = probing.only(probe(write_config, server, driver),
                             'persistence.undetermined')
        assert '9999' in found.message and SECRET not in repr(found)


def literal(text):
    return mysql.literal(text)


def expired(server, spot):
    server.execute(f'ALTER USER {spot.account} PASSWORD EXPIRE')


@pytest.mark.parametrize('disconnects', ['OFF', 'ON'])
def test_expired_password(write_config, disconnects):
    """It can log in but run nothing; or it cannot log in any more."""
    with mariadb_server.MariaDB(
            disconnect_on_expired_password=disconnects) as server:
        spot = mysql.Place(server, write_config)
        assert spot.probe() == []
        expired(server, spot)
        found = probing.only(spot.probe(), 'persistence.password-expired')
        assert ('1820' if disconnects == 'OFF' else '1862') in found.message
        # The remedy, with the password of the test in place of a new one.
        command = re.search(r'ALTER USER .*;', found.remedy.partition(
            '; then')[0] + ';')[0]
        assert "'NEW_PASSWORD'" in command
        server.execute(command.replace(
            "'NEW_PASSWORD'", literal(mysql.PASSWORD)))
        assert spot.probe() == []


def test_other_rows_refer_to_an_expired_password(mariadb, write_config):
    spot = mysql.Place(mariadb, write_config)
    expired(mariadb, spot)
    with pytest.raises(probing.Blocked) as caught:
        probing.probe('migration', spot.config())
    assert caught.value.cause.id == 'persistence.password-expired'


def test_a_server_that_shuts_down(write_config):
    """Between the login and the first question."""
    with postgres_server.PostgreSQL() as server:
        spot = postgres_tests.Place(server, write_config)
        server.execute(f'ALTER ROLE {spot.user} CONNECTION LIMIT 0')
        found = probing.only(spot.probe(), 'persistence.too-many-connections')
        assert found.host == f'{server.host}:{server.port}'
        server.execute(f'ALTER ROLE {spot.user} CONNECTION LIMIT -1')
        assert spot.probe() == []


@pytest.fixture
def bouncer(postgres, write_config):
    spot = postgres_tests.Place(postgres, write_config)
    with pgbouncer.PgBouncer(postgres, {
            spot.user: mysql.PASSWORD, 'stranger': 'x'}) as pool:
        yield spot, pool


@pytest.fixture(params=['postgresql+psycopg2', 'postgresql+psycopg'])
def postgres_driver(request):
    return request.param


def pooled(spot, pool, driver, user=None, password=mysql.PASSWORD,
           database=None, **query):
    return probing.probe('persistence', spot.write_config(
        jobboard_enabled=True, persistence_connection=pool.url(
            user or spot.user, password, database or spot.database,
            driver=driver, **query)), 10, 3)


def test_pgbouncer(bouncer, postgres_driver):
    """Healthy, in the mode in which most are run, for all rows."""
    spot, pool = bouncer
    assert pooled(spot, pool, postgres_driver) == []
    migrations.migrate(pool.url(
        spot.user, mysql.PASSWORD, spot.database), 'head')
    assert pooled(spot, pool, postgres_driver) == []
    assert probing.probe('migration', spot.write_config(
        jobboard_enabled=True, persistence_connection=pool.url(
            spot.user, mysql.PASSWORD, spot.database,
            driver=postgres_driver))) == []


def test_pgbouncer_refuses(bouncer, postgres_driver):
    spot, pool = bouncer
    found = probing.only(pooled(spot, pool, postgres_driver,
                                password='wrong'),
                         'persistence.access-denied')
    assert found.host == f'{pool.host}:{pool.port}'
    probing.only(pooled(spot, pool, postgres_driver, user='nobody'),
                 'persistence.access-denied')
    found = probing.only(
        pooled(spot, pool, postgres_driver, options='-c statement_timeout=9'),
        'persistence.refused')
    # What the remedy says.
    assert 'ignore_startup_parameters = options' in found.remedy
    pool.config.write_text(pool.config.read_text()
                           + 'ignore_startup_parameters = options\n')
    pool.restart()
    assert pooled(spot, pool, postgres_driver,
                  options='-c statement_timeout=9') == []


def test_pgbouncer_without_a_server(postgres, write_config, postgres_driver):
    with postgres_server.PostgreSQL() as server:
        spot = postgres_tests.Place(server, write_config)
        with pgbouncer.PgBouncer(server, {spot.user: mysql.PASSWORD}
                                 ) as pool:
            server.stop()
            found = pooled(spot, pool, postgres_driver)
            assert found[0].id in ('persistence.refused',
                                   'persistence.timeout')
            server.start()
            pool.restart()
            assert pooled(spot, pool, postgres_driver) == []


def hidden(tmp_path, *names):
    """A folder before all others, in which some modules do not import."""
    for name in names:
        (tmp_path / f'{name}.py').write_text(
            'raise ModuleNotFoundError(name=__name__)')
    return str(tmp_path)


def missing(outcome, module):
    found, = [f for f in outcome.findings
              if f['id'].startswith('persistence.')]
    assert found['id'] == 'persistence.driver-missing', found
    assert f'pip install {module}' in found['remedy']
    return found


def test_without_cryptography(write_config, tmp_path):
    """The default authentication of MySQL 8, without TLS."""
    key = b'\1-----BEGIN PUBLIC KEY-----\n'
    with rogue.MySQL(login=(b'\1\4', key),
                     plugin='caching_sha2_password') as server:
        outcome = cells.check(
            config(write_config, server), '--only', 'persistence',
            timeout=10, deadline=60,
            PYTHONPATH=hidden(tmp_path, 'cryptography'))
        assert 'cryptography' in missing(outcome, 'cryptography')['message']


def test_without_pynacl(write_config, tmp_path):
    with mariadb_server.MariaDB(plugin_load_add='auth_ed25519') as server:
        spot = mysql.Place(server, write_config)
        server.execute(f'ALTER USER {spot.account} IDENTIFIED VIA ed25519 '
                       f'USING PASSWORD({literal(mysql.PASSWORD)})')
        outcome = cells.check(spot.config(), '--only', 'persistence',
                              timeout=10, deadline=60,
                              PYTHONPATH=hidden(tmp_path, 'nacl'))
        missing(outcome, 'PyNaCl')
        # The other remedy: another way to log in.
        server.execute(
            f'ALTER USER {spot.account} IDENTIFIED VIA mysql_native_password '
            f'USING PASSWORD({literal(mysql.PASSWORD)})')
        assert spot.probe() == []


def test_way_to_log_in_that_the_driver_has_not(write_config, driver):
    with rogue.MySQL(login=(rogue.switch('auth_gssapi_client'),)) as server:
        found = probing.only(probe(write_config, server, driver),
                             'persistence.driver-missing')
        assert 'auth_gssapi_client' in found.message
        assert 'IDENTIFIED VIA mysql_native_password' in found.remedy


def test_sqlalchemy_plugin_missing(mariadb, write_config):
    spot = mysql.Place(mariadb, write_config)
    found = probing.only(spot.probe(plugin='no_such_plugin'),
                         'persistence.driver-missing')
    assert 'no_such_plugin' in found.message
    assert 'pip install no_such_plugin' in found.remedy


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / 'secret'
    path.write_text(SECRET)
    return path


def option_file(tmp_path, *lines):
    path = tmp_path / 'my.cnf'
    path.write_text('\n'.join(['[client]', *lines]) + '\n')
    return str(path)


LOCAL = {
    'as-it-is': lambda path: {},
    'allowed': lambda path: {'local_infile': '1'},
    'flag': lambda path: {'client_flag': '128'},
    'connector': lambda path: {'allow_local_infile': 'true'},
    'option-file': lambda path: {
        'read_default_file': option_file(path, 'local-infile=1')},
    'included-file': lambda path: {
        'read_default_file': option_file(
            path, f'!include {included(path)}')},
}


def included(path):
    other = path / 'other.cnf'
    other.write_text('[client]\nloose_local_infile=ON\n')
    return other


@pytest.mark.parametrize('way', LOCAL)
def test_no_file_is_sent(write_config, tmp_path, secret, driver, way):
    """A hostile server requests a file of this host."""
    query = LOCAL[way](tmp_path)
    with rogue.MySQL(select=rogue.send_file(str(secret))) as server:
        try:
            found = probe(write_config, server, driver, **query)
        except probing.Blocked:
            found = None  # a driver that takes no such parameter
        assert SECRET.encode() not in server.everything
        assert found is None or found[0].severity == 2
        if found and way in ('as-it-is', 'allowed'):
            assert found[0].id == 'persistence.undetermined'
            assert 'requested a file of this host' in found[0].message


@pytest.mark.parametrize('name', ['pymysql', 'mysqldb'])
def test_the_script_would_get_a_file(secret, name):
    """So that the test above can fail."""
    import importlib
    modules = {'pymysql': 'pymysql', 'mysqldb': 'MySQLdb'}
    module = pytest.importorskip(modules[name])
    module = importlib.import_module(modules[name])
    with rogue.MySQL(select=rogue.send_file(str(secret))) as server:
        try:
            connection = module.connect(
                host=server.host, port=server.port, user='u', password='p',
                local_infile=1)
            connection.cursor().execute('SELECT 1')
        except module.Error:
            pass
        assert SECRET.encode() in server.everything


@pytest.mark.parametrize('plugin', ['mysql_clear_password', 'dialog'])
def test_password_in_clear_only_where_a_worker_sends_it(
        write_config, driver, plugin):
    """The driver does the same here as for Octavia, and no more."""
    import sqlalchemy
    data = b'\5Password: ' if plugin == 'dialog' else b''

    def script():
        return rogue.MySQL(login=(rogue.switch(plugin, data), rogue.OK))

    with script() as server:
        engine = sqlalchemy.create_engine(mariadb_server.database_url(
            driver, 'octavia', 'secret-9876', server.host, server.port,
            'octavia_p', {}))
        try:
            engine.connect().close()
        except Exception:
            pass
        worker = b'secret-9876' in server.everything
    with script() as server:
        probe(write_config, server, driver)
        assert (b'secret-9876' in server.everything) <= worker


def test_an_answer_without_end(write_config, driver):
    """Ends soon, in bounded memory."""
    with rogue.MySQL(select=rogue.MySQL.ENDLESS) as server:
        found = probe(write_config, server, driver, timeout=10)
        # libmysqlclient says of its own memory that the server has gone.
        assert found[0].id in ('persistence.undetermined',
                               'persistence.timeout', 'persistence.refused')
        if driver == 'mysql+pymysql':
            assert 'MiB' in found[0].message

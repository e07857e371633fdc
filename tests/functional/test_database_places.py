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

"""Everything that create_engine accepts works, and messages name what was
reached.
"""

import subprocess
import sys
import textwrap
from urllib import parse

import pytest

from tests import cells
from tests import commands
from tests import migrations
from tests import mysql_probing as mysql
from tests import probing
from tests.functional import test_database_clusters as clusters
from tests.functional import test_persistence_postgres as postgres_tests
from tests.servers import postgres as postgres_server
from tests.servers import scripts

DRIVERS = ('pymysql', 'mysqldb', 'mysqlconnector')


@pytest.fixture(params=DRIVERS)
def driver(request):
    if request.param == 'mysqldb':
        pytest.importorskip('MySQLdb')
    if request.param == 'mysqlconnector':
        pytest.importorskip('mysql.connector')
    return f'mysql+{request.param}'


@pytest.fixture
def spot(mariadb, write_config):
    return mysql.Place(mariadb, write_config)


def test_every_driver(spot, driver):
    """Healthy, before and after the tables are made, and not."""
    assert spot.probe(driver=driver) == []
    migrations.migrate(spot.server.url(database=spot.database), 'head')
    assert spot.probe(driver=driver) == []
    assert probing.probe('migration', spot.config(driver=driver)) == []
    found = probing.only(spot.probe(password='wrong', driver=driver),
                         'persistence.access-denied')
    assert found.host == clusters.peer(spot.server)
    spot.server.execute(f'REVOKE UPDATE ON {spot.database}.* FROM '
                        f'{spot.account}')
    found = probing.only(spot.probe(driver=driver),
                         'persistence.missing-privileges')
    spot.server.execute(found.remedy)
    assert spot.probe(driver=driver) == []


@pytest.mark.parametrize('script, id_', [
    (scripts.Refuse, 'refused'), (scripts.Blackhole, 'timeout'),
    (scripts.Silent, 'timeout')])
def test_faults_of_every_driver(write_config, driver, script, id_):
    with script() as server:
        config = write_config(jobboard_enabled=True, persistence_connection=(
            f'{driver}://octavia:secret-9876@{server.host}:{server.port}/p'))
        found = probing.only(probing.probe('persistence', config, 6, 2),
                             f'persistence.{id_}')
        assert found.host == clusters.peer(server)


def at_socket(spot, driver, path, **options):
    return spot.write_config(
        jobboard_enabled=True, persistence_connection=(
            f'{driver}://{spot.user}:'
            f'{parse.quote(mysql.PASSWORD, safe="")}@/'
            f'{spot.database}?unix_socket={path}'), **options)


def test_unix_socket(spot, driver, tmp_path):
    """It is named as one, whether it is there or not."""
    spot.server.execute(
        f"CREATE USER IF NOT EXISTS '{spot.user}'@'localhost' IDENTIFIED BY "
        f'{mysql.literal(mysql.PASSWORD)}; GRANT {mysql.ALL} ON '
        f"{spot.database}.* TO '{spot.user}'@'localhost'")
    assert probing.probe('persistence', at_socket(
        spot, driver, spot.server.socket)) == []
    path = tmp_path / 'no.sock'
    found = probing.only(
        probing.probe('persistence', at_socket(spot, driver, path)),
        'persistence.refused')
    assert found.host == str(path)
    assert f'{path} refused the connection' in found.message
    assert 'there is no such socket' in found.message


@pytest.mark.parametrize('name', ['postgresql+psycopg2',
                                  'postgresql+psycopg'])
def test_postgresql_unix_socket(postgres, write_config, name, tmp_path):
    spot = postgres_tests.Place(postgres, write_config, name)

    def probe(folder):
        return probing.probe('persistence', write_config(
            jobboard_enabled=True, persistence_connection=(
                f'{name}://{spot.user}:x@/{spot.database}?host={folder}&'
                f'port={postgres.port}')))

    assert probe(postgres.dir) == []
    found = probing.only(probe(tmp_path), 'persistence.refused')
    assert found.host == f'{tmp_path}/.s.PGSQL.{postgres.port}'
    assert 'there is no such socket' in found.message


def test_libpq_service(write_config, tmp_path, monkeypatch):
    """The message names what libpq found in its own file."""
    with scripts.Refuse() as nobody:
        path = tmp_path / 'services'
        path.write_text(f'[octavia]\nhost={nobody.host}\n'
                        f'port={nobody.port}\n')
        monkeypatch.setenv('PGSERVICEFILE', str(path))
        found = probing.only(probing.probe('persistence', write_config(
            jobboard_enabled=True, persistence_connection=(
                'postgresql+psycopg://u:pw-123456@/p?service=octavia'))),
            'persistence.refused')
        assert found.host == clusters.peer(nobody)
        assert found.message == (f'{found.host} refused the connection: '
                                 f'nothing listens there.')


def test_option_file(spot, tmp_path):
    """Its values count: host, port, user and password are there alone."""
    path = tmp_path / 'my.cnf'

    def probe(port):
        path.write_text(
            f'[client]\nhost = {spot.server.host}\nport={port}\n'
            f'user={spot.user}\npassword="secret-from-file-5"\n')
        return probing.probe('persistence', spot.write_config(
            jobboard_enabled=True, persistence_connection=(
                f'mysql+pymysql:///{spot.database}?read_default_file='
                f'{path}')))

    spot.server.execute(
        f"SET PASSWORD FOR {spot.account} = PASSWORD('secret-from-file-5')")
    assert probe(spot.server.port) == []
    with scripts.Refuse() as nobody:
        found = probing.only(probe(nobody.port), 'persistence.refused')
        assert found.host == clusters.peer(nobody)
        assert 'secret-from-file-5' not in repr(found)


@pytest.mark.parametrize('name', ['mysql+mysqldb', 'mysql+mysqlconnector'])
def test_option_file_of_other_drivers(spot, tmp_path, name):
    if 'mysqldb' in name:
        pytest.importorskip('MySQLdb')
    path = tmp_path / 'my.cnf'
    with scripts.Refuse() as nobody:
        path.write_text(f'[client]\nhost={nobody.host}\n'
                        f'port={nobody.port}\n')
        option = ('option_files' if 'connector' in name
                  else 'read_default_file')
        found = probing.only(probing.probe('persistence', spot.write_config(
            jobboard_enabled=True, persistence_connection=(
                f'{name}://u:pw-123456@/{spot.database}?{option}={path}'))),
            'persistence.refused')
        assert found.host == clusters.peer(nobody)


def test_address_that_this_host_has_not(spot):
    """That the connection cannot be opened here is not the server's doing."""
    found = probing.only(spot.probe(bind_address='192.0.2.9'),
                         'persistence.refused')
    assert 'This host cannot reach' in found.message
    assert 'no local port or address' in found.message


@pytest.mark.parametrize('name', [
    'mysql+pymysql', 'mysql+mysqldb', 'postgresql+psycopg2',
    'postgresql+psycopg'])
def test_no_route(write_config, name):
    """The same, from a network namespace that has no route at all."""
    if 'mysqldb' in name:
        pytest.importorskip('MySQLdb')
    config = write_config(
        jobboard_enabled=True, persistence_connection=(
            f'{name}://u:pw-123456@192.0.2.1/p'))
    done = subprocess.run(
        ['unshare', '--net', commands.script('octavia-v2-checks'),
         '--config-file', str(config), 'upgrade', 'check', '--only',
         'persistence'], capture_output=True, text=True, cwd='/')
    if 'unshare failed' in done.stderr:
        pytest.skip('no right to make a network namespace')
    text = ' '.join(done.stdout.replace('|', ' ').split())
    assert done.returncode == 2
    assert 'persistence.refused' in text
    assert 'This host cannot reach 192.0.2.1' in text, text


PLUGIN = """
    from sqlalchemy.engine import CreateEnginePlugin


    class Plugin(CreateEnginePlugin):
        def __init__(self, url, kwargs):
            super().__init__(url, kwargs)
            with open(url.query['canary_file'], 'a') as stream:
                stream.write('used ')

        def update_url(self, url):
            return url.difference_update_query(['canary_file'])
"""


@pytest.fixture
def plugin(tmp_path):
    """A folder with a distribution that brings an SQLAlchemy plug-in."""
    folder = tmp_path / 'site'
    metadata = folder / 'our_plugin-1.0.dist-info'
    metadata.mkdir(parents=True)
    (folder / 'our_plugin.py').write_text(textwrap.dedent(PLUGIN))
    (metadata / 'METADATA').write_text(
        'Metadata-Version: 2.1\nName: our_plugin\nVersion: 1.0\n')
    (metadata / 'entry_points.txt').write_text(
        '[sqlalchemy.plugins]\ncanary = our_plugin:Plugin\n')
    return folder


WORKER = """
import contextlib
import sys
from taskflow.persistence import backends
backend = backends.fetch({'connection': sys.argv[1]})
with contextlib.closing(backend.get_connection()) as connection:
    connection.validate()
"""


def test_url_plugin(spot, tmp_path, plugin):
    """It is used, and what it makes of the URL counts, as for a worker."""
    canary = tmp_path / 'canary'
    config = spot.config(plugin='canary', canary_file=str(canary))
    outcome = cells.check(config, '--only', 'persistence', timeout=10,
                          deadline=30, PYTHONPATH=str(plugin))
    assert (outcome.code, outcome.ids) == (0, []), outcome.text
    assert canary.read_text() == 'used '
    url = spot.server.url(spot.user, mysql.PASSWORD, spot.database,
                          plugin='canary', canary_file=str(canary))
    done = subprocess.run(
        [sys.executable, '-c', WORKER, url], capture_output=True, text=True,
        env=commands.environment(PYTHONPATH=str(plugin)))
    assert done.returncode == 0, done.stderr


SLOW_HOSTS = [scripts.Blackhole, scripts.Silent]


@pytest.fixture(params=['postgresql+psycopg2', 'postgresql+psycopg'])
def pair(request, write_config):
    """A standby and a primary with the same account."""
    with (postgres_server.PostgreSQL() as standby,
          postgres_server.PostgreSQL() as primary):
        spot = postgres_tests.Place(standby, write_config, request.param)
        twin = postgres_tests.Place(primary, write_config, request.param)
        primary.execute(f'ALTER ROLE {twin.user} RENAME TO {spot.user}')
        primary.execute(f'ALTER DATABASE {twin.database} RENAME TO '
                        f'{spot.database}')
        clusters.become_standby(standby)
        yield spot, standby, primary


def test_a_silent_host_after_a_standby(pair):
    """A worker that searches a primary waits there without a limit."""
    spot, standby, primary = pair
    writing = {'target_session_attrs': 'read-write'}
    for script in SLOW_HOSTS:
        with script() as bad:
            found = probing.only(
                clusters.probe(spot, standby, bad, primary, **writing),
                'persistence.timeout')
            assert clusters.peer(bad) in found.message
            assert 'connect_timeout=2' in found.remedy
            probing.only(clusters.probe(spot, standby, bad, primary,
                                        connect_timeout='2', **writing),
                         clusters.DOWN)
            # 0 is no limit.
            probing.only(clusters.probe(spot, standby, bad, primary,
                                        connect_timeout='0', **writing),
                         'persistence.timeout')
            # Behind the host that is chosen, nobody gets to it.
            probing.only(clusters.probe(spot, standby, primary, bad,
                                        **writing), clusters.DOWN)
            # Nor where the standby is as good.
            found = clusters.probe(spot, standby, bad, primary)
            assert 'persistence.not-writable' in probing.ids(found)


def test_a_silent_host_and_no_primary(pair):
    spot, standby, _ = pair
    with scripts.Silent() as bad:
        found = probing.only(
            clusters.probe(spot, standby, bad,
                           target_session_attrs='read-write'),
            'persistence.timeout')
        assert clusters.peer(bad) in found.message


def test_a_silent_host_where_any_may_be_first(pair):
    spot, _, primary = pair
    with scripts.Silent() as bad:
        probing.only(clusters.probe(spot, primary, bad), clusters.DOWN)
        for attributes in ({'target_session_attrs': 'prefer-standby'},):
            found = probing.only(clusters.probe(
                spot, primary, bad, **attributes), 'persistence.timeout')
            assert clusters.peer(bad) in found.message

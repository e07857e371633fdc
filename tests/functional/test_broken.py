"""Releases that upstream/broken.py names: they fail, and their remedy works.

``tox -e broken`` installs each into a separate virtual environment.
"""

import json
import pathlib
import subprocess
import sys

import pytest

from octavia_v2_checks.upstream import broken
from tests import commands
from tests.functional import test_config_urls
from tests.servers import mariadb as mariadb_server
from tests.servers import redis as redis_server
from tests.servers import zookeeper as zookeeper_server

pytestmark = pytest.mark.broken

ROOT = pathlib.Path(__file__).parents[2]

MIGRATE = """
import contextlib, sys
from taskflow.persistence import backends
backend = backends.fetch({'connection': sys.argv[1]})
with contextlib.closing(backend.get_connection()) as connection:
    connection.upgrade()
    connection.validate()
"""

POST = """
import json, os, sys
from taskflow.jobs import backends
from taskflow.persistence import backends as persistence_backends
board = backends.fetch('broken', json.loads(sys.argv[1]), persistence=
                       persistence_backends.fetch({'connection': 'memory'}))
board.connect()
board.post('one')
[job] = board.iterjobs()
board.claim(job, 'me')
board.consume(job, 'me')
# The threads of kazoo would be waited for.
sys.stdout.flush()
os._exit(0)
"""

PROBE = """
import json, sys
from octavia_v2_checks.checks import migration, jobboard
from octavia_v2_checks import clock, settings
loaded = settings.load([('file', sys.argv[2])])
check = {'migration': migration, 'jobboard': jobboard}[sys.argv[1]].check
print(json.dumps([{'id': f.id, 'remedy': f.remedy} for f in check(
    loaded, clock.Deadline(20, 5)) if not isinstance(f, str)]))
"""


class Release:
    """Python with some packages, which a remedy may change."""

    def __init__(self, place, *packages):
        self.python = place / 'bin' / 'python'
        subprocess.run([sys.executable, '-m', 'venv', place], check=True)
        # The tool itself, as it stands here.
        self.pip(*packages, 'oslo.config', 'oslo.utils')

    def pip(self, *packages):
        subprocess.run([self.python, '-m', 'pip', 'install', '-q',
                        *packages], check=True, timeout=600)

    def run(self, code, *arguments, **variables):
        """Return how a program ended."""
        return subprocess.run(
            [self.python, '-c', code, *map(str, arguments)],
            capture_output=True, text=True, timeout=120,
            env=commands.environment(PYTHONPATH=str(ROOT), **variables))

    def probe(self, check, config, **variables):
        done = self.run(PROBE, check, config, **variables)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def follow(self, remedy):
        """Run the pip of a remedy; it must name this very Python."""
        assert remedy.startswith(f'{self.python} -m pip install ')
        subprocess.run(remedy, shell=True, check=True, timeout=600)


def row(distribution, setup):
    [found] = [r for r in broken.TABLE if (r.distribution, r.setup) == (
        distribution, setup)]
    return found


def test_every_row_is_tried():
    assert len(broken.TABLE) == 5


@pytest.mark.parametrize('packages, fails', [
    (('taskflow==6.0.0', 'SQLAlchemy<2.1'), "'table_name'"),
    (('taskflow==5.6.1', 'SQLAlchemy<2.1', 'setuptools<80'),
     "no attribute 'connect'")])
def test_migration(tmp_path, mariadb, write_config, packages, fails):
    place = test_config_urls.Place(mariadb, write_config)
    url = mariadb.url(place.user, test_config_urls.PASSWORD, place.database)
    config = write_config(jobboard_enabled=True, persistence_connection=url)
    release = Release(tmp_path / 'venv', *packages, 'sqlalchemy-utils',
                      'alembic', 'PyMySQL')
    found = release.probe('migration', config)
    assert [f['id'] for f in found] == ['migration.uninitialised',
                                        'migration.taskflow-broken']
    done = release.run(MIGRATE, url)
    assert done.returncode and fails in done.stderr
    release.follow(found[1]['remedy'])
    [found] = release.probe('migration', config)
    command, _, _ = found['remedy'].partition(' --config-file')
    assert command == 'octavia-db-manage'
    done = release.run(MIGRATE, url)
    assert done.returncode == 0, done.stderr
    assert release.probe('migration', config) == []


def test_kazoo_with_tls(tmp_path, authority, write_config):
    release = Release(tmp_path / 'venv', 'kazoo==2.11.0', 'taskflow')
    trust = {'SSL_CERT_FILE': authority.cert}
    with zookeeper_server.ZooKeeper(tls=authority.server()) as server:
        [member] = server.members
        board = json.dumps({
            'board': 'zookeeper', 'hosts': f'{member.host}:{member.port}',
            'path': '/octavia_jobboard', 'use_ssl': 'True'})
        config = write_config(
            jobboard_enabled=True, jobboard_backend_hosts=member.host,
            jobboard_backend_driver='zookeeper_taskflow_driver',
            jobboard_backend_port=member.port,
            jobboard_zookeeper_ssl_options='use_ssl:True')
        found = [f for f in release.probe('jobboard', config, **trust)
                 if f['id'] == 'jobboard.client-broken']
        done = release.run(POST, board, **trust)
        assert done.returncode and 'AttributeError' in done.stderr
        release.follow(found[0]['remedy'])
        assert release.probe('jobboard', config, **trust) == []
        done = release.run(POST, board, **trust)
        assert done.returncode == 0, done.stderr


def test_sentinel_without_tls(tmp_path):
    known = row('taskflow', 'sentinel-without-tls')
    release = Release(tmp_path / 'venv', 'taskflow==5.12.0', 'redis==5.2.1')
    assert broken.lookup('taskflow', '5.12.0', known.setup) == known
    options = {'ssl': False, 'ssl_keyfile': None, 'ssl_certfile': None,
               'ssl_ca_certs': None, 'ssl_cert_reqs': 'required'}
    with redis_server.Redis() as master, redis_server.Sentinel(
            'master', master) as server:
        def post(**tls):
            return release.run(POST, json.dumps({
                'board': 'redis', 'host': server.host, 'port': server.port,
                'sentinel': 'master', 'namespace': 'n',
                'sentinel_kwargs': tls, **tls}))

        done = post(**options)
        assert done.returncode and 'TypeError' in done.stderr
        assert post(ssl=False).returncode == 0
        release.pip(known.requirement)
        assert post(**options).returncode == 0


@pytest.mark.parametrize('version, verifies', [
    ('1.0.2', False), ('1.2.3', False), ('1.2.4', True)])
def test_pymysql_identity(tmp_path, authority, write_config, version,
                          verifies):
    known = broken.lookup('PyMySQL', version, 'tls-identity')
    assert (known is None) == verifies
    release = Release(tmp_path / 'venv', f'PyMySQL=={version}', 'taskflow',
                      'SQLAlchemy', 'sqlalchemy-utils', 'alembic')
    with mariadb_server.MariaDB(tls=authority.server()) as server:
        place = test_config_urls.Place(server, write_config)
        url = server.url(place.user, test_config_urls.PASSWORD,
                         place.database, ssl_verify_identity='true')
        done = release.run(MIGRATE, url)
    assert ('CERTIFICATE_VERIFY_FAILED' in done.stderr) == verifies
    assert (done.returncode == 0) != verifies

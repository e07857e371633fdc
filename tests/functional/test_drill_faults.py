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

"""Drills that fail: each finding, brought about on real servers."""

import json
import re
import subprocess
import sys

import pytest

from octavia_v2_checks.drill import stage
from tests import boards
from tests import commands
from tests import databases
from tests import drills
from tests import redis_probing
from tests import sentinels
from tests.functional import test_drill
from tests.servers import mariadb as mariadb_server
from tests.servers import process
from tests.servers import redis as redis_server
from tests.servers import zookeeper as zookeeper_server

own_redis = test_drill.own_redis
site = test_drill.site

CLAIMED = 'waiting for a worker to claim the job'
KILLED = 'waiting for the claim to end'


def only(result, id_, step):
    """The single finding, about a step that did not come."""
    assert (drills.ids(result), result.failed) == ([id_], step), result
    assert result.at(step) is None
    finding, = result.findings
    return finding


def test_keys_of_drills_are_forbidden(site):
    test_drill.account(site, f'~{site.place.namespace}:*')
    with site.untouched():
        found = only(site.run(), 'drill.not-posted', 'opened')
    assert 'NoPermissionError' in found.message
    assert f'{site.place.namespace}_drill_' in found.message
    redis_probing.run(site.place.server, found.remedy)
    with site.untouched():
        result = site.run(kill=False)
    assert drills.steps(result) == ['loaded', 'opened', 'posted', 'claimed',
                                    'finished', 'removed']
    assert (result.failed, result.findings) == (None, [])


def test_database_that_takes_no_writes(own_redis, postgres, write_config):
    place = boards.RedisPlace(
        own_redis, *databases.postgresql(postgres), write_config)
    place.sql = test_drill.rows(place.sql)
    site = drills.Site(place)
    database = place.url.rpartition('/')[2]
    rule = f'ALTER DATABASE {database} SET default_transaction_read_only = '
    postgres.execute(f'{rule} on')
    with site.untouched():
        found = only(site.run(), 'drill.not-posted', 'posted')
    assert '25006' in found.message
    assert 'default_transaction_read_only = off' in found.remedy
    postgres.execute(f'{rule} off')
    assert site.run(kill=False).findings == []
    place.close()


@pytest.mark.workers
def test_database_without_tables(site):
    site.place.sql('DROP TABLE atomdetails, flowdetails, logbooks, '
                   'alembic_version')
    found = only(site.run(), 'drill.not-posted', 'opened')
    assert '1146' in found.message
    words = re.search(r'octavia-db-manage (.*upgrade_persistence)',
                      found.remedy)[1].split()
    done = commands.run('octavia-db-manage', *words)
    assert done.returncode == 0
    assert site.run(kill=False).findings == []


def test_board_on_which_nobody_may_claim(site):
    test_drill.account(site, '-evalsha', '-script|load',
                       f'~{site.place.namespace}_drill_*')
    with site.untouched():
        found = only(site.run(), 'drill.not-claimed', 'claimed')
    assert 'NoPermissionError' in found.message
    redis_probing.run(site.place.server, found.remedy)
    assert site.run(kill=False).findings == []


@pytest.mark.workers
def test_claims_that_last_no_time(site):
    site.configure(jobboard_expiration_time=0)
    with site.untouched():
        found = only(site.run(), 'drill.not-claimed', 'claimed')
    assert 'ValueError' in found.message


def owned(site):
    """The key of the claim of the worker that was killed."""
    key, = site.place.server.command('KEYS', '*.owned')
    return key


@pytest.mark.workers
def test_claim_that_never_ends(site):
    def persist():
        assert site.place.server.command('PERSIST', owned(site)) == 1

    with site.untouched():
        result = site.run(timeout=40, at={KILLED: persist})
    found = only(result, 'drill.not-resumed', 'resumed')
    assert 'The claim of the killed worker had not ended' in found.message
    assert result.duration < 41


def test_claim_that_lasts_long(site):
    with site.untouched():
        result = site.run(at={KILLED: lambda: site.place.server.command(
            'PEXPIRE', owned(site), 9000)})
    assert drills.steps(result) == drills.WHOLE
    found, = result.findings
    assert (found.id, found.severity.name) == ('drill.resumed-late',
                                               'WARNING')
    assert result.exit_code == 1
    assert f'claims should end after {drills.CLAIM} s' in found.message
    assert result.resumed_after > 8


def test_board_that_forgets(site):
    with site.untouched():
        result = site.run(at={KILLED: lambda: site.place.server.command(
            'FLUSHALL')})
    found = only(result, 'drill.not-resumed', 'resumed')
    assert 'lost the job' in found.message
    # Nobody waits for what cannot happen.
    assert result.duration < stage.ALLOWANCE


def test_flow_that_the_other_host_cannot_build(site, tmp_path):
    """Another release of this project there, or none."""
    handed = str(tmp_path / 'drill.json')
    with site.untouched():
        assert site.json('begin', '--yes', handed)['findings'] == []
        site.place.sql("UPDATE flowdetails SET meta = REPLACE(meta, "
                       "'drill.flow.make', 'drill.plot.make')")
        document = site.json('finish', handed)
    found, = document['findings']
    assert (found['id'], document['result']) == ('drill.not-resumed', 2)
    assert 'moved the job to the trash' in found['message']
    assert re.search('ImportError|ModuleNotFoundError', found['message'])


@pytest.mark.workers
def test_database_that_forgets(site):
    with site.untouched():
        result = site.run(at={CLAIMED: lambda: site.place.sql(
            'DELETE FROM atomdetails; DELETE FROM flowdetails; '
            'DELETE FROM logbooks')})
    found = only(result, 'drill.not-claimed', 'claimed')
    assert 'moved the job to the trash' in found.message
    assert '(NotFound)' in found.message


def test_no_worker_starts(write_config):
    """What no worker can read, though it is no option of the jobboard."""
    config = write_config({'controller_worker': {'workers': 'many'}},
                          jobboard_enabled=True, jobboard_backend_port=1)
    done = commands.checks('--config-file', str(config), 'drill', '--yes',
                           '--format', 'junit')
    assert done.returncode == 2
    assert 'drill.undetermined' in done.stdout
    assert 'ValueError' in done.stdout and 'many' not in done.stdout


@pytest.mark.parametrize('options, said', [
    ('jobboard_enabled = false', 'jobboard_enabled is false'),
    ('jobboard_enabled', 'does not parse')])
def test_nothing_to_drill(tmp_path, options, said):
    config = tmp_path / 'octavia.conf'
    config.write_text(f'[task_flow]\n{options}\n')
    done = commands.checks('--config-file', str(config), 'drill', '--format',
                           'json')
    found, = json.loads(done.stdout)['findings']
    assert (done.returncode, done.stderr) == (2, '')
    assert found['id'] == 'drill.undetermined' and said in found['message']


WITHOUT = """
import importlib.util, sys
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: (
    None if name == sys.argv[1] else found(name, *rest))
from octavia_v2_checks import cli
sys.exit(cli.main(sys.argv[2:]))
"""


@pytest.mark.parametrize('missing', ['octavia', 'taskflow'])
def test_unavailable(write_config, missing):
    config = write_config(jobboard_enabled=True)
    done = subprocess.run(
        [sys.executable, '-c', WITHOUT, missing, '--config-file',
         str(config), 'drill', '--format', 'json'], capture_output=True,
        text=True, cwd='/', env=commands.environment())
    found, = json.loads(done.stdout)['findings']
    assert (done.returncode, found['id']) == (2, 'drill.unavailable')
    assert missing in found['message']


# Minutes in all, most of it waiting.


def clean(result):
    """Do what the finding drill.leftovers says."""
    left, = [f for f in result.findings if f.id == 'drill.leftovers']
    done = commands.run(*drills.remedy_command(left.remedy).split())
    assert done.returncode == 0
    assert f'Removed the remains of {result.id}' in done.stdout


@pytest.mark.workers
def test_database_that_takes_no_more_writes(own_redis, write_config):
    """What cannot be removed is named, and later goes with the remedy."""
    with mariadb_server.MariaDB() as mariadb:
        url, sql = databases.mysql(mariadb)
        mariadb.execute("CREATE USER octavia IDENTIFIED BY 'pw'; GRANT ALL "
                        "ON *.* TO octavia; REVOKE SUPER, READ_ONLY ADMIN "
                        "ON *.* FROM octavia")
        place = boards.RedisPlace(
            own_redis, mariadb.url('octavia', 'pw', url.rpartition('/')[2]),
            sql, write_config)
        site = drills.Site(place)
        with site.untouched():
            result = site.run(timeout=45, at={KILLED: lambda: mariadb.execute(
                'SET GLOBAL read_only = 1')})
            assert drills.ids(result) == ['drill.not-resumed',
                                          'drill.leftovers']
            assert result.failed == 'resumed'
            unresumed, left = result.findings
            assert '1290' in unresumed.message
            assert 'SET GLOBAL read_only = OFF' in unresumed.remedy
            assert f'octavia_v2_checks_drill_{result.id}' in left.message
            assert '1290' in left.message
            mariadb.execute('SET GLOBAL read_only = OFF')
            clean(result)
        place.close()


@pytest.mark.workers
def test_board_that_dies(mariadb, write_config):
    with redis_server.Redis() as redis:
        place = boards.RedisPlace(redis, *databases.mysql(mariadb),
                                  write_config)
        site = drills.Site(place)
        with site.untouched():
            result = site.run(timeout=45, at={KILLED: redis.kill})
            assert drills.ids(result) == ['drill.not-resumed',
                                          'drill.leftovers']
            assert 'JobFailure because of Connection' in (
                result.findings[0].message)
            assert result.namespace in result.findings[1].message
            redis.start()
            clean(result)
        place.close()


@pytest.mark.workers
def test_database_that_dies(own_redis, write_config):
    with mariadb_server.MariaDB() as mariadb:
        place = boards.RedisPlace(own_redis, *databases.mysql(mariadb),
                                  write_config)
        site = drills.Site(place)
        with site.untouched():
            result = site.run(timeout=45, at={KILLED: mariadb.kill})
            assert drills.ids(result) == ['drill.not-resumed',
                                          'drill.leftovers']
            mariadb.start()
            clean(result)
        place.close()


@pytest.mark.workers
def test_nodes_that_nobody_may_create(mariadb, write_config):
    from kazoo import security
    with zookeeper_server.ZooKeeper() as zookeeper:
        place = boards.ZooKeeperPlace(
            zookeeper, *databases.mysql(mariadb), write_config)
        site = drills.Site(place)
        site.busy()
        client = zookeeper.client()
        client.set_acls('/', [
            security.make_digest_acl('admin', 'secret', all=True),
            security.make_acl('world', 'anyone', read=True)])
        client.stop()
        with site.untouched():
            found = only(site.run(), 'drill.not-posted', 'posted')
        assert 'NoAuthError' in found.message
        place.close()


@pytest.mark.workers
def test_master_fails_over_in_the_middle(mariadb, write_config):
    """The claim is on both masters, and ends on the new one."""
    hosts = sentinels.HOSTS
    with redis_server.Redis() as master, redis_server.Redis(
            host=hosts[1], replica_announce_ip=hosts[1],
            replicaof=(master.host, master.port)) as replica:
        with sentinels.ensemble(master, settings={
                'failover-timeout': 3000}) as trio:
            process.wait_until(
                lambda: sentinels.state(trio[0])['num-slaves'] == 1,
                'the Sentinels do not know the replica', 60)
            for sentinel in trio:
                # They promote no replica whose INFO is older than five.
                sentinel.command('SENTINEL', 'DEBUG', 'ping-period', 500)
            place = boards.RedisPlace(
                master, *databases.mysql(mariadb), write_config)
            site = drills.Site(
                place, jobboard_redis_sentinel=sentinels.NAME,
                jobboard_backend_hosts=hosts,
                jobboard_backend_port=trio[0].port)
            result = site.run(timeout=60, at={KILLED: master.kill})
            assert drills.steps(result) == drills.WHOLE, result
            assert set(drills.ids(result)) <= {'drill.resumed-late'}
            with replica.client() as client:
                assert client.keys('*_drill_*') == []
            place.close()

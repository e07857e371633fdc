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

"""One connection and one login per server and run, whatever is asked."""

import re

import pytest

from octavia_v2_checks.backends import database
from tests import boards
from tests import cells
from tests import databases
from tests import migrations
from tests import mysql_probing as mysql
from tests import octavia_board
from tests import probing
from tests.servers import mariadb as mariadb_server

ROWS = ('persistence', 'migration', 'inflight', 'resources')


@pytest.fixture(scope='module')
def server():
    with mariadb_server.MariaDB(general_log=True) as server:
        yield server


class Spot(mysql.Place):
    """A migrated database, a board, and a count of the logins."""

    def __init__(self, server, redis, write_config):
        super().__init__(server, write_config)
        migrations.migrate(server.url(database=self.database), 'head')
        self.place = boards.RedisPlace(
            redis, *databases.mysql(server), write_config)

    def check(self, password=mysql.PASSWORD, octavia=None):
        """Run the whole command; how it ended, and the logins it made."""
        def url(name):
            return self.server.url(self.user, password, name).replace(
                '$', '$$')

        config = self.place.config(
            {'database': {'connection': url(octavia)}} if octavia else {},
            persistence_connection=url(self.database))
        start = self.server.general_log.stat().st_size
        outcome = cells.check(config, timeout=10, deadline=30)
        with self.server.general_log.open(errors='replace') as log:
            log.seek(start)
            logins = re.findall(rf'Connect\s+{self.user}@', log.read())
        return outcome, len(logins)


@pytest.fixture
def spot(server, redis, write_config):
    spot = Spot(server, redis, write_config)
    yield spot
    spot.place.close()


FEW = 'persistence.too-many-connections'


@pytest.mark.parametrize('limit, found', [(1, [FEW]), (2, [])])
def test_max_user_connections(spot, limit, found):
    """Octavia's own account may have few: the verdict is the same always."""
    spot.server.execute(f'GRANT USAGE ON *.* TO {spot.account} WITH '
                        f'MAX_USER_CONNECTIONS {limit}')
    for _ in range(3):
        outcome, logins = spot.check()
        assert (outcome.ids, logins) == (found, 1)


def test_both_urls_are_one_server(spot):
    """Both databases of an account are read over one connection."""
    octavia = probing.name('octavia_')
    spot.server.execute(f'CREATE DATABASE {octavia}; GRANT ALL ON '
                        f'{octavia}.* TO {spot.account}')
    octavia_board.run(spot.place.config({'database': {
        'connection': spot.server.url(database=octavia)}}), 'tables')
    spot.server.execute(f'GRANT USAGE ON *.* TO {spot.account} WITH '
                        f'MAX_USER_CONNECTIONS 1')
    outcome, logins = spot.check(octavia=octavia)
    assert (outcome.ids, logins) == ([FEW], 1)
    spot.server.execute("UPDATE load_balancer SET updated_at = "
                        "'2020-01-01 00:00:00'", octavia)
    outcome, logins = spot.check(octavia=octavia)
    assert (outcome.ids, logins) == ([FEW, 'resources.pending'], 1)
    spot.server.execute(f'REVOKE ALL PRIVILEGES ON {octavia}.* FROM '
                        f'{spot.account}')
    outcome, logins = spot.check(octavia=octavia)
    assert (outcome.ids, logins) == ([FEW, 'resources.undetermined'], 1)


def test_a_refused_login_is_tried_once(spot):
    outcome, logins = spot.check('wrong-password-77')
    assert outcome.ids == ['persistence.access-denied'] and logins == 1
    blocked = [row['id'] for row in outcome.document['checks']
               if 'Not checked' in (row['details'] or '')]
    assert blocked == ['migration', 'inflight']


def test_a_statement_that_writes_is_not_sent(spot):
    """The engine itself refuses it, in the child."""
    from octavia_v2_checks import clock
    from octavia_v2_checks import settings
    run = clock.Deadline(20, 5)
    base = database.Database(settings.load([(
        'file', str(spot.config()))]).get('persistence_connection'), run)
    base.connect()
    start = spot.server.general_log.stat().st_size
    for statement in ('DELETE FROM logbooks', 'INSERT INTO logbooks (uuid) '
                      "VALUES ('x')", ' drop table logbooks', '/**/COMMIT'):
        with pytest.raises(clock.Crashed):
            base.rows(statement)
    assert base.rows('SELECT 1') == [(1,)]
    run.close()
    with spot.server.general_log.open(errors='replace') as log:
        log.seek(start)
        said = log.read().lower()
    assert 'select 1' in said
    assert not re.search(r'query\s+(delete|insert|drop|/\*)', said)

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

import pymysql
import pytest

from tests.servers import mariadb as mariadb_server
from tests.servers import redis as redis_server


def test_mariadb():
    with mariadb_server.MariaDB(max_connections=17) as server:
        assert server.execute('SELECT 1; SELECT @@max_connections') == [(17,)]
        assert server.execute("SELECT user FROM mysql.user WHERE user = ''"
                              ) == []
        with pymysql.connect(host=server.host, port=server.port,
                             user='root') as connection:
            assert connection.get_server_info()
        server.execute('CREATE DATABASE kept')
        server.restart()
        assert ('kept',) in server.execute('SHOW DATABASES')
    assert not server.dir.exists()
    with pytest.raises(pymysql.OperationalError):
        pymysql.connect(host=server.host, port=server.port, user='root')


def test_redis():
    with redis_server.Redis('--maxmemory', '3mb', requirepass='se cret'
                            ) as server:
        assert server.command('CONFIG GET maxmemory')
        assert server.command('CONFIG', 'GET', 'requirepass') == {
            'requirepass': 'se cret'}

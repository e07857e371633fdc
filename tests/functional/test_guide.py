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

"""The amphorav2 guide of Octavia, from its first step to its last.

At each step the check names what is missing, and its remedy is the next step.
"""

import pytest

from tests import doors
from tests.servers import mariadb as mariadb_server
from tests.servers import redis as redis_server
from tests.servers import scripts

PASSWORD = 'walk-through-7'
REDIS_PASSWORD = 'walk-through-8'


@pytest.fixture(params=['own', 'stock'])
def look(request):
    return getattr(doors, request.param)


def test_guide(look, write_config):
    """From no database at all to all rows green."""
    with (mariadb_server.MariaDB() as database,
          scripts.Refuse() as nobody):
        database.execute(
            f"CREATE DATABASE octavia; GRANT ALL PRIVILEGES ON octavia.* TO "
            f"'octavia'@'localhost' IDENTIFIED BY '{PASSWORD}'")

        def config(**changes):
            options = {
                'jobboard_enabled': True,
                'persistence_connection': database.url('octavia', PASSWORD),
                'jobboard_backend_hosts': nobody.host,
                'jobboard_backend_port': nobody.port,
            } | changes
            return write_config(**options)

        first = config()

        # There is no database.
        seen = look(first)
        assert seen.code == 2
        assert {'persistence.missing-privileges', 'jobboard.refused'
                } <= seen.ids
        assert seen.rows['migration'] == 2
        assert not any(id_.startswith('migration.') for id_ in seen.ids)
        create, _, _ = seen.remedies[
            'persistence.missing-privileges'].partition(';')
        database.execute(create)

        # The guide's early text: user and database the wrong way round.
        database.execute(
            f"GRANT ALL PRIVILEGES ON octavia.* TO "
            f"'octavia_persistence'@'localhost' IDENTIFIED BY '{PASSWORD}'")
        seen = look(first)
        assert seen.code == 2
        assert 'persistence.missing-privileges' in seen.ids
        database.execute(seen.remedies['persistence.missing-privileges'])

        # The right grant, but no tables.
        seen = look(first)
        assert seen.code == 2
        assert seen.rows['persistence'] == 0
        assert seen.rows['migration'] == 2
        doors.run_command(seen.remedies['migration.uninitialised'])

        # The database is ready; nobody has started Redis.
        seen = look(first)
        assert seen.code == 2
        assert seen.rows['persistence'] == seen.rows['migration'] == 0
        assert seen.ids & {'jobboard.refused'}
        assert seen.remedies['jobboard.refused'].startswith('Start')

        with redis_server.Redis('--requirepass', REDIS_PASSWORD,
                                '--appendonly', 'yes') as redis:
            # Redis runs, and wants a password.
            there = {'jobboard_backend_port': redis.port}
            seen = look(config(**there))
            assert seen.code == 2
            assert 'jobboard.auth-required' in seen.ids
            assert ('jobboard_backend_password'
                    in seen.remedies['jobboard.auth-required'])

            # Not this one.
            seen = look(config(jobboard_backend_password='wrong-one-9',
                               **there))
            assert seen.code == 2
            assert 'jobboard.access-denied' in seen.ids
            assert 'wrong-one-9' not in seen.text

            # All is well.
            seen = look(config(jobboard_backend_password=REDIS_PASSWORD,
                               **there))
            assert seen.ids == set()
            assert seen.code == 0
            assert set(seen.rows.values()) == {0}
            assert PASSWORD not in seen.text
            assert REDIS_PASSWORD not in seen.text


def test_default_configuration(look, write_config):
    """The jobboard is off: success, and nothing is contacted."""
    with scripts.Silent() as database, scripts.Silent() as board:
        seen = look(write_config(
            persistence_connection=f'mysql+pymysql://octavia:secret-1234@'
                                   f'{database.host}:{database.port}/p',
            jobboard_enabled=False,
            jobboard_backend_hosts=board.host,
            jobboard_backend_port=board.port))
        assert seen.code == 0
        assert set(seen.rows.values()) == {0}
        assert database.connections == board.connections == 0
        assert 'jobboard_enabled is false' in seen.text


def test_empty_configuration(look, tmp_path):
    path = tmp_path / 'octavia.conf'
    path.write_text('')
    seen = look(path)
    assert seen.code == 0
    assert set(seen.rows.values()) == {0}
    assert not list(tmp_path.glob('*.db'))


def test_another_provider(look, write_config):
    """Without the amphora provider there is nothing to check."""
    with scripts.Silent() as board:
        seen = look(write_config(
            sections={'api_settings': {
                'enabled_provider_drivers': 'ovn:OVN'}},
            jobboard_enabled=True, jobboard_backend_hosts=board.host,
            jobboard_backend_port=board.port,
            persistence_connection='mysql+pymysql://u@db.invalid/p'))
        assert board.connections == 0
        assert {seen.rows[id_] for id_ in (
            'persistence', 'migration', 'jobboard')} == {0}
        assert 'provider' in seen.text

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

"""Our rows in the stock command, and nowhere else."""

import json
import os
import subprocess
import sys

import pytest

from tests import commands
from tests import doors
from tests.servers import scripts

real_start = pytest.mark.usefixtures('real_start')

OUR_TITLES = list(doors.TITLES)


def titles(done):
    return [row['check'] for row in json.loads(done.stdout)['checks']]


def stock_titles(config):
    """What the command shows without us, on this Octavia."""
    done = commands.status(config, 'upgrade', 'check', '--json')
    return titles(done)


@pytest.fixture
def config(write_config):
    return write_config(jobboard_enabled=False)


@real_start
def test_rows_take_the_place_of_the_stock_row(config):
    before = stock_titles(config)
    assert before[0] == 'AmphoraV2 Check'
    done = commands.status(config, 'upgrade', 'check', '--json', hook=True)
    assert titles(done) == OUR_TITLES + before[1:]
    assert done.returncode == 0


def test_table(config):
    done = commands.status(config, hook=True)
    for title in OUR_TITLES:
        assert f'Check: {title}' in done.stdout
    assert 'AmphoraV2 Check' not in done.stdout


def test_stock_row_can_be_kept(config):
    config.write_text(config.read_text() + (
        '[octavia_v2_checks]\nstock_check = keep\n'))
    done = commands.status(config, 'upgrade', 'check', '--json', hook=True)
    assert titles(done) == OUR_TITLES + stock_titles(config)


@real_start
def test_switched_on_by_a_file_that_only_octavia_status_reads(
        config, tmp_path):
    """In ~/.octavia here, where /etc/octavia would be for real."""
    folder = tmp_path / '.octavia' / 'octavia-status.conf.d'
    folder.mkdir(parents=True)
    (folder / 'checks.conf').write_text(
        '[DEFAULT]\nconfig_source = octavia_v2_checks\n'
        '[octavia_v2_checks]\ndriver = octavia_v2_checks\n')
    done = commands.status(config, 'upgrade', 'check', '--json',
                           HOME=str(tmp_path))
    assert titles(done)[:len(OUR_TITLES)] == OUR_TITLES
    other = commands.run('octavia-db-manage', '--config-file', str(config),
                         'branches', HOME=str(tmp_path))
    assert 'octavia_v2_checks' not in other.stdout + other.stderr


def test_configured_twice(config, tmp_path):
    """Two groups name the driver; the rows appear once."""
    config.write_text(
        '[DEFAULT]\nconfig_source = octavia_v2_checks, again\n'
        '[octavia_v2_checks]\ndriver = octavia_v2_checks\n'
        '[again]\ndriver = octavia_v2_checks\n' + config.read_text())
    done = commands.status(config, 'upgrade', 'check', '--json')
    assert titles(done)[:len(OUR_TITLES)] == OUR_TITLES
    assert titles(done).count(OUR_TITLES[0]) == 1


@pytest.mark.parametrize('order', ['remote, octavia_v2_checks',
                                   'octavia_v2_checks, remote'])
def test_beside_another_source(tmp_path, order):
    """A value that comes from a web server is used, and our rows appear."""
    with scripts.Refuse() as nobody:
        body = (f'[task_flow]\njobboard_enabled = true\n'
                f'jobboard_backend_hosts = {nobody.host}\n'
                f'jobboard_backend_port = {nobody.port}\n'
                f'persistence_connection = mysql+pymysql://octavia:'
                f'from-afar-77@{nobody.host}:{nobody.port}/persistence\n')
        with scripts.Http(body=body.encode()) as web:
            path = tmp_path / 'octavia.conf'
            path.write_text(
                f'[DEFAULT]\nconfig_source = {order}\n'
                f'[octavia_v2_checks]\ndriver = octavia_v2_checks\n'
                f'[remote]\ndriver = remote_file\n'
                f'uri = http://{web.host}:{web.port}/octavia.conf\n')
            done = commands.status(path, 'upgrade', 'check', '--json')
            seen = doors.Verdict(done)
            assert {'persistence.refused', 'jobboard.refused'} <= seen.ids
            assert 'from-afar-77' not in seen.text
            own = doors.own(path)
            assert own.ids == seen.ids


def run(code, config):
    return subprocess.run(
        [sys.executable, '-c', code, str(config)], capture_output=True,
        text=True, env=commands.environment(
            OS_DEFAULT__CONFIG_SOURCE='octavia_v2_checks',
            OS_OCTAVIA_V2_CHECKS__DRIVER='octavia_v2_checks'))


def test_nothing_happens_in_another_process(config):
    """The driver is configured, and imports next to nothing."""
    done = run(
        'import sys; from oslo_config import cfg; conf = cfg.ConfigOpts(); '
        'conf(["--config-file", sys.argv[1]], project="octavia"); '
        'ours = sorted(m for m in sys.modules if m.startswith('
        '"octavia_v2_checks")); print(ours)', config)
    assert done.stdout.strip() == str(
        ['octavia_v2_checks', 'octavia_v2_checks.hook'])
    assert done.returncode == 0


def test_nothing_happens_in_another_program_of_octavia(config):
    done = run(
        'import sys; from octavia.common import config; '
        'from oslo_config import cfg; cfg.CONF(["--config-file", '
        'sys.argv[1]], project="octavia", prog="octavia-api"); '
        'print("octavia_v2_checks.engine" in sys.modules)', config)
    assert done.stdout.strip() == 'False', done.stderr


def test_another_configuration_in_octavia_status(config):
    """Only the program's own configuration brings the rows."""
    done = run(
        'import sys; from octavia.cmd import status; before = '
        'status.Checks._upgrade_checks; from oslo_config import cfg; '
        'cfg.ConfigOpts()(["--config-file", sys.argv[1]]); '
        'print(before is status.Checks._upgrade_checks)', config)
    assert done.stdout.strip() == 'True', done.stderr


def test_a_stock_row_that_raises(config):
    """As the policy row of Octavia 12.0.1 to 16.1.0 does."""
    done = run(
        'import sys; from oslo_config import cfg; '
        'from octavia.cmd import status\n'
        'def policy(self, conf):\n'
        '    raise cfg.NoSuchOptError("oslo_policy")\n'
        'status.Checks._upgrade_checks = ('
        'status.Checks._upgrade_checks[0], '
        '("Policy", (policy, {"conf": status.CONF})))\n'
        'from oslo_upgradecheck import upgradecheck\n'
        'sys.exit(upgradecheck.main(status.CONF, project="octavia", '
        'upgrade_command=status.Checks(), argv=["--config-file", '
        'sys.argv[1], "upgrade", "check", "--json"]))', config)
    document = json.loads(done.stdout)
    assert [r['check'] for r in document['checks']] == [
        *OUR_TITLES, 'Policy']
    assert document['checks'][-1]['result'] == 2
    assert 'NoSuchOptError' in document['checks'][-1]['details']
    assert done.returncode == 2


def test_a_hook_that_cannot_be_set_up_fails_the_run(config):
    """oslo.config would swallow the exception, and the upgrade would continue.
    """
    done = run(
        'import sys; from octavia.cmd import status; '
        'from octavia_v2_checks import registry\n'
        'def broken(): raise RuntimeError("secret-in-text")\n'
        'registry.checks = broken\n'
        'from oslo_upgradecheck import upgradecheck\n'
        'sys.exit(upgradecheck.main(status.CONF, project="octavia", '
        'upgrade_command=status.Checks(), argv=["--config-file", '
        'sys.argv[1], "upgrade", "check", "--json"]))', config)
    assert done.returncode == 2
    assert 'RuntimeError' in done.stdout
    assert 'secret-in-text' not in done.stdout + done.stderr


def test_skip_and_fail_level(write_config):
    with scripts.Refuse() as nobody:
        path = write_config(
            sections={'octavia_v2_checks': {
                'skip': 'jobboard, persistence, migration',
                'fail_level': 'failure'}},
            jobboard_enabled=False, jobboard_backend_hosts=nobody.host)
        done = commands.status(path, 'upgrade', 'check', '--json', hook=True)
        ours = [t for t in titles(done) if t in OUR_TITLES]
        assert ours == [t for t, id_ in doors.TITLES.items() if id_ not in (
            'jobboard', 'persistence', 'migration')]
        assert done.returncode == 0


def test_skip_of_an_unknown_check_fails(config):
    config.write_text(config.read_text()
                      + '[octavia_v2_checks]\nskip = jobbord\n')
    done = commands.status(config, 'upgrade', 'check', '--json', hook=True)
    assert done.returncode == 2
    assert 'jobbord' in done.stdout


@real_start
def test_silent_servers_cost_no_more_than_the_deadline(write_config):
    import time
    with scripts.Silent() as database, scripts.Silent() as board:
        path = write_config(
            sections={'octavia_v2_checks': {'probe_timeout': 1,
                                            'deadline': 3}},
            jobboard_enabled=True, persistence_connection=(
                f'mysql+pymysql://u:silent-77@{database.host}:'
                f'{database.port}/p'),
            jobboard_backend_hosts=board.host,
            jobboard_backend_port=board.port)
        healthy = time.monotonic()
        commands.status(path, '--help')
        start_up = time.monotonic() - healthy
        began = time.monotonic()
        done = commands.status(path, 'upgrade', 'check', '--json', hook=True)
        assert time.monotonic() - began < start_up + 3 + 1 + 5
        seen = doors.Verdict(done)
        assert {'persistence.timeout', 'jobboard.timeout'} <= seen.ids
        assert seen.code == 2


def test_with_eventlet_imported(write_config):
    """As it is where oslo.service or etcd3gw have imported it before us."""
    with scripts.Refuse() as database, scripts.Refuse() as board:
        path = write_config(
            jobboard_enabled=True, jobboard_backend_hosts=board.host,
            jobboard_backend_port=board.port, persistence_connection=(
                f'mysql+pymysql://u:p@{database.host}:{database.port}/p'))
        done = subprocess.run(
            [sys.executable, '-c', 'import eventlet, sys\n'
             'from octavia.cmd import status\nsys.exit(status.main())',
             '--config-file', str(path), 'upgrade', 'check', '--json'],
            capture_output=True, text=True, cwd='/', timeout=60,
            env=commands.environment(
                OS_DEFAULT__CONFIG_SOURCE='octavia_v2_checks',
                OS_OCTAVIA_V2_CHECKS__DRIVER='octavia_v2_checks'))
    seen = doors.Verdict(done)
    assert {'persistence.refused', 'jobboard.refused'} <= seen.ids


@real_start
def test_our_package_leaves_no_file_behind(config, tmp_path):
    home = tmp_path / 'home'
    home.mkdir()
    done = commands.checks('--config-file', str(config), 'upgrade', 'check',
                           HOME=str(home), XDG_CACHE_HOME=str(home))
    assert done.returncode == 0, done.stdout
    assert os.listdir(home) == []

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

"""Servers for the tests, each started once per test process when asked for.

A test that changes how a server behaves (stops it, sets ``read_only``)
starts its own from :mod:`tests.servers` instead. A machine without one of
the servers fails those tests: ``tools/test`` installs all of them.
"""

import gc
import os
import signal

import pytest

from tests import commands
from tests import loader
from tests import probing
from tests import redis_probing
from tests import zygote
from tests.servers import etcd as etcd_server
from tests.servers import mariadb as mariadb_server
from tests.servers import postgres as postgres_server
from tests.servers import process
from tests.servers import redis as redis_server
from tests.servers import tls as tls_files
from tests.servers import zookeeper as zookeeper_server


def pytest_configure(config):
    """Let all processes of a run share what forks commands for them."""
    # Nothing of what is collected is garbage.
    gc.disable()
    # A shell lets its background jobs ignore it, and so would the commands.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # What is forked is not measured.
    if zygote.PLACE not in os.environ and (
            'COVERAGE_PROCESS_START' not in os.environ):
        place = zygote.open_place()
        config.add_cleanup(lambda: zygote.close_place(place))
    if process.SHARED not in os.environ:
        shared = process.directory('octavia-shared-', process.memory(
            config.getoption('numprocesses', None) or 1))
        os.environ[process.SHARED] = str(shared)
        config.add_cleanup(lambda: process.remove(shared))
    if hasattr(config, 'workerinput') or not config.getoption(
            'numprocesses', None):
        probing.NURSERY.open()


#: Seconds of the modules that take longest, so that no worker begins them
#: when the others have nothing left. Their order is what matters.
SLOWEST = {
    'test_matrix': 85, 'test_endings': 85, 'test_ways_in': 80,
    'test_database_places': 78, 'test_zookeeper_worker': 72,
    'test_provision': 67, 'test_database_clusters': 55,
    'test_etcd_reverse': 55, 'test_inflight': 53, 'test_zookeeper_faults': 52,
    'test_redis_verdicts': 48, 'test_inflight_flows': 43, 'test_drill': 42,
    'test_etcd_faults': 40, 'test_start_up': 40, 'test_role': 40,
    'test_inflight_scale': 39, 'test_zookeeper': 37, 'test_database_locks': 37,
    'test_drill_faults': 35, 'test_etcd_client': 35, 'test_read_only': 35,
    'test_secrets': 35, 'test_fixed': 33, 'test_sentinel': 32,
    'test_outputs': 29, 'test_migration': 28, 'test_plugins': 26,
    'test_persistence_mysql_faults': 23, 'test_database_errors': 23,
    'test_persistence_postgres': 22, 'test_etcd': 22, 'test_hook': 22,
    'test_jobboard_client': 19, 'test_redis_faults': 18, 'test_servers': 16,
    'test_zookeeper_access': 14, 'test_bounds': 13, 'test_isolated': 12,
    'test_config_properties': 12, 'test_completions': 12, 'test_package': 12,
    'test_sentinel_addresses': 12, 'test_pipelines': 11, 'test_imports': 10,
    'test_resources': 10, 'test_redis_tls': 10, 'test_releases': 9,
    'test_html': 9, 'test_one_login': 9, 'test_waived_causes': 8,
    'test_tools': 8, 'test_resources_releases': 7, 'test_persistence_mysql': 6,
    'test_etcd_tls': 6}


# Last, when those that the markers leave out are gone.
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Deal the tests to the workers: each begins with slow modules.

    pytest-xdist gives each of them an equal number of tests that follow
    each other, and whoever has ended takes tests from another's end.
    """
    workers = getattr(config, 'workerinput', {}).get('workercount', 1)
    modules: dict[str, list] = {}
    for item in items:
        modules.setdefault(item.path.stem, []).append(item)
    cost = {name: SLOWEST.get(name, len(found) / 1000)
            for name, found in modules.items()}
    hands: list[list] = [[] for _ in range(workers)]
    taken = [0.0] * workers
    for name in sorted(modules, key=lambda name: -cost[name]):
        least = taken.index(min(taken))
        taken[least] += cost[name]
        hands[least] += modules[name]
    # What is over is cheap, and goes where there are too few.
    share = -(-len(items) // workers)
    over = [item for hand in hands for item in hand[share:]]
    for hand in hands:
        del hand[share:]
        wanted = share - len(hand)
        hand.extend(over[:wanted])
        del over[:wanted]
    items[:] = [item for hand in hands for item in hand]


def pytest_collection_finish():
    """Spare every fork of this process the count of all tests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000)
    gc.enable()
    # Now the path is complete.
    loader.install()


@pytest.fixture
def real_start(monkeypatch):
    """Start commands from nothing, as a shell does."""
    monkeypatch.delenv(zygote.PLACE)


@pytest.fixture(scope='session')
def mariadb():
    """A MariaDB; create a separate database and users in it."""
    with mariadb_server.MariaDB() as server:
        yield server


@pytest.fixture(scope='session')
def postgres():
    """A PostgreSQL; create a separate database and users in it."""
    with postgres_server.PostgreSQL() as server:
        yield server


@pytest.fixture(scope='session')
def redis():
    """A Redis without a password; use a separate namespace."""
    with redis_server.Redis() as server:
        yield server


@pytest.fixture(scope='session')
def zookeeper():
    """A single ZooKeeper that answers srvr and envi."""
    with zookeeper_server.ZooKeeper() as server:
        yield server


@pytest.fixture(scope='session')
def etcd():
    """A single etcd."""
    with etcd_server.Etcd() as server:
        yield server


@pytest.fixture(scope='session')
def authority():
    """A certificate authority: ``authority.server()``, ``.client()`` ..."""
    directory = process.directory('octavia-tls-')
    try:
        yield tls_files.Authority(directory)
    finally:
        process.remove(directory)


@pytest.fixture
def write_config(tmp_path):
    """A function that writes an octavia.conf and returns its path.

    ``write_config(jobboard_enabled=True)`` fills ``[task_flow]``; other
    sections go into ``sections={'database': {'connection': url}}``. The
    amphora provider is enabled unless ``api_settings`` says otherwise.
    """
    return commands.config_writer(tmp_path)


@pytest.fixture
def octavia_db_manage():
    """A function that runs the real ``octavia-db-manage``.

    ``octavia_db_manage(config)`` runs ``upgrade_persistence``;
    ``octavia_db_manage(config, 'upgrade', 'head')`` Octavia's own
    migration. It asserts success unless ``check=False``.
    """
    def manage(config, command='upgrade_persistence', *args, check=True):
        return commands.db_manage(config, command, *args, check=check)

    return manage


@pytest.fixture
def probe_redis(write_config):
    """A function: the findings of the jobboard check on a server."""
    def run(server, **options):
        return redis_probing.probe(write_config, server, **options)

    return run


@pytest.fixture
def redis_account(redis, probe_redis):
    """A function that makes an account on the shared Redis."""
    def make(**options):
        return redis_probing.Account(redis, probe_redis, **options)

    return make


@pytest.fixture
def older_client(tmp_path, monkeypatch):
    """A function that makes redis-py look like another release.

    Its metadata come first on the path; the code stays what it is.
    """
    def pretend(version, name='redis'):
        place = tmp_path / f'{name}-{version}'
        metadata = place / f'{name}-{version}.dist-info'
        metadata.mkdir(parents=True)
        (metadata / 'METADATA').write_text(
            f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n')
        monkeypatch.syspath_prepend(place)

    return pretend

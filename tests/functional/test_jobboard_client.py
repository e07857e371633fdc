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

"""The jobboard check, its drivers, and the client libraries it looks for."""

import shlex
import subprocess
import sys
import zipfile

import pytest

from octavia_v2_checks import clock
from octavia_v2_checks import settings
from octavia_v2_checks.checks import jobboard
from tests import commands
from tests import probing
from tests.servers import scripts

DRIVERS = {'redis_taskflow_driver': 'redis',
           'zookeeper_taskflow_driver': 'kazoo',
           'etcd_taskflow_driver': 'etcd3gw'}


@pytest.fixture
def pip(tmp_path, monkeypatch):
    """A function that runs a remedy where pip finds a single wheel.

    What it installs then comes first on the path.
    """
    def run(remedy, name, version):
        shelf = tmp_path / 'shelf'
        shelf.mkdir()
        info = f'{name}-{version}.dist-info'
        with zipfile.ZipFile(
                shelf / f'{name}-{version}-py3-none-any.whl', 'w') as wheel:
            wheel.writestr(f'{name}/__init__.py', '')
            wheel.writestr(f'{info}/METADATA', (
                f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n'))
            wheel.writestr(f'{info}/WHEEL', (
                'Wheel-Version: 1.0\nGenerator: tests\n'
                'Root-Is-Purelib: true\nTag: py3-none-any\n'))
            wheel.writestr(f'{info}/RECORD', '')
        target = tmp_path / 'target'
        done = subprocess.run(
            shlex.split(remedy), capture_output=True, text=True,
            env=commands.environment(
                PIP_NO_INDEX='1', PIP_FIND_LINKS=str(shelf), PIP_NO_DEPS='1',
                PIP_TARGET=str(target), PIP_CONFIG_FILE='/dev/null',
                PIP_DISABLE_PIP_VERSION_CHECK='1'))
        assert done.returncode == 0, done.stdout + done.stderr
        assert (target / name).is_dir()
        monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.syspath_prepend(target)

    return run


def without(found, *slugs):
    """Findings, but for those of a server that is not there."""
    return [f for f in found if f.id not in
            [f'jobboard.{s}' for s in slugs]]


def probe(write_config, driver, **options):
    return without(probing.probe('jobboard', write_config(
        jobboard_enabled=True, jobboard_backend_driver=driver,
        jobboard_backend_port=1, **options)), 'refused')


@pytest.mark.parametrize('driver, module', DRIVERS.items())
def test_client_missing(write_config, monkeypatch, pip, driver, module):
    assert probe(write_config, driver) == []
    # What Python does not find, it looks up here first.
    monkeypatch.setitem(sys.modules, module, None)
    found = probing.only(probe(write_config, driver),
                         'jobboard.client-missing')
    assert module in found.message and sys.executable in found.message
    assert found.option == 'task_flow.jobboard_backend_driver' and found.line
    pip(found.remedy, module, '99.0')
    # There is nothing in that wheel, so what it says next does not matter.
    assert 'jobboard.client-missing' not in probing.ids(
        probe(write_config, driver))


@pytest.mark.parametrize('driver, module', DRIVERS.items())
def test_client_old(write_config, older_client, pip, driver, module):
    older_client('1.0', module)
    found = probing.only(probe(write_config, driver), 'jobboard.client-old')
    assert f'{module} 1.0 is installed' in found.message
    assert 'TaskFlow ' in found.message
    pip(found.remedy, module, '99.0')
    assert 'jobboard.client-old' not in probing.ids(
        probe(write_config, driver))


@pytest.mark.parametrize('driver, module', DRIVERS.items())
def test_client_missing_and_what_anybody_sees(
        write_config, redis, monkeypatch, driver, module):
    """Nothing can be said of a server but whether it is there."""
    monkeypatch.setitem(sys.modules, module, None)

    def see(**options):
        return probing.only(probing.probe('jobboard', write_config(**{
            'jobboard_enabled': True, 'jobboard_backend_driver': driver,
            'jobboard_backend_hosts': redis.host,
            'jobboard_backend_port': redis.port, **options})),
            'jobboard.client-missing').message

    peer = f'{redis.host}:{redis.port}'
    assert f'{peer} accepts connections, and Redis answers there' in see()
    assert '127.0.0.1:1 refused the connection' in see(
        jobboard_backend_port=1)
    several = see(jobboard_backend_hosts=[redis.host, 'no-such.invalid'])
    assert peer in several and "'no-such.invalid' does not" in several
    with scripts.Silent() as silent:
        assert 'an unknown kind of server answers' in see(
            jobboard_backend_port=silent.port)


@pytest.mark.parametrize('driver, module', DRIVERS.items())
def test_client_missing_and_work_in_flight(write_config, monkeypatch, driver,
                                           module, tmp_path):
    """The row that would read the board refers to the one that says why."""
    monkeypatch.setitem(sys.modules, module, None)
    config = write_config(
        jobboard_enabled=True, jobboard_backend_driver=driver,
        jobboard_backend_port=1,
        persistence_connection=f'sqlite:///{tmp_path}/none')
    (tmp_path / 'none').touch()
    with pytest.raises(probing.Blocked) as caught:
        probing.probe('inflight', config)
    assert caught.value.cause.id == 'jobboard.client-missing'


#: Hides a distribution from importlib.metadata, as if it were not there.
HIDE = """
import sys
from importlib import metadata
find = metadata.distribution
def distribution(name):
    if name == 'taskflow':
        raise metadata.PackageNotFoundError(name)
    return find(name)
metadata.distribution = distribution
sys.modules['redis'] = None
from octavia_v2_checks import clock, settings
from octavia_v2_checks.checks import jobboard
loaded = settings.load([('file', sys.argv[1])])
print(next(iter(jobboard.check(loaded, clock.Deadline(2, 1)))).remedy)
"""


def test_client_missing_without_taskflow(write_config):
    config = write_config(jobboard_enabled=True)
    done = subprocess.run([sys.executable, '-c', HIDE, config],
                          capture_output=True, text=True,
                          env=commands.environment())
    assert shlex.split(done.stdout)[1:] == [
        '-m', 'pip', 'install', 'octavia-v2-checks[redis]'], done.stderr


@pytest.fixture
def backend(tmp_path, monkeypatch):
    """A function that installs a package with an entry point for ZooKeeper.

    The schema knows three drivers, so it takes the place of one.
    """
    def install(target):
        info = tmp_path / 'path' / 'other-1.0.dist-info'
        info.mkdir(parents=True)
        (info / 'METADATA').write_text(
            'Metadata-Version: 2.1\nName: other\nVersion: 1.0\n')
        (info / 'entry_points.txt').write_text(
            f'[{jobboard.ENTRY_POINTS}]\n'
            f'zookeeper_taskflow_driver = {target}\n')
        monkeypatch.syspath_prepend(tmp_path / 'path')

    return install


@pytest.mark.parametrize('target', ['no_such_module:Board',
                                    'json:NoSuchBoard'])
def test_backend_that_does_not_load(write_config, backend, target):
    driver = 'zookeeper_taskflow_driver'
    assert probe(write_config, driver) == []
    backend(target)
    found = probing.only(probe(write_config, driver),
                         'jobboard.undetermined')
    assert driver in found.message
    assert found.option == 'task_flow.jobboard_backend_driver'


def test_driver_that_nobody_serves(write_config, monkeypatch):
    monkeypatch.setattr(jobboard, 'ENTRY_POINTS', 'no.such.group')
    found = probing.only(probe(write_config, 'etcd_taskflow_driver'),
                         'jobboard.undetermined')
    assert 'etcd_taskflow_driver' in found.message


@pytest.mark.parametrize('options', [
    {'jobboard_enabled': False},
    {'sections': {'api_settings': {'enabled_provider_drivers': 'ovn:OVN'}},
     'jobboard_enabled': True}])
def test_not_applicable(write_config, options):
    with pytest.raises(probing.NotApplicable):
        probing.probe('jobboard', write_config(**options))


@pytest.mark.parametrize('option, value', [
    ('jobboard_backend_hosts', ''), ('jobboard_backend_port', 'x'),
    ('jobboard_backend_driver', 'nonsense')])
def test_blocked_by_the_configuration(write_config, option, value):
    with pytest.raises(probing.Blocked) as caught:
        probing.probe('jobboard', write_config(**{
            'jobboard_enabled': True, option: value}))
    assert caught.value.option == f'task_flow.{option}'
    assert option in caught.value.reason


def test_facts_of_a_healthy_server(write_config, redis):
    config = write_config(jobboard_enabled=True,
                          jobboard_backend_hosts=redis.host,
                          jobboard_backend_port=redis.port)
    said = list(jobboard.check(settings.load([('file', str(config))]),
                               clock.Deadline(20, 5)))
    version = redis.client().info()['redis_version']
    assert said == [f'Redis {version} at {redis.host}:{redis.port}: '
                    f"'default' has every permission a worker needs."]

"""What no driver reads can stop a service all the same: it is logged."""

import os
import re
import subprocess

import pytest

from octavia_v2_checks.findings import Severity
from tests import commands
from tests import probing

#: Options that the driver for etcd does not read.
STOPS = {'jobboard_backend_password': 'p$x',
         'jobboard_redis_sentinel_password': '$y',
         'jobboard_redis_backend_db': 'many'}
STARTS = {'jobboard_backend_password': 'CHANGEME',
          'jobboard_redis_sentinel': 'None',
          'jobboard_redis_backend_ssl_options': 'ssl:maybe'}


@pytest.fixture
def config(write_config):
    def write(**options):
        return write_config(
            {'DEFAULT': {'transport_url': 'fake://'}},
            jobboard_backend_driver='etcd_taskflow_driver',
            jobboard_backend_port=1, jobboard_enabled=True,
            persistence_connection='mysql+pymysql://o@127.0.0.1:1/p',
            **options)

    return write


def about(config, name):
    return [f for f in probing.probe('config', config)
            if f.option == f'task_flow.{name}']


def starts(config):
    """Return whether octavia-worker gets to its work, and what it says."""
    with subprocess.Popen(
            [commands.script('octavia-worker'), '--config-file', config],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=commands.environment(), start_new_session=True) as worker:
        said = []
        for line in worker.stdout:
            said.append(line)
            if 'Starting V2 consumer' in line:
                os.killpg(worker.pid, 9)
                return True, ''.join(said)
    return False, ''.join(said)


@pytest.mark.parametrize('name, value', STOPS.items())
def test_stops(config, name, value):
    path = config(**{name: value})
    [found] = about(path, name)
    assert found.severity is Severity.FAILURE
    started, said = starts(path)
    assert not started and re.search(
        'NoSuchOptError|ConfigFileValueError', said)
    assert found.remedy.startswith('Delete the line')
    assert about(config(), name) == []


def test_starts(config):
    path = config(**STARTS)
    for name in STARTS:
        assert probing.ids(about(path, name)) == ['config.ignored-option']
    started, said = starts(path)
    assert started, said

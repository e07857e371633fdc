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

"""The Ansible role, over an inventory of several hosts on this machine."""

import json
import pathlib
import re

import pytest
import yaml

from tests import boards
from tests import commands
from tests import databases
from tests import drills
from tests.servers import process

ROLES = pathlib.Path(__file__).parents[2] / 'roles'
PASSWORD = 'role-secret-word'

PLAY = """
- hosts: all
  gather_facts: false
  roles: [octavia_v2_checks]
"""


DRILL = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.include_role:
        name: octavia_v2_checks
        tasks_from: drill
"""


#: Other tests may keep the processors busy.
PATIENT = {'octavia_v2_checks_drill_arguments': ['--timeout', '120']}


@pytest.fixture
def play(tmp_path):
    """A function that runs the role on hosts, each with its [task_flow]."""
    def run(hosts, *args, text=PLAY, **variables):
        (tmp_path / 'play.yml').write_text(text)
        inventory = {'all': {'hosts': {}, 'vars': {
            'ansible_connection': 'local',
            'ansible_python_interpreter': commands.script('python'),
            'octavia_v2_checks_package': '',
            'octavia_v2_checks_command': [
                commands.script('octavia-v2-checks')],
            'octavia_v2_checks_compare_command': [
                commands.script('octavia-v2-checks')],
            'octavia_v2_checks_reports': str(tmp_path / 'reports'),
            **variables}}}
        for name, task_flow in hosts.items():
            config = tmp_path / f'{name}.conf'
            config.write_text(commands.config_text({'task_flow': task_flow}))
            inventory['all']['hosts'][name] = {
                'octavia_v2_checks_config_files': [str(config)]}
        (tmp_path / 'inventory.yml').write_text(yaml.safe_dump(inventory))
        done = commands.run(
            'ansible-playbook', '-i', str(tmp_path / 'inventory.yml'),
            str(tmp_path / 'play.yml'), *args, HOME=str(tmp_path),
            ANSIBLE_ROLES_PATH=str(ROLES), ANSIBLE_NOCOLOR='1',
            ANSIBLE_LOCAL_TEMP=str(tmp_path / 'ansible'))
        assert PASSWORD not in done.stdout + done.stderr
        failed = dict(re.findall(r'^(\S+) +: .*\bfailed=(\d+)', done.stdout,
                                 re.MULTILINE))
        return done, {name for name, count in failed.items() if count != '0'}

    return run


def off():
    return {'jobboard_enabled': False}


def on():
    """A jobboard and a database that nobody listens for."""
    port = process.free_port()
    return {'jobboard_enabled': True, 'jobboard_backend_port': port,
            'jobboard_backend_password': PASSWORD,
            'persistence_connection': f'mysql+pymysql://octavia:{PASSWORD}@'
                                      f'127.0.0.1:{port}/p'}


def test_hosts_that_are_well(play, tmp_path):
    # Check mode must look all the same.
    done, failed = play({'c1': off(), 'c2': off()}, '--check')
    assert (done.returncode, failed) == (0, set()), done.stdout
    assert 'The hosts agree.' in done.stdout
    for name in ('c1', 'c2'):
        report = json.loads(
            (tmp_path / 'reports' / f'{name}.json').read_text())
        assert (report['host'], report['result']) == (name, 0)


def test_a_host_that_fails_and_differs(play, tmp_path):
    done, failed = play({'c1': off(), 'c2': off(), 'c3': on()})
    assert done.returncode != 0
    # c1 speaks for all of them.
    assert failed == {'c1', 'c3'}, done.stdout
    said = done.stdout + done.stderr
    assert 'persistence.refused' in said
    assert 'jobboard_enabled: failure: Some hosts use the jobboard' in said
    reports = sorted(p.name for p in (tmp_path / 'reports').iterdir())
    assert reports == ['c1.json', 'c2.json', 'c3.json']


def test_reports_without_a_verdict(play, tmp_path):
    done, failed = play({'c1': on()}, octavia_v2_checks_fail_level='never')
    assert (done.returncode, failed) == (0, set()), done.stdout
    assert json.loads((tmp_path / 'reports' / 'c1.json').read_text())[
        'result'] == 2


def test_a_command_that_breaks(play):
    """What is no verdict stops the play at once, and names the cause."""
    done, failed = play({'c1': off()}, octavia_v2_checks_arguments=[
        '--only', 'jobbord'])
    assert failed == {'c1'}
    assert 'Did you mean jobboard?' in done.stdout + done.stderr


@pytest.fixture
def jobboard(redis, mariadb, write_config):
    """A function: the [task_flow] of hosts with one jobboard."""
    place = boards.RedisPlace(redis, *databases.mysql(mariadb),
                              write_config)
    site = drills.Site(place)

    def make(**options):
        return {'jobboard_enabled': True, 'jobboard_backend_port': redis.port,
                'jobboard_backend_namespace': place.namespace,
                'persistence_connection': place.url,
                'jobboard_expiration_time': drills.CLAIM, **options}

    with site.untouched():
        yield make
    place.close()


def test_drill(play, jobboard):
    """One begins and is killed, another finishes, a third looks on."""
    hosts = {'c1': jobboard(), 'c2': jobboard(), 'c3': off()}
    done, failed = play(hosts, text=DRILL, **PATIENT)
    assert (done.returncode, failed) == (0, set()), done.stdout
    assert 'another worker continued the flow' in done.stdout
    assert 'Result: Success' in done.stdout


@pytest.mark.workers
def test_drill_between_hosts_that_differ(play, jobboard):
    """The second says why, and the first removes what it has begun."""
    hosts = {'c1': jobboard(),
             'c2': jobboard(jobboard_backend_namespace='elsewhere')}
    done, failed = play(hosts, text=DRILL, **PATIENT)
    assert failed == {'c2'}, done.stdout
    assert 'drill.not-resumed' in done.stdout
    assert 'jobboard_backend_namespace' in done.stdout


def test_drill_in_check_mode(play, jobboard):
    done, failed = play({'c1': jobboard(), 'c2': jobboard()}, '--check',
                        text=DRILL)
    assert (done.returncode, failed) == (0, set()), done.stdout

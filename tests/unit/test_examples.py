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

"""The examples: what can be run of them is run, and the rest is read."""

import pathlib
import shlex

import pytest
import yaml

from octavia_v2_checks import cli
from tests import commands

ROOT = pathlib.Path(__file__).parents[2]
EXAMPLES = ROOT / 'examples'
PLAYBOOKS = ('kolla-ansible.yml', 'openstack-ansible.yml',
             'zuul/octavia-v2-checks.yaml')
ROLE = ROOT / 'roles' / 'octavia_v2_checks'


def read(name):
    return yaml.safe_load((EXAMPLES / name).read_text())


def parsed(words):
    """The arguments of a command line, as the command reads them."""
    assert words[0] == 'octavia-v2-checks'
    return cli.parser().parse_args(words[1:])


def gitlab_commands():
    for job in read('gitlab-ci.yml').values():
        if isinstance(job, dict):
            yield from job['script']


def test_every_file_is_tested():
    names = {str(path.relative_to(EXAMPLES)) for path in EXAMPLES.rglob('*')
             if path.is_file()}
    assert names == {*PLAYBOOKS, 'kubernetes-job.yaml', 'gitlab-ci.yml',
                     'zuul/jobs.yaml'}


@pytest.mark.parametrize('name', PLAYBOOKS)
def test_playbook(name, tmp_path):
    done = commands.run(
        'ansible-playbook', '--syntax-check', '-i', 'localhost,',
        str(EXAMPLES / name), ANSIBLE_ROLES_PATH=str(ROOT / 'roles'),
        HOME=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    known = yaml.safe_load((ROLE / 'meta' / 'argument_specs.yml').read_text())
    options = known['argument_specs']['main']['options']
    for play in read(name):
        for given in (play.get('vars', {}), *(
                role.get('vars', {}) for role in play['roles'])):
            assert set(given) <= set(options)


def test_the_variables_of_the_role_are_described():
    known = yaml.safe_load((ROLE / 'meta' / 'argument_specs.yml').read_text())
    options = {name: option for spec in known['argument_specs'].values()
               for name, option in spec['options'].items()}
    defaults = yaml.safe_load((ROLE / 'defaults' / 'main.yml').read_text())
    assert set(defaults) == set(options)
    for name, option in options.items():
        if 'default' in option:
            assert option['default'] == defaults[name]


def test_the_command_of_kolla():
    play, = read('kolla-ansible.yml')
    given = play['roles'][0]['vars']
    assert given['octavia_v2_checks_command'][:2] == ['docker', 'exec']
    parsed([*given['octavia_v2_checks_command'][3:], 'upgrade', 'check'])


def test_kubernetes_job():
    job = read('kubernetes-job.yaml')
    assert (job['apiVersion'], job['kind']) == ('batch/v1', 'Job')
    spec = job['spec']['template']['spec']
    assert spec['restartPolicy'] == 'Never'
    container, = spec['containers']
    args = parsed(container['command'])
    # The job must not be killed before it has said what is wrong.
    assert args.wait + 20 + 1 < job['spec']['activeDeadlineSeconds']
    # Nothing is written, so nothing need be writable.
    assert container['securityContext']['readOnlyRootFilesystem'] is True
    mounted = {m['name'] for m in container['volumeMounts']}
    assert mounted == {v['name'] for v in spec['volumes']}


def test_gitlab():
    ours = [shlex.split(line) for line in gitlab_commands()
            if line.startswith('octavia-v2-checks')]
    assert len(ours) == 2
    for words in ours:
        parsed(words)
    document = read('gitlab-ci.yml')
    job = document['octavia-upgrade-check']
    args = parsed(ours[1])
    assert (args.format, args.output) == (
        'junit', job['artifacts']['reports']['junit'])
    # A report of what failed is what one wants it for.
    assert job['artifacts']['when'] == 'always'
    assert {j['stage'] for j in document.values()
            if isinstance(j, dict)} == set(document['stages'])


def test_gitlab_runs(tmp_path, monkeypatch, capsys):
    """Both commands, as they stand, where the files are."""
    folder = tmp_path / 'etc' / 'octavia'
    folder.mkdir(parents=True)
    (folder / 'octavia.conf').write_text(
        '[task_flow]\njobboard_enabled = false\n')
    monkeypatch.chdir(tmp_path)
    for line in gitlab_commands():
        if line.startswith('octavia-v2-checks'):
            assert cli.main(shlex.split(line)[1:]) == 0
    assert (tmp_path / 'octavia.xml').read_text().startswith('<?xml')
    capsys.readouterr()


def test_zuul():
    job, project = read('zuul/jobs.yaml')
    assert job['job']['name'] in project['project']['gate']['jobs']
    assert pathlib.PurePath(job['job']['run']).name == (
        'octavia-v2-checks.yaml')

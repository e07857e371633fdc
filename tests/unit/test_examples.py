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

import datetime
import pathlib
import re
import shlex
import shutil
import subprocess

import pytest
import yaml

from octavia_v2_checks import cli
from octavia_v2_checks import engine
from octavia_v2_checks.reports import prometheus
from octavia_v2_checks.upstream import flows
from tests import commands
from tests.servers import process

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
                     'zuul/jobs.yaml', 'github-code-scanning.yml',
                     'prometheus-alerts.yml', 'Containerfile',
                     'icinga/octavia-v2-checks.conf',
                     'systemd/octavia-v2-checks.service',
                     'systemd/octavia-v2-checks.timer'}


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
    """The checks run in the image of the release to come."""
    play, = read('kolla-ansible.yml')
    given = play['roles'][0]['vars']
    words = given['octavia_v2_checks_command']
    assert words[1:3] == ['run', '--rm'] and '/octavia-worker:' in words[-1]
    entry = next(w for w in words if w.startswith('--entrypoint='))
    mounted = next(w for w in words if w.startswith('--volume='))
    file, = given['octavia_v2_checks_config_files']
    assert mounted.split(':')[1:] == [str(pathlib.PurePath(file).parent),
                                      'ro']
    parsed([entry.partition('=')[2], '--config-file', file, 'upgrade',
            'check'])


def test_openstack_ansible_names_the_release():
    """Its environment of the new release does not exist yet."""
    play, = read('openstack-ansible.yml')
    given = play['roles'][0]['vars']
    args = parsed(['octavia-v2-checks', 'upgrade', 'check',
                   *given['octavia_v2_checks_arguments']])
    assert flows.release(args.target_release)
    assert 'openstack_release' not in given['octavia_v2_checks_venv']


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
    # The pod security standard "restricted".
    assert spec['securityContext']['runAsNonRoot'] is True
    assert spec['securityContext']['runAsUser'] > 0
    assert spec['securityContext']['seccompProfile'] == {
        'type': 'RuntimeDefault'}
    assert container['securityContext']['capabilities'] == {'drop': ['ALL']}
    assert container['securityContext']['allowPrivilegeEscalation'] is False
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
    nodeset, job, project = read('zuul/jobs.yaml')
    assert job['job']['nodeset'] == nodeset['nodeset']['name']
    assert job['job']['name'] in project['project']['gate']['jobs']
    assert pathlib.PurePath(job['job']['run']).name == (
        'octavia-v2-checks.yaml')


def test_code_scanning():
    job = read('github-code-scanning.yml')['jobs']['validate']
    commands_ = [s['run'] for s in job['steps'] if 'run' in s]
    words = shlex.split(next(c for c in commands_ if 'validate' in c))
    end = words.index('>')
    assert parsed(words[:end]).format == 'sarif'
    upload = next(s for s in job['steps'] if 'upload-sarif' in
                  s.get('uses', ''))
    assert upload['with']['sarif_file'] == words[end + 1]


def test_alerts():
    """The rules parse, and are about metrics that there are."""
    path = EXAMPLES / 'prometheus-alerts.yml'
    done = subprocess.run([process.find('promtool'), 'check', 'rules', path],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    named = set(re.findall(r'octavia_v2_checks_\w+', ' '.join(
        rule['expr'] for group in read(path.name)['groups']
        for rule in group['rules'])))
    shown = prometheus.render(engine.Report(
        (), (), None, None, datetime.datetime.now(datetime.timezone.utc),
        0.5))
    assert named <= set(re.findall(r'# TYPE (\w+)', shown))


def test_systemd(tmp_path):
    for path in (EXAMPLES / 'systemd').iterdir():
        text = path.read_text()
        for line in re.findall(r'(?m)^ExecStart=(.*)$', text):
            words = shlex.split(line)
            args = parsed([pathlib.PurePath(words[0]).name, *words[1:]])
            assert args.format == 'prometheus'
        # Neither the command nor its user and manual are on this machine.
        (tmp_path / path.name).write_text(
            re.sub(r'(?m)^(User|Documentation)=.*$', '', text).replace(
                '/usr/bin/octavia-v2-checks', '/bin/true'))
    done = subprocess.run(
        [process.find('systemd-analyze'), 'verify', *tmp_path.iterdir()],
        capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, '')


def test_icinga():
    text = (EXAMPLES / 'icinga/octavia-v2-checks.conf').read_text()
    line = re.search(r'"-c", "([^"]*)"', text)[1]
    args = parsed(shlex.split(line.partition(';')[0]))
    assert args.format == 'nagios'
    for code, told in ((0, 0), (1, 1), (2, 2), (64, 3), (255, 3)):
        rest = line.partition(';')[2]
        assert subprocess.run(['/bin/sh', '-c', f'(exit {code});{rest}']
                              ).returncode == told


def test_containerfile():
    text = (EXAMPLES / 'Containerfile').read_text()
    assert 'ENTRYPOINT ["octavia-v2-checks"]' in text
    words = shlex.split(' '.join(
        re.findall(r'(?m)^# (?:podman run|    )(.*?)\\?$', text)))
    parsed(words[words.index('octavia-v2-checks'):])
    # Run by a user who can change nothing.
    assert re.search(r'(?m)^USER [1-9]', text)


def test_the_hook_of_pre_commit(tmp_path):
    hook, = yaml.safe_load((ROOT / '.pre-commit-hooks.yaml').read_text())
    assert parsed(hook['entry'].split()).command == 'validate'
    for name, chosen in (('etc/octavia/octavia.conf', True),
                         ('octavia-worker.conf', True),
                         ('etc/nova/nova.conf', False)):
        assert bool(re.search(hook['files'], name)) is chosen
    wrong = tmp_path / 'octavia.conf'
    wrong.write_text('[task_flow]\nengine = serail\n')
    assert cli.main([*hook['entry'].split()[1:], str(wrong)]) == 2


def test_the_collection(tmp_path):
    """It builds, installs, and brings the role and nothing else."""
    environ = {'HOME': str(tmp_path)}
    # Only what git has: the work tree may hold environments.
    source = tmp_path / 'source'
    subprocess.run(['git', 'clone', '-q', ROOT, source], check=True)
    for name in ('galaxy.yml', 'meta/runtime.yml'):
        (source / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    shutil.copytree(ROOT / 'roles', source / 'roles', dirs_exist_ok=True)
    done = commands.run('ansible-galaxy', 'collection', 'build', str(source),
                        '--output-path', str(tmp_path), **environ)
    assert done.returncode == 0, done.stdout + done.stderr
    built, = tmp_path.glob('*.tar.gz')
    done = commands.run('ansible-galaxy', 'collection', 'install',
                        str(built), '--offline', '-p',
                        str(tmp_path / 'collections'), **environ)
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / 'collections/ansible_collections'
    folder = folder / 'octavia_v2_checks/upgrade'
    assert (folder / 'roles/octavia_v2_checks/tasks/main.yml').exists()
    assert {p.name for p in folder.iterdir()} == {
        'FILES.json', 'LICENSE', 'MANIFEST.json', 'meta', 'roles'}

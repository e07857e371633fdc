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

"""The option schema, as other tools see it."""

import ast
import inspect
import json
import re
import subprocess
import sys

from oslo_config import cfg
import pytest
import yaml

from octavia_v2_checks import opts
from tests import commands

OURS = 'octavia_v2_checks.task_flow'


def generate(*namespaces, form='ini'):
    arguments = []
    for namespace in namespaces:
        arguments += ['--namespace', namespace]
    done = commands.run('oslo-config-generator', *arguments, '--format', form)
    assert done.returncode == 0, done.stderr
    return done.stdout


def assignments(text):
    """Every commented-out option of a sample: name and value shown."""
    return re.findall(r'^#(\w+) =(.*)$', text, re.M)


def section(text, name):
    """One section of a sample, with its header."""
    return re.search(rf'^\[{name}\]\n.*?(?=^\[|\Z)', text,
                     re.M | re.S)[0]


def load(options, text, path):
    path.write_text(text)
    conf = cfg.ConfigOpts()
    conf.register_opts(options, group='task_flow')
    conf(['--config-file', str(path)], project='octavia', use_env=False)
    return conf.task_flow


def octavia_options():
    from octavia.common import config
    return config.task_flow_opts


def test_names_and_defaults_are_those_of_octavia():
    theirs = {o.dest: o for o in octavia_options()}
    ours = {o.dest: o for o in opts.task_flow_opts()}
    assert len(ours) == 23
    assert set(ours) == set(theirs) == set(opts.SINCE)
    for name, option in ours.items():
        assert option.default == theirs[name].default, name
        assert option.secret == theirs[name].secret, name
        assert option.help != theirs[name].help, name


def test_choices_are_those_of_octavia():
    theirs = {o.dest: o for o in octavia_options()}
    for option in opts.task_flow_opts():
        choices = getattr(theirs[option.dest].type, 'choices', None)
        if choices:
            assert set(option.type.choices) == set(choices)


@pytest.mark.parametrize('option', opts.task_flow_opts() + opts.own_opts(),
                         ids=lambda o: o.dest)
def test_help_says_more_than_the_name(option):
    assert len(option.help) > 60
    assert option.help.endswith('.')


def test_uncommented_sample_loads_back_to_the_defaults(tmp_path):
    text = generate(OURS)
    shown = dict(assignments(text))
    assert set(shown) == set(opts.SINCE)
    uncommented = re.sub(r'^#(\w+ =)', r'\1', text, flags=re.M)
    values = load(opts.task_flow_opts(), uncommented, tmp_path / 'o.conf')
    for option in opts.task_flow_opts():
        assert values[option.dest] == option.default, option.dest


def test_each_line_alone_loads_back_to_its_default(tmp_path):
    for name, value in assignments(generate(OURS)):
        values = load(opts.task_flow_opts(),
                      f'[task_flow]\n{name} ={value}\n', tmp_path / 'o.conf')
        default = next(o.default for o in opts.task_flow_opts()
                       if o.dest == name)
        assert values[name] == default


def test_uncommented_sample_means_the_defaults_to_octavia(tmp_path):
    """TLS off everywhere, however its dictionaries are read."""
    from oslo_utils import strutils
    text = re.sub(r'^#(\w+ =)', r'\1', generate(OURS), flags=re.M)
    values = load(octavia_options(), text, tmp_path / 'o.conf')
    for name in ('jobboard_redis_backend_ssl_options',
                 'jobboard_redis_sentinel_ssl_options'):
        assert not strutils.bool_from_string(values[name]['ssl'])
    assert not strutils.bool_from_string(
        values.jobboard_zookeeper_ssl_options['use_ssl'])
    assert not values.jobboard_etcd_ssl_options['use_ssl']


def test_the_sample_of_octavia_does_not_load_back(tmp_path):
    """Or else ours would be no better."""
    text = generate('octavia')
    text = re.sub(r'^#(\w+ =)', r'\1', section(text, 'task_flow'),
                  flags=re.M)
    values = load(octavia_options(), text, tmp_path / 'o.conf')
    differ = []
    for option in octavia_options():
        try:
            if values[option.dest] != option.default:
                differ.append(option.dest)
        except ValueError:
            differ.append(option.dest)
    assert 'jobboard_redis_sentinel' in differ


def test_json_and_yaml():
    for form, parse in (('json', json.loads), ('yaml', yaml.safe_load)):
        data = parse(generate(OURS, form=form))
        options = data['options']['task_flow']['opts']
        assert {o['dest'] for o in options} == set(opts.SINCE)
        assert set(data['options']) - {'DEFAULT'} == {'task_flow'}


def test_rst():
    text = generate(OURS, form='rst')
    for name in opts.SINCE:
        assert re.search(rf'oslo\.config:option:: {name}$', text, re.M)


@pytest.mark.parametrize('form', ['ini', 'json'])
def test_beside_octavia_nothing_is_printed_twice(form):
    if form == 'ini':
        text = generate('octavia', 'octavia_v2_checks')
        sections = re.findall(r'^\[(.+)\]$', text, re.M)
        assert len(sections) == len(set(sections))
        names = [name for name, _ in assignments(
            section(text, 'octavia_v2_checks'))]
        assert names == [o.dest for o in opts.own_opts()]
        before = re.findall(r'^\[(.+)\]$', generate('octavia'), re.M)
        assert set(sections) - set(before) == {'octavia_v2_checks'}
    else:
        data = json.loads(generate('octavia', 'octavia_v2_checks',
                                   form=form))
        names = [o['dest'] for o in data['options']['task_flow']['opts']]
        assert len(names) == len(set(names)) == 23


def test_own_sample_loads_back(tmp_path):
    text = re.sub(r'^#(\w+ =)', r'\1', generate('octavia_v2_checks'),
                  flags=re.M)
    path = tmp_path / 'o.conf'
    # "driver" has no default and, in a file, means that it is switched on.
    path.write_text(re.sub('^driver =.*$', '', text, flags=re.M))
    conf = cfg.ConfigOpts()
    conf.register_opts(opts.own_opts(), group='octavia_v2_checks')
    conf(['--config-file', str(path)], project='octavia', use_env=False)
    for option in opts.own_opts():
        value = conf.octavia_v2_checks[option.dest]
        # An empty line of an option that may be repeated adds nothing.
        assert (value == option.default
                or (option.multi and value == [''] and not option.default))


@pytest.mark.parametrize('name, value', [
    ('max_workers', '0'), ('max_workers', '-1'), ('engine', 'worker-based'),
    ('jobboard_backend_port', '0'), ('jobboard_backend_port', '65536'),
    ('jobboard_expiration_time', '0'), ('jobboard_expiration_time', '-30'),
    ('jobboard_redis_backend_db', '-1'), ('jobboard_etcd_timeout', '0'),
    ('jobboard_backend_namespace', ''),
    ('persistence_connection', 'octavia:secret@db'),
    ('jobboard_backend_driver', 'redis'),
    ('jobboard_redis_backend_ssl_options', 'ca_certs:/ca.pem'),
    ('jobboard_redis_backend_ssl_options', 'ssl=True'),
    ('jobboard_etcd_ssl_options', 'ssl:True'),
])
def test_types_are_strict(tmp_path, name, value):
    values = load(opts.task_flow_opts(), f'[task_flow]\n{name} = {value}\n',
                  tmp_path / 'o.conf')
    with pytest.raises(ValueError) as caught:
        values[name]
    if name == 'persistence_connection':
        assert 'secret' not in str(caught.value)


def test_global_configuration_is_never_touched():
    """Octavia can be imported after us, and before."""
    code = ('import octavia_v2_checks.{a}, octavia_v2_checks.settings as s; '
            's.load([]); from octavia.common import config; '
            'assert config.cfg.CONF.task_flow.max_workers == 5')
    for module in ('opts', 'hook', 'engine', 'cli'):
        done = subprocess.run([sys.executable, '-c', code.format(a=module)],
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_no_module_of_ours_uses_the_global_configuration():
    import pathlib

    import octavia_v2_checks
    for path in pathlib.Path(inspect.getfile(octavia_v2_checks)
                             ).parent.rglob('*.py'):
        if path.parent.name == 'drill':
            # Its children are workers: they have Octavia's configuration.
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            assert not (isinstance(node, ast.Attribute)
                        and node.attr == 'CONF'), path

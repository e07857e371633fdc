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

"""compare: what keeps one host from finishing the flows of another."""

import json
import socket

import pytest

from octavia_v2_checks import cli

SECRET = 'c@nary/of$compare'
ENCODED = 'c%40nary%2Fof%24compare'
TASK_FLOW = {
    'jobboard_enabled': 'true',
    'jobboard_backend_hosts': '10.0.0.1',
    'jobboard_backend_password': SECRET.replace('$', '$$'),
    'persistence_connection':
        f'mysql+pymysql://octavia:{ENCODED}@10.0.0.5/octavia_persistence',
}


@pytest.fixture
def report(tmp_path, capsys):
    """A function that writes the report of a host, and returns its path."""
    def write(host, octavia='19.0.0', taskflow='6.0.2', **task_flow):
        lines = [f'{name} = {value}' for name, value in
                 (TASK_FLOW | task_flow).items() if value is not None]
        config = tmp_path / f'{host}.conf'
        config.write_text('\n'.join(['[task_flow]', *lines, '']))
        cli.main(['--config-file', str(config), 'upgrade', 'check',
                  '--offline', '--json'])
        document = json.loads(capsys.readouterr().out)
        assert document['host'] == socket.gethostname()
        path = tmp_path / f'{host}.json'
        path.write_text(json.dumps(
            document | {'host': host, 'octavia': octavia,
                        'taskflow': taskflow}))
        return str(path)
    return write


@pytest.fixture
def run(capsys):
    def compared(*paths):
        code = cli.main(['compare', '--format', 'json', *paths])
        document = json.loads(capsys.readouterr().out)
        assert cli.main(['compare', *paths]) == code == document['result']
        table = capsys.readouterr().out
        assert SECRET not in table and ENCODED not in table
        for difference in document['differences']:
            assert difference['what'] in table
            assert difference['remedy'] in table
        return code, {d['what']: d for d in document['differences']}
    return compared


def test_hosts_that_agree(report, run):
    assert run(report('a'), report('b'), report('c')) == (0, {})


@pytest.mark.parametrize('what, change, code', [
    ('jobboard_backend_namespace',
     {'jobboard_backend_namespace': 'other'}, 2),
    ('jobboard_backend_driver',
     {'jobboard_backend_driver': 'etcd_taskflow_driver'}, 2),
    ('jobboard', {'jobboard_backend_hosts': '10.0.0.2'}, 2),
    ('jobboard', {'jobboard_redis_backend_db': '3'}, 2),
    ('jobboard', {'jobboard_backend_port': '6380'}, 2),
    ('jobboard_enabled', {'jobboard_enabled': 'false'}, 2),
    ('jobboard_expiration_time', {'jobboard_expiration_time': '60'}, 1),
    ('persistence', {'persistence_connection':
                     'mysql+pymysql://octavia:x@10.0.0.6/p'}, 2),
    ('octavia', {'octavia': '18.0.0'}, 2),
    ('octavia', {'octavia': '19.0.1'}, 1),
    ('octavia', {'octavia': None}, 1),
    ('taskflow', {'taskflow': '5.9.0'}, 2),
    ('jobboard_enabled', {'max_workers': 'many',
                          'jobboard_enabled': 'perhaps'}, 2),
])
def test_one_host_that_differs(report, run, what, change, code):
    result, found = run(report('a'), report('b'), report('c', **change))
    assert result == code
    first, second = found[what]['values']
    assert first['hosts'] == ['a', 'b']
    assert second['hosts'] == ['c']


@pytest.mark.parametrize('change', [
    {'jobboard_backend_password': 'another'},
    {'persistence_connection': 'mysql+mysqldb://someone:else@10.0.0.5:3306/'
                               'octavia_persistence?charset=utf8'},
    {'jobboard_backend_hosts': '10.0.0.1,10.0.0.2'},
    {'max_workers': '9'}])
def test_what_may_differ(report, run, change):
    assert run(report('a'), report('b', **change)) == (0, {})


def test_the_order_of_hosts(report, run):
    """It matters where only the first is used, and nowhere else."""
    both = {'jobboard_backend_hosts': '10.0.0.1,10.0.0.2'}
    turned = {'jobboard_backend_hosts': '10.0.0.2,10.0.0.1'}
    assert run(report('a', **both), report('b', **turned))[0] == 2
    for extra in ({'jobboard_redis_sentinel': 'mymaster'},
                  {'jobboard_backend_driver': 'zookeeper_taskflow_driver'}):
        assert run(report('a', **both, **extra),
                   report('b', **turned, **extra)) == (0, {})


def test_lists_that_overlap_are_a_warning(report, run):
    extra = {'jobboard_backend_driver': 'zookeeper_taskflow_driver'}
    code, found = run(
        report('a', jobboard_backend_hosts='z1,z2', **extra),
        report('b', jobboard_backend_hosts='z2,z3', **extra))
    assert (code, list(found)) == (1, ['jobboard'])


@pytest.mark.parametrize('what, change', [
    ('jobboard', {'jobboard_backend_hosts': '127.0.0.1'}),
    ('jobboard', {'jobboard_backend_hosts': 'localhost'}),
    ('persistence', {'persistence_connection':
                     'mysql+pymysql://o:pw@localhost/p'}),
    ('persistence', {'persistence_connection': 'sqlite:////var/lib/o.db'})])
def test_every_host_names_itself(report, run, what, change):
    """The values are the same, and mean another server on each host."""
    code, found = run(report('a', **change), report('b', **change))
    assert code == 2 and list(found) == [what]


def test_one_host_alone_names_itself(report, run):
    """Where others use no jobboard, that is the difference, and all of it."""
    local = {'jobboard_backend_hosts': 'localhost'}
    _, found = run(report('a', **local),
                   report('b', jobboard_enabled='false'))
    assert list(found) == ['jobboard_enabled']


def test_a_jobboard_that_is_off_everywhere(report, run):
    off = {'jobboard_enabled': 'false', 'jobboard_backend_hosts': None}
    assert run(report('a', **off), report('b', **off)) == (0, {})


def test_a_configuration_that_does_not_parse(report, run, tmp_path, capsys):
    broken = report('b', **{'= no name': 'x'})
    code, found = run(report('a'), broken)
    assert code == 2
    assert {'value': 'unknown', 'hosts': ['b']} in (
        found['jobboard_enabled']['values'])


def test_one_host_twice(report, run):
    path = report('a')
    _, found = run(path, report('b', jobboard_backend_namespace='x'), path)
    assert f'a ({path})' in str(found['jobboard_backend_namespace'])


def test_no_secret_is_in_a_report(report):
    with open(report('a'), encoding='utf-8') as stream:
        text = stream.read()
    assert SECRET not in text and ENCODED not in text
    values = json.loads(text)['resumption']
    assert values['persistence'] == (
        'mysql://10.0.0.5:3306/octavia_persistence')
    assert values['jobboard'] == ['10.0.0.1:6379/0']


def test_the_fingerprint_is_that_of_the_values(report):
    def fingerprint(path):
        with open(path, encoding='utf-8') as stream:
            return json.load(stream)['resumption']['fingerprint']

    first = fingerprint(report('a'))
    assert fingerprint(report('b', jobboard_backend_password='x')) == first
    assert fingerprint(report('c', jobboard_backend_port='1')) != first


@pytest.mark.parametrize('text, said', [
    (None, 'No such file'), ('', 'not JSON'), ('[1]', 'schema_version'),
    ('{}', 'schema_version'), ('{"schema_version": 2}', 'schema_version'),
    ('{"schema_version": 1, "findings": []}', '"host" and "resumption"'),
    ('[' * 100_000, 'not JSON'), ('{"a":' * 100_000, 'not JSON'),
    ('1' * 5000, 'not JSON'),
    (' ' * (17 << 20), '16 MiB'),
    ('{"schema_version": 1, "host": "h", "resumption": {"persistence": {}}}',
     '"persistence" is not a text'),
    ('{"schema_version": 1, "host": "h", "resumption": {"jobboard": [[]]}}',
     '"jobboard" is not a text')])
def test_what_is_no_report(report, tmp_path, capsys, text, said):
    path = tmp_path / 'other.json'
    if text is not None:
        path.write_text(text)
    assert cli.main(['compare', report('a'), str(path)]) == 64
    printed = capsys.readouterr()
    assert printed.out == ''
    assert said in printed.err and str(path) in printed.err
    assert printed.err.count('\n') == 1


@pytest.mark.parametrize('path', ['/dev/zero', '/', '/proc/self/mem',
                                  '/nowhere/\x1b[31mred\nline'])
def test_what_cannot_be_read(report, capsys, path):
    assert cli.main(['compare', report('a'), path]) == 64
    printed = capsys.readouterr()
    assert printed.out == '' and '\x1b' not in printed.err
    assert printed.err.count('\n') == 1


def document_of(path):
    with open(path, encoding='utf-8') as stream:
        return json.load(stream)


ESCAPES = '\x1b]0;title\x07\x1b[2J\u202e\x9b31m\rx\ny\udcff'


@pytest.mark.parametrize('name', [
    'host', 'octavia', 'jobboard_backend_namespace', 'jobboard'])
def test_a_report_of_somebody_else_reaches_no_terminal(
        report, capsys, tmp_path, name):
    document = document_of(report('b'))
    inner = document if name in document else document['resumption']
    inner[name] = [ESCAPES] if name == 'jobboard' else ESCAPES
    if name == 'host':
        document['resumption']['persistence'] = 'mysql://other:1/p'
    path = tmp_path / 'foreign.json'
    path.write_text(json.dumps(document))
    for form in ('table', 'json'):
        assert cli.main(['compare', '--format', form, report('a'),
                         str(path)]) == 2
        printed = ''.join(capsys.readouterr())
        assert printed.replace('\n', '').isprintable()
        assert '\ny' not in printed


def test_what_is_too_long_to_show_differs_all_the_same(report, run):
    long = 'n' * 2000
    code, found = run(report('a', jobboard_backend_namespace=long + 'a'),
                      report('b', jobboard_backend_namespace=long + 'b'))
    assert code == 2 and list(found) == ['jobboard_backend_namespace']
    for value in found['jobboard_backend_namespace']['values']:
        assert value['value'].startswith('nnn')
        assert len(value['value']) < 200


def test_what_a_report_shows_too_long_differs_too(report, run, tmp_path):
    paths = []
    for end in 'ab':
        document = document_of(report(end))
        document['resumption']['jobboard_backend_namespace'] = (
            'n' * 5000 + end)
        paths.append(tmp_path / f'long-{end}.json')
        paths[-1].write_text(json.dumps(document))
    code, found = run(*map(str, paths))
    assert code == 2 and list(found) == ['jobboard_backend_namespace']
    for value in found['jobboard_backend_namespace']['values']:
        assert len(value['value']) == 1000


def test_a_login_in_a_report_that_is_not_ours(report, capsys, tmp_path):
    document = document_of(report('b'))
    document['resumption']['persistence'] = f'mysql://o:{ENCODED}@h:1/p'
    path = tmp_path / 'foreign.json'
    path.write_text(json.dumps(document))
    assert cli.main(['compare', report('a'), str(path)]) == 2
    printed = capsys.readouterr().out
    assert 'mysql://***@h:1/p' in printed and ENCODED not in printed


def test_one_report_is_too_few(report, capsys):
    assert cli.main(['compare', report('a')]) == 64
    assert 'at least two' in capsys.readouterr().err

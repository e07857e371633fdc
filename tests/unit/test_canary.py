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

"""A password that stands somewhere else, too, in every format.

Two ways for it to get there: it is the jobboard's password, and a copy of it
stands wherever a text can stand; or it stands in the wrong place alone, and
nothing says that it is one.
"""

import datetime
import functools
import json
from urllib import parse

from oslo_config import cfg
import pytest

from octavia_v2_checks import cli
from octavia_v2_checks import hook
from octavia_v2_checks import opts
from octavia_v2_checks import output
from octavia_v2_checks import plugins
from octavia_v2_checks import settings

UNTIL = datetime.date.today() + datetime.timedelta(days=9)

#: A word that is in no other text, and one with all that changes in a URL,
#: in XML or in a shell.
CANARIES = {'word': 'Tr0ub4dorRex', 'signs': 'Tr0ub&4d<or/Re+x%2F"\'é'}

#: What renders a report in each format.
FORMATS = output.formats(
    [p.entry.name for p in plugins.find('octavia_v2_checks.reports')])

HEAD = {'jobboard_enabled': 'true', 'jobboard_backend_port': '1'}

OPTIONS = [(group, opt.dest) for group, options in settings.schema().items()
           for opt in options]

WAIVERS = {
    'id': 'config.{} until={until} reason=x',
    'id of another': '{} until={until} reason=x',
    'host': 'config.duplicate-option host={} until={until} reason=x',
    'option': 'config.duplicate-option option={} until={until} reason=x',
    'until': 'config.duplicate-option until={} reason=x',
    'reason': 'config.duplicate-option until={until} reason=x {} x',
    'reason of what is there': 'config.persistence-unset until={until} '
                               'reason={}',
    'reason of one that is over': 'config.encoding until=2020-01-01 reason={}',
    'nothing else': '{}'}

#: Where else a text can stand: lines of a configuration.
PLACES = {
    'section': '[{}]\njobboard_enabled = true\n',
    'section near another': '[task_flow_{}]\nmax_workers = 1\n',
    'section that is not closed': '[{}\n',
    'section that is indented': '[a]\nb = c\n [task_flow]{}\n',
    'option': '[task_flow]\n{} = 1\n',
    'option near another': '[task_flow]\nmax_workers{} = 1\n',
    'line': '{}\n', 'comment': '[task_flow]\nmax_workers = 5 # {}\n',
    'source': '[DEFAULT]\nconfig_source = {}\n',
    'driver of a source': '[DEFAULT]\nconfig_source = a\n[a]\ndriver = {}\n',
    'many': '[task_flow]\njobboard_backend_hosts = a,{}:1,b\n',
    'cut': '[task_flow]\njobboard_backend_hosts = ' + 'h' * 70 + '{}:1\n',
    'TLS key': '[task_flow]\njobboard_redis_backend_ssl_options = '
               'ssl:True,{}:True\n',
    'TLS value': '[task_flow]\njobboard_redis_backend_ssl_options = '
                 'ssl:{},ssl_cert_reqs:{}\n',
    'provider': '[api_settings]\nenabled_provider_drivers = {}:x\n',
    'description': '[api_settings]\nenabled_provider_drivers = x:{}\n',
    'format': '[octavia_v2_checks]\nreport_file = {}:/nowhere/x\n',
    'path': '[octavia_v2_checks]\nreport_file = json:/nowhere/{}/x\n',
}


def written(canary):
    """The canary as a configuration has it, and percent-encoded."""
    return [canary.replace('$', '$$'), parse.quote(canary, safe='')]


def leaks(text, canary):
    """The parts of a canary that a text shows, in whatever encoding."""
    unquoted = parse.unquote(text)
    return [piece for piece in ('Tr0ub', '4dor', 'dorRex')
            if piece in unquoted] if canary.isalnum() else [
        piece for piece in ('Tr0ub', '4d<or', '4d&lt;or', 'Re+x')
        if piece in unquoted]


@pytest.fixture
def say(tmp_path, capsys, monkeypatch):
    """All that our command says of a configuration."""
    plain = output.formats

    def formats(names):
        found = plain([n for n in names if n != 'all'])
        return found | {'all': lambda report: json.dumps(
            {f: render(report) for f, render in FORMATS.items()})}

    # One run serves all formats, and one parser all runs.
    monkeypatch.setattr(output, 'formats', formats)
    monkeypatch.setattr(cli, 'parser', PARSER)

    def run(text, name='octavia.conf'):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        said = {}
        for form, command in COMMANDS.items():
            cli.main(['--debug', '--config-file', str(path), *command])
            said[form], said[f'{form}, stderr'] = capsys.readouterr()
            assert said[form] or said[f'{form}, stderr']
        if said['upgrade check']:
            rendered = json.loads(said['upgrade check'])
            assert all(rendered.values())
            # As it is, without the escapes of this document.
            said |= rendered
        return said

    return run


PARSER = functools.cache(cli.parser)

COMMANDS = {
    'upgrade check': ['upgrade', 'check', '--offline', '--format', 'all'],
    **{f'validate {form}': ['validate', '--format', form]
       for form in ('table', 'json', 'sarif')}}


def configuration(lines='', own='', password=None):
    """A configuration, with a password and lines of our own section."""
    head = HEAD | ({'jobboard_backend_password': password.replace('$', '$$')}
                   if password else {})
    return '\n'.join([
        '[task_flow]', *(f'{k} = {v}' for k, v in head.items()),
        '[octavia_v2_checks]', own, lines, ''])


def assert_silent(said, canary):
    for form, text in said.items():
        assert leaks(text, canary) == [], form


ALL = [pytest.mark.parametrize('canary', CANARIES.values(), ids=CANARIES),
       pytest.mark.parametrize('encoded', [0, 1], ids=['raw', 'encoded'])]


def everywhere(function):
    """Run a test with each canary, plain and encoded."""
    for mark in ALL:
        function = mark(function)
    return function


@everywhere
@pytest.mark.parametrize('group, name', OPTIONS)
def test_option(say, canary, encoded, group, name):
    copy = written(canary)[encoded]
    assert_silent(say(configuration(
        f'[{group}]\n{name} = {copy}\n', password=canary)), canary)


@everywhere
@pytest.mark.parametrize('form', WAIVERS)
def test_waiver(say, canary, encoded, form):
    rule = WAIVERS[form].format(written(canary)[encoded], until=UNTIL)
    assert_silent(say(configuration(
        own=f'waivers = {rule}', password=canary)), canary)


@everywhere
@pytest.mark.parametrize('place', PLACES)
def test_elsewhere(say, canary, encoded, place):
    copy = written(canary)[encoded]
    assert_silent(say(configuration(
        PLACES[place].replace('{}', copy), password=canary)), canary)


@pytest.mark.parametrize('canary', CANARIES.values(), ids=CANARIES)
def test_file_name(say, canary):
    name = f'{parse.quote(canary, safe="")}.conf'
    assert_silent(say(configuration('[task_flow]\nnonsense = 1\n',
                                    password=canary), name), canary)
    name = f'{canary.replace("/", "")}/octavia.conf'
    password = canary.replace('/', '')
    assert_silent(say(configuration('[task_flow]\nnonsense = 1\n',
                                    password=password), name), canary)


#: Options that have the name of something, which nobody can tell from a
#: password: what is there is shown.
FREE = {'jobboard_backend_hosts', 'jobboard_backend_namespace',
        'jobboard_backend_username', 'jobboard_redis_sentinel',
        'jobboard_redis_sentinel_username'}


@pytest.mark.parametrize('group, name', [
    o for o in OPTIONS if o[1] not in FREE])
def test_a_password_in_the_wrong_place(say, group, name):
    for canary in CANARIES.values():
        assert_silent(say(configuration(
            f'[{group}]\n{name} = {canary}\n')), canary)


@pytest.mark.parametrize('place', [
    p for p in PLACES if p not in ('many', 'cut', 'path', 'driver of a source',
                                   'description', 'comment')])
def test_a_password_alone(say, place):
    canary = CANARIES['word']
    assert_silent(say(configuration(PLACES[place].replace('{}', canary))),
                  canary)


@pytest.mark.parametrize('form', ['id', 'until', 'nothing else'])
def test_a_password_for_a_waiver(say, form):
    canary = CANARIES['word']
    rule = WAIVERS[form].format(canary, until=UNTIL)
    assert_silent(say(configuration(own=f'waivers = {rule}')), canary)


@pytest.mark.parametrize('line', [
    'report_file = {}:/tmp/x', 'report_file = json:/nowhere/{}', 'skip = {}',
    'report_file = {}'])
def test_in_the_stock_command(tmp_path, line):
    """What the hook refuses is said by a row."""
    canary = CANARIES['word']
    path = tmp_path / 'octavia.conf'
    path.write_text(configuration(own=line.replace('{}', canary),
                                  password=canary))
    conf = cfg.ConfigOpts()
    conf(['--config-file', str(path)], project='octavia',
         prog='octavia-status')
    run = hook._Run(conf)
    text = (run.broken or '') + str(run.titles)
    if not run.broken:
        run.selected = [c for c in run.selected if c.id == 'config']
        row = hook._Row(run, 'config')(None)
        text = f'{row.details}{run.unwritten}'
    assert len(text) > 40
    assert leaks(text, canary) == []


ESCAPES = '\x1b]0;t\x07\x1b[2J\u202e\x9b31m\rx\ny'


@pytest.mark.parametrize('command', [
    [f'--{ESCAPES}'], [ESCAPES], ['explain', ESCAPES],
    ['upgrade', 'check', '--only', ESCAPES],
    ['upgrade', 'check', '--format', ESCAPES],
    ['upgrade', 'check', '--target-release', ESCAPES],
    ['validate', f'/nowhere/{ESCAPES}'],
    ['sample', '--backend', 'none', '--set', f'{ESCAPES}=1']])
def test_usage_errors_are_one_line(capsys, command):
    assert cli.main(command) == 64
    printed = capsys.readouterr()
    assert printed.out == ''
    assert printed.err.endswith('\n') and printed.err[:-1].isprintable()


def test_the_leaks_are_seen():
    """What all the tests above rest on."""
    for canary in CANARIES.values():
        for text in written(canary):
            assert len(leaks(f'x {text} x', canary)) > 1
            assert leaks(json.dumps(text), canary)


def test_harmless_values_are_shown(say):
    said = say(configuration(
        '[task_flow]\nmax_worker = 5\njobboard_backend_hosts = passau:1\n'
        'jobboard_redis_backend_ssl_options = ssl=True\n'
        'jobboard_expiration_time = 30s\n'))['validate table']
    for line in ('max_worker = 5', 'jobboard_backend_hosts = passau:1',
                 'jobboard_redis_backend_ssl_options = ssl=True',
                 'jobboard_expiration_time = 30s'):
        assert f'    | {line}\n' in said


def test_a_word_of_this_program_is_no_secret(say):
    """A password such as octavia would leave no message readable."""
    said = say(configuration('[task_flow]\nmax_worker = 5\n',
                             password='octavia'))['validate table']
    assert 'octavia.conf' in said


def test_every_option_is_walked():
    assert {name for _, name in OPTIONS} >= {
        o.dest for o in opts.task_flow_opts() + opts.own_opts()}
    assert len(OPTIONS) > 30

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

"""The documentation says what the code does."""

import argparse
import ast
import importlib
from importlib import metadata
import importlib.util
import json
import pathlib
import re

import pytest

from octavia_v2_checks import catalogue
from octavia_v2_checks import cli
from octavia_v2_checks import opts
from octavia_v2_checks import output
from octavia_v2_checks.backends.etcd import session

ROOT = pathlib.Path(__file__).parents[2]
SOURCE = ROOT / 'doc' / 'source'
PAGES = [ROOT / 'README.rst', ROOT / 'CONTRIBUTING.rst',
         *sorted(SOURCE.rglob('*.rst'))]

#: Folders of the repository, with which a name of a file in it begins.
FOLDERS = ('octavia_v2_checks', 'tests', 'tools', 'benchmarks', 'doc',
           'releasenotes')


def shown(page):
    return str(page.relative_to(ROOT))


@pytest.fixture(params=PAGES, ids=shown)
def page(request):
    """The text of one page."""
    return request.param.read_text()


def taken(parser):
    """Return what argparse takes: option or argument -> what follows it."""
    found = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            continue
        value = action.metavar or ''
        if action.choices:
            value = '{' + ','.join(action.choices) + '}'
        for name in action.option_strings:
            found[name] = value
        if not action.option_strings:
            found[value] = ''
    return found


def commands(parser, name='octavia-v2-checks'):
    """Yield every command that has more options than --help, and its parser.
    """
    below = [a for a in parser._actions
             if isinstance(a, argparse._SubParsersAction)]
    if taken(parser).keys() - {'-h', '--help'}:
        yield name, parser
    for action in below:
        for word, one in action.choices.items():
            yield from commands(one, f'{name} {word}')


COMMANDS = dict(commands(cli.parser()))


def described():
    """Return what the page on the command says: command -> its options."""
    found = {}
    for line in (SOURCE / 'cli' / 'index.rst').read_text().splitlines():
        kind, _, rest = line.partition(':: ')
        if kind == '.. program':
            options = found.setdefault(rest, {})
        elif kind == '.. option':
            for one in rest.split(', '):
                name, _, value = one.partition(' ')
                options[name] = value
    return found


def test_commands_are_those_of_the_parser():
    assert list(described()) == list(COMMANDS)


@pytest.mark.parametrize('command', COMMANDS)
def test_options_are_those_of_the_parser(command):
    said = described()[command]
    # Where there are a short and a long name, the value stands at the last.
    assert said == taken(COMMANDS[command])


def test_the_synopsis_has_every_option():
    text = (SOURCE / 'cli' / 'index.rst').read_text()
    synopsis = text.partition('Synopsis')[2].partition('Description')[0]
    for parser in COMMANDS.values():
        for name in taken(parser).keys() - {'-h', '--help', '--version',
                                            '--debug'}:
            assert name in synopsis


def test_every_id_has_one_entry():
    """Of two, the catalogue would silently use the second."""
    for area in catalogue.AREAS:
        module = importlib.import_module(f'octavia_v2_checks.catalogue.{area}')
        ids = [e.id for e in module.ENTRIES]
        assert len(ids) == len(set(ids))


def help_of(command):
    """Return what --help prints, on one line."""
    return ' '.join(COMMANDS[f'octavia-v2-checks {command}'].format_help()
                    .split())


def test_help_tells_the_defaults_of_options():
    text = help_of('upgrade check')
    for opt in opts.own_opts():
        if f'--{opt.dest.replace("_", "-")} ' in text:
            default = opt.default if opt.default != [] else 'none'
            if isinstance(default, float):
                default = f'{default:g}'
            assert (f'(default: [octavia_v2_checks] {opt.dest}, {default} '
                    f'unless set)') in text
    assert text.count(' unless set)') == 5


@pytest.mark.parametrize('command', [
    'upgrade check', 'validate', 'compare', 'drill', 'drill begin',
    'drill finish', 'drill clean', 'list'])
def test_help_tells_the_default_format(command):
    parser = COMMANDS[f'octavia-v2-checks {command}']
    [action] = [a for a in parser._actions if '--format' in a.option_strings]
    default = action.default
    if default in (None, argparse.SUPPRESS):
        default = {'upgrade check': output.DEFAULT}.get(command, 'table')
    assert f'(default: {default})' in action.help


def test_help_lists_checks_and_formats():
    text = help_of('upgrade check')
    assert f'only these checks: {", ".join(catalogue.CHECKS)}, or' in text
    ours = [e.name for e in metadata.distribution(
        'octavia-v2-checks').entry_points if e.group == output.ENTRY_POINTS]
    assert set(re.search('--format FORMAT (.+?), or one that', text)[1].split(
        ', ')) == set(ours)
    assert f'one of: {", ".join(catalogue.AREAS)};' in help_of('explain')


@pytest.fixture(scope='module')
def finding_list():
    """The extension that makes the page on findings."""
    path = SOURCE / '_ext' / 'finding_list.py'
    spec = importlib.util.spec_from_file_location('finding_list', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_finding_has_its_entry(finding_list):
    lines = finding_list._lines()
    for entry in catalogue.entries():
        at = lines.index(f'.. _finding-{entry.id}:')
        assert lines[at + 2] == f'``{entry.id}``'
        assert lines[at + 7] == f':Severity: {entry.severity.capitalize()}'
        assert lines[at + 8].startswith(':Why it matters: ')
        # And its line in the table.
        at = lines.index(f'   * - :ref:`finding-{entry.id}`')
        assert lines[at + 1] == f'     - {entry.severity.capitalize()}'
    assert sum(line.startswith('.. _finding-') for line in lines) == len(
        catalogue.entries())


def texts_of_the_package():
    """Return what stands in the texts of the package between the values."""
    return {
        piece.strip() for path in (ROOT / 'octavia_v2_checks').rglob('*.py')
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for piece in re.split(r'\{[^}]*\}', node.value)
        if len(piece.strip()) >= 4}


def strange_words(text, pieces):
    """Return all plain words of a message, and those in none of the texts."""
    known = set()
    for piece in pieces:
        for match in re.finditer(re.escape(piece), text):
            known |= set(range(*match.span()))
    words = list(re.finditer(
        r'(?<![\w.:/@\'"-])[a-z]{4,}(?![\w:/@\'"=-]|\.\w)', text))
    return words, [m[0] for m in words if m.start() not in known]


def test_examples_are_in_the_words_of_today(finding_list):
    """tools/finding-examples records them, when messages have changed."""
    examples = json.loads(finding_list.EXAMPLES.read_text('utf-8'))
    pieces = texts_of_the_package()
    for id_, example in examples.items():
        words, strange = strange_words(example, pieces)
        # Some come from a server or a file, such as a mode or a reason.
        assert len(strange) <= 0.2 * len(words), (id_, strange)
    words, strange = strange_words(
        'redis1:6379 wants a login, and nobody gave it one.', pieces)
    assert len(strange) > 0.2 * len(words)


def test_nearly_every_finding_has_an_example(finding_list):
    examples = json.loads(finding_list.EXAMPLES.read_text('utf-8'))
    known = [e.id for e in catalogue.entries()]
    assert set(examples) <= set(known)
    assert len(examples) >= 0.9 * len(known)


def test_findings_that_are_named_exist(page):
    ids = {e.id for e in catalogue.entries()}
    areas = '|'.join(catalogue.AREAS)
    for id_ in re.findall(rf'(?<![\w./-])(?:{areas})\.[a-z]+(?:-[a-z]+)*'
                          rf'(?![\w./(-])', page):
        assert id_ in ids


def test_files_that_are_named_exist(page):
    for text in re.findall(rf'(?<![\w./])(?:{"|".join(FOLDERS)})/[\w./-]+',
                           page):
        name = text.rstrip('.')
        built = re.match(r'(doc|releasenotes)/build/', name)
        assert built or (ROOT / name).exists(), name


def test_tests_that_are_named_exist(page):
    for name, function in re.findall(r'(tests/[\w/]+\.py)::(\w+)', page):
        tree = ast.parse((ROOT / name).read_text())
        assert function in {n.name for n in tree.body if isinstance(
            n, ast.FunctionDef)}, name


def test_the_tests_of_every_promise_are_named():
    """So that the tests above have something to look at."""
    text = (SOURCE / 'contributor' / 'promises.rst').read_text()
    promises = re.split(r'^(.+)\n=+$', text, flags=re.M)[3:]
    titles = promises[::2]
    # The page for operators promises the same, without the tests.
    told = (SOURCE / 'user' / 'security.rst').read_text()
    assert titles == re.split(r'^(.+)\n=+$', told, flags=re.M)[3::2]
    assert 'tests/' not in told
    assert titles == ['Bounded', 'Read-only', 'Least privilege',
                      'Secret-free', 'Fail-closed']
    for part in promises[1::2]:
        assert re.search(r'tests/\w+/\w+\.py::test_', part)


def test_releases_of_options():
    text = (SOURCE / 'configuration' / 'index.rst').read_text()
    table = dict(re.findall(r'^``(\w+)`` +([\d.]+)$', text, flags=re.M))
    assert table == opts.SINCE


def section(title):
    """Return one part of the list of requests in the page on security."""
    text = (SOURCE / 'user' / 'security.rst').read_text()
    parts = re.split(r'^(.+)\n-+$', text, flags=re.M)
    return parts[parts.index(title) + 1]


def code(module):
    return (ROOT / 'octavia_v2_checks' / 'backends' / module).read_text()


def test_questions_to_etcd():
    asked = set(re.findall(r"_post\(\s*'([a-z/]+)'", code('etcd/gateway.py')))
    admitted = {name for names in session.READS.values() for name in names}
    said = set(re.findall(r'``(?:GET )?(/?[a-z]+(?:/[a-z]+)*)``',
                          section('etcd')))
    assert asked | {'/version'} == admitted == said


def test_questions_to_zookeeper():
    said = set(re.findall(r'``([a-z]+[A-Z]?\w*)``', section('ZooKeeper')))
    reader = code('zookeeper/reader.py')
    reads = reader[reader.index('\nREADS = {'):]
    names = re.findall(r": '(\w+)',", reads[:reads.index('\n}')])
    words = re.findall(r"_word\('(\w+)'", code('zookeeper/words.py'))
    assert set(names) | set(words) == said


def test_the_words_to_databases_are_shown_from_the_code():
    included = shown_from_code('MySQL and MariaDB')
    assert 'EXPLAIN' in included and included.rstrip().endswith('})')


def test_the_commands_to_redis_are_shown_from_the_code():
    included = shown_from_code('Redis, Valkey and Sentinel')
    assert 'MULTI' in included and included.rstrip().endswith('})')


def shown_from_code(title):
    """Return what a section includes of the code."""
    text = section(title)
    _, path, start, end = re.search(
        r'literalinclude:: ([./]*)(\S+)\n(?: +:.+\n)*? +:start-at: (.+)\n +'
        r':end-before: (.+)\n', text).groups()
    source = (ROOT / path).read_text()
    return source[source.index(start):source.index(end)]

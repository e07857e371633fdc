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

"""What is read, by whom, and what our own options may be."""

import os
import pathlib

from oslo_config import cfg
import pytest

from octavia_v2_checks import opts
from octavia_v2_checks import settings
from octavia_v2_checks.settings import files
from octavia_v2_checks.settings import parsed
from octavia_v2_checks.settings import providers
from tests.unit import config_cases
from tests.unit import fragments

CASES = [c for c in [*config_cases.PRESENT, *config_cases.ABSENT]
         if c.id not in ('parse-error', 'encoding')]


def program(*arguments, **extra):
    """A ConfigOpts that has parsed its arguments, as octavia-status has."""
    conf = cfg.ConfigOpts()
    conf(list(arguments), project='octavia', prog='octavia-status', **extra)
    return conf


@pytest.mark.parametrize('case', CASES, ids=lambda c: c.id)
def test_both_readers_read_the_same(tmp_path, monkeypatch, case):
    """No file that oslo.config takes looks as if it had changed."""
    for name, value in case.environ.items():
        monkeypatch.setenv(name, value)
    path = tmp_path / 'octavia.conf'
    path.write_text(fragments.text(case.fragment).replace('§', ''))
    found = parsed.of(program('--config-file', str(path)))
    assert settings.load((), parsed=found).unknown is None


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A home with files in every place, and one that is named."""
    monkeypatch.setenv('HOME', str(tmp_path))
    numbers = iter(range(1, 100))

    def write(name):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'[task_flow]\nmax_workers = {next(numbers)}\n')
        return str(path)

    for name in ('.octavia/octavia.conf', 'octavia-status.conf',
                 '.octavia/octavia.conf.d/a.conf', 'octavia.conf.d/b.conf',
                 '.octavia/octavia-status.conf.d/.hidden.conf'):
        write(name)
    return write


@pytest.mark.parametrize('words', [
    [], ['--config-file', 'FILE'], ['--config-file=FILE'],
    ['--config-f', 'FILE'], ['--config-fil=FILE'], ['--config-dir', 'DIR'],
    ['--config-di', 'DIR'], ['--config-dir', 'DIR', '--config-file', 'FILE'],
    ['--config-file', 'FILE', '--config-dir', 'DIR'],
    ['--config-f', 'FILE', '--config-dir', 'DIR', '--config-file', 'FILE']])
def test_the_files_of_a_program(place, words):
    """In its order, with the default files where it reads them."""
    known = {'FILE': place('named.conf'),
             'DIR': os.path.dirname(place('d/named.conf'))}
    words = [known.get(w, w.replace('FILE', known['FILE'])) for w in words]
    conf = program(*words)
    conf.register_opts(opts.task_flow_opts(), group='task_flow')
    loaded = settings.load((), parsed=parsed.of(conf))
    assert loaded.unknown is None
    assert loaded.get('max_workers') == conf.task_flow.max_workers


def test_what_differs_is_named_and_no_value_shown(tmp_path):
    path = tmp_path / 'octavia.conf'
    path.write_text('[task_flow]\njobboard_backend_password = before\n'
                    '[database]\nconnection = a\n[nova]\nregion = a\n')
    found = parsed.of(program('--config-file', str(path)))
    path.write_text('[task_flow]\njobboard_backend_password = after\n'
                    '[database]\nconnection = a\n[nova]\nregion = b\n')
    unknown = settings.load((), parsed=found).unknown
    assert unknown.id == 'config.undetermined'
    assert '[task_flow] jobboard_backend_password' in unknown.message
    for other in ('database', 'nova', 'before', 'after,'):
        assert other not in unknown.message


@pytest.mark.parametrize('gone', ['_namespace', '_args'])
def test_an_oslo_config_of_another_kind(gone):
    conf = program()
    setattr(conf, gone, None)
    with pytest.raises(parsed.Strange):
        parsed.of(conf)


def test_nothing_is_registered_on_the_program(tmp_path):
    path = tmp_path / 'octavia.conf'
    path.write_text('[task_flow]\nengine = serial\n')
    conf = program('--config-file', str(path))
    before = list(conf), set(conf._groups)
    settings.load((), parsed=parsed.of(conf))
    assert (list(conf), set(conf._groups)) == before


def test_the_search_path_is_that_of_oslo_config(monkeypatch):
    monkeypatch.setenv('SNAP', '/snap/octavia/1')
    monkeypatch.setenv('SNAP_COMMON', '/var/snap/octavia')
    assert files.search_path() == cfg._get_config_dirs('octavia')


@pytest.mark.parametrize('text, unit', [
    ('1', 1.0), (' 2.5 ', 2.5), ('86400', 86400.0), ('1e1', 10.0)])
def test_durations(text, unit):
    assert opts.Duration()(text) == unit


@pytest.mark.parametrize('text', [
    '', ' ', 'inf', '-inf', 'nan', '1e400', '0', '0.99', '-1', '86400.1',
    '1 s', 'None', '10x'])
def test_what_is_no_duration(text):
    with pytest.raises(ValueError):
        opts.Duration()(text)


def test_a_path_that_no_file_can_have():
    with pytest.raises(ValueError):
        opts.ReportFile()('json:/tmp/a\0b')


@pytest.mark.parametrize('name, meant', [
    ('Amphora', 'amphora'), ('amphra', 'amphora'), ('amphora-v2',
                                                    'amphorav2'),
    ('AMPHORAV2', 'amphorav2'), ('octavai', 'octavia'), ('ovm', None),
    ('haproxy', None)])
def test_providers_that_are_nearly_right(name, meant):
    assert providers.unknown([name]) == [name]
    assert providers.meant(name) == meant


def test_a_provider_that_is_installed_here(tmp_path, monkeypatch):
    """Its entry point is looked up, and not imported."""
    metadata = tmp_path / 'acme_lb-1.dist-info'
    metadata.mkdir()
    (metadata / 'METADATA').write_text(
        'Metadata-Version: 2.1\nName: acme-lb\nVersion: 1\n')
    (metadata / 'entry_points.txt').write_text(
        '[octavia.api.drivers]\nacme = no_such_module:Driver\n')
    assert providers.unknown(['acme']) == ['acme']
    monkeypatch.syspath_prepend(str(tmp_path))
    assert providers.unknown(['acme']) == []


def test_well_known_providers_need_no_driver_here(monkeypatch):
    monkeypatch.setattr(providers.plugins, 'find', lambda group: [])
    monkeypatch.setattr(providers.versions, 'installed', lambda name: None)
    assert providers.unknown(['ovn', 'amphora', 'acme']) == ['acme']
    assert 'without Octavia' in providers.looked()


def test_a_pipe_named_twice_has_its_content_twice(tmp_path):
    read, write = os.pipe()
    os.write(write, b'[task_flow]\nmax_workers = 7\n')
    os.close(write)
    path = f'/dev/fd/{read}'
    loaded = settings.load([('file', path), ('file', path)])
    os.close(read)
    assert [len(f.assignments) for f in loaded.files] == [1, 1]
    assert loaded.get('max_workers') == 7


def test_oslo_config_reads_a_copy_of_a_pipe(tmp_path):
    read, write = os.pipe()
    text = '[task_flow]\n\nmax_workers = 7\n'
    os.write(write, text.encode())
    os.close(write)
    loaded = settings.load([('file', f'/dev/fd/{read}')])
    os.close(read)
    with files.copies(loaded.files) as [path]:
        for _ in range(2):
            assert pathlib.Path(path).read_text() == text.rstrip('\n')

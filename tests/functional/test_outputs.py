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

"""Outputs: complete or not at all, without damage to existing files."""

import json
import os
import pathlib
import stat
import subprocess
import threading

import pytest

from octavia_v2_checks import output
from tests import commands

OWNER = (12345, 23456)

SWITCH = {'OS_DEFAULT__CONFIG_SOURCE': 'octavia_v2_checks',
          'OS_OCTAVIA_V2_CHECKS__DRIVER': 'octavia_v2_checks'}

#: Each writes into a path, as an operator asks for it.
WRITERS = ['--output', 'report_file', 'report_file of the stock command',
           'sample']


@pytest.fixture
def write(tmp_path):
    """A function that runs one of the writers.

    Where stdout is given, in a separate process.
    """
    config = tmp_path / 'octavia.conf'

    def run(writer, path, cwd='/', stdout=None):
        own = f'[octavia_v2_checks]\nreport_file = json:{path}\n'
        config.write_text(
            '[task_flow]\njobboard_enabled = false\n'
            + (own if 'report_file' in writer else ''))
        words = [str(word) for word in {
            '--output': ['--config-file', config, 'upgrade', 'check',
                         '--format', 'json', '--output', path],
            'sample': ['sample', '--backend', 'redis', '--output', path],
        }.get(writer, ['--config-file', config, 'upgrade', 'check'])]
        stock = 'stock' in writer
        if stdout is None:
            return commands.ended(
                [commands.script('octavia-status' if stock
                                 else 'octavia-v2-checks'), *words],
                commands.environment(**SWITCH if stock else {}), cwd=cwd)
        return subprocess.run(
            [commands.script('octavia-v2-checks'), *words],
            stdin=subprocess.DEVNULL, stdout=stdout, text=True, timeout=60,
            stderr=subprocess.PIPE, env=commands.environment())

    return run


def is_whole(text):
    return text.startswith('[task_flow]') or json.loads(text)['name']


@pytest.mark.parametrize('writer', WRITERS)
@pytest.mark.parametrize('mode', [0o640, 0o600, 0o660, 0o604])
def test_owner_and_mode_stay(write, tmp_path, writer, mode):
    path = tmp_path / 'report'
    path.write_text('old ' * 100000)
    path.chmod(mode)
    if not os.geteuid():
        os.chown(path, *OWNER)
    before = path.stat()
    assert write(writer, path).returncode == 0
    after = path.stat()
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
    assert is_whole(path.read_text())
    # A sample has passwords in it.
    private = writer == 'sample' and mode & stat.S_IROTH
    assert stat.S_IMODE(after.st_mode) == (0o600 if private else mode)
    assert not list(tmp_path.glob('.report-*'))


@pytest.mark.parametrize('writer', WRITERS)
@pytest.mark.parametrize('there', [True, False])
def test_a_link_is_followed(write, tmp_path, writer, there):
    target = tmp_path / 'there' / 'report'
    target.parent.mkdir()
    if there:
        target.write_text('old')
    link = tmp_path / 'link'
    link.symlink_to('there/report')
    assert write(writer, link).returncode == 0
    assert link.is_symlink()
    assert is_whole(target.read_text())


def null_device(tmp_path):
    """A null device; as root a separate one, which may be lost."""
    if os.geteuid():
        return pathlib.Path(os.devnull)
    path = tmp_path / 'null'
    os.mknod(path, 0o666 | stat.S_IFCHR, os.stat(os.devnull).st_rdev)
    return path


@pytest.mark.parametrize('writer', WRITERS)
@pytest.mark.parametrize('linked', [False, True])
def test_a_device_stays_a_device(write, tmp_path, writer, linked):
    device = null_device(tmp_path)
    before = device.stat()
    path = device
    if linked:
        path = tmp_path / 'link'
        path.symlink_to(device)
    write(writer, path)
    after = device.stat()
    assert stat.S_ISCHR(after.st_mode)
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)


@pytest.mark.parametrize('writer', WRITERS)
def test_a_pipe_is_written_through(write, tmp_path, writer):
    path = tmp_path / 'pipe'
    os.mkfifo(path)
    heard = []
    reader = threading.Thread(target=lambda: heard.append(path.read_text()))
    reader.start()
    assert write(writer, path).returncode == 0
    reader.join(10)
    assert is_whole(heard[0])
    assert stat.S_ISFIFO(path.stat().st_mode)


@pytest.mark.parametrize('writer', WRITERS)
def test_a_pipe_that_nobody_reads(write, tmp_path, writer):
    """It affects this output and takes seconds, but not the verdict."""
    path = tmp_path / 'pipe'
    os.mkfifo(path)
    done = write(writer, path)
    lost(writer, done, path)


def lost(writer, done, path):
    """The output is not there, which is said; the verdict is."""
    said = done.stdout + done.stderr
    assert 'Traceback' not in said
    flat = ''.join(said.replace('|', '').split())
    assert f'cannotwrite{path}' in flat
    assert done.returncode == (2 if 'stock' in writer else 255)
    if writer != 'sample':
        heading = '| Check: {}' if 'stock' in writer else '\n{}\n'
        for title in ('AmphoraV2 configuration', 'AmphoraV2 stuck resources'):
            assert heading.format(title) in done.stdout


@pytest.mark.parametrize('writer', WRITERS)
@pytest.mark.parametrize('path', [
    '/proc/none/report', '/', '/proc/report', '/dev/full', '/dev/fd/99',
    '/etc/passwd/report'])
def test_an_output_that_cannot_be_written(write, writer, path):
    lost(writer, write(writer, path), path)


@pytest.mark.parametrize('path', ['/dev/stdout', '/dev/fd/1',
                                  '/proc/self/fd/1', 'link'])
@pytest.mark.parametrize('writer', ['--output', 'sample'])
@pytest.mark.parametrize('kind', ['pipe', 'file'])
def test_stdout_by_its_path(write, tmp_path, writer, path, kind):
    """One document, and nothing replaced; the shell may append to it."""
    if path == 'link':
        path = tmp_path / 'link'
        path.symlink_to('/dev/stdout')
    if kind == 'pipe':
        text = write(writer, path, stdout=subprocess.PIPE).stdout
    else:
        place = tmp_path / 'out'
        with place.open('w') as stream:
            before = os.fstat(stream.fileno()).st_ino
            assert write(writer, path, stdout=stream).returncode == 0
        text = place.read_text()
        assert place.stat().st_ino == before
    assert is_whole(text)


def test_a_report_file_on_stdout_comes_before_the_table(write, tmp_path):
    place = tmp_path / 'out'
    with place.open('w') as stream:
        write('report_file', '/dev/stdout', stdout=stream)
    text = place.read_text()
    assert text.index('"name"') < text.index('AmphoraV2 configuration\n')


def test_a_file_in_the_working_directory(write, tmp_path):
    assert write('--output', 'report', cwd=tmp_path).returncode == 0
    assert is_whole((tmp_path / 'report').read_text())


def test_one_output_that_fails_costs_no_other(write, tmp_path):
    path = tmp_path / 'report.json'
    config = tmp_path / 'two.conf'
    config.write_text(
        '[task_flow]\njobboard_enabled = false\n[octavia_v2_checks]\n'
        f'report_file = json:/proc/none/a\nreport_file = json:{path}\n')
    done = commands.checks('--config-file', str(config), 'upgrade', 'check',
                           '--format', 'junit', '--output', '/proc/none/b')
    assert done.returncode == 255
    assert is_whole(path.read_text())
    assert done.stderr.count('\n') == 1
    assert '/proc/none/a' in done.stderr and '/proc/none/b' in done.stderr
    assert '\nAmphoraV2 configuration\n' in done.stdout


def test_what_may_not_be_replaced_is_written_into(tmp_path, monkeypatch):
    """A file of somebody else, in a directory that is not ours either."""
    path = tmp_path / 'report'
    path.write_text('old ' * 1000)

    def refuse(*args, **kwargs):
        raise PermissionError(1, 'no')

    monkeypatch.setattr(os, 'fchown', refuse)
    before = path.stat().st_ino
    if not os.geteuid():
        os.chown(path, *OWNER)
        output.write(str(path), 'new')
        assert path.read_text() == 'new\n'
        assert path.stat().st_ino == before
    monkeypatch.setattr(output.tempfile, 'mkstemp', refuse)
    output.write(str(path), 'newer')
    assert path.read_text() == 'newer\n'
    assert path.stat().st_ino == before
    assert os.listdir(tmp_path) == ['report']


def test_a_file_that_is_mounted_is_written_into(tmp_path, monkeypatch):
    path = tmp_path / 'report'
    path.write_text('old ' * 1000)

    def busy(*args):
        raise OSError(16, 'busy')

    monkeypatch.setattr(os, 'replace', busy)
    output.write(str(path), 'new')
    assert path.read_text() == 'new\n'
    assert os.listdir(tmp_path) == ['report']


def test_a_failed_write_leaves_the_old_document(tmp_path, monkeypatch):
    path = tmp_path / 'report'
    path.write_text('old')

    def full(*args):
        raise OSError(28, 'full')

    monkeypatch.setattr(os, 'replace', full)
    with pytest.raises(output.Unwritten, match='No space left'):
        output.write(str(path), 'new')
    assert path.read_text() == 'old'
    assert os.listdir(tmp_path) == ['report']

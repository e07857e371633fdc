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

"""Shell completion: it is that of the command, and it works."""

import contextlib
import importlib.machinery
import importlib.util
import os
import pathlib
import pty
import subprocess
import threading

import pytest

from tests import commands

ROOT = pathlib.Path(__file__).parents[2]


def tool():
    path = str(ROOT / 'tools' / 'completions')
    loader = importlib.machinery.SourceFileLoader('completions', path)
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_loader('completions', loader))
    loader.exec_module(module)
    return module


COMPLETIONS = tool()


@pytest.mark.parametrize('shell', COMPLETIONS.FILES)
def test_they_are_up_to_date(shell):
    """tools/completions writes them."""
    file = ROOT / 'completions' / COMPLETIONS.FILES[shell]
    assert file.read_text() == COMPLETIONS.text(shell)


#: What is typed, the last word in part, and what each shell makes of it.
CASES = [
    (['up'], ['upgrade']),
    (['upgrade', 'c'], ['check']),
    (['upgrade', 'check', '--wa'], ['--wait']),
    (['upgrade', 'check', '--fail-level', 'f'], ['failure']),
    (['sample', '--backend', 'redis-'], ['redis-sentinel']),
    (['comp'], ['compare']),
    # Files and directories.
    (['--config-file', 'cont'], ['controller.conf']),
    (['--config-file', 'octavia.conf.d/ovn.conf', '--config-file', 'cont'],
     ['controller.conf']),
    (['--config-dir', 'oct'], ['octavia.conf.d/']),
    (['upgrade', 'check', '--config-file', 'controller.conf', '--config-dir',
      'octavia.conf.d/e'], ['octavia.conf.d/extra/']),
    (['validate', 'octavia.conf.d/o'], ['octavia.conf.d/ovn.conf']),
    (['upgrade', 'check', '--output', 'r'], ['report.json']),
    (['compare', 'report.json', 'r'], ['report.json']),
    (['drill', 'finish', 'r'], ['report.json']),
    # Ids, checks, formats and releases.
    (['explain', 'jobboard.gate'], ['jobboard.gateway-off']),
    (['explain', 'resources.pending-'], ['resources.pending-active']),
    (['upgrade', 'check', '--only', 'res'], ['resources']),
    (['upgrade', 'check', '--skip', 'config,job'], ['config,jobboard']),
    (['upgrade', 'check', '--format', 'na'], ['nagios']),
    (['validate', '--format', 's'], ['sarif']),
    (['list', '--format', 'j'], ['json']),
    (['upgrade', 'check', '--target-release', '2026'], ['2026.1', '2026.2']),
    (['validate', '--target-release', '14'], ['14.0']),
]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A directory with files of which names can be completed."""
    path = tmp_path_factory.mktemp('files')
    for name in ('controller.conf', 'octavia.conf.d/ovn.conf', 'report.json'):
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).touch()
    (path / 'octavia.conf.d' / 'extra').mkdir()
    return path


def said(folder, *command):
    """What a shell prints in a directory."""
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder,
                          timeout=60, env=commands.environment(
                              HOME=str(folder), LC_ALL='C.UTF-8'))
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize('words, offered', CASES)
def test_bash(folder, words, offered):
    script = (
        f'source {ROOT}/completions/octavia-v2-checks; '
        f'COMP_WORDS=(octavia-v2-checks "$@"); COMP_CWORD=$#; '
        f'function=$(complete -p octavia-v2-checks | '
        f'sed "s/.*-F \\([^ ]*\\).*/\\1/"); '
        f'$function octavia-v2-checks "${{!#}}"; '
        f'printf "%s\\n" "${{COMPREPLY[@]}}"')
    # bash adds the slash when it is told that they are names of files.
    assert said(folder, 'bash', '-c', script, 'bash', *words) == [
        word.rstrip('/') for word in offered]


@pytest.mark.parametrize('words, offered', CASES)
def test_fish(folder, words, offered):
    found = said(
        folder, 'fish', '--no-config', '-c',
        f'source {ROOT}/completions/octavia-v2-checks.fish; '
        f'complete -C "octavia-v2-checks {" ".join(words)}"')
    assert [line.partition('\t')[0] for line in found] == offered


#: Tells what stands on the command line, and empties it.
ZSHRC = """
PS1=; unsetopt prompt_sp beep; setopt no_list_beep
fpath=({root}/completions $fpath)
autoload -Uz compinit && compinit -u -D
answer() {{ print -r -- "$BUFFER" > {pipe}; BUFFER= }}
zle -N answer
bindkey '^I' complete-word
bindkey '^X' answer
print ready > {pipe}
"""


@pytest.fixture(scope='module')
def zsh(folder):
    """A function that types words into zsh, then Tab, and what is there."""
    pipe = folder / '.pipe'
    os.mkfifo(pipe)
    (folder / '.zshrc').write_text(ZSHRC.format(root=ROOT, pipe=pipe))
    terminal, screen = pty.openpty()
    with subprocess.Popen(
            ['zsh', '-i'], stdin=screen, stdout=screen, stderr=screen,
            cwd=folder, start_new_session=True, env=commands.environment(
                HOME=str(folder), ZDOTDIR=str(folder), TERM='xterm',
                LC_ALL='C.UTF-8')) as process:
        os.close(screen)
        drain = threading.Thread(target=emptied, args=(terminal,))
        drain.start()
        assert pipe.read_text() == 'ready\n'

        def complete(words):
            os.write(terminal, b'octavia-v2-checks ' + ' '.join(
                words).encode() + b'\t\x18')
            return pipe.read_text().split()[1:]

        try:
            yield complete
        finally:
            process.kill()
            process.wait()
            drain.join()
            os.close(terminal)


def emptied(terminal):
    """Read what is shown until nobody shows anything."""
    with contextlib.suppress(OSError):
        while os.read(terminal, 65536):
            pass


@pytest.mark.parametrize('words, offered', CASES)
def test_zsh(zsh, words, offered):
    *before, typed = zsh(words)
    # It stops where candidates begin to differ, and offers a further check.
    assert before == words[:-1]
    assert typed.removesuffix(',') == (
        '2026.' if offered == ['2026.1', '2026.2'] else offered[0])

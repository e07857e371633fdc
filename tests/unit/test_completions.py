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

import importlib.machinery
import importlib.util
import pathlib
import subprocess

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
    """tools/completions writes them anew."""
    file = ROOT / 'completions' / COMPLETIONS.FILES[shell]
    assert file.read_text() == COMPLETIONS.text(shell)


def complete(*words):
    """What bash offers for the last of some words."""
    script = (
        f'source {ROOT}/completions/octavia-v2-checks; '
        f'COMP_WORDS=(octavia-v2-checks "$@"); COMP_CWORD=$#; '
        f'function=$(complete -p octavia-v2-checks | '
        f'sed "s/.*-F \\([^ ]*\\).*/\\1/"); '
        f'$function octavia-v2-checks "${{!#}}"; '
        f'printf "%s\\n" "${{COMPREPLY[@]}}"')
    done = subprocess.run(['bash', '-c', script, 'bash', *words],
                          capture_output=True, text=True, timeout=60,
                          env=commands.environment())
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize('words, offered', [
    (['up'], 'upgrade'), (['upgrade', 'c'], 'check'),
    (['upgrade', 'check', '--wa'], '--wait'),
    (['upgrade', 'check', '--fail-level', 'f'], 'failure'),
    (['sample', '--backend', 'redis-'], 'redis-sentinel'),
    (['comp'], 'compare')])
def test_bash(words, offered):
    assert complete(*words) == [offered]

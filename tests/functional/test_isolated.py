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

"""Child processes: whatever happens in one, its parent continues in time."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from octavia_v2_checks import clock
from octavia_v2_checks.backends import isolated
from octavia_v2_checks.backends import net

SERVER = 'tests.children:Server'


@pytest.fixture
def deadline():
    """A run of ten seconds, with half a second for each question."""
    run = clock.Deadline(10, 0.5)
    yield run
    run.close()


@pytest.fixture
def child(deadline):
    return isolated.Child(deadline, SERVER, 'child')


def faulty(child, question, *args):
    """Return the fault that a question ends with, and the time it took."""
    begin = time.monotonic()
    with pytest.raises(net.Fault) as caught:
        child.ask(question, *args)
    return caught.value, time.monotonic() - begin


def is_gone(pid):
    """Whether a process has ended, within two seconds."""
    end = time.monotonic() + 2
    while time.monotonic() < end:
        try:
            with open(f'/proc/{pid}/stat') as stream:
                if stream.read().rpartition(')')[2].split()[0] == 'Z':
                    return True
        except FileNotFoundError:
            return True
        time.sleep(0.01)
    return False


def test_answers(child):
    assert child.ask('hello', 1, b'\xff', None, 2.5) == [
        'child', 1, b'\xff', None, 2.5]
    assert child.ask('hello') == ['child']


def test_long_answers_come_in_pages_between_which_others_may_ask(child):
    pages = child.pages('numbers', 3)
    assert next(pages) == 0
    assert child.ask('hello') == ['child']
    assert list(pages) == [1, 2]


def test_a_fault_in_the_middle_of_a_long_answer(child):
    pages = child.pages('broken_numbers')
    assert next(pages) == 1
    with pytest.raises(net.Fault):
        next(pages)
    assert child.ask('hello') == ['child']


def test_faults_arrive_whole(child):
    fault, _ = faulty(child, 'fault')
    assert fault.plain() == ('refused', 'No.', 'Try again.', 'db1:3306',
                             'engine', 'odd')
    assert child.ask('hello') == ['child']


@pytest.mark.parametrize(('doing', 'slug', 'text'), [
    ('resolve', 'unresolvable', "The host name 'db1' does not resolve: the "
     'resolver did not answer within 0.5 s.'),
    ('connect', 'timeout', 'db1:3306 did not accept a connection within '
     '0.5 s.'),
    ('tls', 'timeout', 'db1:3306 did not finish the TLS handshake within '
     '0.5 s.'),
    ('answer', 'timeout', 'db1:3306 did not answer within 0.5 s.')])
def test_the_last_step_says_what_took_too_long(child, doing, slug, text):
    fault, took = faulty(child, 'wait', 60, doing, 'db1:3306')
    assert (fault.slug, fault.text, fault.host) == (slug, text, 'db1:3306')
    assert took < 2
    # The same for everybody who asks later, and at once.
    again, took = faulty(child, 'hello')
    assert again is fault and took < 0.1


def test_before_there_is_a_server_to_wait_for(child):
    fault, _ = faulty(child, 'wait', 60)
    assert fault.slug == 'undetermined' and '0.5 s' in fault.text


def test_code_that_never_lets_go_of_the_interpreter(child):
    _, took = faulty(child, 'spin')
    assert took < 2


def test_a_child_that_is_late_is_killed(child):
    pid, _ = child.ask('pid')
    faulty(child, 'wait', 60)
    assert is_gone(pid)


def test_the_time_of_the_run_is_the_limit(deadline):
    run = clock.Deadline(0.3, 5)
    child = isolated.Child(run, SERVER)
    _, took = faulty(child, 'wait', 60)
    assert took < 1
    with pytest.raises(clock.OutOfTime):
        isolated.Child(run, SERVER).ask('hello')
    run.close()


def test_memory_is_bounded():
    # Where memory is short, the system takes its time.
    run = clock.Deadline(30, 15)
    child = isolated.Child(run, SERVER, 'child')
    assert child.ask('fill', 100 << 20) == 100 << 20
    fault, _ = faulty(child, 'fill', 2 << 30)
    assert fault.slug == 'undetermined' and 'MiB' in fault.text
    run.close()


@pytest.mark.parametrize(('question', 'args', 'name'), [
    ('segfault', (), 'SIGSEGV'), ('killed', (int(signal.SIGKILL),), 'SIGKILL'),
    ('killed', (int(signal.SIGABRT),), 'SIGABRT')])
def test_a_child_that_dies(child, question, args, name):
    fault, took = faulty(child, question, *args)
    assert fault.slug == 'undetermined' and name in fault.text
    assert took < 2
    assert faulty(child, 'hello')[0] is fault


@pytest.mark.parametrize(('question', 'name'), [
    ('wrong', 'KeyError at children.py:'), ('leave', 'SystemExit at '),
    ('no_such_question', 'AttributeError')])
def test_our_own_errors_are_told_without_their_text(child, question, name):
    with pytest.raises(clock.Crashed) as caught:
        child.ask(question)
    assert name in caught.value.what and 'SECRET' not in caught.value.what
    assert child.ask('hello') == ['child']


def test_what_does_not_load(deadline):
    with pytest.raises(clock.Crashed) as caught:
        isolated.Child(deadline, 'tests.no_such_module:Server').ask('hello')
    assert 'ModuleNotFoundError' in caught.value.what


def test_nothing_is_printed(child, capfd):
    assert child.ask('noise') == '/dev/null'
    assert capfd.readouterr() == ('', '')


def test_nothing_of_the_parent_is_open(deadline, tmp_path):
    with open(tmp_path / 'open', 'w'):
        child = isolated.Child(deadline, SERVER)
        files = child.ask('open_files')
    assert not [f for f in files if f.startswith(str(tmp_path))]
    assert len([f for f in files if f.startswith('socket:')]) == 1


def test_a_child_has_one_thread_and_plain_signals(child):
    assert child.ask('threads') == 1
    assert child.ask('handlers') == [True, True]


def test_good_bye_is_said(deadline, tmp_path):
    child = isolated.Child(deadline, SERVER)
    child.ask('leave_word', str(tmp_path / 'bye'))
    pid, _ = child.ask('pid')
    deadline.close()
    assert is_gone(pid)
    assert (tmp_path / 'bye').read_text() == 'bye'


def test_a_function(deadline):
    assert isolated.call(deadline, 'tests.children:add', 1, 2) == 3


def test_children_work_side_by_side():
    run = clock.Deadline(30, 20)
    children = [isolated.Child(run, SERVER) for _ in range(3)]
    begin = time.monotonic()
    for child in children:
        child.begin('wait', 3)
    assert [child.finish() for child in children] == ['awake'] * 3
    assert time.monotonic() - begin < 6
    run.close()


def test_threads_take_turns(child):
    answers = []

    def ask(number):
        answers.append(child.ask('hello', number))

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [['child', n] for n in range(20)]


PARENT = """
import sys, time
from octavia_v2_checks import clock
from octavia_v2_checks.backends import isolated
run = clock.Deadline(60, 60)
child = isolated.Child(run, 'tests.children:Server')
print(*child.ask('pid'), flush=True)
child.ask('wait', 60)
"""


@pytest.mark.parametrize('number', [
    signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_orphan_is_left(number):
    with subprocess.Popen([sys.executable, '-c', PARENT],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True) as parent:
        pids = [int(p) for p in parent.stdout.readline().split()]
        parent.send_signal(number)
        parent.wait(5)
    assert [is_gone(pid) for pid in pids] == [True, True]


def test_twenty_runs_at_once():
    code = ('from octavia_v2_checks import clock\n'
            'from octavia_v2_checks.backends import isolated\n'
            'run = clock.Deadline(30, 30)\n'
            'child = isolated.Child(run, "tests.children:Server", "me")\n'
            'assert child.ask("hello") == ["me"]; run.close()\n')
    runs = [subprocess.Popen([sys.executable, '-c', code])
            for _ in range(20)]
    assert [run.wait(30) for run in runs] == [0] * 20


def test_a_renewed_run_has_new_children_of_the_same_spawner(deadline):
    made = []
    for run in (deadline, deadline.renewed()):
        child = run.shared('server', lambda: isolated.Child(run, SERVER))  # noqa: B023
        assert run.shared('server', object) is child
        made.append(child.ask('pid'))
    assert made[0][0] != made[1][0] and made[0][1] == made[1][1]


def test_what_could_not_be_made_is_not_made_again(deadline):
    tries = []

    def make():
        tries.append(1)
        raise net.Fault('refused', 'No.')

    for _ in range(3):
        with pytest.raises(net.Fault):
            deadline.shared('server', make)
    assert len(tries) == 1


def test_the_spawner_ends_with_its_run():
    run = clock.Deadline(5, 5)
    _, spawner = isolated.Child(run, SERVER).ask('pid')
    run.close()
    del run
    assert is_gone(spawner)
    with pytest.raises(ProcessLookupError):
        os.kill(spawner, 0)


def test_a_question_that_is_begun_has_its_own_clock(child):
    child.begin('wait', 1, clock=clock.Clock(5))
    assert child.finish() == 'awake'

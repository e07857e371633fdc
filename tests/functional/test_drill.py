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

"""The drill on healthy servers, and everything that may stop it."""

import json
import os
import pty
import re
import subprocess
import sys
import threading
from xml.etree import ElementTree

import pytest

from octavia_v2_checks.drill import names
from tests import boards
from tests import commands
from tests import databases
from tests import drills
from tests import probing
from tests import redis_probing
from tests.servers import process
from tests.servers import redis as redis_server
from tests.servers import zookeeper as zookeeper_server


@pytest.fixture(scope='module')
def own_redis():
    """A Redis on which nothing else changes."""
    with redis_server.Redis() as server:
        yield server


@pytest.fixture
def site(own_redis, mariadb, write_config):
    place = boards.RedisPlace(own_redis, *databases.mysql(mariadb),
                              write_config)
    yield drills.Site(place)
    place.close()
    own_redis.command('FLUSHALL')


def until(condition, what):
    process.wait_until(condition, what, 60)


def account(site, *rules):
    """Give the drill a separate account on the Redis."""
    name = probing.name('drill')
    site.place.server.command(
        'ACL', 'SETUSER', name, 'on', f'>{probing.PASSWORD}',
        *(f'+{c}' for c in redis_probing.COMMANDS), *rules)
    site.configure(
        jobboard_backend_username=name,
        jobboard_backend_password=probing.PASSWORD.replace('$', '$$'))


def test_whole_drill_beside_a_busy_board(site, tmp_path):
    """The account may not even look at the keys of the real board."""
    account(site, f'~{site.place.namespace}_drill_*')
    site.busy()
    report = tmp_path / 'report.xml'
    with site.untouched():
        done = site.command('--yes', '--format', 'junit', '--output',
                            str(report))
    assert done.returncode == 0, done.stdout
    assert done.stdout.endswith('Result: Success\n')
    assert re.search(r'Resumed [\d.]+ s after the kill; claims should end '
                     r'after 3 s', done.stdout)
    # What it writes, and where.
    said = done.stderr
    assert said.count('\n') == 1 and '1 harmless flow' in said
    assert f'127.0.0.1:{site.place.server.port}' in said
    assert site.place.url.rpartition('/')[2] in said
    suite = ElementTree.parse(report).getroot().find('testsuite')
    assert [case.get('name') for case in suite] == drills.WHOLE
    assert suite.get('failures') == suite.get('skipped') == '0'


def test_json(site):
    with site.untouched():
        document = site.json('--yes', '--flows', '2')
    assert document['findings'] == []
    assert [s['step'] for s in document['steps']] == drills.WHOLE
    times = [s['at'] for s in document['steps']]
    assert times == sorted(times)
    assert document['drill'] in document['namespace']
    assert document['flows'] == 2 and document['claim'] == drills.CLAIM
    assert 0 < document['resumed_after'] < 2 * drills.CLAIM
    assert document['duration'] >= times[-1]


def test_etcd_and_logbooks_that_are_kept(etcd, postgres, write_config):
    """With --flows, one of several is begun by the worker that dies."""
    place = boards.EtcdPlace(
        etcd, *databases.postgresql(postgres), write_config)
    place.sql = rows(place.sql)
    site = drills.Site(place, jobboard_save_logbook=True,
                       jobboard_expiration_time=5)
    site.busy()
    with site.untouched():
        drills.succeeded(site.run(flows=3))
    place.close()


def rows(sql):
    """PostgreSQL's json columns have no equality of rows otherwise."""
    return lambda statement: [str(row) for row in sql(statement)]


@pytest.fixture
def zookeeper_site(mariadb, write_config):
    """A ZooKeeper whose sessions end soon, and on which nothing is yet."""
    with zookeeper_server.ZooKeeper(maxSessionTimeout=2000) as zookeeper:
        place = boards.ZooKeeperPlace(
            zookeeper, *databases.mysql(mariadb), write_config)
        yield drills.Site(place)
        place.close()


def test_zookeeper_that_nobody_has_used(zookeeper_site):
    """TaskFlow's shared nodes go too, if they came with the drill."""
    with zookeeper_site.untouched():
        drills.succeeded(zookeeper_site.run())
    assert list(zookeeper_site.state()[0]) == ['/']


@pytest.mark.workers
def test_zookeeper_in_use(zookeeper_site):
    """What others need stays, and so does what they have trashed."""
    zookeeper_site.busy()
    client = zookeeper_site.place.server.client()
    client.create('/.trash/job0000000000', b'{"name": "of another"}')
    client.stop()
    with zookeeper_site.untouched():
        drills.succeeded(zookeeper_site.run())
        kill(zookeeper_site)
        assert len(zookeeper_site.json('clean')['removed']) == 1


# Two hosts.


def test_begun_on_one_host_and_finished_on_another(site, tmp_path):
    handed = tmp_path / 'drill.json'
    site.busy()
    with site.untouched():
        first = site.json('begin', '--yes', str(handed))
        assert (first['result'], first['removed']) == (0, [])
        assert [s['step'] for s in first['steps']][-1] == 'killed'
        said = json.loads(handed.read_text())
        assert said['id'] == first['drill']
        assert len(handed.read_text()) < 2000
        second = site.json('finish', str(handed))
        assert second['findings'] == []
        assert [s['step'] for s in second['steps']] == [
            'loaded', 'opened', 'claim ended', 'resumed', 'finished',
            'removed']


@pytest.mark.workers
def test_what_waits_to_be_finished(site, tmp_path):
    """Another drill does not touch it, and it cannot be finished twice."""
    handed = tmp_path / 'drill.json'
    with site.untouched():
        assert site.json('begin', '--yes', str(handed))['findings'] == []
        said = json.loads(handed.read_text())
        other = site.json('--yes')
        assert (other['result'], other['spared']) == (0, [said['id']])
        assert site.json('finish', str(handed))['findings'] == []
        again = site.json('finish', str(handed))
    found, = again['findings']
    assert found['id'] == 'drill.not-resumed'
    assert 'finished, removed or lost' in found['message']


def test_begun_through_pipes(site):
    """As from one container into another."""
    done = site.command('begin', '--yes', '-')
    assert done.returncode == 0
    assert json.loads(done.stdout)['namespace'].startswith(
        site.place.namespace)
    site.configure(jobboard_backend_namespace='elsewhere')
    with subprocess.Popen(
            [commands.script('octavia-v2-checks'), '--config-file',
             str(site.config), 'drill', 'finish', '-'],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=commands.environment()) as other:
        said, _ = other.communicate(done.stdout, timeout=60)
    assert other.returncode == 2
    assert 'jobboard_backend_namespace' in said
    # What the other host told it is no reason to remove anything.
    assert site.flows() == ['RUNNING']
    site.configure(jobboard_backend_namespace=site.place.namespace)
    cleaned = site.json('clean')
    assert cleaned['removed'] == [json.loads(done.stdout)['id']]
    assert site.flows() == [] and not site.place.state()


# However it ends.


def wait_until_begun(site):
    """Wait until a worker has begun with a flow."""
    until(lambda: site.flows() == ['RUNNING'], 'no flow was begun')


def test_told_to_stop(site):
    with site.untouched():
        running = site.start('--yes', '--format', 'json')
        wait_until_begun(site)
        running.terminate()
        out, err = running.communicate(timeout=30)
    assert running.returncode == 130
    document = json.loads(out)
    assert document['interrupted'] and document['findings'] == []
    steps = [s['step'] for s in document['steps']]
    assert steps[-1] == 'removed' and 'finished' not in steps
    assert 'Traceback' not in err


def children(pid):
    """The processes that have a process or one of its for their parent."""
    found = []
    for entry in os.listdir('/proc'):
        if entry.isdigit():
            try:
                with open(f'/proc/{entry}/stat') as stream:
                    parent = int(stream.read().rpartition(')')[2].split()[1])
            except OSError:
                continue
            if parent == pid:
                found += [int(entry), *children(int(entry))]
    return found


def lives(pid):
    """Whether a process has not ended; nobody may wait for it."""
    try:
        with open(f'/proc/{pid}/stat') as stream:
            return stream.read().rpartition(')')[2].split()[0] != 'Z'
    except OSError:
        return False


def kill(site):
    """Kill a drill in the middle, see its children end; its id."""
    running = site.start('--yes')
    until(lambda: site.flows() == ['RUNNING'], 'no flow was begun')
    workers = children(running.pid)
    assert len(workers) >= 3
    running.kill()
    running.communicate()
    until(lambda: not any(map(lives, workers)), 'its children live on')
    id_, = {names.owner(name).text for name, in site.place.sql(
        'SELECT name FROM logbooks') if names.owner(name)}
    return id_


def test_killed_itself(site):
    site.busy()
    with site.untouched():
        id_ = kill(site)
        assert any(id_.encode() in key for key in site.state()[0])
        assert site.json('clean')['removed'] == [id_]


@pytest.mark.workers
def test_full_disk(site):
    """What cannot be handed over is removed."""
    with site.untouched(), open('/dev/full', 'w') as full:
        done = subprocess.run(
            [commands.script('octavia-v2-checks'), '--config-file',
             str(site.config), 'drill', 'begin', '--yes', '-'], stdout=full,
            stderr=subprocess.PIPE, text=True, env=commands.environment())
    assert done.returncode == 255
    assert 'No space left' in done.stderr
    assert 'Traceback' not in done.stderr


@pytest.mark.workers
def test_the_next_drill_removes_what_is_left(site):
    site.busy()
    with site.untouched():
        id_ = kill(site)
        result = site.run()
        drills.succeeded(result)
        assert result.earlier == [id_]
    assert site.json('clean')['removed'] == []


@pytest.mark.workers
def test_running_drill_is_left_alone(site):
    site.configure(jobboard_expiration_time=30)
    with site.untouched():
        running = site.start('--yes')
        wait_until_begun(site)
        before = site.state()
        cleaned = site.json('clean')
        assert (cleaned['removed'], len(cleaned['spared'])) == ([], 1)
        assert len(site.state()[0]) == len(before[0]) and site.flows()
        running.terminate()
        out, _ = running.communicate(timeout=60)
    assert running.returncode == 130
    assert 'everything was removed' in out


# What is asked first.


@pytest.mark.parametrize('args, said', [
    ([], '--yes'), (['begin', 'drill.json'], '--yes'),
    (['--yes', '--flows', '0'], '--flows'),
    (['--yes', '--flows', 'many'], 'many'),
    (['--yes', '--timeout', '0'], '--timeout'),
    (['--yes', '--format', 'html'], 'html'),
    (['finish', '/proc/none/drill.json'], '/proc/none'),
    (['finish', '/etc/passwd'], 'drill begin'), (['begin'], 'FILE'),
    (['finish', sys.executable], 'not a text file'), (['clear'], 'clear')])
def test_usage(write_config, args, said):
    done = commands.checks(
        '--config-file', str(write_config(
            jobboard_enabled=True, jobboard_backend_port=1)), 'drill', *args)
    assert (done.returncode, done.stdout) == (64, '')
    assert said in done.stderr
    assert done.stderr.splitlines()[-1].startswith('octavia-v2-checks: ')
    assert not os.path.exists('/drill.json')


def test_a_file_that_cannot_be_written(write_config):
    """It is tried before anything begins."""
    done = commands.checks(
        '--config-file', str(write_config(
            jobboard_enabled=True, jobboard_backend_port=1)), 'drill',
        'begin', '--yes', '/proc/none/drill.json')
    assert (done.returncode, done.stdout) == (255, '')
    announced, wrong = done.stderr.splitlines()
    assert 'the drill writes' in announced
    assert wrong.startswith('octavia-v2-checks: cannot write /proc/none/')


def on_a_terminal(site, answer, then=None):
    """What is shown on a terminal, and the exit code."""
    ours, theirs = pty.openpty()
    running = subprocess.Popen(
        [process.find('setsid'), '--ctty', '--wait',
         commands.script('octavia-v2-checks'), '--config-file',
         str(site.config), 'drill'], stdin=theirs, stdout=theirs,
        stderr=theirs, cwd='/', env=commands.environment(TERM='xterm'))
    os.close(theirs)
    seen = []

    def read():
        try:
            while data := os.read(ours, 65536):
                seen.append(data)
        except OSError:
            pass

    reader = threading.Thread(target=read)
    reader.start()
    try:
        until(lambda: b'[y/N]' in b''.join(seen), 'it did not ask')
        os.write(ours, answer)
        if then:
            then(ours)
        code = running.wait(60)
        reader.join(10)
    finally:
        running.kill()
        os.close(ours)
    return code, b''.join(seen).decode()


def test_refused_on_a_terminal(site):
    with site.untouched():
        code, seen = on_a_terminal(site, b'\n')
    assert code == 130
    assert 'nothing was written' in seen


def test_interrupted_on_a_terminal(site):
    """Ctrl-C reaches the command alone: its children still clean up."""
    def interrupt(terminal):
        wait_until_begun(site)
        os.write(terminal, b'\x03')

    with site.untouched():
        code, seen = on_a_terminal(site, b'y\n', interrupt)
    assert code == 130
    assert 'loading Octavia' in seen
    assert 'everything was removed' in seen
    assert 'Result: Interrupted' in seen

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

"""What holds for every file there may be, found by Hypothesis."""

import os
import pathlib
import tempfile
from unittest import mock

from hypothesis import example
from hypothesis import given
from hypothesis import strategies as st
from oslo_config import cfg

from octavia_v2_checks import opts
from octavia_v2_checks import settings
from octavia_v2_checks import validate
from octavia_v2_checks.checks import config
from tests.unit import test_inifile

CANARY = 'c4n4ryB1rd'

NAMES = [o.dest for o in opts.task_flow_opts()]
VALUES = st.sampled_from([
    '', 'true', 'False', 'yes', 'maybe', '0', '1', '-1', '5', '30', '6379',
    '99999', '1_000', ' 7 ', '3.5', 'None', 'serial', 'parallel', 'a,b',
    'a, b,', ',', '[::1]', '10.0.0.1', 'redis_taskflow_driver',
    'etcd_taskflow_driver', 'zookeeper_taskflow_driver', 'sqlite://',
    'mysql+pymysql://o:pw@db/p', 'ssl:True', 'ssl:False,ssl_keyfile:None',
    'use_ssl:False', 'use_ssl:', 'use_ssl', 'use_ssl:False,verify_certs:True',
    'ssl:False,ssl_cert_reqs:required', 'a:b,a:c', ':', 'x', '"', "'",
    '"quoted"', "'half", '$engine', '${engine}', '$max_workers', '$$',
    '\\$engine', '$nope', '$task_flow', '$task_flow.engine', '$',
    '$jobboard_backend_hosts', '$jobboard_backend_namespace', '$host',
    '$database.connection', '$nope.engine', '{{ x }}', '${X}'])
ASSIGNMENTS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(['=', ' = ', ': ']),
              VALUES, st.sampled_from(['\n', '\n\n', '\r\n', '\n  more\n'])),
    max_size=12).map(lambda parts: ''.join(map(''.join, parts)))
SECTIONS = st.lists(
    st.tuples(st.sampled_from(['[task_flow]\n', '[Task_Flow]\n',
                               '[DEFAULT]\n', '[taskflow]\n',
                               '[database]\nconnection = sqlite://\n']),
              ASSIGNMENTS).map(''.join), max_size=3).map(''.join)
ENVIRONMENT = st.dictionaries(
    st.sampled_from(NAMES).map(lambda n: f'OS_TASK_FLOW__{n.upper()}'),
    VALUES, max_size=2)


class Written:
    """Files on disk, and an environment, for the time of one example."""

    def __init__(self, contents, environ=None):
        self._contents = contents
        self._patch = mock.patch.dict(os.environ, environ or {})
        self._directory = tempfile.TemporaryDirectory()

    def __enter__(self):
        self._patch.start()
        paths = []
        for number, content in enumerate(self._contents):
            path = pathlib.Path(self._directory.name) / f'{number}.conf'
            path.write_bytes(content)
            paths.append(str(path))
        return paths

    def __exit__(self, *args):
        self._directory.cleanup()
        self._patch.stop()


def octavia(paths):
    """Return what Octavia's own definitions make of files."""
    # Every process of a run collects this module.
    from octavia.common import config as octavia_config
    conf = cfg.ConfigOpts()
    conf.register_opts(octavia_config.task_flow_opts, group='task_flow')
    conf.register_opts(octavia_config.core_opts)
    conf.register_opt(cfg.StrOpt('connection', default='sqlite://'),
                      group='database')
    conf([a for p in paths for a in ('--config-file', p)],
         project='octavia', prog='octavia-status', default_config_dirs=[])
    found = {}
    for name in NAMES:
        try:
            found[name] = conf.task_flow[name]
        except (cfg.Error, ValueError, RecursionError) as exc:
            found[name] = exc
    return found


def same(name, ours, theirs):
    """Return whether two values mean the same to Octavia."""
    if ours == theirs:
        return True
    # An empty text is unset, and the sample of a dictionary its default.
    return ((ours is None and theirs == '')
            or (name.endswith('_ssl_options')
                and {k: v for k, v in ours.items() if v is not None}
                == {k: {'True': True, 'False': False, '': False}.get(v, v)
                    for k, v in theirs.items()}))


@given(st.lists(SECTIONS, min_size=1, max_size=2), ENVIRONMENT)
@example(['[task_flow]\nengine = $engine\n'], {})
@example(['[task_flow]\njobboard_backend_password = $jobboard_redis_sentinel'
          '\njobboard_redis_sentinel = $jobboard_backend_password\n'], {})
@example(['[task_flow]\nengine = serial\n', '[TASK_FLOW]\nengine = x\n'], {})
def test_settings_are_what_octavia_reads(contents, environ):
    with Written([c.encode() for c in contents], environ) as paths:
        ours = settings.load([('file', p) for p in paths])
        if ours.unreadable:
            return
        for name, theirs in octavia(paths).items():
            value = ours[name]
            if isinstance(theirs, Exception):
                assert value.error in ('value', 'substitution'), (
                    name, theirs)
            elif value.error:
                assert value.error == 'use', (name, theirs)
            else:
                assert same(name, value.value, theirs), (
                    name, value.value, theirs)


@given(st.lists(SECTIONS, min_size=1, max_size=2), ENVIRONMENT)
def test_what_octavia_refuses_is_a_failure(contents, environ):
    with Written([c.encode() for c in contents], environ) as paths:
        loaded = settings.load([('file', p) for p in paths])
        if loaded.unreadable:
            return
        refused = {name for name, value in octavia(paths).items()
                   if isinstance(value, Exception)}
        failures = {f.option for f in config.mistakes(loaded)
                    if f.severity == 2}
        assert {f'task_flow.{name}' for name in refused} <= failures


def everything_said(paths):
    loaded = settings.load([('file', p) for p in paths])
    found = validate.run(loaded, None)
    raw = ' '.join(f.as_text() for f in config.mistakes(loaded))
    return raw + ''.join(validate.render(form, found, loaded)
                         for form in ('table', 'json', 'sarif'))


@given(test_inifile.FILES)
def test_no_file_makes_it_fail(data):
    with Written([data]) as paths:
        everything_said(paths)


@given(SECTIONS, st.binary(max_size=50))
def test_no_file_that_is_nearly_right_makes_it_fail(text, more):
    with Written([text.encode() + more]) as paths:
        everything_said(paths)


SECRET_LINES = st.sampled_from([
    f'jobboard_backend_password = {CANARY}',
    f'jobboard_backend_password = "{CANARY}',
    f'jobboard_backend_password = {CANARY} # old',
    f'jobboard_backend_password = {CANARY}$x',
    f'jobboard_backend_password = <{CANARY}>',
    f'jobboard_backend_pasword = {CANARY}',
    f'jobboard_backend_password {CANARY}',
    f'  jobboard_backend_password = {CANARY}',
    f'jobboard_redis_sentinel_password: {CANARY}',
    f'persistence_connection = mysql+pymysql://octavia:{CANARY}@db/p',
    f'persistence_connection = mysql+pymysql://octavia:x@{CANARY}@db/p',
    f'persistence_connection = mysql+pymysql://octavia:{CANARY}/x@db/p',
    f'persistence_connection = mysql+pymysql://octavia:{CANARY}#@db/p',
    f'persistence_connection = mysql+pymysql://octavia:%41{CANARY}@db',
    f'persistence_connection = mysql+pymysql://db/p?password={CANARY}',
    f'persistence_connection = postgresql://db/p?sslpassword={CANARY}',
    f'persistence_connection = myqsl://octavia:{CANARY}@db/p',
    f'persistence_connection = {CANARY}',
    f'persistence_connection = mysql+pymysql://o:p@x?{CANARY}=1@db/p',
    f'persistence_connection = mysql+pymysql://o:p@x/y?{CANARY}=1@db/p',
    f'persistence_connection = mysql+pymysql://o:p@x/{CANARY}@db/p',
    f'persistence_connection = mysql+pymysql://o:p@x:{CANARY}@db/p',
    f'connection = mysql+pymysql://octavia:{CANARY}@db/octavia',
    f'jobboard_backend_hosts = redis://:{CANARY}@10.0.0.1:6379',
    f'jobboard_backend_hosts = redis://10.0.0.1?password={CANARY}',
    f'jobboard_zookeeper_ssl_options = use_ssl:1,keyfile_password:{CANARY}',
    f'jobboard_zookeeper_ssl_options = keyfile_password={CANARY}',
    f'jobboard_zookeeper_ssl_options = keyfile_pasword:{CANARY}',
    f'jobboard_redis_sentinel_ssl_options = password:{CANARY},ssl:x',
    f'jobboard_backend_password =\n{CANARY}',
    f'jobboard_backend_password = "{CANARY}\n  and{CANARY}'])
DRIVERS = st.sampled_from(['', *(
    f'jobboard_enabled = true\njobboard_backend_driver = {d}_taskflow_driver'
    f'\n' for d in ('redis', 'zookeeper', 'etcd'))])


@given(st.sampled_from(['task_flow', 'DEFAULT', 'database', 'taskflow']),
       DRIVERS, SECRET_LINES, ASSIGNMENTS)
def test_no_secret_is_said(section, driver, line, more):
    text = f'[{section}]\n{driver}{line}\n[task_flow]\n{more}'
    with Written([text.encode()]) as paths:
        assert CANARY not in everything_said(paths)


@given(DRIVERS, SECRET_LINES)
def test_no_secret_of_the_environment_is_said(driver, line):
    name, found, value = line.partition(' = ')
    variable = f'OS_TASK_FLOW__{name.strip().upper()}'
    text = f'[task_flow]\n{driver}'
    with Written([text.encode()], {variable: value} if found else {}) as paths:
        assert CANARY not in everything_said(paths)

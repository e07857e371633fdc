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

"""Values of options that are not those that fit a system.

To add one, add it to :data:`VALUES` under its option; a function gets the
:class:`systems.System` and may return :data:`systems.ABSENT`.
"""

from collections.abc import Callable
import functools
from typing import Any

from tests.truth import jobboards
from tests.truth import lab as labs
from tests.truth import systems


def url(**changed: Any) -> Callable[[systems.System], str]:
    """The URL of the database with parts that are otherwise."""
    return lambda system: systems.written(system.database.url(**{
        name: value(system) if callable(value) else value
        for name, value in changed.items()}))


def query(**more: str) -> Callable[[systems.System], str]:
    """The URL of the database with more in its query."""
    return lambda system: systems.written(system.database.url(
        query=[*dict(system.database.parts['query']).items(), *more.items()]
        if isinstance(system.database.parts['query'], dict)
        else [*system.database.parts['query'], *more.items()]))


def scheme(name: str) -> Callable[[systems.System], str]:
    return url(scheme=name)


def around(before: str, after: str) -> Callable[[systems.System], str]:
    """The URL of the database with something before and after it."""
    return lambda system: (
        before + systems.written(system.database.url()) + after)


def hosts(form: str) -> Callable[[systems.System], str]:
    """The hosts, in a form with ``{all}``, ``{first}`` and ``{port}``."""
    def make(system):
        all_ = str(system.board.options['jobboard_backend_hosts'])
        return form.format(
            all=all_, first=all_.split(',')[0],
            port=system.board.options['jobboard_backend_port'])

    return make


def tls(option: str, *without: str, **changed: Any
        ) -> Callable[[systems.System], str]:
    """A dictionary that is otherwise than the one that fits.

    :param changed: texts, or functions of the laboratory
    """
    def make(system):
        text = str(system.board.options.get(option) or '')
        fits = dict(item.split(':', 1) for item in text.split(',') if item)
        return jobboards.dictionary(**{
            name: value(system.lab) if callable(value) else value
            for name, value in (fits | changed).items()
            if name not in without})

    return make


def _authority(lab):
    return lab.authority.cert


def _stranger(lab):
    return lab.stranger.cert


def _redis_values(option: str) -> dict[str, Any]:
    change = functools.partial(tls, option)
    return {
        'absent': systems.ABSENT, 'empty': '', 'bare': 'ssl',
        'equals': 'ssl=True',
        'on': 'ssl:True', 'yes': change(ssl='yes'), 'one': change(ssl='1'),
        'off': change(ssl='False'), 'maybe': change(ssl='maybe'),
        'nothing': change(ssl=''), 'space': change(ssl=' True'),
        'on with authority': change(ssl='True', ssl_ca_certs=_authority),
        'unverified': change('ssl_ca_certs', ssl_cert_reqs='none'),
        'optional': change(ssl_cert_reqs='optional'),
        'required': change(ssl_cert_reqs='required'),
        'CERT_REQUIRED': change(ssl_cert_reqs='CERT_REQUIRED'),
        'reqs None': change(ssl_cert_reqs='None'),
        'reqs empty': change(ssl_cert_reqs=''),
        'no authority': change('ssl_ca_certs'),
        'another authority': change(ssl_ca_certs=_stranger),
        'missing authority': change(ssl_ca_certs='/no/such/file'),
        'authority None': change(ssl_ca_certs='None'),
        'authority no PEM': change(ssl_ca_certs='/etc/hostname'),
        'authority empty': change(ssl_ca_certs=''),
        'no ssl': change('ssl'),
        'no certificate': change('ssl_certfile', 'ssl_keyfile'),
        'no key': change('ssl_keyfile'),
        'key None': change(ssl_keyfile='None'),
        'missing key': change(ssl_keyfile='/no/such/file'),
        'certificate': change(
            ssl_certfile=lambda lab: lab.client.cert,
            ssl_keyfile=lambda lab: lab.client.key),
        'another certificate': change(
            ssl_certfile=lambda lab: lab.strange_client.cert,
            ssl_keyfile=lambda lab: lab.strange_client.key),
        'another key': change(
            ssl_certfile=lambda lab: lab.client.cert,
            ssl_keyfile=lambda lab: lab.strange_client.key),
        'both in one': change(
            'ssl_keyfile', ssl_certfile=lambda lab: lab.client.both),
        'unknown key': change(ssl_check_hostname='False'),
        'misspelt key': change(ssl_ca_cert=_authority),
    }


_ZOOKEEPER = functools.partial(tls, jobboards.ZOOKEEPER_TLS)
_ETCD = functools.partial(tls, jobboards.ETCD_TLS)

_BOOLEANS = {'true': 'true', 'yes': 'yes', 'one': '1', 'off': 'off',
             'false': 'False', 'maybe': 'maybe', 'empty': '',
             'None': 'None', 'absent': systems.ABSENT}

#: Option -> name -> value, or a function of the system.
VALUES: dict[str, dict[str, Any]] = {
    'engine': {
        'serial': 'serial', 'parallel': 'parallel', 'capital': 'Serial',
        'misspelt': 'paralel', 'empty': '', 'substituted': '$nope',
        'itself': '$engine', 'None': 'None',
        'another': 'worker-based'},
    'max_workers': {
        'one': '1', 'zero': '0', 'negative': '-1', 'word': 'many',
        'empty': '', 'underscore': '1_0', 'fraction': '3.5', 'None': 'None',
        'large': '1000'},
    'disable_revert': _BOOLEANS,
    'persistence_connection': {
        'absent': systems.ABSENT, 'empty': '',
        'memory': 'sqlite://', 'memory backend': 'memory://',
        'no such scheme': scheme('myqsl+pymysql'),
        'bare dialect': lambda system: systems.written(system.database.url(
            scheme=system.database.parts['scheme'].partition('+')[0])),
        'mysqldb': scheme('mysql+mysqldb'),
        'mariadb': scheme('mariadb+pymysql'),
        'postgres': scheme('postgres'),
        'psycopg': scheme('postgresql+psycopg'),
        'capital': scheme('MySQL+pymysql'),
        'other dialect': scheme('postgresql+psycopg2'),
        'no slashes': scheme('mysql+pymysql:'),
        'wrong password': url(password='wrong-one-77'),
        'no password': url(password=None),
        'empty password': url(password=''),
        'unknown user': url(user='nobody77'),
        'no user': url(user=None),
        'unknown database': url(database='no_such_database'),
        'no database': url(database=None),
        'empty database': url(database=''),
        'slash': around('', '/'),
        'closed port': url(port=lambda system: system.lab.closed),
        'silent port': url(port=lambda system: system.lab.silent),
        'no port': url(port=None),
        'port zero': url(port=0),
        'port too large': url(port=70000),
        'port no number': url(port='x'),
        'unknown host': url(host=labs.NOWHERE),
        'localhost': url(host='localhost'),
        'other loopback': url(host='127.0.0.9'),
        'short address': url(host='127.1'),
        'bracketed IPv6': url(host='[::1]'),
        'bare IPv6': url(host='::1'),
        'two hosts': url(host='127.0.0.1:1,127.0.0.1'),
        'jobboard port': url(port=lambda system: system.board.options[
            'jobboard_backend_port']),
        'charset': query(charset='utf8mb4'),
        'charset utf8': query(charset='utf8'),
        'charset utf-8': query(charset='utf-8'),
        'charset unknown': query(charset='nonsense'),
        'charset misspelt': query(chraset='utf8'),
        'charset twice': around('', '?charset=utf8&charset=utf8mb4'),
        'time-out': query(connect_timeout='5'),
        'time-out word': query(connect_timeout='soon'),
        'time-out zero': query(connect_timeout='0'),
        'time-out negative': query(connect_timeout='-1'),
        'time-out of years': query(connect_timeout='31536001'),
        'read time-out': query(read_timeout='5'),
        'ssl true': query(ssl='true'),
        'ssl disabled': query(ssl_disabled='true'),
        'ssl_ca missing': query(ssl_ca='/no/such/file'),
        'ssl_ca': lambda system: query(
            ssl_ca=system.lab.authority.cert)(system),
        'ssl_ca of a stranger': lambda system: query(
            ssl_ca=system.lab.stranger.cert)(system),
        'ssl_verify_cert': query(ssl_verify_cert='true'),
        'ssl_check_hostname': query(ssl_check_hostname='false'),
        'sslmode require': query(sslmode='require'),
        'sslmode prefer': query(sslmode='prefer'),
        'sslmode disable': query(sslmode='disable'),
        'sslmode on': query(sslmode='on'),
        'no query': url(query={}),
        'host in query': query(host='127.0.0.1'),
        'port in query': query(port='3306'),
        'user in query': lambda system: query(
            user=str(system.database.parts['user']))(system),
        'password in query': lambda system: systems.written(
            system.database.url(
                password=None, query=dict(system.database.parts['query'])
                | {'password': system.database.parts['password']})),
        'ampersand': around('', '&charset=utf8'),
        'quoted query': around('', '%3Fcharset=utf8'),
        'space': around('', ' '),
        'space inside': url(host='127.0.0.1 '),
        'inside quotes': around('"', '"'),
        'half quoted': around('"', ''),
        'comment': around('', ' # the database'),
        'angle brackets': around('<', '>')},
    'jobboard_enabled': _BOOLEANS,
    'jobboard_backend_driver': {
        'redis': 'redis_taskflow_driver',
        'zookeeper': 'zookeeper_taskflow_driver',
        'etcd': 'etcd_taskflow_driver', 'short': 'redis', 'empty': '',
        'capital': 'Redis_taskflow_driver', 'None': 'None',
        'absent': systems.ABSENT},
    'jobboard_backend_hosts': {
        'absent': systems.ABSENT, 'empty': '', 'localhost': 'localhost',
        'other loopback': '127.0.0.9', 'short address': '127.1',
        'unknown': labs.NOWHERE, 'unknown first': hosts(
            f'{labs.NOWHERE},{{all}}'),
        'unknown last': hosts(f'{{all}},{labs.NOWHERE}'),
        'dead first': hosts('127.0.0.9,{all}'),
        'dead last': hosts('{all},127.0.0.9'),
        'twice': hosts('{first},{first}'), 'first': hosts('{first}'),
        'with port': hosts('{first}:{port}'),
        'with scheme': hosts('redis://{first}'),
        'http': hosts('http://{first}'),
        'bracketed': hosts('[{first}]'), 'IPv6': '::1',
        'bracketed IPv6': '[::1]', 'semicolon': hosts('{first};{first}'),
        'space': hosts('{first} {first}'), 'quoted': hosts("'{first}'"),
        'list': hosts("['{first}']"), 'comma': hosts('{all},'),
        'comma first': hosts(',{all}'), 'slash': hosts('{first}/'),
        'chroot': hosts('{first}:{port}/octavia'),
        'capital': 'LOCALHOST', 'dot': 'localhost.',
        'placeholder': '<host>.invalid', 'comment': hosts('{all} # one')},
    'jobboard_backend_port': {
        'absent': systems.ABSENT, 'empty': '', 'zero': '0',
        'too large': '99999',
        'negative': '-1', 'word': 'redis', 'None': 'None',
        'closed': lambda system: str(system.lab.closed),
        'silent': lambda system: str(system.lab.silent),
        'database': lambda system: str(system.database.parts['port']
                                       or system.lab.closed),
        'quoted': lambda system: '"{}"'.format(
            system.board.options['jobboard_backend_port']),
        'leading zero': lambda system: '0{}'.format(
            system.board.options['jobboard_backend_port']),
        'comment': lambda system: '{} # TLS'.format(
            system.board.options['jobboard_backend_port'])},
    'jobboard_backend_username': {
        'absent': systems.ABSENT, 'empty': '', 'unknown': 'nobody',
        'default': 'default', 'None': 'None', 'capital': 'Octavia'},
    'jobboard_backend_password': {
        'absent': systems.ABSENT, 'empty': '', 'wrong': 'wrong-one-77',
        'None': 'None', 'quoted': f'"{jobboards.PASSWORD}"',
        'half quoted': f'"{jobboards.PASSWORD}',
        'substituted': 'p$x', 'another option': '$jobboard_backend_username',
        'dollars': 'p$$x', 'trailing dollar': 'px$',
        'comment': f'{jobboards.PASSWORD} # secret',
        'placeholder': 'CHANGEME', 'template': '{{ password }}'},
    'jobboard_backend_namespace': {
        'absent': systems.ABSENT, 'empty': '', 'short': 'a', 'space': 'a b',
        'slash': 'a/b', 'slash first': '/a', 'slash last': 'a/',
        'slashes': 'a//b', 'up': '../a', 'dot': '.', 'dots': '..',
        'colon': 'a:b', 'star': 'a*', 'mark': 'a?', 'set': '[ab]',
        'hash': 'a#b', 'percent': '100%', 'dollars': 'a$$b',
        'unicode': 'größe', 'long': 'x' * 64, 'longer': 'x' * 200,
        'longest': 'x' * 2000, 'quoted': "'octavia_jobboard'",
        'half quoted': "'octavia_jobboard", 'template': '{{ ns }}',
        'placeholder': '<namespace>', 'None': 'None', 'capital': 'OCTAVIA',
        'comment': 'octavia_jobboard # ours', 'sub': 'octavia_jobboard/sub',
        'colon last': 'octavia_jobboard:'},
    'jobboard_redis_backend_db': {
        'zero': '0', 'one': '1', 'last': '15', 'too large': '16',
        'negative': '-1', 'word': 'many', 'empty': '', 'None': 'None'},
    'jobboard_redis_sentinel': {
        'absent': systems.ABSENT, 'empty': '', 'right': jobboards.MASTER,
        'another': 'mymaster', 'capital': 'Jobs', 'None': 'None',
        'quoted': f'"{jobboards.MASTER}"', 'false': 'False'},
    'jobboard_redis_sentinel_username': {
        'absent': systems.ABSENT, 'empty': '', 'unknown': 'nobody',
        'default': 'default', 'None': 'None'},
    'jobboard_redis_sentinel_password': {
        'absent': systems.ABSENT, 'empty': '', 'wrong': 'wrong-one-77',
        'right': jobboards.PASSWORD, 'substituted': 'p$x', 'None': 'None'},
    'jobboard_redis_backend_ssl_options': _redis_values(jobboards.REDIS_TLS),
    'jobboard_redis_sentinel_ssl_options': _redis_values(
        jobboards.SENTINEL_TLS),
    'jobboard_zookeeper_ssl_options': {
        'absent': systems.ABSENT, 'empty': '', 'bare': 'use_ssl',
        'on': 'use_ssl:True', 'off': _ZOOKEEPER(use_ssl='False'),
        'yes': _ZOOKEEPER(use_ssl='yes'),
        'maybe': _ZOOKEEPER(use_ssl='maybe'),
        'unverified': _ZOOKEEPER(use_ssl='True', verify_certs='False'),
        'verify maybe': _ZOOKEEPER(verify_certs='maybe'),
        'no use_ssl': _ZOOKEEPER('use_ssl'),
        'no certificate': _ZOOKEEPER('certfile', 'keyfile'),
        'no key': _ZOOKEEPER('keyfile'),
        'only key': _ZOOKEEPER('certfile'),
        'missing key': _ZOOKEEPER(keyfile='/no/such/file'),
        'certificate': _ZOOKEEPER(certfile=lambda lab: lab.client.cert,
                                  keyfile=lambda lab: lab.client.key),
        'another certificate': _ZOOKEEPER(
            certfile=lambda lab: lab.strange_client.cert,
            keyfile=lambda lab: lab.strange_client.key),
        'another key': _ZOOKEEPER(
            certfile=lambda lab: lab.client.cert,
            keyfile=lambda lab: lab.strange_client.key),
        'password': _ZOOKEEPER(keyfile_password='secret'),
        'authority': _ZOOKEEPER(ca=_authority),
        'None': _ZOOKEEPER(keyfile='None', certfile='None')},
    'jobboard_etcd_ssl_options': {
        'absent': systems.ABSENT, 'empty': '', 'bare': 'use_ssl',
        'on': 'use_ssl:True', 'off': _ETCD(use_ssl='False'),
        'nothing': _ETCD(use_ssl=''), 'no use_ssl': _ETCD('use_ssl'),
        'no authority': _ETCD('ca_cert'),
        'another authority': _ETCD(ca_cert=_stranger),
        'missing authority': _ETCD(ca_cert='/no/such/file'),
        'authority empty': _ETCD(ca_cert=''),
        'no certificate': _ETCD('cert_cert', 'cert_key'),
        'no key': _ETCD('cert_key'), 'only key': _ETCD('cert_cert'),
        'certificate': _ETCD(cert_cert=lambda lab: lab.client.cert,
                             cert_key=lambda lab: lab.client.key),
        'another certificate': _ETCD(
            cert_cert=lambda lab: lab.strange_client.cert,
            cert_key=lambda lab: lab.strange_client.key),
        'another key': _ETCD(cert_cert=lambda lab: lab.client.cert,
                             cert_key=lambda lab: lab.strange_client.key),
        'unknown key': _ETCD(verify='False'),
        'None': _ETCD(cert_cert='None', cert_key='None')},
    'jobboard_etcd_timeout': {
        'absent': systems.ABSENT, 'five': '5', 'one': '1', 'zero': '0',
        'negative': '-1', 'empty': '', 'None': 'None', 'fraction': '1.5'},
    'jobboard_etcd_api_path': {
        'v3': '/v3/', 'v3alpha': '/v3alpha/', 'v3beta': '/v3beta/',
        'no slash': '/v3', 'no first slash': 'v3/', 'empty': '',
        'root': '/', 'None': 'None', 'unknown': '/v9/'},
    'jobboard_expiration_time': {
        'three': '3', 'one': '1', 'zero': '0', 'negative': '-1',
        'empty': '', 'unit': '30s', 'long': '100', 'longest': '99999999999',
        'None': 'None', 'fraction': '0.5'},
    'jobboard_save_logbook': _BOOLEANS,
}

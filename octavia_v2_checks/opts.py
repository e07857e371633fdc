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

"""The ``[task_flow]`` schema of Octavia 19, and this project's own options.

Names, defaults, choices and the release that introduced each option are facts
of Octavia (``octavia/common/config.py``, 4.0 to 19.0). The texts are our own.

Nothing here is ever registered on ``cfg.CONF``: Octavia registers the same
names there, and oslo.config refuses a second, different definition, which
would break the import of Octavia. Register :func:`task_flow_opts` on a private
:class:`oslo_config.cfg.ConfigOpts` only.
"""

from oslo_config import cfg
from oslo_config import types

from octavia_v2_checks import waivers
from octavia_v2_checks.option_types import DatabaseURL
from octavia_v2_checks.option_types import Duration as Duration
from octavia_v2_checks.option_types import LONGEST as LONGEST
from octavia_v2_checks.option_types import ReportFile as ReportFile
from octavia_v2_checks.option_types import Seconds
from octavia_v2_checks.option_types import SHORTEST as SHORTEST
from octavia_v2_checks.option_types import SSLOptions as SSLOptions
from octavia_v2_checks.option_types import Text
from octavia_v2_checks.option_types import Waiver as Waiver

TASK_FLOW = 'task_flow'
OWN_GROUP = 'octavia_v2_checks'

#: The Octavia release that introduced each option. ``persistence_connection``
#: is secret from 17.0 on; no option was ever renamed or removed.
SINCE = {
    'engine': '0.10',
    'max_workers': '0.10',
    'disable_revert': '5.0',
    'persistence_connection': '6.0',
    'jobboard_enabled': '7.0',
    'jobboard_backend_driver': '6.0',
    'jobboard_backend_hosts': '6.0',
    'jobboard_backend_port': '6.0',
    'jobboard_backend_username': '14.0',
    'jobboard_backend_password': '6.0',
    'jobboard_backend_namespace': '6.0',
    'jobboard_redis_backend_db': '16.0',
    'jobboard_redis_sentinel': '7.0',
    'jobboard_redis_sentinel_username': '15.0',
    'jobboard_redis_sentinel_password': '15.0',
    'jobboard_redis_backend_ssl_options': '6.0',
    'jobboard_redis_sentinel_ssl_options': '15.0',
    'jobboard_zookeeper_ssl_options': '6.0',
    'jobboard_etcd_ssl_options': '16.0',
    'jobboard_etcd_timeout': '16.0',
    'jobboard_etcd_api_path': '16.0',
    'jobboard_expiration_time': '6.0',
    'jobboard_save_logbook': '6.0',
}

_REDIS_TLS = {'ssl': False, 'ssl_keyfile': None, 'ssl_certfile': None,
              'ssl_ca_certs': None, 'ssl_cert_reqs': 'required'}
_ZOOKEEPER_TLS = {'use_ssl': False, 'keyfile': None, 'keyfile_password': None,
                  'certfile': None, 'verify_certs': True}
_ETCD_TLS = {'use_ssl': False, 'ca_cert': None, 'cert_key': None,
             'cert_cert': None}


def _redis_tls(name, help_text):
    return cfg.Opt(
        name, default=dict(_REDIS_TLS), help=help_text,
        type=SSLOptions(
            _REDIS_TLS, {'ssl': 'False', 'ssl_cert_reqs': 'required'}))


def task_flow_opts():
    """Return fresh definitions of all 23 options of ``[task_flow]``.

    :returns: a list of :class:`oslo_config.cfg.Opt`, in the order of the
        sample
    """
    return [
        cfg.StrOpt(
            'engine', default='parallel',
            choices=[
                ('parallel', 'Independent tasks of a flow run side by side.'),
                ('serial', 'One task after the other: slower, but easier to '
                           'follow in a log.')],
            help='How a worker runs the tasks of one flow. Any other value '
                 'stops the worker at its first request, not at start-up.'),
        cfg.IntOpt(
            'max_workers', default=5, min=1,
            help='Threads that run the tasks of one flow under the parallel '
                 'engine. Octavia accepts zero and negative numbers and then '
                 'fails every flow.'),
        cfg.BoolOpt(
            'disable_revert', default=False,
            help='Leave a failed flow as it is instead of reverting it. For '
                 'debugging only: every failure then leaves partly created '
                 'load balancers, ports and instances behind, and nothing '
                 'cleans them up.'),
        cfg.Opt(
            'persistence_connection', default='sqlite://', secret=True,
            type=DatabaseURL(type_name='database URL'),
            help='SQLAlchemy URL of the database in which every step of a '
                 'flow is recorded, such as '
                 'mysql+pymysql://USER:PASSWORD@HOST/octavia_persistence. The '
                 'default is in the memory of one process: with a jobboard, '
                 'another controller then finds no logbook for the job it '
                 'takes over, discards the job, and the load balancer stays '
                 'in PENDING permanently. Must not be the database of '
                 '[database] connection: both use a version table of the same '
                 'name.'),
        cfg.BoolOpt(
            'jobboard_enabled', default=False,
            help='Use a jobboard, so that another controller resumes the '
                 'flows of an interrupted one. When false, none of the '
                 'persistence and jobboard options below has any effect, and '
                 'a flow is lost with its worker.'),
        cfg.StrOpt(
            'jobboard_backend_driver', default='redis_taskflow_driver',
            choices=[
                ('redis_taskflow_driver', 'Redis or Valkey, alone or behind '
                                          'Sentinel.'),
                ('zookeeper_taskflow_driver', 'A ZooKeeper ensemble.'),
                ('etcd_taskflow_driver', 'etcd through its gRPC gateway '
                                         '(Octavia 16.0 and later).')],
            help='The kind of server that holds the jobs. The port, the '
                 'hosts and the TLS options must belong to the same kind.'),
        cfg.ListOpt(
            'jobboard_backend_hosts', default=['127.0.0.1'],
            help='Names or addresses of the jobboard servers, without port or '
                 'scheme. ZooKeeper uses all of them. Redis with a Sentinel '
                 'name uses all of them, as Sentinels. Plain Redis and etcd '
                 'use only the first. Write IPv6 addresses in brackets for '
                 'ZooKeeper and without for Redis and etcd.'),
        cfg.PortOpt(
            'jobboard_backend_port', default=6379, min=1,
            help='One port for all hosts: usually 6379 for Redis, 26379 '
                 'where the hosts are Sentinels, 2181 for ZooKeeper and 2379 '
                 'for etcd. A value out of range is noticed only when a '
                 'worker first connects.'),
        cfg.Opt(
            'jobboard_backend_username', type=Text(),
            help='Redis ACL user. Leave unset for a server that has only a '
                 'password. ZooKeeper and etcd ignore it: Octavia cannot '
                 'authenticate to them.'),
        cfg.Opt(
            'jobboard_backend_password', type=Text(), secret=True,
            help='Password of the Redis server or ACL user. Write $ as $$. '
                 'ZooKeeper and etcd ignore it.'),
        cfg.Opt(
            'jobboard_backend_namespace', default='octavia_jobboard',
            type=types.String(regex=r'\S', type_name='name'),
            help='Prefix of every key on the jobboard. Controllers with '
                 'different namespaces never see the jobs of each other; two '
                 'clouds with the same namespace on the same server claim the '
                 'jobs of each other.'),
        cfg.IntOpt(
            'jobboard_redis_backend_db', default=0, min=0,
            help='Number of the Redis database. The server refuses numbers '
                 'beyond its "databases" setting, usually 15.'),
        cfg.Opt(
            'jobboard_redis_sentinel', type=Text(),
            help='Name under which the Sentinels know the Redis master. Set '
                 'it when, and only when, hosts and port are those of '
                 'Sentinels. Omit the line otherwise: Octavia uses even an '
                 'empty value as a name.'),
        cfg.Opt(
            'jobboard_redis_sentinel_username', type=Text(),
            help='ACL user for the Sentinels themselves. With a user name a '
                 'Sentinel without authentication refuses the connection.'),
        cfg.Opt(
            'jobboard_redis_sentinel_password', type=Text(), secret=True,
            help='Password for the Sentinels themselves, not the one of '
                 'Redis. Write $ as $$.'),
        _redis_tls(
            'jobboard_redis_backend_ssl_options',
            'TLS to Redis: ssl, ssl_keyfile, ssl_certfile, ssl_ca_certs and '
            'ssl_cert_reqs (none, optional or required), as KEY:VALUE pairs. '
            'What is written replaces the whole default, and with ssl false '
            'the other keys have no effect. "None" is used as the name of a '
            'file: omit the key instead.'),
        _redis_tls(
            'jobboard_redis_sentinel_ssl_options',
            'TLS to the Sentinels, with the keys of '
            'jobboard_redis_backend_ssl_options. It is not inherited from '
            'there.'),
        cfg.Opt(
            'jobboard_zookeeper_ssl_options', default=dict(_ZOOKEEPER_TLS),
            type=SSLOptions(
                _ZOOKEEPER_TLS, {'use_ssl': 'False', 'verify_certs': 'True'}),
            help='TLS to ZooKeeper: use_ssl, keyfile, keyfile_password, '
                 'certfile and verify_certs, as KEY:VALUE pairs. There is no '
                 'key for a CA: a private one must be in the system store or '
                 'in SSL_CERT_FILE. A value that is neither true nor false '
                 'turns TLS off.'),
        cfg.Opt(
            'jobboard_etcd_ssl_options', default=dict(_ETCD_TLS),
            type=SSLOptions(_ETCD_TLS, {'use_ssl': ''}),
            help='TLS to etcd: use_ssl, ca_cert, cert_key and cert_cert, as '
                 'KEY:VALUE pairs. Octavia treats any text after use_ssl as '
                 'true, including "False": leave the value empty to turn it '
                 'off. A dictionary without use_ssl stops the worker with a '
                 'KeyError.'),
        cfg.Opt(
            'jobboard_etcd_timeout', type=Seconds(),
            help='Seconds to wait for an answer from etcd. Unset means no '
                 'limit: a silent etcd then blocks the worker silently.'),
        cfg.Opt(
            'jobboard_etcd_api_path', type=Text(),
            help='Path of the gRPC gateway, such as /v3/. Omit the line to '
                 'ask the server; a wrong path looks like an empty jobboard.'),
        cfg.IntOpt(
            'jobboard_expiration_time', default=30, min=1,
            help='Seconds until another worker can claim the job of a worker '
                 'that died. A worker renews its claim four times in this '
                 'time; one that is delayed for more than half of it loses '
                 'the job and the flow runs twice. 100 is a common choice.'),
        cfg.BoolOpt(
            'jobboard_save_logbook', default=False,
            help='Keep the records of finished flows for analysis. Nothing '
                 'ever deletes them: the persistence database grows without '
                 'limit.'),
    ]


def own_opts():
    """Return fresh definitions of the options of ``[octavia_v2_checks]``.

    ``driver`` is the option that oslo.config itself reads from the group named
    in ``[DEFAULT] config_source``; it is here so that the sample shows it and
    oslo-config-validator knows it.

    :returns: a list of :class:`oslo_config.cfg.Opt`
    """
    return [
        cfg.StrOpt(
            'driver',
            help='Set it to octavia_v2_checks, and add the name of this group '
                 'to [DEFAULT] config_source, to have the checks run inside '
                 '"octavia-status upgrade check". Other programs ignore it.'),
        cfg.StrOpt(
            'stock_check', default='replace',
            choices=[
                ('replace', 'Skip the row "AmphoraV2 Check", which these '
                            'checks replace.'),
                ('keep', 'Run it too. It can take many minutes and writes to '
                         'the backends.')],
            help='What to do with the amphorav2 row of Octavia itself in '
                 '"octavia-status upgrade check".'),
        cfg.Opt(
            'probe_timeout', default=5.0, type=Duration(),
            help='Seconds that one question to a server may take. A server '
                 'that is silent for longer is reported as timed out.'),
        cfg.Opt(
            'deadline', default=20.0, type=Duration(),
            help='Seconds that all probes together may take. What has no '
                 'answer by then is reported as undetermined, a failure.'),
        cfg.ListOpt(
            'skip', default=[],
            help='Ids of checks to skip, such as jobboard. The report names '
                 'them.'),
        cfg.StrOpt(
            'fail_level', default='warning',
            choices=[('warning', 'Exit with 1 when there are only warnings.'),
                     ('failure', 'Exit with 0 when there are only warnings.')],
            help='The lowest severity that stops a pipeline, with an exit '
                 'code other than 0.'),
        cfg.MultiOpt(
            'waivers', item_type=Waiver(),
            help='A finding that is not to count for some time, written '
                 f'{waivers.FORM}. May be given several times. The finding '
                 'stays in every report, with the reason; the day is the last '
                 'one, in UTC. HOST is the server that the finding names, '
                 'with or without its port.'),
        cfg.MultiOpt(
            'report_file', item_type=ReportFile(),
            help='Write a report to a file, given as FORMAT:PATH, such as '
                 'junit:/var/log/octavia/checks.xml. May be given several '
                 'times. The formats are those of --format; "octavia-status '
                 'upgrade check" writes them too.'),
        cfg.Opt(
            'wait', default=0.0, type=Duration(0.0),
            help='Seconds for which failing checks are run again until they '
                 'pass. The last attempt begins within this time and ends by '
                 'its own deadline.'),
    ]


def list_opts():
    """List the options that this project adds, for the namespace
    octavia_v2_checks.
    """
    return [(OWN_GROUP, own_opts())]


def list_task_flow_opts():
    """List the whole schema, for the namespace octavia_v2_checks.task_flow."""
    return [(TASK_FLOW, task_flow_opts())]

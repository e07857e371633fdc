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

"""The cells of the differential: one thing that is wrong, or well, each."""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import pathlib
from typing import Any
from typing import NamedTuple

from tests import boards
from tests import cells
from tests import octavia_board
from tests.servers import etcd
from tests.servers import mariadb
from tests.servers import process
from tests.servers import redis
from tests.servers import scripts
from tests.servers import zookeeper

NEVER = 'octavia.controller.worker.v2.flows.flow_utils.get_gone_flow'
SAVE = {'save': ('3600', '1')}
ZOOKEEPER = {'jobboard_backend_driver': 'zookeeper_taskflow_driver',
             'jobboard_backend_password': None}
ETCD = {'jobboard_backend_driver': 'etcd_taskflow_driver',
        'jobboard_backend_password': None}
SENTINEL = {'jobboard_redis_sentinel': 'jobs',
            'jobboard_backend_password': None}


class Lab:
    """The servers that most cells share."""

    def __init__(self, folder: pathlib.Path, database: mariadb.MariaDB,
                 board: redis.Redis) -> None:
        self.folder = folder
        self.database = database
        self.redis = board

    def system(self, database: mariadb.MariaDB | None = None
               ) -> cells.System:
        """A healthy system with a separate database."""
        return cells.System(self._folder(), database or self.database,
                            self.redis)

    def _folder(self):
        folder = self.folder / str(len(list(self.folder.iterdir())))
        folder.mkdir()
        return folder


class Cell(NamedTuple):
    """One row of the table.

    :ivar ids: findings that must be made here; none for a success
    :ivar why: why our verdict is the right one
    :ivar make: context manager that yields the configuration
    :ivar slow: whether the stock command needs long
    """

    title: str
    ids: tuple[str, ...]
    why: str
    make: Callable[[Lab], contextlib.AbstractContextManager[pathlib.Path]]
    slow: bool


CELLS: list[Cell] = []


def cell(title: str, *ids: str, why: str, slow: bool = False):
    """Register a generator function that yields a configuration."""
    def register(function: Callable[[Lab], Iterator[pathlib.Path]]):
        CELLS.append(Cell(title, ids, why,
                          contextlib.contextmanager(function), slow))
        return function

    return register


@cell('Healthy: MariaDB and Redis', why='Both are right.')
def healthy(lab):
    yield lab.system().config()


@cell('A configuration that sets nothing',
      why='The jobboard is off by default, and Octavia uses neither '
          'database nor board then.')
def defaults(lab):
    path = lab.system().config()
    path.write_text('[DEFAULT]\n')
    yield path


@cell('jobboard_enabled = false, and a persistence database is named',
      why='Nothing that is wrong with the board matters while it is off.')
def disabled(lab):
    yield lab.system().config(jobboard_enabled=False,
                              jobboard_backend_port=1)


def database_cell(title, id_, statements, why):
    """Register a cell in which SQL has spoilt the persistence database."""
    @cell(title, id_, why=why)
    def spoilt(lab):
        system = lab.system()
        lab.database.execute(statements.format(**vars(system)),
                             system.database)
        yield system.config()


for spoiling in (
        ('The persistence database was never migrated',
         'migration.uninitialised',
         'DROP TABLE alembic_version, atomdetails, flowdetails, logbooks',
         'Workers fail at their first flow: there are no tables.'),
        ('A table is missing', 'migration.incomplete',
         'DROP TABLE atomdetails',
         'Workers fail as soon as they record a task.'),
        ('A column is missing', 'migration.incomplete',
         'ALTER TABLE flowdetails DROP COLUMN meta',
         'Workers cannot save a flow.'),
        ('One migration is pending', 'migration.behind',
         "UPDATE alembic_version SET version_num = '40fc8c914bd2'",
         'octavia-db-manage upgrade_persistence was forgotten.'),
        ('The migration level is unknown to this TaskFlow',
         'migration.ahead',
         "UPDATE alembic_version SET version_num = 'feedfeedfeed'",
         'A newer release has migrated it; this one cannot do so again.'),
        ('The account may read and not write',
         'persistence.missing-privileges',
         'REVOKE INSERT, UPDATE, DELETE ON {database}.* FROM {user}',
         'Workers fail at their first INSERT.')):
    database_cell(*spoiling)


@cell('The persistence database is the one of Octavia itself',
      'config.persistence-shared',
      why='Both use the same table for their migration level, and the next '
          'migration of either fails.')
def shared(lab):
    system = lab.system()
    yield system.config({'database': {
        'connection': system.options['persistence_connection']}})


@cell('MariaDB with read_only', 'persistence.not-writable',
      why='It is a replica, or on its way to be one. A connection tells '
          'nothing of it.')
def read_only(lab):
    with mariadb.MariaDB(read_only=True) as server:
        yield lab.system(server).config()


@cell('A Galera node outside the primary component',
      'persistence.not-writable', why='It refuses every table.')
def galera(lab):
    with mariadb.MariaDB(**mariadb.galera()) as server:
        system = lab.system(server)
        server.execute(
            f"SET GLOBAL wsrep_cluster_address = 'gcomm://127.0.0.1:"
            f"{process.free_port()}?pc.wait_prim=no'")
        process.wait_until(lambda: server.execute(
            "SHOW GLOBAL STATUS LIKE 'wsrep_cluster_status'"
            )[0][1] != 'Primary', 'still Primary')
        yield system.config()


def redis_cell(title, id_, why, **options):
    """Register a cell with a Redis that has some options."""
    @cell(title, id_, why=why)
    def with_options(lab):
        with redis.Redis(**SAVE | options) as server:
            if 'cluster_enabled' in options:
                server.command('CLUSTER ADDSLOTSRANGE 0 16383')
                process.wait_until(
                    lambda: 'cluster_state:ok' in str(server.client(
                        ).execute_command('CLUSTER', 'INFO')), 'no cluster')
            yield lab.system().config(jobboard_backend_port=server.port)


redis_cell('Redis has used up maxmemory', 'jobboard.out-of-memory',
           'It refuses every job.', maxmemory='1mb')
redis_cell('Redis may evict keys', 'jobboard.eviction',
           'When memory runs short, it evicts jobs or claims.',
           maxmemory='64mb', maxmemory_policy='allkeys-lru')
redis_cell('Redis lacks the replicas that it needs to write',
           'jobboard.not-writable', 'It refuses every job.',
           min_replicas_to_write=1)
redis_cell('Redis Cluster', 'jobboard.cluster-mode',
           'Jobs can be posted, and no worker can ever claim one.',
           cluster_enabled='yes')


@cell('Redis is a replica', 'jobboard.replica',
      why='It refuses every job.')
def replica(lab):
    with redis.Redis(**SAVE) as server:
        server.command('REPLICAOF', lab.redis.host, lab.redis.port)
        process.wait_until(lambda: server.client().info()[
            'master_link_status'] == 'up', 'no copy')
        yield lab.system().config(jobboard_backend_port=server.port)


@cell('A Redis account that may read only', 'jobboard.missing-permission',
      why='A worker connects, and fails at its first job.')
def reader(lab):
    system = lab.system()
    lab.redis.command('ACL', 'SETUSER', 'reader', 'on',
                      f'>{cells.PASSWORD}', '~*', '+@read', '+@connection',
                      '+info')
    yield system.config(jobboard_backend_username='reader')


@cell('A Sentinel in the place of Redis', 'jobboard.is-sentinel',
      why='A Sentinel holds no data: workers fail at their first job.')
def is_sentinel(lab):
    with redis.Sentinel('jobs', lab.redis) as server:
        yield lab.system().config(jobboard_backend_port=server.port,
                                  jobboard_backend_password=None)


@cell('Provider "octavia" alone, and no Redis', 'jobboard.refused',
      why='"octavia" is an alias of the amphora provider, so its jobs do '
          'need the board.')
def alias(lab):
    with scripts.Refuse() as nobody:
        path = lab.system().config(jobboard_backend_port=nobody.port)
        path.write_text(path.read_text().replace(
            'amphora:The amphora driver', 'octavia:The alias'))
        yield path


@cell('jobboard_expiration_time = -5', 'config.invalid-value',
      why='Every claim has ended before it begins.')
def expiration(lab):
    yield lab.system().config(jobboard_expiration_time=-5)


@cell('jobboard_backend_port = 63z9', 'config.invalid-value',
      why='Both see it; ours names the file and the line.')
def port(lab):
    yield lab.system().config(jobboard_backend_port='63z9')


def place(lab, kind):
    """A board with a database, as the tests fill them."""
    system = lab.system()

    def write(sections=None, **options):
        return system.config(sections, **options)

    def sql(statements):
        return lab.database.execute(statements, system.database)

    return kind(lab.redis, lab.database.url(database=system.database), sql,
                write)


@cell('A job that this release of Octavia cannot resume',
      'inflight.flow-unresolvable',
      why='The first new worker discards the job, and its load balancer '
          'stays in PENDING permanently.')
def unresolvable(lab):
    spot = place(lab, boards.RedisPlace)
    with spot.board() as board:
        spot.post(board, factory=NEVER)
        yield spot.config()
    spot.close()


@cell('A load balancer in PENDING_UPDATE with no job behind it',
      'resources.pending', why='No worker will ever end that state.')
def pending(lab):
    system = lab.system()
    name = f'{system.database}_octavia'
    lab.database.execute(f'CREATE DATABASE {name}')
    path = system.config({'database': {
        'connection': lab.database.url(database=name)}})
    octavia_board.run(path, 'tables')
    lab.database.execute("UPDATE load_balancer SET updated_at = "
                         "'2020-01-01'", name)
    yield path


def at(server, **options):
    """The options that have the jobboard at a server."""
    return options | {'jobboard_backend_hosts': server.host,
                      'jobboard_backend_port': server.port}


@cell('ZooKeeper as it is installed', 'jobboard.version-hidden',
      why='Both see that workers cannot use it; the stock sentence fits '
          'every other fault too, and here it is one line of zoo.cfg.')
def default_zookeeper(lab):
    with zookeeper.ZooKeeper(whitelist=None) as server:
        yield lab.system().config(**at(server, **ZOOKEEPER))


@cell('ZooKeeper does not permit Octavia to create jobs',
      'jobboard.missing-permission',
      why='A worker connects, and fails at its first job.')
def closed_zookeeper(lab):
    from kazoo import security
    with zookeeper.ZooKeeper() as server:
        client = server.client()
        for path in ('/octavia_jobboard', '/.trash'):
            client.create(path, acl=[security.make_acl(
                'world', 'anyone', read=path != '/.trash', all=(
                    path == '/.trash'))])
        client.stop()
        yield lab.system().config(**at(server, **ZOOKEEPER))


@cell('etcd requires authentication', 'jobboard.auth-unsupported',
      why='Octavia cannot authenticate to etcd: it is refused at its first '
          'job.')
def etcd_login(lab):
    with etcd.Etcd() as server:
        for path, body in (
                ('user/add', {'name': 'root', 'password': 'x'}),
                ('role/add', {'name': 'root'}),
                ('user/grant', {'user': 'root', 'role': 'root'}),
                ('enable', {})):
            server.call(f'/v3/auth/{path}', body)
        yield lab.system().config(**at(server, **ETCD))


@cell('etcd has lost two of three members', 'jobboard.no-quorum',
      why='It answers with what it knows, but accepts no job.')
def etcd_quorum(lab):
    with etcd.Etcd(3) as cluster:
        first, *others = cluster.members
        for member in others:
            member.kill()
        process.wait_until(lambda: not first.healthy(), 'still a leader')
        yield lab.system().config(**at(first, **ETCD))


@cell('etcd is out of space', 'jobboard.out-of-space',
      why='It refuses every write until the alarm is cleared.')
def etcd_space(lab):
    with etcd.Etcd(quota_backend_bytes=2 * 1024 * 1024) as server:
        try:
            for _ in range(20):
                server.call('/v3/kv/put', {'key': 'Zm8=',
                                           'value': 'YWJj' * 100_000})
        except OSError:
            pass  # refused at last: an HTTPError is an OSError
        yield lab.system().config(**at(server, **ETCD))


def fault_cell(title, id_, script: Callable[[], Any], options=None):
    """Register a cell with a server that does not answer as it should.

    :param options: of the jobboard; None for the database
    """
    @cell(title, id_, why='Both see it; ours names the host and the cause.',
          slow=options is None or script is not scripts.Refuse)
    def faulty(lab):
        with script() as server:
            place = f'{server.host}:{server.port}'
            yield lab.system().config(
                **({'persistence_connection':
                    f'mysql+pymysql://octavia:octavia@{place}/p'}
                   if options is None else at(server, **options)))


@cell('The host name of MySQL does not resolve', 'persistence.unresolvable',
      why='Both see it, if one waits.', slow=True)
def unknown_name(lab):
    yield lab.system().config(persistence_connection='mysql+pymysql://'
                              'octavia:octavia@no-such-host.invalid/p')


for name, fault_id, fault in (
        ('refuses', 'refused', scripts.Refuse),
        ('drops every packet', 'timeout', scripts.Blackhole),
        ('accepts and stays silent', 'timeout', scripts.Silent)):
    for product, board_options in (
            ('MySQL', None), ('Redis', {}), ('Sentinel', SENTINEL),
            ('ZooKeeper', ZOOKEEPER), ('etcd', ETCD)):
        area = 'persistence' if board_options is None else 'jobboard'
        fault_cell(f'{product} {name}', f'{area}.{fault_id}', fault,
                   board_options)

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

"""Boards with work on them: TaskFlow posts, claims, trashes and consumes."""

import base64
import contextlib
import functools
import pathlib
import re
import shlex
import subprocess
import uuid

from tests import commands
from tests import databases
from tests import octavia_board
from tests import probing
from tests import redis_probing
from tests import worker_board

CREATE = f'{octavia_board.FLOWS}.get_create_load_balancer_flow'

LISTENER = f'{octavia_board.FLOWS}.get_update_listener_flow'

LOAD_BALANCER = octavia_board.LOAD_BALANCER

#: Stands for the keys and certificates in what a job carries.
PAYLOAD = 'PAYLOAD-THAT-NOBODY-MAY-SEE'


#: Kind of database -> what gives another one the tables that TaskFlow made.
_TABLES: dict = {}


class Place:
    """A namespace on one server, and a separate persistence database.

    :param server: of :mod:`tests.servers`
    :param url: of the persistence database, which this migrates
    :param sql: runs statements in it
    """

    driver: str

    def __init__(self, server, url, sql, write_config):
        self.server = server
        self.url = url
        self.sql = sql
        self.namespace = probing.name('board')
        self._write_config = write_config
        self._migrate()

    def _migrate(self):
        """Let TaskFlow make the tables, once a kind of database: it takes
        as long as all the rest of a test.
        """
        kind = self.url.partition(':')[0]
        if kind in _TABLES:
            _TABLES[kind](self)
            return
        with self.persistence() as connection:
            connection.upgrade()
        if kind.startswith('mysql'):
            tables = [name for name, in self.sql('SHOW TABLES')]
            statements = ['SET foreign_key_checks = 0', *(
                self.sql(f'SHOW CREATE TABLE {name}')[0][1]
                for name in tables)]
            (version,), = self.sql('SELECT version_num FROM alembic_version')
            statements.append(
                f"INSERT INTO alembic_version VALUES ('{version}')")
            _TABLES[kind] = lambda other: other.sql('; '.join(statements))
        elif kind == 'sqlite':
            content = pathlib.Path(self.url[len('sqlite:///'):]).read_bytes()
            _TABLES[kind] = lambda other: pathlib.Path(
                other.url[len('sqlite:///'):]).write_bytes(content)

    def close(self):
        """Leave no connection behind."""
        self.backend.close()

    def config(self, sections=None, **options):
        hosts = getattr(self.server, 'hosts', None) or [self.server.host]
        return self._write_config(sections, **{
            'jobboard_enabled': True,
            'jobboard_backend_driver': self.driver,
            'jobboard_backend_hosts': hosts,
            'jobboard_backend_port': self.server.port,
            'jobboard_backend_namespace': self.namespace,
            'persistence_connection': self.url, **options})

    def probe(self, deadline=20, config=None, **options):
        """The findings of the check, which must keep every payload."""
        found = probing.probe('inflight', config or self.config(**options),
                              deadline)
        assert PAYLOAD not in repr(found)
        return found

    @functools.cached_property
    def backend(self):
        from taskflow.persistence import backends
        return backends.fetch({'connection': self.url})

    @contextlib.contextmanager
    def persistence(self):
        with contextlib.closing(self.backend.get_connection()) as connection:
            yield connection

    @contextlib.contextmanager
    def board(self):
        """The jobboard of TaskFlow."""
        from taskflow.jobs import backends
        with backends.backend(self.namespace, self.options(),
                              persistence=self.backend) as board:
            yield board

    def options(self):
        """The board as it is configured for TaskFlow."""
        raise NotImplementedError

    def save(self, factory=LISTENER, args=(), kwargs=None, state=None,
             meta=True):
        """Save a flow as the poster of Octavia does; return its logbook."""
        from taskflow.persistence import models
        id_ = str(uuid.uuid4())
        name = f'{factory.rpartition(".")[2]}-{id_}'
        book = models.LogBook(name)
        flow = models.FlowDetail(name, id_)
        flow.state = state
        if meta:
            flow.meta = {'factory': {'name': factory, 'args': list(args),
                                     'kwargs': kwargs or {}}}
        book.add(flow)
        with self.persistence() as connection:
            connection.save_logbook(book)
        return book

    def post(self, board, *, load_balancer=LOAD_BALANCER, **flow):
        """Save a flow and post its job, with something secret in it."""
        book = self.save(**flow)
        return board.post(book.name, book=book, details={'store': {
            'listener': {'tls_container': {'private_key': PAYLOAD}},
            'loadbalancer_id': load_balancer}})

    def run(self, remedy):
        """Do what a remedy says to the board, as an administrator."""
        raise NotImplementedError

    def run_sql(self, remedy):
        """Do what a remedy says to the persistence database."""
        statement = re.search(r'n the persistence database: (.*?;)', remedy)
        self.sql('PRAGMA foreign_keys = ON; ' + statement[1]
                 if self.url.startswith('sqlite') else statement[1])

    def state(self):
        """Everything on the server, to see that nothing changes it."""
        raise NotImplementedError

    def spoil(self):
        """Put an entry on the board that cannot be decoded; return its key."""
        raise NotImplementedError


class RedisPlace(Place):
    driver = 'redis_taskflow_driver'

    def options(self):
        return {'board': 'redis', 'host': self.server.host,
                'port': self.server.port, 'namespace': self.namespace,
                'ssl': False}

    def run(self, remedy):
        redis_probing.run(self.server, remedy.partition('. And free')[0])

    def state(self):
        with self.server.client() as client:
            client.connection_pool.connection_kwargs[
                'decode_responses'] = False
            keys = client.keys('*')
            with client.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.dump(key).pexpiretime(key)
                said = iter(pipe.execute())
            return dict(zip(keys, zip(said, said, strict=True), strict=True))

    def spoil(self):
        self.server.command('HSET', f'{self.namespace}:listings', 'odd',
                            'not MessagePack')
        return 'odd'


class ZooKeeperPlace(Place):
    driver = 'zookeeper_taskflow_driver'

    def options(self):
        return {'board': 'zookeeper', 'path': f'/{self.namespace}',
                'hosts': f'{self.server.host}:{self.server.port}'}

    @contextlib.contextmanager
    def _client(self):
        client = self.server.client()
        try:
            yield client
        finally:
            client.stop()
            client.close()

    def close(self):
        """Empty the trash too, which all namespaces of a server share."""
        super().close()
        with self._client() as client:
            if client.exists('/.trash'):
                for name in client.get_children('/.trash'):
                    client.delete(f'/.trash/{name}')

    def run(self, remedy):
        with self._client() as client:
            for path in re.findall(r'delete (/[\w./]+\d)', remedy):
                client.delete(path)

    def state(self):
        from kazoo import exceptions
        with self._client() as client:
            def walk(path):
                try:
                    data, stat = client.get(path)
                except exceptions.NoAuthError:
                    # It belongs to another test: it denies access to others.
                    return {path: client.exists(path).version}
                found = {path: (data, stat.version, stat.cversion)}
                for name in client.get_children(path):
                    found |= walk(f'{path}/{name}'.replace('//', '/'))
                return found
            return {path: what for path, what in walk('/').items()
                    if not path.startswith('/zookeeper')}

    def spoil(self):
        with self._client() as client:
            path = client.create(f'/{self.namespace}/job', b'{',
                                 sequence=True, makepath=True)
        return path.rpartition('/')[2]


class EtcdPlace(Place):
    driver = 'etcd_taskflow_driver'

    def options(self):
        return {'board': 'etcd', 'host': self.server.host,
                'port': self.server.port, 'path': self.namespace, 'ttl': 30}

    def run(self, remedy):
        for command in re.findall(r'etcdctl [^;]*', remedy):
            words = shlex.split(command.partition('. And free')[0])
            subprocess.run(words, check=True, capture_output=True,
                           env=commands.environment(ETCDCTL_API='3'))

    def state(self):
        found = self.server.call('/v3/kv/range', {
            'key': 'Lw==', 'range_end': 'MA=='})
        return found['header']['revision'], found.get('kvs')

    def spoil(self):
        key = f'/taskflow/jobs/{self.namespace}/job999.data'
        self.server.call('/v3/kv/put', {
            'key': base64.b64encode(key.encode()).decode(),
            'value': base64.b64encode(b'{').decode()})
        return '999'


#: Kind -> class, its server's fixture, what makes a database, whose fixture.
_PLACES = {
    'redis-mysql': (RedisPlace, 'redis', databases.mysql, 'mariadb'),
    'zookeeper-postgresql': (ZooKeeperPlace, 'zookeeper',
                             databases.postgresql, 'postgres'),
    'etcd-sqlite': (EtcdPlace, 'etcd', databases.sqlite, 'tmp_path'),
}

#: Each kind of board, and each kind of database.
KINDS = tuple(_PLACES)


def place(kind, fixture):
    """A place of one of the :data:`KINDS`, which the caller closes.

    :param fixture: ``request.getfixturevalue``
    """
    make, server, database, where = _PLACES[kind]
    return make(fixture(server), *database(fixture(where)),
                fixture('write_config'))


def finish(place, board, jobs):
    """End jobs as a conductor of Octavia does."""
    for job in jobs:
        worker_board.known(board, board.claim, job, 'worker')
        worker_board.known(board, board.consume, job, 'worker')
        with place.persistence() as connection:
            connection.destroy_logbook(job.book.uuid)

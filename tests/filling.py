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

"""Boards with more jobs than can be posted one by one."""

import base64
import json

from oslo_serialization import jsonutils
from oslo_utils import timeutils
from taskflow.jobs import base
from taskflow.jobs.backends import impl_redis
from taskflow.persistence import models

from tests import boards

#: etcd takes no more than 128 operations at once, ZooKeeper 1 MiB.
_BATCH = 64

#: As long as the dictionary of a load balancer with a few listeners.
_PAYLOAD = [{'listener_id': str(n), 'name': 'x' * 80} for n in range(20)]

_META = json.dumps({'factory': {
    'name': boards.LISTENER, 'args': [], 'kwargs': {'flavor_dict': None},
    'padding': 'x' * 2500}})


def uuid(number: int, kind: int) -> str:
    """A uuid that MariaDB can make too."""
    return f'{kind:08d}-0000-4000-8000-{number:012d}'


def redis(server, namespace: str, count: int, payload=_PAYLOAD) -> None:
    """Post jobs as TaskFlow writes them; numbers 1 to *count*.

    Every fourth is claimed, and every fourth was.

    :param payload: what else is in each
    """
    with server.client() as client:
        client.connection_pool.connection_kwargs['decode_responses'] = False
        for numbers in _batches(count, payload):
            with client.pipeline(transaction=False) as pipe:
                for number in numbers:
                    id_ = uuid(number, 2)
                    posting = _posting(number, payload)
                    pipe.hset(f'{namespace}:listings', id_,
                              impl_redis.RedisJobBoard._dumps(
                                  posting | {'sequence': number}))
                    if number % 4 == 0:
                        pipe.set(f'{namespace}:{id_}.owned', 'worker',
                                 px=3600000)
                    if number % 2 == 0:
                        pipe.set(f'{namespace}:{id_}.last_modified', b'x')
                pipe.execute()


def zookeeper(server, namespace: str, count: int, payload=_PAYLOAD) -> None:
    """As :func:`redis`, but a job that was claimed shows no trace of it."""
    client = server.client()
    try:
        client.ensure_path(f'/{namespace}')
        for numbers in _batches(count, payload):
            batch = client.transaction()
            for number in numbers:
                path = f'/{namespace}/job{number:010d}'
                batch.create(path, _json(_posting(number, payload)))
                if number % 4 == 0:
                    batch.create(f'{path}.lock', _json({'owner': 'worker'}))
            batch.commit()
    finally:
        client.stop()
        client.close()


def etcd(server, namespace: str, count: int, payload=_PAYLOAD) -> None:
    """As :func:`redis`."""
    lease = int(server.call('/v3/lease/grant', {'TTL': 3600})['ID'])
    for numbers in _batches(count, payload):
        puts = []

        def put(stem, kind, value, into=puts, **more):
            key = f'/taskflow/jobs/{namespace}/job{stem}.{kind}'
            into.append({'request_put': {
                'key': base64.b64encode(key.encode()).decode(),
                'value': base64.b64encode(_json(value)).decode(), **more}})

        for number in numbers:
            put(number, 'data',
                _posting(number, payload) | {'sequence': number})
            if number % 4 == 0:
                put(number, 'lock', {'owner': 'worker', 'lease_id': lease},
                    lease=lease)
            if number % 2 == 0:
                put(number, 'last_modified', {'last_modified': 'then'})
        server.call('/v3/kv/txn', {'success': puts})


def _batches(count, payload):
    """Yield numbers, as many as one transaction may hold."""
    size = _BATCH if payload is _PAYLOAD else 1
    for start in range(1, count + 1, size):
        yield range(start, min(start + size, count + 1))


def _posting(number, payload):
    book = models.LogBook('flow-' + uuid(number, 3), uuid(number, 1))
    return base.format_posting(
        uuid(number, 2), book.name, timeutils.utcnow(), book=book,
        details={'store': {'listeners': payload,
                           'loadbalancer_id': uuid(number, 4)}})


def _json(value):
    return jsonutils.dump_as_bytes(value)


def mariadb(server, database: str, count: int, atoms: int = 10) -> None:
    """Save the flows of such jobs, and the details of their tasks."""
    def id_(kind, number='seq'):
        return (f"CONCAT('{kind:08d}-0000-4000-8000-', "
                f"LPAD({number}, 12, '0'))")

    now = 'utc_timestamp(), utc_timestamp()'
    server.execute(
        f"INSERT INTO logbooks (created_at, updated_at, name, uuid) SELECT "
        f"{now}, {id_(1)}, {id_(1)} FROM seq_1_to_{count}; "
        f"INSERT INTO flowdetails (created_at, updated_at, parent_uuid, "
        f"meta, state, name, uuid) SELECT {now}, {id_(1)}, '{_META}', "
        f"IF(seq % 2, NULL, 'RUNNING'), 'flow', {id_(3)} FROM "
        f"seq_1_to_{count}; "
        f"INSERT INTO atomdetails (created_at, updated_at, parent_uuid, "
        f"name, state, uuid, atom_type, intention) SELECT {now}, "
        f"{id_(3, 'f.seq')}, CONCAT('task-', a.seq), 'PENDING', "
        f"CONCAT(LPAD(a.seq, 8, '0'), '-0000-4000-9000-', "
        f"LPAD(f.seq, 12, '0')), 'TASK_DETAIL', 'EXECUTE' FROM "
        f"seq_1_to_{count} f, seq_1_to_{atoms} a", database)

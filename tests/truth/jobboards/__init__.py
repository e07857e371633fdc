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

"""Jobboards that cases have, sound ones and others.

To add one, write a function in the module of its server that starts it in a
:class:`lab.Lab` and returns a :class:`Board`, and register it with
``@board(NAME)``.
"""

from tests.truth import lab as labs
from tests.truth.jobboards import etcd
from tests.truth.jobboards import redis
from tests.truth.jobboards import sentinel
from tests.truth.jobboards import zookeeper
from tests.truth.jobboards.base import Board as Board
from tests.truth.jobboards.base import dictionary as dictionary
from tests.truth.jobboards.base import ETCD_TLS as ETCD_TLS
from tests.truth.jobboards.base import MASTER as MASTER
from tests.truth.jobboards.base import NAMESPACE as NAMESPACE
from tests.truth.jobboards.base import PASSWORD as PASSWORD
from tests.truth.jobboards.base import REDIS_TLS as REDIS_TLS
from tests.truth.jobboards.base import SENTINEL_TLS as SENTINEL_TLS
from tests.truth.jobboards.base import ZOOKEEPER_TLS as ZOOKEEPER_TLS

#: Their order is part of what a seed draws.
board = labs.Table(redis.board, sentinel.board, zookeeper.board, etcd.board)

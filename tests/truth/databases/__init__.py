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

"""Persistence databases that cases have, sound ones and others.

To add one, write a function in the module of its server that starts it in a
:class:`lab.Lab` and returns a :class:`Database`, and register it with
``@database(NAME)``.
"""

from tests.truth import lab as labs
from tests.truth.databases import mysql
from tests.truth.databases import postgres
from tests.truth.databases import sqlite
from tests.truth.databases.base import Database as Database

#: Their order is part of what a seed draws.
database = labs.Table(mysql.database, postgres.database, sqlite.database)

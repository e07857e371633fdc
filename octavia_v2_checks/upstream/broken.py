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

"""Releases that are known not to work with a setup, and what to install.

Every row was tested with the real release; tests/functional/test_broken.py
repeats that.
"""

import shlex
import sys
from typing import NamedTuple

from octavia_v2_checks.upstream import versions


class Broken(NamedTuple):
    """A range of releases, and what does not work with them.

    :ivar distribution: its name on PyPI
    :ivar setup: the setup with which they do not work
    :ivar since: the first of them; '' for every release before ``fixed``
    :ivar fixed: the first release after them; None as long as there is none
    :ivar fails: what happens, as the end of a sentence
    """

    distribution: str
    setup: str
    since: str
    fixed: str | None
    fails: str

    @property
    def requirement(self) -> str:
        """What pip should install instead: the nearest series that works.

        A later one may need different clients and libraries.
        """
        return self.distribution + (
            f'~={self.fixed}' if self.fixed else f'<{self.since}')

    @property
    def command(self) -> str:
        """The command that installs it for the running Python."""
        return (f'{shlex.quote(sys.executable)} -m pip install '
                f'{shlex.quote(self.requirement)}')


TABLE = (
    Broken('taskflow', 'migration-mysql', '6.0.0', '6.0.1',
           'the migration to 00af93df9d77 raises a TypeError on MySQL and '
           'MariaDB'),
    Broken('taskflow', 'migration-sqlalchemy-2', '', '5.7.0',
           'every migration raises an AttributeError with SQLAlchemy 2'),
    Broken('taskflow', 'sentinel-without-tls', '', '6.0.0',
           'an entry in jobboard_redis_backend_ssl_options or '
           'jobboard_redis_sentinel_ssl_options other than ssl raises a '
           'TypeError with Sentinels where TLS is off'),
    Broken('kazoo', 'tls', '2.11.0', None,
           'asking ZooKeeper for its version over TLS, which TaskFlow does '
           'first, raises an AttributeError'),
    Broken('PyMySQL', 'tls-identity', '1.0.0', '1.2.4',
           'ssl_verify_identity alone verifies nothing'),
)


def lookup(distribution: str, version: str | None, setup: str
           ) -> Broken | None:
    """Return what is known to fail with a release in a setup, or None.

    :param version: the one that is installed; None if it is not
    :param setup: as :data:`TABLE` names it
    """
    for row in TABLE:
        if version and (row.distribution, row.setup) == (
                distribution, setup):
            early = row.since and versions.older(version, row.since)
            late = (not versions.older(version, row.fixed) if row.fixed
                    else versions.older(row.since, version))
            if not early and not late:
                return row
    return None


def migration(kind: str) -> Broken | None:
    """Return what keeps the installed TaskFlow from migrating, or None.

    :param kind: of database, such as ``mysql``
    """
    taskflow = versions.installed('taskflow')
    found = lookup('taskflow', taskflow, f'migration-{kind}')
    sqlalchemy = versions.installed('SQLAlchemy')
    if not found and sqlalchemy and not versions.older(sqlalchemy, '2.0'):
        found = lookup('taskflow', taskflow, 'migration-sqlalchemy-2')
    return found

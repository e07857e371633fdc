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

"""SQLAlchemy's engine of a URL, as a worker's, but without a pool."""

import re
from typing import Any

from octavia_v2_checks.backends import database
from octavia_v2_checks.backends import net
from octavia_v2_checks.backends.database import faults

_NO_URL = 'persistence_connection is not a URL that SQLAlchemy knows'


def make(text: str) -> Any:
    """Return the engine of a URL; nothing is contacted.

    :raises database.Unusable: if SQLAlchemy cannot use it
    :raises net.Fault: ``driver-missing``
    """
    import sqlalchemy
    from sqlalchemy import exc
    from sqlalchemy import pool
    try:
        url = sqlalchemy.engine.make_url(text)
        kind = url.get_backend_name()
        engine = sqlalchemy.create_engine(url, future=True, **_options(
            kind, url.get_driver_name(), pool))
    except exc.NoSuchModuleError as error:
        found = re.search(r'sqlalchemy\.plugins:([\w.-]+)', str(error.args))
        if found:
            raise faults.plugin_missing(found[1]) from None
        raise database.Unusable(_NO_URL) from None
    except (exc.ArgumentError, ValueError):
        raise database.Unusable(_NO_URL) from None
    except ImportError as error:
        raise faults.module_missing(error) from None
    except Exception as error:
        # Not an error of SQLAlchemy: a plug-in may raise anything.
        raise net.Fault(
            'undetermined', 'SQLAlchemy cannot create an engine from '
                            'persistence_connection '
                            f'({type(error).__name__}).') from None
    if kind in ('mysql', 'mariadb'):
        # There is no transaction to end, and a Galera node outside the primary
        # component refuses the statement.
        dialect: Any = engine.dialect
        dialect.do_rollback = dialect.do_commit = lambda _connection: None
    return engine


def _options(kind: str, driver: str, pool: Any) -> dict[str, Any]:
    options: dict[str, Any] = {'poolclass': pool.NullPool}
    if kind != 'postgresql':
        options['isolation_level'] = 'AUTOCOMMIT'
    elif driver in ('psycopg2', 'psycopg'):
        # It would be queried after the login, inside a savepoint.
        options['use_native_hstore'] = False
    return options


def asked(engine: Any) -> dict[str, Any]:
    """Return the parameters that are passed to the driver.

    :raises database.Unusable: if SQLAlchemy does not accept those of the URL
    """
    from sqlalchemy import exc
    try:
        return engine.dialect.create_connect_args(engine.url)[1]
    except exc.ArgumentError:
        raise database.Unusable(
            'persistence_connection names its hosts in a form that SQLAlchemy '
            'does not accept') from None
    except ValueError:
        raise database.Unusable(
            'persistence_connection has a parameter with a value that '
            'SQLAlchemy does not accept') from None

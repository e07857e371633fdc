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

"""Findings about the schema of the persistence database."""

from octavia_v2_checks.catalogue import Entry

ENTRIES = [
    Entry('migration.uninitialised', 'FAILURE',
          'The persistence database has no tables.',
          'The first flow of a worker fails with "table logbooks does not '
          'exist". Only octavia-db-manage creates the tables; the workers '
          'never do.',
          'Run octavia-db-manage upgrade_persistence on one controller.'),
    Entry('migration.behind', 'FAILURE',
          'The persistence database lacks migrations of the installed '
          'TaskFlow.',
          'Long flows no longer fit the old columns and fail half-way, or '
          'new columns are missing altogether. Octavia\'s upgrade guide does '
          'not mention the command.',
          'Run octavia-db-manage upgrade_persistence on one controller, with '
          'the workers stopped.'),
    Entry('migration.ahead', 'FAILURE',
          'The persistence database is at a revision that this release does '
          'not know.',
          'octavia-db-manage upgrade_persistence stops with "Can\'t locate '
          'revision". The database was migrated by a newer TaskFlow, or the '
          'version table was damaged.',
          'Install the TaskFlow release that introduced the revision, or '
          'restore the backup made before it.'),
    Entry('migration.foreign', 'FAILURE',
          'The version table belongs to Octavia\'s own database.',
          'Octavia and TaskFlow use a version table of the same name. In '
          'one database, whichever migrates second stops with "Can\'t '
          'locate revision".',
          'Create a separate database for persistence, grant the account '
          'privileges on it, and name it in [task_flow] '
          'persistence_connection.'),
    Entry('migration.incomplete', 'FAILURE',
          'Tables, columns or indexes are missing that should be there at '
          'the recorded revision.',
          'A migration was interrupted (MySQL cannot roll one back), a '
          'backup was restored in part, or the version was stamped by hand. '
          'octavia-db-manage trusts the recorded revision and does not '
          'repair the rest.',
          'Set the version table to the revision that the schema really '
          'has, then run octavia-db-manage upgrade_persistence.'),
    Entry('migration.upgrade-privileges', 'WARNING',
          'The account does not seem to have the privileges that the pending '
          'migration needs.',
          'The migration stops half-way, and MySQL cannot roll it back.',
          'As an administrator of the database server, grant the privileges '
          'for the duration of the upgrade, or run octavia-db-manage with '
          'another account in persistence_connection.'),
    Entry('migration.taskflow-broken', 'FAILURE',
          'The installed TaskFlow cannot run the pending migration.',
          'octavia-db-manage upgrade_persistence stops with a traceback and '
          'leaves the database at the last revision that worked: TaskFlow '
          '6.0.0 on MySQL and MariaDB, and releases before 5.7.0 with '
          'SQLAlchemy 2. Octavia\'s requirements allow both.',
          'Install a TaskFlow release that can, such as "pip install '
          '\'taskflow~=6.0.1\'", in the environment of Octavia on the host '
          'where octavia-db-manage runs.'),
    Entry('migration.undetermined', 'FAILURE',
          'The migration level could not be determined.',
          'Nothing is known about it, so the upgrade is not safe.',
          'Read the version table with the account in persistence_connection: '
          'SELECT version_num FROM alembic_version'),
]

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

"""The URL of the persistence database."""

from tests.unit.fragments import Case
from tests.unit.fragments import OFF

PRESENT = [
    *(Case('persistence-url', f'persistence_connection = {url}§\n')
      for url in (
          '', 'mysql', 'db.example.org/octavia_persistence',
          'mysql+pymysql:/o:pw@db/p', 'mysql-pymysql://o:pw@db/p',
          'myqsl+pymysql://o:pw@db/p', 'mariadb+pymysql://o:pw@db/p',
          'postgres://o:pw@db/p', 'MySQL+pymysql://o:pw@db/p',
          'mysql+pymsql://o:pw@db/p', 'mysql+aiomysql://o:pw@db/p',
          'postgresql+asyncpg://o:pw@db/p', 'oracle://o:pw@db/p',
          'mysql+pymysql://o:p@ss@db/p', 'mysql+pymysql://o:p/ss@db/p',
          'mysql+pymysql://o:p#ss@db/p', 'mysql+pymysql://o:p?ss@db/p',
          'mysql+pymysql://o:pw@db', 'mysql+pymysql://o:pw@db/',
          'mysql+pymysql://o:pw@/p', 'mysql+pymysql:///p',
          'mysql+pymysql://o:pw@db:3306x/p', 'mysql+pymysql://o:pw@db:0/p',
          'mysql+pymysql://o:pw@db:66666/p',
          'mysql+pymysql://o:pw@my db/p',
          'mysql+pymysql://o:pw@db/p&charset=utf8',
          'mysql+pymysql://o:pw@db/p;charset=utf8',
          'mysql+pymysql://o:pw@db/p charset=utf8',
          'mysql+pymysql://o:pw@db/p=utf8', 'mysql+pymysql://o:pw@db/p,q',
          'mysql+pymysql://o:pw@db/p%3Fcharset=utf8',
          'mysql+pymysql://o:pw@db//p', 'mysql+pymysql://o:pw@db/p/',
          'postgresql://o:pw@db/p/q',
          'mysql+pymysql://o:pw@db/p?charset=utf8?read_timeout=9',
          'mysql+pymysql://o:pw@db/p?charset=utf8;read_timeout=9',
          'mysql+pymysql://o:pw@db/p?charset=utf8&amp;read_timeout=9',
          'mysql+pymysql://o:pw@db/p??charset=utf8',
          'mysql+pymysql://o:pw@db/p?charset=utf8&charset=utf8mb4',
          'mysql+pymysql://o:pw@db/p?charset=utf-8',
          'mysql+pymysql://o:pw@db/p?charset=nonsense',
          'mysql+pymysql://o:pw@db/p?port=3306',
          'mysql+pymysql://o:pw@db/p?use_unicode=maybe',
          'mysql+mysqldb://o:pw@db/p?local_infile=2',
          'mysql+pymysql://o:pw@db1:3306,db2:3306/p',
          'mysql+pymysql://o:pw@db1:3306, db2:3306/p',
          'mysql+pymysql://o:pw@[fd00::1]:3306,[fd00::2]:3306/p',
          'postgresql://o:pw@db1:5432,db2:5432/p',
          'mysql+pymysql://o:pw@fd00::1/p', 'mysql+pymysql://fd00::1:3306/p',
          'postgresql://o:pw@2001:db8:0:0:0:0:0:1:15432/p',
          'mysql+pymysql://o:pw@[fd00::1/p', 'mysql+pymysql://o:pw@fd00::1]/p',
          'mysql+pymysql://o:pw@db/p?chraset=utf8',
          'mysql+pymysql://o:pw@db/p?ssl=true',
          'mysql+pymysql://o:pw@db/p?sslmode=require',
          'mysql+pymysql://o:pw@db/p?connect_timeout=soon',
          'mysql+pymysql://o:pw@db/p?connect_timeout=0',
          'mysql+pymysql://o:pw@db/p?connect_timeout=31536001',
          'mysql+mysqldb://o:pw@db/p?ssl_verify_cert=true',
          'postgresql+psycopg2://o:pw@db/p?charset=utf8',
          'postgresql+psycopg://o:pw@db/p?ssl_ca=/x',
          'postgresql://o:pw@db/p?connect_timeout=never',
          'postgresql://o:pw@db/p?connect_timeout=2.5',
          'postgresql+psycopg://o:pw@db/p?connect_timeout=2147483648',
          f'postgresql://o:pw@db/p?connect_timeout={"9" * 5000}',
          f'mysql+pymysql://o:pw@db/p?connect_timeout={"9" * 5000}',
          'mysql+pymysql://o:p%E2%82%AC@db/p',
          'mysql+pymysql://o:pw@db1,db2/p',
          'mysql+pymysql://o:pw@/p?host=db1&host=db2',
          'postgresql://o:pw@/p?host=db1&host=db2&port=5432',
          'postgresql://o:pw@db/p?sslmode=on')),

    Case('persistence-unset', '[task_flow]\njobboard_enabled = true§\n'
         'jobboard_backend_hosts = 10.0.0.1\n'),
    *(Case('persistence-unset', f'persistence_connection = {url}§\n')
      for url in ('sqlite://', 'sqlite:///', 'sqlite:///:memory:',
                  'memory://')),
    Case('persistence-sqlite', 'persistence_connection = '
         'sqlite:////var/lib/octavia/persistence.sqlite§\n'),

    *(Case('persistence-shared',
           f'[database]\nconnection = {main}\n[task_flow]\n'
           f'jobboard_enabled = true\njobboard_backend_hosts = 10.0.0.1\n'
           f'persistence_connection = {url}§\n', also=also)
      for main, url, also in (
          ('mysql+pymysql://a:x@db/octavia',
           'mysql+pymysql://b:y@db/octavia', ()),
          ('mysql+pymysql://a:x@db/octavia',
           'mysql+pymysql://a:x@db:3306/octavia', ()),
          ('mysql+pymysql://a:x@db:03306/octavia',
           'mysql+pymysql://a:x@DB./octavia', ()),
          ('mysql+mysqldb://a:x@db/octavia',
           'mysql+pymysql://a:x@db/octavia', ()),
          ('mariadb+pymysql://a:x@db/octavia',
           'mysql+pymysql://a:x@db/octavia', ()),
          ('mysql+pymysql://a:x@localhost/octavia',
           'mysql+pymysql://a:x@127.0.0.1/octavia', ()),
          ('mysql+pymysql://a:x@[::1]/octavia',
           'mysql+pymysql://a:x@localhost/octavia', ()),
          ('mysql+pymysql://a:x@localhost/octavia',
           'mysql+pymysql://a:x@/octavia?unix_socket=/run/m.sock', ()),
          ('mysql+pymysql://a:x@db/octavia?charset=utf8&read_timeout=60',
           'mysql+pymysql://a:x@db/octavia?read_timeout=60&charset=utf8',
           ()),
          ('mysql+pymysql://a:x@db/octavia%5Fmain',
           'mysql+pymysql://a:x@db/octavia_main', ()),
          ('mysql+pymysql://a:x@[FD00::1]/octavia',
           'mysql+pymysql://a:x@[fd00::1]/octavia', ()),
          ('mysql+pymysql://a:x@[fd00:0:0::1]/octavia',
           'mysql+pymysql://a:x@[fd00::1]/octavia', ()),
          ('postgresql://a:x@db/octavia',
           'postgresql+psycopg2://a:x@db:5432/octavia', ()),
          ('sqlite:////tmp/x/../octavia.db', 'sqlite:////tmp/octavia.db',
           ('persistence-sqlite',)))),
]

ABSENT = [
    *(Case('persistence-url', f'persistence_connection = {url}\n')
      for url in (
          'mysql+pymysql://o:p%40ss@db/p', 'mysql+pymysql://o@db/p',
          'mysql+pymysql://o:p:w@db:3306/p', 'mysql+pymysql://o:p+w%%@db/p',
          'mysql+pymysql://o:pw@[fd00::1]:3306/p',
          'mysql+pymysql://o@tenant:pw@db/p',
          'mysql+pymysql://o:pw@/p?unix_socket=/run/mysqld/mysqld.sock',
          'mysql+pymysql://o:pw@db/octavia-persistence',
          'mysql+pymysql://o:pw@db/p?charset=utf8mb4&read_timeout=60',
          'mysql+pymysql://o:pw@db/p?charset=GBK',
          'mysql+pymysql://o:pw@db/p?connect_timeout=31536000&read_timeout=99999999',
          'mysql+pymysql://o:pw@db/p?init_command=SET%20a=1;SET%20b=2',
          'postgresql://o:pw@db/p?options=-c%20lock_timeout=9',
          'mysql+mysqldb://o:pw@db/p?charset=anything',
          'mysql+mysqldb://o:pw@db/p?connect_timeout=0&read_timeout=-1',
          'mysql+pymysql://o:pw@db/p?plugin=dbcounter',
          'mysql+mysqldb://o:pw@db/p?ssl_mode=REQUIRED',
          'mysql+mysqlconnector://o:pw@db/p?whatever=1',
          'postgresql://o:pw@db/p', 'postgresql+psycopg2://o:pw@db/p',
          'postgresql+psycopg://o:pw@db/p?connect_timeout=5',
          'postgresql://o:pw@db/p?connect_timeout=0',
          'postgresql+psycopg://o:pw@db/p?connect_timeout=-1',
          'postgresql+psycopg2://o:pw@db/p?connect_timeout=%205',
          'postgresql://o:pw@/p?host=/var/run/postgresql',
          'postgresql://o:p%E2%82%AC@db/p', 'mysql+pymysql://o:p%C3%A4@db/p',
          'postgresql://o:pw@/p?host=db1:5432&host=db2:5432',
          'postgresql://o:pw@/p?host=db1,db2&port=5432,5432',
          'postgresql://o:pw@db1,db2:5433/p',
          'postgresql+pg8000://o:pw@db/p')),
    Case('persistence-url', OFF + 'persistence_connection = nonsense\n'),
    Case('persistence-unset', '[task_flow]\njobboard_enabled = false\n'),
    Case('persistence-unset', '[task_flow]\nengine = serial\n'),
    Case('persistence-sqlite',
         OFF + 'persistence_connection = sqlite:////tmp/a.sqlite\n'),
    *(Case('persistence-shared',
           f'[database]\nconnection = {main}\n[task_flow]\n'
           f'jobboard_enabled = true\njobboard_backend_hosts = 10.0.0.1\n'
           f'persistence_connection = {url}\n')
      for main, url in (
          ('mysql+pymysql://a:x@db/octavia',
           'mysql+pymysql://a:x@db/octavia_persistence'),
          ('mysql+pymysql://a:x@db1/octavia',
           'mysql+pymysql://a:x@db2/octavia'),
          ('mysql+pymysql://a:x@db/octavia',
           'mysql+pymysql://a:x@db:3307/octavia'),
          ('mysql+pymysql://a:x@db/octavia',
           'postgresql://a:x@db/octavia'),
          ('mysql+pymysql://a:x@db/Octavia',
           'mysql+pymysql://a:x@db/octavia'))),
    Case('persistence-shared',
         '[database]\nconnection = mysql+pymysql://a:x@db/octavia\n'
         '[task_flow]\njobboard_enabled = false\n'
         'persistence_connection = mysql+pymysql://a:x@db/octavia\n'),
]

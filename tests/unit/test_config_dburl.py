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

"""Database URLs, next to SQLAlchemy and the drivers themselves."""

import inspect

from hypothesis import example
from hypothesis import given
from hypothesis import strategies as st
import psycopg2
import pymysql
import pytest
import sqlalchemy

from octavia_v2_checks.checks.config import dburl
from octavia_v2_checks.checks.config import meant

PIECES = st.sampled_from([
    '://', ':', '@', '/', '?', '&', '=', '#', '%', '%40', '%2F', '+', '[',
    ']', '[::1]', 'db', 'octavia', 'pw', '3306', 'mysql', 'mysql+pymysql://',
    'charset=utf8', ' ', '.', 'ü'])


@given(st.lists(PIECES, max_size=12).map(''.join))
@example('mysql+pymysql://a@b:c@d/e')
@example('mysql+pymysql://a:b@[::1]:1/e?f=g')
@example('mysql://a:b@c@d/e')
def test_taken_apart_as_sqlalchemy_does(text):
    try:
        theirs = sqlalchemy.engine.make_url(text)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        return  # no URL, or a port that is none
    ours = dburl.parse(text)
    if ours is None:
        # SQLAlchemy overlooks what stands before a dialect.
        assert '://' not in text.partition('://')[0]
        return
    assert ours.scheme == theirs.drivername
    assert (ours.username or '') == (theirs.username or '')
    assert (ours.password or '') == (theirs.password or '')
    assert (ours.host or '') == (theirs.host or '')
    if ours.port and not ours.port.isdecimal():
        return  # SQLAlchemy overlooks what stands after a bracket
    assert int(ours.port or 0) == (theirs.port or 0)
    assert (ours.database or '') == (theirs.database or '')


def test_parameters_of_pymysql():
    """What is said to be taken is taken, and the other way round."""
    takes = set(inspect.signature(pymysql.connect).parameters) or set(
        inspect.signature(pymysql.connections.Connection).parameters)
    by_sqlalchemy = {'ssl_capath', 'ssl_cipher', 'ssl_check_hostname'}
    known = dburl.PARAMETERS['pymysql']
    assert known - by_sqlalchemy <= takes
    # Objects, and what raises whatever its value is.
    assert takes - known == {
        'auth_plugin_map', 'compress', 'conv', 'cursorclass',
        'defer_connect', 'named_pipe', 'port', 'ssl'}


@pytest.mark.parametrize('driver', ['psycopg2', 'psycopg'])
def test_parameters_of_libpq(driver):
    known = dburl.PARAMETERS[driver]
    refused = set()
    for name in sorted(known - {'autocommit', 'prepare_threshold'}):
        try:
            psycopg2.extensions.make_dsn(**{name: '1'})
        except psycopg2.ProgrammingError:
            refused.add(name)
    # Newer than some builds of libpq.
    assert refused <= {
        'gssdelegation', 'max_protocol_version', 'min_protocol_version',
        'scram_client_key', 'scram_server_key', 'servicefile',
        'sslkeylogfile', 'sslnegotiation'}
    with pytest.raises(psycopg2.ProgrammingError):
        psycopg2.extensions.make_dsn(charset='utf8')


MYSQL = 'mysql+pymysql://USER:PASSWORD@'


@pytest.mark.parametrize('tail, right', [
    ('db/p&charset=utf8', 'db/p?charset=utf8'),
    ('db/p;charset=utf8', 'db/p?charset=utf8'),
    ('db:3306/p charset=utf8', 'db:3306/p?charset=utf8'),
    ('db/p%3Fcharset=utf8', 'db/p?charset=utf8'),
    ('db/p=utf8', 'db/p'), ('db//p', 'db/p'), ('db/p/', 'db/p'),
    ('db/p/?charset=utf8', 'db/p?charset=utf8'), ('db/&p', 'db/DATABASE'),
    ('db/p??charset=utf8', 'db/p?charset=utf8'),
    ('db/p?charset=utf8?ssl_ca=/etc/a.pem',
     'db/p?charset=utf8&ssl_ca=/etc/a.pem'),
    ('db/p?charset=utf8&amp;read_timeout=9',
     'db/p?charset=utf8&read_timeout=9'),
    ('db/p&passwd=s3same&user=root', 'db/p?passwd=PASSWORD&user=USER'),
    ('db/p&init_command=SET x=s3same', 'db/p?init_command=VALUE'),
    ('db/p&nonsense=s3same', 'db/p')])
def test_the_url_that_was_meant(tail, right):
    url = dburl.parse(f'mysql+pymysql://octavia:s3same@{tail}')
    assert meant.odd_character(url) or meant.joined_wrongly(url)
    assert meant.rebuilt(url) == MYSQL + right


@pytest.mark.parametrize('tail, right', [
    ('fd00::1/p', '[fd00::1]'), ('fd00::1:3306/p', '[fd00::1]:3306'),
    ('::1/p', '[::1]'), ('[::1/p', '[::1]'), ('::1]:3306/p', '[::1]:3306'),
    ('fd00::3306/p', '[fd00::3306]'), ('fe80::1%eth0/p', '[fe80::1%eth0]'),
    ('fd00:0:0:0:0:0:0:1:9999/p', '[fd00:0:0:0:0:0:0:1]:9999')])
def test_the_address_that_was_meant(tail, right):
    assert meant.address(dburl.parse(f'mysql+pymysql://a:b@{tail}')) == right


@pytest.mark.parametrize('tail', [
    'db/p', 'db:3306/p', '[::1]/p', '[::1]:3306/p', 'db:x/p', '10.0.0.1/p'])
def test_no_other_address_was_meant(tail):
    assert meant.address(dburl.parse(f'mysql+pymysql://a:b@{tail}')) is None


def test_character_sets_that_are_not_asked_about():
    from pymysql import charset
    assert all(charset.charset_by_name(name) for name in dburl.CHARSETS)


@pytest.mark.parametrize('word', sorted(dburl.TRUE | dburl.FALSE))
def test_switches_of_sqlalchemy(word):
    url = sqlalchemy.engine.make_url(
        f'mysql+pymysql://a@b/c?use_unicode={word}')
    _, arguments = url.get_dialect()().create_connect_args(url)
    assert arguments['use_unicode'] is (word in dburl.TRUE)

"""Broken database URLs: TaskFlow fails with them, but not with the URL of the
remedy.
"""

import contextlib
import re

import pytest

from tests import probing
from tests.servers import mariadb as mariadb_server

PASSWORD = 'secret-4711'


class Place:
    """An account that may use one database, which is there."""

    def __init__(self, server, write_config):
        self.server = server
        self.write_config = write_config
        self.database = probing.name('octavia_persistence_')
        self.user = probing.name('octavia')
        server.execute(
            f"CREATE DATABASE {self.database}; CREATE USER {self.user}@'%' "
            f"IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON {self.database}.* TO "
            f"{self.user}@'%'")

    def config(self, url):
        return [f for f in probing.probe('config', self.write_config(
            jobboard_enabled=True, persistence_connection=url))
            if f.option == 'task_flow.persistence_connection']

    def meant(self, remedy):
        """Return the URL of a remedy, with the login filled in."""
        [url] = re.findall(r'\S+://\S+', remedy)
        assert PASSWORD not in url and self.user not in url
        return url.replace('USER:PASSWORD', f'{self.user}:{PASSWORD}')


def use(url):
    """Do with a URL what a worker does at its first flow."""
    from taskflow.persistence import backends
    from taskflow.persistence import models
    backend = backends.fetch({'connection': url, 'max_retries': 1})
    with contextlib.closing(backend), contextlib.closing(
            backend.get_connection()) as connection:
        connection.upgrade()
        connection.validate()
        connection.save_logbook(models.LogBook('test'))


@pytest.fixture(scope='module')
def secure(authority):
    with mariadb_server.MariaDB(tls=authority.server()) as server:
        yield server


@pytest.mark.parametrize('parameter', ['ssl_verify_cert',
                                       'ssl_verify_identity'])
def test_parameters_that_drop_the_authority(secure, authority, write_config,
                                            parameter):
    """PyMySQL then uses the trust store of the system."""
    place = Place(secure, write_config)
    url = secure.url(place.user, PASSWORD, place.database,
                     ssl_ca=authority.cert)
    found = probing.only(place.config(f'{url}&{parameter}=true'),
                         'config.tls-unverified')
    assert 'drops ssl_ca' in found.message
    assert f'Delete {parameter} from the URL' in found.remedy
    with pytest.raises(Exception, match='CERTIFICATE_VERIFY_FAILED'):
        use(f'{url}&{parameter}=true')
    assert place.config(url) == []
    use(url)


def test_tls_that_is_off_whatever_is_written(secure, authority,
                                             write_config):
    place = Place(secure, write_config)
    secure.execute(f"ALTER USER {place.user}@'%' REQUIRE SSL")
    url = secure.url(place.user, PASSWORD, place.database,
                     ssl_ca=authority.cert)
    found = probing.only(place.config(f'{url}&ssl_disabled=false'),
                         'config.tls-unverified')
    assert found.remedy == 'Delete ssl_disabled from the URL.'
    with pytest.raises(Exception, match='1045'):
        use(f'{url}&ssl_disabled=false')
    use(url)


@pytest.fixture(scope='module')
def on_ipv6():
    with mariadb_server.MariaDB(host='::1') as server:
        yield server


@pytest.mark.parametrize('tail', [
    '/{}&charset=utf8', '/{};charset=utf8', '/{} charset=utf8', '/{}=utf8',
    '//{}', '/{}/', '/{}/?charset=utf8', '/{}%3Fcharset=utf8',
    '/{}?charset=utf-8', '/{}?charset=utf8&charset=utf8mb4',
    '/{}?charset=utf8?read_timeout=9', '/{}?charset=utf8;read_timeout=9',
    '/{}?charset=utf8&amp;read_timeout=9', ',127.0.0.1/{}',
    ',127.0.0.1:3306/{}', '/{}?host=127.0.0.1&host=127.0.0.2'])
def test_what_was_meant_works(mariadb, write_config, tail):
    place = Place(mariadb, write_config)
    begin = (f'mysql+pymysql://{place.user}:{PASSWORD}@{mariadb.host}:'
             f'{mariadb.port}')
    url = begin + tail.format(place.database)
    found = probing.only(place.config(url), 'config.persistence-url')
    with pytest.raises(Exception) as caught:
        use(url)
    assert not isinstance(caught.value, AssertionError)
    if '://' in found.remedy:
        right = place.meant(found.remedy)
    else:
        right = f'{begin}/{place.database}?charset=utf8mb4'
        assert found.remedy in ('Write charset=utf8mb4.',
                                'Delete all but one charset.')
    assert place.config(right) == []
    use(right)


@pytest.mark.parametrize('port', ['', ':{}'])
def test_ipv6(on_ipv6, write_config, port):
    place = Place(on_ipv6, write_config)
    begin = f'mysql+pymysql://{place.user}:{PASSWORD}@'
    end = port.format(on_ipv6.port) + f'/{place.database}'
    # Written out, so that no port can be taken for the end of the address.
    url = f'{begin}0:0:0:0:0:0:0:1{end}'
    found = probing.only(place.config(url), 'config.persistence-url')
    with pytest.raises(Exception):  # noqa: B017 any of a driver's
        use(url)
    right = place.meant(found.remedy)
    assert place.config(right) == []
    if port:
        use(right)

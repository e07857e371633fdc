"""The table of broken releases."""

import pytest

from octavia_v2_checks.upstream import broken
from octavia_v2_checks.upstream import versions


@pytest.mark.parametrize('distribution, version, setup, requirement', [
    ('taskflow', '6.0.0', 'migration-mysql', 'taskflow~=6.0.1'),
    ('taskflow', '5.6.1', 'migration-sqlalchemy-2', 'taskflow~=5.7.0'),
    ('taskflow', '4.6.4', 'migration-sqlalchemy-2', 'taskflow~=5.7.0'),
    ('taskflow', '5.12.0', 'sentinel-without-tls', 'taskflow~=6.0.0'),
    ('kazoo', '2.11.0', 'tls', 'kazoo<2.11.0'),
    ('kazoo', '2.11', 'tls', 'kazoo<2.11.0'),
    ('PyMySQL', '1.2.3', 'tls-identity', 'PyMySQL~=1.2.4')])
def test_broken(distribution, version, setup, requirement):
    found = broken.lookup(distribution, version, setup)
    assert found.requirement == requirement
    assert requirement in found.command


@pytest.mark.parametrize('distribution, version, setup', [
    ('taskflow', '6.0.1', 'migration-mysql'),
    ('taskflow', '5.12.0', 'migration-mysql'),
    ('taskflow', '6.0.0', 'migration-postgresql'),
    ('taskflow', '5.7.0', 'migration-sqlalchemy-2'),
    ('taskflow', '6.0.0', 'sentinel-without-tls'),
    ('kazoo', '2.10.0', 'tls'), ('kazoo', '2.11.1', 'tls'),
    ('kazoo', '2.11.0', 'plain'), ('kazoo', None, 'tls'),
    ('PyMySQL', '1.2.4', 'tls-identity'), ('PyMySQL', '0.9', 'tls-identity'),
    ('redis', '8.1.0', 'tls')])
def test_not_broken(distribution, version, setup):
    assert broken.lookup(distribution, version, setup) is None


@pytest.mark.parametrize('version, than, older', [
    ('1.9', '1.10', True), ('2.11.0', '2.11', False), ('6.0.0', '6.0', False),
    ('6.0', '6.0.1', True), ('8.0.0rc1', '8.0.0', False)])
def test_older(version, than, older):
    assert versions.older(version, than) is older

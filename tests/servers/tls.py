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

"""A private certificate authority and what it signs."""

import dataclasses
import datetime
import ipaddress
import pathlib
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import oid

_DAY = datetime.timedelta(days=1)


@dataclasses.dataclass(frozen=True)
class Certificate:
    """The PEM files of one certificate.

    :ivar both: key and certificate in one file, as ZooKeeper reads them.
    :ivar password: of the key, where it is encrypted.
    """

    cert: str
    key: str
    both: str
    password: str | None = None


def context(client: Certificate | None) -> ssl.SSLContext:
    """What an administrator connects with, whatever the server shows.

    The default one reads all the system's authorities, every time.

    :param client: what it shows itself
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    if client:
        made.load_cert_chain(client.cert, client.key)
    return made


class Authority:
    """A certificate authority in a directory.

    :ivar cert: its own certificate, a PEM file.
    """

    def __init__(self, directory: pathlib.Path,
                 name: str = 'Test authority') -> None:
        self.dir = directory
        self.dir.mkdir(parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        now = datetime.datetime.now(datetime.timezone.utc)
        self._certificate = (
            x509.CertificateBuilder()
            .subject_name(self._name).issuer_name(self._name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 3650 * _DAY)
            .not_valid_after(now + 3650 * _DAY)
            .add_extension(x509.BasicConstraints(True, None), True)
            .add_extension(_usage(sign_certificates=True), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(
                self._key.public_key()), False)
            .sign(self._key, hashes.SHA256()))
        self.cert = self._write('ca.pem', _pem(self._certificate))

    def server(self, name: str = 'server',
               hosts: tuple[str, ...] = ('localhost', '127.0.0.1',
                                         '127.0.0.2', '127.0.0.3', '::1'),
               *, client_too: bool = False, **kwargs) -> Certificate:
        """A certificate for a server at *hosts*.

        :param client_too: it may be shown to other servers as well.
        """
        names = x509.SubjectAlternativeName([_host(host) for host in hosts])
        purposes = [oid.ExtendedKeyUsageOID.SERVER_AUTH]
        if client_too:
            purposes.append(oid.ExtendedKeyUsageOID.CLIENT_AUTH)
        return self.issue(name, purposes, names, **kwargs)

    def client(self, name: str = 'client', **kwargs) -> Certificate:
        """A certificate for a client."""
        return self.issue(name, [oid.ExtendedKeyUsageOID.CLIENT_AUTH], None,
                          **kwargs)

    def expired(self) -> Certificate:
        """A server certificate that ended yesterday."""
        return self.server('expired', days=-1)

    def wrong_host(self) -> Certificate:
        """A server certificate for a host this machine is not."""
        return self.server('wrong-host', hosts=('elsewhere.example',))

    def issue(self, name: str, purposes: list[x509.ObjectIdentifier],
              names: x509.SubjectAlternativeName | None, *,
              days: int = 30, password: str | None = None) -> Certificate:
        """Sign a certificate that ends in *days* days."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(name)).issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 60 * _DAY)
            .not_valid_after(now + days * _DAY)
            .add_extension(x509.BasicConstraints(False, None), True)
            .add_extension(_usage(sign_certificates=False), True)
            .add_extension(x509.ExtendedKeyUsage(purposes), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(
                    self._key.public_key()), False))
        if names is not None:
            builder = builder.add_extension(names, False)
        pem = _pem(builder.sign(self._key, hashes.SHA256()))
        secret = _key_pem(key, password)
        return Certificate(self._write(f'{name}.pem', pem),
                           self._write(f'{name}.key', secret),
                           self._write(f'{name}.both.pem', secret + pem),
                           password)

    def _write(self, name: str, content: bytes) -> str:
        path = self.dir / name
        path.write_bytes(content)
        path.chmod(0o644)
        return str(path)


def _usage(sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates, content_commitment=False,
        key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=sign_certificates,
        crl_sign=sign_certificates, encipher_only=False,
        decipher_only=False)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid.NameOID.COMMON_NAME, text)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey, password: str | None) -> bytes:
    encryption: serialization.KeySerializationEncryption
    encryption = serialization.NoEncryption()
    if password is not None:
        encryption = serialization.BestAvailableEncryption(password.encode())
    return key.private_bytes(serialization.Encoding.PEM,
                             serialization.PrivateFormat.PKCS8, encryption)

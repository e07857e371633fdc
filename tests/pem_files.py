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

"""Certificates and keys of all kinds, in files."""

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

DAY = datetime.timedelta(days=1)


class Files:
    """Certificates and keys in a directory."""

    def __init__(self, directory):
        self.dir = directory

    def write(self, name, content):
        path = self.dir / name
        path.write_bytes(content)
        return str(path)

    def certificate(self, name, begin=-1, end=1):
        """Return certificate and key, valid from and to days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.timezone.utc)
        subject = x509.Name([x509.NameAttribute(
            x509.NameOID.COMMON_NAME, name)])
        made = (x509.CertificateBuilder()
                .subject_name(subject).issuer_name(subject)
                .public_key(key.public_key()).serial_number(1)
                .not_valid_before(now + begin * DAY)
                .not_valid_after(now + end * DAY)
                .sign(key, hashes.SHA256()))
        return (self.write(f'{name}.pem', made.public_bytes(
            serialization.Encoding.PEM)), self.key(f'{name}.key', key))

    def key(self, name, key, password=None):
        how = (serialization.BestAvailableEncryption(password) if password
               else serialization.NoEncryption())
        return self.write(name, key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            how))

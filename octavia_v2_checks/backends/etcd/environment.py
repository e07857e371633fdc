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

"""What the environment makes of an HTTP client that uses ``requests``.

The values of these variables are never shown: a proxy's may hold a password.
"""

import base64
import os
from urllib import parse

from octavia_v2_checks.backends.etcd import http

#: The first that is set beats every CA that the program itself names.
CA_VARIABLES = ('REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE')


class UnusableProxy(Exception):
    """A proxy that cannot be followed here.

    :ivar variable: the environment variable that names it
    """

    def __init__(self, variable: str):
        super().__init__(variable)
        self.variable = variable


def ca_bundle() -> tuple[str, str] | None:
    """Return variable and path of the authorities to trust, None if unset."""
    for variable in CA_VARIABLES:
        if os.environ.get(variable):
            return variable, os.environ[variable]
    return None


def proxy(url: str) -> http.Proxy | None:
    """Return the proxy through which requests would ask for a URL.

    :raises UnusableProxy: for SOCKS, https, or a URL that requests or this
        module cannot use
    """
    scheme = parse.urlsplit(url).scheme
    names = {f'{scheme}_proxy', 'all_proxy'}
    variables = [n for n in os.environ if n.lower() in names]
    if not variables:
        return None
    try:
        from requests import utils
    except ImportError:
        # Without it there is no client either, which is a finding.
        return None
    chosen = utils.select_proxy(url, utils.get_environ_proxies(url))
    if not chosen:
        return None
    variable = next((n for n in variables if os.environ[n] == chosen),
                    variables[0])
    return _proxy(variable, chosen)


def _proxy(variable, text):
    if '://' not in text:
        text = f'http://{text}'
    try:
        parts = parse.urlsplit(text)
        host, port = parts.hostname, parts.port or 80
    except ValueError:
        raise UnusableProxy(variable) from None
    if parts.scheme != 'http' or not host:
        raise UnusableProxy(variable)
    login = None
    # Like requests, which sends a login only if both halves are there.
    if parts.username and parts.password is not None:
        try:
            plain = (parse.unquote(parts.username) + ':'
                     + parse.unquote(parts.password)).encode('latin-1')
        except UnicodeEncodeError:
            raise UnusableProxy(variable) from None
        login = 'Basic ' + base64.b64encode(plain).decode()
    return http.Proxy(variable, host, port, login)

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

"""The etcd that workers use, as the checks see it: one child process.

Here its faults get remedies that fit the configuration.
"""

from collections.abc import Iterator
import contextlib
import ipaddress
import os
import re
from typing import Any
from urllib import parse

from octavia_v2_checks import clock as clocks
from octavia_v2_checks import findings
from octavia_v2_checks import opts
from octavia_v2_checks import settings as settings_
from octavia_v2_checks.backends import isolated
from octavia_v2_checks.backends import net
from octavia_v2_checks.backends import sniff
from octavia_v2_checks.upstream import clients_etcd
from octavia_v2_checks.upstream import versions

_CHILD = 'octavia_v2_checks.backends.etcd.gateway:Server'

_HOSTS = 'jobboard_backend_hosts'
_TLS = 'jobboard_etcd_ssl_options'
_PATH = 'jobboard_etcd_api_path'

#: The release of etcd3gw to assume where none is installed: newer ones behave
#: the same.
_NEWEST = '99'

#: A release of etcd that behaves like all newer ones.
_ANY = (99,)

_OK = 200
_LOGIN = 401


class Server:
    """One etcd server, and the environment in which it is asked.

    :raises findings.Blocked: for an option that a worker could not use
    """

    def __init__(self, settings: settings_.Settings,
                 deadline: clocks.Deadline):
        self._settings = settings
        self._deadline = deadline
        self._client = versions.installed('etcd3gw') or _NEWEST
        self._arguments = self._taken()
        self._host, self._port = _place(self._arguments)
        self.peer = net.endpoint(self._host, self._port)
        self.url = clients_etcd.base_url(
            self._host, self._port, self._arguments.get('protocol', 'http'))

    def environment(self) -> Iterator[net.Fault]:
        """Yield the variables and files that change what requests does."""
        facts = self._facts()
        if facts['bundle']:
            yield self._differs(
                facts['bundle'], f'etcd3gw trusts what it names instead of '
                f'ca_cert in {_TLS}')
        if facts['proxy']:
            variable, _ = facts['proxy']
            yield net.Fault(
                'environment', f'{variable} is set here, and etcd3gw asks '
                f'{self.peer} through the proxy that it names.',
                f'Set no_proxy={self._host} for the check and for every '
                f'Octavia service, or set {variable} for every Octavia '
                f'service too.', host=self.peer)
        if facts['login']:
            yield net.Fault(
                'environment', f'There are credentials for {self._host} in '
                f'the file that NETRC names or in ~/.netrc, and etcd3gw '
                f'sends them to {self.peer}.',
                'Set NETRC=/dev/null for the check, or '
                'give the user of every Octavia service the same file.',
                host=self.peer)
        variable = clients_etcd.PATH_VARIABLE
        if self._path() != clients_etcd.given_path(
                self._arguments.get('api_path'), {}, self._client):
            yield self._differs(variable, 'etcd3gw takes the path of the '
                                'gateway from it')

    def connect(self) -> tuple[int, ...] | None:
        """Find the gateway; once for all callers.

        :returns: the release of etcd, None where it is not reported
        :raises net.Fault: if no etcd answers
        :raises findings.Blocked: for an option that a worker could not use
        """
        return self._found()[0]

    def ask(self, question: str, *args: Any, plain: bool = False) -> Any:
        """Return the answer to a question of :class:`gateway.Server`.

        :param plain: leave the remedy of a fault to :meth:`explained`
        :raises net.Fault: where there is no answer
        """
        with self._telling(plain):
            return self._child().ask(question, *args)

    def pages(self, question: str, *args: Any) -> Iterator[Any]:
        """Yield the parts of a long answer.

        :raises net.Fault: where there is no answer
        """
        with self._telling():
            yield from self._child().pages(question, *args)

    def neighbour(self, url: str) -> isolated.Child | None:
        """Return the child for another member, None if it cannot be reached.

        It has been told to load first, so that the time to answer is the time
        of the member alone.

        :param url: its client URL
        """
        try:
            parts = parse.urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            return None
        if (not host or not port or self._facts()['proxy']
                or parts.scheme != self._arguments.get('protocol', 'http')
                or (_local(host) and not _local(self._host))):
            return None
        child = self._start(clients_etcd.base_url(host, port, parts.scheme),
                            self._found()[1])
        child.begin('environment', clock=self._rest())
        return child

    def explained(self, fault: net.Fault) -> net.Fault:
        """Return a fault with the remedy for this configuration."""
        fault = self._behind_proxy(fault)
        remedy, option = fault.remedy, None
        if fault.detail == 'path':
            return self._no_gateway(fault)
        if fault.detail == 'redirect':
            remedy = (f'Let {self.peer} redirect with status 308, or name the '
                      f'target server in {_HOSTS}.')
        elif fault.detail == 'proxy':
            remedy = (f'Write the proxy as http://HOST:PORT in the variable, '
                      f'or set no_proxy={self._host}.')
        elif fault.slug == 'tls' and fault.detail == 'gateway':
            remedy = ('Give etcd a server certificate with the extended key '
                      'usages serverAuth and clientAuth, which the gateway '
                      'needs with --client-cert-auth, and restart it.')
        elif fault.slug == 'tls':
            option = _TLS
            if fault.detail == 'verify':
                remedy = (f'Set ca_cert in {_TLS} to the file of the CA that '
                          'signed it, and use a server name that is in the '
                          'certificate.')
            elif 'ALERT' in (fault.detail or ''):
                remedy = (f'Set cert_cert and cert_key in {_TLS} to a client '
                          f'certificate that etcd accepts and its key.')
        elif fault.slug == 'auth-unsupported' and fault.detail == 'gateway':
            remedy = f'etcdctl --endpoints={self.url} --user root auth disable'
        elif fault.slug == 'auth-unsupported':
            remedy = ('Accept the controllers without authentication there, '
                      'or give the user of every Octavia service a ~/.netrc '
                      f'with credentials for {self._host}.')
        return net.Fault(fault.slug, fault.text, remedy, fault.host, option,
                         fault.detail)

    def _taken(self):
        try:
            return clients_etcd.arguments(self._settings.get)
        except IndexError:
            raise findings.Blocked(f'{_HOSTS} is empty',
                                   option=_option(_HOSTS)) from None
        except KeyError:
            raise findings.Blocked(f'{_TLS} has no use_ssl',
                                   option=_option(_TLS)) from None

    def _path(self):
        return clients_etcd.given_path(self._arguments.get('api_path'),
                                       os.environ, self._client)

    def _differs(self, variable, what):
        return net.Fault(
            'environment', f'{variable} is set here, and {what}.',
            f'Unset {variable} for the check, or set it for every Octavia '
            f'service too.', host=self.peer)

    def _start(self, url, path=None):
        return isolated.Child(
            self._deadline, _CHILD, url, self._arguments,
            clients_etcd.timeout(self._arguments.get('timeout'),
                                 self._client), path)

    def _child(self):
        return self._deadline.shared((Server, 'child'),
                                     lambda: self._start(self.url))

    def _facts(self):
        return self._deadline.shared(
            (Server, 'facts'), lambda: self._child().ask(
                'environment', clock=self._rest()))

    def _rest(self):
        """Return the clock of a question that involves no server."""
        return clocks.Clock(self._deadline.left())

    @contextlib.contextmanager
    def _telling(self, plain=False):
        try:
            yield
        except net.Fault as exc:
            raise (exc if plain else self.explained(exc)) from None

    def _found(self):
        return self._deadline.shared((Server, 'found'), self._find)

    def _find(self):
        """Return the release of etcd, if it is reported, and the path of the
        gateway.
        """
        self._require_files()
        path = self._path()
        try:
            status, version = self.ask('version', plain=True)
        except net.Fault as exc:
            if path is None or exc.detail != 'redirect':
                raise self._stranger(exc) or self.explained(exc) from None
            status, version = _OK, None
        release = _release(version) if status == _OK else None
        if path is None:
            if status == _LOGIN:
                raise self._locked()
            if not release:
                raise self._stranger() or self._untold(status)
            path = clients_etcd.found_path(release)
        self.ask('use', path)
        return release, path

    def _locked(self):
        """Return the fault of a server that requires authentication for its
        version.
        """
        return self.explained(net.Fault(
            'auth-unsupported', f'{self.peer} requires authentication for '
                                f'/version (HTTP status {_LOGIN}), and '
                                'Octavia has no credentials for etcd.',
            host=self.peer))

    def _untold(self, status):
        """Return the fault of a server that does not report its version."""
        said = f' (HTTP status {status})' if status != _OK else ''
        return net.Fault(
            'wrong-protocol', f'{self.peer} does not report its version as '
                              'etcd '
                              f'does{said}{self._through()}.', host=self.peer)

    def _require_files(self):
        """Require that the files can be loaded, as a worker needs them."""
        facts = self._facts()
        broken = facts['unloadable']
        if broken == 'ca' and facts['bundle']:
            raise net.Fault(
                'tls', f'{facts["bundle"]} names no file or directory with '
                f'certificates.', f'Unset {facts["bundle"]}', host=self.peer)
        if broken:
            what = ('ca_cert' if broken == 'ca' else 'cert_cert and cert_key')
            raise findings.Blocked(f'{what} in {_TLS} cannot be loaded',
                                   option=_option(_TLS))

    def _through(self):
        proxy = self._facts()['proxy']
        return (f', asked through the proxy that {proxy[0]} names'
                if proxy else '')

    def _behind_proxy(self, fault):
        """Return a fault without the address of the proxy from the
        environment.
        """
        proxy = (None if fault.host in (None, self.peer)
                 else self._facts()['proxy'])
        if not proxy or fault.host != proxy[1]:
            return fault
        name = f'the proxy that {proxy[0]} names for {self.peer}'
        if fault.slug == 'unresolvable':
            text = f'{name} has a host name that does not resolve.'
        elif fault.slug == 'tls':
            # A proxy is contacted in plain text, and forwards what is
            # encrypted.
            text = fault.text.replace(proxy[1], self.peer)
        else:
            text = fault.text.replace(proxy[1], name)
        return net.Fault(fault.slug, text[:1].upper() + text[1:],
                         fault.remedy, self.peer, fault.option, fault.detail)

    def _no_gateway(self, fault):
        """Return the fault of a path where no etcd gateway answers."""
        release, _ = self._found()
        try:
            there = self._child().ask('paths')
        except net.Fault:
            there = []
        if there:
            usual = clients_etcd.found_path(release or _ANY)
            return net.Fault(
                fault.slug, fault.text, f'Set {_PATH} in [task_flow] to '
                f'{usual if usual in there else there[0]}', self.peer, _PATH,
                fault.detail)
        if not release:
            return self._stranger() or net.Fault(
                fault.slug, fault.text, None, self.peer)
        dotted = '.'.join(map(str, release))
        return net.Fault(
            'gateway-off', f'{self.peer} is etcd {dotted} and has no gRPC '
            f'gateway, through which Octavia talks to it: nothing answers at '
            f'{", ".join(clients_etcd.PATHS)}.',
            'Start etcd with --enable-grpc-gateway=true, in a configuration '
            'file enable-grpc-gateway: true. If it already is enabled, allow '
            '/v3/ in the proxy in front of etcd.', self.peer)

    def _stranger(self, fault=None):
        """Return the fault of another kind of server, if there is one."""
        if self._facts()['proxy'] or (fault and (
                fault.slug == 'unresolvable' or fault.detail == 'verify'
                or 'ALERT' in (fault.detail or ''))):
            return None
        tls = self._arguments.get('protocol') == 'https'
        name = sniff.at(self._deadline, self._host, self._port)
        if not name or name == ('TLS' if tls else 'etcd'):
            return None
        if name == 'etcd':
            said = str(self._settings.get(_TLS)['use_ssl'])
            text = (f'is etcd without TLS, and use_ssl is {said!r} in '
                    f'{_TLS}, which Octavia treats as true.')
            remedy = f'Set {_TLS} in [task_flow] to use_ssl:'
        elif name == 'TLS':
            text = f'expects TLS, and {_TLS} does not turn it on.'
            remedy = (f'Set {_TLS} in [task_flow] to '
                      f'use_ssl:True,ca_cert:CA_FILE')
        else:
            return sniff.stranger(self.peer, name, 'etcd')
        return net.Fault('wrong-protocol', f'{self.peer} {text}', remedy,
                         self.peer, _TLS)


def _option(name):
    return f'{opts.TASK_FLOW}.{name}'


def _place(arguments):
    """Return host and port, if requests can make a URL of them."""
    host = arguments['host']
    # etcd3gw puts brackets around whatever has a colon.
    if ':' in host:
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            host = ''
    if not re.fullmatch(r'[^\s/?#@\\]+', host):
        raise findings.Blocked(f'{_HOSTS} begins with an entry that etcd3gw '
                               'does not accept as a '
                               'host', option=_option(_HOSTS))
    return host, arguments['port']


def _release(version):
    """Return a version as etcd3gw reads it, None where it cannot."""
    try:
        return tuple(int(n) for n in (version or '').split('.', 2))
    except ValueError:
        return None


def _local(host):
    """Whether a name refers to the machine on which it is used."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == 'localhost'
    return address.is_loopback or address.is_unspecified

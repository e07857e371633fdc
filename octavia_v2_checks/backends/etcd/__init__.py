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

"""The etcd jobboard.

etcd3gw, through which TaskFlow talks to etcd, uses the library requests.
What that takes from the environment (proxies, authorities) is taken here
too, and said, because an operator's shell and a service seldom have the same.
"""

from collections.abc import Iterator
import contextlib
import ipaddress
import os
import re
import ssl
from urllib import parse

from octavia_v2_checks import clock as clocks
from octavia_v2_checks import findings
from octavia_v2_checks import settings as settings_
from octavia_v2_checks.backends import jobboard
from octavia_v2_checks.backends import net
from octavia_v2_checks.backends import sniff
from octavia_v2_checks.backends.etcd import board as board_etcd
from octavia_v2_checks.backends.etcd import cluster
from octavia_v2_checks.backends.etcd import environment
from octavia_v2_checks.backends.etcd import gateway
from octavia_v2_checks.backends.etcd import http
from octavia_v2_checks.upstream import versions

#: The first release with a gateway.
MINIMUM = (3, 0)

#: The first release of etcd3gw that asks the server for the path.
DISCOVERS = (2, 3)

_HOSTS = 'jobboard_backend_hosts'
_TLS = 'jobboard_etcd_ssl_options'
_PATH = 'jobboard_etcd_api_path'
_PATH_VARIABLE = 'ETCD3GW_API_PATH'


class Etcd:
    """An etcd server: the first of the hosts, as for a worker.

    :param settings: names the server
    :param deadline: the time of the whole run
    """

    client = jobboard.Client('etcd3gw', 'etcd3gw', 'etcd')

    def __init__(self, settings: settings_.Settings,
                 deadline: clocks.Deadline):
        self._settings = settings
        self._deadline = deadline

    def probe(self) -> Iterator[net.Fault | str]:
        """Yield what is wrong, and as text what was found to be right."""
        yield from self._environment()
        try:
            board, release = self.connect()
        except net.Fault as exc:
            yield exc
            return
        if release and release < MINIMUM:
            yield net.Fault(
                'server-old', f'{board.peer} is etcd {_dotted(release)}; '
                f'TaskFlow needs {_dotted(MINIMUM)} or later.',
                host=board.peer)
            return
        try:
            yield from self._state(board)
        except net.Fault as exc:
            yield self._explain(exc, release)
        else:
            yield f'etcd {_dotted(release or ())} at {board.peer}.'

    def connect(self) -> tuple[gateway.Gateway, tuple[int, ...] | None]:
        """Return the server and its release, None where it does not tell.

        :raises net.Fault: if no etcd answers
        :raises findings.Blocked: for an option that a worker could not use
        """
        host, port = self._place()
        try:
            proxy = environment.proxy(self._url())
        except environment.UnusableProxy as exc:
            raise net.Fault(
                'undetermined', f'The proxy that {exc.variable} names for '
                f'{net.endpoint(host, port)} is not of a kind that this '
                f'check can use.', f'Set no_proxy={host}',
                host=net.endpoint(host, port)) from None
        way = http.Client(host, port, self._context(), proxy)
        board = gateway.Gateway(way, self._clock)
        try:
            version = board.version()
        except net.Fault as exc:
            raise self._stranger(way, exc) or self._explain(exc) from None
        release = _release(version)
        path = self._given_path()
        if path is None:
            if not release:
                raise self._stranger(way) or net.Fault(
                    'wrong-protocol', f'{board.peer} does not tell its '
                    f'version as etcd does{_through(proxy)}.',
                    host=board.peer)
            path = _gateway_path(release, versions.installed('etcd3gw'))
        if not re.fullmatch(r'/[!-~]*', path):
            raise self._explain(net.Fault(
                'wrong-protocol', f'etcd3gw appends the gateway\'s path '
                f'{path!r} to {board.peer}, and the result is no address.',
                host=board.peer, detail='path'), release)
        board.path = path
        return board, release

    @contextlib.contextmanager
    def board(self) -> Iterator[board_etcd.EtcdBoard]:
        """Open the board, to see what lies on it.

        :raises net.Fault: where a worker would fail
        """
        server, _ = self.connect()
        yield board_etcd.EtcdBoard(server, self._settings.get(
            'jobboard_backend_namespace'), self._url())

    def _state(self, board):
        status = board.status()
        if 'NOSPACE' in status.alarms:
            yield self._full(board, status)
        if 'CORRUPT' in status.alarms:
            yield net.Fault(
                'not-writable', f'{board.peer} has found its data to differ '
                f'from those of the other members (alarm CORRUPT), and takes '
                f'no requests.', 'Remove the corrupt member with etcdctl '
                'member remove, and add it anew with an empty directory.',
                host=board.peer)
        yield from cluster.faults(board, status, self._neighbour)
        if status.leader:
            board.count(f'/taskflow/jobs/'
                        f'{self._settings.get("jobboard_backend_namespace")}/')

    def _full(self, board, status):
        command = f'etcdctl --endpoints={self._url()}'
        return net.Fault(
            'out-of-space', f'{board.peer} has used up its space and takes '
            f'no writes until its alarm NOSPACE is cleared.',
            f'{command} compact {status.revision} && {command} defrag && '
            f'{command} alarm disarm', host=board.peer)

    def _environment(self):
        """Say which variables make a difference."""
        host, port = self._place()
        peer = net.endpoint(host, port)
        url = self._url()
        bundle = environment.ca_bundle()
        if (bundle and url.startswith('https:')
                and bundle[1] != self._options().get('ca_cert')):
            yield net.Fault(
                'environment', f'{bundle[0]} is set here, and etcd3gw trusts '
                f'what it names instead of ca_cert in {_TLS}.',
                f'Unset {bundle[0]} for the check, or set it for every '
                f'Octavia service too.', host=peer)
        try:
            proxy = environment.proxy(url)
            variable = proxy.variable if proxy else None
        except environment.UnusableProxy as exc:
            variable = exc.variable
        if variable:
            yield net.Fault(
                'environment', f'{variable} is set here, and etcd3gw asks '
                f'{peer} through the proxy that it names.',
                f'Set no_proxy={host} for the check and for every Octavia '
                f'service, or set {variable} for every Octavia service too.',
                host=peer)
        if self._settings.get(_PATH) is None and _PATH_VARIABLE in os.environ:
            yield net.Fault(
                'environment', f'{_PATH_VARIABLE} is set here, and etcd3gw '
                f'takes the path of the gateway from it.',
                f'Unset {_PATH_VARIABLE} for the check, or set it for every '
                f'Octavia service too.', host=peer)

    def _place(self):
        hosts = self._settings.get('jobboard_backend_hosts')
        if not hosts:
            raise findings.Blocked(f'{_HOSTS} is empty',
                                   option=f'task_flow.{_HOSTS}')
        host = hosts[0]
        # etcd3gw puts brackets around whatever has a colon.
        if ':' in host:
            try:
                ipaddress.IPv6Address(host)
            except ValueError:
                host = ''
        if not re.fullmatch(r'[^\s/?#@\\]+', host):
            raise findings.Blocked(
                f'{_HOSTS} begins with an entry that etcd3gw takes for no '
                f'host', option=f'task_flow.{_HOSTS}')
        return host, self._settings.get('jobboard_backend_port')

    def _url(self):
        scheme = 'https' if self._options()['use_ssl'] else 'http'
        return f'{scheme}://{net.endpoint(*self._place())}'

    def _options(self):
        options = self._settings.get(_TLS)
        if 'use_ssl' not in options:
            raise findings.Blocked(f'{_TLS} has no use_ssl',
                                   option=f'task_flow.{_TLS}')
        return options

    def _clock(self):
        clock = self._deadline.probe()
        limit = self._settings.get('jobboard_etcd_timeout')
        return clocks.Clock(min(clock.left(), limit)) if limit else clock

    def _given_path(self):
        """Return the path of the gateway, None if etcd3gw is to find it."""
        path = self._settings.get(_PATH)
        return os.environ.get(_PATH_VARIABLE) if path is None else path

    def _context(self):
        """Return the context that requests would make, None for http."""
        options = self._options()
        if not options['use_ssl']:
            return None
        bundle = environment.ca_bundle()
        trusted = bundle[1] if bundle else options.get('ca_cert')
        try:
            context = _trusting(trusted)
        except OSError:
            if not bundle:
                raise findings.Blocked(
                    f'ca_cert in {_TLS} cannot be loaded',
                    option=f'task_flow.{_TLS}') from None
            raise net.Fault(
                'tls', f'{bundle[0]} names no file or directory with '
                f'certificates.', f'Unset {bundle[0]}',
                host=net.endpoint(*self._place())) from None
        if 'cert_cert' in options and 'cert_key' in options:
            try:
                # Without a password, OpenSSL would ask on the terminal.
                context.load_cert_chain(options['cert_cert'],
                                        options['cert_key'], '')
            except (OSError, TypeError):
                raise findings.Blocked(
                    f'cert_cert and cert_key in {_TLS} cannot be loaded',
                    option=f'task_flow.{_TLS}') from None
        return context

    def _neighbour(self, url, path):
        """Return the way to another member, None if there is none."""
        try:
            parts = parse.urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            return None
        context = self._context() if parts.scheme == 'https' else None
        if (not host or not port or environment.proxy(self._url())
                or bool(context) != (parts.scheme == 'https')
                or (_local(host) and not _local(self._place()[0]))):
            return None
        return gateway.Gateway(http.Client(host, port, context),
                               self._clock, path)

    def _explain(self, fault, release=None):
        """Add the option that mends a fault."""
        remedy, option = fault.remedy, None
        if fault.slug == 'tls' and fault.detail == 'gateway':
            remedy = ('Give etcd a server certificate with the extended key '
                      'usages serverAuth and clientAuth, which its gateway '
                      'needs with --client-cert-auth, and restart it.')
        elif fault.slug == 'tls':
            option = _TLS
            if fault.detail == 'verify':
                remedy = (f'Set ca_cert in {_TLS} to the file of the '
                          f'authority that signed it, and name the server by '
                          f'a name that its certificate has.')
            elif 'ALERT' in (fault.detail or ''):
                remedy = (f'Set cert_cert and cert_key in {_TLS} to a client '
                          f'certificate that etcd accepts and its key.')
        elif fault.detail == 'path':
            option = _PATH
            remedy = (f'Set {_PATH} in [task_flow] to '
                      f'{_gateway_path(release)}' if release else
                      f'Leave {_PATH} out of [task_flow].')
        elif fault.slug == 'auth-unsupported':
            remedy = (f'etcdctl --endpoints={self._url()} --user root auth '
                      f'disable')
        return net.Fault(fault.slug, fault.text, remedy, fault.host, option,
                         fault.detail)

    def _stranger(self, way, fault=None):
        """Return the fault of another kind of server, if there is one."""
        if way.proxy or (fault and (
                fault.slug == 'unresolvable' or fault.detail == 'verify'
                or 'ALERT' in (fault.detail or ''))):
            return None
        host, port = self._place()
        name = sniff.identify(host, port, sniff.second_look(self._deadline))
        if not name or name == ('TLS' if way.tls else 'etcd'):
            return None
        if name == 'etcd':
            text = (f'is etcd without TLS, and use_ssl is '
                    f'{str(self._options()["use_ssl"])!r} in {_TLS}, which '
                    f'Octavia takes for yes.')
            remedy = f'Set {_TLS} in [task_flow] to use_ssl:'
        elif name == 'TLS':
            text = f'expects TLS, and {_TLS} does not turn it on.'
            remedy = (f'Set {_TLS} in [task_flow] to '
                      f'use_ssl:True,ca_cert:CA_FILE')
        else:
            return sniff.stranger(way.peer, name, 'etcd')
        return net.Fault('wrong-protocol', f'{way.peer} {text}', remedy,
                         host=way.peer, option=_TLS)


def _through(proxy):
    return (f', asked through the proxy that {proxy.variable} names'
            if proxy else '')


def _release(version):
    """Return a version as etcd3gw reads it, None where it cannot."""
    try:
        return tuple(int(n) for n in (version or '').split('.', 2))
    except ValueError:
        return None


def _gateway_path(release, client=None):
    """Return where a release has its gateway.

    :param client: release of etcd3gw, if it is to decide: the first ones
        knew one path only
    """
    if client and _numbers(client) < DISCOVERS:
        return '/v3alpha/'
    if release >= (3, 4):
        return '/v3/'
    return '/v3beta/' if release >= (3, 3) else '/v3alpha/'


def _numbers(version):
    return tuple(int(n) for n in re.findall(r'\d+', version)[:2])


def _dotted(release):
    return '.'.join(map(str, release))


def _local(host):
    """Whether a name means whatever machine it is used on."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == 'localhost'
    return address.is_loopback or address.is_unspecified


def _trusting(path):
    """Return a context that trusts the authorities in a file or directory.

    :param path: None for those that requests brings
    :raises OSError: where there are none
    """
    if path is None:
        try:
            from requests import utils
        except ImportError:
            context = ssl.create_default_context()
        else:
            context = ssl.create_default_context(
                cafile=utils.DEFAULT_CA_BUNDLE_PATH)
    elif os.path.isdir(path):
        context = ssl.create_default_context(capath=path)
    else:
        context = ssl.create_default_context(cafile=path)
    context.hostname_checks_common_name = False
    return context

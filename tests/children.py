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

"""What answers in the child processes of the tests of isolation."""

import faulthandler
import os
import re
import signal
import socket
import sys
import threading
import time

from octavia_v2_checks.backends import net
from octavia_v2_checks.backends import served


class Server:
    """Does what a client can do to its process."""

    def __init__(self, name='nobody'):
        self.name = name
        self.good_bye = None

    def hello(self, *words):
        return [self.name, *words]

    def pid(self):
        return os.getpid(), os.getppid()

    def wait(self, seconds, doing='', peer=''):
        if doing:
            served.step(doing, peer)
        time.sleep(seconds)
        return 'awake'

    def spin(self):
        re.match('(a*)*b', 'a' * 64)

    def fill(self, size):
        return len(bytearray(size))

    def segfault(self):
        served.step('answer', 'db1:3306')
        faulthandler._sigsegv()

    def killed(self, number):
        os.kill(os.getpid(), number)
        time.sleep(5)

    def leave(self):
        sys.exit('good bye')

    def fault(self):
        raise net.Fault('refused', 'No.', 'Try again.', 'db1:3306', 'engine',
                        'odd')

    def wrong(self):
        raise KeyError('SECRET')

    def noise(self):
        sys.stdout.write('noise')
        sys.stderr.write('noise')
        sys.stderr.flush()
        os.write(1, b'noise')
        os.write(2, b'noise')
        return os.readlink('/proc/self/fd/1')

    def open_files(self):
        return sorted({os.readlink(f'/proc/self/fd/{fd}')
                       for fd in os.listdir('/proc/self/fd')
                       if os.path.exists(f'/proc/self/fd/{fd}')})

    def numbers(self, count):
        yield from range(count)

    def broken_numbers(self):
        yield 1
        raise net.Fault('timeout', 'Late.')

    def look_up(self, host):
        return len(socket.getaddrinfo(host, 80))

    def threads(self):
        return threading.active_count()

    def handlers(self):
        return [signal.getsignal(n) is signal.SIG_DFL
                for n in (signal.SIGTERM, signal.SIGCHLD)]

    def leave_word(self, path):
        self.good_bye = path

    def close(self):
        if self.good_bye:
            with open(self.good_bye, 'w') as stream:
                stream.write('bye')


def add(*numbers):
    """Return the sum."""
    return sum(numbers)

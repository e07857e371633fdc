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

"""Posts as Octavia does, watches, and removes everything at the end."""

import queue
import time
from typing import Any

from octavia_v2_checks.drill import boards
from octavia_v2_checks.drill import errors
from octavia_v2_checks.drill import flow
from octavia_v2_checks.drill import logbooks
from octavia_v2_checks.drill import names

#: Seconds between two readings of the servers.
_PERIOD = 0.1

#: Seconds for which a request of a killed child may still be in progress.
_LATE = 0.2


def main(role) -> None:
    """Execute the orders of the director, one after the other.

    An order has ``do``, a method, and ``number``, which the answer repeats.

    :param role: a :class:`octavia_v2_checks.drill.loader.Role`
    """
    keeper = Keeper(role)
    while True:
        try:
            order = role.orders.get(timeout=_PERIOD)
        except queue.Empty:
            keeper.watch()
            continue
        answer = {'event': 'answer', 'number': order['number']}
        try:
            answer['said'] = getattr(keeper, f'do_{order["do"]}')(
                **order['with'])
        except Exception as exc:
            answer['error'] = errors.describe(exc)
            answer['error']['where'] = (answer['error']['where']
                                        or keeper.at)
        role.send(answer)


class Keeper:
    """Keeps the database and the board open.

    :ivar at: which of the two is in use
    """

    def __init__(self, role):
        self._role = role
        self._id = names.parse(role.spec['id'])
        self._namespace = role.spec['namespace']
        self.at = 'persistence'
        self._flows: list[str] = []
        self._seen: dict[str, Any] = {}
        self._watching = False

    def do_open(self):
        """Open both, as far as that does not write."""
        from oslo_config import cfg
        from taskflow.persistence import backends
        base = cfg.CONF.task_flow.jobboard_backend_namespace
        self.at = 'persistence'
        # Octavia retries for minutes, which does not help here.
        retries = cfg.CONF.database.max_retries
        cfg.CONF.set_override('max_retries', 1, group='database')
        self._driver = self._role.driver()
        opener = self._driver.persistence_driver
        backend = backends.fetch(opener.persistence_conf)
        backend.get_connection().validate()
        opener.persistence_conf['max_retries'] = retries
        self._books = logbooks.Logbooks(backend)
        self._registered = self._books.registered()
        self.at = 'jobboard'
        self._board = boards.OF[
            cfg.CONF.task_flow.jobboard_backend_driver](
                self._driver, backend, base)
        self._board.look(self._namespace)

    def do_found(self, search):
        """Return the drills that have left something, and their namespaces.

        :param search: whether to look at the whole board, too
        """
        base = self._board._base
        found = {text: about.get('namespace')
                 for text, about in self._registered.items()}
        if search:
            for id_ in self._board.found():
                found.setdefault(id_.text, None)
        for text, space in found.items():
            id_ = names.parse(text)
            if not space or not space.endswith(f'_drill_{text}'):
                found[text] = names.namespace(base, id_)
        return found

    def do_register(self, about):
        """Record that this drill exists."""
        self.at = 'persistence'
        self._books.register(self._id, about)
        self.at = 'jobboard'
        self._board.prepare(self._namespace)

    def do_post(self, flows):
        """Post flows; return the uuids of their details."""
        from octavia.common import base_taskflow

        class Poster(base_taskflow.TaskFlowServiceController):
            def _wait_for_job(self, job_board):
                """Do not wait until they are done: more are to be posted."""

        # Octavia names logbook, flow and job after this.
        flow.make.__name__ = f'{names.PREFIX}{self._id.text}'
        poster = Poster(self._driver)
        self._flows = [poster.run_poster(flow.make, store={'number': n})
                       for n in range(flows)]
        self._watching = True
        return self._flows

    def do_watch(self, flows):
        """Watch flows that another host has posted."""
        self._flows = flows
        self._watching = True

    def watch(self):
        """Tell the director what has changed."""
        if not self._watching:
            return
        try:
            # Jobs are taken off before their flows are deleted.
            states = self._books.states(self._flows)
            seen = self._board.look(self._namespace)
            now = {**seen._asdict(), 'states': states}
        except Exception as exc:
            now = {'error': errors.describe(exc)}
        if now != self._seen:
            self._seen = now
            self._role.send({'event': 'seen', **now})

    def do_remove(self, drill, namespace):
        """Remove everything of a drill.

        :returns: ``gone``, how many entries there were, and ``left``, what
            prevented their removal from the board or the database
        """
        self._watching = False
        id_ = names.parse(drill)
        gone, left = 0, []
        for _ in range(2):
            removed, left = self._remove(id_, namespace)
            gone += removed
            time.sleep(_LATE)
        return {'gone': gone, 'left': left}

    def _remove(self, id_, namespace):
        gone = 0
        left: list[dict[str, Any]] = []
        try:
            gone += self._board.remove(namespace, id_)
        except Exception as exc:
            left.append({**errors.describe(exc), 'where': 'jobboard'})
        try:
            # Without its entry, the remains on the board would not be found.
            gone += self._books.remove(id_, but_entry=bool(left))
        except Exception as exc:
            left.append({**errors.describe(exc), 'where': 'persistence'})
        return gone, left

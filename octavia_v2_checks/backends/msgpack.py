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

"""As much of MessagePack as it takes to name a job on a Redis board."""

import re
import struct
from typing import Any

from octavia_v2_checks.backends import board

_DEEPEST = 64

#: The beginning and the end of a posting as TaskFlow writes it.
_BEGINNING = re.compile(
    rb'[\x80-\x8f]\xa4uuid\xd9\x24.{36}\xa4name\xd9(.)', re.S)
_BOOK = b'\xa4book\x82'
_END = re.compile(
    _BOOK + rb'\xa4name(?:\xd9.|[\xa0-\xbf]).{0,255}?'
    rb'\xa4uuid\xd9\x24([0-9a-f-]{36})(?:\xa8sequence'
    rb'(?:[\x00-\x7f]|\xcc.|\xcd..|\xce.{4}|\xcf.{8}))?\Z', re.S)
# Text cannot forge this: the byte after the key is none of UTF-8's.
_LOAD_BALANCER = re.compile(rb'\xafloadbalancer_id\xd9\x24([0-9a-f-]{36})')

#: First byte -> struct format of a number.
_NUMBERS = {
    0xca: '>f', 0xcb: '>d', 0xcc: '>B', 0xcd: '>H', 0xce: '>I', 0xcf: '>Q',
    0xd0: '>b', 0xd1: '>h', 0xd2: '>i', 0xd3: '>q'}

#: First byte -> kind, and struct format of the size that follows.
_SIZED = {
    0xc4: ('bin', '>B'), 0xc5: ('bin', '>H'), 0xc6: ('bin', '>I'),
    0xc7: ('ext', '>B'), 0xc8: ('ext', '>H'), 0xc9: ('ext', '>I'),
    0xd9: ('str', '>B'), 0xda: ('str', '>H'), 0xdb: ('str', '>I'),
    0xdc: ('list', '>H'), 0xdd: ('list', '>I'),
    0xde: ('map', '>H'), 0xdf: ('map', '>I')}

_CONSTANTS = {0xc0: None, 0xc2: False, 0xc3: True}


class Malformed(Exception):
    """The bytes are no MessagePack, or not only."""


class Unpacker:
    """Takes values out of bytes.

    No value is larger than the bytes that are there, so the memory that
    rubbish can take is bounded by its own size.
    """

    def __init__(self, data: bytes, at: int = 0):
        self._data = data
        self.at = at

    @property
    def ended(self) -> bool:
        """Whether nothing follows."""
        return self.at == len(self._data)

    def _take(self, count: int) -> bytes:
        end = self.at + count
        if end > len(self._data):
            raise Malformed
        data = self._data[self.at:end]
        self.at = end
        return data

    def _number(self, form: str) -> Any:
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _head(self, first: int) -> tuple[str, int]:
        if first in _SIZED:
            kind, form = _SIZED[first]
            return kind, self._number(form)
        for low, high, kind in ((0x80, 0x8f, 'map'), (0x90, 0x9f, 'list'),
                                (0xa0, 0xbf, 'str')):
            if low <= first <= high:
                return kind, first - low
        if 0xd4 <= first <= 0xd8:
            return 'ext', 1 << (first - 0xd4)
        raise Malformed

    def value(self, depth: int = 1) -> Any:
        """Return the next value; bytes stand for what only Python knows.

        :raises Malformed: if there is none
        """
        first = self._take(1)[0]
        if first < 0x80:
            return first
        if first >= 0xe0:
            return first - 256
        if first in _CONSTANTS:
            return _CONSTANTS[first]
        if first in _NUMBERS:
            return self._number(_NUMBERS[first])
        kind, size = self._head(first)
        if kind == 'str':
            return self._take(size).decode('utf-8', 'replace')
        if kind == 'bin':
            return self._take(size)
        if kind == 'ext':
            return self._take(size + 1)
        # No item is shorter than a byte.
        if depth > _DEEPEST or size > len(self._data) - self.at:
            raise Malformed
        if kind == 'list':
            return [self.value(depth + 1) for _ in range(size)]
        return self._map(size, depth)

    def _map(self, size, depth):
        found = {}
        for _ in range(size):
            key = self.value(depth + 1)
            value = self.value(depth + 1)
            if isinstance(key, list | dict):
                raise Malformed
            found[key] = value
        return found


def job(key: str, data: bytes, **state: Any) -> board.Job:
    """Return the job that a posting describes."""
    try:
        return _quick(key, data, state) or _thorough(key, data, state)
    except Malformed:
        return board.Job(key, **state)


def _quick(key, data, state):
    """Read both ends only, where they lie as TaskFlow writes them.

    What is between them is a hundred times as long.
    """
    beginning = _BEGINNING.match(data)
    end = _END.match(data, max(0, data.rfind(_BOOK)))
    if not beginning or not end:
        return None
    at = beginning.end()
    name = data[at:at + beginning[1][0]].decode('utf-8', 'replace')
    found = _LOAD_BALANCER.search(data)
    return board.Job(key, name, end[1].decode(),
                     found[1].decode() if found else None, **state)


def _thorough(key, data, state):
    unpacker = Unpacker(data)
    posting = unpacker.value()
    if not unpacker.ended:
        raise Malformed
    return board.describe(key, posting, **state)

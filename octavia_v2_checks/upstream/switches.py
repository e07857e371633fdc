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

"""What TaskFlow reads as yes, in the dictionaries of ``[task_flow]``.

It asks ``oslo_utils.strutils``, whose import takes longer than asking a
server; the tests compare the two.
"""

from typing import Any

_TRUE = frozenset({'1', 't', 'true', 'on', 'y', 'yes'})
_FALSE = frozenset({'0', 'f', 'false', 'off', 'n', 'no'})


def is_true(value: Any, default: bool = False) -> bool:
    """Return a switch as ``bool_from_string`` of oslo.utils reads it.

    :param value: a boolean, a number or a text
    :param default: for anything that is neither yes nor no
    """
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    return word in _TRUE or (default and word not in _FALSE)

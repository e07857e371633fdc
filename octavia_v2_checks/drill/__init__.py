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

"""A flow that a worker begins, is killed in, and another one finishes.

The only part of this project that writes to a server. ``director`` runs in the
process of the command, which imports neither Octavia nor TaskFlow; it directs
children that do: ``loader`` imports Octavia once and is forked into a
``keeper``, which posts, watches and removes, and into several ``conductor``
processes, the workers that die and continue.
"""

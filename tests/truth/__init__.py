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


"""Whether a verdict is right: what the check says, and what a worker does.

A case is a system, of :mod:`databases` and :mod:`jobboards`, and what is
otherwise in its configuration than in a good one, of :mod:`changes`,
:mod:`values` and :mod:`odd`. Its name says all of that, and brings it about
again: ``python -m tests.truth --case mariadb/redis-acl/port=closed``.

:mod:`judging` lets ``upgrade check`` judge it, and then :mod:`worker` be a
worker; :mod:`stricter` has what is a failure on purpose although a worker
can work with it. :mod:`page` makes a page of what came of a run.
"""

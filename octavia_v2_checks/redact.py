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

"""Takes secrets out of text.

Messages are made from values that are known to be public, so this is the
second line of defence: for tracebacks, and for what plug-ins say.
"""

from collections.abc import Iterable
from urllib import parse

MASK = '***'

#: Shorter secrets are found in ordinary words; masking those would make a
#: message useless and, by the gaps, tell the secret.
SHORTEST = 4


class Redactor:
    """Knows the secrets of one configuration.

    :param secrets: in plain form, as :meth:`Settings.secrets` gives them
    :param public: texts that are shown on purpose, such as user, host and
        database names; a secret that is part of one of them cannot be masked
        without masking them
    """

    def __init__(self, secrets: Iterable[str], public: Iterable[str] = ()):
        public = ' '.join(public)
        forms: set[str] = set()
        for secret in secrets:
            if len(secret) >= SHORTEST and secret not in public:
                forms |= {secret, repr(secret)[1:-1],
                          secret.replace('$', '$$'),
                          parse.quote(secret), parse.quote(secret, safe=''),
                          parse.quote_plus(secret)}
        self._forms = sorted(forms, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return the text with every secret replaced by ``***``."""
        for form in self._forms:
            text = text.replace(form, MASK)
        return text

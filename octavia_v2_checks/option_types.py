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

"""The types of options: what a value may be, and how a sample shows it."""

from oslo_config import types

from octavia_v2_checks import waivers

#: Seconds: the bounds of our own options.
SHORTEST = 1.0
LONGEST = 86400.0


class Text(types.String):
    """A string whose default is "unset", written as an empty value.

    oslo.config prints ``<None>`` for such a default, which reads back as the
    five-character text. Here the sample shows an empty value, and an empty
    value reads back as ``None``.
    """

    NONE_DEFAULT = ''

    def __call__(self, value):
        value = super().__call__(value)
        return None if value == '' else value


class Seconds(types.Integer):
    """A positive whole number of seconds; empty means unset."""

    NONE_DEFAULT = ''

    def __init__(self):
        super().__init__(min=1)


class Duration(types.Float):
    """Seconds to wait: neither empty nor unlimited.

    :param shortest: the least number of them
    :raises ValueError: on read, for a value that is not a number or is out of
        bounds
    """

    def __init__(self, shortest=SHORTEST):
        super().__init__(min=shortest, max=LONGEST, type_name='seconds')

    def __call__(self, value):
        number = super().__call__(value)
        # "nan" compares with nothing, and so passes every bound.
        if number is None or number != number:
            raise ValueError('not a number of seconds')
        return number


class DatabaseURL(types.String):
    """An SQLAlchemy URL, as far as its form is concerned.

    :raises ValueError: for text that is not a ``dialect://…`` URL, without
        repeating the text, which may contain a password.
    """

    def __call__(self, value):
        value = super().__call__(value)
        if '://' not in value:
            raise ValueError('not a database URL')
        return value


class Waiver(types.String):
    """A waiver, as :func:`octavia_v2_checks.waivers.parse` reads it.

    :raises ValueError: on read, for a text that is not a waiver; empty means
        none
    """

    NONE_DEFAULT = ''

    def __call__(self, value):
        value = super().__call__(value)
        if value:
            waivers.parse(value)
        return value


class ReportFile(types.String):
    """``FORMAT:PATH`` of a report to leave behind.

    :raises ValueError: on read, for a text without one of the two, and for an
        impossible path; empty means none
    """

    NONE_DEFAULT = ''

    def __call__(self, value):
        value = super().__call__(value)
        form, _, path = value.partition(':')
        if (value and not (form.strip() and path.strip())) or '\0' in value:
            raise ValueError('a report is written FORMAT:PATH')
        return value


class SSLOptions(types.Dict):
    """One of the ``*_ssl_options`` dictionaries.

    A value from a file is exactly what Octavia gets: strings, and only the
    keys that were written, because a written dictionary replaces the whole
    default. The one exception is the text of the sample: it reads back as the
    default that it represents.

    :param defaults: the default dictionary of Octavia
    :param sample: the entries the sample shows, chosen so that Octavia
        itself, reading the sample, behaves as with the default
    :raises ValueError: on read, for an entry without a colon or an unknown
        key
    """

    def __init__(self, defaults, sample):
        super().__init__()
        self.defaults = dict(defaults)
        self.sample = dict(sample)

    def __call__(self, value):
        parsed = super().__call__(value)
        if parsed == self.sample:
            return dict(self.defaults)
        unknown = sorted(set(parsed) - set(self.defaults))
        if unknown:
            raise ValueError(
                f'unknown key {unknown[0]}; known are '
                + ', '.join(sorted(self.defaults)))
        return parsed

    def format_defaults(self, default, sample_default=None):
        shown = self.sample if default == self.defaults else default or {}
        return [','.join(f'{k}:{v}' for k, v in shown.items())]

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

"""Readers of the output formats: what each says about every row."""

from html import parser
from importlib import resources
import json
import re

import jsonschema
import junitparser
from prometheus_client import parser as prometheus_parser

SCHEMA = json.loads((resources.files('octavia_v2_checks') / 'data'
                     / 'report.schema.json').read_text())


def valid(document):
    """Return a document that is valid by the schema."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft202012Validator(
        SCHEMA, format_checker=jsonschema.FormatChecker()).validate(document)
    return document


class Page(parser.HTMLParser):
    """What a browser sees: elements with their attributes and texts.

    :ivar badges: the word of each check, by its id
    :ivar texts: (element, text)
    """

    VOID = ('meta', 'br')

    def __init__(self, page):
        super().__init__()
        self.open, self.elements, self.texts = [], [], []
        self.feed(page)
        self.close()
        assert self.open == []
        # The first badge and the first code of a check are its own.
        checks = page.split('<article class="check">')[1:]
        self.badges = {
            re.search('<code>(.*?)</code>', re.sub('<h3>.*?</h3>', '', check,
                                                   flags=re.S), re.S)[1]:
            re.search('</span> (.*?)</span>', check)[1] for check in checks}

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else None, data))

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


def read_table(document):
    return dict(re.findall(r'Check: (?:Row )?(\S+) .*\n\| Result: (\w+)',
                           document))


def read_json(document):
    return {row['id']: row['verdict']
            for row in valid(json.loads(document))['checks']}


def cases(document):
    [suite] = junitparser.JUnitXml.fromstring(document.encode())
    return {case.name: case for case in suite}


def read_junit(document):
    return {name: case.result[0]._tag if case.result else 'passed'
            for name, case in cases(document).items()}


def samples(document):
    """Return metric -> labels (and in them the values) -> value."""
    found = {}
    for family in prometheus_parser.text_string_to_metric_families(
            document + '\n'):
        assert family.type == 'gauge' and family.documentation
        values = found.setdefault(family.name.removeprefix(
            'octavia_v2_checks_'), {})
        for sample in family.samples:
            key = tuple(sample.labels.values())
            assert key not in values
            values[key] = sample.value
    return found


def read_prometheus(document):
    metrics = samples(document)
    return {id_: (value, metrics['complete'][id_,])
            for (id_,), value in metrics['result'].items()}


def read_html(document):
    return Page(document).badges


def read_nagios(document):
    first, *lines = document.splitlines()
    assert re.fullmatch(
        r'OCTAVIA (OK|WARNING|CRITICAL) - [^|]+ \| failures=\d+ '
        r'warnings=\d+ waived=\d+ duration=\d+\.\d{3}s', first)
    assert '|' not in ''.join(lines)
    return dict(line.split(': ') for line in lines
                if not line.startswith('- '))


def read_text(document):
    """Return the worst sign of each row of :mod:`tests.reports`."""
    found = {}
    for part in document.split('\n\n'):
        title, *lines = part.splitlines() or ['']
        if lines and all(line.startswith('  ') for line in lines):
            signs = {line[2] for line in lines}
            found[title.removeprefix('Row ')] = next(
                s for s in '✗!✓– ' if s in signs)  # noqa: RUF001
    return found


READERS = {'text': read_text, 'table': read_table, 'json': read_json,
           'junit': read_junit, 'prometheus': read_prometheus,
           'html': read_html, 'nagios': read_nagios}

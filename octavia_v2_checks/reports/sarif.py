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

"""SARIF 2.1.0, so that code hosts show a finding next to its line."""

from collections.abc import Iterable
import json
import os
import pathlib
from typing import Any
from urllib import parse

from octavia_v2_checks import catalogue
from octavia_v2_checks.findings import Finding
from octavia_v2_checks.upstream import versions

_SCHEMA = ('https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/'
           'schemas/sarif-schema-2.1.0.json')

_LEVELS = {'FAILURE': 'error', 'WARNING': 'warning', 'SUCCESS': 'none'}

#: Paths below the working directory are relative to it: a pipeline has checked
#: the files out there.
_BASE = '%SRCROOT%'


def render(findings: Iterable[Finding], settings: Any) -> str:
    """Return one SARIF log with one run.

    :param findings: of ``validate``, already free of secrets
    :param settings: the Settings they are about
    """
    findings = list(findings)
    ids = {id_: number for number, id_ in enumerate(
        dict.fromkeys(f.id for f in findings))}
    base = _base()
    run = {
        'tool': {'driver': {
            'name': 'octavia-v2-checks',
            'version': versions.installed('octavia-v2-checks') or 'unknown',
            'rules': [_rule(catalogue.entry(id_)) for id_ in ids],
        }},
        'originalUriBaseIds': {
            _BASE: {'uri': f'{base.as_uri().rstrip("/")}/'}} if base else {},
        'artifacts': [{'location': _artifact(path, base)}
                      for path in settings.redactor.clean(
                          [f.path for f in settings.files])],
        'columnKind': 'unicodeCodePoints',
        'results': [_result(f, ids[f.id], base) for f in findings],
    }
    return json.dumps(
        {'$schema': _SCHEMA, 'version': '2.1.0', 'runs': [run]}, indent=2)


def _rule(entry):
    return {
        'id': entry.id,
        'shortDescription': {'text': entry.title},
        'fullDescription': {'text': f'{entry.title} {entry.why}'},
        'help': {'text': entry.remedy},
        'defaultConfiguration': {'level': _LEVELS[entry.severity]},
    }


def _result(finding, index, base):
    remedy = f' Remedy: {finding.remedy}' if finding.remedy else ''
    result: dict[str, Any] = {
        'ruleId': finding.id,
        'ruleIndex': index,
        'level': _LEVELS[finding.severity.name],
        'message': {'text': f'{finding.message}{remedy}'},
        # Two findings of one id in a file differ in their option.
        'partialFingerprints': {
            'idAndOption/v1': f'{finding.id}:{finding.option or ""}'},
    }
    if finding.waived:
        result['suppressions'] = [{
            'kind': 'external',
            'justification': finding.waived.as_text()}]
    location: dict[str, Any] = {}
    if finding.file:
        location['physicalLocation'] = {
            'artifactLocation': _artifact(finding.file, base)}
        if finding.line:
            location['physicalLocation']['region'] = {
                'startLine': finding.line}
    if finding.option:
        location['logicalLocations'] = [
            {'fullyQualifiedName': finding.option, 'kind': 'member'}]
    if location:
        result['locations'] = [location]
    return result


def _base():
    """Return the working directory, None if it has been deleted."""
    try:
        return pathlib.Path.cwd()
    except OSError:
        return None


def _artifact(path, base):
    if base is not None:
        path = os.path.abspath(path)
        relative = os.path.relpath(path)
        if not relative.startswith(os.pardir + os.sep):
            # Names are bytes, and need not be UTF-8.
            return {'uri': parse.quote(os.fsencode(relative)),
                    'uriBaseId': _BASE}
    return {'uri': pathlib.Path(path).as_uri()}

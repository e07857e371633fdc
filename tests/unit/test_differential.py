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

"""The page that compares us with the stock check is the one we would write."""

import re

import pytest

from benchmarks import differential
from benchmarks import differential_cells
from octavia_v2_checks import catalogue
from tests.unit import test_docs

PAGE = test_docs.ROOT / differential.PAGE
CELLS = differential_cells.CELLS


def test_the_page_has_every_cell():
    shown = re.findall(r'^   \* - (.+)$', PAGE.read_text(), re.M)
    assert shown == ['System', *(c.title for c in CELLS if not c.slow),
                     *(c.title for c in CELLS if c.slow)]


def test_findings_exist():
    known = {entry.id for entry in catalogue.entries()}
    assert {id_ for cell in CELLS for id_ in cell.ids} <= known
    assert set(re.findall(r'``([a-z]+\.[a-z-]+)``', PAGE.read_text())
               ) <= known


@pytest.fixture
def cell():
    return CELLS[0]


@pytest.mark.parametrize('stock, level, expected', [
    ('Success', 'Success', '     - Success, 1.0 s'),
    ('Success', 'Failure', '     - **Success**, 1.0 s'),
    (None, 'Failure', '     - **nothing**, 1.0 s'),
    ('Traceback, exit code 255', 'Failure',
     '     - **Traceback, exit code 255**, 1.0 s')])
def test_row(cell, stock, level, expected):
    line = differential.Line(cell, stock, 1.0, level, ['config.release'], 2.0)
    text = differential.row(line).split('\n')
    assert text[0] == f'   * - {cell.title}'
    assert text[1] == expected
    assert text[2] == f'     - {level}: ``config.release``, 2.0 s'
    assert (cell.why in text[3]) == (stock is not None)


def test_summary(cell):
    lines = [differential.Line(cell, stock, 1.0, level, [], 1.0)
             for stock, level in (
                 ('Success', 'Success'), ('Failure', 'Failure'),
                 ('Success', 'Failure'), (None, 'Failure'),
                 ('Warning', 'Success'))]
    text = ' '.join(differential.page(lines).split())
    assert 'Of 5 systems the stock row judges 2 as' in text
    assert 'It passes 1 in which' in text
    assert 'no result for 1 within' in text
    assert 'judges 1 differently' in text

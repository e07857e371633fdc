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

"""The HTML report in a real browser: it fits, and it can be read."""

import html as stdlib_html
import json
import re
import shutil
import subprocess

import pytest

from octavia_v2_checks.reports import html
from tests import reports

#: CSS pixels: a telephone, and a desktop.
WIDTHS = (390, 1280)

#: WCAG 2.2, 1.4.3, level AA.
CONTRAST = 4.5

#: A page may run no script, so it stands in a frame of one that may. In a
#: frame the width is exact, where a headless window has a minimum.
PROBE = """<!DOCTYPE html><meta charset="utf-8"><title>probe</title>
%s<pre id="seen"></pre><script>
function luminance(c) {
  const part = v =>
    (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  return .2126 * part(c[0]) + .7152 * part(c[1]) + .0722 * part(c[2]);
}
const colour = text => text.match(/[\\d.]+/g).map(Number);
function ground(element) {
  for (; element; element = element.parentElement) {
    const c = colour(getComputedStyle(element).backgroundColor);
    if (c.length === 3 || c[3] === 1) return c;
  }
  return [255, 255, 255];
}
function contrast(element) {
  const pair = [colour(getComputedStyle(element).color), ground(element)]
    .map(luminance).sort((a, b) => b - a);
  return (pair[0] + .05) / (pair[1] + .05);
}
window.addEventListener('load', () => {
  document.getElementById('seen').textContent = JSON.stringify(
    [...document.querySelectorAll('iframe')].map(frame => {
      const page = frame.contentDocument, root = page.documentElement;
      const texts = [...page.body.querySelectorAll('*')].filter(e =>
        [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()));
      return {
        width: root.clientWidth, wide: root.scrollWidth,
        outside: [...page.body.querySelectorAll('*')].filter(e =>
          e.getBoundingClientRect().right > root.clientWidth + .5).length,
        texts: texts.length, contrast: Math.min(...texts.map(contrast)),
        smallest: Math.min(...texts.map(
          e => parseFloat(getComputedStyle(e).fontSize))),
        ground: ground(page.body), ran: root.dataset.ran === 'yes'};
    }));
});
</script>"""


class Browser:
    """Chromium without a window, in a colour scheme."""

    def __init__(self, directory, dark):
        self.directory = directory
        self.dark = dark

    def look(self, pages):
        """Return what is seen of each page in each width, and the log."""
        program = shutil.which('chromium') or shutil.which('chromium-browser')
        assert program, 'chromium is not installed: run tools/test'
        frames = ''.join(
            f'<iframe width="{width}" height="900" '
            f'srcdoc="{stdlib_html.escape(page)}"></iframe>\n'
            for page in pages for width in WIDTHS)
        probe = self.directory / 'probe.html'
        probe.write_text(PROBE % frames)
        done = subprocess.run(
            [program, '--headless', '--no-sandbox', '--disable-gpu',
             '--disable-quic', '--no-first-run', '--disable-sync',
             '--disable-background-networking', '--disable-component-update',
             '--hide-scrollbars', '--enable-logging=stderr',
             f'--user-data-dir={self.directory / "profile"}',
             f'--blink-settings=preferredColorScheme={0 if self.dark else 1}',
             '--dump-dom', probe.as_uri()],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=120)
        assert done.returncode == 0, done.stderr
        found = re.search('<pre id="seen">(.+?)</pre>', done.stdout, re.S)
        assert found, done.stdout[-2000:] + done.stderr
        console = [line for line in done.stderr.splitlines()
                   if 'CONSOLE' in line]
        return json.loads(stdlib_html.unescape(found[1])), console


@pytest.fixture(params=[False, True], ids=['light', 'dark'])
def browser(request, tmp_path):
    return Browser(tmp_path, request.param)


def test_every_page_fits_and_can_be_read(browser):
    pages = [html.render(report) for report, _, _ in reports.CASES.values()]
    seen, console = browser.look(pages)
    assert console == []
    assert len(seen) == len(pages) * len(WIDTHS)
    assert {one['width'] for one in seen} == set(WIDTHS)
    for one in seen:
        assert one['wide'] == one['width']
        assert one['outside'] == 0
        assert one['texts'] > 10
        assert one['contrast'] >= CONTRAST
        assert one['smallest'] >= 12
        assert (max(one['ground']) < 64) == browser.dark
        assert not one['ran']


def test_what_is_wrong_with_a_page_would_be_seen(browser):
    """And what the page forbids is not done."""
    page = html.render(reports.CASES['success'][0])
    script = '<script>document.documentElement.dataset.ran = "yes"</script>'
    picture = '<img alt="" src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">'
    free = re.sub('<meta http-equiv.*?>', '', page)
    wide = free.replace('<main>', '<main><div style="width: 2000px; '
                                  'color: #888; background: #777">wide</div>')
    (ran, _, _, _, broad, _), console = browser.look(
        [free + script, page + script + picture, wide])
    assert ran['ran'] and broad['wide'] >= 2000 and broad['outside']
    assert broad['contrast'] < CONTRAST
    assert len(console) >= 2
    seen, console = browser.look([page + script + picture])
    assert not any(one['ran'] for one in seen)
    assert any('Content Security Policy' in line for line in console)

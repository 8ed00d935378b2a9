"""The report in a real browser: opened from disk with the network off, on a phone and on a desktop."""

import pytest

import browsers
from digits_run import build
from tenfold.reporting import report

playwright = browsers.playwright
pytestmark = browsers.in_browser

PHONE, DESKTOP = browsers.PHONE, (1400, 900)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    return report(build(tmp_path_factory.mktemp("runs"), test=True)).as_uri()


@pytest.fixture(scope="module")
def browser():
    with browsers.launched() as browser:
        yield browser


@pytest.fixture
def visit(browser, address):
    """A function that opens the report."""
    with browsers.visits(browser, offline=True) as visit:
        yield lambda size=DESKTOP, scheme="light": visit(address, size, scheme)


@pytest.mark.parametrize("size", [PHONE, DESKTOP])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_opens_offline_without_complaint_or_sideways_scrolling(visit, address, size, scheme):
    page = visit(size, scheme)
    assert page.complaints == []
    assert [url for url in page.requests if not url.startswith("data:")] == [address]
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    broken = "[...document.images].filter(i => i.checkVisibility() && !(i.complete && i.naturalWidth)).length"
    page.wait_for_function(f"{broken} === 0", timeout=10_000)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_can_be_read_against_what_is_behind_them(visit, scheme):
    """Every visible text has the contrast that WCAG 2.1 AA asks for, confusion cells and alarms included."""
    page = visit(DESKTOP, scheme)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    words = page.evaluate(CONTRAST)
    assert len(words) > 500
    assert [(ratio, text) for ratio, text in words if ratio < 4.5] == []


def test_a_confusion_cell_leads_to_its_pictures(visit):
    page = visit()
    link = page.locator("#test .confusion a").first
    count = int(link.inner_text())
    link.click()
    key = page.url.partition("#")[2]
    playwright.expect(page.locator(f"#{key}")).to_be_in_viewport()
    mistakes = page.locator("#test-mistakes .card")
    of_this_kind = page.locator(f"#test-mistakes .card.{key.replace('test-', 'p')}")
    visible = page.locator("#test-mistakes .card:visible")
    assert 1 <= visible.count() == of_this_kind.count() <= count < mistakes.count()
    page.get_by_role("link", name="Show all mistakes").click()
    playwright.expect(visible).to_have_count(mistakes.count())


# Walks all elements with words of their own and compares their colour with the stack of backgrounds behind.
CONTRAST = """() => {
  const parse = c => { const n = c.match(/[\\d.]+/g).map(Number); return [n[0], n[1], n[2], n[3] ?? 1] };
  const over = (a, b) => [0, 1, 2].map(i => a[i] * a[3] + b[i] * (1 - a[3]));
  const linear = v => v / 255 <= .04045 ? v / 255 / 12.92 : ((v / 255 + .055) / 1.055) ** 2.4;
  const luminance = c => [.2126, .7152, .0722].reduce((sum, weight, i) => sum + weight * linear(c[i]), 0);
  const behind = e => {
    const layers = [];
    for (; e; e = e.parentElement) layers.unshift(parse(getComputedStyle(e).backgroundColor));
    return layers.reduce((below, layer) => over(layer, below), [255, 255, 255]);
  };
  const ownWords = e => [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
  const words = [...document.body.querySelectorAll('*')].filter(e => ownWords(e) && e.checkVisibility());
  return words.map(e => {
    const back = behind(e), fore = over(parse(getComputedStyle(e).color), back);
    const [high, low] = [luminance(fore), luminance(back)].sort((a, b) => b - a);
    return [(high + .05) / (low + .05), `${e.tagName}.${e.className}: ${e.textContent.trim().slice(0, 30)}`];
  });
}"""

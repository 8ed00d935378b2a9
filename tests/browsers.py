"""Pages in headless Chromium: what their tests share."""

import contextlib

import pytest

from tenfold.exporting.browser import chromium

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

PHONE, DESKTOP = (390, 844), (1280, 900)
BROWSER = chromium.program()
in_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine (apt install chromium)")


@contextlib.contextmanager
def launched():
    """Chromium; the camera is its own test picture, and may be used without asking."""
    if BROWSER is None:
        pytest.skip("no Chromium on this machine (apt install chromium)")
    camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with playwright.sync_playwright() as tools:
        # A container has no user namespaces for Chromium's sandbox; the pages are our own.
        browser = tools.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", *camera])
        yield browser
        browser.close()


@contextlib.contextmanager
def visits(browser, **options):
    """A function that opens an address; complaints and requests of the page collect in its attributes."""
    with contextlib.ExitStack() as contexts:

        def visit(url, size=DESKTOP, scheme="light"):
            width, height = size
            context = browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme, **options
            )
            contexts.callback(context.close)
            page = context.new_page()
            page.complaints, page.requests = [], []
            page.on("console", lambda message: page.complaints.append(message.text))
            page.on("pageerror", lambda error: page.complaints.append(str(error)))
            page.on("request", lambda request: page.requests.append(request.url))
            page.goto(url)
            return page

        yield visit

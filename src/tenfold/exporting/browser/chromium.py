"""Asks a page what it makes of pictures, in headless Chromium, where this machine has one."""

import base64
import importlib.util
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tenfold.errors import GateError

if TYPE_CHECKING:
    from playwright.sync_api import Page

_TOGETHER = 32  # pictures a question
_ASK = """async ([text, count]) => {
  const pixels = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  return (await globalThis.tenfold.answer(pixels, count)).probabilities;
}"""


def program() -> str | None:
    """Where Chromium or Chrome is on this machine, None where it is not."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next(filter(None, map(shutil.which, names)), None)


@dataclass(frozen=True)
class Found:
    """What a page answered.

    Attributes:
        probabilities: float32 (n, classes).
        browser: name and version of the browser.
    """

    probabilities: np.ndarray
    browser: str


def ask(page: Path, images: np.ndarray) -> Found | None:
    """The page's answers, with the network off; None where no Chromium starts or no Playwright can drive it.

    Args:
        page: written by `html`.
        images: uint8 (n, height, width, 3), of the size the page's model takes.

    Raises:
        GateError: the page fails in the browser.
    """
    if (path := program()) is None or importlib.util.find_spec("playwright") is None:
        return None
    # In a thread of its own: Playwright refuses one that runs an event loop, as a notebook's does.
    with ThreadPoolExecutor(1) as alone:
        return alone.submit(_ask, path, page, images).result()


def _ask(path: str, file: Path, images: np.ndarray) -> Found | None:
    from playwright import sync_api

    with sync_api.sync_playwright() as tools:
        try:
            # A container has no user namespaces for Chromium's sandbox; the page is our own.
            browser = tools.chromium.launch(executable_path=path, args=["--no-sandbox"])
        except sync_api.Error:
            return None
        name = f"Chromium {browser.version}"
        try:
            page = browser.new_context(offline=True).new_page()
            page.goto(file.absolute().as_uri())
            return Found(np.concatenate(list(_rows(page, images))), name)
        except sync_api.Error as error:
            raise GateError(
                f"The page fails in {name}, so it is not kept. Expected: an answer to each of {len(images)} "
                f"pictures. Received: {str(error).splitlines()[0]} Use --format onnx and report this."
            ) from error
        finally:
            browser.close()


def _rows(page: "Page", images: np.ndarray) -> Iterator[np.ndarray]:
    for at in range(0, len(images), _TOGETHER):
        part = np.ascontiguousarray(images[at : at + _TOGETHER])
        text = base64.b64encode(part.tobytes()).decode()
        yield np.array(page.evaluate(_ASK, [text, len(part)]), np.float32).reshape(len(part), -1)

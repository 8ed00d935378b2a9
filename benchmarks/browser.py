"""The page that runs a model in the browser: its size, how soon it answers, and whether as the model does.

    python benchmarks/browser.py runs/fast runs/tiny    # some minutes; writes its part of docs/results.md

Pages are opened from disk in headless Chromium with the network off. Validation pictures are given to them as
PNG files, one after the other; a time is that from the file to the probabilities. The answers are compared
with those of the Keras model, ties aside. A photograph of 12 million pixels shows what large pictures cost.
Needs Playwright and Chromium.
"""

import argparse
import base64
import io
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import results
from tenfold import calibration, exporting, models, runs, splits
from tenfold.exporting import browser, gate
from tenfold.exporting.browser import chromium
from tenfold.images import encode_png

PICTURES, LOADS, PHOTOGRAPHS = 200, 5, 5
BARS = {"size": 15e6, "milliseconds": 100, "pictures": 50}

ASK = """async text => {
  const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  const started = performance.now();
  const pixels = await tenfold.pixels(new Blob([bytes]));
  const seen = performance.now();
  const {probabilities} = await tenfold.answer(pixels);
  return [seen - started, performance.now() - seen, probabilities];
}"""


@dataclass(frozen=True)
class Figures:
    """What was measured on one page; times in milliseconds."""

    size: int
    load: list[float]
    answers: list[float]
    photograph: list[float]
    same: list[bool]  # classes whose probabilities lie within the gate's bounds of each other are as good
    difference: float

    @property
    def good(self) -> bool:
        return (
            self.size < BARS["size"]
            and all(self.same[: int(BARS["pictures"])])
            and statistics.median(self.answers) < BARS["milliseconds"]
        )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+", help="folders of finished runs")
    parser.add_argument("--smoke", action="store_true", help="few pictures; print the table only")
    options = parser.parse_args()
    found = {place.name: measured(runs.open_run(place), options.smoke) for place in options.runs}
    if options.smoke:
        print(table(found))
    else:
        results.write(
            "browser", table(found), packages=("keras", "torch", "onnxruntime", "playwright", "python")
        )
    return 0


def measured(run: runs.Run, smoke: bool) -> Figures:
    parts = splits.read_again(run)
    held = (parts.train if parts.validation is None else parts.validation).images
    pictures = held[np.linspace(0, len(held) - 1, 20 if smoke else PICTURES).astype(int)]
    expected = models.predict_fn(
        models.load(run.model_path), calibrator=calibration.calibrator(run.calibration)
    )(pictures)
    with tempfile.TemporaryDirectory() as folder:
        file = exporting.export(run, path=Path(folder) / "model.onnx")
        page = browser.html(file, Path(folder) / "model.html", images=held[:1000], facts=browser.told(run))
        load, rows = asked(page, [encode_png(picture) for picture in pictures], 1 if smoke else LOADS)
        _, photographs = asked(page, [photograph()] * (1 if smoke else PHOTOGRAPHS), 1)
        answers = np.array([probabilities for _, _, probabilities in rows])
        pairs = zip(expected[:, None], answers[:, None], strict=True)
        return Figures(
            page.stat().st_size,
            load,
            [look + answer for look, answer, _ in rows],
            [look + answer for look, answer, _ in photographs],
            [gate.compare(one, two, 2 * gate.BOUND)[1] == 1 for one, two in pairs],
            float(np.abs(answers - expected).max()),
        )


def asked(page: Path, files: list[bytes], loads: int) -> tuple[list[float], list[Any]]:
    """Milliseconds until the page is ready, for several openings, and its answers to files."""
    from playwright.sync_api import sync_playwright

    load = []
    with sync_playwright() as tools:
        program = tools.chromium.launch(executable_path=chromium.program(), args=["--no-sandbox"])
        for _ in range(loads):
            opened = program.new_context(offline=True).new_page()
            opened.goto(page.as_uri())
            load.append(opened.evaluate("tenfold.ready.then(() => performance.now())"))
        rows = [opened.evaluate(ASK, base64.b64encode(file).decode()) for file in files]
        program.close()
    return load, rows


def photograph() -> bytes:
    """A JPEG of 4000 x 3000 pixels."""
    y, x = np.mgrid[:3000, :4000] / 500
    shape = np.stack([np.sin(3 * x + y), np.cos(2 * y * x), np.sin(x * x + y)], axis=-1)
    buffer = io.BytesIO()
    Image.fromarray((127.5 + 127.5 * shape).astype(np.uint8)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def table(found: dict[str, Figures]) -> str:
    lines = [
        "| run | page | ready after | a picture, median | 95 of 100 within | a 12 MP photograph | "
        "same class | largest difference |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, one in found.items():
        late = float(np.quantile(one.answers, 0.95))
        lines.append(
            f"| `{name}` | {one.size / 1e6:.1f} MB | {statistics.median(one.load):.0f} ms "
            f"| {statistics.median(one.answers):.1f} ms | {late:.1f} ms "
            f"| {statistics.median(one.photograph):.0f} ms | {sum(one.same)} of {len(one.same)} "
            f"| {one.difference:.1g} |"
        )
    lines += [
        "",
        f"Bars: below {BARS['size'] / 1e6:.0f} MB, the same class as the model for the first "
        f"{BARS['pictures']:.0f} pictures, below {BARS['milliseconds']:.0f} ms a picture: "
        + ", ".join(f"`{name}` {'met' if one.good else 'not met'}" for name, one in found.items())
        + ". One thread of WebAssembly in headless Chromium; pictures are validation pictures (training ones "
        "where a run has none) as PNG files.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())

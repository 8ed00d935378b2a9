"""Writes the page: an ONNX file, the runtime for it and a place to show it pictures, in one file."""

import base64
import gzip
import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import tenfold
from tenfold import engines, runs
from tenfold.abstention import NOT_SURE
from tenfold.errors import DataError
from tenfold.exporting import gate
from tenfold.exporting.browser import chromium
from tenfold.exporting.content import Content
from tenfold.exporting.graph import onnx_file
from tenfold.exporting.integers import onnx_int8
from tenfold.images import MAX_PIXELS

TRIED = 100
"""Pictures that a page answers in a browser before it is kept."""

_HERE = Path(__file__).parent
_RUNTIME = _HERE / "runtime"
_NEEDED = ("class_names", "image_size", "fit")

# The runtime reserves 4 GiB of addresses, which some phones refuse (microsoft/onnxruntime, issue 22086).
# Small pictures need a few per cent of that.
_RESERVED, _ENOUGH = "maximum:65536", "maximum:8192"  # pages of 64 KiB


def html_file(content: Content, path: Path) -> None:
    """`html` of an ONNX file that is written for it; the facts `name` and `accuracy` are those of `told`."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        onnx_file(content, file)
        html(file, path, images=content.images)


def html_int8(content: Content, path: Path) -> None:
    """The same in 8-bit integers: a page of a megabyte less for each 250,000 weights, and a little off.

    Raises:
        GateError: also where it gives the model's class for less than `gate.SAME_IN_INT8` of the pictures.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        onnx_int8(content, file)
        engines.check(
            lambda images: gate.expected(content, images).probabilities,
            engines.open_file(file, "onnxruntime"),
            content.images,
            bound=1,
            same=gate.SAME_IN_INT8,
        )
        html(file, path, images=content.images)


def html(file: Path, path: Path, *, images: np.ndarray, facts: Mapping[str, str] | None = None) -> Path:
    """Writes one web page that answers pictures by itself, from disk and without a network.

    It takes pictures of any size that the browser can read, and brings them to the model's size as
    `images.read` does. Where the file has the output `sure`, the page says "not sure" as the file does.

    Args:
        file: written by `exporting.onnx`, with the facts class_names, image_size and fit.
        path: the page; appears only when it is complete and has been checked.
        images: uint8 (n, height, width, 3), real pictures to check it on, in headless Chromium: at most
            `TRIED` of them, none where this machine has no Chromium or no Playwright to drive it. The page's
            metadata say which.
        facts: shown on the page: `name`, its heading, and `accuracy`, a sentence; see `told`.

    Returns:
        `path`.

    Raises:
        DataError: the file cannot be read, or lacks those facts.
        MissingExtraError: onnxruntime is not installed.
        GateError: the page answers otherwise than the file, or does not run in the browser.
    """
    known = engines.metadata(file)
    if missing := [name for name in _NEEDED if name not in known]:
        raise DataError(
            f"{file} does not say {' or '.join(missing)}, which a page needs. Expected: a file that "
            "tenfold export wrote."
        )
    words = {"name": path.stem, "precision": "float32", **known, **(facts or {})}
    with runs.Run(path.parent).replacing(path.name) as temporary, tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"  # a browser goes by the ending
        page.write_text(_filled(words, file), encoding="utf-8")
        checked = _checked(page, file, words["precision"], images[gate.spread(len(images), TRIED)])
        temporary.write_text(_filled({**words, "checked": checked}, file), encoding="utf-8")
    return path


def _checked(page: Path, file: Path, precision: str, images: np.ndarray) -> str:
    """Compares the page's answers with the file's; says in words how that was done."""
    found = chromium.ask(page, images)
    if found is None:
        return "the ONNX file inside, with onnxruntime; not the page, as there was no browser"
    bound, same = (1, engines.SAME_IN_INT8) if precision == "int8" else (1e-4, 0)
    opened = engines.open_file(file, "onnxruntime")
    difference, _ = engines.check(opened, lambda _: found.probabilities, images, bound, same)
    return (
        f"{len(images)} held pictures in {found.browser}: probabilities within {difference:.1g} of those by "
        "onnxruntime"
    )


def told(run: runs.Run) -> dict[str, str]:
    """The facts of a run that its page shows: its name, and its best-founded accuracy."""
    scored = next(filter(None, map(run.scores, ("test", "validation"))), None)
    if scored is None:
        return {"name": run.name}
    share, (low, high) = scored["accuracy"], scored["accuracy_interval"]
    accuracy = (
        f"The model answered {100 * share:.1f} % of {scored['pictures']:,} {scored['split']} pictures right "
        f"({100 * scored['interval_level']:.0f} % interval: {100 * low:.1f} to {100 * high:.1f} %)."
    )
    return {"name": run.name, "accuracy": accuracy}


def _filled(words: Mapping[str, str], model: Path) -> str:
    """The page's text."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["fingerprint"] = _fingerprint
    return environment.get_template("page.html").render(
        told={"tenfold": tenfold.__version__, **words, "runtime": _runtime_name()},
        facts=_facts(words),
        style=Markup((_HERE / "page.css").read_text(encoding="utf-8")),
        script=Markup((_HERE / "page.js").read_text(encoding="utf-8")),
        licence=(_RUNTIME / "LICENSE").read_text(encoding="utf-8"),
        packed=_packed(model),
    )


def _facts(words: Mapping[str, str]) -> dict[str, Any]:
    """What the page's script goes by."""
    return {
        "names": json.loads(words["class_names"]),
        "size": int(words["image_size"]),
        "fit": words["fit"],
        "familiar_from": float(words["familiar_from"]) if "familiar_from" in words else None,
        "sure_from": float(words["sure_from"]) if "sure_from" in words else None,
        "not_sure": NOT_SURE,
        "most_pixels": MAX_PIXELS,
    }


def _packed(model: Path) -> dict[str, str]:
    """What the page unpacks: by id, gzip in base64."""
    glue = (_RUNTIME / "ort-wasm-simd-threaded.mjs").read_text(encoding="utf-8")
    content = {
        "runtime": gzip.compress((_RUNTIME / "ort.wasm.min.mjs").read_bytes(), mtime=0),
        "glue": gzip.compress(glue.replace(_RESERVED, _ENOUGH).encode(), mtime=0),
        "wasm": (_RUNTIME / "ort-wasm-simd-threaded.wasm.gz").read_bytes(),
        "model": gzip.compress(model.read_bytes(), mtime=0),
    }
    return {name: base64.b64encode(packed).decode() for name, packed in content.items()}


def _runtime_name() -> str:
    return (_RUNTIME / "VERSION").read_text(encoding="utf-8").strip()


def _fingerprint(text: str) -> str:
    """What a Content-Security-Policy calls a script or a style that it lets pass."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"

"""The page that answers by itself: opened from disk in a real browser with the network off."""

import base64
import dataclasses
import gzip
import hashlib
import html
import io
import json
import re
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import browsers
from tenfold import engines, exporting, models, runs
from tenfold.abstention import fit_familiarity
from tenfold.errors import DataError, GateError
from tenfold.exporting import browser as pages
from tenfold.exporting.browser import chromium
from tenfold.exporting.browser import page as writer
from tenfold.images import encode_png, read
from tenfold.recipes import recipe
from tenfold.training import train

onnx = pytest.importorskip("onnx", reason="needs the extra `export`")
pytest.importorskip("onnxscript", reason="needs the extra `export`")
pytest.importorskip("onnxruntime", reason="needs the extra `export`")
playwright, in_browser = browsers.playwright, browsers.in_browser

PHONE, DESKTOP = (360, 740), (1300, 900)
NAMES = ("cat", "<b>dog</b> & 'co'", "déjà vu", "ship")
RUNTIME = Path(pages.__file__).parent / "runtime"


def pictures(count=24, size=32, seed=1):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), np.uint8)


def written(folder, *, fit="pad", sure_from=None, known=None, model=None):
    """An ONNX file with all that a page needs to know."""
    facts = {"class_names": json.dumps(NAMES), "image_size": "32", "fit": fit, "source_sha256": "0123abcd"}
    given = {"images": pictures(8), "facts": facts, "known": known, "sure_from": sure_from}
    return exporting.onnx(model or small(), folder / f"{fit}.onnx", **given)


def small():
    keras.utils.set_random_seed(3)
    return models.build("fast", (32, 32, 3), len(NAMES), options={"width": 0.25, "stem": 16})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def file(folder):
    return written(folder)


@pytest.fixture(scope="module")
def address(file, folder):
    facts = {"name": "my <run>", "accuracy": "The model answered 92.3 % of 5,000 test pictures right."}
    return pages.html(file, folder / "model.html", images=pictures(40), facts=facts).as_uri()


@pytest.fixture(scope="module")
def program():
    with browsers.launched() as program:
        yield program


@pytest.fixture
def visit(program, address):
    """A function that opens the page and waits until it is ready."""
    with browsers.visits(program, offline=True) as opened:

        def visit(url=address, size=DESKTOP, scheme="light"):
            page = opened(url, size, scheme)
            playwright.expect(page.get_by_role("status")).to_have_text("Ready.", timeout=30_000)
            return page

        yield visit


def upload(content, name="some.png"):
    return {"name": name, "mimeType": "image/png", "buffer": content}


def pixels(page, content):
    """What the page makes of a picture file, uint8 (32, 32, 3)."""
    given = base64.b64encode(content).decode()
    code = """async text => {
      const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
      return [...await tenfold.pixels(new Blob([bytes]))];
    }"""
    return np.array(page.evaluate(code, given), np.uint8).reshape(32, 32, 3)


def shares(card):
    return [float(text.replace("\u00a0%", "")) / 100 for text in card.locator(".share").all_inner_texts()]


@in_browser
@pytest.mark.parametrize(("size", "scheme"), [(PHONE, "light"), (DESKTOP, "dark")])
def test_opens_from_disk_offline_without_complaint_or_sideways_scrolling(visit, address, size, scheme):
    page = visit(size=size, scheme=scheme)
    page.locator("#files").set_input_files(upload(encode_png(pictures(1, 50)[0]), "a-long-name" * 9 + ".png"))
    playwright.expect(page.locator("#answers li.card")).to_have_count(1)
    page.get_by_text("About this model").click()
    assert page.complaints == []
    assert [url for url in page.requests if not url.startswith("blob:")] == [address]
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert page.get_by_role("heading", level=1).inner_text() == "my <run>"
    assert page.get_by_text("92.3 % of 5,000 test pictures").is_visible()


@in_browser
def test_no_script_but_its_own_may_run_and_nothing_may_be_fetched(visit):
    page = visit()
    page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.foreign = true";
          document.body.append(script);
        }"""
    )
    assert page.evaluate("window.foreign") is None
    fetched = page.evaluate("fetch('data:,hello').then(() => 'fetched', () => 'refused')")
    assert fetched == "refused"
    assert any("Content Security Policy" in text for text in page.complaints)


@in_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(visit, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    page = visit(scheme=scheme)
    page.locator("#files").set_input_files([upload(encode_png(pictures(1)[0])), upload(b"no picture")])
    playwright.expect(page.locator("#answers li.card")).to_have_count(2)
    page.get_by_text("About this model").click()
    page.get_by_role("button", name="Use the camera").click()
    playwright.expect(page.locator("#camera")).to_be_visible()
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_a_page_holds_what_it_was_made_of(address, file):
    text = Path(address.removeprefix("file://")).read_text(encoding="utf-8")
    found = dict(re.findall(r'<meta name="tenfold:(\w+)" content="([^"]*)">', text))
    told = {name: html.unescape(value) for name, value in found.items()}
    known = engines.metadata(file)
    assert {name: told[name] for name in known} == dict(known)
    assert told["name"] == "my <run>"
    assert told["precision"] == "float32"
    assert re.match(r"(40 held pictures in Chromium \d.*|.*not the page, .*)", told["checked"])
    assert len(text) < 15e6
    assert not re.search("https?://", text)
    assert [path.name for path in file.parent.glob(".*")] == []


SIZES = [(32, 32), (20, 20), (200, 200), (300, 117), (61, 250), (33, 1000), (40, 9), (1, 5)]  # width, height


@in_browser
@pytest.mark.parametrize("fit", ["pad", "crop", "squash"])
def test_the_page_sees_the_pixels_that_the_model_was_trained_on(visit, file, folder, fit):
    model = onnx.load(file)
    entry = next(entry for entry in model.metadata_props if entry.key == "fit")
    entry.value = fit
    onnx.save(model, folder / f"{fit}-copy.onnx")
    page = visit(pages.html(folder / f"{fit}-copy.onnx", folder / f"{fit}.html", images=pictures(4)).as_uri())
    random = np.random.default_rng(0)
    for width, height in SIZES:
        image = random.integers(0, 256, (height, width, 3), np.uint8)
        content = encode_png(image)
        np.testing.assert_array_equal(pixels(page, content), read(content, 32, fit), f"{width} x {height}")


def encoded(image, format, **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


@in_browser
def test_palettes_grey_and_transparent_parts_look_as_they_do_in_training(visit):
    page = visit()
    image = Image.fromarray(pictures(1, 80)[0])
    clear = image.copy()
    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
    for kind, content, bound in [
        ("grey", encoded(image.convert("L"), "PNG"), 0),
        ("palette", encoded(image.convert("P"), "GIF"), 0),
        ("bitmap", encoded(image, "BMP"), 0),
        ("webp", encoded(image, "WEBP", lossless=True), 0),
        ("transparent", encoded(clear, "PNG"), 1),
    ]:
        difference = pixels(page, content).astype(int) - read(content, 32)
        assert np.abs(difference).max() <= bound, kind


@in_browser
@pytest.mark.parametrize(
    ("width", "height", "orientation"),
    [(32, 32, 1), (100, 75, 6), (640, 480, 8), (1501, 1003, 1), (1504, 1008, 6), (1504, 2008, 3)],
)
def test_photographs_differ_by_little_more_than_their_decoders_do(visit, width, height, orientation):
    page = visit()
    # Smooth shapes and edges, as photographs have them.
    y, x = np.mgrid[:height, :width] / max(width, height) * 6
    shape = np.stack([np.sin(3 * x + y), np.cos(2 * y * x), np.sign(np.sin(x * x + y))], axis=-1)
    image = Image.fromarray((127.5 + 127.5 * shape).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(image, "JPEG", quality=92, exif=exif)
    found = pixels(page, content).astype(int)
    assert np.abs(found - read(content, 32)).mean() < 0.5
    assert np.abs(found - read(content, 32)).max() < 16
    flat = encoded(image, "JPEG", quality=92)
    assert (np.abs(found - read(flat, 32)).mean() > 10) == (orientation != 1)  # it was turned


@in_browser
def test_chosen_pictures_get_the_answers_of_the_file(visit, file):
    page = visit()
    some = pictures(6, 45, seed=4)
    content = [encode_png(image) for image in some]
    page.locator("#files").set_input_files([upload(each, f"{i}.png") for i, each in enumerate(content)])
    cards = page.locator("#answers li.card")
    playwright.expect(cards).to_have_count(len(some))
    expected = engines.open_file(file, "onnxruntime")(np.stack([read(each, 32) for each in content]))
    for i, row in enumerate(expected):
        card = cards.nth(len(some) - 1 - i)  # the last one is on top
        order = np.argsort(-row)
        assert card.get_by_role("heading").inner_text() == NAMES[order[0]]
        assert card.locator(".label").all_inner_texts() == [NAMES[k] for k in order]
        np.testing.assert_allclose(shares(card), row[order], atol=0.003)
        assert f"{i}.png" in card.locator(".hint").inner_text()
    best = expected[-1].argmax()
    playwright.expect(page.get_by_role("status")).to_contain_text(f"5.png: {NAMES[best]}, ")
    assert page.complaints == []


@in_browser
def test_it_says_not_sure_where_the_file_does(visit, folder):
    model, some = small(), pictures(12)
    answers, features = models.observe_fn(model)(some)
    known = fit_familiarity(features, answers.argmax(axis=1), len(NAMES))
    known = dataclasses.replace(known, least=float(np.median(known(features))))
    limit = float(np.median(answers.max(axis=1)))
    given = written(folder, fit="squash", known=known, sure_from=limit, model=model)
    page = visit(pages.html(given, folder / "sure.html", images=some).as_uri())
    page.locator("#files").set_input_files([upload(encode_png(each)) for each in some])
    cards = page.locator("#answers li.card")
    playwright.expect(cards).to_have_count(len(some))
    told = {"label": 0, "strange": 0, "doubt": 0}
    for i, (row, familiar) in enumerate(zip(answers, known(features), strict=True)):
        card = cards.nth(len(some) - 1 - i)
        heading = card.get_by_role("heading").inner_text()
        doubt = card.locator(".doubt").all_inner_texts()
        if familiar < known.least:
            kind, expected = "strange", ("not sure", ["unlike the pictures the model knows"])
        elif row.max() < limit:
            kind, expected = "doubt", ("not sure", [f"less than {100 * limit:.1f}\u00a0% sure"])
        else:
            kind, expected = "label", (NAMES[row.argmax()], [])
        assert (heading, doubt) == expected
        told[kind] += 1
    assert all(told.values())


@in_browser
def test_what_is_no_picture_is_named_and_the_next_one_is_answered(visit):
    page = visit()
    page.locator("#files").set_input_files(
        [
            upload(b"hello", "notes.txt"),
            upload(b"", "empty.png"),
            upload(encode_png(pictures(1)[0]), "good.png"),
        ]
    )
    playwright.expect(page.locator("#answers li.card")).to_have_count(3)
    bad = page.locator("#answers li.bad").all_inner_texts()
    assert [text.split()[0] for text in bad] == ["empty.png", "notes.txt"]
    assert all("cannot be read as a picture. Expected JPEG, PNG" in text for text in bad)
    playwright.expect(page.get_by_role("status")).to_contain_text("good.png: ")


@in_browser
def test_a_picture_can_be_dropped_or_pasted(visit):
    page = visit()
    handed = """([text, kind]) => {
      const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
      const data = new DataTransfer();
      if (text) data.items.add(new File([bytes], `${kind}.png`, {type: "image/png"}));
      const given = kind === "drop" ? {dataTransfer: data} : {clipboardData: data};
      const Kind = kind === "drop" ? DragEvent : ClipboardEvent;
      document.body.dispatchEvent(new Kind(kind, {bubbles: true, cancelable: true, ...given}));
    }"""
    text = base64.b64encode(encode_png(pictures(1)[0])).decode()
    for count, kind in enumerate(("drop", "paste"), 1):
        page.evaluate(handed, [text, kind])
        playwright.expect(page.locator("#answers li.card")).to_have_count(count)
        playwright.expect(page.get_by_role("status")).to_contain_text(f"{kind}.png: ")
    page.evaluate(handed, ["", "paste"])
    playwright.expect(page.get_by_role("status")).to_have_text(re.compile("pasted is no picture file"))


@in_browser
def test_the_camera_is_used_on_a_click_only_and_let_go(visit):
    page = visit()
    playwright.expect(page.locator("#camera")).to_be_hidden()
    page.get_by_role("button", name="Use the camera").click()
    snap = page.get_by_role("button", name="Take the picture")
    playwright.expect(snap).to_be_focused()
    page.keyboard.press("Enter")
    playwright.expect(page.locator("#answers li.card")).to_have_count(1)
    playwright.expect(page.get_by_role("status")).to_contain_text("Camera picture: ")
    track = page.evaluate_handle("document.querySelector('video').srcObject.getTracks()[0]")
    assert track.evaluate("track => track.readyState") == "live"
    page.keyboard.press("Escape")
    playwright.expect(page.locator("#camera")).to_be_hidden()
    assert track.evaluate("track => track.readyState") == "ended"
    playwright.expect(page.get_by_role("button", name="Use the camera")).to_be_focused()


@in_browser
def test_the_keyboard_is_enough(visit):
    page = visit()
    page.keyboard.press("Tab")
    playwright.expect(page.get_by_label("Choose pictures")).to_be_focused()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Space")
    chooser.value.set_files(upload(encode_png(pictures(1)[0])))
    playwright.expect(page.locator("#answers li.card")).to_have_count(1)


@in_browser
def test_a_page_that_cannot_run_its_model_says_so(program, address, tmp_path):
    broken = tmp_path / "broken.html"
    text = Path(address.removeprefix("file://")).read_text(encoding="utf-8")
    nothing = base64.b64encode(gzip.compress(b"no model")).decode()
    broken.write_text(
        re.sub(r'(id="model">)[^<]*', rf"\g<1>{nothing}", text), encoding="utf-8"
    )  # as a damaged copy would be
    page = program.new_page()
    page.goto(broken.as_uri())
    playwright.expect(page.get_by_role("status")).to_contain_text("The model cannot run in this browser: ")
    playwright.expect(page.get_by_label("Choose pictures")).to_be_disabled()
    page.close()
    with pytest.raises(GateError, match=r"The page fails in Chromium .*Expected: an answer to each of 3"):
        chromium.ask(broken, pictures(3))


@in_browser
def test_a_page_that_answers_otherwise_is_not_kept(folder, file, tmp_path, monkeypatch):
    target = tmp_path / "model.html"
    target.write_text("the one before")
    model = onnx.load(file)
    last = next(weight for weight in model.graph.initializer if tuple(weight.dims[1:]) == (len(NAMES),))
    last.CopyFrom(onnx.numpy_helper.from_array(-onnx.numpy_helper.to_array(last), last.name))
    onnx.save(model, folder / "other.onnx")
    packed = writer._packed
    monkeypatch.setattr(writer, "_packed", lambda model: packed(folder / "other.onnx"))
    with pytest.raises(GateError, match="answers 5 pictures otherwise"):
        pages.html(file, target, images=pictures(5))
    assert target.read_text() == "the one before"
    assert list(tmp_path.iterdir()) == [target]


def test_without_a_browser_the_page_says_so(file, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    path = pages.html(file, tmp_path / "model.html", images=pictures(5))
    assert "not the page, as there was no browser" in path.read_text(encoding="utf-8")


def test_a_file_that_names_no_classes_is_refused(file, tmp_path):
    model = onnx.load(file)
    onnx.helper.set_model_props(model, {"fit": "pad", "image_size": "32"})
    onnx.save(model, tmp_path / "bare.onnx")
    with pytest.raises(DataError, match=r"bare\.onnx does not say class_names, which a page needs"):
        pages.html(tmp_path / "bare.onnx", tmp_path / "model.html", images=pictures(4))
    assert [path.name for path in tmp_path.iterdir()] == ["bare.onnx"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    settings = dataclasses.replace(recipe("tiny"), data="digits", epochs=1, precision="float32")
    return train(settings, runs=tmp_path_factory.mktemp("runs"), name="mine")


def test_a_run_tells_its_name_and_its_accuracy(run, tmp_path):
    scored = run.scores("validation")
    share, count = f"{100 * scored['accuracy']:.1f} %", scored["pictures"]
    words = rf"The model answered {share} of {count} validation pictures right \(95 % interval: [\d.]+ to "
    assert pages.told(run)["name"] == "mine"
    assert re.match(words, pages.told(run)["accuracy"])
    assert pages.told(runs.Run(tmp_path)) == {"name": tmp_path.name}


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_it_is_a_format_like_the_others(run, precision):
    (made,) = exporting.exports(run, ["html"], max_error=0.5, precision=precision)
    assert made.path == run.path / "exports" / f"model{'-int8' if precision == 'int8' else ''}.html"
    text = made.path.read_text(encoding="utf-8")
    assert "<title>mine · Tenfold</title>" in text
    assert f'<meta name="tenfold:precision" content="{precision}">' in text
    assert "said below " in text


def test_the_runtime_is_the_one_it_is_said_to_be():
    sums = dict(line.split()[::-1] for line in (RUNTIME / "SHA256SUMS").read_text().splitlines())
    for name, expected in sums.items():
        stored = RUNTIME / name
        content = (
            stored.read_bytes() if stored.exists() else gzip.decompress(Path(f"{stored}.gz").read_bytes())
        )
        assert hashlib.sha256(content).hexdigest() == expected, name
    assert set(sums) == {"ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"}
    glue = (RUNTIME / "ort-wasm-simd-threaded.mjs").read_text(encoding="utf-8")
    assert glue.count("maximum:65536") == 1  # what the page makes smaller, for phones
    assert "MIT License" in (RUNTIME / "LICENSE").read_text(encoding="utf-8")

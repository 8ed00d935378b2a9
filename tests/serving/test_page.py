"""The page in a real browser: pictures from everywhere, answers in words, nothing asked of other hosts."""

import base64
import io
import re
import shutil

import numpy as np
import pytest
from PIL import Image

import browsers
from tenfold import images
from tenfold.prediction import Predictor

playwright = browsers.playwright
pytestmark = browsers.in_browser
PHONE, DESKTOP = browsers.PHONE, browsers.DESKTOP


@pytest.fixture(scope="module")
def browser():
    playwright.expect.set_options(timeout=20_000)
    with browsers.launched() as browser:
        yield browser


@pytest.fixture
def visit(browser, server):
    """A function that opens the page, by default of the common server."""
    with browsers.visits(browser, permissions=["camera"]) as opened:

        def visit(of=server, size=DESKTOP, scheme="light", ready=True):
            address = f"http://127.0.0.1:{of.port}"
            page = opened(address, size, scheme)
            page.address = address
            if ready:
                playwright.expect(page.locator("#about")).not_to_have_text("The model is getting ready.")
            return page

        yield visit


def upload(page, content, name="picture.png", kind="image/png"):
    page.set_input_files("#file", {"name": name, "mimeType": kind, "buffer": content})


def said(page, text):
    playwright.expect(page.locator("#said")).to_have_text(text)


def noise(side=32):
    return np.random.default_rng(5).integers(0, 256, (side, side, 3), np.uint8)


@pytest.fixture
def sure(run, pictures, tmp_path):
    """A picture that gets an answer, and the answer."""
    for number, picture in enumerate(pictures):
        (tmp_path / f"{number:02d}.png").write_bytes(picture)
    found = next(item for item in Predictor(run, max_error=0.05).files([tmp_path]) if not item.doubt)
    return found.path.read_bytes(), found.label


def answer_of(label):
    return re.compile(rf"^{label}, [0-9.]+\s%\ssure$")


def test_a_chosen_picture_gets_its_name_and_bars(visit, sure):
    page = visit()
    upload(page, sure[0])
    said(page, answer_of(sure[1]))
    bars = page.locator("#bars li")
    playwright.expect(bars).to_have_count(5)
    assert bars.first.inner_text().startswith(sure[1])
    widths = [box["width"] for box in (bar.bounding_box() for bar in page.locator(".bar").all())]
    assert widths == sorted(widths, reverse=True)
    playwright.expect(page.locator("#doubt")).to_be_hidden()


@pytest.mark.parametrize("way", ["paste", "drop"])
def test_pictures_are_pasted_and_dropped(visit, sure, way):
    page = visit()
    page.evaluate(
        """([way, text]) => {
          const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
          const data = new DataTransfer();
          data.items.add(new File([bytes], "a.png", {type: "image/png"}));
          document.body.dispatchEvent(way === "paste"
            ? new ClipboardEvent("paste", {clipboardData: data, bubbles: true})
            : new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true}));
        }""",
        [way, base64.b64encode(sure[0]).decode()],
    )
    said(page, answer_of(sure[1]))


def test_samples_need_no_picture_of_ones_own(visit):
    page = visit()
    samples = page.locator("#sample-list button")
    playwright.expect(samples).to_have_count(12)
    samples.nth(3).focus()
    page.keyboard.press("Enter")
    said(page, re.compile("sure"))


def test_the_camera_is_used_when_asked_for(visit):
    page = visit()
    assert page.evaluate("document.querySelector('#video').srcObject") is None
    page.get_by_role("button", name="Use the camera").click()
    page.get_by_role("button", name="Take the picture").click()
    said(page, re.compile("sure"))
    assert page.evaluate("document.querySelector('#video').srcObject") is None
    playwright.expect(page.get_by_role("button", name="Use the camera")).to_be_focused()


def test_doubt_is_said_in_words(visit):
    page = visit()
    upload(page, images.encode_png(noise()))
    said(page, "Not sure")
    playwright.expect(page.locator("#doubt")).to_contain_text("Most likely")
    playwright.expect(page.locator("#bars li")).to_have_count(5)


def test_a_heat_map_is_laid_over_the_picture_and_taken_away(visit, sure):
    page = visit()
    upload(page, sure[0])
    button = page.locator("#explain")
    button.click()
    playwright.expect(button).to_have_attribute("aria-pressed", "true")
    heat = page.locator("#heat")
    playwright.expect(heat).to_have_attribute("alt", f"Parts that speak for {sure[1]}, in yellow")
    page.wait_for_function("document.querySelector('#heat').naturalWidth === 256")
    assert heat.bounding_box() == page.locator("#picture").bounding_box()
    button.click()
    playwright.expect(heat).to_be_hidden()


def test_a_bad_file_is_told_in_words_and_the_next_one_answered(visit, sure):
    page = visit()
    upload(page, b"no picture at all", "holiday.png")
    problem = page.get_by_role("alert")
    playwright.expect(problem).to_contain_text("holds no picture: it is text")
    said(page, "No answer.")
    upload(page, b"", "empty.png")
    playwright.expect(problem).to_contain_text("The file is empty")
    upload(page, sure[0])
    said(page, answer_of(sure[1]))
    playwright.expect(problem).to_be_hidden()


def test_a_file_that_is_too_big_is_told_without_being_sent(visit, tmp_path):
    page = visit()
    (tmp_path / "big.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(17_000_000))
    page.set_input_files("#file", tmp_path / "big.png")
    words = "The picture is too large: 17.0 MB. This server takes up to 16.8 MB."
    playwright.expect(page.get_by_role("alert")).to_have_text(words)
    assert not any("predict" in address for address in page.requests)


def test_a_photograph_is_shrunk_upright_before_it_is_sent(visit, server):
    picture = Image.fromarray(np.kron(noise(40), np.ones((60, 90, 1), np.uint8)))  # 3600 x 2400
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=95, exif=exif)
    page = visit()
    with page.expect_request("**/predict*") as sent:
        upload(page, buffer.getvalue(), "photo.jpg", "image/jpeg")
    said(page, re.compile("sure|Not sure"))
    sizes = "(({naturalWidth: w, naturalHeight: h}) => [w, h])(document.querySelector('#picture'))"
    assert page.evaluate(sizes) == [683, 1024]
    assert server.log[-1]["bytes"] < len(buffer.getvalue()) / 3
    assert sent.value.method == "POST"


def test_several_models_can_be_chosen_and_their_cards_read(visit, serve, run, tmp_path, sure):
    copy = shutil.copytree(run.path, tmp_path / "other")
    card = "---\nlicense: mit\n---\n# Other digits\n\nReads **digits**.\n\n- one\n- two\n\n| a |\n|---|\n"
    (copy / "exports" / "model_card.md").write_text(card + "\n<img src=x onerror=alert(1)>\n")
    page = visit(serve(run.path, copy))
    playwright.expect(page.locator("#card")).to_be_hidden()
    page.select_option("#model", "other")
    playwright.expect(page.locator("#about")).to_contain_text("other")
    page.locator("#card summary").click()
    text = page.locator("#card-text")
    playwright.expect(text.locator("h3")).to_have_text("Other digits")
    playwright.expect(text.locator("li")).to_have_text(["one", "two"])
    playwright.expect(text.locator("th")).to_have_text(["a"])
    assert "license" not in text.inner_text()
    assert "<img src=x" in text.inner_text()
    upload(page, sure[0])
    said(page, re.compile("sure"))


def test_a_token_is_asked_for_and_used(visit, serve, run, sure):
    page = visit(serve(run.path, "--token", "open sesame"), ready=False)
    field = page.get_by_label("This server asks for a token")
    field.fill("wrong")
    page.keyboard.press("Enter")
    playwright.expect(page.get_by_role("alert")).to_contain_text("asks for a token")
    field.fill("open sesame")
    page.keyboard.press("Enter")
    playwright.expect(field).to_be_hidden()
    playwright.expect(page.locator("#sample-list button")).to_have_count(12)
    upload(page, sure[0])
    said(page, re.compile("sure"))


@pytest.mark.parametrize("size", [PHONE, DESKTOP])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_asks_no_other_host_fits_the_screen_and_breaks_no_rule_of_its_own(visit, sure, size, scheme):
    page = visit(size=size, scheme=scheme)
    upload(page, sure[0])
    said(page, re.compile("sure"))
    page.locator("#explain").click()
    playwright.expect(page.locator("#heat")).to_be_visible()
    assert page.complaints == []  # the content-security policy speaks up here too
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    own = (page.address, "blob:", "data:")
    assert [address for address in page.requests if not address.startswith(own)] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_against_it(visit, sure, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()
    page = visit(size=PHONE, scheme=scheme)

    def serious():
        found = axe.run(page).response["violations"]
        return [(one["id"], one["help"], one["nodes"][0]["html"]) for one in found]

    assert serious() == []
    upload(page, sure[0])
    said(page, re.compile("sure"))
    page.locator("#explain").click()
    playwright.expect(page.locator("#heat")).to_be_visible()
    assert serious() == []
    upload(page, images.encode_png(noise()))
    said(page, "Not sure")
    assert serious() == []
    upload(page, b"text")
    said(page, "No answer.")
    assert serious() == []

"""The server's own routes, asked over HTTP as any client would."""

import base64
import concurrent.futures
import io
import re

import numpy as np
import pytest
from PIL import Image

from tenfold import images
from tenfold.prediction import Predictor


def form(*files, name="file", boundary="xyz"):
    parts = [
        f'--{boundary}\r\ncontent-disposition: form-data; name="{name}"; filename="secret-name.png"\r\n'
        "content-type: image/png\r\n\r\n".encode()
        + file
        + b"\r\n"
        for file in files
    ]
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def shares(answer):
    """Probabilities by class name, one dict a picture."""
    return [{one["label"]: one["probability"] for one in found["top"]} for found in answer["predictions"]]


def test_a_picture_gets_the_answer_that_predict_gives(server, run, pictures, expected):
    found = server.ask("POST", "/predict?top=10", pictures[0])
    assert found.code == 200
    assert found.json["model"] == "digits"
    (shown,) = shares(found.json)
    np.testing.assert_allclose([shown[name] for name in run.class_names], expected[0], atol=1e-4)
    (told,) = found.json["predictions"]
    assert told["top"][0]["probability"] == told["probability"] == max(shown.values())
    assert told["label"] in (None, told["top"][0]["label"])


@pytest.mark.parametrize("kind", ["", "application/octet-stream", "application/x-www-form-urlencoded"])
def test_bytes_are_pictures_whatever_a_client_calls_them(server, pictures, kind):
    assert server.ask("POST", "/predict", pictures[0], kind).code == 200


def test_forms_and_json_take_several_pictures_in_order(server, pictures, expected):
    text = [base64.b64encode(file).decode() for file in pictures]
    body, kind = form(*pictures[:5])
    ways = {
        "form": server.ask("POST", "/predict?top=10", body, kind),
        "json": server.ask("POST", "/predict?top=10", {"images": text[:5]}),
    }
    for found in ways.values():
        best = [max(shown, key=shown.get) for shown in shares(found.json)]
        assert best == [str(row.argmax()) for row in expected[:5]]
    one = server.ask("POST", "/predict", {"image": f"data:image/png;base64,{text[0]}"})
    assert one.json["predictions"][0]["top"][0]["label"] == str(expected[0].argmax())


def test_top_says_how_many_classes_and_more_than_there_are_gives_all(server, pictures):
    counts = [len(server.ask("POST", f"/predict{query}", pictures[0]).json["predictions"][0]["top"])
              for query in ("", "?top=1", "?top=99")]  # fmt: skip
    assert counts == [5, 1, 10]


def test_answers_are_withheld_as_predict_withholds_them(server, run, pictures, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), np.uint8)
    files = [*pictures, *map(images.encode_png, noise)]
    paths = [tmp_path / f"{number:02d}.png" for number in range(len(files))]
    for path, file in zip(paths, files, strict=True):
        path.write_bytes(file)
    wanted = list(Predictor(run, max_error=0.05).files(paths))
    found = server.ask("POST", "/predict", form(*files)[0], form()[1]).json["predictions"]
    assert [one["doubt"] for one in found] == [one.doubt for one in wanted]
    assert [one["sure"] for one in found] == [not one.doubt for one in wanted]
    assert [one["label"] for one in found] == [None if one.doubt else one.label for one in wanted]
    assert any(one["sure"] for one in found)
    assert any("unlike" in one["doubt"] for one in found)
    np.testing.assert_allclose(
        [one["familiarity"] for one in found], [one.familiarity for one in wanted], atol=1e-3
    )


def test_a_photograph_is_turned_and_resized_as_by_predict(server, run):
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 256, (60, 90, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", exif=exif)
    found = server.ask("POST", "/predict?top=10", buffer.getvalue(), "image/jpeg").json
    pixels = images.read(buffer.getvalue(), 32, run.config.fit)
    wanted = Predictor(run).predict(pixels[None])[0]
    np.testing.assert_allclose([shares(found)[0][name] for name in run.class_names], wanted, atol=1e-4)


def test_many_at_once_each_get_their_own_answer(server, pictures, expected):
    def ask(number):
        found = server.ask("POST", "/predict", pictures[number % 20])
        return found.json["predictions"][0]["top"][0]["label"] == str(expected[number % 20].argmax())

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(200)))


class TestRefusals:
    """What is wrong is said in one line, with a code of HTTP and a word for programs."""

    @pytest.mark.parametrize(
        ("path", "body", "kind", "code", "word", "said"),
        [
            ("/predict", b"hello", "image/png", 422, "bad_picture", "holds no picture: it is text"),
            ("/predict", b"", "image/png", 422, "bad_picture", r"empty \(0 bytes\)"),
            ("/predict", b"\x89PNG\r\n\x1a\n", "image/png", 422, "bad_picture", "damaged"),
            ("/predict", b"x", "text/html", 415, "unsupported_type", "Received: content-type='text/html'"),
            ("/predict", b"{", "application/json", 400, "bad_json", "Expected"),
            ("/predict", b'{"picture": "x"}', "application/json", 400, "bad_json", "Expected"),
            ("/predict", b'{"image": "%%"}', "application/json", 400, "bad_base64", "base64"),
            ("/predict", b'{"images": []}', "application/json", 400, "no_picture", "holds no picture"),
            ("/predict", b"x", "multipart/form-data", 400, "bad_form", "Expected"),
            ("/predict", b"nonsense", "multipart/form-data; boundary=a", 400, "bad_form", "Expected"),
            ("/predict?top=0", b"x", "image/png", 400, "bad_value", "top must be"),
            ("/predict?top=many", b"x", "image/png", 400, "bad_value", "Received: top='many'"),
            ("/predict?model=digit", b"x", "image/png", 404, "unknown_model", "Did you mean 'digits'"),
            ("/explain?label=eleven", b"x", "image/png", 404, "unknown_label", "Received: label='eleven'"),
            ("/nowhere", b"x", "image/png", 404, "not_found", "/openapi.json"),
            ("/models", b"x", "image/png", 405, "method_not_allowed", "Received: POST"),
            ("/admin/reload", b"", "image/png", 403, "forbidden", "--token"),
        ],
    )
    def test_are_told(self, server, path, body, kind, code, word, said):
        found = server.ask("POST", path, body, kind)
        assert (found.code, found.json["error"]["code"]) == (code, word)
        assert re.search(said, found.json["error"]["message"])
        assert "\n" not in found.json["error"]["message"]

    def test_a_bomb_is_refused_by_its_header(self, server):
        buffer = io.BytesIO()
        Image.new("1", (20_000, 20_000)).save(buffer, "PNG")
        found = server.ask("POST", "/predict", buffer.getvalue())
        assert found.code == 422
        assert (
            "too large to decode safely. Expected at most 16,000,000 pixels" in found.json["error"]["message"]
        )

    def test_a_picture_that_lies_about_its_size_is_refused(self, server, pictures):
        honest = bytearray(images.encode_png(np.zeros((400, 400, 3), np.uint8)))
        honest[16:24] = (8).to_bytes(4, "big") * 2
        assert server.ask("POST", "/predict", bytes(honest)).code == 422

    def test_too_many_bytes_are_told_before_they_are_read(self, server):
        found = server.ask("POST", "/predict", b"x" * 17_000_000)
        assert found.code == 413
        assert (
            "Expected at most 16,777,216 bytes. Received: 17,000,000 bytes" in found.json["error"]["message"]
        )

    def test_chunks_without_a_length_are_counted(self, server):
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        head = b"POST /predict HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
        assert server.raw(head + chunk * 300).startswith(b"HTTP/1.1 413 ")

    def test_too_many_pictures_are_told(self, server, pictures):
        body, kind = form(*pictures[:1] * 65)
        found = server.ask("POST", "/predict", body, kind)
        assert (found.code, found.json["error"]["code"]) == (413, "too_many_pictures")

    def test_one_bad_picture_among_good_ones_is_named(self, server, pictures):
        body, kind = form(pictures[0], b"not one", pictures[1])
        found = server.ask("POST", "/predict", body, kind)
        assert found.code == 422
        assert found.json["error"]["message"].startswith("File 2 holds no picture")
        assert "secret-name" not in found.body.decode()


class TestExplain:
    """Heat maps without Keras or torch."""

    def test_heat_comes_as_a_data_url_or_as_a_png(self, server, pictures, expected):
        found = server.ask("POST", "/explain", pictures[0])
        assert found.json["label"] == str(expected[0].argmax())
        encoded = found.json["image"].removeprefix("data:image/png;base64,")
        heat = Image.open(io.BytesIO(base64.b64decode(encoded)))
        assert (heat.mode, heat.size) == ("RGBA", (256, 256))
        low, high = heat.getchannel("A").getextrema()
        assert low < 30
        assert high > 180
        plain = server.ask("POST", "/explain", pictures[0], accept="image/png")
        assert plain.headers["content-type"] == "image/png"
        assert Image.open(io.BytesIO(plain.body)).size == (256, 256)

    def test_any_class_can_be_asked_for(self, server, pictures, expected):
        found = server.ask("POST", "/explain?label=7", pictures[0])
        assert found.json["label"] == "7"
        assert found.json["probability"] == pytest.approx(expected[0][7], abs=1e-4)

    def test_one_picture_at_a_time(self, server, pictures):
        body, kind = form(*pictures[:2])
        assert server.ask("POST", "/explain", body, kind).code == 413


class TestFacts:
    """What the server tells about itself and its models."""

    def test_models_are_described(self, server, run):
        (told,) = server.ask("GET", "/models").json["models"]
        assert told["name"] == "digits"
        assert told["classes"] == list(run.class_names)
        assert told["image_size"] == 32
        assert told["accuracy"] == run.scores("validation")["accuracy"]
        assert 0 <= told["sure_from"] < 1
        assert told["engine"] in ("openvino", "onnxruntime")
        assert server.ask("GET", "/models").json["limits"]["max_bytes"] == 16_777_216

    def test_samples_are_pictures_the_run_keeps(self, server, run):
        listed = server.ask("GET", "/models/digits/samples").json["samples"]
        kept = {picture.tobytes() for picture in run.gallery("validation")[0]}
        for one in listed:
            found = server.ask("GET", one["path"])
            assert found.headers["content-type"] == "image/png"
            assert images.decode(found.body).tobytes() in kept
        assert len(listed) == 12
        assert server.ask("GET", f"/models/digits/samples/{len(listed)}.png").code == 404

    def test_the_card_is_served_once_there_is_one(self, server, run):
        path = run.path / "exports" / "model_card.md"
        path.unlink(missing_ok=True)
        missing = server.ask("GET", "/models/digits/card")
        assert (missing.code, missing.json["error"]["code"]) == (404, "no_card")
        path.write_text("# Digits\n")
        try:
            found = server.ask("GET", "/models/digits/card")
            assert (found.body, found.headers["content-type"]) == (
                b"# Digits\n",
                "text/markdown; charset=utf-8",
            )
        finally:
            path.unlink()

    def test_the_page_may_ask_this_server_alone(self, server):
        found = server.ask("GET", "/")
        policy = found.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        for path in ("/page.css", "/page.js", "/icon.svg"):
            assert server.ask("GET", path).code == 200
        for name in ("x-content-type-options", "referrer-policy"):
            assert name in server.ask("GET", "/models").headers

"""TensorFlow Serving's REST routes, as its document shows them and its clients call them."""

import base64

import numpy as np
import pytest

from tenfold import images


def b64(picture):
    return {"b64": base64.b64encode(picture).decode()}


def test_status_and_metadata_are_those_of_the_original(server):
    state = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    for path in ("/v1/models/digits", "/v1/models/digits/versions/1"):
        assert server.ask("GET", path).json == {"model_version_status": [state]}
    told = server.ask("GET", "/v1/models/digits/metadata").json
    assert told["model_spec"] == {"name": "digits", "signature_name": "", "version": "1"}
    signature = told["metadata"]["signature_def"]["signature_def"]["serving_default"]
    sizes = [dim["size"] for dim in signature["inputs"]["image"]["tensor_shape"]["dim"]]
    assert sizes == ["-1", "32", "32", "3"]
    assert signature["method_name"] == "tensorflow/serving/predict"


@pytest.mark.parametrize("version", ["", "/versions/1"])
def test_rows_of_every_form_give_the_same_predictions(server, digits, pictures, expected, version):
    rows = {
        "pixels": digits[:3].tolist(),
        "named pixels": [{"image": row.tolist()} for row in digits[:3]],
        "bytes": [b64(file) for file in pictures[:3]],
        "named bytes": [{"image_bytes": b64(file)} for file in pictures[:3]],
    }
    for form, instances in rows.items():
        asked = {"signature_name": "serving_default", "instances": instances}
        found = server.ask("POST", f"/v1/models/digits{version}:predict", asked)
        assert found.code == 200, form
        assert set(found.json) == {"predictions"}
        np.testing.assert_allclose(found.json["predictions"], expected[:3], atol=1e-4)


def test_columns_are_answered_as_outputs(server, digits, pictures, expected):
    for inputs in (digits[:2].tolist(), {"image": digits[:2].tolist()}, [b64(file) for file in pictures[:2]]):
        found = server.ask("POST", "/v1/models/digits:predict", {"inputs": inputs})
        assert set(found.json) == {"outputs"}
        np.testing.assert_allclose(found.json["outputs"], expected[:2], atol=1e-4)


def test_bytes_may_be_of_any_picture_that_predict_takes(server, run):
    wide = np.random.default_rng(0).integers(0, 256, (40, 90, 3), np.uint8)
    found = server.ask("POST", "/v1/models/digits:predict", {"instances": [b64(images.encode_png(wide))]})
    own = server.ask("POST", "/predict?top=10", images.encode_png(wide)).json["predictions"][0]["top"]
    shares = {one["label"]: one["probability"] for one in own}
    wanted = [shares[name] for name in run.class_names]
    np.testing.assert_allclose(found.json["predictions"][0], wanted, atol=1e-5)


def test_classify_names_the_classes_most_probable_first(server, pictures, expected):
    examples = [{"image_bytes": b64(file)} for file in pictures[:4]]
    (*rows,) = server.ask("POST", "/v1/models/digits:classify", {"examples": examples}).json["result"]
    assert [row[0][0] for row in rows] == [str(one.argmax()) for one in expected[:4]]
    for row in rows:
        scores = [score for _, score in row]
        assert scores == sorted(scores, reverse=True)
        assert sum(scores) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    ("path", "asked", "code", "said"),
    [
        ("digit:predict", {"instances": []}, 404, "Did you mean 'digits'"),
        ("digits/versions/7:predict", {"instances": [1]}, 404, "Servable not found for request"),
        ("digits:predict", {}, 400, "either instances or inputs"),
        ("digits:predict", {"instances": []}, 400, "holds no picture"),
        ("digits:predict", {"instances": [1], "inputs": [1]}, 400, "either instances or inputs"),
        ("digits:predict", {"instances": [[1, 2], [3]]}, 400, "32 rows of 32 pixels"),
        ("digits:predict", {"instances": ["cat"]}, 400, "32 rows of 32 pixels"),
        ("digits:predict", {"instances": np.full((1, 32, 32, 3), 0.5).tolist()}, 400, "from 0 to 255"),
        ("digits:predict", {"instances": np.full((1, 32, 32, 3), 256).tolist()}, 400, "from 0 to 255"),
        ("digits:predict", {"instances": np.zeros((65, 1)).tolist()}, 413, "at most 64"),
        ("digits:predict", {"signature_name": "serving", "instances": [1]}, 400, "serving_default"),
        ("digits:predict", {"instances": [{"b64": "?"}]}, 400, "base64"),
        ("digits:predict", {"instances": [b64(b"text")]}, 422, "holds no picture"),
        ("digits:classify", {"instances": [1]}, 400, "Request must have examples"),
        ("digits:regress", {"examples": [1]}, 400, "Use :classify"),
    ],
)  # fmt: skip
def test_errors_have_the_form_of_the_original(server, path, asked, code, said):
    found = server.ask("POST", f"/v1/models/{path}", asked)
    assert found.code == code
    assert set(found.json) == {"error"}
    assert said in found.json["error"]


def test_what_is_no_json_is_told(server):
    found = server.ask("POST", "/v1/models/digits:predict", b"{instances", "application/json")
    assert found.code == 400
    assert found.json["error"].startswith("JSON Parse error")

"""Explanations of a real run on the digits."""

import json
import shutil
import time

import numpy as np
import pytest

from tenfold import images, models
from tenfold.calibration import calibrator
from tenfold.errors import DataError, UsageError
from tenfold.explanation import Explainer, Explanation
from tenfold.paths import Failure


def test_an_explanation_says_what_the_model_says(explainer, digits):
    found = explainer.explain(digits.images[:6], digits.ids[:6], top=3)
    for item, image in zip(found, digits.images, strict=False):
        assert item.top[0] == (item.label, item.confidence) == item.explained
        assert len(item.top) == 3
        assert item.method == "layercam"
        assert item.heat.shape == image.shape[:2]
        np.testing.assert_array_equal(item.image, image)
    calibrate = calibrator(explainer.run.calibration)
    answers = models.predict_fn(models.load(explainer.run.model_path), calibrator=calibrate)(
        digits.images[:6]
    )
    assert [item.label for item in found] == [explainer.class_names[row.argmax()] for row in answers]
    np.testing.assert_allclose([item.confidence for item in found], answers.max(axis=1), atol=1e-4)


def test_covering_the_hottest_quarter_costs_more(explainer, digits):
    found = explainer.explain(digits.images[:40], digits.ids[:40], nearest=0)
    hottest, coolest = np.array([item.covered for item in found]).mean(axis=0)
    assert hottest < coolest - 0.1


def test_a_training_picture_finds_itself_first(explainer, run, digits):
    held = set(run.splits["splits"]["validation"]["ids"])
    train_only = [row for row, name in enumerate(digits.ids) if name not in held][:5]
    found = explainer.explain(digits.images[train_only], [digits.ids[row] for row in train_only])
    for item in found:
        assert len(item.nearest) == 8
        assert item.nearest[0].id == str(item.path)
        assert item.nearest[0].similarity == pytest.approx(1, abs=2e-3)
        np.testing.assert_array_equal(item.nearest[0].image, item.image)
        likeness = [near.similarity for near in item.nearest]
        assert likeness == sorted(likeness, reverse=True)


def test_features_are_computed_once_and_anew_for_another_model(explainer, told, copy, digits):
    explainer.explain(digits.images[:1], digits.ids[:1])
    assert sum("Computing the features" in sentence for sentence in told) == 1
    path = copy.path / "features" / "train.npz"
    shutil.copytree(explainer.run.path / "features", path.parent, dirs_exist_ok=True)
    with np.load(path) as arrays:
        assert arrays["features"].dtype == np.float16
    again: list[str] = []
    Explainer(copy, tell=again.append).explain(digits.images[:1], digits.ids[:1])
    assert not again
    path.write_bytes(b"cut short")
    Explainer(copy, tell=again.append).explain(digits.images[:1], digits.ids[:1])
    assert len(again) == 1
    model = models.load(copy.model_path)
    model.layers[-1].set_weights([weight[..., ::-1] for weight in model.layers[-1].get_weights()])
    model.save(copy.model_path)
    Explainer(copy, tell=again.append).explain(digits.images[:1], digits.ids[:1])
    assert len(again) == 2


def test_without_the_data_the_neighbours_are_left_out(copy, digits, forget_data):
    forget_data(copy)
    told: list[str] = []
    (item,) = Explainer(copy, tell=told.append).explain(digits.images[:1], digits.ids[:1])
    assert item.nearest == ()
    assert len(told) == 1
    assert told[0].startswith("Nearest training pictures are left out. ")
    assert "gone" in told[0]


def test_a_class_can_be_asked_for(explainer, digits):
    (item,) = explainer.explain(digits.images[:1], ["zero"], label="8", nearest=0)
    assert item.explained[0] == "8"
    assert item.explained[1] < item.confidence
    with pytest.raises(UsageError, match=r"Unknown class. Received: '11'"):
        explainer.explain(digits.images[:1], ["zero"], label="11")


def test_another_predict_fn_gives_the_probabilities(run, digits):
    def sure(pictures):
        return np.eye(10, dtype=np.float32)[np.full(len(pictures), 4)]

    other = Explainer(run, predict_fn=sure)
    (item,) = other.explain(digits.images[:1], ["zero"], method="occlusion", nearest=0)
    assert (item.label, item.confidence) == ("4", 1.0)
    assert not item.heat.any()


def test_files_are_found_and_bad_ones_named(explainer, digits, tmp_path):
    (tmp_path / "one.png").write_bytes(images.encode_png(digits.images[0]))
    (tmp_path / "text.png").write_text("no picture")
    found = list(explainer.files([tmp_path], nearest=0))
    assert [type(item) for item in found] == [Explanation, Failure]
    direct = explainer.explain(digits.images[:1], ["one"], nearest=0)[0]
    np.testing.assert_allclose(found[0].heat, direct.heat, atol=1e-5)


def test_it_becomes_json(explainer, digits):
    (item,) = explainer.explain(digits.images[:1], ["a/zero.png"], nearest=2)
    said = json.loads(json.dumps(item.to_dict()))
    assert said["path"] == "a/zero.png"
    assert said["explained"] == {"label": item.label, "probability": round(item.confidence, 6)}
    assert len(said["nearest"]) == 2


def test_wrong_numbers_and_shapes_are_named(explainer, digits):
    for wrong, message in (
        ({"top": 0}, "topk must be 1 or more"),
        ({"nearest": -1}, "nearest must be 0 or more"),
        ({"method": "cam"}, "Unknown method"),
    ):
        with pytest.raises(UsageError, match=message):
            explainer.explain(digits.images[:1], ["zero"], **wrong)
    with pytest.raises(UsageError, match=r"uint8 of shape \(n, 32, 32, 3\)"):
        explainer.explain(np.zeros((1, 8, 8, 3), np.uint8), ["zero"])
    assert explainer.explain(digits.images[:0], []) == []


def test_an_explanation_takes_less_than_a_second(explainer, digits):
    explainer.explain(digits.images[:1], ["warm"])  # reads the training pictures
    start = time.perf_counter()
    explainer.explain(digits.images[1:2], ["one"])
    assert time.perf_counter() - start < 1


def test_a_damaged_model_is_named(copy):
    copy.model_path.write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"model\.keras"):
        Explainer(copy)

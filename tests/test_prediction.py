"""Predictor: files, folders and patterns in; labelled probabilities out; evaluation of a run's own splits."""

import dataclasses
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from tenfold import abstention, datasets, engines, images, models, runs, selection
from tenfold.calibration import PLAIN, calibrator
from tenfold.config import Augmentation
from tenfold.errors import DataError, GateError, MissingExtraError, UsageError
from tenfold.prediction import Failure, Prediction, Predictor
from tenfold.prediction import predictor as predictor_module
from tenfold.recipes import recipe
from tenfold.training import train
from tenfold.views import averaged


def quick(**changes):
    plain = dataclasses.replace(recipe("tiny"), augmentation=Augmentation(), precision="float32")
    return dataclasses.replace(plain, data="digits", epochs=2, **changes)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train(quick(), runs=tmp_path_factory.mktemp("runs"), name="digits")


@pytest.fixture(scope="module")
def predictor(run):
    return Predictor(run)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Twenty digits as PNG files in two folders, named after what they show."""
    folder = tmp_path_factory.mktemp("pictures")
    digits = datasets.load("digits")
    for row in range(20):
        place = folder / ("one" if row < 10 else "two")
        place.mkdir(exist_ok=True)
        name = f"{digits.labels[row]}-{row:02d}.png"
        (place / name).write_bytes(images.encode_png(digits.images[row]))
    return folder


def test_files_give_the_same_answers_as_arrays(predictor, pictures):
    found = list(predictor.files([pictures]))
    assert len(found) == 20
    arrays = np.stack([images.decode(item.path) for item in found])
    direct = predictor.predict(arrays)
    assert direct.shape == (20, 10)
    assert direct.dtype == np.float32
    np.testing.assert_allclose(direct.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose([item.confidence for item in found], direct.max(axis=1), atol=1e-5)
    assert [item.label for item in found] == [str(row.argmax()) for row in direct]


def test_most_training_digits_are_named_right(predictor, pictures):
    found = list(predictor.files([pictures]))
    assert sum(item.label == item.path.name[0] for item in found) >= 15


def test_top_lists_the_most_probable_first(predictor, pictures):
    (item,) = predictor.files([next((pictures / "one").iterdir())], top=4)
    shares = [share for _, share in item.top]
    assert len(shares) == 4
    assert shares == sorted(shares, reverse=True)
    assert item.top[0] == (item.label, item.confidence)


def test_more_classes_than_there_are_lists_all(predictor, pictures):
    (item,) = predictor.files([next((pictures / "one").iterdir())], top=99)
    assert len(item.top) == 10
    assert sum(share for _, share in item.top) == pytest.approx(1, abs=1e-4)


class TestSureness:
    """Calibrated probabilities, and answers that are withheld."""

    def test_a_run_is_calibrated_and_so_is_every_engine(self, run, pictures):
        told = run.calibration
        assert calibrator(told) != PLAIN
        assert run.scores("validation")["calibration"] == told["after"]
        arrays = np.stack([images.decode(path) for path in sorted(pictures.rglob("*.png"))])
        plain = models.predict_fn(models.load(run.model_path))(arrays)
        for engine in ("keras", *engines.available()):
            found = Predictor(run, engine=engine, precision="float32").predict(arrays)
            np.testing.assert_allclose(found, calibrator(told)(plain), atol=1e-4)

    def test_answers_are_withheld_and_the_doubt_is_told(self, run, pictures, tmp_path):
        noise = np.random.default_rng(0).integers(0, 256, (32, 8, 8, 3), np.uint8)
        for number, picture in enumerate(noise):
            (tmp_path / f"{number:02d}.png").write_bytes(images.encode_png(picture))
        for engine in ("keras", "auto"):
            careful = Predictor(run, engine=engine, max_error=0.02)
            found = list(careful.files([pictures, tmp_path]))
            withheld = [item for item in found if item.label == abstention.NOT_SURE]
            assert all(bool(item.doubt) == (item.label == abstention.NOT_SURE) for item in found)
            assert all(item.label == item.top[0][0] for item in found if not item.doubt)
            assert sum(item.path.parent == tmp_path for item in withheld) > 20
            assert sum(item.path.parent != tmp_path for item in withheld) < 10
            assert {"unlike the pictures the model knows"} < {item.doubt for item in withheld}
            low = careful.threshold.confidence
            assert all(item.confidence >= low for item in found if not item.doubt)

    def test_engines_agree_how_familiar_a_picture_is(self, run, pictures):
        first, *others = [
            [
                item.familiarity
                for item in Predictor(run, engine=engine, precision="float32").files([pictures])
            ]
            for engine in ("keras", *engines.available())
        ]
        assert max(first) <= 1.0001
        for other in others:
            np.testing.assert_allclose(other, first, atol=1e-4)

    def test_the_wanted_error_is_compared_with_what_comes(self, run):
        scored, _ = Predictor(run, max_error=0.05).evaluate("validation", views="flip")
        told = run.scores("validation")["answered"]
        assert told == scored.answered
        assert told["error"] <= 0.05
        assert 0.3 < told["coverage"] <= 1
        assert told["confidence"] == Predictor(run, max_error=0.05).threshold.confidence

    def test_a_run_of_before_there_was_calibration_gets_one(self, run, tmp_path):
        old = runs.Run(shutil.copytree(run.path, tmp_path / "old"))
        (old.path / "calibration.json").unlink()
        (old.path / "exports" / "model.onnx").unlink(missing_ok=True)
        before = Predictor(old, engine="keras")
        assert calibrator(old.calibration) == PLAIN
        scored, _ = before.evaluate()
        assert calibrator(old.calibration).temperature == pytest.approx(
            calibrator(run.calibration).temperature, rel=0.01
        )
        assert scored.quality.calibration_error == pytest.approx(
            run.calibration["after"]["calibration_error"], abs=0.01
        )

    def test_no_validation_and_no_such_share_are_told(self, run, tmp_path):
        with pytest.raises(UsageError, match="max_error=2"):
            Predictor(run, max_error=2)
        bare = runs.Run(shutil.copytree(run.path, tmp_path / "bare"))
        (bare.path / "predictions.parquet").unlink()
        with pytest.raises(DataError, match="no predictions for validation"):
            Predictor(bare, max_error=0.02)


def test_batches_keep_the_order(predictor, pictures, monkeypatch):
    whole = list(predictor.files([pictures]))
    monkeypatch.setattr(predictor_module, "_BATCH", 3)
    assert [item.path for item in predictor.files([pictures])] == [item.path for item in whole]


def test_bad_files_are_failures_among_predictions(predictor, pictures, tmp_path):
    good = next((pictures / "one").iterdir())
    cut = tmp_path / "cut.png"
    cut.write_bytes(good.read_bytes()[:60])
    text = tmp_path / "text.jpg"
    text.write_text("no picture")
    found = list(predictor.files([cut, good, text, tmp_path / "gone.png"]))
    assert [type(item) for item in found] == [Failure, Prediction, Failure, Failure]
    for item in found:
        if isinstance(item, Failure):
            assert str(item.path) in item.reason
            assert "\n" not in item.reason


def test_predict_names_the_shape_it_wants(predictor):
    with pytest.raises(UsageError, match=r"uint8 of shape \(n, 32, 32, 3\)"):
        predictor.predict(np.zeros((2, 8, 8, 3), np.uint8))
    with pytest.raises(UsageError, match="Received: float64"):
        predictor.predict(np.zeros((2, 32, 32, 3)))


def test_no_pictures_give_no_rows(predictor):
    assert predictor.predict(np.zeros((0, 32, 32, 3), np.uint8)).shape == (0, 10)


@pytest.mark.parametrize("top", [0, -1])
def test_topk_must_be_positive(predictor, top):
    with pytest.raises(UsageError, match="topk must be 1 or more"):
        predictor.files([], top=top)


def test_validation_is_evaluated_and_kept(predictor, run):
    before = run.scores("validation")
    evaluation, looks = predictor.evaluate("validation")
    assert looks is None
    assert evaluation.accuracy == pytest.approx(before["accuracy"])
    assert run.scores("validation")["pictures"] == 144
    assert not run.looks


def test_test_split_is_counted_in_the_ledger(predictor, run):
    evaluation, looks = predictor.evaluate("test", top_k=[2])
    assert looks.startswith("Look 1 of this run at this test set of 359 pictures")
    assert set(evaluation.top_k) == {2}
    assert len(run.looks) == 1
    assert json.loads((run.path / "test.json").read_text())["accuracy"] == evaluation.accuracy
    assert "Look 2" in predictor.evaluate("test")[1]


def test_views_change_the_probabilities(predictor, pictures):
    found = list(predictor.files([pictures], views="shift"))
    arrays = np.stack([images.decode(item.path) for item in found])
    together = predictor.predict(arrays, views="shift")
    np.testing.assert_allclose([item.confidence for item in found], together.max(axis=1), atol=1e-5)
    np.testing.assert_allclose(together, averaged(predictor.predict, "shift")(arrays), atol=1e-5)
    assert np.abs(together - predictor.predict(arrays)).max() > 0.01


def test_one_look_scores_the_plain_test_pictures_and_their_views(predictor, run):
    plain, _ = predictor.evaluate("test")
    before = len(run.looks)
    both, _ = predictor.evaluate("test", views="flip")
    assert len(run.looks) == before + 1
    assert [look["views"] for look in run.looks[-2:]] == ["none", "flip"]
    kept = run.scores("test")
    assert kept["accuracy"] == plain.accuracy
    assert kept["views"] == both.views
    assert kept["views"]["name"] == "flip"
    np.testing.assert_allclose(run.predictions("test")["probabilities"], plain.probabilities, atol=1e-6)


def test_unknown_views_cost_no_look_and_no_picture(predictor, run):
    before = len(run.looks)
    for ask in (lambda: predictor.evaluate("test", views="flop"), lambda: predictor.files([], views="flop")):
        with pytest.raises(UsageError, match="Did you mean 'flip'"):
            ask()
    assert len(run.looks) == before


def test_training_pictures_can_be_scored_too(predictor):
    assert len(predictor.evaluate("train")[0].labels) == 1294


def test_an_unknown_split_is_named(predictor):
    with pytest.raises(UsageError, match="Did you mean 'test'"):
        predictor.evaluate("tests")


def test_without_validation_it_says_what_to_use(tmp_path):
    made = train(quick(val_split=0.0), runs=tmp_path)
    with pytest.raises(UsageError, match="--split test or --split train"):
        Predictor(made).evaluate()


def test_a_damaged_model_is_named(run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run.path, copy)
    (copy / "model.keras").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"model\.keras"):
        Predictor(copy)


def test_no_run_there(tmp_path):
    with pytest.raises(UsageError, match="is not a run folder"):
        Predictor(tmp_path)


needs_engines = pytest.mark.skipif(len(engines.available()) < 2, reason="needs the extra `export`")


@needs_engines
class TestEngines:
    """What computes the answers, and that it changes none of them."""

    @pytest.fixture
    def some(self, run):
        return engines.sample(run)

    @pytest.fixture
    def copy(self, run, tmp_path):
        """A copy of the run without what engines leave behind."""
        leave = shutil.ignore_patterns("exports", "engine.json")
        return runs.open_run(shutil.copytree(run.path, tmp_path / "copy", ignore=leave))

    def test_all_engines_answer_as_keras_does(self, run, some):
        expected = Predictor(run, engine="keras").predict(some)
        for name in engines.ENGINES:
            chosen = Predictor(run, engine=name, precision="float32")
            assert (chosen.engine, chosen.precision) == (name, "float32")
            assert name in chosen.reason
            np.testing.assert_allclose(chosen.predict(some), expected, atol=1e-5)

    def test_the_fastest_stays_within_its_bound(self, run, predictor, some):
        assert predictor.engine in engines.ENGINES
        off = np.abs(predictor.predict(some) - Predictor(run, engine="keras").predict(some)).max()
        assert off <= selection.BOUNDS[predictor.precision] + 1e-5

    def test_scores_are_those_of_float32_unless_told_otherwise(self, run, predictor):
        exact = Predictor(run, engine="keras").evaluate()[0].probabilities
        np.testing.assert_allclose(predictor.evaluate()[0].probabilities, exact, atol=1e-5)
        assert run.scores("validation")["precision"] == "float32"
        assert run.scores("validation")["engine"] in engines.ENGINES
        np.testing.assert_array_equal(
            predictor.evaluate()[0].probabilities, Predictor(run).evaluate()[0].probabilities
        )

    def test_int8_answers_where_it_is_asked_for_and_never_else(self, copy, some):
        rounded = Predictor(copy, precision="int8")
        assert rounded.precision == "int8"
        assert rounded.engine in engines.ENGINES
        assert "int8" in rounded.reason
        assert "same class for" in rounded.reason
        exact = Predictor(copy, precision="float32").predict(some)
        difference, agreement = engines.compare(exact, rounded.predict(some))
        assert difference > 1e-5
        assert agreement >= 0.95
        written = (copy.path / "exports" / "model-int8.onnx").stat().st_mtime_ns
        assert Predictor(copy).precision != "int8"
        exact_score = rounded.evaluate()[0].accuracy
        assert copy.scores("validation")["precision"] == "float32"
        assert rounded.evaluate(precision="int8")[0].accuracy == pytest.approx(exact_score, abs=0.03)
        assert copy.scores("validation")["precision"] == "int8"
        assert (copy.path / "exports" / "model-int8.onnx").stat().st_mtime_ns == written

    def test_int8_that_cannot_be_had_is_said_and_not_replaced(self, run, copy, monkeypatch):
        with pytest.raises(UsageError, match="Keras does not answer in int8"):
            Predictor(run, engine="keras", precision="int8")
        monkeypatch.setattr(engines, "SAME_IN_INT8", 1.01)
        with pytest.raises(GateError, match="--precision float32"):
            Predictor(copy, precision="int8")

    def test_a_later_start_loads_neither_keras_nor_torch_and_measures_nothing(self, predictor, run):
        before = (run.path / "engine.json").stat().st_mtime_ns
        program = f"""
import sys
import numpy as np
from tenfold import engines
from tenfold.prediction import Predictor
predictor = Predictor({str(run.path)!r})
predictor.predict(np.zeros((3, 32, 32, 3), np.uint8))
predictor.evaluate()
sys.exit(", ".join({{"keras", "torch", "tensorflow"}} & set(sys.modules)) or 0)
"""
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert (run.path / "engine.json").stat().st_mtime_ns == before

    def test_another_model_is_exported_anew(self, copy, some):
        Predictor(copy)
        model = models.load(copy.model_path)
        model.layers[-1].set_weights([weight[..., ::-1] for weight in model.layers[-1].get_weights()])
        before = Predictor(copy, precision="float32").predict(some)
        model.save(copy.model_path)
        np.testing.assert_allclose(
            Predictor(copy, precision="float32").predict(some), before[:, ::-1], atol=1e-5
        )

    def test_a_damaged_file_is_exported_anew(self, copy):
        (copy.path / "exports").mkdir()
        (copy.path / "exports" / "model.onnx").write_bytes(b"nothing")
        assert Predictor(copy).engine in engines.ENGINES

    def test_without_pictures_to_check_on_keras_answers_and_says_why(self, copy):
        shutil.rmtree(copy.path / "gallery")
        fallback = Predictor(copy)
        assert (fallback.engine, fallback.precision) == ("keras", "float32")
        assert "keeps no pictures" in fallback.reason
        with pytest.raises(GateError, match="keeps no pictures"):
            Predictor(copy, engine="openvino")


def test_without_engines_keras_answers_and_says_why(run, monkeypatch):
    monkeypatch.setattr(engines, "available", lambda: ())
    fallback = Predictor(run)
    assert fallback.engine == "keras"
    assert "pip install 'tenfold[export]'" in fallback.reason
    assert fallback.evaluate()[0].accuracy > 0.5
    with pytest.raises(MissingExtraError, match="openvino is not installed"):
        Predictor(run, engine="openvino")


def test_unknown_engines_and_precisions_are_named(run, predictor):
    with pytest.raises(UsageError, match="Did you mean 'openvino'"):
        Predictor(run, engine="openvin")
    with pytest.raises(UsageError, match="Unknown precision"):
        Predictor(run, engine="keras", precision="float16")
    with pytest.raises(UsageError, match="Unknown precision"):
        predictor.evaluate(precision="float16")

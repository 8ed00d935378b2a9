"""Models of a server: from runs and from exported files, by name, and opened anew."""

import shutil

import numpy as np
import pytest

pytest.importorskip("starlette", reason="needs the extra `serve`")

from tenfold import engines, images, runs
from tenfold.errors import DataError, UsageError
from tenfold.prediction import Predictor
from tenfold.serving.messages import Refusal
from tenfold.serving.roster import Roster


@pytest.fixture
def copy(run, tmp_path):
    return runs.Run(shutil.copytree(run.path, tmp_path / "copy"))


def test_a_run_is_answered_as_by_its_predictor(run, digits, expected):
    roster = Roster([run.path])
    with pytest.raises(Refusal, match="not ready"):
        roster.get()
    roster.load()
    model = roster.get()
    assert model is roster.get("digits")
    np.testing.assert_allclose(model.observe(digits)[0], expected, atol=1e-5)
    assert model.facts.sure_from is None
    assert all(one.sure for one in model.answers(*model.observe(digits), 5).predictions)


def test_an_exported_file_is_served_by_itself(run, digits, pictures, tmp_path):
    file = tmp_path / "numbers.onnx"
    shutil.copy(run.path / "exports" / "model.onnx", file)
    roster = Roster([file])
    roster.load()
    model = roster.get("numbers")
    # A file without pictures to measure on is not rounded to bfloat16, as a run may be where that is faster.
    expected = Predictor(run, precision="float32").predict(digits)
    np.testing.assert_allclose(model.observe(digits)[0], expected, atol=1e-4)
    assert model.facts.classes == list(run.class_names)
    assert model.facts.run == engines.digest(run.model_path)[:12]
    read = model.read(pictures[0], "the picture", 10_000)
    np.testing.assert_array_equal(read, digits[0])


@pytest.mark.parametrize("engine", engines.ENGINES)
def test_every_runtime_gives_the_same_answers(run, digits, expected, engine):
    roster = Roster([run.path], runtime=engine)
    roster.load()
    assert roster.get().facts.engine == engine
    np.testing.assert_allclose(roster.get().observe(digits)[0], expected, atol=0.04)


def test_only_what_has_changed_is_opened_anew(run, copy):
    roster = Roster([run.path, copy.path], max_error=0.05)
    roster.load()
    first, second = roster.get("digits"), roster.get("copy")
    assert roster.reload().kept == ["digits", "copy"]
    assert roster.get("copy") is second
    known = {**copy.calibration["familiarity"], "least": 0.999}  # not in the exported file's answers
    copy.write("calibration.json", {**copy.calibration, "familiarity": known})
    found = roster.reload()
    assert (found.replaced, found.kept) == (["copy"], ["digits"])
    assert roster.get("digits") is first
    assert (roster.get("copy").facts.version, roster.get("copy").facts.familiar_from) == (2, 0.999)


def test_samples_show_many_classes_and_never_the_test_split(run):
    roster = Roster([run.path])
    roster.load()
    shown = [images.decode(sample) for sample in roster.get().samples]
    best = Predictor(run).predict(np.stack(shown)).argmax(axis=1)
    assert len(set(best)) >= 8


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        ([], "Nothing to serve"),
        (["nowhere"], "nowhere is not a run folder"),
        (["a=nowhere"], "nowhere is not a run folder"),
        (["RUN", "RUN"], "Two models have one name. Received: digits"),
        (["a:b=RUN"], "Expected: no space, colon or slash. Received: name='a:b'"),
    ],
)
def test_sources_that_cannot_be_are_told_before_anything_starts(run, sources, said):
    with pytest.raises(UsageError) as error:
        Roster([source.replace("RUN", str(run.path)) for source in sources])
    assert said in str(error.value)


def test_names_can_be_given(run):
    assert Roster([f"one={run.path}", f"two={run.path}"]).names == ["one", "two"]


def test_a_file_of_something_else_is_told(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(DataError, match="cannot be opened"):
        Roster([path]).load()
    with pytest.raises(UsageError, match="has no validation pictures"):
        Roster([path], max_error=0.02).load()

"""Engines: exported files answer without Keras and as it does."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import keras
import numpy as np
import pytest

from tenfold import engines, exporting, models, runs
from tenfold.errors import DataError, GateError, MissingExtraError, UsageError

pytest.importorskip("openvino", reason="needs the extra `export`")
pytest.importorskip("onnxruntime", reason="needs the extra `export`")

FACTS = {"class_names": '["cat", "dog", "cow"]'}


def noise(count):
    return np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), np.uint8)


@pytest.fixture(scope="module")
def model():
    """Fresh weights, without near ties: what has learnt nothing answers a third for every class of noise."""
    keras.utils.set_random_seed(0)
    built = models.build("tiny", (8, 8, 3), 3)
    kernel, bias = built.layers[-1].get_weights()
    built.layers[-1].set_weights([8 * kernel, bias])
    return built


@pytest.fixture(scope="module")
def file(model, tmp_path_factory):
    return exporting.onnx(model, tmp_path_factory.mktemp("file") / "m.onnx", images=noise(8), facts=FACTS)


@pytest.mark.parametrize("name", engines.ENGINES)
@pytest.mark.parametrize("count", [1, 2, engines.BATCH + 3])
def test_every_number_of_pictures_is_answered_as_keras_does(model, file, name, count):
    answers = engines.open_file(file, name)(noise(count))
    assert answers.dtype == np.float32
    np.testing.assert_allclose(answers, models.predict_fn(model)(noise(count)), atol=1e-5)


@pytest.mark.parametrize("name", engines.ENGINES)
def test_the_file_says_what_it_is(file, name):
    told = engines.open_file(file, name).metadata
    assert json.loads(told["class_names"]) == ["cat", "dog", "cow"]
    assert told["views"] == "none"


@pytest.mark.parametrize("name", engines.ENGINES)
def test_threads_may_share_an_engine(file, name):
    engine, pictures = engines.open_file(file, name), noise(64)
    expected, wrong = engine(pictures), []

    def ask(row):
        for _ in range(20):
            if not np.allclose(engine(pictures[row : row + 8]), expected[row : row + 8], atol=1e-5):
                wrong.append(row)

    askers = [threading.Thread(target=ask, args=(row,)) for row in range(0, 64, 16)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert not wrong


def test_pictures_need_not_lie_in_order_in_memory(file):
    engine, pictures = engines.open_file(file, "openvino"), noise(4)
    mirrored = pictures[:, :, ::-1]
    np.testing.assert_array_equal(engine(mirrored), engine(mirrored.copy()))


def test_what_cannot_be_opened_is_named(file, tmp_path):
    with pytest.raises(UsageError, match="Did you mean 'openvino'"):
        engines.open_file(file, "openvin")
    with pytest.raises(UsageError, match="Choices: float32"):
        engines.open_file(file, "onnxruntime", "bfloat16")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"nothing")
    for path in (broken, tmp_path / "gone.onnx"):
        with pytest.raises(DataError, match=path.name):
            engines.open_file(path, "onnxruntime")


def test_an_engine_that_is_not_installed_gives_the_install_line(file, monkeypatch):
    monkeypatch.setattr(engines, "available", lambda: ())
    with pytest.raises(MissingExtraError, match=r"pip install 'tenfold\[export\]'"):
        engines.open_file(file, "onnxruntime")


@pytest.mark.parametrize(("given", "used"), [("3", 3), ("", None), ("0", None), ("4,2", None)])
def test_threads_are_the_cores_unless_told_otherwise(monkeypatch, given, used):
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert engines.threads() == (used or engines.machine.cores())


def test_a_run_without_pictures_says_so(tmp_path):
    with pytest.raises(GateError, match="keeps no pictures"):
        engines.sample(runs.Run(tmp_path))


def test_pictures_drawn_at_random_come_before_those_of_the_report(tmp_path):
    run = runs.Run(tmp_path)
    shown, drawn = noise(3), noise(4)
    run.save_gallery("validation", shown, np.arange(3))
    np.testing.assert_array_equal(engines.sample(run), shown)
    run.save_gallery("sample", drawn, np.zeros(4, int))
    np.testing.assert_array_equal(engines.sample(run), drawn)


def test_answering_loads_neither_keras_nor_torch_nor_telemetry(file):
    program = f"""
import sys
from pathlib import Path
import numpy as np
from tenfold import engines
pictures = np.zeros((2, 8, 8, 3), np.uint8)
for name in engines.ENGINES:
    engines.open_file(Path({str(file)!r}), name)(pictures)
loaded = {{"keras", "torch", "tensorflow", "openvino_telemetry"}} & {{k for k, v in sys.modules.items() if v}}
sys.exit(", ".join(sorted(loaded)) or 0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_gate_lets_rounding_pass_and_nothing_else():
    answers = np.array([[0.25, 0.75]])

    def off(by):
        return lambda images: answers + by

    assert engines.check(off(0), off(5e-5), noise(1)) == (pytest.approx(5e-5), 1)
    for by in (2e-4, np.nan):
        with pytest.raises(GateError, match="not kept"):
            engines.check(off(0), off(by), noise(1))
    assert engines.check(off(0), off([[0.1, 0]]), noise(1), bound=1, same=0.9)[1] == 1
    with pytest.raises(GateError, match="same class for 90% or more"):
        engines.check(off(0), off([[0.6, 0]]), noise(1), bound=1, same=0.9)


@pytest.mark.parametrize("name", engines.ENGINES)
def test_int8_is_what_the_file_is_and_not_what_is_asked(file, tmp_path, name):
    path = exporting.int8(file, tmp_path / "m.onnx", calibration=noise(64), images=noise(8))
    assert [engines.open_file(path, name, kind).precision for kind in ("int8", "float32")] == ["int8"] * 2
    np.testing.assert_allclose(
        engines.open_file(path, name, "int8")(noise(5)), engines.open_file(file, name)(noise(5)), atol=0.05
    )
    with pytest.raises(UsageError, match="is no int8 file"):
        engines.open_file(file, name, "int8")


def test_files_are_known_by_their_content(tmp_path):
    a, b = Path(tmp_path / "a"), Path(tmp_path / "b")
    a.write_bytes(b"x")
    b.write_bytes(b"x")
    assert engines.digest(a) == engines.digest(b)
    with pytest.raises(DataError, match="gone"):
        engines.digest(tmp_path / "gone")

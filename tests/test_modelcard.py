"""The model card: true to the run folder, readable by model hubs, and honest about what is not known."""

import dataclasses
import hashlib
import re
import shutil

import msgspec
import pytest

from tenfold import engines, modelcard, records, runs
from tenfold.cli import main
from tenfold.recipes import recipe
from tenfold.training import train

HEADINGS = [
    "Model details",
    "Intended use",
    "Factors",
    "Metrics",
    "Evaluation data",
    "Training data",
    "Quantitative analyses",
    "Training cost",
    "Ethical considerations",
    "Caveats and recommendations",
    "How to reproduce",
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    settings = dataclasses.replace(recipe("tiny"), data="digits", epochs=1, precision="float32")
    return train(settings, runs=tmp_path_factory.mktemp("runs"), name="small")


@pytest.fixture
def run(trained, tmp_path):
    """A copy that a test may change."""
    return runs.Run(shutil.copytree(trained.path, tmp_path / "small"))


def head(text):
    return msgspec.yaml.decode(text.split("---\n")[1])


def test_it_has_the_headings_of_the_paper_and_no_holes(trained):
    text = modelcard.card(trained)
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == HEADINGS
    assert "arXiv:1810.03993" in text
    assert not re.search(r"\bNone\b|\{\{|\{%|\bnan\b|Undefined", text)
    assert "\n\n\n" not in text


def test_hubs_can_read_its_head(trained):
    found = head(modelcard.card(trained))
    assert found["license"] == "unknown"
    assert found["library_name"] == "keras"
    assert found["pipeline_tag"] == "image-classification"
    (model,) = found["model-index"]
    (result,) = model["results"]
    assert (model["name"], result["dataset"]["split"]) == ("small", "validation")
    accuracy = trained.scores("validation")["accuracy"]
    assert result["metrics"] == [{"type": "accuracy", "value": round(accuracy, 4), "name": "Accuracy"}]
    assert "datasets" not in found


def test_cifar_10_is_known(run):
    run.write("data.json", {**run.data, "kind": "cifar10-parquet", "source": "cifar10"})
    run.write("splits.json", {**run.splits, "excluded": {"train": ["a.png", "b.png"]}})
    text = modelcard.card(run)
    assert head(text)["datasets"] == ["uoft-cs/cifar10"]
    assert "- CIFAR-10: A. Krizhevsky" in text
    assert "near duplicate among its training pictures" in text
    assert "- Left out by a fix list: 2 train pictures." in text


def test_folders_of_the_user_are_not_given_away(run):
    run.write("data.json", {**run.data, "kind": "folder", "source": "/home/jane/private/photos"})
    text = modelcard.card(run).partition("## How to reproduce")[0]
    assert "- photos. Read as folder." in text
    assert "jane" not in text


def test_scores_come_with_intervals_and_weak_spots(trained):
    text = modelcard.card(trained)
    scores = trained.scores("validation")
    low, high = (f"{100 * bound:.1f} %" for bound in scores["accuracy_interval"])
    assert (
        f"| validation | {scores['pictures']} | {100 * scores['accuracy']:.1f} % | {low} to {high} |" in text
    )
    worst = min(trained.class_names, key=lambda name: scores["report"][name]["recall"])
    weakest = re.search(r"^On validation pictures it is weakest at (\w+) \((\S+) % of", text, re.MULTILINE)
    assert scores["report"][weakest[1]]["recall"] == scores["report"][worst]["recall"]
    assert "Its most frequent mistakes: " in text
    assert "Calibration, fitted on validation" in text


def test_the_test_split_is_mentioned_as_often_as_it_was_seen(run):
    assert "- Test: never looked at." in modelcard.card(run)
    run.write("test.json", {**run.scores("validation"), "split": "test"})
    for _ in range(2):
        run.append("ledger.jsonl", {"split": "test", "pictures": 359, "sha256": "abc", "views": "none"})
    text = modelcard.card(run)
    assert "- Test: looked at 2 times, last on 20" in text
    assert "359 pictures, SHA-256 `abc`. Whoever chose" in text
    splits = [result["dataset"]["split"] for result in head(text)["model-index"][0]["results"]]
    assert splits == ["test", "validation"]


def test_what_else_was_measured_is_told(run):
    found = {"mean": 0.5, "group": "noise"}
    run.write(
        "robustness.json",
        {
            "split": "validation", "accuracy": 0.9, "mean": 0.5, "relative_drop": 0.444, "severities": [1, 2],
            "corruptions": {"fog": found},
        },
    )  # fmt: skip
    run.write(
        "baselines.json", {"split": "validation", "baselines": [{"name": "commonest", "accuracy": 0.1}]}
    )
    answered = {"confidence": 0.8, "max_error": 0.02, "coverage": 0.75, "error": 0.019}
    run.write("test.json", {**run.scores("validation"), "split": "test", "answered": answered})
    text = modelcard.card(run)
    assert "Corrupted validation pictures: 90.0 % right on clean pictures, 50.0 % in the mean over 1" in text
    assert "on the same validation pictures: commonest 10.0 %." in text
    assert "at most 2.0 % wrong: 75.0 % get an answer, 1.9 % of those are wrong." in text


def test_files_are_listed_with_hash_and_parity(run):
    run.write("exports/model.onnx", b"123")
    run.write("exports/model.tflite", b"4567")
    run.write("exports/model.savedmodel/a/b", b"89")
    run.write("exports/.1-half.onnx", b"")
    run.write("exports/model.xml", b"1")
    run.write("exports/model.bin", b"2")
    found = {
        "pictures": 1000,
        "agreement": 1.0,
        "difference": 2.5e-7,
        "split": "validation",
        "runtime": "ort 1",
    }
    run.write("exports/parity.json", {"model.onnx": found})
    text = modelcard.card(run)
    digest = hashlib.sha256(b"123").hexdigest()
    held = (
        "the model's class for 100.00 % of 1,000 validation pictures, probabilities within 2.5e-07, in ort 1"
    )
    assert f"| `model.onnx` | 3 bytes | `{digest}` | {held} |" in text
    assert f"`{engines.digest(run.path / 'exports' / 'model.tflite')}` | not recorded |" in text
    assert "| `model.savedmodel` | 2 bytes |" in text
    assert f"| `../model.keras` | {run.model_path.stat().st_size:,} bytes |" in text
    assert "half.onnx" not in text
    assert re.search(r"^\| `model\.bin` .* \| part of model\.xml \|$", text, re.MULTILINE)
    assert 'onnxruntime.InferenceSession("model.onnx")' in text


def test_speeds_of_a_bench_are_told(run):
    rate = {"1": 1.0, "64": 2.0, "256": 1234.5}
    row = {"file": "exports/model.onnx", "runtime": "onnxruntime", "precision": "float32", "threads": 1,
           "latency_p50": 0.00123, "images_per_second": rate}  # fmt: skip
    failed = {**row, "latency_p50": None, "images_per_second": {}}
    run.write("exports/bench.json", {"machine": {"processor": "a fast one"}, "rows": [row, failed]})
    text = modelcard.card(run)
    assert "by `tenfold bench` on a fast one" in text
    assert text.count("| onnxruntime, float32 | 1 | 1.23 ms | 1,234 |") == 1


@pytest.mark.parametrize("content", ["{", "[]", '{"model.onnx": 3}'])
def test_files_of_other_tools_do_no_harm(run, content):
    run.write("exports/model.onnx", b"123")
    run.write("exports/parity.json", content)
    run.write("exports/bench.json", content if content != '{"model.onnx": 3}' else "{}")
    assert "| not recorded |" in modelcard.card(run)


def test_class_names_are_words_and_no_markup(run):
    names = ["a|b", "<i>x</i>", *run.class_names[2:]]
    run.write("data.json", {**run.data, "class_names": names})
    text = modelcard.card(run)
    assert "apart: a\\|b, &lt;i>x&lt;/i>, 2, " in text


def test_it_can_be_trained_again_from_the_card(trained, tmp_path):
    (tmp_path / "README.md").write_text(modelcard.card(trained))
    assert records.read(tmp_path / "README.md").weights == records.record(trained).weights


def test_the_command_keeps_the_licence(run, capsys):
    target = run.path / "exports" / "model_card.md"
    assert main(["card", str(run.path), "--license", "cc-by-4.0"]) == 0
    assert capsys.readouterr().out == f"{target}\n"
    assert main(["card", str(run.path)]) == 0
    assert head(target.read_text())["license"] == "cc-by-4.0"
    assert "Licence of the model: cc-by-4.0." in target.read_text()
    target.write_text("no head")
    assert main(["card", str(run.path)]) == 0
    assert head(target.read_text())["license"] == "unknown"


def test_no_model_no_card(run, capsys):
    run.model_path.unlink()
    assert main(["card", str(run.path)]) == 3
    assert "model.keras" in capsys.readouterr().err


def test_scores_of_an_old_run_are_enough(run):
    old = {
        key: value
        for key, value in run.scores("validation").items()
        if key not in ("calibration", "coverage")
    }
    run.write("validation.json", old)
    (run.path / "calibration.json").unlink()
    text = modelcard.card(run)
    assert "not known" in text
    assert "calibrated probabilities" not in text


def test_an_export_brings_its_card(run, capsys):
    pytest.importorskip("onnxruntime", reason="needs the extra `export`")
    assert main(["export", str(run.path)]) == 0
    text = (run.path / "exports" / "model_card.md").read_text()
    assert re.search(
        r"^\| `model\.onnx` .* \| the model's class for 100\.00 % of \d+ validation", text, re.MULTILINE
    )
    (run.path / "environment.json").unlink()
    assert main(["export", str(run.path)]) == 0
    assert "No model card was written." in capsys.readouterr().err

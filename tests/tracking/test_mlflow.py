"""MLflow: runs in a database beside the run folders, read back by MLflow's own client, without a server."""

import dataclasses
import importlib.util
import os

import pytest

import quick
from tenfold import training
from tenfold.errors import MissingExtraError, ResourceError, Stopped
from tenfold.tracking import mlflow

QUICK = dataclasses.replace(quick.QUICK, mlflow=True)
# SQLAlchemy 2.1 warns of an option that MLflow 3.17 still uses.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

installed = pytest.mark.skipif(
    importlib.util.find_spec("mlflow") is None, reason="the extra `mlflow` is not installed: it is large"
)


@pytest.fixture(autouse=True)
def own_place(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@installed
def test_a_resumed_run_is_one_run_with_every_epoch_once(tmp_path):
    import keras

    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    with pytest.raises(Stopped):
        training.train(QUICK, runs=tmp_path, extra_callbacks=[Interrupt()])
    client, number = mlflow._known(training.open_run(tmp_path / "quick"))
    assert client.get_run(number).info.status == "KILLED"
    run = training.resume(tmp_path / "quick")
    told = client.get_run(number)
    assert told.info.status == "FINISHED"
    assert told.info.run_name == "quick"
    assert told.data.params["optimizer"] == "adam"
    assert told.data.params["augmentation.crop"] == "0"
    for name in ("loss", "val_accuracy", "learning_rate"):
        metrics = client.get_metric_history(number, name)
        assert [metric.step for metric in metrics] == [1, 2, 3]
        assert [metric.value for metric in metrics] == pytest.approx(
            [row[name] for row in run.history], rel=1e-4
        )
    assert told.data.metrics["final_accuracy"] == pytest.approx(run.scores("validation")["accuracy"])
    assert {file.path for file in client.list_artifacts(number)} >= {
        "config.yaml",
        "history.csv",
        "validation.json",
    }
    assert (tmp_path / "mlflow.db").exists()
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


@installed
def test_a_place_that_cannot_be_written_is_said_before_the_first_step(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/none/at/all/mlflow.db")
    (tmp_path / "none").write_text("no folder")
    with pytest.raises(ResourceError, match="train without --mlflow"):
        training.train(QUICK, runs=tmp_path / "runs")
    assert not list((tmp_path / "runs").iterdir())


def test_what_is_not_installed_is_said_before_training(tmp_path, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "mlflow" else found(name, *more)
    )
    with pytest.raises(MissingExtraError, match=r"pip install 'tenfold\[mlflow\]'"):
        training.train(QUICK, runs=tmp_path)
    assert not list(tmp_path.iterdir())

"""MLflow's records: in mlflow.db and mlartifacts/ beside the runs, or wherever MLFLOW_TRACKING_URI says.

Look at them with `mlflow ui --backend-store-uri sqlite:///runs/mlflow.db`.
"""

import contextlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from tenfold.errors import ResourceError
from tenfold.runs import Run
from tenfold.tracking.facts import Row, final, reason, settings_of

FILE = "mlflow.json"
"""Of the run folder: which of MLflow's runs it is, and where."""

_EXPERIMENT = "tenfold"
_LONGEST, _MOST = 500, 100  # characters of a parameter, and parameters of one call
_KEPT = (
    *("config.yaml", "command.txt", "environment.json", "history.csv", "summary.json"),
    *("validation.json", "calibration.json"),
)


@contextlib.contextmanager
def opened(run: Run) -> Iterator[Callable[[Row], None]]:
    """A function that records an epoch's values.

    Args:
        run: takes a file that tells which of MLflow's runs is its own.

    Raises:
        ResourceError: MLflow's records cannot be written.
    """
    try:
        client, number = _begun(run)
        told = [metric.step for metric in client.get_metric_history(number, "loss")]
    except Exception as error:  # MLflow's, its database's, or those of the way to a server
        raise ResourceError(
            f"MLflow cannot record this run: {reason(error)} "
            f"Received: MLFLOW_TRACKING_URI={os.environ.get('MLFLOW_TRACKING_URI', 'none')}. "
            "Mend that, or train without --mlflow."
        ) from error
    last = max(told, default=0)  # an earlier process may have told of epochs that are now trained again

    def tell(row: Row) -> None:
        if row["epoch"] > last:
            _log(client, number, row, int(row["epoch"]))

    try:
        yield tell
    except BaseException:
        with contextlib.suppress(Exception):
            client.set_terminated(number, "KILLED")
        raise


def conclude(run: Run) -> None:
    """Records the final scores of a run and its small files."""
    client, number = _known(run)
    values = {f"final_{name}": value for name, value in final(run).items()}
    _log(client, number, values, int(run.history[-1]["epoch"]))
    for name in _KEPT:
        if (run.path / name).exists():
            client.log_artifact(number, str(run.path / name))
    client.set_terminated(number, "FINISHED")


def _mlflow() -> Any:
    """The package, imported so that it keeps quiet: here, and toward its makers."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = os.environ["DO_NOT_TRACK"] = "true"
    for name in ("mlflow", "alembic"):  # which tell how they set up their database
        logging.getLogger(name).setLevel(logging.WARNING)
    import mlflow

    return mlflow


def _known(run: Run) -> tuple[Any, str]:
    """MLflow's client, and the number of the run that has been begun there."""
    told = json.loads((run.path / FILE).read_text(encoding="utf-8"))
    return _mlflow().MlflowClient(tracking_uri=told["uri"]), told["run_id"]


def _begun(run: Run) -> tuple[Any, str]:
    """The same of a run that is new there, or goes on."""
    if (run.path / FILE).exists():
        client, number = _known(run)
        client.update_run(number, status="RUNNING")
        return client, number
    mlflow, beside = _mlflow(), run.path.parent.resolve()
    given = os.environ.get("MLFLOW_TRACKING_URI")
    uri = given or f"sqlite:///{beside / 'mlflow.db'}"
    client = mlflow.MlflowClient(tracking_uri=uri)
    known = client.get_experiment_by_name(_EXPERIMENT)
    if known is None:
        files = None if given else (beside / "mlartifacts").as_uri()
        experiment = client.create_experiment(_EXPERIMENT, artifact_location=files)
    else:
        experiment = known.experiment_id
    made = client.create_run(experiment, run_name=run.name, tags={"tenfold.run": str(run.path.resolve())})
    number = made.info.run_id
    params = [
        mlflow.entities.Param(name, str(value)[:_LONGEST]) for name, value in settings_of(run.config).items()
    ]
    for at in range(0, len(params), _MOST):
        client.log_batch(number, params=params[at : at + _MOST])
    run.write(FILE, {"uri": uri, "run_id": number})
    return client, number


def _log(client: Any, number: str, values: Row, step: int) -> None:
    metric, now = _mlflow().entities.Metric, int(1000 * time.time())
    metrics = [metric(name, float(value), now, step) for name, value in values.items() if name != "epoch"]
    client.log_batch(number, metrics=metrics)

"""Trains one trial of a study after the other, in a process of its own: what `crew.Worker` starts.

It reads orders from stdin and answers on stdout, one JSON object a line. Data are read once and stay. When
stdin ends, whoever gave the orders is gone, and so is this process at once.

    order     {"config": text of a config.yaml, "folder": ..., "name": ..., "command": ...}
    answers   {"notes": [...]}                    once, what reading the data has noticed
              {"epoch": 3, "accuracy": 0.61}      after every validation; the order to it is {"go_on": bool}
              {"accuracy": 0.66, "interval": [0.65, 0.67], "epochs": 15}
              {"stopped": true}                   after an order not to go on
              {"error": name of an error class, "message": ...}
"""

import contextlib
import gc
import json
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from tenfold import config, splits, training
from tenfold.errors import ResourceError, TenfoldError

Message = dict[str, Any]

_NO_ROOM = ("can't allocate memory", "out of memory")  # torch's words on a processor and on an accelerator


class Unpromising(Exception):  # noqa: N818 - it is no error of anyone's
    """The study has asked to stop this trial."""


class Judged(keras.callbacks.Callback):
    """Tells the validation accuracy of every epoch, and stops where the answer says so.

    Args:
        hear: waits for the next order.
        tell: sends an answer.
    """

    def __init__(self, hear: Callable[[], Message | None], tell: Callable[[Message], None]):
        super().__init__()
        self.hear = hear
        self.tell = tell

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        accuracy = (logs or {}).get("val_accuracy")
        if accuracy is None:  # a run by the clock does not validate every epoch
            return
        self.tell({"epoch": epoch + 1, "accuracy": float(accuracy)})
        if not (self.hear() or {}).get("go_on"):
            raise Unpromising


def work(hear: Callable[[], Message | None], tell: Callable[[Message], None]) -> None:
    """Trains what is ordered until there are no more orders.

    Args:
        hear: waits for the next order; None is the end.
        tell: sends an answer.
    """
    parts: splits.Parts | None = None
    while order := hear():
        try:
            settings = config.from_yaml(order["config"])
            if parts is None:
                parts = splits.read(settings)
                tell({"notes": list(parts.notes)})
            run = training.train(
                settings,
                runs=Path(order["folder"]),
                name=order["name"],
                exist_ok=True,
                command=order["command"],
                extra_callbacks=[Judged(hear, tell)],
                parts=parts,
            )
            scores = run.scores("validation") or {}
            answer = {"accuracy": scores["accuracy"], "interval": list(scores["accuracy_interval"])}
            tell({**answer, "epochs": run.summary["epochs"]})
        except Unpromising:
            tell({"stopped": True})
        except Exception as error:  # whatever ends a trial is its answer; the next one is trained
            tell(_told(error))
        gc.collect()  # models hold themselves in circles


def _told(error: Exception) -> Message:
    if isinstance(error, TenfoldError):
        return {"error": type(error).__name__, "message": str(error)}
    if isinstance(error, MemoryError) or any(words in str(error) for words in _NO_ROOM):
        return {"error": ResourceError.__name__, "message": "Not enough memory for these settings."}
    traceback.print_exc()
    first = (str(error).splitlines() or [""])[0][:200]
    return {"error": TenfoldError.__name__, "message": f"{type(error).__name__}: {first}"}


def main() -> None:
    """Works for the process at the other end of stdin and stdout."""
    orders: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
    # Whatever a library prints must not get between the answers: it goes to stderr, the study's log.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def receive() -> None:
        for line in sys.stdin:
            orders.put(json.loads(line))
        os._exit(0)

    def tell(message: Message) -> None:
        with contextlib.suppress(BrokenPipeError):  # then stdin has ended too
            answers.write(json.dumps(message) + "\n")
            answers.flush()

    threading.Thread(target=receive, daemon=True).start()
    work(orders.get, tell)


if __name__ == "__main__":
    main()

"""Ends training when the user or the system asks for it, and loses no such request."""

import signal
from types import FrameType
from typing import Any, Self

import keras

_EXCEPTIONS: dict[int, type[BaseException]] = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: SystemExit}


class Interruption(keras.callbacks.Callback):
    """Turns SIGINT into KeyboardInterrupt and SIGTERM into SystemExit, at once or at the next batch.

    Python raises a signal handler's exception wherever the main thread happens to be. Where that is a
    finalizer, or a library's `except` that names no exception, the exception is lost there and training
    would go on as if nobody had asked; so the request is kept, and raised again after the batch.

    As a context manager it sets the handlers, where signals can be set (in the main thread) and are not
    ignored or handled by another, and puts the former ones back.
    """

    def __init__(self) -> None:
        super().__init__()
        self._asked: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number, default in (
            (signal.SIGINT, signal.default_int_handler),
            (signal.SIGTERM, signal.SIG_DFL),
        ):
            if signal.getsignal(number) is not default:
                continue
            try:
                self._before[number] = signal.signal(number, self._ask)
            except ValueError:  # not in the main thread
                break
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._leave()

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._leave()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked = number
        self._leave()

    def _leave(self) -> None:
        if self._asked is not None:
            raise _EXCEPTIONS[self._asked](128 + self._asked)

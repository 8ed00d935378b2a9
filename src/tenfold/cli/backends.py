"""Chooses the Keras backend, which must happen before anything imports Keras, and whether Keras answers."""

import contextlib
import importlib.util
import os
import sys
import types
from collections.abc import Iterator
from typing import Any, Literal

from tenfold.errors import MissingExtraError, UsageError, unknown

PACKAGES = ("torch", "tensorflow", "jax")
"""The backends, each named as its package."""

EngineName = Literal["auto", "openvino", "onnxruntime", "keras"]
"""What `--engine` takes."""


def choose(name: str = "auto") -> str:
    """Sets the backend for this process and returns its name.

    Args:
        name: a backend, or "auto" for KERAS_BACKEND where set, else the default.

    Raises:
        UsageError: no such backend, or Keras already runs on another one.
        MissingExtraError: the backend's package is not installed.
    """
    chosen = os.environ["KERAS_BACKEND"] if name == "auto" else name
    if chosen not in PACKAGES:
        raise UsageError(unknown("backend", chosen, PACKAGES))
    if importlib.util.find_spec(chosen) is None:
        raise MissingExtraError(
            f"The {chosen} backend is not installed. Install it with: pip install 'tenfold[{chosen}]'"
        )
    if "keras" in sys.modules and sys.modules["keras"].backend.backend() != chosen:
        running = sys.modules["keras"].backend.backend()
        raise UsageError(f"Keras already runs on {running} in this process. Received: backend={chosen}")
    os.environ["KERAS_BACKEND"] = chosen
    if chosen == "tensorflow":
        _import_hushed()
    return chosen


def engine(name: str, backend: str) -> str:
    """The engine to ask for: who names a Keras backend and no engine wants Keras' answers."""
    return "keras" if name == "auto" and backend != "auto" else name


def load() -> None:
    """Imports Keras for a command that trains, without the packages it brings along and training never uses.

    Keras asks for scikit-learn to wrap models for it, for matplotlib to draw galleries, and under torch for
    torch's compiler, to keep it away from a few functions: more than half of its 4.5 seconds. What is left
    out here can be imported afterwards as ever. A process that imports `tenfold` has Keras whole.
    """
    if "keras" in sys.modules:
        return
    with _absent("sklearn", "matplotlib"):
        if os.environ["KERAS_BACKEND"] != "torch":
            importlib.import_module("keras")
            return
        importlib.import_module("torch")
        with _standing_in("torch._dynamo", disable=_undecorated):
            importlib.import_module("keras")


@contextlib.contextmanager
def _absent(*packages: str) -> Iterator[None]:
    """As if these packages, unless imported already, were not installed."""
    missing = [name for name in packages if name not in sys.modules]
    sys.modules.update(dict.fromkeys(missing))  # type: ignore[arg-type]  # None: how Python marks them
    try:
        yield
    finally:
        for name in missing:
            del sys.modules[name]


@contextlib.contextmanager
def _standing_in(name: str, **contents: Any) -> Iterator[None]:
    """A module of these contents in place of one that is not imported yet."""
    if name in sys.modules:
        yield
        return
    module = types.ModuleType(name)
    vars(module).update(contents)
    sys.modules[name] = module
    try:
        yield
    finally:
        del sys.modules[name]


def _undecorated(function: Any = None, **options: Any) -> Any:
    """What `torch._dynamo.disable` amounts to where nothing is compiled."""
    return function or (lambda plain: plain)


def _import_hushed() -> None:
    """Imports Keras on TensorFlow, which writes start-up notes that no setting of its own keeps back."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if os.environ.get("TENFOLD_DEBUG"):
        return
    sys.stderr.flush()
    screen = os.dup(2)
    try:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        importlib.import_module("keras")
    finally:
        os.dup2(screen, 2)
        os.close(screen)

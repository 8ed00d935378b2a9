"""Where a model of the user's own comes from: a function in a Python file, a saved file, or memory.

A user's code runs here and nowhere else, at the user's own word: the file that `--model` names when a run is
trained, and the copy that the run keeps of it when that is resumed. Whatever else opens a run reads
model.keras, from which no code is run.
"""

import contextlib
import hashlib
import inspect
import json
import os
import sys
import tempfile
import traceback
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from tenfold import models
from tenfold.errors import UsageError, unknown
from tenfold.keepsakes import CODE, NOTES, START

_SHAPE = ("image_shape", "input_shape", "shape")
_CLASSES = ("classes", "num_classes", "n_classes", "nb_classes")
_FORM = "Expected: def build(image_shape, classes), or fewer of these"


@dataclass(frozen=True)
class Source:
    """A model as the user gave it.

    Attributes:
        model: the model.
        label: what to call it in messages.
        kept: files for the run folder, by name, as `runs.Run.write` takes them.
        trained: whether its weights may have learned something already.
    """

    model: keras.Model
    label: str
    kept: Mapping[str, bytes | dict[str, Any]]
    trained: bool


def read(
    name: str,
    image_shape: tuple[int, int, int],
    classes: int,
    options: Mapping[str, Any],
    given: keras.Model | None = None,
) -> Source:
    """The model that a setting names.

    Args:
        name: FILE.py:FUNCTION, FILE.py for a function called `build`, FILE.keras, or memory:NAME.
        image_shape: (height, width, 3) of the pictures.
        classes: how many.
        options: keywords for the function.
        given: the model that memory:NAME stands for.

    Raises:
        UsageError: no such file or function, code that fails, or something that is no Keras model.
        DataError: a file that cannot be opened as a model.
    """
    if given is not None:
        return Source(_checked(given, name), name, {}, trained=True)
    if name.startswith("memory:"):
        raise UsageError(
            f"{name} was a model in the memory of a Python program. Expected: tenfold.train(data, "
            f"model=the_model), or a model from a file. Received: model={name}"
        )
    path, _, function = name.partition(".py:") if ".py:" in name else (name.removesuffix(".py"), "", "build")
    place = Path(name if name.endswith(".keras") else f"{path}.py").expanduser()
    if not place.is_file():
        beside = sorted(each.name for each in place.parent.glob(f"*{place.suffix}"))
        near = f" {unknown('file', place.name, beside)}" if beside else ""
        raise UsageError(
            f"{place} does not exist. Expected: FILE.py:FUNCTION or FILE.keras.{near} Received: model={name}"
        )
    if name.endswith(".keras"):
        _no_options(options, name)
        content = place.read_bytes()
        return Source(models.load(place), name, _kept(START, content, name, place), trained=True)
    code = place.read_bytes()
    with _told(place):
        found = _lookup(_run(place, code), function, place)
        if not isinstance(found, keras.Model):
            found = found(**_arguments(found, image_shape, classes, options, name))
        else:
            _no_options(options, name)
    return Source(_checked(found, name), name, _kept(CODE, code, name, place), trained=False)


def _kept(file: str, content: bytes, name: str, place: Path) -> dict[str, bytes | dict[str, Any]]:
    facts = {"model": name, "path": str(place.absolute()), "sha256": hashlib.sha256(content).hexdigest()}
    return {file: content, NOTES: facts}


def _no_options(options: Mapping[str, Any], name: str) -> None:
    if options:
        raise UsageError(
            f"{name} is a model already and takes no options. Expected: none, or FILE.py:FUNCTION. "
            f"Received: model_options={dict(options)}"
        )


def _checked(found: Any, name: str) -> keras.Model:
    if not isinstance(found, keras.Model):
        kind = f"{type(found).__module__}.{type(found).__qualname__}"
        raise UsageError(f"{name} gives no Keras model. Expected: a keras.Model. Received: {kind}")
    return found


def _lookup(module: types.ModuleType, function: str, place: Path) -> Any:
    found = getattr(module, function, None)
    if callable(found):
        return found
    choices = [each for each, value in vars(module).items() if inspect.isfunction(value)]
    choices = [each for each in choices if not each.startswith("_")]
    raise UsageError(f"{place}: {unknown('function', function, choices)} {_FORM}.")


def _run(place: Path, code: bytes) -> types.ModuleType:
    """Runs a file as a module of its own, with its folder at hand for what it imports."""
    module = types.ModuleType(f"tenfold_own_{place.stem}")
    module.__file__ = str(place)
    sys.modules[module.__name__] = module  # dataclasses, for one, look their module up there
    folders = [str(place.parent.absolute())]
    with contextlib.suppress(OSError, ValueError, KeyError):  # a run's copy: what stood beside the first
        folders.append(str(Path(json.loads((place.parent / NOTES).read_text())["path"]).parent))
    sys.path[:0] = folders
    try:
        # Compiled here, as importing would leave a __pycache__ beside the user's file.
        exec(compile(code, str(place), "exec"), vars(module))
    finally:
        for folder in folders:
            with contextlib.suppress(ValueError):
                sys.path.remove(folder)
    return module


def _arguments(
    function: Callable[..., Any],
    image_shape: tuple[int, int, int],
    classes: int,
    options: Mapping[str, Any],
    name: str,
) -> dict[str, Any]:
    """The keywords to call a function with: what it asks for of shape and classes, and the options."""
    parameters = inspect.signature(function).parameters
    kinds = {each: parameter.kind for each, parameter in parameters.items()}
    named = [each for each, kind in kinds.items() if kind.name in ("POSITIONAL_OR_KEYWORD", "KEYWORD_ONLY")]
    if not any(kind is inspect.Parameter.VAR_KEYWORD for kind in kinds.values()):
        theirs = [each for each in named if each not in (*_SHAPE, *_CLASSES)]
        for option in options:
            if option not in theirs:
                raise UsageError(unknown(f"option of model {name!r}", option, theirs))
    filled: dict[str, Any] = {each: image_shape for each in named if each in _SHAPE}
    filled |= {each: classes for each in named if each in _CLASSES}
    lacking = [
        each
        for each in named
        if parameters[each].default is inspect.Parameter.empty and each not in {**filled, **options}
    ]
    if lacking:
        cure = " ".join(f"--set model_options.{each}=VALUE" for each in lacking)
        raise UsageError(
            f"{name} asks for {', '.join(lacking)}, which Tenfold does not know. {_FORM}; others by {cure}"
        )
    return {**filled, **options}


@contextlib.contextmanager
def _told(place: Path) -> Iterator[None]:
    """Turns whatever the user's code raises into one line with its place; the traceback goes to a file."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        with contextlib.redirect_stdout(sys.stderr):  # a summary it prints; stdout may be JSON
            yield
    except UsageError:
        raise
    except (Exception, SystemExit) as error:
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(place)]
        line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
        said = (str(error).strip().splitlines() or [""])[0]
        at = f", line {line}" if line else ""
        raise UsageError(
            f"{place}{at}: {type(error).__name__}: {said} Expected: code that builds a Keras model; mend it "
            f"there. {_logged(error, place)}"
        ) from error
    finally:
        keras.config.set_dtype_policy(policy)


def _logged(error: BaseException, place: Path) -> str:
    log = Path(tempfile.gettempdir()) / f"tenfold-{place.stem}-{os.getpid()}.log"
    try:
        log.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    except OSError:
        return "The traceback could not be written."
    return f"The traceback is in {log}"

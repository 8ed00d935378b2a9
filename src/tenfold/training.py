"""From settings to a run folder, through Keras' `Model.fit`.

One call reads the data, cuts the validation split, builds the model in the form that trains fastest, fits
it, keeps the best epoch in the portable form, and evaluates that on the validation split.
"""

import dataclasses
import functools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from tenfold import (
    callbacks,
    chronicle,
    distillation,
    layers,
    models,
    preparation,
    probe,
    proxy,
    splits,
    tracking,
    transfer,
    validation,
)
from tenfold.batches import Batches, Epochs, held_data
from tenfold.budget import EPOCHS, Budget
from tenfold.callbacks import Listener
from tenfold.checkpoint import FILE, Checkpoint, Resumable
from tenfold.config import Config
from tenfold.datasets import Dataset
from tenfold.errors import Stopped, UsageError
from tenfold.interruption import Interruption
from tenfold.orders import again, order
from tenfold.runs import Run, create, discard, open_run


def train(
    settings: Config | str | Path | Dataset,
    *,
    runs: str | Path = Path("runs"),
    name: str | None = None,
    exist_ok: bool = False,
    command: str = "",
    listen: Listener = lambda moment: None,
    extra_callbacks: Sequence[keras.callbacks.Callback] = (),
    started: float | None = None,
    ending: float = 0.0,
    parts: splits.Parts | None = None,
    **changes: Any,
) -> Run:
    """Trains a model and leaves a run folder.

    Where `settings.time` is set, the whole call takes that long: as many epochs as fit, the learning rate
    annealed when the time is up, even if the machine slows down on the way. Such a run depends on the
    machine's speed, so another one with the same settings ends with another model.

    Args:
        settings: all settings, see `tenfold.recipes.recipe` for good ones; or what to train on, by name, path
            or in memory, as for `orders.order`.
        runs: folder that holds the run folders.
        name: of the run; the recipe's name by default, with a number where that is taken.
        exist_ok: overwrite the run of that name.
        command: the command line, for the record.
        listen: receives `Moment`s, `Download`s, `Reading`s and plain sentences while the run goes on.
        extra_callbacks: Keras callbacks to run as well.
        started: when the clock of `settings.time` started, in terms of `time.perf_counter`; default: now.
        ending: seconds out of `settings.time` that the caller needs afterwards, for the report for example.
        parts: what `splits.read` returns for these settings, where the caller has it already.
        changes: settings to lay over these, by name; `model` may be a Keras model.

    Returns:
        The run, with its model, history and validation scores.

    Raises:
        DataError: data that cannot be used. UsageError: settings that contradict each other, or too little
        time.
        GateError: the loss diverged. Stopped: interrupted; the best epoch so far is kept.

    Example:
        >>> run = tenfold.train("digits", recipe="tiny", epochs=3)  # doctest: +SKIP
        >>> run.scores("validation")["accuracy"]                    # doctest: +SKIP
        0.94
    """
    started = time.perf_counter() if started is None else started
    asked = order(settings, changes)
    settings = asked.settings
    tracking.require(settings)
    settings, reason = preparation.resolve(settings)
    preparation.set_up(settings)
    settings, reason = transfer.settle(settings, reason)
    if parts is None:
        parts = splits.read(settings, *callbacks.tellers(listen))
    settings = dataclasses.replace(settings, image_size=parts.train.images.shape[1])
    settings = preparation.fit_model(settings, parts.train)
    distillation.check(settings, parts.train)
    if own := preparation.adopt(settings, parts.train, asked.model):
        settings, reason = own.applied(settings), own.reason or reason
        model = preparation.build(settings, parts.train, own)
    else:
        settings, model = transfer.begin(settings, parts.train, listen)
    run = create(runs, name or settings.recipe, exist_ok=exist_ok)
    listen(f"Run folder: {run.path}")
    listen(f"Precision: {settings.precision} ({reason})")
    for note in (*parts.notes, *(own.notes if own else ())):
        listen(note)
    if parts.validation is None:
        listen(
            "No validation split: early stopping and the choice of the best epoch are off; "
            "the last epoch is kept."
        )
    try:
        chronicle.begin(run, settings, parts, reason, command, own.kept if own else {})
        distillation.invite(run, settings, parts.train)
    except BaseException:
        discard(run)
        raise
    budget = _budget(settings, parts, started, ending)
    return _continue(run, model, settings, parts, listen, extra_callbacks, budget)


def resume(
    run: Run | str | Path,
    *,
    data: Dataset | None = None,
    listen: Listener = lambda moment: None,
    extra_callbacks: Sequence[keras.callbacks.Callback] = (),
    ending: float = 0.0,
) -> Run:
    """Takes a run that was stopped or killed to the end that it would have had.

    The run goes on after the last whole epoch that was saved. On the same machine's processor, with the same
    number of threads, the kept model is the same bit for bit as if nothing had happened; on an accelerator,
    which adds up in an order of its own, that is not promised. Nor is it for a run by the clock
    (`settings.time`): it goes on with the time that was left then, counted from when training begins again,
    and its model depends on the speed.

    Args:
        run: the run, or the path of its folder.
        data: the pictures, where it was trained on pictures in memory and the program is another one.
        listen: as in `train`.
        extra_callbacks: as in `train`.
        ending: as in `train`.

    Raises:
        UsageError: the run has finished, or stopped before an epoch had ended.
        DataError: the data have changed since.
    """
    run = run if isinstance(run, Run) else open_run(run)
    if (run.path / "summary.json").exists():
        raise UsageError(f"{run.path} has finished. To train longer, start anew with more --epochs.")
    tracking.require(run.config)
    settings, _ = preparation.resolve(again(run, data))
    preparation.set_up(settings)
    parts = splits.read_again(run, callbacks.tellers(listen)[1])
    model = transfer.again(run, settings, parts.train, listen)
    listen(f"Run folder: {run.path}")
    run.append("events.jsonl", {"event": "resumed"})
    budget = _budget(settings, parts, time.perf_counter(), ending)
    return _continue(run, model, settings, parts, listen, extra_callbacks, budget, resumed=True)


def _continue(
    run: Run,
    model: keras.Model,
    settings: Config,
    parts: splits.Parts,
    listen: Listener,
    extra_callbacks: Sequence[keras.callbacks.Callback],
    budget: Budget | None,
    *,
    resumed: bool = False,
) -> Run:
    """Trains from where the run stands to its end."""
    if teacher := distillation.opened(run, settings, parts.train):
        listen(distillation.described(run, teacher, parts.train))
    chooser = proxy.beside(settings, parts.train)
    best, progress = _callbacks(run, settings, parts, listen, budget)
    watchers: list[keras.callbacks.Callback] = [best, progress]
    others: dict[str, Resumable] = {"best": best, "progress": progress}
    if chooser is not None:
        others["proxy"] = chooser
    if budget is None:
        checkpoint = Checkpoint(run, others)
    else:
        checkpoint = Checkpoint(run, {**others, "budget": budget}, budget.due)
        watchers.insert(0, budget)
    first, learnt = 0, None
    if resumed and (not settings.transfers or (run.path / FILE).exists()):
        first = checkpoint.restore(model, settings.last_epoch if budget is None else EPOCHS)
    try:
        with Interruption() as interruption, tracking.followers(run, progress, listen) as followers:
            guests = [*followers, *extra_callbacks, interruption]
            if settings.transfers and not first:
                fit = functools.partial(_fit, budget=None, teacher=None, chooser=None, first=0)
                learnt = probe.learn(model, settings, parts, best, progress, fit, guests, listen)
                first = settings.epochs
            if settings.finetunes or not settings.transfers:
                watchers += [checkpoint, *guests]
                _fit(model, settings, parts, watchers, first, budget, teacher, chooser)
                learnt = None
    except (KeyboardInterrupt, SystemExit) as stop:
        code = 143 if isinstance(stop, SystemExit) else 130
        raise _stopped(run, best, code) from None
    except BaseException:
        if best.weights is None:
            discard(run)
        raise
    model.set_weights(best.weights)
    if _rounds(settings):
        models.settle(model)
    _finish(run, model, settings, parts, best, progress, budget, learnt)
    tracking.conclude(run, listen)
    return run


def _budget(settings: Config, parts: splits.Parts, started: float, ending: float) -> Budget | None:
    """The clock of a run that has one."""
    if settings.time is None:
        return None
    held = parts.counts.get("validation", 0)
    return Budget(settings, len(parts.train), held, started=started, ending=ending)


def _callbacks(
    run: Run, settings: Config, parts: splits.Parts, listen: Listener, budget: Budget | None
) -> tuple[callbacks.Best, callbacks.Progress]:
    def keep(model: keras.Model) -> None:
        whole = models.twin(
            model, settings.model, data_format="channels_last", options=settings.model_options
        )
        if _rounds(settings):
            models.settle(whole)
        with run.replacing("model.keras") as path:
            whole.save(path)

    due = {} if budget is None else {"due": budget.due}
    best = callbacks.Best(settings.monitor, keep, settings.patience, **due)
    return best, callbacks.Progress(run, len(parts.train), settings.batch_size, best, listen, budget)


def _rounds(settings: Config) -> bool:
    """Whether the whole model is trained with rounded kernels, so that rounded ones may be what is kept.

    Transfer learning leaves what it does not train as it was given.
    """
    return settings.precision == "mixed_bfloat16" and not settings.transfers


def _fit(
    model: keras.Model,
    settings: Config,
    parts: splits.Parts,
    watchers: Sequence[keras.callbacks.Callback],
    first: int,
    budget: Budget | None,
    teacher: distillation.Teacher | None,
    chooser: proxy.Proxy | None,
) -> None:
    one_hot = settings.soft_labels
    clock = None if budget is None else lambda: budget.progress
    batches = Batches(parts.train, settings, one_hot=one_hot, clock=clock, teach=teacher, choose=chooser)
    # A training step holds more than a forward pass of as many pictures.
    size = max(settings.batch_size, models.held(model, parts.train.images.shape[1], 500))
    model.fit(
        batches,
        initial_epoch=first,
        epochs=settings.last_epoch if budget is None else EPOCHS,
        shuffle=False,  # the batches do it, from their own seed
        validation_data=held_data(parts.validation, size, one_hot=one_hot),
        validation_batch_size=size,
        validation_freq=1 if budget is None else budget.checks,  # Keras reads it at every epoch's end
        callbacks=[Epochs(batches), callbacks.Diverged(), *watchers],
        verbose=0,
    )


def _stopped(run: Run, best: callbacks.Best, code: int) -> Stopped:
    if best.weights is None:
        discard(run)
        return Stopped("Stopped before the first epoch had ended; nothing was kept.", code)
    run.append("events.jsonl", {"event": "stopped", "best_epoch": best.epoch})
    return Stopped(
        f"Stopped. The model of epoch {best.epoch} is kept in {run.model_path}. "
        f"Go on with: tenfold resume {run.path}",
        code,
    )


def _finish(
    run: Run,
    model: keras.Model,
    settings: Config,
    parts: splits.Parts,
    best: callbacks.Best,
    progress: callbacks.Progress,
    budget: Budget | None,
    learnt: probe.Learnt | None,
) -> None:
    """Calibrates and evaluates the kept model in float32 on the validation split and writes the summary."""
    if parts.validation is not None:
        if learnt is None:
            exact = models.twin(
                model, settings.model, data_format=layers.training_format(), options=settings.model_options
            )
            found = validation.validate(run, models.observe_fn(exact), parts.validation)
        else:
            found = validation.validate(run, learnt.observe, learnt.held)
        run.save_evaluation("validation", found.to_dict(), found.predictions(), parts.validation.images)
    chronicle.end(run, model, settings, parts, best, progress, budget)

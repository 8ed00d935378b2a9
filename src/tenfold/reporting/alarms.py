"""What a careful colleague would point out about a run, in plain words."""

from collections.abc import Iterator
from dataclasses import dataclass

from tenfold.reporting.facts import Facts

MEMORISES = 0.10  # train minus validation accuracy
FEW_PER_CLASS = 100  # validation pictures
MANY_LOOKS = 2


@dataclass(frozen=True)
class Alarm:
    """One thing to know before trusting the numbers: what was seen, and what to make of it."""

    title: str
    text: str


def find(facts: Facts) -> list[Alarm]:
    """All alarms of a run, the gravest first."""
    return [
        *_unfinished(facts),
        *_broken(facts),
        *_guessing(facts),
        *_memorises(facts),
        *_classes(facts),
        *_validation(facts),
        *_looks(facts),
    ]


def _unfinished(facts: Facts) -> Iterator[Alarm]:
    if facts.finished:
        return
    by_epochs = facts.config is not None and facts.config.time is None
    planned = f" of {facts.config.epochs}" if facts.config and by_epochs else ""
    yield Alarm(
        "Not finished",
        f"Training did {len(facts.history)}{planned} epochs and was stopped. "
        "Take it to its end with: tenfold resume RUN",
    )


def _broken(facts: Facts) -> Iterator[Alarm]:
    losses = [row["loss"] for row in facts.history if "loss" in row]
    if any(not abs(loss) < float("inf") for loss in losses):
        yield Alarm(
            "Diverged",
            "The training loss became infinite or not a number. Train with a lower learning rate.",
        )


def _guessing(facts: Facts) -> Iterator[Alarm]:
    for split, scores in facts.scores.items():
        supports = [sum(row) for row in scores["confusion"]]
        commonest = max(supports) / max(1, sum(supports))
        if len(supports) > 1 and scores["accuracy_interval"][0] <= commonest:
            name = scores["class_names"][supports.index(max(supports))]
            yield Alarm(
                "No better than guessing",
                f"Answering “{name}” for every {split} picture would be right for {_percent(commonest)} of "
                f"them; the model's interval reaches down to {_percent(scores['accuracy_interval'][0])}.",
            )


def _memorises(facts: Facts) -> Iterator[Alarm]:
    kept = facts.kept or {}
    train = kept.get("accuracy")
    split, held = "validation", kept.get("val_accuracy")
    if held is None and "test" in facts.scores:
        split, held = "test", facts.scores["test"]["accuracy"]
    if train is not None and held is not None and train - held > MEMORISES:
        yield Alarm(
            "Memorises",
            f"{_percent(train)} of the training pictures right, but {_percent(held)} of the {split} "
            f"pictures: {100 * (train - held):.0f} points less. More augmentation, more weight decay, fewer "
            "epochs or more pictures narrow this gap.",
        )


def _classes(facts: Facts) -> Iterator[Alarm]:
    for split, scores in facts.scores.items():
        names = scores["class_names"]
        supports = [sum(row) for row in scores["confusion"]]
        answers = [sum(column) for column in zip(*scores["confusion"], strict=True)]
        silent = [n for n, s, a in zip(names, supports, answers, strict=True) if s and not a]
        absent = [n for n, s in zip(names, supports, strict=True) if not s]
        if silent:
            yield Alarm(
                "Classes never predicted",
                f"No {split} picture was taken for {_list(silent)}. Too few training pictures, or labels in "
                "another order than the model's, look like this.",
            )
        if absent:
            yield Alarm("Classes without pictures", f"The {split} pictures hold no {_list(absent)}.")


def _validation(facts: Facts) -> Iterator[Alarm]:
    if not facts.has_validation:
        if facts.history or facts.finished:
            yield Alarm(
                "No validation",
                "No pictures were held back from training, so nothing chose the best epoch and only the "
                "test pictures can say how good the model is.",
            )
        return
    count = facts.count("validation")
    names = facts.class_names
    if count and names and count < FEW_PER_CLASS * len(names):
        text = f"{count:,} pictures, about {max(1, round(count / len(names))):,} for each class."
        if "validation" in facts.scores:
            low, high = facts.scores["validation"]["accuracy_interval"]
            text += f" The accuracy is known to about {50 * (high - low):.1f} points either way."
        yield Alarm("Validation is small", text + " Smaller differences between two runs mean nothing.")


def _looks(facts: Facts) -> Iterator[Alarm]:
    if len(facts.looks) >= MANY_LOOKS:
        yield Alarm(
            f"{len(facts.looks)} looks at the test pictures",
            "Each look that leads to a change of the model makes the test score more flattering than the "
            "truth. Choose between models on validation; look at the test pictures once, at the end.",
        )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _list(names: list[str], most: int = 6) -> str:
    shown = ", ".join(f"“{name}”" for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")

"""Looks a data set over from end to end: doctor(data) -> Diagnosis."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from tenfold import recipes
from tenfold.config import Config
from tenfold.doctor import classes, crossing, duplicates
from tenfold.doctor.findings import KINDS, Diagnosis, Finding
from tenfold.doctor.intake import SIZE, Intake, take
from tenfold.doctor.opinion import features, unseen_answers
from tenfold.doctor.suspects import findings as doubts
from tenfold.errors import UsageError, unknown

if TYPE_CHECKING:
    from tenfold.runs import Run

Method = Literal["none", "quick", "train"]

SHOWN = 60
"""Findings of a kind of which the contact sheet shows pictures."""

QUICK_SHARE = 0.01  # of the pictures; below the first hundredth the quick method is wrong too often
_SECONDS, _PICTURES = 540.0, 50_000  # of training, for so many pictures: ten minutes with all around it
_FEWEST_PICTURES = 5_000  # less time than these get does not train a network
_COMPARED = 12  # pictures of a group that the contact sheet shows


def doctor(
    data: str | Path,
    *,
    suspects: Method = "quick",
    seconds: float | None = None,
    run: "Run | None" = None,
    settings: Config | None = None,
    listen: Callable[[str], None] = lambda sentence: None,
) -> Diagnosis:
    """Says what is wrong with a data set; changes nothing.

    Pictures are compared at 32 x 32 pixels, or at the size that `run` was trained on. Test pictures are
    compared with the others and counted by class; nothing else is done with them.

    Args:
        data: as `datasets.find` takes it. A folder may lack classes in some splits.
        suspects: how to find labels in doubt: "quick" by a linear model, "train" by networks, or "none".
        seconds: for "train": of all networks together; by default nine minutes for 50,000 pictures, less for
            fewer.
        run: a trained run. Its features find near duplicates that pixels do not show, and its answers to its
            validation pictures find labels in doubt among these.
        settings: for "train": of the networks, in place of the recipe `fast` by the clock.
        listen: receives plain sentences while the work goes on.

    Raises:
        UsageError: there is no such method, or too little time.
        DataError: nothing usable there, or a run with other classes.

    Example:
        >>> doctor("digits", suspects="none").counts
        {'train': 1438, 'test': 359}
    """
    if suspects not in get_args(Method):
        raise UsageError(unknown("way to find suspects", str(suspects), get_args(Method)))
    clock = _Clock()
    with clock("reading"):
        intake = take(data, SIZE if run is None else run.data["image_size"])
    listen(f"Read {len(intake.pictures):,} pictures of {intake.location}.")
    found = [*intake.findings, *classes.check(intake.class_names, intake.counts)]
    learned = None
    if run is not None:
        with clock("features"):
            learned = features(run, intake.images)
    with clock("duplicates"):
        found += duplicates.find(intake, learned)
    listen("Compared all pictures with each other.")
    with clock("suspects"):
        doubted, remark = _suspects(intake, suspects, seconds, settings, run, listen)
    found += doubted
    found += [Finding("reader", note) for note in intake.notes]
    order = list(KINDS)
    found.sort(key=lambda finding: order.index(finding.kind))
    return Diagnosis(
        location=intake.location,
        source=intake.kind,
        class_names=intake.class_names,
        counts={split: by_class.total() for split, by_class in intake.counts.items()},
        findings=tuple(found),
        remarks=tuple(remark + _about_test(intake)),
        seconds=clock.seconds,
        thumbnails=_thumbnails(intake, found),
    )


class _Clock:
    """Adds up how long each part takes."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[part] = round(time.perf_counter() - began, 2)


def _suspects(
    intake: Intake,
    method: Method,
    seconds: float | None,
    settings: Config | None,
    run: "Run | None",
    listen: Callable[[str], None],
) -> tuple[list[Finding], list[str]]:
    """Labels in doubt of the pictures outside the test split, and sentences on how they were looked for."""
    own = intake.labelled()
    if run is None and method == "none":
        return [], ["Labels were not questioned (--suspects none)."]
    found: list[Finding] = []
    remarks = []
    data = intake.dataset(own)
    left = np.arange(len(data))
    pictures = [intake.pictures[row] for row in own]

    def doubt(rows: np.ndarray, probabilities: np.ndarray, most: int | None = None) -> None:
        chosen = [pictures[row] for row in rows]
        found.extend(doubts(probabilities, data.labels[rows], chosen, data.class_names, most))

    if run is not None:
        rows, probabilities = unseen_answers(run, data)
        doubt(rows, probabilities)
        left = np.setdiff1d(left, rows)
        remarks.append(
            f"{run.path} had not learned from {len(rows):,} of the pictures; it questioned their labels."
        )
    if method == "none":
        return found, remarks
    fewest = int(np.bincount(data.labels[left]).max(initial=0))
    if len(np.unique(data.labels[left])) < 2 or fewest < 2:
        return found, [*remarks, "Too few pictures to question labels."]
    rest = data.subset(left)
    if method == "quick":
        most = max(1, round(QUICK_SHARE * len(rest)))
        doubt(left, crossing.quick(rest), most)
        remarks.append(
            "Labels were questioned by a quick linear model, which is often wrong itself: its "
            f"{most:,} strongest doubts are listed. --suspects train finds most wrong labels, in minutes."
        )
    else:
        doubt(left, crossing.trained(rest, settings or by_the_clock(len(rest), seconds), listen=listen))
        remarks.append(
            f"Labels were questioned by {crossing.TRAINED_FOLDS} networks, each about pictures that it had "
            "not seen."
        )
    return found, remarks


def by_the_clock(pictures: int, seconds: float | None) -> Config:
    """The settings of one fold."""
    share = min(1.0, max(pictures, _FEWEST_PICTURES) / _PICTURES)
    whole = _SECONDS * share if seconds is None else seconds
    return dataclasses.replace(recipes.recipe("fast"), time=whole / crossing.TRAINED_FOLDS)


def _about_test(intake: Intake) -> list[str]:
    if not len(intake.rows("test")):
        return []
    return [
        "Test pictures were compared with the others and counted by class. Nothing was scored or chosen on "
        "them, so no ledger counts this as a look."
    ]


def _thumbnails(intake: Intake, found: list[Finding]) -> dict[tuple[str, str], np.ndarray]:
    shown = [finding for kind in KINDS for finding in [each for each in found if each.kind == kind][:SHOWN]]
    wanted = {(item.split, item.id) for finding in shown for item in finding.pictures[:_COMPARED]}
    places = ((row, (item.split, item.id)) for row, item in enumerate(intake.pictures))
    return {key: intake.images[row].copy() for row, key in places if key in wanted}

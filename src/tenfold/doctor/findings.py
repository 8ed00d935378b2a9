"""What can be found: the kinds, how serious each is and what to do; and the result as plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from tenfold.datasets.fixes import Fix

Level = Literal["blocker", "warning", "note"]


@dataclass(frozen=True)
class Kind:
    """A kind of finding: how serious it is, what it is called, and what to do about it."""

    level: Level
    title: str
    advice: str


KINDS: dict[str, Kind] = {
    "unreadable": Kind("blocker", "Unreadable files", "Replace or remove them; training skips them."),
    "misnamed-class": Kind("blocker", "Classes misnamed in a split", "Give the folders the same name."),
    "strange-class": Kind("blocker", "Classes that training lacks", "Add training pictures of them."),
    "missing-class": Kind("blocker", "Classes missing in a split", "Add pictures of them."),
    "duplicate-across": Kind(
        "blocker", "Exact duplicates across splits", "Leave the training copies out: --exclude."
    ),
    "near-across": Kind(
        "warning", "Near duplicates across splits", "Leave the training copies out: --exclude."
    ),
    "label-conflict": Kind("warning", "The same picture under several labels", "Leave all copies out."),
    "duplicate": Kind("warning", "Exact duplicates within a split", "Keep one of each: --exclude."),
    "near-duplicate": Kind("warning", "Near duplicates within a split", "Keep one of each: --exclude."),
    "label-suspect": Kind(
        "warning", "Labels in doubt", "Look at them; write exclude for review to drop one."
    ),
    "similar-classes": Kind("warning", "Classes of nearly the same name", "Merge them if they are one."),
    "imbalance": Kind(
        "warning",
        "Classes of very different size",
        "Add pictures to the small ones, or train with --balance.",
    ),
    "blank": Kind("warning", "Blank pictures", "Leave them out: --exclude."),
    "tiny": Kind("warning", "Tiny pictures", "They are enlarged and blurred; replace them if you can."),
    "wrong-extension": Kind(
        "warning", "Wrong extensions", "Rename them; Tenfold goes by content, others do not."
    ),
    "unseen": Kind("warning", "Pictures whose extension hides them", "Rename them, or no reader sees them."),
    "turned": Kind("note", "Turned by EXIF", "Tenfold turns them upright; other programs may not."),
    "odd-mode": Kind("note", "Unusual pixel formats", "Tenfold makes them RGB; other programs may not."),
    "reader": Kind("note", "Said by the reader", "Nothing needs to be done."),
}
"""In the order in which they are reported."""


@dataclass(frozen=True)
class Picture:
    """A picture of the data.

    Attributes:
        split: "train", "validation" or "test"; empty for a file that no split holds.
        id: its path below the data, or its row key.
        label: its class; None where that was not looked at, as for test pictures.
    """

    split: str
    id: str
    label: str | None = None


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or worth knowing.

    Attributes:
        kind: a key of `KINDS`.
        message: what was found, in a line.
        pictures: those it is about; of duplicates, the one to keep comes first.
        details: numbers and names behind the message, fit for JSON.
        fixes: what the fix list says about it.
    """

    kind: str
    message: str
    pictures: tuple[Picture, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    fixes: tuple[Fix, ...] = ()

    @property
    def level(self) -> Level:
        return KINDS[self.kind].level


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with a data set.

    Attributes:
        location: the data, as found.
        source: which reader they need.
        class_names: the classes.
        counts: pictures by split, unreadable ones included.
        findings: the most serious first.
        remarks: plain sentences on how it was looked for, and what was not.
        seconds: how long each part took.
        thumbnails: uint8 pictures of some findings, by split and id, for the contact sheet.
    """

    location: str
    source: str
    class_names: tuple[str, ...]
    counts: Mapping[str, int]
    findings: tuple[Finding, ...]
    remarks: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    thumbnails: Mapping[tuple[str, str], np.ndarray] = field(default_factory=dict, repr=False)

    @property
    def blockers(self) -> tuple[Finding, ...]:
        """Findings that make a score wrong or a training fail."""
        return tuple(finding for finding in self.findings if finding.level == "blocker")

    @property
    def fixes(self) -> tuple[Fix, ...]:
        """The rows of the fix list."""
        return tuple(fix for finding in self.findings for fix in finding.fixes)

    def of(self, kind: str) -> tuple[Finding, ...]:
        """The findings of a kind."""
        return tuple(finding for finding in self.findings if finding.kind == kind)

    def touched(self, kinds: Sequence[str], split: str) -> int:
        """How many pictures of a split the findings of some kinds are about."""
        found = {
            item.id
            for kind in kinds
            for finding in self.of(kind)
            for item in finding.pictures
            if item.split == split
        }
        return len(found)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the thumbnails, fit for JSON."""
        return {
            "location": self.location,
            "source": self.source,
            "class_names": list(self.class_names),
            "pictures": dict(self.counts),
            "found": {kind: len(self.of(kind)) for kind in KINDS if self.of(kind)},
            "blockers": len(self.blockers),
            "findings": [
                {
                    "kind": finding.kind,
                    "level": finding.level,
                    "message": finding.message,
                    "pictures": [asdict(item) for item in finding.pictures],
                    "details": dict(finding.details),
                    "fixes": [asdict(fix) for fix in finding.fixes],
                }
                for finding in self.findings
            ],
            "remarks": list(self.remarks),
            "seconds": dict(self.seconds),
        }

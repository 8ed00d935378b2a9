"""Classes that a split lacks or names otherwise, and classes of very different size."""

import difflib
from collections.abc import Mapping, Sequence

from tenfold.doctor.findings import Finding

_NEAR = 0.75  # of 1: how alike two names are that mean the same
_UNEVEN = 5.0  # from here on the small classes are learned markedly worse


def check(class_names: Sequence[str], counts: Mapping[str, Mapping[str, int]]) -> list[Finding]:
    """What is wrong with the classes.

    Args:
        class_names: all classes of all splits.
        counts: for each split, pictures by class; "train" is among the splits.
    """
    train = [name for name in class_names if counts["train"].get(name)]
    found: list[Finding] = []
    for split, by_class in counts.items():
        missing = [name for name in train if not by_class.get(name)]
        strange = [name for name in class_names if by_class.get(name) and name not in train]
        for name in strange:
            meant = nearest(name, missing) or nearest(name, train)
            if meant in missing:
                missing.remove(meant)
            found.append(_strange(split, name, meant, by_class[name]))
        found += [
            Finding(
                "missing-class", f"{split} has no picture of {name}.", details={"split": split, "class": name}
            )
            for name in missing
        ]
    found += _similar(train)
    return found + _uneven(counts["train"], train)


def nearest(name: str, others: Sequence[str]) -> str | None:
    """The name among `others` that most likely means the same as `name`, or None."""
    plain = {_plain(other): other for other in others if other != name}
    near = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=_NEAR)
    return plain[near[0]] if near else None


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum()).removesuffix("s") or name


def _strange(split: str, name: str, meant: str | None, count: int) -> Finding:
    details = {"split": split, "class": name, "meant": meant, "pictures": count}
    if meant:
        said = f"{split} calls a class {name!r}; did you mean {meant!r}? Pictures in it: {count:,}."
        return Finding("misnamed-class", said, details=details)
    return Finding(
        "strange-class", f"{split} has {count:,} pictures of {name!r}; train has none.", details=details
    )


def _similar(names: Sequence[str]) -> list[Finding]:
    """Names that differ in case, spacing or a plural s alone."""
    seen: dict[str, str] = {}
    found = []
    for name in names:
        other = seen.setdefault(_plain(name), name)
        if other != name:
            said = f"{other!r} and {name!r} are two classes; are they one?"
            found.append(Finding("similar-classes", said, details={"classes": [other, name]}))
    return found


def _uneven(counts: Mapping[str, int], names: Sequence[str]) -> list[Finding]:
    if not names:
        return []
    largest, smallest = max(names, key=lambda name: counts[name]), min(names, key=lambda name: counts[name])
    ratio = counts[largest] / counts[smallest]
    if ratio < _UNEVEN:
        return []
    said = (
        f"{largest} has {counts[largest]:,} training pictures, {smallest} has {counts[smallest]:,}: "
        f"{ratio:.0f} times as many."
    )
    return [Finding("imbalance", said, details={"ratio": ratio, "largest": largest, "smallest": smallest})]

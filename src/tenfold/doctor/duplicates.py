"""Exact and near duplicates as findings: groups of pictures, the one to keep first, with what to exclude."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from tenfold.datasets.fixes import EXCLUDE, Fix
from tenfold.doctor.findings import Finding, Picture
from tenfold.doctor.intake import Intake
from tenfold.doctor.likeness import Pairs, near_duplicates

# Of a picture in several splits, the copy that scores are told on stays: a test set that changed with every
# look at the data could not be compared with itself.
_KEPT_FIRST = ("test", "validation", "train")


def find(intake: Intake, features: np.ndarray | None = None) -> list[Finding]:
    """Exact duplicates by their decoded pixels, then near duplicates among what is left of them.

    Args:
        intake: the pictures.
        features: float32 (n, d) of a trained network, see `likeness.near_duplicates`.
    """
    by_digest: dict[bytes, list[int]] = defaultdict(list)
    for row, digest in enumerate(intake.digests):
        by_digest[digest].append(row)
    groups = [_ordered(intake.pictures, rows) for rows in by_digest.values()]
    exact = [_exact([intake.pictures[row] for row in rows]) for rows in groups if len(rows) > 1]
    kept = np.array(sorted(rows[0] for rows in groups), np.int64)
    pairs = near_duplicates(intake.images[kept], None if features is None else features[kept])
    pictures = [intake.pictures[row] for row in kept]
    return exact + [_near(pictures, pairs, own) for own in _connected(pairs, len(kept))]


def _ordered(pictures: Sequence[Picture], rows: Sequence[int]) -> list[int]:
    return sorted(rows, key=lambda row: (_KEPT_FIRST.index(pictures[row].split), row))


def _exact(group: Sequence[Picture]) -> Finding:
    labels = _labels(group)
    first, *others = group
    across = len({item.split for item in group}) > 1
    if len(labels) > 1:
        said = f"{_named(group)} are the same picture, labelled {' and '.join(labels)}."
        fixes = [_fix(item, f"the same picture has the labels {' and '.join(labels)}") for item in group]
        kind = "duplicate-across" if across else "label-conflict"
        return Finding(kind, said, tuple(group), {"labels": labels}, _training(fixes))
    kind = "duplicate-across" if across else "duplicate"
    fixes = [_fix(item, f"the same picture as {first.id} in {first.split}") for item in others]
    return Finding(kind, f"{_named(group)} are the same picture.", tuple(group), {}, _training(fixes))


def _near(pictures: Sequence[Picture], pairs: Pairs, own: np.ndarray) -> Finding:
    """The finding about one group; `own` are its pairs."""
    rows = _ordered(pictures, sorted({*pairs.first[own].tolist(), *pairs.second[own].tolist()}))
    group = [pictures[row] for row in rows]
    first, *others = group
    kind = "near-across" if len({item.split for item in group}) > 1 else "near-duplicate"
    details = {
        "likeness": float(pairs.likeness[own].max()),
        "mirrored": bool(pairs.mirrored[own].any()),
        "learned": bool(pairs.learned[own].all()),
        "labels": _labels(group),
        # Positions in `pictures` of the two, and how much their details agree.
        "pairs": [
            [rows.index(int(pairs.first[at])), rows.index(int(pairs.second[at])), float(pairs.likeness[at])]
            for at in own
        ],
    }
    how = "mirrored, " if details["mirrored"] else ""
    said = f"{_named(group)} show the same ({how}details agree to {details['likeness']:.0%})."
    fixes = [_fix(item, f"shows the same as {first.id} in {first.split}") for item in others]
    return Finding(kind, said, tuple(group), details, _training(fixes))


def _connected(pairs: Pairs, count: int) -> list[np.ndarray]:
    """For each group of pictures that pairs hang together, the positions of its pairs."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(pairs), np.int8), (pairs.first, pairs.second)), shape=(count, count))
    _, member_of = connected_components(links, directed=False)
    order = np.argsort(member_of[pairs.first], kind="stable")
    cuts = np.flatnonzero(np.diff(member_of[pairs.first][order])) + 1
    return [own for own in np.split(order, cuts) if len(own)]


def _labels(group: Sequence[Picture]) -> list[str]:
    return sorted({item.label for item in group if item.label is not None})


def _named(group: Sequence[Picture]) -> str:
    names = [f"{item.id} ({item.split})" for item in group[:3]]
    return f"{', '.join(names)} and {len(group) - 3:,} more" if len(group) > 3 else " and ".join(names)


def _fix(item: Picture, reason: str) -> Fix:
    return Fix(item.id, item.split, EXCLUDE, reason)


def _training(fixes: Sequence[Fix]) -> tuple[Fix, ...]:
    return tuple(fix for fix in fixes if fix.split != "test")

"""A fixed test set for sources that bring none: stratified, and the same pictures at every call."""

import numpy as np

from tenfold.errors import DataError

TEST_SHARE = 0.1
"""Share of the pictures that sources without a test split hold back."""


def hold_out(
    labels: np.ndarray, class_names: tuple[str, ...], where: str, share: float = TEST_SHARE
) -> tuple[np.ndarray, np.ndarray]:
    """Rows for training and rows for testing, each in ascending order.

    The choice depends on the labels and their order alone, never on a picture's content and never on
    the run's seed: a test set that moved with the seed would leak into training sooner or later.

    Args:
        labels: int64, (n,), in an order that is the same at every call.
        class_names: for messages.
        where: what messages call the source.
        share: of the pictures that go to the test set, at least one a class on average.

    Raises:
        DataError: a class has a single picture, so that it cannot be in both.
    """
    from sklearn.model_selection import train_test_split

    counts = np.bincount(labels, minlength=len(class_names))
    few = [f"{name} ({count})" for name, count in zip(class_names, counts, strict=True) if count == 1]
    if few:
        raise DataError(
            f"{where} has no test split, and one cannot be held out: every class needs at least 2 pictures. "
            f"Add pictures, or a folder `test`. Received: {', '.join(few[:5])}"
        )
    size = max(round(share * len(labels)), np.count_nonzero(counts))
    train, test = train_test_split(np.arange(len(labels)), test_size=size, stratify=labels, random_state=0)
    return np.sort(train), np.sort(test)


def note(test: np.ndarray, total: int) -> str:
    """What the user is told about it."""
    return f"No test split: {len(test):,} of {total:,} pictures are held out as one, the same at every call."

"""Label suspects: the hand calculation of confident learning, and flipped labels of real digits."""

import numpy as np

from tenfold.doctor.findings import Picture
from tenfold.doctor.suspects import findings, suspects

# Mean probability of a's own label: 0.55; of b's: 0.7. The fourth picture reaches b's mean and not a's.
SHARES = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.1, 0.9], [0.2, 0.8], [0.4, 0.6]])
LABELS = np.array([0, 0, 0, 0, 1, 1])


def test_it_agrees_with_a_calculation_by_hand():
    found = suspects(SHARES, LABELS)
    assert found.rows.tolist() == [3]
    assert found.meant.tolist() == [1]
    np.testing.assert_allclose(found.trust, [0.1], rtol=1e-6)


def test_a_class_without_pictures_is_no_ones_true_class():
    wider = np.concatenate([SHARES * 0.9, np.full((6, 1), 0.1)], axis=1)
    assert suspects(wider, LABELS).rows.tolist() == [3]


def test_findings_are_for_people_to_review():
    pictures = [Picture("train", f"{row}.png", "ab"[label]) for row, label in enumerate(LABELS)]
    (found,) = findings(SHARES, LABELS, pictures, ("a", "b"))
    assert found.message == "3.png: labelled a, looks like b (90% sure)."
    assert found.fixes[0].action == "review"
    assert findings(SHARES, LABELS, pictures, ("a", "b"), most=0) == []


def test_flipped_labels_of_real_digits_are_found():
    from sklearn.datasets import load_digits
    from sklearn.neighbors import KNeighborsClassifier

    data = load_digits()
    random = np.random.default_rng(0)
    flipped = random.permutation(len(data.target))[:90]
    given = data.target.copy()
    given[flipped] = (given[flipped] + random.integers(1, 10, 90)) % 10
    half = np.arange(len(given)) % 2 == 0
    shares = np.zeros((len(given), 10))
    for part in (half, ~half):
        shares[part] = (
            KNeighborsClassifier(15).fit(data.data[~part], given[~part]).predict_proba(data.data[part])
        )
    found = suspects(shares, given).rows
    hits = np.isin(found, flipped).sum()
    assert hits / len(found) > 0.7
    assert hits / 90 > 0.7

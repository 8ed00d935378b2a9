"""Evaluation: closed-form numbers, scikit-learn as oracle, and clear words for a bad predict_fn."""

import json

import numpy as np
import pytest
from sklearn import metrics

from tenfold import answers as asking
from tenfold.datasets.dataset import Dataset
from tenfold.errors import DataError, UsageError
from tenfold.evaluation import evaluate, sentence, wilson
from tenfold.views import averaged


def pictures(labels, names=("cat", "dog", "frog")):
    """Pictures whose first pixel is their number, so that a fake predict_fn can look its answer up."""
    labels = np.asarray(labels)
    images = np.zeros((len(labels), 2, 2, 3), np.uint8)
    images[:, 0, 0, 0] = np.arange(len(labels))
    return Dataset(images, labels, names, tuple(f"{i}.png" for i in range(len(labels))))


def answers(probabilities):
    table = np.asarray(probabilities, np.float32)
    return lambda images: table[images[:, 0, 0, 0]]


HALF_RIGHT = [[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.2, 0.7], [0.25, 0.5, 0.25]]
LABELS = [0, 1, 2, 2]  # right, second, right, second (a tie, but class 0 comes first: third)


def test_numbers_are_those_worked_out_by_hand():
    result = evaluate(answers(HALF_RIGHT), pictures(LABELS), top_k=(1, 2, 3, 5))
    assert result.accuracy == 0.5
    assert result.predicted.tolist() == [0, 0, 2, 1]
    assert result.loss == pytest.approx(-np.mean(np.log([0.7, 0.3, 0.7, 0.25])), rel=1e-6)
    assert result.losses[1] == pytest.approx(-np.log(0.3), rel=1e-6)
    assert result.top_k == {1: 0.5, 2: 0.75, 3: 1.0}  # five classes do not exist
    assert result.confusion.tolist() == [[1, 0, 0], [1, 0, 0], [0, 1, 1]]
    assert result.accuracy_interval == wilson(2, 4)
    assert result.split == "validation"


def test_a_tie_goes_to_the_class_that_comes_first():
    result = evaluate(lambda images: np.full((len(images), 3), 1 / 3), pictures([0, 1, 2]), top_k=(1, 2, 3))
    assert result.accuracy == result.top_k[1] == pytest.approx(1 / 3)
    assert result.top_k[2] == pytest.approx(2 / 3)


def test_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, 200)
    probabilities = rng.dirichlet(np.ones(5), 200).astype(np.float32)
    result = evaluate(answers(probabilities), pictures(labels, tuple("abcde")), top_k=(2, 3))
    assert result.loss == pytest.approx(metrics.log_loss(labels, probabilities, labels=range(5)), rel=1e-5)
    for k, share in result.top_k.items():
        assert share == metrics.top_k_accuracy_score(labels, probabilities, k=k)
    predicted = probabilities.argmax(axis=1)
    assert (result.confusion == metrics.confusion_matrix(labels, predicted)).all()
    for i, name in enumerate("abcde"):
        assert result.report[name]["f1-score"] == metrics.f1_score(labels == i, predicted == i)
    assert result.report["macro avg"]["recall"] == pytest.approx(
        metrics.balanced_accuracy_score(labels, predicted)
    )
    assert "macro avg" in result.text


def test_a_class_without_pictures_is_kept_in_every_table():
    result = evaluate(answers(HALF_RIGHT), pictures([0, 0, 0, 0]))
    assert result.confusion.shape == (3, 3)
    assert result.report["frog"] == {"precision": 0.0, "recall": 0.0, "f1-score": 0.0, "support": 0.0}
    assert result.accuracy == result.report["accuracy"]


def test_certainty_in_a_wrong_class_costs_a_finite_loss():
    result = evaluate(lambda images: np.tile([1.0, 0.0, 0.0], (len(images), 1)), pictures([1, 2]))
    assert result.loss == pytest.approx(-np.log(1e-7))
    assert result.accuracy_interval[0] == 0.0


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_intervals(successes, n, low, high):
    """The four examples of R. G. Newcombe, Statistics in Medicine 17 (1998), 857-872, table I, method 3."""
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


def test_wilson_stays_within_0_and_1_and_covers_the_share():
    assert wilson(7, 7)[1] == 1.0
    assert wilson(0, 7)[0] == 0.0
    assert wilson(924, 1000, 0.99)[0] < wilson(924, 1000, 0.95)[0] < 0.924 < wilson(924, 1000)[1]


@pytest.mark.parametrize("arguments", [(1, 0), (5, 4), (-1, 4), (1, 2, 1.0), (1, 2, 0.0)])
def test_wilson_refuses_what_is_no_proportion(arguments):
    with pytest.raises(UsageError, match="Received"):
        wilson(*arguments)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (lambda images: np.ones((len(images), 2)) / 2, r"shape=\(4, 3\). Received: shape=\(4, 2\)"),
        (lambda images: np.ones((1, 3)) / 3, r"shape=\(1, 3\)"),
        (lambda images: np.full((len(images), 3), np.nan), "nan or inf for 4 of 4"),
        (lambda images: np.tile([2.0, -1.0, 0.0], (len(images), 1)), "lowest=-1"),
        (lambda images: np.tile([5.0, 1.0, 0.0], (len(images), 1)), "summing to 6. Logits need a softmax"),
        (lambda images: ["cat"] * len(images), "Received: list"),
        (lambda images: None, "shape"),
    ],
)
def test_a_predict_fn_that_breaks_its_contract_is_told_so(bad, words):
    with pytest.raises(UsageError, match=words):
        evaluate(bad, pictures(LABELS))


def test_rows_that_miss_one_by_rounding_are_accepted():
    assert evaluate(answers(np.asarray(HALF_RIGHT) * 1.008), pictures(LABELS)).accuracy == 0.5


def test_no_pictures_and_labels_outside_the_classes_are_refused():
    with pytest.raises(DataError, match="no pictures"):
        evaluate(answers(HALF_RIGHT), pictures([]))
    with pytest.raises(DataError, match="Received: 0 to 3"):
        evaluate(answers(HALF_RIGHT), pictures([0, 1, 2, 3]))
    with pytest.raises(UsageError, match="top_k=0"):
        evaluate(answers(HALF_RIGHT), pictures(LABELS), top_k=(0,))


def test_pictures_come_in_chunks_of_bounded_size(monkeypatch):
    monkeypatch.setattr(asking, "_CHUNK_BYTES", 36)  # three pictures of 2 x 2 x 3
    seen = []

    def predict(images):
        seen.append(len(images))
        return answers(HALF_RIGHT)(images)

    assert evaluate(predict, pictures(LABELS)).accuracy == 0.5
    assert seen == [3, 1]


class TestViews:
    """Scores of the mean over views, beside the plain ones."""

    def mirrored(self, images):
        """Sure of the true class of plain pictures, surer of the next class for mirrored ones."""
        number = images[:, 0, 0, 0] + images[:, 0, -1, 0]  # one of the two is 0
        plain = images[:, 0, -1, 0] == 0
        table = np.full((len(images), 3), 0.1, np.float32)
        rows = np.arange(len(images))
        table[rows, number % 3] = 0.8
        table[rows[~plain]] = np.roll([[0.9, 0.05, 0.05]], 1, axis=1)
        return table

    @pytest.fixture
    def result(self):
        return evaluate(self.mirrored, pictures([0, 1, 2, 0]), split="test", views="flip")

    def test_one_pass_gives_both_results(self, result):
        plain = evaluate(self.mirrored, pictures([0, 1, 2, 0]), split="test")
        both, only = result.to_dict(), plain.to_dict()
        averaged = both.pop("views")
        assert both == only
        assert (result.probabilities == plain.probabilities).all()
        assert averaged["name"] == "flip"
        assert averaged["count"] == 2

    def test_the_mean_is_scored_as_any_predict_fn_would_be(self, result):
        mean = evaluate(averaged(self.mirrored, "flip"), pictures([0, 1, 2, 0]))
        assert mean.accuracy != result.accuracy
        for name in ("loss", "accuracy"):
            assert result.views[name] == getattr(mean, name)
        assert tuple(result.views["accuracy_interval"]) == mean.accuracy_interval

    def test_the_headline_says_both(self, result):
        low, high = wilson(int(4 * result.views["accuracy"]), 4)
        assert str(result).endswith(
            f"; by the mean of 2 views of each, {100 * result.views['accuracy']:.1f} % "
            f"({100 * low:.1f} to {100 * high:.1f} %)"
        )
        assert str(result).startswith("100.0 % of 4 test pictures right (95 % interval 51.0 to 100.0 %);")

    def test_answers_to_every_view_are_checked(self):
        def bad(images):
            return np.full((len(images), 3), np.nan if images[0, 0, -1, 0] else 1 / 3)

        with pytest.raises(UsageError, match="nan or inf"):
            evaluate(bad, pictures([0, 1], ("a", "b", "c")).subset(np.array([1])), views="flip")

    def test_an_unknown_set_is_named(self):
        with pytest.raises(UsageError, match="Did you mean 'shift'"):
            evaluate(self.mirrored, pictures(LABELS), views="shft")


def test_to_dict_is_json_with_the_fields_of_a_score_file():
    result = evaluate(answers(HALF_RIGHT), pictures(LABELS), split="test")
    scores = json.loads(json.dumps(result.to_dict()))
    assert set(scores) == {
        "split", "pictures", "loss", "accuracy", "accuracy_interval", "interval_level", "top_k", "report",
        "confusion", "class_names", "calibration", "coverage",
    }  # fmt: skip
    assert scores["top_k"] == {"1": 0.5, "3": 1.0}
    assert scores["pictures"] == 4
    assert scores["class_names"] == ["cat", "dog", "frog"]
    assert set(result.predictions()) == {"ids", "labels", "predicted", "probabilities"}


def test_the_headline_says_share_count_split_and_interval():
    assert str(evaluate(answers(HALF_RIGHT), pictures(LABELS), split="test")) == (
        "50.0 % of 4 test pictures right (95 % interval 15.0 to 85.0 %)"
    )
    assert sentence(
        {"split": "test", "pictures": 10000, "accuracy": 0.924, "accuracy_interval": [0.919, 0.929],
         "interval_level": 0.95}
    ) == "92.4 % of 10,000 test pictures right (95 % interval 91.9 to 92.9 %)"  # fmt: skip

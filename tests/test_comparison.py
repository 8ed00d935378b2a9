"""Runs compared picture by picture, from their folders; held to scikit-learn and to hand counts."""

import json
import shutil

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss

from tenfold import runs
from tenfold.cli import main
from tenfold.comparison import compare
from tenfold.config import Config, to_yaml
from tenfold.errors import DataError, UsageError
from tenfold.significance import bootstrap, holm, mcnemar

CLASSES = ("cat", "dog", "ship")


def answers(labels, right, confidence=0.8):
    """Probabilities that name the true class where `right`, and the next one elsewhere."""
    named = np.where(right, labels, (labels + 1) % 3)
    rest = (1 - confidence) / 2
    return np.full((len(labels), 3), rest, np.float32) + np.eye(3, dtype=np.float32)[named] * (
        confidence - rest
    )


@pytest.fixture
def labels():
    return np.arange(300) % 3


@pytest.fixture
def save(tmp_path):
    """A function that leaves a run folder with the given answers in it."""

    def make(name, labels, probabilities, ids=None, classes=CLASSES, split="validation", folder=None):
        run = runs.create(folder or tmp_path / "runs", name)
        run.write("config.yaml", to_yaml(Config()))
        run.write("data.json", {"class_names": list(classes)})
        costs = {"parameters": 1000, "flops": 2_000_000, "seconds": 61.0, "images_per_second": 900.0}
        run.write("summary.json", costs)
        run.write("model.keras", b"weights")
        ids = [f"{row}.png" for row in range(len(labels))] if ids is None else ids
        found = {
            "ids": ids,
            "labels": labels,
            "predicted": probabilities.argmax(1),
            "probabilities": probabilities,
        }
        run.save_evaluation(
            split, {"pictures": len(labels)}, found, np.zeros((len(labels), 2, 2, 3), np.uint8)
        )
        return run

    return make


def right_from(*numbers):
    """bool (300,): which of 300 pictures are answered right."""
    out = np.zeros(300, bool)
    out[np.concatenate(numbers)] = True
    return out


def test_the_numbers_are_those_of_the_four_cells(save, labels):
    first = answers(labels, right_from(range(0, 200)))
    second = answers(labels, right_from(range(30, 290)), 0.9)
    found = compare([save("a", labels, first), save("b", labels, second)])
    assert (found.split, found.pictures, found.left_out) == ("validation", 300, 0)
    (one,) = found.differences
    assert (one.both_right, one.only_first, one.only_second, one.both_wrong) == (170, 30, 90, 10)
    assert one.accuracy == pytest.approx(60 / 300)
    assert one.p_value == one.p_adjusted == mcnemar(30, 90)
    assert one.interval == bootstrap(30, 90, 300)
    assert one.winner == "b"
    for side, probabilities in zip(found.sides, (first, second), strict=True):
        assert side.accuracy == pytest.approx(accuracy_score(labels, probabilities.argmax(1)))
        assert side.loss == pytest.approx(log_loss(labels, probabilities), abs=1e-5)
        assert side.interval[0] < side.accuracy < side.interval[1]
        assert (side.parameters, side.seconds, side.file_bytes) == (1000, 61.0, 7)
    assert one.loss == pytest.approx(found.sides[1].loss - found.sides[0].loss)
    assert one.loss_interval[0] < one.loss < one.loss_interval[1]
    assert "b is more often right than a, by more than chance: +20.0 points" in str(one)


def test_a_small_lead_is_chance_and_the_other_way_round_is_the_mirror(save, labels):
    a = save("a", labels, answers(labels, right_from(range(0, 200))))
    b = save("b", labels, answers(labels, right_from(range(3, 208))))
    one = compare([a, b]).differences[0]
    back = compare([b, a]).differences[0]
    assert one.winner is None
    assert "b and a cannot be told apart: +1.7 points" in str(one)
    assert one.interval[0] < 0 < one.interval[1]
    assert back.accuracy == -one.accuracy
    assert back.p_value == one.p_value


def test_a_paired_test_sees_what_the_intervals_hide(save, labels):
    a = save("a", labels, answers(labels, right_from(range(0, 200))))
    b = save("b", labels, answers(labels, right_from(range(0, 208))))
    found = compare([a, b])
    assert found.sides[1].interval[0] < found.sides[0].accuracy  # the intervals overlap widely
    assert found.differences[0].winner == "b"


def test_classes_are_compared_each(save, labels):
    cats = labels == 0
    a = save("a", labels, answers(labels, ~cats))
    b = save("b", labels, answers(labels, cats | (labels == 1)))
    by_class = {one.name: one for one in compare([a, b]).differences[0].classes}
    assert (by_class["cat"].first, by_class["cat"].second, by_class["cat"].winner) == (0.0, 1.0, "b")
    assert (by_class["ship"].only_first, by_class["ship"].only_second, by_class["ship"].winner) == (
        100,
        0,
        "a",
    )
    assert (by_class["dog"].p_value, by_class["dog"].winner) == (1.0, None)
    assert by_class["cat"].p_value == pytest.approx(3 * mcnemar(0, 100))


def test_order_of_pictures_and_of_classes_does_not_matter(save, labels):
    right = right_from(range(40, 280))
    probabilities = answers(labels, right)
    a = save("a", labels, answers(labels, right_from(range(0, 250))))
    b = save("b", labels, probabilities)
    order = np.random.default_rng(0).permutation(300)
    place = np.array([2, 0, 1])  # of cat, dog, ship among these names
    shuffled = save(
        "c",
        place[labels[order]],
        probabilities[order][:, np.argsort(place)],
        [f"{row}.png" for row in order],
        ("dog", "ship", "cat"),
    )
    plain, mixed = compare([a, b]).to_dict(), compare([a, shuffled]).to_dict()
    for name in ("accuracy", "interval", "p_value", "both_right", "only_second"):
        assert plain["differences"][0][name] == mixed["differences"][0][name]
    for one, other in zip(
        plain["differences"][0]["classes"], mixed["differences"][0]["classes"], strict=True
    ):
        assert (one["name"], one["first"], one["second"]) == (other["name"], other["first"], other["second"])


def test_more_runs_are_corrected_for(save, labels):
    made = [save("a", labels, answers(labels, right_from(range(0, 200))))]
    made += [save(name, labels, answers(labels, right_from(range(0, end)))) for name, end in
             (("b", 205), ("c", 206), ("d", 200))]  # fmt: skip
    found = compare(made).differences
    assert [one.p_adjusted for one in found] == list(holm([one.p_value for one in found]))
    assert found[0].p_value < 0.05 < found[0].p_adjusted + 0.02
    assert [one.second for one in found] == ["b", "c", "d"]


def test_pictures_in_common_are_compared_if_they_are_most(save, labels):
    a = save("a", labels, answers(labels, right_from(range(0, 200))))
    most = save("b", labels[:200], answers(labels[:200], np.arange(200) % 2 == 0))
    found = compare([a, most])
    assert (found.pictures, found.left_out) == (200, 100)
    assert found.sides[0].accuracy == 1.0
    few = save("c", labels[:150], answers(labels[:150], np.arange(150) % 2 == 0))
    with pytest.raises(
        UsageError, match=r"150 in common of 300 of a\. Train both with the same data, --seed"
    ):
        compare([a, few])


def test_other_data_under_the_same_names_are_noticed(save, labels):
    a = save("a", labels, answers(labels, right_from(range(0, 200))))
    b = save("b", np.roll(labels, 1), answers(np.roll(labels, 1), right_from(range(0, 200))))
    with pytest.raises(DataError, match=r"disagree about what 300 of 300 .* 0\.png=cat and ship"):
        compare([a, b])
    c = save("c", labels, answers(labels, right_from(range(0, 200))), classes=("cat", "dog", "truck"))
    with pytest.raises(DataError, match="not in both=ship, truck"):
        compare([a, c])


def test_shared_ids_cannot_be_matched(save, labels):
    a = save("a", labels, answers(labels, right_from(range(0, 200))))
    b = save("b", labels, answers(labels, right_from(range(0, 200))), ids=["same"] * 300)
    with pytest.raises(DataError, match="300 pictures, 1 ids"):
        compare([a, b])


def test_wrong_calls_are_named(save, labels):
    a = save("a", labels, answers(labels, right_from(range(0, 200))))
    with pytest.raises(UsageError, match="two or more different runs"):
        compare([a])
    with pytest.raises(UsageError, match="two or more different runs"):
        compare([a, str(a.path)])
    with pytest.raises(UsageError, match="Did you mean 'test'"):
        compare([a, a], split="tests")


def test_what_was_never_scored_is_not_looked_at(save, labels):
    a = save("a", labels, answers(labels, right_from(range(0, 200))))
    b = save("b", labels, answers(labels, right_from(range(0, 210))))
    with pytest.raises(DataError, match=r"tenfold evaluate .*a --split test"):
        compare([a, b], split="test")
    assert not (a.path / "ledger.jsonl").exists()


def test_runs_of_one_name_are_told_apart_by_their_paths(save, labels, tmp_path):
    a = save("a", labels, answers(labels, right_from(range(0, 200))))
    twin = runs.open_run(shutil.copytree(a.path, tmp_path / "elsewhere" / "a"))
    (twin.path / "summary.json").unlink()
    found = compare([a, twin])
    assert [side.name for side in found.sides] == [str(a.path), str(twin.path)]
    assert found.sides[1].parameters is None
    assert found.differences[0].p_value == 1.0


class TestCommand:
    """`tenfold compare`."""

    def test_the_answer_is_in_plain_words(self, save, labels, capsys):
        a = save("a", labels, answers(labels, labels != 0))
        b = save("b", labels, answers(labels, right_from(range(0, 290))))
        assert main(["compare", str(a.path), str(b.path)]) == 0
        shown = capsys.readouterr().out
        for words in (
            "On the same 300 validation pictures:",
            "1,000",
            "2.0 M",
            "1:01",
            "b is more often right than a, by more than chance: +30.0 points",
            "b is better than a on: cat. Worse on: none.",
        ):
            assert words in shown
        assert [line for line in shown.splitlines() if line.startswith("cat") and line.rstrip().endswith("*")]

    def test_json(self, save, labels, capsys):
        made = [save(name, labels, answers(labels, right_from(range(0, end)))) for name, end in
                (("a", 200), ("b", 260), ("c", 201))]  # fmt: skip
        assert main(["compare", *(str(run.path) for run in made), "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert [one["winner"] for one in found["differences"]] == ["b", None]
        assert [side["name"] for side in found["sides"]] == ["a", "b", "c"]

    def test_a_missing_score_is_one_line_and_a_code(self, save, labels, capsys):
        a = save("a", labels, answers(labels, right_from(range(0, 200))))
        b = save("b", labels, answers(labels, right_from(range(0, 200))), split="test")
        assert main(["compare", str(a.path), str(b.path), "--split", "test"]) == 3
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert f"tenfold evaluate {a.path} --split test" in said
        assert main(["compare", str(a.path)]) == 2

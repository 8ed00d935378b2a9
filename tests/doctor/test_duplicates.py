"""Duplicates as findings: which copy stays, what the fix list says, what labels say of each other."""

from tenfold.doctor.duplicates import find
from tenfold.doctor.intake import take


def found_in(save, pictures):
    return find(take(save(pictures)))


def test_of_a_picture_in_two_splits_the_test_copy_stays(save, two_classes):
    (found,) = found_in(save, {**two_classes, "test/cat/9.png": two_classes["train/cat/0.png"]})
    assert found.kind == "duplicate-across"
    assert found.level == "blocker"
    assert [item.id for item in found.pictures] == ["test/cat/9.png", "train/cat/0.png"]
    assert [(fix.id, fix.action) for fix in found.fixes] == [("train/cat/0.png", "exclude")]


def test_of_copies_in_training_one_stays(save, two_classes):
    copy = two_classes["train/cat/0.png"]
    (found,) = found_in(save, {**two_classes, "train/cat/8.png": copy, "train/cat/9.png": copy})
    assert found.kind == "duplicate"
    assert [fix.id for fix in found.fixes] == ["train/cat/8.png", "train/cat/9.png"]


def test_copies_under_two_labels_all_go(save, two_classes):
    (found,) = found_in(save, {**two_classes, "train/dog/9.png": two_classes["train/cat/0.png"]})
    assert found.kind == "label-conflict"
    assert found.details == {"labels": ["cat", "dog"]}
    assert {fix.id for fix in found.fixes} == {"train/cat/0.png", "train/dog/9.png"}


def test_copies_under_two_labels_and_in_two_splits_stay_a_blocker(save, two_classes):
    copy = two_classes["train/cat/0.png"]
    (found,) = found_in(save, {**two_classes, "train/dog/9.png": copy, "test/dog/9.png": copy})
    assert found.kind == "duplicate-across"
    assert {fix.id for fix in found.fixes} == {"train/cat/0.png", "train/dog/9.png"}


def test_the_label_of_a_test_picture_plays_no_part(save, two_classes):
    (found,) = found_in(save, {**two_classes, "test/dog/9.png": two_classes["train/cat/0.png"]})
    assert found.kind == "duplicate-across"


def test_near_duplicates_hang_together_in_one_group(save, two_classes):
    original = two_classes["train/cat/0.png"]
    lighter, mirrored = original // 2 + 60, original[:, ::-1]
    (found,) = found_in(save, {**two_classes, "train/cat/8.png": lighter, "test/cat/9.png": mirrored})
    assert found.kind == "near-across"
    assert [item.id for item in found.pictures] == ["test/cat/9.png", "train/cat/0.png", "train/cat/8.png"]
    assert [fix.id for fix in found.fixes] == ["train/cat/0.png", "train/cat/8.png"]
    assert found.details["mirrored"]
    assert 0.7 <= found.details["likeness"] <= 1
    assert [first < second for first, second, _ in found.details["pairs"]]


def test_an_exact_copy_is_no_near_duplicate_too(save, two_classes):
    original = two_classes["train/cat/0.png"]
    extra = {"train/cat/8.png": original, "train/cat/9.png": original // 2 + 60}
    found = found_in(save, {**two_classes, **extra})
    assert [finding.kind for finding in found] == ["duplicate", "near-duplicate"]
    assert [item.id for item in found[1].pictures] == ["train/cat/0.png", "train/cat/9.png"]


def test_different_pictures_give_no_finding(save, two_classes):
    assert found_in(save, two_classes) == []

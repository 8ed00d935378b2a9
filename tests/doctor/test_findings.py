"""Findings: their kinds are complete, and a diagnosis counts and serialises them."""

import json

from tenfold.doctor.findings import KINDS, Diagnosis, Finding, Picture

TWICE = Finding(
    "duplicate-across", "a and b.", (Picture("test", "b"), Picture("train", "a", "cat")), {"n": 2}
)


def diagnosis(*findings):
    return Diagnosis("here", "folder", ("cat", "dog"), {"train": 5, "test": 2}, findings)


def test_every_kind_says_what_to_do():
    for kind in KINDS.values():
        assert kind.level in ("blocker", "warning", "note")
        assert kind.advice.endswith(".")
    levels = [kind.level for kind in KINDS.values()]
    assert levels == sorted(levels, key=["blocker", "warning", "note"].index)


def test_blockers_are_told_apart_and_pictures_counted_once():
    found = diagnosis(TWICE, TWICE, Finding("reader", "All well."))
    assert found.blockers == (TWICE, TWICE)
    assert found.touched(["duplicate-across"], "test") == 1
    assert found.touched(["near-across"], "test") == 0


def test_it_goes_to_json_whole():
    told = json.loads(json.dumps(diagnosis(TWICE).to_dict()))
    assert told["found"] == {"duplicate-across": 1}
    assert told["findings"][0]["pictures"][1] == {"split": "train", "id": "a", "label": "cat"}
    assert told["findings"][0]["level"] == "blocker"

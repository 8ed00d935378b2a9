"""What trackers are told: plain values by name."""

from tenfold.config import Augmentation, Config
from tenfold.tracking.facts import reason, settings_of


def test_nested_settings_have_dotted_names_and_plain_values():
    found = settings_of(Config(augmentation=Augmentation(crop=2), model_options={"width": 0.5}, time=None))
    assert found["augmentation.crop"] == 2
    assert found["model_options.width"] == 0.5
    assert found["time"] == "none"
    assert found["optimizer"] == "sgd"
    assert "augmentation" not in found
    assert all(isinstance(value, bool | int | float | str) for value in found.values())


def test_an_error_is_told_in_a_line():
    assert reason(ValueError("one\ntwo")) == "one"
    assert reason(KeyError()) == "KeyError"

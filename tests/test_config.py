"""Settings: single fields replaced from text, files read back, nonsense refused with advice."""

import dataclasses
import typing

import pytest

from tenfold import config
from tenfold.config import Augmentation, Config
from tenfold.errors import UsageError


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("epochs", "3", 3),
        ("learning-rate", "1e-2", 0.01),
        ("weight_decay", ".2", 0.2),
        ("weight_decay", "+.5e-3", 0.0005),
        ("image_size", "48", 48),
        ("image_size", "none", None),
        ("optimizer", "adam", "adam"),
    ],
)
def test_override_reads_a_field_from_text(key, text, value):
    changed = config.override(Config(image_size=32), key, text)
    assert getattr(changed, key.replace("-", "_")) == value


def test_override_reaches_into_groups_and_options():
    assert config.override(Config(), "augmentation.crop", "4").augmentation == Augmentation(crop=4)
    changed = config.override(Config(model_options={"width": 1}), "model_options.depth", "2")
    assert changed.model_options == {"width": 1, "depth": 2}
    assert config.override(Config(), "model_options.act", "relu").model_options == {"act": "relu"}
    assert config.override(Config(), "model_options.dropout", ".5").model_options == {"dropout": 0.5}


@pytest.mark.parametrize(
    ("key", "text", "words"),
    [
        ("epocs", "3", "Did you mean 'epochs'?"),
        ("augmentation.corp", "3", "augmentation.crop"),
        ("augmentation", "3", "augmentation.crop"),
        ("epochs.x", "3", "Unknown setting"),
        ("model_options", "3", "model_options.NAME=VALUE"),
        ("epochs", "many", "epochs=many"),
        ("optimizer", "adm", "Did you mean 'adam'?"),
        ("epochs", "0", "1 or more. Received: epochs=0"),
        ("val_split", "1", "below 1"),
        ("image_size", "4", "8 to 256"),
        ("augmentation.crop", "-1", "0 or more"),
    ],
)
def test_override_refuses_with_one_line_of_advice(key, text, words):
    with pytest.raises(UsageError) as caught:
        config.override(Config(), key, text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90", 90),
        ("90s", 90),
        ("5m", 300),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("1H 30M".replace(" ", ""), 5400),
        (".5m", 30),
        ("none", None),
    ],
)
def test_a_time_is_written_as_people_write_it(text, expected):
    assert config.override(Config(), "time", text).time == expected
    assert config.from_yaml(f"time: {text}").time == expected
    assert Config(time=text).time == expected


@pytest.mark.parametrize("text", ["soon", "5 min", "m", "", "30m1h", "0", "-5", "0s", "inf", "nan", "1e99h"])
def test_what_is_no_time_is_refused_with_examples(text):
    with pytest.raises(UsageError, match=r"time must be .*5m or 1h30m\. Received: time="):
        config.override(Config(), "time", text)


def test_a_file_gives_back_the_same_settings():
    settings = Config(epochs=3, model_options={"width": 0.5}, augmentation=Augmentation(flip="alternate"))
    assert config.from_yaml(config.to_yaml(settings)) == settings


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epocs: 3", "Did you mean 'epochs'?"),
        ("augmentation: {corp: 3}", "Did you mean 'crop'?"),
        ("epochs: many", "epochs"),
        ("- 3", "no settings"),
        ("a: [", "not YAML"),
    ],
)
def test_a_file_with_a_mistake_is_refused(text, words):
    with pytest.raises(UsageError, match=r"settings\.yaml") as caught:
        config.from_yaml(text, "settings.yaml")
    assert words in str(caught.value)


@pytest.mark.parametrize("kind", [Config, Augmentation])
def test_every_setting_has_a_default(kind):
    assert set(typing.get_type_hints(kind)) == {field.name for field in dataclasses.fields(kind)}
    assert kind() == kind()

"""The error tree: exit codes, and the message for a name that does not exist."""

import pytest

from tenfold import errors


def test_exit_codes_are_those_of_the_command_line():
    codes = {kind.__name__: kind.exit_code for kind in errors.TenfoldError.__subclasses__()}
    assert codes.pop("Stopped") == 1  # each stop carries its own
    assert codes == {
        "UsageError": 2,
        "DataError": 3,
        "MissingExtraError": 4,
        "GateError": 5,
        "ResourceError": 6,
    }
    assert errors.Stopped("by SIGTERM", 143).exit_code == 143


@pytest.mark.parametrize(
    ("received", "hint"), [("fats", "Did you mean 'fast'?"), ("zebra", "Choices: fast, tiny.")]
)
def test_an_unknown_name_is_answered_with_the_choices(received, hint):
    message = errors.unknown("recipe", received, ["tiny", "fast"])
    assert hint in message
    assert repr(received) in message
    assert "\n" not in message

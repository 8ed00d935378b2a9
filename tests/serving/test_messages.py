"""Messages: the same words wherever something is refused, and schemas for what is answered."""

import json

import pytest

pytest.importorskip("starlette", reason="needs the extra `serve`")

from tenfold.serving import messages


def test_refusals_for_now_say_when_to_come_back():
    refusal = messages.later("busy", "Too much to do.", 3)
    assert refusal.status_code == 503
    assert refusal.headers == {"retry-after": "3"}
    assert refusal.detail == "Too much to do. Try again in 3 s."


def test_an_error_is_json_with_a_word_and_a_sentence():
    response = messages.error(404, "not_found", "There is none.", {"x-more": "1"})
    assert json.loads(response.body) == {"error": {"code": "not_found", "message": "There is none."}}
    assert (response.status_code, response.headers["x-more"]) == (404, "1")


def test_schemas_name_every_field_of_an_answer():
    schemas = messages.known([messages.Answers])
    assert set(schemas) == {"Answers", "Answer", "Ranked"}
    fields = {"label", "probability", "sure", "familiarity", "doubt", "top"}
    assert set(schemas["Answer"]["properties"]) == fields

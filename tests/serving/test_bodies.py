"""Bodies: from what clients send to picture files."""

import base64

import pytest

pytest.importorskip("starlette", reason="needs the extra `serve`")
pytest.importorskip("python_multipart", reason="needs the extra `serve`")

from tenfold.serving.bodies import files, from_base64
from tenfold.serving.limits import Limits
from tenfold.serving.messages import Refusal

LIMITS = Limits(max_pictures=3)


def form(*parts):
    body = b"".join(b"--b\r\n" + head + b"\r\n\r\n" + data + b"\r\n" for head, data in parts) + b"--b--\r\n"
    return body, 'multipart/form-data; boundary="b"'


def test_the_bytes_of_a_form_arrive_as_they_were_sent():
    hostile = bytes(range(256)) * 3 + b"\r\n--c\r\n\r\n--b" + b"\r" * 9 + b"\n"
    head = b'Content-Disposition: form-data; name="a"; filename="../../x.png"'
    assert files(*form((head, hostile), (head, b"x")), LIMITS) == [hostile, b"x"]


def test_empty_fields_of_a_form_are_no_pictures():
    head = b'Content-Disposition: form-data; name="a"'
    assert files(*form((head, b""), (head, b"x")), LIMITS) == [b"x"]
    with pytest.raises(Refusal, match="holds no picture"):
        files(*form((head, b"")), LIMITS)


def test_more_pictures_than_allowed_are_counted():
    head = b'Content-Disposition: form-data; name="a"'
    with pytest.raises(Refusal, match=r"Expected at most 3\. Received: 4"):
        files(*form(*[(head, b"x")] * 4), LIMITS)


@pytest.mark.parametrize(
    "body", [b"", b"--b", b"--b\r\n", b"--b\r\nno colon\r\n\r\nx\r\n--b--\r\n", b"\x00" * 50]
)
def test_damaged_forms_are_refused_and_nothing_else_happens(body):
    with pytest.raises(Refusal) as refused:
        files(body, "multipart/form-data; boundary=b", LIMITS)
    assert refused.value.status_code == 400


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b'{"image": 5}', b'{"images": "x"}', b'{"image": "eA==", "x": 1}', b"\xff\xfe",
     b"[" * 100_000],
)  # fmt: skip
def test_json_of_another_form_is_refused(body):
    with pytest.raises(Refusal) as refused:
        files(body, "application/json; charset=utf-8", LIMITS)
    assert refused.value.status_code == 400


def test_base64_comes_bare_or_in_a_data_url():
    text = base64.b64encode(b"picture").decode()
    assert from_base64(text) == from_base64(f"data:image/png;base64,{text}") == b"picture"
    for wrong in ("pictu", "é", None, 5, text + "\n!"):
        with pytest.raises(Refusal, match="is no base64"):
            from_base64(wrong)

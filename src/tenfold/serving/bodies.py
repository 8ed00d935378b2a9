"""From the body of a request to picture files: raw bytes, multipart/form-data, or JSON with base64."""

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from tenfold.serving.limits import Limits
from tenfold.serving.messages import Refusal, later

CLOSE = {"connection": "close"}  # what is left of the body will not be read

_DRAIN_SECONDS = 2.0
_JSON, _FORM = "application/json", "multipart/form-data"
# curl's --data-binary says that its bytes are a form; the decoder knows better.
_RAW = ("", "application/octet-stream", "application/x-www-form-urlencoded")
_ACCEPTED = "image/*, application/octet-stream, multipart/form-data or application/json"


class _One(msgspec.Struct, forbid_unknown_fields=True):
    image: str


class _Many(msgspec.Struct, forbid_unknown_fields=True):
    images: list[str]


class Intake:
    """Reads bodies, of all requests together no more than `Limits.held_bytes` at a time."""

    def __init__(self, limits: Limits):
        self._limits, self._held = limits, 0

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """The body of a request, held for as long as the block lasts.

        Raises:
            Refusal: 413 where it is too large, 503 where too much is held already.
            ClientDisconnect: the client went away.
        """
        if request.headers.get("content-length", "0").isdigit():
            length = int(request.headers.get("content-length", "0"))
            if length > self._limits.max_bytes:
                await self._drain(request, length)
                raise self._too_large(f"{length:,} bytes")
        parts: list[bytes] = []
        size = 0
        try:
            more = True
            while more:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                more = message.get("more_body", False)
                part = message.get("body", b"")
                size += len(part)
                self._held += len(part)
                if size > self._limits.max_bytes:
                    raise self._too_large(f"{size:,} bytes and more")
                if self._held > self._limits.held_bytes:
                    error = later("busy", "Too many bytes of other requests are held already.")
                    raise Refusal(503, error.code, error.detail, {**dict(error.headers or {}), **CLOSE})
                parts.append(part)
            yield parts[0] if len(parts) == 1 else b"".join(parts)
        finally:
            self._held -= size

    def _too_large(self, received: str) -> Refusal:
        return Refusal(
            413,
            "too_large",
            f"The request is too large. Expected at most {self._limits.max_bytes:,} bytes. Received: "
            f"{received}. Send a smaller picture, or fewer.",
            CLOSE,
        )

    async def _drain(self, request: Request, length: int) -> None:
        """Reads what a client sends in spite of all, so that it comes to read the answer."""
        if "expect" in request.headers or length > self._limits.held_bytes:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                while (await request.receive()).get("more_body"):
                    pass


def kind(request: Request) -> str:
    """The media type of a body, without its parameters, in lower case.

    Raises:
        Refusal: 415 where it can be none of a picture.
    """
    found = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if found in (*_RAW, _JSON, _FORM) or found.startswith("image/"):
        return found
    raise Refusal(
        415, "unsupported_type", f"Expected a body of {_ACCEPTED}. Received: content-type={found!r}"
    )


def raw(found: str) -> bool:
    """Whether a body of this kind is one picture as it is."""
    return found not in (_JSON, _FORM)


def files(body: bytes, content_type: str, limits: Limits) -> list[bytes]:
    """The picture files in a body.

    Args:
        body: all of it.
        content_type: the header as it came.
        limits: how many there may be.

    Returns:
        The files, one at least, none of them decoded.

    Raises:
        Refusal: 400 where the body is malformed, 413 where there are too many files.
    """
    found = content_type.partition(";")[0].strip().lower()
    if found == _FORM:
        pictures = _parts(body, content_type)
    elif found == _JSON:
        pictures = _decoded(body)
    else:
        pictures = [body]
    if not pictures:
        raise Refusal(400, "no_picture", "The request holds no picture. Expected: one or more files.")
    if len(pictures) > limits.max_pictures:
        raise too_many(len(pictures), limits)
    return pictures


def too_many(count: int, limits: Limits) -> Refusal:
    """The refusal of a request with too many pictures."""
    return Refusal(
        413,
        "too_many_pictures",
        f"Too many pictures in a request. Expected at most {limits.max_pictures}. Received: {count}.",
    )


def from_base64(text: Any, name: str = "image") -> bytes:
    """The bytes behind base64, with or without the beginning of a data URL.

    Raises:
        Refusal: 400 where it is none.
    """
    if isinstance(text, str):
        with suppress(binascii.Error, ValueError):
            data = text.partition(",")[2] if text.startswith("data:") else text
            return base64.b64decode(data, validate=True)
    raise Refusal(400, "bad_base64", f"{name} is no base64. Expected the bytes of a picture file in base64.")


def _decoded(body: bytes) -> list[bytes]:
    try:
        found = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        if "images" in found:
            texts = msgspec.json.decode(body, type=_Many).images
        else:
            texts = [msgspec.json.decode(body, type=_One).image]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal(
            400,
            "bad_json",
            f'The JSON cannot be used: {error}. Expected: {{"image": "BASE64"}} or '
            '{"images": ["BASE64", ...]}',
        ) from None
    return [from_base64(text, f"images[{number}]") for number, text in enumerate(texts)]


def _parts(body: bytes, content_type: str) -> list[bytes]:
    """The non-empty parts of a multipart body; their names do not matter."""
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    found: list[bytearray] = []

    def data(chunk: bytes, start: int, end: int) -> None:
        found[-1] += chunk[start:end]

    try:
        parser = MultipartParser(
            boundary, {"on_part_begin": lambda: found.append(bytearray()), "on_part_data": data}
        )
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise Refusal(
            400, "bad_form", f"The form cannot be read: {error}. Expected: multipart/form-data with files."
        ) from None
    return [bytes(part) for part in found if part]

"""What the server says: answers, refusals and the facts about a model, as they stand in JSON."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import Response

_encode = msgspec.json.Encoder().encode


class Ranked(msgspec.Struct):
    """One of the most probable classes."""

    label: str
    probability: float


class Answer(msgspec.Struct):
    """What the model says about one picture.

    `label` is null where the answer is withheld; `doubt` then says why, and `top` shows what it would be.
    `familiarity`, -1 to 1, tells how like the pictures of its class it is; null where the model cannot tell.
    """

    label: str | None
    probability: float
    sure: bool
    familiarity: float | None
    doubt: str
    top: list[Ranked]


class Answers(msgspec.Struct):
    """The answer to `POST /predict`, one prediction for each picture, in their order."""

    model: str
    run: str
    predictions: list[Answer]


class Explained(msgspec.Struct):
    """The answer to `POST /explain`: where the picture speaks for `label`.

    `image` is a PNG as a data URL: the heat alone, to be laid over the picture, transparent where it is cold.
    """

    model: str
    run: str
    label: str
    probability: float
    image: str


class Facts(msgspec.Struct):
    """What is known about a model. `accuracy` is that on validation pictures, with its 95 % interval."""

    name: str
    version: int
    run: str
    classes: list[str]
    image_size: int
    fit: str
    engine: str
    precision: str
    accuracy: float | None
    accuracy_interval: list[float] | None
    sure_from: float | None
    familiar_from: float | None
    card: bool
    samples: int


class Models(msgspec.Struct):
    """The answer to `GET /models`; the first model answers where none is named."""

    models: list[Facts]
    limits: dict[str, float]


class Sample(msgspec.Struct):
    """A picture that a run keeps, to try the model on."""

    number: int
    path: str


class Samples(msgspec.Struct):
    """The answer to `GET /models/NAME/samples`."""

    samples: list[Sample]


class Health(msgspec.Struct):
    """The answer to the health checks."""

    status: str


class Reloaded(msgspec.Struct):
    """The answer to `POST /admin/reload`: which models were replaced, and which were as they should be."""

    replaced: list[str]
    kept: list[str]


class Problem(msgspec.Struct):
    """What went wrong: a word for programs and a sentence for people."""

    code: str
    message: str


class Error(msgspec.Struct):
    """The answer to whatever is refused."""

    error: Problem


class Refusal(HTTPException):
    """A request that is not answered, and why.

    Args:
        status: of HTTP.
        code: one word for programs.
        message: what happened, what was expected, and how to mend it.
        headers: go with the response.
    """

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None):
        super().__init__(status, message, headers)
        self.code = code


def later(code: str, message: str, seconds: int = 1) -> Refusal:
    """A refusal that only holds for now: 503, with Retry-After."""
    return Refusal(503, code, f"{message} Try again in {seconds} s.", {"retry-after": str(seconds)})


def error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """A refusal as the house's own routes give it."""
    return answer(Error(Problem(code, message)), status, headers)


def answer(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A response of JSON."""
    return Response(_encode(content), status, headers, "application/json")


def known(kinds: Iterable[type]) -> dict[str, Any]:
    """JSON schemas of messages by their names, for the OpenAPI document."""
    _, schemas = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    return schemas

"""Pictures for the page: small PNG or JPEG images as data URIs."""

import base64
import io
from collections.abc import Sequence

import numpy as np

_LOSSLESS_SIDE = 48  # up to this side a PNG is small enough to keep every pixel
_THUMBNAIL_SIDE = 112  # larger pictures are shrunk to this; about 4 kB each


def data_uri(content: bytes, kind: str) -> str:
    """Bytes as an address that holds its own content, for example `data:image/png;base64,...`."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def thumbnail(image: np.ndarray) -> str:
    """A data URI of one uint8 (h, w, 3) picture: every pixel of a small one, a JPEG of a larger one."""
    from PIL import Image

    picture = Image.fromarray(image)
    buffer = io.BytesIO()
    if max(picture.size) <= _LOSSLESS_SIDE:
        picture.save(buffer, "PNG", optimize=True)
        return data_uri(buffer.getvalue(), "png")
    picture.thumbnail((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE), Image.Resampling.LANCZOS)
    picture.save(buffer, "JPEG", quality=85)
    return data_uri(buffer.getvalue(), "jpeg")


def spread(labels: Sequence[int] | np.ndarray, most: int) -> list[int]:
    """Up to `most` positions that give every class its turn: the first of each, then the second, ...

    Example:
        >>> spread([7, 7, 7, 8, 9], 4)
        [0, 3, 4, 1]
    """
    seen: dict[int, int] = {}
    turns = []
    for position, label in enumerate(labels):
        turn = seen.get(int(label), 0)
        seen[int(label)] = turn + 1
        turns.append((turn, int(label), position))
    return [position for _, _, position in sorted(turns)[:most]]

"""The one decoder: a file or bytes in, uint8 RGB pixels out.

Training, prediction, the server and the reports all read pictures here, so a model sees a picture the
same way everywhere: turned upright, transparent parts on white, 16 bits scaled to 8, never more than
`MAX_PIXELS`.
"""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, UnidentifiedImageError

from tenfold.errors import DataError, UsageError, unknown

Fit = Literal["pad", "crop", "squash"]

MAX_PIXELS = 89_478_485
"""Pictures with more pixels are refused unread. Pillow's own figure: 256 MiB at three bytes a pixel."""

PICTURE_SUFFIXES = frozenset(
    f".{ending}"
    for ending in (
        *("jpg", "jpeg", "jpe", "jfif", "png", "apng", "gif", "bmp", "dib"),
        *("webp", "tif", "tiff", "ppm", "pgm", "pbm", "pnm", "avif"),
    )
)
"""Endings of the files that `decode` reads, in lower case."""

# A closed list: Pillow knows formats that start other programs (EPS) or that nobody trains on, and a
# server hands it files from strangers.
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "DIB", "WEBP", "TIFF", "PPM", "AVIF")
_EXPECTED = "Expected JPEG, PNG, GIF, BMP, WebP, TIFF, PPM or AVIF."

# JPEG, PNG, GIF, BMP, WebP and both kinds of TIFF.
_BEGINNINGS = (b"\xff\xd8", b"\x89PNG", b"GIF8", b"BM", b"RIFF", b"II*\0", b"MM\0*")

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112
_PILLOW = re.compile(r"PIL\.")


def read(
    source: Path | str | bytes,
    size: int,
    fit: Fit = "pad",
    name: str | None = None,
    *,
    at_most: int = MAX_PIXELS,
) -> np.ndarray:
    """A picture as a model takes it: decoded, upright, square.

    Training and prediction both call this, with the same `size` and `fit`, so their pixels are equal.
    Large photographs in JPEG are decoded at a fraction of their size, never below twice `size`.

    Args:
        source: a file, or the bytes of one.
        size: side of the result in pixels.
        fit: "pad", "crop" or "squash", see `resize`.
        name: what messages call the picture; default: the file's path.
        at_most: pictures with more pixels are refused unread; `MAX_PIXELS` or less.

    Returns:
        uint8, (size, size, 3).

    Raises:
        DataError: the picture cannot be read; one line says which, why and what to do.
    """
    return resize(decode(source, name, at_least=2 * size, at_most=at_most), size, fit)


def decode(
    source: Path | str | bytes,
    name: str | None = None,
    *,
    at_least: int | None = None,
    at_most: int = MAX_PIXELS,
) -> np.ndarray:
    """The pixels of a picture.

    EXIF orientation is applied, transparent parts are laid on white, 16-bit grey is scaled to 8 bits,
    and of several frames or pages the first is taken.

    Args:
        source: a file, or the bytes of one.
        name: what messages call the picture; default: the file's path.
        at_least: sides in pixels that are enough. A JPEG may then come out at 1/2, 1/4 or 1/8 of its
            size, which is several times faster; no side falls below `at_least`.
        at_most: as for `read`.

    Returns:
        uint8, (height, width, 3), RGB.

    Raises:
        DataError: missing, unreadable, damaged, no picture, or more than `at_most` pixels.

    Example:
        >>> decode(encode_png(np.zeros((2, 3, 3), np.uint8))).shape
        (2, 3, 3)
    """
    with _opened(source, name, at_most) as image:
        if at_least is not None and image.format in ("JPEG", "MPO"):
            image.draft(None, (at_least, at_least))
        image.load()
        # After load: some formats keep EXIF behind the pixels, and TIFF turns itself.
        turn = _UPRIGHT.get(_orientation(image))
        image = _rgb(image)
        return np.array(image if turn is None else image.transpose(turn))


def measure(source: Path | str | bytes, name: str | None = None) -> tuple[int, int]:
    """Width and height of a picture from its header alone, before any EXIF turn.

    Raises:
        DataError: as `decode`, as far as the header shows it.
    """
    with _opened(source, name) as image:
        return image.size


@dataclass(frozen=True)
class Header:
    """What a picture says of itself before it is decoded.

    Attributes:
        format: for example "JPEG" or "PNG", from its content.
        suffixes: endings that files of this format have, in lower case.
        mode: how a pixel is kept, in Pillow's words: "RGB", "L" (grey), "P" (palette), "CMYK", "I;16"...
        transparent: whether parts of it may be.
        size: width and height in pixels, before any EXIF turn.
        turned: whether its EXIF data ask for a turn or a mirroring.
    """

    format: str
    suffixes: frozenset[str]
    mode: str
    transparent: bool
    size: tuple[int, int]
    turned: bool


def header(source: Path | str | bytes, name: str | None = None) -> Header:
    """What kind of picture it is, without decoding it.

    Raises:
        DataError: as `decode`, as far as the header shows it.
    """
    with _opened(source, name) as image:
        kind = {"MPO": "JPEG", "DIB": "BMP"}.get(str(image.format), str(image.format))
        known = Image.registered_extensions().items()
        suffixes = frozenset(suffix for suffix, own in known if own == kind) & PICTURE_SUFFIXES
        turned = _orientation(image) in _UPRIGHT
        return Header(kind, suffixes, image.mode, image.has_transparency_data, image.size, turned)


def resize(image: np.ndarray, size: int, fit: Fit = "pad") -> np.ndarray:
    """`image` brought to a square, antialiased (bicubic).

    "pad" keeps the whole picture and centres it on black: black is the lowest value under every scaling,
    and nobody takes the border for a part of the picture. "crop" cuts the centre square of the
    shorter side. "squash" gives up the proportions.

    Args:
        image: uint8, (height, width, 3).
        size: side of the result in pixels.
        fit: what to do with pictures that are not square.

    Returns:
        uint8, (size, size, 3); `image` itself where it has that size already.

    Raises:
        UsageError: unknown `fit`.
    """
    if fit not in ("pad", "crop", "squash"):
        raise UsageError(unknown("fit", str(fit), ("pad", "crop", "squash")))
    height, width = image.shape[:2]
    if height == width == size:
        return image
    picture = Image.fromarray(image)
    if fit == "crop":
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        box = (left, top, left + side, top + side)
        return np.array(picture.resize((size, size), Image.Resampling.BICUBIC, box=box))
    if fit == "squash" or width == height:
        return np.array(picture.resize((size, size), Image.Resampling.BICUBIC))
    scale = size / max(width, height)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    canvas = np.zeros((size, size, 3), np.uint8)
    left, top = (size - inner[0]) // 2, (size - inner[1]) // 2
    placed = picture.resize(inner, Image.Resampling.BICUBIC)
    canvas[top : top + inner[1], left : left + inner[0]] = np.asarray(placed)
    return canvas


def encode_png(image: np.ndarray) -> bytes:
    """A PNG file of `image`: uint8, (height, width, 3) or (height, width)."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


@contextmanager
def _opened(source: Path | str | bytes, name: str | None, at_most: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """The picture, header read and size checked; whatever fails until the end becomes a DataError."""
    called = name or ("the picture" if isinstance(source, bytes) else str(source))
    _settle_warnings()
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb") as file:
            try:
                with Image.open(file, formats=_FORMATS) as image:
                    width, height = image.size
                    if width * height > at_most:
                        raise _too_large(called, f"{width:,} x {height:,} pixels", at_most)
                    yield image
            except UnidentifiedImageError:
                file.seek(0)
                raise DataError(f"{called} {_what_else(file.read(512))}") from None
    except (DataError, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        # Its text: "Image size (900000000 pixels) exceeds limit of ..."
        raise _too_large(called, f"{int(re.findall(r'[0-9]+', str(error))[0]):,} pixels", at_most) from None
    except FileNotFoundError:
        raise DataError(f"{called} does not exist. Expected a picture file; check the path.") from None
    except IsADirectoryError:
        raise DataError(f"{called} is a folder. Expected a picture file.") from None
    except PermissionError:
        raise DataError(f"{called} may not be read. Give yourself the right: chmod u+r.") from None
    except Exception as error:  # Pillow's formats raise some ten kinds: OSError, SyntaxError, struct.error...
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{called} is damaged or of an unusual kind: {reason}. Expected a whole picture; save it again "
            "as JPEG or PNG, or remove it."
        ) from None


def _settle_warnings() -> None:
    # Between one and two times its limit Pillow only warns; and it warns of damage beside the pixels,
    # such as in EXIF, that costs nothing here. The usual way, `warnings.catch_warnings`, swaps the list
    # of filters and is not safe among threads; two lasting filters for Pillow alone are.
    if ("error", None, Image.DecompressionBombWarning, None, 0) not in warnings.filters:
        warnings.simplefilter("error", Image.DecompressionBombWarning)
    if ("ignore", None, UserWarning, _PILLOW, 0) not in warnings.filters:
        warnings.filterwarnings("ignore", category=UserWarning, module=_PILLOW.pattern)


def _too_large(called: str, received: str, at_most: int) -> DataError:
    return DataError(
        f"{called} is too large to decode safely. Expected at most {at_most:,} pixels; make it smaller "
        f"first. Received: {received}"
    )


def _what_else(head: bytes) -> str:
    """What a file is that no decoder knows, from its first bytes, and what to do with it."""
    text = head.lstrip().lower()
    if not head:
        return "is empty (0 bytes). Expected a picture; copy it again or remove it."
    if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"hevc", b"heim", b"mif1", b"msf1"):
        return f"is HEIC, which is not supported. {_EXPECTED} Save it as JPEG first."
    if b"<svg" in text:
        return f"is SVG, a drawing without pixels. {_EXPECTED} Export it as PNG first."
    if text.startswith((b"<!doctype html", b"<html")):
        return f"is a web page, not a picture. {_EXPECTED} Download the picture itself."
    if text.startswith((b"%pdf", b"%!ps")):
        return f"is a PDF or PostScript document. {_EXPECTED} Export it as PNG first."
    if not _is_text(head) and head.startswith(_BEGINNINGS):
        return "is damaged: its header is incomplete. Expected a whole picture; copy it again or remove it."
    kind = "text" if _is_text(head) else "of an unknown kind"
    return f"holds no picture: it is {kind}. {_EXPECTED} Remove it or replace it. Received: {head[:12]!r}"


def _is_text(head: bytes) -> bool:
    if any(byte < 32 and byte not in b"\t\n\f\r" for byte in head):
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4 and len(head) > 4  # the last letter may be cut in two
    return True


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # Damaged EXIF is no reason to lose the picture.
        return 1


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError("grey values beyond 16 bits")
        return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ValueError("grey values as floating point numbers")
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        white = Image.new("RGBA", clear.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, clear).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")

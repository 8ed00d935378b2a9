import io
import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tenfold import images
from tenfold.errors import DataError, UsageError


def file_of(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims any size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0"))


COLOUR = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


def test_colour_comes_back_as_it_was_and_can_be_written_to():
    pixels = images.decode(images.encode_png(COLOUR))
    assert np.array_equal(pixels, COLOUR)
    assert pixels.dtype == np.uint8
    pixels[0] = 0


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(file_of(Image.new("L", (2, 2), 90)), (90, 90, 90), id="grey"),
        pytest.param(file_of(Image.new("1", (2, 2), 1)), (255, 255, 255), id="one-bit"),
        pytest.param(file_of(Image.new("RGBA", (2, 2), (10, 20, 30, 0))), (255, 255, 255), id="clear"),
        pytest.param(file_of(Image.new("RGBA", (2, 2), (10, 20, 30, 255))), (10, 20, 30), id="opaque"),
        pytest.param(file_of(Image.new("LA", (2, 2), (0, 51))), (204, 204, 204), id="grey-half-clear"),
        pytest.param(file_of(Image.new("P", (2, 2), 0), transparency=0), (255, 255, 255), id="palette-clear"),
        pytest.param(
            file_of(Image.new("RGB", (2, 2), (9, 9, 9)), transparency=(9, 9, 9)), (255,) * 3, id="key"
        ),
        pytest.param(file_of(Image.new("CMYK", (2, 2), (0, 255, 255, 0)), "TIFF"), (255, 0, 0), id="cmyk"),
        pytest.param(file_of(Image.new("I;16", (2, 2), 65535)), (255, 255, 255), id="16-bit-white"),
        pytest.param(file_of(Image.new("I;16", (2, 2), 32896)), (128, 128, 128), id="16-bit-middle"),
        pytest.param(file_of(Image.new("I;16B", (2, 2), 25700), "TIFF"), (100,) * 3, id="16-bit-tiff"),
        pytest.param(file_of(Image.new("I", (2, 2), 25700), "TIFF"), (100,) * 3, id="32-bit-tiff"),
    ],
)
def test_every_mode_becomes_colour(content, expected):
    pixels = images.decode(content)
    assert pixels.shape == (2, 2, 3)
    assert tuple(pixels[0, 0]) == expected


def test_an_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (3, 3), colour) for colour in ("red", "blue")]
    content = file_of(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert tuple(images.decode(content)[1, 1]) == (255, 0, 0)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_a_picture_upright(orientation, kind):
    upright = Image.fromarray(np.zeros((16, 24, 3), np.uint8))
    upright.paste((255, 255, 255), (0, 0, 8, 8))  # a white corner at the top left
    stored_from = {
        1: lambda im: im,
        2: lambda im: im.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: lambda im: im.transpose(Image.Transpose.ROTATE_180),
        4: lambda im: im.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: lambda im: im.transpose(Image.Transpose.TRANSPOSE),
        6: lambda im: im.transpose(Image.Transpose.ROTATE_90),
        7: lambda im: im.transpose(Image.Transpose.TRANSVERSE),
        8: lambda im: im.transpose(Image.Transpose.ROTATE_270),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    content = file_of(stored_from[orientation](upright), kind, exif=exif, **options)
    assert np.array_equal(images.decode(content), np.asarray(upright))


def test_damaged_exif_does_not_lose_the_picture():
    content = file_of(Image.new("RGB", (8, 8)), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\xff\xff")
    assert images.decode(content).shape == (8, 8, 3)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b"dear diary, today", "is text", id="text"),
        pytest.param(bytes(range(200, 256)) + b"\0", "of an unknown kind", id="noise"),
        pytest.param(images.encode_png(np.zeros((64, 64, 3), np.uint8))[:60], "damaged", id="truncated-png"),
        pytest.param(file_of(Image.effect_noise((64, 64), 50), "JPEG")[:900], "damaged", id="truncated-jpeg"),
        pytest.param(b"\x89PNG", "header is incomplete", id="four-bytes"),
        pytest.param(b"\0\0\0\x18ftypheic" + bytes(40), "is HEIC", id="heic"),
        pytest.param(b"<?xml version='1.0'?><svg xmlns='x'></svg>", "is SVG", id="svg"),
        pytest.param(b"<!DOCTYPE html><html></html>", "is a web page", id="web-page"),
        pytest.param(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9", "PostScript", id="eps"),
        pytest.param(png_header(30_000, 30_000), "too large", id="bomb"),
        pytest.param(png_header(10_000, 9_000), "90,000,000 pixels", id="just-above-the-limit"),
        pytest.param(file_of(Image.new("F", (2, 2), 0.5), "TIFF"), "floating point", id="float"),
        pytest.param(file_of(Image.new("I", (2, 2), -5), "TIFF"), "beyond 16 bits", id="negative"),
        pytest.param(file_of(Image.new("I", (2, 2), 70_000), "TIFF"), "beyond 16 bits", id="32-bit"),
    ],
)
def test_what_cannot_be_read_is_named_in_one_line(tmp_path: Path, content, words):
    path = tmp_path / "cat.jpg"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        images.decode(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match=r"^upload 3 .*" + words):
        images.decode(content, "upload 3")


def test_the_pixel_limit_holds_where_warnings_are_not_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for size in [(30_000, 30_000), (10_000, 9_000)]:
            with pytest.raises(DataError, match="too large"):
                images.measure(png_header(*size))


def test_missing_files_and_folders_are_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"gone\.png does not exist"):
        images.decode(tmp_path / "gone.png")
    with pytest.raises(DataError, match="is a folder"):
        images.decode(tmp_path)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_read_permission_is_named(tmp_path: Path):
    path = tmp_path / "secret.png"
    path.write_bytes(images.encode_png(COLOUR))
    path.chmod(0)
    with pytest.raises(DataError, match="may not be read"):
        images.decode(path)


def test_measure_reads_the_size_from_the_header_alone():
    assert images.measure(png_header(300, 200)) == (300, 200)


WIDE = np.zeros((10, 20, 3), np.uint8)
WIDE[:, 5:15] = 200  # the centre square


@pytest.mark.parametrize(
    ("fit", "top_middle", "left_middle", "centre"),
    [("pad", 0, 0, 200), ("crop", 200, 200, 200), ("squash", 200, 0, 200)],
)
def test_each_fit_brings_a_wide_picture_to_a_square(fit, top_middle, left_middle, centre):
    square = images.resize(WIDE, 8, fit)
    assert square.shape == (8, 8, 3)
    seen = [int(square[0, 4, 0]), int(square[4, 0, 0]), int(square[4, 4, 0])]
    assert seen == pytest.approx([top_middle, left_middle, centre], abs=6)  # bicubic overshoots a little


def test_pad_keeps_a_sliver_visible():
    assert images.resize(np.full((1, 400, 3), 255, np.uint8), 16, "pad").max() == 255


def test_a_picture_of_the_right_size_is_left_alone():
    square = np.zeros((8, 8, 3), np.uint8)
    assert images.resize(square, 8) is square


def test_an_unknown_fit_names_the_nearest():
    with pytest.raises(UsageError, match="Did you mean 'crop'"):
        images.resize(WIDE, 8, "corp")


def test_shrinking_averages_instead_of_skipping():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(images.resize(stripes, 8).astype(int) - 128).max() <= 5


@pytest.mark.parametrize("fit", ["pad", "crop", "squash"])
def test_the_fast_way_for_large_jpegs_sees_the_same_picture(fit):
    slope = np.add.outer(np.arange(600), np.arange(900))[..., None] * np.array([0.1, 0.15, 0.05])
    content = file_of(Image.fromarray(slope.astype(np.uint8)), "JPEG", quality=95)
    fast = images.read(content, 32, fit)
    slow = images.resize(images.decode(content), 32, fit)
    assert fast.shape == (32, 32, 3)
    assert np.abs(fast.astype(int) - slow).mean() < 1
    assert min(images.decode(content, at_least=64).shape[:2]) >= 64


def test_a_header_tells_what_a_picture_is_without_its_pixels():
    exif = Image.Exif()
    exif[0x0112] = 3
    found = images.header(file_of(Image.fromarray(COLOUR).convert("CMYK"), "JPEG", exif=exif))
    assert (found.format, found.mode, found.size, found.turned) == ("JPEG", "CMYK", (6, 4), True)
    assert {".jpg", ".jpeg"} <= found.suffixes
    assert ".png" not in found.suffixes
    clear = images.header(file_of(Image.new("RGBA", (2, 2))))
    assert (clear.transparent, clear.turned) == (True, False)
    with pytest.raises(DataError, match="is empty"):
        images.header(b"")


def test_a_caller_may_allow_fewer_pixels():
    file = images.encode_png(np.zeros((30, 40, 3), np.uint8))
    assert images.read(file, 8, at_most=1200).shape == (8, 8, 3)
    with pytest.raises(DataError, match=r"Expected at most 1,199 pixels.*Received: 40 x 30 pixels"):
        images.read(file, 8, at_most=1199)

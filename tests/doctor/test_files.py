"""Single files: what cannot be read, what its name hides, what is odd, blank or tiny."""

import io

import numpy as np
import pytest
from PIL import Image

from tenfold.doctor import files
from tenfold.doctor.findings import Picture


def encoded(pixels, kind="PNG", mode="RGB", **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def checked(tmp_path, name, content, size=32):
    path = tmp_path / name
    path.write_bytes(content)
    return files.check(Picture("train", name, "cat"), path, size)


def kinds(found):
    return [finding.kind for finding in found.findings]


def test_a_sound_picture_gives_its_pixels_and_no_finding(tmp_path, scenes):
    picture = scenes(1)[0]
    found = checked(tmp_path, "a.png", encoded(picture))
    assert kinds(found) == []
    assert (found.pixels == picture).all()


def test_a_truncated_file_is_named_with_the_reason(tmp_path, scenes):
    content = encoded(scenes(1)[0])
    found = checked(tmp_path, "cut.png", content[: len(content) // 2])
    assert kinds(found) == ["unreadable"]
    assert found.pixels is None
    assert "cut.png" in found.findings[0].message
    assert found.findings[0].fixes[0].action == "review"


@pytest.mark.parametrize(
    ("name", "kind", "wrong"),
    [("a.jpg", "PNG", True), ("a.png", "JPEG", True), ("a.JPEG", "JPEG", False), ("a.jfif", "JPEG", False)],
)
def test_the_extension_must_say_what_the_content_is(tmp_path, scenes, name, kind, wrong):
    found = checked(tmp_path, name, encoded(scenes(1)[0], kind))
    assert kinds(found) == (["wrong-extension"] if wrong else [])
    if wrong:
        assert found.findings[0].details == {"format": kind}
        assert found.findings[0].fixes[0].action == "rename"


def test_a_row_key_needs_no_extension(scenes):
    found = files.check(Picture("train", "part.parquet:7", "cat"), encoded(scenes(1)[0]), 32)
    assert kinds(found) == []


def test_odd_turned_blank_and_tiny_pictures_are_told(tmp_path, scenes):
    picture = scenes(1)[0]
    exif = Image.Exif()
    exif[0x0112] = 6
    assert kinds(checked(tmp_path, "c.jpg", encoded(picture, "JPEG", "CMYK"))) == ["odd-mode"]
    assert kinds(checked(tmp_path, "t.png", encoded(picture, "PNG", "RGBA"))) == ["odd-mode"]
    assert kinds(checked(tmp_path, "s.jpg", encoded(picture, "JPEG", exif=exif))) == ["turned"]
    assert kinds(checked(tmp_path, "b.png", encoded(np.full((32, 32, 3), 7, np.uint8)))) == ["blank"]
    assert kinds(checked(tmp_path, "n.png", encoded(picture[:12, :20]))) == ["tiny"]
    assert kinds(checked(tmp_path, "g.png", encoded(picture, mode="L"))) == []


def test_the_digest_is_of_the_pixels_and_not_of_the_file(tmp_path, scenes):
    picture = scenes(1)[0]
    first = checked(tmp_path, "a.png", encoded(picture, compress_level=1))
    again = checked(tmp_path, "b.png", encoded(picture, compress_level=9))
    other = checked(tmp_path, "c.png", encoded(picture[::-1]))
    assert first.digest == again.digest != other.digest
    assert files.digest(picture.reshape(16, 64, 3)) != first.digest


def test_pictures_without_a_pictures_extension_are_found(tmp_path, scenes):
    (tmp_path / "train").mkdir()
    (tmp_path / "train/IMG_7").write_bytes(encoded(scenes(1)[0]))
    (tmp_path / "train/notes.txt").write_text("no picture")
    (tmp_path / ".hidden").write_bytes(encoded(scenes(1)[0]))
    found = files.unseen(tmp_path)
    assert [finding.pictures[0].id for finding in found] == ["train/IMG_7"]

"""Pictures read inside a SavedModel are those that `images.read` gives, but for single steps."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tenfold import images

pytest.importorskip("tensorflow", reason="needs the extra `tensorflow`")

PROGRAM = """
import sys
from pathlib import Path
import numpy as np
import tensorflow as tf
from tenfold.exporting import decoding
folder = Path(sys.argv[1])
found = {}
for fit in ("pad", "crop", "squash"):
    read = tf.function(lambda content: decoding.read(content, 32, fit))
    for path in sorted(folder.glob("*.bin")):
        found[f"{fit} {path.stem}"] = read(tf.constant(path.read_bytes())).numpy()
np.savez(folder / "found.npz", **found)
"""


def scene(width, height, channels=3):
    """Something with edges and slopes, as photographs have them."""
    random = np.random.default_rng(width * height)
    coarse = Image.fromarray(random.integers(0, 256, (6, 7, 3), np.uint8)).resize((width, height))
    pixels = np.asarray(coarse).copy()
    pixels[height // 4 : height // 2, width // 3 : width // 2] = 255
    if channels == 4:
        slope = np.linspace(0, 255, width).astype(np.uint8)
        pixels = np.dstack([pixels, np.broadcast_to(slope, (height, width))])
    return Image.fromarray(np.ascontiguousarray(pixels))


def saved(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def turned(orientation, order=b"II"):
    exif = Image.Exif()
    exif.endian = "<" if order == b"II" else ">"
    exif[0x0112] = orientation
    return saved(scene(90, 60), "JPEG", quality=92, exif=exif)


FILES = {
    "png": saved(scene(32, 32), "PNG"),
    "png wide": saved(scene(101, 47), "PNG"),
    "png tall": saved(scene(20, 75), "PNG"),
    "png thin": saved(scene(200, 1), "PNG"),
    "png small": saved(scene(9, 7), "PNG"),
    "png clear": saved(scene(60, 44, channels=4), "PNG"),
    "png grey": saved(scene(50, 40).convert("L"), "PNG"),
    "png palette": saved(scene(50, 40).quantize(32), "PNG"),
    "jpeg": saved(scene(64, 64), "JPEG", quality=90),
    "jpeg grey": saved(scene(70, 50).convert("L"), "JPEG", quality=90),
    "jpeg half": saved(scene(150, 140), "JPEG", quality=90),
    "jpeg eighth": saved(scene(1100, 600), "JPEG", quality=90),
    **{f"jpeg turned {number}": turned(number) for number in range(1, 9)},
    "jpeg turned by the other order": turned(6, b"MM"),
}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for name, content in FILES.items():
        (folder / f"{name}.bin").write_bytes(content)
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", PROGRAM, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    with np.load(folder / "found.npz") as arrays:
        return dict(arrays)


@pytest.mark.parametrize("fit", ["pad", "crop", "squash"])
@pytest.mark.parametrize("name", FILES)
def test_tensorflow_reads_as_pillow_does(found, name, fit):
    expected = images.read(FILES[name], 32, fit).astype(int)
    off = np.abs(found[f"{fit} {name}"].astype(int) - expected)
    assert off.max() <= 1
    assert (off > 0).mean() < 0.005


def test_a_turn_makes_a_difference(found):
    upright, turned = found["pad jpeg turned 1"].astype(int), found["pad jpeg turned 6"].astype(int)
    assert np.abs(upright - turned).max() > 50
    np.testing.assert_array_equal(turned, found["pad jpeg turned by the other order"])

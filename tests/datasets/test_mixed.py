"""Photographs in every form that is decoded train as the same pictures in parquet do."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tenfold.datasets import load
from tenfold.images import encode_png

PICTURES, SEEDS, EPOCHS = 5000, 5, 6


def encoded(picture: Image.Image, form: str, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def enlarged(picture: Image.Image, times: int) -> Image.Image:
    return picture.resize((times * picture.width, times * picture.height), Image.Resampling.BICUBIC)


def turned(picture: Image.Image) -> bytes:
    """Kept lying on its side, as telephones do, with the turn in its EXIF data."""
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned to the right
    lying = picture.transpose(Image.Transpose.ROTATE_90)
    return encoded(enlarged(lying, 3), "JPEG", quality=95, exif=exif)


def sixteen_bits(picture: Image.Image) -> bytes:
    return encoded(Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257), "PNG")


GREY = {"l.png", "la.png", "l.jpg", "16.png"}
FORMS: dict[str, Callable[[Image.Image], bytes]] = {
    "png": lambda picture: encoded(picture, "PNG"),
    "jpg": lambda picture: encoded(picture, "JPEG", quality=95, subsampling=0),
    "x2.jpg": lambda picture: encoded(enlarged(picture, 2), "JPEG", quality=95),
    "x5.jpg": lambda picture: encoded(enlarged(picture, 5), "JPEG", quality=95),
    "x3.png": lambda picture: encoded(enlarged(picture, 3), "PNG"),
    "x8.jpeg": lambda picture: encoded(enlarged(picture, 8), "JPEG", quality=95, progressive=True),
    "turned.jpg": turned,
    "cmyk.jpg": lambda picture: encoded(enlarged(picture.convert("CMYK"), 2), "JPEG", quality=95),
    "bmp": lambda picture: encoded(picture, "BMP"),
    "webp": lambda picture: encoded(picture, "WEBP", lossless=True),
    "x2.webp": lambda picture: encoded(enlarged(picture, 2), "WEBP", quality=95),
    "gif": lambda picture: encoded(picture, "GIF"),
    "p.png": lambda picture: encoded(picture.quantize(256), "PNG"),
    "rgba.png": lambda picture: encoded(picture.convert("RGBA"), "PNG"),
    "tif": lambda picture: encoded(picture, "TIFF"),
    "ppm": lambda picture: encoded(picture, "PPM"),
    "misnamed.jpg": lambda picture: encoded(picture, "WEBP", lossless=True),
    "l.png": lambda picture: encoded(picture.convert("L"), "PNG"),
    "la.png": lambda picture: encoded(picture.convert("LA"), "PNG"),
    "l.jpg": lambda picture: encoded(enlarged(picture.convert("L"), 4), "JPEG", quality=95),
    "16.png": sixteen_bits,
}


def write_both(
    home: Path, split: str, pictures: np.ndarray, labels: np.ndarray, names: tuple[str, ...]
) -> None:
    """Pictures as a folder of mixed files, and the very same ones, in the same order, as lossless parquet."""
    rows, kept = [], []
    for number in np.argsort(labels, kind="stable"):  # as folders are read: class by class, by name
        form = list(FORMS)[number % len(FORMS)]
        picture = Image.fromarray(pictures[number])
        place = home / "photos" / split / names[labels[number]]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:05d}-{form}").with_suffix(f".{form.rpartition('.')[2]}").write_bytes(
            FORMS[form](picture)
        )
        plain = picture.convert("L").convert("RGB") if form in GREY else picture
        rows.append({"bytes": encode_png(np.asarray(plain))})
        kept.append(int(labels[number]))
    features = {"img": {"_type": "Image"}, "label": {"names": list(names), "_type": "ClassLabel"}}
    table = pa.table({"img": rows, "label": kept}).replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )
    (home / "tables").mkdir(exist_ok=True)
    pq.write_table(table, home / "tables" / f"{split}-00000-of-00001.parquet")


def compared(home: Path, split: str) -> np.ndarray:
    """The mean difference of each picture's pixels, in grey levels."""
    files, table = load(home / "photos", split, image_size=32), load(home / "tables", split, image_size=32)
    assert files.labels.tolist() == table.labels.tolist()
    return np.abs(files.images.astype(int) - table.images).mean(axis=(1, 2, 3))


def test_every_form_decodes_to_the_same_picture(tmp_path):
    random = np.random.default_rng(0)
    small = [Image.fromarray(random.integers(0, 256, (6, 6, 3), np.uint8)) for _ in range(2 * len(FORMS))]
    pictures = np.stack([np.asarray(image.resize((32, 32), Image.Resampling.BICUBIC)) for image in small])
    labels = np.arange(len(pictures)) // 2 % 2
    write_both(tmp_path, "train", pictures, labels, ("cat", "dog"))
    write_both(tmp_path, "test", pictures, labels, ("cat", "dog"))
    assert compared(tmp_path, "train").max() < 8  # 256 colours for a thousand; below 2 without a palette
    assert load(tmp_path / "photos").images.shape == (len(pictures), 32, 32, 3)


@pytest.mark.slow
def test_mixed_photographs_train_as_the_same_pictures_in_parquet(cifar_data, tmp_path):
    """Five thousand training pictures, as many others to validate on, five seeds each; both by one command.

    Both sources give the pictures in the same order, so that the runs of a seed differ by rounding alone.
    """
    data = load(cifar_data)
    chosen = np.random.default_rng(0).permutation(len(data))
    for split, rows in (("train", chosen[:PICTURES]), ("validation", chosen[PICTURES : 2 * PICTURES])):
        write_both(tmp_path, split, data.images[rows], data.labels[rows], data.class_names)
    assert compared(tmp_path, "train").mean() < 3
    accuracy = {}
    for name in ("photos", "tables"):
        words = ["train", name, "--recipe", "fast", "--epochs", str(EPOCHS), "--seeds", str(SEEDS)]
        command = [sys.executable, "-m", "tenfold", *words, "--name", name, "--quiet"]
        subprocess.run(command, cwd=tmp_path, check=True)
        scores = [json.loads(path.read_text()) for path in tmp_path.glob(f"runs/{name}-s*/validation.json")]
        accuracy[name] = [score["accuracy"] for score in scores]
    assert [len(found) for found in accuracy.values()] == [SEEDS, SEEDS]
    difference = np.mean(accuracy["photos"]) - np.mean(accuracy["tables"])
    assert min(map(min, accuracy.values())) > 0.4  # they did learn
    assert abs(difference) < 0.01, accuracy

"""Pixels: operations are those of Pillow, several are exact together, and chains mix by their weights."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from tenfold import pixels


@pytest.fixture
def images():
    """Photograph-like: smooth, with few very dark or bright pixels."""
    noise = np.random.default_rng(0).normal(0, 1, (6, 8, 8, 3))
    smooth = torch.nn.functional.interpolate(
        torch.from_numpy(noise).permute(0, 3, 1, 2), (40, 24), mode="bicubic"
    )
    return np.clip(smooth.permute(0, 2, 3, 1).numpy() * 40 + 120, 0, 255).astype(np.uint8)


def retouched(images, **changes):
    given = {name: torch.tensor(np.array(value, np.float32)) for name, value in changes.items()}
    return pixels.retouch(torch.from_numpy(images), **given).numpy()


def tones(n, *steps):
    """The same operations for n pictures: names and strengths."""
    numbers = [[pixels.TONES.index(name)] * n for name, _ in steps]
    return [numbers, [[strength] * n for _, strength in steps]]


def by_pillow(images, change):
    return np.stack([np.asarray(change(Image.fromarray(image))) for image in images])


def apart(one, other):
    return np.abs(one.astype(int) - other).max()


@pytest.mark.parametrize(
    ("name", "strength", "change", "off"),
    [
        ("identity", 1, lambda picture: picture, 0),
        ("posterize", 3, lambda picture: ImageOps.posterize(picture, 3), 0),
        ("solarize", 110, lambda picture: ImageOps.solarize(picture, 110), 0),
        ("autocontrast", 1, ImageOps.autocontrast, 1),
        ("brightness", 1.4, lambda picture: ImageEnhance.Brightness(picture).enhance(1.4), 1),
        ("brightness", 0.3, lambda picture: ImageEnhance.Brightness(picture).enhance(0.3), 1),
        ("contrast", 1.6, lambda picture: ImageEnhance.Contrast(picture).enhance(1.6), 2),
        ("contrast", 0.2, lambda picture: ImageEnhance.Contrast(picture).enhance(0.2), 2),
    ],
    ids=lambda value: str(value) if isinstance(value, str | int | float) else "",
)
def test_operations_on_values_are_those_of_pillow(images, name, strength, change, off):
    found = retouched(images, tones=tones(len(images), (name, strength)))
    assert found.dtype == np.uint8
    assert apart(found, by_pillow(images, change)) <= off  # Pillow cuts what is rounded here


@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 1.7])
@pytest.mark.parametrize(
    ("field", "change"), [("colour", ImageEnhance.Color), ("sharpness", ImageEnhance.Sharpness)]
)
def test_colour_and_sharpness_are_those_of_pillow(images, field, change, factor):
    found = retouched(images, **{field: [factor] * len(images)})
    assert apart(found, by_pillow(images, lambda picture: change(picture).enhance(factor))) <= 1 + (
        factor > 1
    )
    if factor == 1:
        assert (found == images).all()


def test_equalizing_uses_every_level_equally_often(images):
    found = retouched(images, tones=tones(len(images), ("equalize", 1)))
    for before, after in zip(images, found, strict=True):
        for old, new in zip(before.reshape(-1, 3).T, after.reshape(-1, 3).T, strict=True):
            assert (new.min(), new.max()) == (0, 255)
            assert (np.diff(new[np.argsort(old, kind="stable")].astype(int)) >= 0).all()  # order is kept
            commonest = np.bincount(old).max() / len(old)
            shares = [(new <= level).mean() for level in range(256)]
            assert np.abs(np.array(shares) - np.arange(256) / 255).max() <= commonest + 0.01


def test_flat_pictures_stay_flat_under_what_stretches():
    flat = np.full((2, 8, 8, 3), 77, np.uint8)
    for name in ("autocontrast", "equalize", "contrast"):
        assert (retouched(flat, tones=tones(2, (name, 1.5))) == 77).all()


def test_several_operations_in_one_table_are_one_after_the_other(images):
    steps = [("contrast", 1.5), ("posterize", 4), ("equalize", 1), ("solarize", 100)]
    one_by_one = images
    for step in steps:
        one_by_one = retouched(one_by_one, tones=tones(len(images), step))
    assert (retouched(images, tones=tones(len(images), *steps)) == one_by_one).all()


def test_every_picture_has_operations_of_its_own(images):
    numbers = [[pixels.TONES.index(name) for name in ("identity", "posterize", "solarize") * 2]]
    found = retouched(images, tones=[numbers, [[1, 2, 128] * 2]])
    for row in (0, 3):
        assert (found[row] == images[row]).all()
        assert (found[row + 1] == images[row + 1] // 64 * 64).all()
        light = images[row + 2] >= 128
        assert (found[row + 2] == np.where(light, 255 - images[row + 2], images[row + 2])).all()


def test_chains_are_mixed_by_their_weights(images):
    n = len(images)
    still = np.tile(np.eye(2, 3), (2, n, 1, 1))
    upside_down = still.copy()
    upside_down[1] = np.diag([-1, -1]) @ np.eye(2, 3)
    chains = {
        "chain_maps": upside_down,
        "chain_tones": [tones(n, ("posterize", 2)), tones(n, ("identity", 1))],
    }
    coarse, turned = images // 64 * 64, images[:, ::-1, ::-1]
    for weights, wanted in (
        ((1, 0, 0), images),
        ((0, 1, 0), coarse),
        ((0, 0, 1), turned),
        ((0.5, 0.25, 0.25), images / 2 + coarse / 4 + turned / 4),
    ):
        found = retouched(images, chain_weights=[[weight] * n for weight in weights], **chains)
        assert np.abs(found - wanted).max() <= 0.51


def test_what_comes_in_is_left_as_it_was(images):
    before = images.copy()
    everything = {"tones": tones(6, ("contrast", 2)), "colour": [0.5] * 6, "sharpness": [2] * 6}
    retouched(images, **everything)
    assert (images == before).all()

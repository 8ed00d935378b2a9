"""Pictures on the device: the same pixels as the processor makes, whatever backend holds them."""

import dataclasses
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from tenfold import augmentation
from tenfold.config import Augmentation
from tenfold.device import Pictures

BACKEND = keras.backend.backend()
EVERYTHING = Augmentation(flip="random", crop=2, rotation=10, shift=0.1, zoom=0.1, brightness=0.3, cutout=5)

here = pytest.mark.skipif(BACKEND == "tensorflow", reason="TensorFlow takes its batches from the processor")


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (40, 16, 12, 3), np.uint8)


@pytest.fixture
def pictures(images):
    return Pictures(images, np.arange(40))


def pixels(tensor):
    return keras.ops.convert_to_numpy(tensor)


def both(images, pictures, settings, side=None):
    """A batch as the processor makes it, and as the device does."""
    index = np.random.default_rng(1).permutation(len(images))[:17]
    shape = (17, *images.shape[1:])
    mirrored = np.arange(17) % 3 == 0
    drawn = augmentation.draw(settings, shape, np.random.default_rng(2), mirrored)
    batch, targets = pictures.batch(index, side, **vars(drawn))
    assert (pixels(targets) == index).all()
    made = augmentation.apply(images[index], drawn)
    return made if side is None else augmentation.shrink(made, side), pixels(batch)


@here
@pytest.mark.parametrize(
    "settings",
    [
        Augmentation(),
        Augmentation(flip="random"),
        Augmentation(flip="alternate"),
        Augmentation(crop=3),
        Augmentation(flip="alternate", crop=2),
        Augmentation(crop=30),  # mirrored more than once
        Augmentation(brightness=0.9),
        Augmentation(cutout=6),
        Augmentation(flip="both", crop=2),
        Augmentation(erasing=1.0),
        dataclasses.replace(EVERYTHING, rotation=0, shift=0, zoom=0),
    ],
    ids=lambda settings: "-".join(f"{k}{v}" for k, v in vars(settings).items() if v not in (0, "none")),
)
def test_every_pixel_is_that_of_the_processor(images, pictures, settings):
    host, device = both(images, pictures, settings)
    assert device.dtype == np.uint8
    assert (device == host).all()


@pytest.mark.skipif(BACKEND != "torch", reason="retouched under torch only")
@pytest.mark.parametrize(
    "settings",
    [
        EVERYTHING,
        Augmentation(shear=20, contrast=0.4, saturation=0.6),
        Augmentation(randaugment=3, magnitude=20),
        Augmentation(augmix=5),
    ],
    ids=["everything", "colour", "randaugment", "augmix"],
)
def test_retouching_is_the_processors_too(images, pictures, settings):
    host, device = both(images, pictures, settings)
    # A graphics processor may round a pixel the other way.
    assert np.abs(device.astype(int) - host).max() <= (0 if pictures.batch(np.arange(1))[0].is_cpu else 1)


@here
def test_small_pictures_are_off_by_a_grey_level_at_most():
    images = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), np.uint8)
    host, device = both(images, Pictures(images, np.arange(40)), Augmentation(crop=2), side=24)
    assert device.shape == (17, 24, 24, 3)
    assert device.dtype == np.uint8
    assert np.abs(device.astype(int) - host).max() <= 1


@here
@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_pictures_and_labels_are_mixed_as_by_the_processor(images, name):
    labels = np.eye(40, dtype=np.float32)
    index = np.random.default_rng(1).permutation(40)[:17]
    change = Augmentation(flip="random", **{name: 1.0})
    drawn = augmentation.draw(change, (17, *images.shape[1:]), np.random.default_rng(2))
    batch, targets = Pictures(images, labels).batch(index, **vars(drawn))
    assert (pixels(batch) == augmentation.apply(images[index], drawn)).all()
    np.testing.assert_allclose(pixels(targets), augmentation.mix(labels[index], drawn), atol=1e-6)


@here
def test_targets_may_be_one_hot(images):
    _, targets = Pictures(images, np.eye(40, dtype=np.float32)).batch(np.array([3, 1]))
    assert pixels(targets).argmax(axis=1).tolist() == [3, 1]


@pytest.mark.skipif(BACKEND != "torch", reason="starts the other backend itself")
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")
def test_all_of_this_holds_under_jax():
    files = [str(Path(__file__).with_name(name)) for name in ("test_device.py", "test_batches.py")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout

"""Small folders of pictures that look like something: smooth blobs, so that near duplicates can be told."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tenfold.images import encode_png


@pytest.fixture(scope="session")
def scenes() -> Callable[..., np.ndarray]:
    """A function that makes uint8 (n, 32, 32, 3): every picture other patches of colour with some texture."""

    def make(count: int, seed: int = 0) -> np.ndarray:
        random = np.random.default_rng(seed)
        coarse = random.uniform(20, 235, (count, 8, 8, 3)).repeat(4, axis=1).repeat(4, axis=2)
        fine = random.normal(0, 25, (count, 16, 16, 1)).repeat(2, axis=1).repeat(2, axis=2)
        return np.clip(coarse + fine, 0, 255).astype(np.uint8)

    return make


@pytest.fixture
def save(tmp_path: Path) -> Callable[[dict[str, np.ndarray]], Path]:
    """A function that writes pictures as PNG under the names given, and returns their folder."""

    def write(pictures: dict[str, np.ndarray]) -> Path:
        for name, pixels in pictures.items():
            path = tmp_path / "set" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_png(pixels))
        return tmp_path / "set"

    return write


@pytest.fixture
def two_classes(scenes: Callable[..., np.ndarray]) -> dict[str, np.ndarray]:
    """Twelve training and four test pictures of cats and dogs, all different."""
    names = [f"train/{name}/{i}.png" for name in ("cat", "dog") for i in range(6)]
    names += [f"test/{name}/{i}.png" for name in ("cat", "dog") for i in range(2)]
    return dict(zip(names, scenes(len(names)), strict=True))

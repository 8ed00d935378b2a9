"""What several test files share: real data where it is at hand, and small folders of pictures."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tenfold.images import encode_png


@pytest.fixture(scope="session")
def data_home() -> Path:
    """The folder that TENFOLD_DATA names, with CIFAR-10 and the other real sets in it."""
    home = os.environ.get("TENFOLD_DATA")
    if not home or not Path(home).is_dir():
        pytest.skip("TENFOLD_DATA names no folder with real data")
    return Path(home)


@pytest.fixture(scope="session")
def cifar_data(data_home: Path) -> Path:
    """The folder of CIFAR-10 in parquet."""
    if not any((data_home / "cifar10").glob("train-*.parquet")):
        pytest.skip("$TENFOLD_DATA/cifar10 holds no parquet files")
    return data_home / "cifar10"


@pytest.fixture
def picture_folder(tmp_path: Path) -> Callable[..., Path]:
    """A function that fills a folder: `picture_folder({"train/cat": 3}, size=(8, 8))` writes three PNGs."""

    def fill(counts: dict[str, int], size: tuple[int, int] = (8, 8), name: str = "set") -> Path:
        random = np.random.default_rng(0)
        for place, count in counts.items():
            (tmp_path / name / place).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                pixels = random.integers(0, 256, (size[1], size[0], 3), np.uint8)
                (tmp_path / name / place / f"{number}.png").write_bytes(encode_png(pixels))
        return tmp_path / name

    return fill

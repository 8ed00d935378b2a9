"""Miniature sets in MNIST's format, for several test files."""

import gzip
import struct
from pathlib import Path

import numpy as np

GREY = np.random.default_rng(0).integers(0, 256, (14, 28, 28), np.uint8)
LABELS = np.arange(14, dtype=np.uint8) % 10


def packed(array: np.ndarray) -> bytes:
    """An idx file: magic number, sizes with the high byte first, bytes."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def write(folder: Path, *, ending: str = ".gz", dot: bool = False, **changes: bytes | None) -> Path:
    """The four files with ten training and four test pictures."""
    contents = {
        "train-images-idx3-ubyte": packed(GREY[:10]),
        "train-labels-idx1-ubyte": packed(LABELS[:10]),
        "t10k-images-idx3-ubyte": packed(GREY[10:]),
        "t10k-labels-idx1-ubyte": packed(LABELS[10:]),
    }
    contents |= {name.replace("_", "-"): content for name, content in changes.items()}
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        if content is not None:
            spelled = name.replace("-idx", ".idx") if dot else name
            data = gzip.compress(content, 1) if ending else content
            (folder / f"{spelled}{ending}").write_bytes(data)
    return folder

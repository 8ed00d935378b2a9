"""A network of 100 kB in 8-bit integers, for the smallest devices; best with a teacher.

    tenfold train --recipe micro --teacher runs/fast
    tenfold export runs/micro --format onnx litert --int8

The network of `fast`, narrow: 72 thousand weights, a byte each once exported, in a file below 100,000 bytes.
So little holds no more than it must: labels are not smoothed, pictures are cropped and mirrored and no more,
and it sees them many times, as a patient teacher wants (Beyer et al., arXiv:2106.05237). MLPerf Tiny asks for
85 % at this size. Accuracy, time and bytes, with and without a teacher: docs/results.md.
"""

import dataclasses

from tenfold.config import Config
from tenfold.recipes import fast


def recipe() -> Config:
    return dataclasses.replace(
        fast.recipe(),
        recipe="micro",
        model_options={"stem": 12, "width": 0.1875, "depth": 2},
        label_smoothing=0.0,
        epochs=120,
        batch_size=256,
    )

"""RandAugment and AugMix: a few random operations on each picture, brought into as few passes as can be.

All operations of a picture that move it become one affine map, and all that change its values one lookup
table; those that need a pixel's neighbours or its other colours are one factor each. Order is kept within
each kind only. What comes into view is filled by the edge, where the papers leave it grey or black.
"""

import functools
from collections.abc import Sequence

import numpy as np

from tenfold import pixels

RANDAUGMENT = (
    "identity",
    "autocontrast",
    "equalize",
    "rotate",
    "solarize",
    "color",
    "posterize",
    "contrast",
    "brightness",
    "sharpness",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
)
"""The paper's operations; for what each does at which strength, see torchvision's `RandAugment`."""

AUGMIX = (
    "autocontrast",
    "equalize",
    "posterize",
    "rotate",
    "solarize",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
)
"""The paper's operations: none that is among the corruptions of CIFAR-10-C."""

_DEGREES, _SHEAR, _FACTOR = 30.0, 0.3, 0.9  # of an operation at full strength
_WIDTH, _DEPTH = 3, 3  # AugMix: chains, and operations in each at most


def randaugment(
    count: int, magnitude: float, n: int, aspect: float, generator: np.random.Generator
) -> dict[str, np.ndarray]:
    """Draws RandAugment for n pictures: operations at random, all of one strength.

    Source: E. D. Cubuk, B. Zoph, J. Shlens and Q. V. Le, RandAugment: practical automated data augmentation
    with a reduced search space, arXiv:1909.13719.

    Args:
        count: operations on each picture, drawn with replacement.
        magnitude: strength, 0 to 30.
        n: pictures.
        aspect: their height over their width.
        generator: where all randomness comes from.

    Returns:
        float64: maps (n, 3, 3), and `tones`, `colour`, `sharpness` as in `Changes`.
    """
    chosen = _chosen(RANDAUGMENT, (count, n), generator)
    level = np.full(chosen.shape, magnitude / 30)
    signed = level * _signs(chosen.shape, generator)
    strength = np.select(
        [chosen == "posterize", chosen == "solarize"],
        [8 - np.rint(4 * level), 256 * (1 - level)],  # bits that are left, the value to turn from
        1 + _FACTOR * signed,
    )
    return {
        "maps": _moved(chosen, signed, aspect, 150 / 331),  # torchvision's reach, from ImageNet's pictures
        "tones": toned(chosen, strength),
        "colour": np.where(chosen == "color", strength, 1).prod(axis=0),
        "sharpness": np.where(chosen == "sharpness", strength, 1).prod(axis=0),
    }


def augmix(severity: float, n: int, aspect: float, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Draws AugMix for n pictures: chains of up to three operations, mixed with each other and the picture.

    The paper's loss, which also asks for like answers to three mixtures, is left out: it triples the cost.

    Source: D. Hendrycks, N. Mu, E. D. Cubuk, B. Zoph, J. Gilmer and B. Lakshminarayanan, AugMix: a simple
    data processing method to improve robustness and uncertainty, arXiv:1912.02781.

    Args:
        severity: strength of the operations at most, above 0.1 and up to 10.
        n, aspect, generator: as in `randaugment`.

    Returns:
        float64: `chain_maps`, `chain_tones` and `chain_weights` as in `Changes`.
    """
    chosen = _chosen(AUGMIX, (_WIDTH, _DEPTH, n), generator)
    depth = generator.integers(1, _DEPTH + 1, (_WIDTH, 1, n))
    chosen = np.where(np.arange(_DEPTH)[:, None] < depth, chosen, "identity")
    level = generator.uniform(0.1, severity, chosen.shape) / 10
    signed = level * _signs(chosen.shape, generator)
    strength = np.where(chosen == "posterize", 4 - np.floor(4 * level), 256 * (1 - level))
    among = generator.dirichlet(np.ones(_WIDTH), n).T
    kept = generator.beta(1, 1, n)
    return {
        "chain_maps": np.stack(
            [_moved(names, by, aspect, 1 / 3)[:, :2] for names, by in zip(chosen, signed, strict=True)]
        ),
        "chain_tones": np.stack([toned(names, by) for names, by in zip(chosen, strength, strict=True)]),
        "chain_weights": np.concatenate([kept[None], (1 - kept) * among]),
    }


def toned(chosen: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """Operations as `Changes.tones` holds them: (2, k, n).

    Args:
        chosen: str (k, n); what is not in `pixels.TONES` leaves values as they are.
        strength: (k, n).
    """
    numbers = np.zeros(chosen.shape)
    for number, name in enumerate(pixels.TONES):
        numbers[chosen == name] = number
    return np.stack([numbers, strength])


def still(n: int) -> np.ndarray:
    """Maps (n, 3, 3) that leave every place where it is."""
    return np.tile(np.eye(3), (n, 1, 1))


def _chosen(names: Sequence[str], shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    return np.array(names)[generator.integers(0, len(names), shape)]


def _signs(shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    return 2.0 * generator.integers(0, 2, shape) - 1


def _moved(chosen: np.ndarray, signed: np.ndarray, aspect: float, reach: float) -> np.ndarray:
    """The maps (n, 3, 3) of those of the operations (k, n) that move a picture, one after the other.

    Args:
        chosen: str (k, n).
        signed: strengths (k, n), -1 to 1.
        aspect: height over width.
        reach: fraction of the picture that a translation at full strength goes.
    """

    def by(name: str) -> np.ndarray:
        return np.where(chosen == name, signed, 0)

    angle = np.deg2rad(_DEGREES * by("rotate"))
    steps = np.tile(np.eye(3), (*chosen.shape, 1, 1))  # each holds one operation: they share its places
    steps[..., 0, 0] = steps[..., 1, 1] = np.cos(angle)
    steps[..., 0, 1] = (_SHEAR * by("shear_x") - np.sin(angle)) * aspect
    steps[..., 1, 0] = (_SHEAR * by("shear_y") + np.sin(angle)) / aspect
    steps[..., 0, 2], steps[..., 1, 2] = 2 * reach * by("translate_x"), 2 * reach * by("translate_y")
    return functools.reduce(np.matmul, steps)

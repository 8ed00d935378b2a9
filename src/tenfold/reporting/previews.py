"""Augmentation as a figure: training pictures, and beside each what training sees of it."""

import itertools
import textwrap
from typing import TYPE_CHECKING

import numpy as np

from tenfold import augmentation
from tenfold.config import Config, levels
from tenfold.datasets import Dataset
from tenfold.reporting import plots
from tenfold.reporting.plots import LIGHT, Theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LETTERS = 11  # of a title, an inch
_LEAST = 0.005  # share of a class that is worth a line


def preview(
    dataset: Dataset, settings: Config, *, pictures: int = 6, draws: int = 7, theme: Theme = LIGHT
) -> "Figure":
    """Training pictures in the first column, and in each of the others a draw of their augmentation.

    Drawn as for training, but for a batch of these pictures alone: they are mixed with each other.

    Args:
        dataset: the training pictures.
        settings: what to draw, and the seed.
        pictures: rows, of as many classes as there are.
        draws: columns beside the first.
        theme: colours.
    """
    index = _chosen(dataset.labels, pictures, settings.seed)
    originals = dataset.images[index]
    labels = np.eye(len(dataset.class_names), dtype=np.float32)[dataset.labels[index]]
    columns = [list(originals)]
    captions = [[plots.short(dataset.class_names[label]) for label in dataset.labels[index]]]
    for number in range(draws):
        drawn = _drawn(settings, index, number, dataset)
        columns.append(list(augmentation.apply(originals, drawn)))
        mixed = augmentation.mix(labels, drawn)
        captions.append(
            [_shares(row, dataset.class_names) if settings.augmentation.mixes else "" for row in mixed]
        )
    figure = plots.picture_grid(
        [picture for row in zip(*columns, strict=True) for picture in row],
        [caption for row in zip(*captions, strict=True) for caption in row],
        columns=draws + 1,
        theme=theme,
    )
    asked = levels.spell(settings.augmentation).replace(",", ", ")
    _headline(figure, f"Augmentation: {asked}; seed {settings.seed}", theme)
    return figure


def _chosen(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Places of pictures, class after class in turns."""
    generator = np.random.default_rng([seed, 0x5E7])
    order = generator.permutation(len(labels))
    classes = [order[labels[order] == label] for label in generator.permutation(np.unique(labels))]
    turns = itertools.chain.from_iterable(itertools.zip_longest(*classes))
    return np.fromiter(itertools.islice((row for row in turns if row is not None), count), np.int64)


def _drawn(settings: Config, index: np.ndarray, number: int, dataset: Dataset) -> augmentation.Changes:
    change = settings.augmentation
    mirrored = None
    if change.flip == "alternate":
        mirrored = augmentation.alternating(index, number, settings.seed, len(dataset))
    generator = np.random.default_rng([settings.seed, number, 0])
    return augmentation.draw(change, (len(index), *dataset.images.shape[1:]), generator, mirrored)


def _shares(label: np.ndarray, class_names: tuple[str, ...]) -> str:
    """The classes of a mixed picture, the larger first: two at most."""
    largest = [place for place in np.argsort(-label, kind="stable")[:2] if label[place] >= _LEAST]
    return "\n".join(f"{plots.short(class_names[place])} {label[place]:.0%}" for place in largest)


def _headline(figure: "Figure", text: str, theme: Theme) -> None:
    """Puts a title above a grid of pictures, which fills its figure so far."""
    width, height = figure.get_size_inches()
    lines = textwrap.wrap(text, int(_LETTERS * width), break_on_hyphens=False)
    taller = height + 0.15 + 0.19 * len(lines)
    figure.set_size_inches(width, taller)
    figure.axes[0].set_position((0, 0, 1, height / taller))
    left, top = 0.1 / width, 1 - 0.1 / taller
    figure.text(left, top, "\n".join(lines), color=theme.ink, fontsize=10, va="top", parse_math=False)

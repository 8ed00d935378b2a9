"""Explanations as figures: the words and numbers they were given, in both themes and with any class names."""

from pathlib import Path

import numpy as np
import pytest

from tenfold.explanation import Explanation, Neighbour, Overview
from tenfold.reporting import heatmaps, plots

NAMES = ("cat", "$dog$", "a class with a long name")


def explanation(neighbours=3, side=12):
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (side, side, 3), np.uint8)
    heat = np.zeros((side, side), np.float32)
    heat[2:4, 3:5] = 1
    near = tuple(Neighbour(f"train/{i}.png", NAMES[i % 3], 0.9 - i / 10, image) for i in range(neighbours))
    top = (("cat", 0.7), ("$dog$", 0.2), (NAMES[2], 0.1))
    return Explanation(
        Path("holiday/cat.jpg"), "cat", 0.7, top, ("$dog$", 0.2), "layercam", image, heat, (0.05, 0.25), near
    )


def overview():
    random = np.random.default_rng(0)
    labels = np.arange(30) % 3
    return Overview(
        class_names=NAMES,
        split="validation",
        filters=random.random((5, 3, 3, 3), np.float32),
        images=random.integers(0, 256, (2, 12, 12, 3), np.uint8),
        maps=(random.random((2, 10, 10, 8), np.float32), random.random((2, 5, 5, 4), np.float32)),
        points=random.normal(size=(30, 2)).astype(np.float32),
        labels=labels,
        predicted=np.where(np.arange(30) < 4, (labels + 1) % 3, labels),
        ids=tuple(map(str, range(30))),
        notes=(),
    )


def words(figure):
    from matplotlib.text import Text

    return " ".join(text.get_text() for text in figure.findobj(Text))


def test_heat_has_colour_and_the_rest_stays_grey():
    item = explanation()
    shown = heatmaps.overlay(item.image, item.heat)
    assert shown.dtype == np.uint8
    cold = shown[item.heat == 0]
    assert (cold == cold[:, :1]).all()
    assert (np.ptp(shown[item.heat == 1], axis=1) > 20).all()


@pytest.mark.parametrize("theme", [plots.LIGHT, plots.DARK])
@pytest.mark.parametrize("neighbours", [0, 3, 11])
def test_an_explanation_shows_what_it_says(theme, neighbours):
    figure = heatmaps.explained(explanation(neighbours), theme=theme)
    said = words(figure)
    for word in (
        "cat.jpg",
        "what speaks for $dog$",
        "LayerCAM. From 20% to 5%",
        "to 25%",
        "70.0%",
        "12 x 12",
    ):
        assert word in said
    assert said.count(".png") == neighbours
    assert ("finds most similar" in said) == (neighbours > 0)
    assert plots.png(figure).startswith(b"\x89PNG")


def test_the_overview_becomes_three_figures():
    found = overview()
    kernels = heatmaps.filters(found.filters)
    maps = heatmaps.feature_maps(found)
    points = heatmaps.feature_map(found)
    assert "3 x 3" in words(kernels)
    assert all(size in words(maps) for size in ("10 x 10", "5 x 5"))
    assert "30 validation pictures" in words(points)
    assert "4 mistakes" in words(points)
    assert all(name in words(points) for name in NAMES[:2])
    for figure in (kernels, maps, points):
        assert plots.png(figure).startswith(b"\x89PNG")


def test_more_classes_than_colours_can_be_drawn():
    found = overview()
    many = Overview(**{**vars(found), "class_names": tuple(f"class {i}" for i in range(30))})
    assert plots.png(heatmaps.feature_map(many))

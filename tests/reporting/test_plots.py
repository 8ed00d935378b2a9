"""Plots: each shows the numbers it was given, in both themes, whatever the classes are called."""

import io
import sys

import numpy as np
import pytest
from PIL import Image

from tenfold.reporting import plots

HISTORY = [
    {"epoch": 1.0, "accuracy": 0.5, "loss": 1.5, "val_accuracy": 0.4, "val_loss": 1.8},
    {"epoch": 2.0, "accuracy": 0.75, "loss": 0.9, "val_accuracy": 0.6, "val_loss": float("nan")},
]
REPORT = {
    "cat": {"precision": 0.5, "recall": 0.25, "f1-score": 0.333},
    "dog": {"precision": 1.0, "recall": 0.75, "f1-score": 0.857},
    "accuracy": 0.6,
}


def test_curves_draw_both_series_and_the_kept_epoch():
    axes = plots.curves(HISTORY, "accuracy", kept=2).axes[0]
    lines = {line.get_label(): line.get_ydata() for line in axes.lines}
    assert list(lines["training"]) == [50, 75]
    assert list(lines["validation"]) == [40, 60]
    assert list(axes.lines[-1].get_xdata()) == [2, 2]


def test_curves_leave_out_what_is_not_there():
    axes = plots.curves(HISTORY, "loss").axes[0]
    assert list(axes.lines[1].get_ydata()) == [1.8]
    axes = plots.curves([{"epoch": 1.0, "loss": 2.0}], "loss").axes[0]
    assert [line.get_label() for line in axes.lines] == ["training"]
    assert plots.png(plots.curves([], "loss"))


def test_confusion_writes_every_count_and_shades_by_share():
    matrix = np.array([[8, 2], [0, 4]])
    figure = plots.confusion(matrix, ["cat", "dog"])
    assert [text.get_text() for text in figure.axes[0].texts] == ["8", "2", "4"]
    shades = plots.opacity(matrix)
    assert shades[1, 1] > shades[0, 0] > 0
    assert shades[1, 0] == 0
    assert shades.max() <= 0.6
    assert (plots.opacity(np.zeros((3, 3), int)) == 0).all()


def test_class_bars_put_the_best_f1_on_top():
    axes = plots.class_bars(REPORT, ["cat", "dog", "accuracy"]).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog"]
    assert [bar.get_width() for bar in axes.patches[:2]] == [50, 100]


def test_class_bars_of_many_classes_keep_the_weakest():
    rows = {f"c{i}": {"precision": 0.5, "recall": 0.5, "f1-score": i / 100} for i in range(100)}
    axes = plots.class_bars(rows, list(rows)).axes[0]
    assert len(axes.get_yticklabels()) == plots.MOST_CLASSES
    assert axes.get_yticklabels()[0].get_text() == "c0"


def test_picture_grid_holds_every_picture():
    images = np.zeros((5, 8, 6, 3), np.uint8)
    axes = plots.picture_grid(images, [f"p{i}\nline" for i in range(5)], columns=3).axes[0]
    assert len(axes.images) == 5
    assert [text.get_text() for text in axes.texts] == [f"p{i}\nline" for i in range(5)]
    left, right, bottom, top = axes.images[4].get_extent()
    assert right - left == pytest.approx(0.75 * (top - bottom))


@pytest.mark.parametrize("theme", [plots.LIGHT, plots.DARK])
def test_words_and_lines_stand_out_from_the_page(theme):
    """Contrast after WCAG 2.1: 4.5 for words, 3 for lines and bars."""
    for colour, least in (
        (theme.ink, 4.5),
        (theme.muted, 4.5),
        (theme.blue, 3),
        (theme.orange, 3),
        (theme.green, 3),
    ):
        assert contrast(colour, theme.paper) >= least


def contrast(one, other):
    def luminance(colour):
        values = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("name", ["$\\frac{", "名前", "<b>", "x" * 200, ""])
def test_any_class_name_can_be_drawn(name):
    matrix = np.array([[1, 2], [3, 4]])
    assert plots.png(plots.confusion(matrix, [name, "b"]))
    assert plots.png(plots.class_bars({name: REPORT["cat"]}, [name]))
    assert plots.png(plots.picture_grid(np.zeros((1, 4, 4, 3), np.uint8), [name]))


def test_png_is_opaque_and_svg_is_transparent_and_repeatable():
    figure = plots.curves(HISTORY, "loss", theme=plots.DARK)
    with Image.open(io.BytesIO(plots.png(figure))) as picture:
        assert picture.convert("RGBA").getpixel((0, 0)) == (0x17, 0x1C, 0x24, 255)
    assert plots.svg(plots.curves(HISTORY, "loss")) == plots.svg(plots.curves(HISTORY, "loss"))


def test_pyplot_is_never_loaded():
    import subprocess

    code = (
        "import sys; from tenfold.reporting import plots;"
        "plots.png(plots.curves([{'epoch': 1, 'loss': 1}], 'loss'));"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

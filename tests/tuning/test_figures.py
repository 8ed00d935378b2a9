"""The plots of a study."""

import pytest

from tenfold.reporting.plots import svg
from tenfold.tuning import figures, space
from tenfold.tuning.study import Study, Trial, library

MADE = [("finished", 0.6), ("finished", 0.5), ("pruned", 0.4), ("finished", 0.7), ("failed", None)]


@pytest.fixture
def study(settings, tmp_path):
    trials = [
        Trial(number, state, number == 0, {}, accuracy, None, 4, 1.0, "")
        for number, (state, accuracy) in enumerate(MADE)
    ]
    return Study(tmp_path, settings, tuple(trials), 5.0)


def test_the_history_shows_all_trials_and_the_best_so_far(study):
    figure = figures.history(study)
    (axes,) = figure.axes
    best, start = axes.lines
    assert list(best.get_ydata()) == pytest.approx([60, 60, 70, 70])
    assert list(best.get_xdata()) == [0, 1, 3, 4]
    assert start.get_ydata()[0] == 60
    assert [len(dots.get_offsets()) for dots in axes.collections] == [1, 3]
    assert svg(figure) == svg(figures.history(study))


def test_importance_finds_the_one_setting_that_matters(settings):
    opened = library().create_study(direction="maximize", sampler=library().samplers.RandomSampler(seed=0))
    assert figures.importance(opened) == {}
    for _ in range(24):
        trial = opened.ask(space.distributions(settings.space))
        opened.tell(trial, 0.9 if trial.params["schedule"] == "linear" else 0.3)
    shares = figures.importance(opened)
    assert next(iter(shares)) == "schedule"
    assert sum(shares.values()) == pytest.approx(1)
    (axes,) = figures.bars(shares).axes
    assert [text.get_text() for text in axes.get_yticklabels()][-1] == "schedule"

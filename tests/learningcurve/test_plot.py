"""The plot of a learning curve: the points, the law, its interval and the target."""

from tenfold import learningcurve
from tenfold.reporting.plots import png


def test_it_shows_what_was_measured_and_looks_ahead(curve):
    figure = learningcurve.chart(curve, target=0.95)
    (axes,) = figure.axes
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["95 % interval", "power law", "measured", "all there are", "95 % right"]
    law = next(line for line in axes.get_lines() if line.get_label() == "power law")
    assert law.get_xdata()[-1] > 3.9 * curve.most
    measured = next(line for line in axes.get_lines() if line.get_label() == "measured")
    assert list(measured.get_xdata()) == [point.pictures for point in curve.points]
    assert png(figure).startswith(b"\x89PNG")

"""The plot of a bench."""

from tenfold.bench import Row
from tenfold.bench.chart import chart
from tenfold.reporting import plots


def row(file, runtime, threads, latency=None, note=""):
    rates = {"1": 90.0, "64": 900.0, "256": 1000.0}
    return Row(
        file,
        9,
        runtime,
        "float32",
        threads,
        latency,
        latency and 2 * latency,
        rates if latency else {},
        note=note,
    )


def test_it_shows_each_form_with_each_number_of_threads():
    rows = [row("model.keras", "keras", 1, 0.02), row("model.keras", "keras", 2, 0.015)]
    rows += [row("m.onnx", "onnxruntime", 1, 0.001), row("m.onnx", "onnxruntime", 2, 0.0006)]
    rows += [row("m.tflite", "tensorflow", 1, note="not installed")]
    figure = chart(rows)
    left, right = figure.axes
    assert [text.get_text() for text in left.get_yticklabels()] == [
        "model.keras, keras",
        "m.onnx, onnxruntime",
    ]
    assert [list(line.get_xdata()) for line in left.lines] == [[20, 1], [15, 0.6]]
    assert [bar.get_width() for bar in right.patches] == [1000] * 4
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["1 thread", "2 threads"]
    assert plots.svg(figure) == plots.svg(chart(rows))

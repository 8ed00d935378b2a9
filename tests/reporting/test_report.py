"""The report: one safe, whole page that says what the run's files say, and what they lack."""

import dataclasses
import html.parser
import io
import itertools
import json
import re

import numpy as np
import pytest
from PIL import Image

from digits_run import build, digits
from tenfold import abstention, calibration
from tenfold.baselines import baselines
from tenfold.config import Config
from tenfold.evaluation import evaluate, wilson
from tenfold.reporting import plots, report
from tenfold.reporting.views import duration, magnitude, settings
from tenfold.robustness import robustness

VOID = {"meta", "img", "source", "br", "wbr", "link", "input", "hr"}


class Reader(html.parser.HTMLParser):
    """Reads a page: its words, its tags with attributes, and whether they nest."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.words, self.faults = [], [], [], []
        self.feed(page)
        self.close()
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append((tag, self.getpos()))

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.words.append(data)

    def attributes(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def read(run):
    return Reader(report(run).read_text(encoding="utf-8"))


def test_page_is_well_formed_html(page):
    reader = Reader(page)
    assert page.startswith("<!doctype html>")
    assert reader.faults == []
    assert reader.open == []
    ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = [a["href"] for a in reader.attributes("a")]
    assert targets
    assert {target.removeprefix("#") for target in targets} <= set(ids)


def test_page_needs_nothing_but_itself(page):
    reader = Reader(page)
    assert not re.search(r"https?://|[\"'(=]\s*//", page)
    assert not {tag for tag, _ in reader.tags} & {"script", "link", "iframe", "object", "form", "base"}
    assert "@import" not in page
    assert "url(" not in page
    sources = [a["src"] for a in reader.attributes("img")] + [
        a["srcset"] for a in reader.attributes("source")
    ]
    assert all(source.startswith("data:image/") for source in sources)
    (policy,) = [a["content"] for a in reader.attributes("meta") if "http-equiv" in a]
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert not any(name.startswith("on") for _, attributes in reader.tags for name in attributes)


def test_page_is_small(page):
    assert len(page.encode()) < 3_000_000


def test_every_picture_has_words_and_every_table_its_headers(page):
    reader = Reader(page)
    assert all(a.get("alt") for a in reader.attributes("img"))
    assert all(a.get("scope") in ("row", "col") for a in reader.attributes("th"))
    levels = [int(tag[1]) for tag, _ in reader.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


@pytest.mark.parametrize("split", ["validation", "test"])
def test_numbers_are_those_of_the_score_file(digits_run, page, split):
    text = Reader(page).text.replace("\u00a0", " ")
    scores = json.loads((digits_run.path / f"{split}.json").read_text())
    low, high = scores["accuracy_interval"]
    assert (
        f"{100 * scores['accuracy']:.1f} % of {scores['pictures']} {split} pictures right "
        f"(95 % interval {100 * low:.1f} to {100 * high:.1f} %)."
    ) in text
    for name in scores["class_names"]:
        row = scores["report"][name]
        low, high = wilson(round(row["recall"] * row["support"]), int(row["support"]))
        numbers = (
            f"{row['precision']:.3f} {row['recall']:.3f} {low:.3f}\u2013{high:.3f} {row['f1-score']:.3f} "
            f"{row['support']:.0f}"
        )
        assert f"{name} {numbers}" in text
    for i, row in enumerate(scores["confusion"]):
        assert f"{scores['class_names'][i]} {' '.join(map(str, row))}" in text
    average = scores["report"]["weighted avg"]
    assert f"weighted avg {average['precision']:.3f} {average['recall']:.3f}" in text


def test_views_are_told_beside_the_plain_score(make_run, unplotted):
    run = make_run(test=True, views="shift")
    text = read(run).text.replace("\u00a0", " ")
    scores = run.scores("test")
    averaged = scores["views"]
    low, high = averaged["accuracy_interval"]
    assert averaged["accuracy"] != scores["accuracy"]
    assert f"Test accuracy {100 * scores['accuracy']:.1f} %" in text
    assert (
        f"by the mean of 6 views of each, {100 * averaged['accuracy']:.1f} % "
        f"({100 * low:.1f} to {100 * high:.1f} %)."
    ) in text
    assert f"Accuracy by 6 views, test {100 * averaged['accuracy']:.1f} %" in text
    assert "497 pictures, also by the views of “shift”" in text


def test_settings_versions_hashes_and_speed_are_told(digits_run, page):
    text = Reader(page).text
    for entry in digits_run.splits["splits"].values():
        assert entry["sha256"] in text
    assert "tenfold train digits --epochs 3" in text
    assert "epochs 3 instead of 10" in text
    assert "crop 1 instead of 0" in text
    assert "keras 3.15.1" in text
    assert "5,002 images/s" in text
    assert "4.5 s" in text
    assert "73,098" in text
    assert "530 MB" in text
    assert "One note." in text
    assert "looked at its test pictures once" in text


def test_galleries_show_pictures_under_their_true_and_predicted_names(digits_run, page):
    answers = digits_run.predictions("validation")
    names = digits_run.class_names
    cards = re.findall(r'<figure class="card p(\d+)-(\d+)"><img src="([^"]+)".*?</figure>', page, re.S)
    blocks = re.findall(r'<figure class="card.*?</figure>', page, re.S)
    told = {
        re.search(r'title="([^"]+)"', block)[1]: (card, block)
        for card, block in zip(cards, blocks, strict=True)
    }
    images, rows = digits_run.gallery("validation")
    mistakes = 0
    for image, row in zip(images, rows, strict=True):
        (true, predicted, source), block = told[answers["ids"][row]]
        assert (int(true), int(predicted)) == (answers["labels"][row], answers["predicted"][row])
        words = " ".join(Reader(block).text.split())
        sure = f"{100 * answers['probabilities'][row].max():.1f}\u00a0% sure"
        wrong = true != predicted
        mistakes += wrong
        said = f"is {names[int(true)]} said {names[int(predicted)]}" if wrong else names[int(true)]
        assert words.startswith(f"{said} {sure.split()[0]}")
        assert (decode(source) == image).all()
    assert mistakes == min(96, (answers["labels"] != answers["predicted"]).sum())


def decode(source):
    import base64

    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source.split(",")[1]))))


def test_plots_are_written_as_png_files(digits_run, page):
    names = {path.name for path in (digits_run.path / "plots").iterdir()}
    kinds = ("classes", "confusion", "wrong", "right", "reliability", "coverage")
    split_plots = {f"{kind}-{split}.png" for kind in kinds for split in ("validation", "test")}
    assert names == {"accuracy.png", "loss.png", "samples.png", *split_plots}
    for name in names:
        with Image.open(digits_run.path / "plots" / name) as picture:
            picture.load()
            assert picture.format == "PNG"
            assert np.asarray(picture.convert("L")).std() > 3


def test_the_same_run_gives_the_same_bytes(digits_run, page):
    assert report(digits_run).read_text(encoding="utf-8") == page


def test_hostile_names_are_shown_as_text(make_run):
    long = "an unusually long class name that no axis has room for"
    names = ("<b>bold</b>", '"><script>alert(1)</script>', "$\\frac{", "a & b", "名前", "accuracy", long,
             "{{ 7 * 7 }}", "nine", "//host/x")  # fmt: skip
    run = make_run(names=names, config=Config(data="<i>digits</i>", epochs=3))
    page = report(run).read_text(encoding="utf-8")
    reader = Reader(page)
    assert reader.faults == []
    assert not {"script", "b0", "i0"} & {tag for tag, _ in reader.tags}
    assert "<b>bold" not in page
    assert "<i>digits" not in page
    for name in names:
        assert name in reader.text or name in " ".join(reader.words)


@pytest.fixture
def unplotted(monkeypatch):
    """Leaves out the drawing, which takes most of the time, where a test is not about plots."""
    for kind in ("png", "svg"):
        monkeypatch.setattr(plots, kind, lambda *args, **options: b"")


def test_a_run_without_validation_says_so(make_run):
    run = make_run(validation=False)
    text = read(run).text
    assert "no pictures were held back from training ( --val-split 0 )" in text
    assert "No validation" in text
    assert f"tenfold evaluate {run.path} --split test" in text
    assert "Without validation pictures there are no validation curves" in text
    assert "This run has not been evaluated" in text


def test_a_run_not_yet_scored_on_test_gives_the_command(make_run, unplotted):
    run = make_run()
    text = read(run).text
    assert "The test pictures have not been looked at." in text
    assert f"tenfold evaluate {run.path} --split test" in text
    assert "Looks at the test pictures None." in text


@pytest.mark.parametrize(
    "missing",
    ["config.yaml", "command.txt", "environment.json", "data.json", "splits.json", "history.csv",
     "summary.json", "validation.json", "events.jsonl", "gallery", "predictions.parquet"],
)  # fmt: skip
def test_a_missing_file_leaves_a_page_without_it(make_run, unplotted, missing):
    run = make_run()
    path = run.path / missing
    if path.is_dir():
        path.rename(run.path / "elsewhere")
    else:
        path.unlink()
    reader = read(run)
    assert reader.faults == []
    assert "Validation accuracy" in reader.text


@pytest.mark.parametrize(
    "name", ["data.json", "summary.json", "environment.json", "history.csv", "config.yaml"]
)
def test_a_file_cut_short_counts_as_missing(make_run, unplotted, name):
    run = make_run()
    content = (run.path / name).read_bytes()
    (run.path / name).write_bytes(content[: len(content) // 2])
    assert "Validation accuracy" in read(run).text


def test_an_empty_run_folder_still_gives_a_page(make_run):
    run = make_run()
    for path in [path for path in run.path.rglob("*") if path.is_file() and path.name != "config.yaml"]:
        path.unlink()
    text = read(run).text
    assert "No epoch is finished yet" in text
    assert "Not finished" in text
    assert "No training pictures were kept" in text


def test_large_pictures_and_many_classes_stay_under_three_megabytes(make_run):
    from tenfold.datasets.dataset import Dataset
    from tenfold.evaluation import evaluate

    run = make_run(validation=False)
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 100
    images = rng.integers(0, 256, (400, 160, 120, 3), np.uint8)  # noise: nothing compresses worse
    names = tuple(f"class {c}" for c in range(100))
    data = Dataset(images, labels, names, tuple(map(str, range(400))))
    probabilities = np.full((400, 100), 0.1 / 99, np.float32)
    probabilities[np.arange(400), (labels + (np.arange(400) >= 200)) % 100] = 0.9
    scored = evaluate(lambda _: probabilities, data)
    run.save_evaluation("validation", scored.to_dict(), scored.predictions(), images)
    path = report(run)
    assert path.stat().st_size < 3_000_000
    assert Reader(path.read_text(encoding="utf-8")).faults == []


def test_the_page_reads_no_data_source(make_run, unplotted, monkeypatch):
    from tenfold import datasets

    def fail(*args, **kwargs):
        raise AssertionError("the report opened the data source")

    run = make_run(test=True)
    for name in ("find", "load"):
        if hasattr(datasets, name):
            monkeypatch.setattr(datasets, name, fail)
    report(run)


def test_settings_name_the_defaults_they_differ_from():
    rows = {name: (value, default) for name, value, default in settings(Config(epochs=3, image_size=24))}
    assert rows["epochs"] == ("3", "10")
    assert rows["image_size"] == ("24", "none")
    assert rows["augmentation.flip"] == ("none", None)
    assert rows["model_options"] == ("none", None)


@pytest.mark.parametrize(
    ("seconds", "words"), [(8.24, "8.2 s"), (60, "1 min 0 s"), (872.4, "14 min 32 s"), (7322, "2 h 2 min")]
)
def test_duration_in_words(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(("number", "words"), [(0, "0"), (999, "999"), (73098, "73.1 k"), (4.56e8, "456 M")])
def test_magnitude_in_words(number, words):
    assert magnitude(number) == words


@pytest.fixture(scope="module")
def closer(tmp_path_factory):
    run = build(tmp_path_factory.mktemp("closer"), test=True)
    data = digits()
    found = evaluate(data.predict, data.validation)
    threshold = abstention.threshold(found.probabilities, found.labels, 0.05)
    told = abstention.answered(found.probabilities, found.labels, threshold)
    found = dataclasses.replace(found, answered=told)
    run.save_evaluation("validation", found.to_dict(), found.predictions(), data.validation.images)
    fitted = calibration.fit(found.probabilities, found.labels)
    run.write("calibration.json", {**fitted.to_dict(), "familiarity": None})
    sturdy = robustness(data.predict, data.validation, limit=60, severities=(1, 3, 5))
    run.write("robustness.json", {"split": "validation", **sturdy.to_dict()})
    listed = [one.to_dict() for one in baselines(data.train, data.validation)]
    run.write("baselines.json", {"split": "validation", "baselines": listed})
    wrong = np.flatnonzero(found.predicted != found.labels)[:5]
    maps = np.zeros((5, 8, 8), np.uint8)
    maps[:, 2, 3] = 255
    run.save_gallery("heat-validation", maps, wrong)
    return run, report(run).read_text(encoding="utf-8")


class TestCloser:
    """How sure, what it bears, what it has to beat; each shown where the run folder has it."""

    def test_how_sure_it_is(self, closer):
        run, page = closer
        text = Reader(page).text.replace("\u00a0", " ")
        told, before = run.scores("validation")["calibration"], run.calibration["before"]
        assert f"over all answers: {100 * told['calibration_error']:.1f} %" in text
        assert f"it was {100 * before['calibration_error']:.1f} % before" in text
        answered = run.scores("validation")["answered"]
        assert f"{100 * answered['coverage']:.1f} % of these pictures get an answer" in text
        assert "With --max-error 5%" in text

    def test_what_it_bears(self, closer):
        run, page = closer
        text = Reader(page).text.replace("\u00a0", " ")
        told = json.loads((run.path / "robustness.json").read_text())
        assert f"{100 * told['mean']:.1f} % in the mean over {len(told['corruptions'])} corruptions" in text
        for name, row in told["corruptions"].items():
            cells = " ".join(f"{100 * share:.1f}" for share in (*row["accuracy"], row["mean"]))
            assert f"{name.replace('_', ' ')} {row['group']} {cells}" in text

    def test_what_it_has_to_beat(self, closer):
        run, page = closer
        text = Reader(page).text.replace("\u00a0", " ")
        for row in json.loads((run.path / "baselines.json").read_text())["baselines"]:
            low, high = row["interval"]
            shares = f"{100 * row['accuracy']:.1f} % {100 * low:.1f} % to {100 * high:.1f} %"
            assert f"{row['name']} {row['note']} {shares}" in text
        assert "this run" in text

    def test_heat_maps_stand_beside_their_pictures(self, closer):
        _, page = closer
        heated = [a for a in Reader(page).attributes("img") if a.get("class") == "heat"]
        assert len(heated) == 5
        assert all(a["alt"].startswith("What spoke for ") for a in heated)
        bright = decode(heated[0]["src"])[2, 3]
        assert bright.max() > 150

    def test_without_them_nothing_is_missed(self, make_run, unplotted):
        text = Reader(report(make_run()).read_text(encoding="utf-8")).text
        assert "What it bears" not in text
        assert "What it has to beat" not in text

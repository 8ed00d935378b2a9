"""Plans: everything resolved, nothing left behind."""

import pytest

from tenfold.config import Config
from tenfold.planning import pace, plan


def test_a_plan_resolves_everything_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = plan(Config(data="digits", model="tiny", batch_size=64))
    assert found.config.precision in ("float32", "mixed_bfloat16")
    assert (found.parameters, found.image_shape) == (394_970, (32, 32, 3))
    assert found.flops == 2 * (32 * 32 * 27 * 12 + 16 * 16 * 12 * 128 + 128 * 10)
    assert found.images_per_second > 10
    assert found.seconds > 0
    assert not list(tmp_path.iterdir())
    assert found.counts == {"train": 1294, "validation": 144}
    assert found.source.kind == "digits"
    assert (found.epochs, found.steps) == (10, 10 * 21)


def test_a_plan_by_the_clock_tells_what_fits():
    settings = Config(data="digits", model="tiny", batch_size=64, precision="float32", epochs=1, time="1000s")
    found = plan(settings)
    assert found.seconds == 1000
    assert found.steps == round(found.epochs * 21)
    assert 0.5 < found.steps * 64 / found.images_per_second / 1000 < 1.01
    assert plan(settings, ending=900).steps < found.steps


def test_small_pictures_quicken_a_run_by_their_pixels():
    assert pace(Config(image_size=32)) == 1
    # 24 of 32 pixels a side are 9/16 of them: half of the steps, or half of the time, at that price
    assert pace(Config(image_size=32, small_pictures=0.5)) == pytest.approx(1 / (0.5 + 0.5 * 9 / 16))
    assert pace(Config(image_size=32, small_pictures=0.5, time=60)) == pytest.approx(0.5 + 0.5 * 16 / 9)

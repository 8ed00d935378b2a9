"""Plans: everything resolved, nothing left behind."""

from tenfold.config import Config
from tenfold.planning import plan


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

"""The small network beside a large one: it keeps the hardest pictures, and goes on exactly after a stop."""

import dataclasses

import keras
import numpy as np
import pytest

import quick
from tenfold import models, planning, preparation, training
from tenfold.batches import Batches
from tenfold.config import Augmentation, Config
from tenfold.datasets import load
from tenfold.errors import Stopped, UsageError
from tenfold.proxy import Proxy, beside
from tenfold.ratefinder import find_rate
from tenfold.runs import open_run

SETTINGS = dataclasses.replace(quick.QUICK, candidates=2, backend="torch", schedule="linear")

pytestmark = pytest.mark.skipif(keras.backend.backend() != "torch", reason="pictures are chosen under torch")


@pytest.fixture(scope="module")
def digits():
    return load("digits", "train", image_size=16)


def learnt(digits, settings=SETTINGS, choices=60):
    keras.utils.set_random_seed(0)
    proxy = Proxy(settings, digits)
    for choice in range(choices):
        places = np.random.default_rng(choice).integers(0, 1000, 256)
        proxy(digits.images[places], digits.labels[places], choice / choices)
    return proxy


def test_what_it_knows_is_left_out_whatever_the_label_and_what_is_strange_kept(digits):
    proxy = learnt(digits)
    images, labels = digits.images[1000:1200].copy(), digits.labels[1000:1200].copy()
    images[::4] = (images[::4].astype(int) + images[1:200:4]) // 2  # two digits, one over the other
    kept = proxy(images, labels, 0.9)
    assert len(kept) == 100
    assert (np.diff(kept) > 0).all()
    assert np.isin(np.arange(0, 200, 4), kept).mean() > 0.7  # by chance, a half; some are blends of one digit
    wrong = labels.copy()
    wrong[2::4] = (wrong[2::4] + 5) % 10
    assert (learnt(digits)(images, wrong, 0.9) == kept).all()


def test_one_of_the_candidates_is_kept_rounded_up(digits):
    proxy = Proxy(dataclasses.replace(SETTINGS, candidates=3), digits)
    assert len(proxy(digits.images[:34], digits.labels[:34], 0.0)) == 12
    shares = np.eye(10, dtype=np.float32)[digits.labels[:34]]
    assert len(proxy(digits.images[:34], shares, 0.1)) == 12


def test_its_state_is_all_that_it_knows(digits):
    first = learnt(digits, choices=6)
    other = learnt(digits, choices=0)
    other.set_state(*first.get_state())
    for start in range(0, 600, 100):
        part = slice(start, start + 100)
        ours, theirs = (each(digits.images[part], digits.labels[part], 0.5) for each in (first, other))
        assert (ours == theirs).all()
    assert all((a == b).all() for a, b in zip(first.get_state()[1], other.get_state()[1], strict=True))


def test_it_chooses_the_same_from_pictures_on_the_device(digits):
    change = Augmentation(flip="alternate", crop=2)
    settings = dataclasses.replace(SETTINGS, label_smoothing=0.1, augmentation=change)
    made = []
    for resident in (False, True):
        proxy = learnt(digits, settings, choices=0)
        batches = Batches(digits, settings, one_hot=True, resident=resident, choose=proxy)
        made.append([batches[step] for step in range(8)])
    assert isinstance(made[0][0][0], np.ndarray)
    assert not isinstance(made[1][0][0], np.ndarray)
    for ours, theirs in zip(*made, strict=True):
        assert all((a == np.asarray(b)).all() for a, b in zip(ours, theirs, strict=True))


def test_a_stopped_run_goes_on_exactly(tmp_path):
    settings = dataclasses.replace(
        SETTINGS,
        epochs=4,
        model="fast",
        model_options={"stem": 8, "width": 0.05},
        small_pictures=0.5,
        label_smoothing=0.1,
        augmentation=Augmentation(flip="alternate", crop=2),
    )
    whole = training.train(settings, runs=tmp_path, name="whole")
    with pytest.raises(Stopped):
        training.train(settings, runs=tmp_path, name="cut", extra_callbacks=[quick.Interrupt(2)])
    cut = training.resume(tmp_path / "cut")
    ours, theirs = (models.load(run.model_path).get_weights() for run in (whole, cut))
    assert all((a == b).all() for a, b in zip(ours, theirs, strict=True))
    assert open_run(tmp_path / "cut").config.candidates == 2
    alone = training.train(dataclasses.replace(settings, candidates=1), runs=tmp_path, name="alone")
    assert any(
        (a != b).any() for a, b in zip(theirs, models.load(alone.model_path).get_weights(), strict=True)
    )


def test_where_nothing_is_to_be_chosen_there_is_none(digits):
    assert beside(Config(), digits) is None
    with pytest.raises(UsageError, match="candidates must be 1 or more"):
        Config(candidates=0)


def test_a_new_head_learns_from_all_pictures(tmp_path):
    run = training.train(dataclasses.replace(SETTINGS, candidates=1, epochs=1), runs=tmp_path, name="first")
    settings = dataclasses.replace(SETTINGS, from_run=str(run.path), epochs=1)
    assert training.train(settings, runs=tmp_path, name="second").config.candidates == 1


def test_plans_and_rates_reckon_with_it():
    assert planning.plan(SETTINGS).images_per_second > 0
    assert find_rate(SETTINGS, steps=30).suggested > 0
    assert preparation.resolve(SETTINGS)[0].candidates == 2

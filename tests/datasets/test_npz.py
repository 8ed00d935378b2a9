import numpy as np
import pytest

from tenfold.datasets import find, load
from tenfold.errors import DataError

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (20, 8, 8, 3), np.uint8)
LABELS = np.arange(20) % 2


@pytest.fixture
def saved(tmp_path):
    def save(**arrays):
        np.savez(tmp_path / "set.npz", **arrays)
        return tmp_path / "set.npz"

    return save


def test_arrays_as_keras_writes_them(saved):
    path = saved(x_train=IMAGES, y_train=LABELS[:, None], x_test=IMAGES[:4], y_test=LABELS[:4, None])
    source = find(path)
    assert (source.kind, source.splits, source.class_names) == ("npz", ("train", "test"), ("0", "1"))
    train = source.read("train")
    assert np.array_equal(train.images, IMAGES)
    assert train.labels.tolist() == LABELS.tolist()
    assert source.read("test").ids == ("x_test:0", "x_test:1", "x_test:2", "x_test:3")


def test_medmnist_names_and_own_class_names(saved):
    arrays = {}
    for split in ("train", "val", "test"):
        arrays |= {f"{split}_images": IMAGES, f"{split}_labels": LABELS[:, None]}
    source = find(saved(**arrays, class_names=np.array(["cat", "dog", "emu"])))
    assert source.splits == ("train", "validation", "test")
    assert source.class_names == ("cat", "dog", "emu")
    assert source.read("validation").notes == ("No validation pictures of emu: scores cannot show them.",)


def test_one_pair_of_arrays_holds_out_a_tenth(saved):
    path = saved(images=IMAGES, labels=LABELS)
    train, test = load(path), load(path, "test")
    assert (len(train), len(test)) == (18, 2)
    rows = [int(name.partition(":")[2]) for name in test.ids]
    assert np.array_equal(test.images, IMAGES[rows])
    assert not set(train.ids) & set(test.ids)
    assert "held out" in test.notes[0]


@pytest.mark.parametrize("grey", [IMAGES[..., 0], IMAGES[..., :1]])
def test_grey_pictures_become_colour(saved, grey):
    data = load(saved(images=grey, labels=LABELS, x_test=grey, y_test=LABELS))
    assert np.array_equal(data.images, np.repeat(IMAGES[..., :1], 3, axis=-1))


def test_numbers_from_0_to_1_are_scaled_with_a_note(saved):
    data = load(saved(x_train=IMAGES / 255, y_train=LABELS, x_test=IMAGES, y_test=LABELS))
    assert np.array_equal(data.images, IMAGES)
    assert "numbers from 0 to 1" in data.notes[0]


def test_every_split_comes_to_the_size_of_the_training_pictures(saved):
    path = saved(x_train=IMAGES, y_train=LABELS, x_test=np.zeros((2, 5, 9, 3), np.uint8), y_test=LABELS[:2])
    assert load(path, "test").images.shape == (2, 8, 8, 3)
    assert load(path, "test", image_size=16).images.shape == (2, 16, 16, 3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"y_train": LABELS[:5]}, "5 labels, 20 pictures", id="too-few-labels"),
        pytest.param({"y_train": LABELS / 2}, "whole numbers", id="float-labels"),
        pytest.param({"y_train": np.eye(2)[LABELS]}, "argmax", id="one-hot"),
        pytest.param({"y_train": LABELS - 1}, "Received: -1 in row 0, 10 in all", id="negative"),
        pytest.param({"y_train": LABELS + 5, "class_names": ["a", "b"]}, "from 0 to 1", id="out-of-range"),
        pytest.param({"y_train": LABELS * 0}, "fewer than two classes", id="one-class"),
        pytest.param({"y_train": LABELS.astype(object)}, "y_train cannot be read", id="pickled"),
        pytest.param({"y_train": None}, "x_train but no y_train", id="no-labels"),
        pytest.param({"x_train": None, "y_train": None}, "no training arrays", id="no-training"),
        pytest.param({"x_train": IMAGES.transpose(0, 3, 1, 2)}, "Channels come last", id="channels-first"),
        pytest.param({"x_train": IMAGES[0]}, r"shape=\(8, 8, 3\)|20 labels|labels, 8", id="one-picture"),
        pytest.param({"x_train": np.zeros((20, 8, 8, 4), np.uint8)}, "1 or 3 channels", id="four-channels"),
        pytest.param({"x_train": IMAGES.astype(float)}, "must be uint8.*values from 0 to 255", id="floats"),
        pytest.param({"x_train": IMAGES.astype(np.uint16)}, "dtype=uint16", id="16-bit"),
    ],
)
def test_unusable_arrays_say_why(saved, changes, words):
    arrays = {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES, "y_test": LABELS, **changes}
    with pytest.raises(DataError, match=words) as caught:
        load(saved(**{name: array for name, array in arrays.items() if array is not None}))
    assert "\n" not in str(caught.value)


def test_other_files_are_told_apart(tmp_path):
    np.save(tmp_path / "lone.npy", IMAGES)
    with pytest.raises(DataError, match=r"one array \(\.npy\)"):
        find(tmp_path / "lone.npy")
    (tmp_path / "cut.npz").write_bytes(b"PK\3\4 and no more")
    with pytest.raises(DataError, match="no NumPy archive"):
        find(tmp_path / "cut.npz")

import numpy as np

from tenfold.datasets import find, load


def test_digits_are_real_pictures_in_ten_classes():
    source = find("digits")
    train, test = source.read("train"), source.read("test")
    assert (len(train), len(test)) == (1438, 359)
    assert source.class_names == train.class_names == tuple("0123456789")
    assert train.images.shape[1:] == (32, 32, 3)
    assert train.images.dtype == np.uint8
    assert train.images.max() == 255
    assert np.bincount(test.labels).min() >= 34
    assert not set(train.ids) & set(test.ids)


def test_the_test_fifth_is_the_same_at_every_call_and_size():
    assert load("digits", "test", image_size=8).ids == load("digits", "test").ids
    assert load("digits", "test", image_size=8).images.shape[1:] == (8, 8, 3)

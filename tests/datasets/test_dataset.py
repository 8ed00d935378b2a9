import numpy as np

from tenfold.datasets import Dataset


def test_a_subset_keeps_pictures_labels_and_ids_together():
    images = np.arange(4, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 3), np.uint8)
    data = Dataset(images, np.array([0, 1, 0, 1]), ("ant", "bee"), ("a", "b", "c", "d"), ("a note",))
    part = data.subset(np.array([3, 0]))
    assert len(part) == 2
    assert part.images[:, 0, 0, 0].tolist() == [3, 0]
    assert part.labels.tolist() == [1, 0]
    assert part.ids == ("d", "a")
    assert (part.class_names, part.notes) == (("ant", "bee"), ("a note",))
    part.images[0] = 9
    assert images.max() == 3

"""Where the cells of a model's maps lie on the picture."""

import keras
import numpy as np
import pytest

from tenfold.explanation.anatomy import Anatomy
from tenfold.explanation.stages import Axis

LAYERS = {
    "same": [keras.layers.Conv2D(2, 3, padding="same", activation="relu")],
    "valid": [keras.layers.Conv2D(2, 5, activation="relu")],
    "strided": [keras.layers.Conv2D(2, 3, strides=2, padding="same", activation="relu")],
    "pooled": [keras.layers.Conv2D(2, 3, activation="relu"), keras.layers.MaxPooling2D(2)],
    "dilated": [keras.layers.Conv2D(2, 3, dilation_rate=2, activation="relu")],
    "padded": [
        keras.layers.ZeroPadding2D(((2, 0), (2, 0))),
        keras.layers.Conv2D(2, 3, activation="relu"),
        keras.layers.Cropping2D(((1, 0), (1, 0))),
    ],
    "larger": [
        keras.layers.Conv2D(2, 4, strides=4, padding="same", activation="relu"),
        keras.layers.UpSampling2D(2),
    ],
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_cell_lies_where_a_bright_pixel_moves_it(name):
    """A bright spot answers in the cells around it: their centre of mass must lie on the spot."""
    side = 32
    model = keras.Sequential([keras.Input((side, side, 1)), *LAYERS[name]])
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.set_weights([np.ones_like(layer.get_weights()[0]), np.zeros(2, np.float32)])
    anatomy = Anatomy(model, (side, side, 1))
    stage = anatomy.stages[-1]
    spots = [(row, column) for row in range(12, 20) for column in range(12, 20)]
    images = np.zeros((len(spots), side, side, 1), np.float32)
    for image, spot in zip(images, spots, strict=True):
        image[spot] = 1
    maps = anatomy.maps(images)[-1].sum(axis=-1)
    axis = stage.axes[0]
    places = axis.first + axis.step * np.arange(stage.size[0])
    seen = (maps.sum(axis=2) @ places) / maps.sum(axis=(1, 2))
    # The mean over neighbouring spots: single ones fall between the cells.
    assert seen.mean() == pytest.approx(np.mean([row for row, _ in spots]), abs=0.3)
    assert stage.axes[1] == axis


def test_stages_are_the_resolutions_in_order(models_of_corners):
    stages = Anatomy(models_of_corners["sequential"], (24, 24, 3)).stages
    assert [stage.size for stage in stages] == [(22, 22), (11, 11), (9, 9)]
    assert [stage.axes[0] for stage in stages] == [Axis(1, 1), Axis(1.5, 2), Axis(3.5, 2)]


def test_bare_convolutions_are_passed_over(models_of_corners):
    first = Anatomy(models_of_corners["functional"], (24, 24, 3)).stages
    last = Anatomy(models_of_corners["channels last"], (24, 24, 3)).stages
    assert [stage.size for stage in first] == [stage.size for stage in last] == [(24, 24), (12, 12), (6, 6)]
    assert [type(stage.layer).__name__ for stage in first] == ["Conv2D", "Activation", "Add"]
    assert all(stage.channels_first for stage in first)
    assert not any(stage.channels_first for stage in last)

"""A rebuilt model is the same model: its answers, what it learns, and its weights on the way back."""

import keras
import numpy as np
import pytest
from keras import layers as k

import networks
from tenfold.layers import FusedBatchNormalization, training_format
from tenfold.models import layout, likeness

torch_only = pytest.mark.skipif(keras.backend.backend() != "torch", reason="channels_first is for torch")
SHAPE = (16, 16, 3)


@keras.saving.register_keras_serializable("tests")
class PerChannel(keras.Layer):
    """A layer of a user's own that takes for granted that channels come last."""

    def build(self, shape):
        self.factor = self.add_weight(shape=(shape[-1],), initializer="random_normal")

    def call(self, inputs):
        return inputs * self.factor


def classic():
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            k.Rescaling(1 / 255),
            k.Conv2D(6, 3, activation="relu", kernel_regularizer="l2"),
            k.BatchNormalization(),
            k.MaxPooling2D(),
            k.Dropout(0.4),
            k.Flatten(),
            k.Dense(8, activation="relu"),
            k.BatchNormalization(),
            k.Dense(4, activation="softmax"),
        ]
    )


def operators():
    inputs = keras.Input(SHAPE)
    x = k.Conv2D(6, 3, padding="same")(inputs / 127.5 - 1)
    y = keras.ops.relu(k.BatchNormalization()(x))
    x = k.Conv2D(6, 3, padding="same")(keras.ops.multiply(y, 2.0)) + x
    x = x * keras.ops.reshape(keras.ops.mean(x, axis=(1, 2)), (-1, 1, 1, 6))
    return keras.Model(inputs, k.Dense(4)(k.GlobalAveragePooling2D()(x)))


def squeezed():
    inputs = keras.Input(SHAPE)
    x = k.Conv2D(8, 3)(k.Rescaling(1 / 255)(inputs))
    weights = k.Dense(8, activation="sigmoid")(k.GlobalAveragePooling2D()(x))
    x = k.Multiply()([x, k.Reshape((1, 1, 8))(weights)])
    wide = k.GlobalMaxPooling2D(keepdims=True)(x)
    x = k.Multiply()([x, k.Conv2D(8, 1, activation="sigmoid")(wide)])
    return keras.Model(inputs, k.Dense(4)(k.Flatten()(x)))


def branched():
    inputs = keras.Input(SHAPE)
    x = k.Rescaling(1 / 255)(inputs)
    parts = [k.Conv2D(4, size, padding="same", activation="silu")(x) for size in (1, 3)]
    parts.append(k.AveragePooling2D(3, strides=1, padding="same")(x))
    x = k.Concatenate()(parts)
    x = k.Concatenate(axis=2)([x, k.Cropping2D(((0, 0), (2, 6)))(x)])
    x = k.Average()([x, k.LeakyReLU()(x)])
    return keras.Model(inputs, k.Softmax()(k.Dense(4)(k.GlobalMaxPooling2D()(x))))


def uncommon():
    inputs = keras.Input(SHAPE)
    x = k.ZeroPadding2D(((1, 0), (0, 1)))(k.Rescaling(1 / 255)(inputs))
    x = k.SeparableConv2D(6, 3, activation="gelu")(x)
    x = k.SpatialDropout2D(0.3)(k.DepthwiseConv2D(3, strides=2)(x))
    x = k.UpSampling2D(interpolation="bilinear")(k.PReLU()(x))
    x = k.Conv2DTranspose(5, 3, strides=2, padding="same")(x)
    x = k.Activation("softmax")(k.GroupNormalization(5)(x))
    x = k.GaussianNoise(0.2)(k.Conv2D(4, 3, activation="softmax")(x))
    return keras.Model(inputs, k.Activation("softmax")(k.Dense(4)(k.Flatten()(x))))


def attending():
    inputs = keras.Input(SHAPE)
    x = k.Conv2D(8, 4, strides=4)(k.Rescaling(1 / 255)(inputs))
    x = k.Dense(8, activation="gelu")(k.LayerNormalization()(x))
    x = PerChannel()(k.Conv2D(8, 3, padding="same")(x))
    x = k.Reshape((16, 8))(x)
    x = x + k.MultiHeadAttention(2, 4, dropout=0.3)(x, x)
    return keras.Model(inputs, k.Dense(4)(k.GlobalAveragePooling1D()(k.LayerNormalization()(x))))


def nested():
    inner = keras.Input((8, 8, 6))
    block = keras.Model(
        inner, k.Add()([inner, k.BatchNormalization()(k.Conv2D(6, 3, padding="same")(inner))])
    )
    stem = keras.Sequential([k.Rescaling(1 / 255), k.Conv2D(6, 2, strides=2)], name="stem")
    frozen = k.BatchNormalization(trainable=False)
    inputs = keras.Input(SHAPE)
    x = block(frozen(block(stem(inputs))))  # the same block twice
    stem.trainable = False
    return keras.Model(inputs, keras.Sequential([k.Flatten(), k.Dense(4)])(x))


def augmenting():
    inputs = keras.Input(SHAPE)
    scaler = k.Normalization()
    scaler.adapt(networks.pictures(8, 16).astype("float32"))
    x = k.RandomRotation(0.2)(k.RandomFlip()(inputs))
    x = k.BatchNormalization(momentum=0.5)(k.Conv2D(6, 3)(scaler(x)))
    return keras.Model(inputs, k.Dense(4)(k.Dropout(0.5)(k.Flatten()(x))))


def written_first():
    inputs = keras.Input(SHAPE)
    x = k.Permute((3, 1, 2))(inputs)
    x = k.BatchNormalization(axis=1)(k.Conv2D(6, 3, data_format="channels_first")(x))
    return keras.Model(inputs, k.Dense(4)(k.GlobalAveragePooling2D(data_format="channels_first")(x)))


MODELS = [
    *(classic, operators, squeezed, branched, uncommon, attending, nested, augmenting, written_first),
    lambda: networks.residual(16, 4),
]
NAMES = [*(model.__name__ for model in MODELS[:-1]), "residual"]


def built(make):
    keras.utils.set_random_seed(1)
    model = make()
    for weights in model.non_trainable_weights:
        if "moving_variance" in weights.path:  # as training leaves them
            weights.assign(np.random.default_rng(2).uniform(0.5, 2, weights.shape))
    return model


@torch_only
@pytest.mark.parametrize("make", MODELS, ids=NAMES)
def test_it_answers_and_learns_alike_in_the_other_layout(make):
    model = built(make)
    other = layout.relaid(model, "channels_first")
    assert other.count_params() == model.count_params()
    assert likeness.difference(model, other, networks.pictures(8, 16)) == ""


@torch_only
@pytest.mark.parametrize("make", MODELS, ids=NAMES)
def test_in_bfloat16_its_end_stays_exact(make):
    model = built(make)
    other = likeness.faithful(
        model, "channels_first", "mixed_bfloat16", networks.pictures(8, 16), learning=True
    )
    assert other.output.dtype == "float32"
    assert {weight.dtype for weight in other.trainable_weights} == {"float32"}
    kinds = {layer.compute_dtype for layer in other.layers if isinstance(layer, k.Conv2D)}
    assert kinds == {"bfloat16"}
    assert keras.config.dtype_policy().name == "float32"


@torch_only
def test_what_it_learns_comes_back_to_the_original():
    model, images = built(lambda: networks.residual(16, 4)), networks.pictures(8, 16)
    other = layout.relaid(model, "channels_first")
    before = likeness.answers(model, images, training=False)
    other.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy())
    other.train_on_batch(images, np.arange(8) % 4)
    after = likeness.answers(other, images, training=False)
    assert np.abs(after - before).max() > 1e-3
    assert layout.original(other) is model
    np.testing.assert_allclose(likeness.answers(model, images, training=False), after, atol=1e-5)
    assert layout.original(model) is None


@torch_only
def test_layers_are_made_anew_and_pictures_turned_once():
    other = layout.relaid(networks.residual(16, 4), "channels_first")
    norms = [layer for layer in other.layers if isinstance(layer, k.BatchNormalization)]
    assert {type(layer) for layer in norms} == {FusedBatchNormalization}
    assert {layer.data_format for layer in other.layers if isinstance(layer, k.Conv2D)} == {"channels_first"}
    assert sum(isinstance(layer, k.Permute) for layer in other.layers) == 1


@torch_only
def test_what_stays_frozen_and_what_regularises_goes_along():
    model = built(nested)
    other = layout.relaid(model, "channels_first")
    assert len(other.trainable_weights) == len(model.trainable_weights) < len(model.weights)
    model = built(classic)
    other = layout.relaid(model, "channels_first")
    added = [float(keras.ops.convert_to_numpy(sum(each.losses))) for each in (model, other)]
    assert added[0] == pytest.approx(added[1], rel=1e-5) != 0


def test_pixels_can_be_scaled_in_front_and_logarithms_taken_behind():
    model, images = networks.residual(16, 4), networks.pictures(4, 16)
    other = layout.relaid(model, "channels_last", scale=0.5, logarithm=True)
    expected = likeness.answers(model, images * 0.5, training=False)
    found = likeness.answers(other, images, training=False)
    np.testing.assert_allclose(np.exp(found), expected, atol=1e-5)


class Backwards(keras.Model):
    """Its graph says one thing and its call another."""

    def call(self, inputs, training=None):
        return -super().call(inputs, training=training)


def test_a_model_that_is_not_what_its_graph_says_is_found_out():
    source = networks.residual(16, 4)
    model = Backwards(source.inputs, source.outputs)
    with pytest.raises(ValueError, match="answers would differ"):
        likeness.faithful(model, "channels_last", images=networks.pictures(4, 16))
    assert likeness.rebuilt(model, training_format()) is model


class Secretive(keras.Layer):
    """Cannot be made again: what it was made with is kept from Keras."""

    def __init__(self, secret, **options):
        super().__init__(**options)
        self.secret = secret

    def call(self, inputs):
        return inputs * self.secret

    def get_config(self):
        return {}


def test_a_layer_that_cannot_be_made_again_is_told():
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, k.Dense(4)(k.Flatten()(Secretive(2.0)(inputs))))
    with pytest.raises(ValueError, match="cannot be made again"):
        likeness.faithful(model, "channels_last")

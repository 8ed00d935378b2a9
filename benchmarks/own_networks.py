"""Networks as a user of Keras writes them: stock layers, channels last. `own_model.py` trains them.

    tenfold train --model benchmarks/own_networks.py:batchnorm --recipe batchnorm

The first three are those of the recipes `fast`, `batchnorm` and `augmented`; the others are hard to rebuild
in another layout, each in its own way.
"""

import keras
from keras import layers


def fast(input_shape, classes):
    """The network of `fast` at width 1; its whitening filters stay as chance left them."""
    inputs = keras.Input(input_shape)
    x = layers.Rescaling(1 / 64, -2)(inputs)
    x = layers.Activation("gelu")(layers.Conv2D(24, 2, use_bias=False, trainable=False)(x))
    for filters in (64, 256, 256):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.MaxPooling2D()(x)
        x = layers.BatchNormalization(scale=False, momentum=0.6, epsilon=1e-5)(x)
        x = layers.Activation("gelu")(x)
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(scale=False, momentum=0.6, epsilon=1e-5)(x)
        x = layers.Activation("gelu")(x)
    x = layers.GlobalMaxPooling2D()(x)
    return keras.Model(inputs, layers.Rescaling(1 / 9)(layers.Dense(classes, use_bias=False)(x)))


def batchnorm(input_shape, classes):
    """The classic with batch norm."""
    model = keras.Sequential([keras.Input(input_shape), layers.Rescaling(1 / 255)])
    for filters in (64, 128, 256):
        model.add(layers.Conv2D(filters, 3, padding="same", activation="relu"))
        model.add(layers.BatchNormalization())
        model.add(layers.MaxPooling2D())
    model.add(layers.Flatten())
    for units in (256, 128):
        model.add(layers.Dense(units, activation="relu"))
        model.add(layers.Dropout(0.5))
    model.add(layers.Dense(classes, activation="softmax"))
    return model


def augmented(input_shape, classes):
    """The classic with augmentation."""
    model = keras.Sequential([keras.Input(input_shape), layers.Rescaling(1 / 255)])
    for filters in (32, 64, 128):
        model.add(layers.Conv2D(filters, 3, padding="same", activation="relu"))
        model.add(layers.BatchNormalization())
        model.add(layers.MaxPooling2D())
        model.add(layers.Dropout(0.25))
    model.add(layers.Flatten())
    model.add(layers.Dense(128, activation="relu"))
    model.add(layers.Dropout(0.5))
    model.add(layers.Dense(classes, activation="softmax"))
    return model


def operators(input_shape, classes):
    """A residual network of operators and `keras.ops` in place of layers."""
    inputs = keras.Input(input_shape)
    x = layers.Conv2D(16, 3, padding="same")(inputs / 255)
    for _ in range(3):
        y = keras.ops.relu(layers.BatchNormalization()(x))
        x = x + layers.Conv2D(16, 3, padding="same")(y)
    return keras.Model(inputs, layers.Dense(classes)(layers.GlobalAveragePooling2D()(x)))


def squeezed(input_shape, classes):
    """Squeeze and excitation: each channel weighed by what the whole picture shows."""
    inputs = keras.Input(input_shape)
    x = layers.Conv2D(32, 3, padding="same", activation="relu")(layers.Rescaling(1 / 255)(inputs))
    weights = layers.Dense(8, activation="relu")(layers.GlobalAveragePooling2D()(x))
    weights = layers.Reshape((1, 1, 32))(layers.Dense(32, activation="sigmoid")(weights))
    x = layers.MaxPooling2D(4)(layers.Multiply()([x, weights]))
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(layers.Flatten()(x)))


def branched(input_shape, classes):
    """Inception: branches of several sizes side by side."""
    inputs = keras.Input(input_shape)
    x = layers.Conv2D(16, 3, strides=2)(layers.Rescaling(1 / 255)(inputs))
    parts = [layers.Conv2D(8, size, padding="same", activation="relu")(x) for size in (1, 3, 5)]
    parts.append(layers.Conv2D(8, 1)(layers.MaxPooling2D(3, strides=1, padding="same")(x)))
    x = layers.GlobalAveragePooling2D()(layers.Concatenate()(parts))
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(x))


def normalised(input_shape, classes):
    """ConvNeXt's block: depthwise convolution, layer norm, dense layers over the channels."""
    inputs = keras.Input(input_shape)
    x = layers.Conv2D(24, 4, strides=4)(layers.Rescaling(1 / 255)(inputs))
    for _ in range(2):
        y = layers.LayerNormalization(epsilon=1e-6)(layers.DepthwiseConv2D(7, padding="same")(x))
        x = layers.Add()([x, layers.Dense(24)(layers.Dense(96, activation="gelu")(y))])
    return keras.Model(inputs, layers.Dense(classes)(layers.GlobalAveragePooling2D()(x)))


def attending(input_shape, classes):
    """A small vision transformer behind one convolution."""
    inputs = keras.Input(input_shape)
    x = layers.Conv2D(32, 4, strides=4)(layers.Rescaling(1 / 255)(inputs))
    x = layers.Reshape((-1, 32))(x)
    for _ in range(2):
        y = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.MultiHeadAttention(4, 8, dropout=0.1)(y, y)])
        x = layers.Add()([x, layers.Dense(32)(layers.Dense(64, activation="gelu")(x))])
    return keras.Model(inputs, layers.Dense(classes)(layers.GlobalAveragePooling1D()(x)))


def nested(input_shape, classes):
    """A model inside a model, frozen, and a block that is used twice."""
    stem = keras.Sequential([keras.Input(input_shape), layers.Conv2D(16, 3, strides=2, activation="relu")])
    stem.trainable = False
    given = keras.Input((None, None, 16))
    block = keras.Model(given, layers.Activation("relu")(layers.Conv2D(16, 3, padding="same")(given)))
    inputs = keras.Input(input_shape)
    x = block(block(stem(layers.Rescaling(1 / 255)(inputs))))
    return keras.Model(inputs, layers.Dense(classes)(layers.GlobalMaxPooling2D()(x)))


def augmenting(input_shape, classes):
    """Keras' own augmentation and an adapted normalisation inside the model."""
    model = keras.Sequential([keras.Input(input_shape), layers.RandomFlip(), layers.RandomRotation(0.1)])
    model.add(layers.Normalization(mean=(125, 123, 114), variance=(3969, 3844, 4489)))
    model.add(layers.Conv2D(16, 3, activation="relu"))
    model.add(layers.BatchNormalization())
    model.add(layers.Flatten())
    model.add(layers.Dense(classes))
    return model


@keras.saving.register_keras_serializable("benchmark")
class ChannelGain(keras.Layer):
    """A layer of a user's own, which takes for granted that channels come last."""

    def build(self, shape):
        self.gain = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, inputs):
        return inputs * self.gain


def custom(input_shape, classes):
    """A registered layer of the user's own between convolutions."""
    model = keras.Sequential([keras.Input(input_shape), layers.Rescaling(1 / 255)])
    for _ in range(2):
        model.add(layers.Conv2D(16, 3, activation="relu"))
        model.add(ChannelGain())
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(classes))
    return model


@keras.saving.register_keras_serializable("benchmark")
class Subclassed(keras.Model):
    """A model whose call is code, not a graph."""

    def __init__(self, classes, **options):
        super().__init__(**options)
        self.classes = classes
        self.convolution = layers.Conv2D(16, 3, activation="relu")
        self.pool = layers.GlobalAveragePooling2D()
        self.head = layers.Dense(classes)

    def call(self, inputs):
        return self.head(self.pool(self.convolution(inputs / 255)))

    def get_config(self):
        return {**super().get_config(), "classes": self.classes}


def subclassed(classes):
    """A subclass of `keras.Model`."""
    return Subclassed(classes)


def mobilenet(input_shape, classes):
    """MobileNetV2 of Keras Applications, without weights."""
    return keras.applications.MobileNetV2(input_shape=input_shape, weights=None, classes=classes, alpha=0.35)


def efficientnet(input_shape, classes):
    """EfficientNetV2-B0 of Keras Applications, without weights, with its scaling inside."""
    return keras.applications.EfficientNetV2B0(input_shape=input_shape, weights=None, classes=classes)

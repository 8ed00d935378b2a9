"""Keras' own networks: found by name, right for pixels, filled from files, never from the net unasked."""

import functools
import http.server
import threading

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving import legacy_h5_format  # how Keras' own *_notop.h5 files were written

import networks
from tenfold import layers, models
from tenfold.errors import DataError, UsageError
from tenfold.models import backbones, heads

SMALL = {"alpha": 0.35, "enlarge": 1}


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)


@pytest.fixture(scope="module")
def network():
    """MobileNetV2 as Keras makes it, with weights that no other has."""
    keras.utils.set_random_seed(3)
    made = keras.applications.MobileNetV2(
        input_shape=(96, 96, 3), alpha=0.35, include_top=False, weights=None, pooling="avg"
    )
    pixels = np.random.default_rng(3).uniform(-1, 1, (8, 96, 96, 3))
    return networks.awake(made, pixels.astype("float32"))


def save_as_keras_did(network, path):
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, network)


def filled(name, path, shape, **options):
    model = models.build(f"keras/{name}", shape, 3, options=options)
    body = heads.body(model)
    body.set_weights(backbones.read(name, path, body, options.get("alpha", 1.0)))
    return model, body


@pytest.mark.parametrize(
    ("given", "found"), [("MobileNetV2", "mobilenetv2"), ("efficientnetv2-b0", "efficientnetv2b0")]
)
def test_names_are_understood_as_people_write_them(given, found):
    assert backbones.named(given) == found


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match="Did you mean 'mobilenetv2'"):
        backbones.named("mobilnet-v2")


def test_every_network_exists_in_keras():
    assert all(hasattr(keras.applications, each.network) for each in backbones.BACKBONES.values())


@pytest.mark.parametrize(
    "form", ["notop.h5", "mine.weights.h5", pytest.param("whole.keras", marks=pytest.mark.slow)]
)
def test_pixels_and_a_file_give_the_features_that_keras_gives(network, form, tmp_path):
    path = tmp_path / form
    if form.startswith("notop"):
        save_as_keras_did(network, path)
    elif form.startswith("mine"):
        network.save_weights(path)
    else:
        network.save(path)
    images = np.random.default_rng(1).integers(0, 256, (3, 96, 96, 3), np.uint8)
    model, body = filled("mobilenetv2", path, (96, 96, 3), alpha=0.35)
    scaled = keras.applications.mobilenet_v2.preprocess_input(images.astype("float32"))
    expected = network.predict(scaled, verbose=0)
    assert np.ptp(expected, axis=0).max() > 1e-3
    np.testing.assert_allclose(body.predict(images, verbose=0), expected, rtol=1e-4, atol=1e-5)
    assert models.predict_fn(model)(images).shape == (3, 3)


def test_the_networks_of_caffe_get_their_colours_and_means(tmp_path, images):
    keras.utils.set_random_seed(0)
    shape = (32, 32, 3)
    network = keras.applications.VGG16(input_shape=shape, include_top=False, weights=None, pooling="avg")
    network.save_weights(tmp_path / "vgg16.weights.h5")
    body = filled("vgg16", tmp_path / "vgg16.weights.h5", shape, enlarge=1)[1]
    scaled = keras.applications.vgg16.preprocess_input(images.astype("float32"))
    expected = network.predict(scaled, verbose=0)
    np.testing.assert_allclose(body.predict(images, verbose=0), expected, rtol=1e-3, atol=1e-4)


def test_small_pictures_are_enlarged_inside_and_it_is_said():
    assert [backbones.factor((side, side, 3)) for side in (8, 32, 95, 96, 224)] == [12, 3, 2, 1, 1]
    model = models.build("keras/mobilenetv2", (32, 32, 3), 3, options={"alpha": 0.35})
    assert model.get_layer("enlarging").output.shape[1:3] == (96, 96)
    assert "32 to 96 pixels" in backbones.describe("mobilenetv2", (32, 32, 3))
    assert backbones.describe("mobilenetv2", (224, 224, 3)) is None


def test_pictures_too_small_for_a_network_are_answered():
    with pytest.raises(UsageError, match="--image-size"):
        models.build("keras/inceptionv3", (32, 32, 3), 3, options={"enlarge": 1})


def test_the_training_form_is_the_same_network(images, tmp_path):
    keras.utils.set_random_seed(1)
    first = models.build(
        "keras/mobilenetv2", (32, 32, 3), 3, data_format=layers.training_format(), options=SMALL
    )
    networks.awake(first, images.astype("float32"))
    kernel = np.random.default_rng(1).normal(0, 1, first.get_layer(heads.LOGITS).kernel.shape)
    first.get_layer(heads.LOGITS).set_weights([kernel, np.zeros(3)])
    portable = models.twin(first, "keras/mobilenetv2", data_format="channels_last", options=SMALL)
    answers = models.predict_fn(portable)(images)
    np.testing.assert_allclose(models.predict_fn(first)(images), answers, atol=1e-4)
    assert np.ptp(answers, axis=0).max() > 1e-4
    portable.save(tmp_path / "model.keras")
    again = models.load_fast(tmp_path / "model.keras", "keras/mobilenetv2", SMALL)
    np.testing.assert_allclose(models.predict_fn(again)(images), answers, atol=1e-4)
    assert {
        type(layer).__module__.split(".")[0] for layer in models.load(tmp_path / "model.keras").layers
    } == {"keras"}


def test_a_missing_file_is_told_with_its_address_its_hash_and_its_place(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(DataError) as caught:
        backbones.find("resnet50v2", 96)
    told = str(caught.value)
    for part in (
        "https://storage.googleapis.com/tensorflow/keras-applications/resnet/",
        "resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "MD5 fac2f116257151a9d068a22e544a4917",
        str(tmp_path / "models"),
        "--weights FILE",
        "--weights imagenet",
    ):
        assert part in told
    assert "\n" not in told


def test_what_lies_in_the_cache_of_keras_is_found_and_checked(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    name = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_96_no_top.h5"
    (tmp_path / "models" / name).write_bytes(b"any")  # Keras tells no hash of it
    assert backbones.find("mobilenetv2", 96, 0.35).name == name
    (tmp_path / "models" / "efficientnetv2-b0_notop.h5").write_bytes(b"cut short")
    with pytest.raises(DataError, match="is not Keras' file"):
        backbones.find("efficientnetv2b0", 96)


def test_a_download_goes_where_keras_keeps_its_own(tmp_path, monkeypatch, capsys):
    (tmp_path / "served" / "mobilenet_v2").mkdir(parents=True)
    name = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_96_no_top.h5"
    (tmp_path / "served" / "mobilenet_v2" / name).write_bytes(b"weights")
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *args: None})
    handler = functools.partial(quiet, directory=str(tmp_path / "served"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(backbones, "_SERVER", f"http://127.0.0.1:{server.server_port}/")
    try:
        assert backbones.fetch("mobilenetv2", 96, 0.35) == tmp_path / "home" / "models" / name
        assert (tmp_path / "home" / "models" / name).read_bytes() == b"weights"
        with pytest.raises(DataError, match=r"could not be downloaded.*--weights FILE"):
            backbones.fetch("vgg16", 96)
    finally:
        server.shutdown()
        server.server_close()
    assert capsys.readouterr().out == ""


def test_other_weights_and_no_weights_are_answered(network, tmp_path):
    network.save_weights(tmp_path / "narrow.weights.h5")
    (tmp_path / "text.h5").write_text("no weights")
    body = heads.body(models.build("keras/mobilenetv2", (96, 96, 3), 3))
    for file in ("narrow.weights.h5", "text.h5"):
        with pytest.raises(DataError, match=r"cannot be used as weights of mobilenetv2.*include_top=False"):
            backbones.read("mobilenetv2", tmp_path / file, body)


@pytest.mark.slow
@pytest.mark.parametrize("name", backbones.BACKBONES)
def test_every_network_is_the_same_in_both_layouts_and_after_saving(name, tmp_path):
    # With fewer, the norms of a deep network know so little that it answers a rounding by a hundredth.
    images = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3), np.uint8)
    options = {"enlarge": 3}
    keras.utils.set_random_seed(1)
    first = models.build(
        f"keras/{name}", (32, 32, 3), 3, data_format=layers.training_format(), options=options
    )
    networks.awake(first, images.astype("float32"))
    head = first.get_layer(heads.LOGITS)
    head.set_weights([np.random.default_rng(0).normal(size=value.shape) for value in head.get_weights()])
    portable = models.twin(first, f"keras/{name}", data_format="channels_last", options=options)
    fresh = models.build(f"keras/{name}", (32, 32, 3), 3, options=options)
    fresh.set_weights(first.get_weights())
    portable.save(tmp_path / "model.keras")
    answers = portable.predict(images, verbose=0)
    least = 1e-4 * np.abs(answers).max()
    assert np.ptp(answers, axis=0).max() > 5 * least
    for other in (first, fresh, models.load(tmp_path / "model.keras")):
        np.testing.assert_allclose(other.predict(images, verbose=0), answers, atol=least)
    assert heads.features(portable).shape[-1] >= 512

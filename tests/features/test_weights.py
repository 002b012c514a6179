from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipeline.errors import PipelineError
from pipeline.features import backbones, weights
from tests.conftest import needs_bfloat16

SIZE = (64, 32)


@pytest.fixture(scope="module")
def random_mobilenet():  # type: ignore[no-untyped-def]
    model = backbones.build("mobilenet_v2", SIZE)
    weights.randomise(model, seed=3)
    return model


@pytest.mark.parametrize("name", ["resnet50", "mobilenet", "efficientnet_b0", "xception"])
def test_every_application_is_built_filled_and_loaded(name: str, tmp_path: Path) -> None:
    size = (96, 96)
    model = backbones.build(name, size)
    weights.randomise(model, seed=0)
    x = np.random.default_rng(0).uniform(0, 255, (2, *size, 3)).astype("float32")
    expected = model(x).numpy()
    assert np.isfinite(expected).all()
    assert expected.std() > 0
    model.network.save_weights(tmp_path / "backbone.weights.h5")
    again = weights.load(name, size, "float32", tmp_path)
    assert (again(x).numpy() == expected).all()


def test_efficientnet_with_imagenet_weights_divides_by_the_deviation(tmp_path: Path) -> None:
    """As Keras' own network with those weights does in two layers."""
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    model = backbones.build("efficientnet_b0", (32, 32))
    weights.randomise(model, seed=0)
    (layer,) = [x for x in model.network.layers if type(x).__name__ == "Normalization"]
    layer.adapt_mean.assign(mean)
    layer.adapt_variance.assign(deviation)
    model.network.save_weights(tmp_path / "backbone.weights.h5")
    again = weights.load("efficientnet_b0", (32, 32), "float32", tmp_path)
    (layer,) = [x for x in again.network.layers if type(x).__name__ == "Normalization"]
    x = np.array([[[[0.1, 0.5, 0.9]]]], dtype="float32")
    assert layer(x).numpy()[0, 0, 0] == pytest.approx((x[0, 0, 0] - mean) / deviation, rel=1e-5)
    # Written and read once more, it stays as it is.
    again.network.save_weights(tmp_path / "backbone.weights.h5")
    third = weights.load("efficientnet_b0", (32, 32), "float32", tmp_path)
    (layer,) = [x for x in third.network.layers if type(x).__name__ == "Normalization"]
    assert layer(x).numpy()[0, 0, 0] == pytest.approx((x[0, 0, 0] - mean) / deviation, rel=1e-5)


def test_random_weights_follow_the_seed_and_keep_the_variance(random_mobilenet) -> None:  # type: ignore[no-untyped-def]
    again = backbones.build("mobilenet_v2", SIZE)
    weights.randomise(again, seed=3)
    other = backbones.build("mobilenet_v2", SIZE)
    weights.randomise(other, seed=4)
    kernel = [m.network.get_layer("Conv1").kernel.numpy() for m in (random_mobilenet, again, other)]
    assert (kernel[0] == kernel[1]).all()
    assert not (kernel[0] == kernel[2]).any()
    assert kernel[0].std() == pytest.approx(np.sqrt(2 / 27), rel=0.1)
    vgg = backbones.build("vgg19", SIZE)
    weights.randomise(vgg, seed=0)
    noise = np.random.default_rng(0).uniform(0, 255, (4, *SIZE, 3)).astype("float32")
    assert 1 < vgg(noise).numpy().std() < 1000, "the signal died or exploded"


def test_weights_file_round_trip(random_mobilenet, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "mine.weights.h5"
    random_mobilenet.network.save_weights(path)
    model = backbones.build("mobilenet_v2", SIZE)
    weights.load_weights(model, path)
    image = np.full((1, *SIZE, 3), 90, dtype="float32")
    assert (model(image).numpy() == random_mobilenet(image).numpy()).all()


@needs_bfloat16
def test_bfloat16_is_near_float32(random_mobilenet, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    random_mobilenet.network.save_weights(tmp_path / "backbone.weights.h5")
    image = np.random.default_rng(0).uniform(0, 255, (2, *SIZE, 3)).astype("float32")
    full = weights.load("mobilenet_v2", SIZE, "float32", tmp_path)(image).numpy()
    half = np.asarray(weights.load("mobilenet_v2", SIZE, "bfloat16", tmp_path)(image), "float32")
    assert half.dtype == full.dtype
    cosine = (full * half).sum() / np.linalg.norm(full) / np.linalg.norm(half)
    assert cosine > 0.99
    assert not (full == half).all()


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("gone.weights.h5", None, "there is no such file"),
        ("weights.txt", b"x", "not a Keras weights file by its name"),
        ("broken.weights.h5", b"not hdf5", "does not fit the backbone vgg19"),
    ],
)
def test_bad_weights_files(tmp_path: Path, file: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(PipelineError, match=message) as caught:
        weights.load_weights(backbones.build("vgg19", (32, 32)), tmp_path / file)
    assert "\n" not in str(caught.value)


def test_weights_of_another_network(random_mobilenet, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "mobile.weights.h5"
    random_mobilenet.network.save_weights(path)
    with pytest.raises(PipelineError, match="does not fit the backbone vgg19"):
        weights.load_weights(backbones.build("vgg19", (32, 32)), path)


def test_a_small_file_with_a_huge_array_is_refused_unread(random_mobilenet, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "bomb.weights.h5"
    random_mobilenet.network.save_weights(path)
    with h5py.File(path, "a") as file:
        (name, *_) = (key for key in file["layers"] if "vars/0" in file["layers"][key])
        del file[f"layers/{name}/vars/0"]
        file.create_dataset(f"layers/{name}/vars/0", (800_000_000,), "f8", chunks=(2**20,))
    with pytest.raises(PipelineError, match="has 800000000 numbers, the whole network 2"):
        weights.load_weights(random_mobilenet, path)


def test_a_file_that_fits_in_part_only(tmp_path: Path) -> None:
    """Keras warns and goes on where a file lacks a layer; the backbone must not."""
    import keras

    inputs = keras.Input((32, 32, 3))
    part = keras.Model(inputs, keras.layers.Conv2D(64, 3, name="block1_conv1")(inputs))
    part.save_weights(tmp_path / "part.weights.h5")
    with pytest.raises(PipelineError, match="does not fit the backbone vgg19"):
        weights.load_weights(backbones.build("vgg19", (32, 32)), tmp_path / "part.weights.h5")


@contextlib.contextmanager
def file_server(folder: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    handler = partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def keras_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, so that nothing downloaded earlier is found, and no proxy in between."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    home = tmp_path / "keras"
    home.mkdir()
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(home))
    return home


def test_imagenet_is_downloaded_and_cached(
    random_mobilenet, tmp_path: Path, keras_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def]
    """Keras' own download, from a stand-in server and with a stand-in file."""
    import h5py
    from keras.src.applications import mobilenet_v2
    from keras.src.legacy.saving import legacy_h5_format

    name = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
    served = tmp_path / "served"
    served.mkdir()
    # The published files are of Keras' older kind.
    with h5py.File(served / name, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, random_mobilenet.network)
    image = np.full((1, *SIZE, 3), 90, dtype="float32")
    with file_server(served) as address:
        monkeypatch.setattr(mobilenet_v2, "BASE_WEIGHT_PATH", address)
        model = weights.download_imagenet("mobilenet_v2", SIZE)
    assert (model(image).numpy() == random_mobilenet(image).numpy()).all()
    assert (keras_home / "models" / name).is_file()
    again = weights.download_imagenet("mobilenet_v2", SIZE)
    assert (again(image).numpy() == model(image).numpy()).all()


def test_no_network_is_a_download_error(keras_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from keras.src.applications import vgg19

    with file_server(keras_home.parent) as address:
        gone = address
    monkeypatch.setattr(vgg19, "WEIGHTS_PATH_NO_TOP", f"{gone}vgg19.h5")
    with pytest.raises(weights.DownloadError) as caught:
        weights.download_imagenet("vgg19", (32, 32))
    assert "vgg19.h5" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_defect_is_not_taken_for_a_missing_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise TypeError("a defect")

    monkeypatch.setattr(backbones, "build", broken)
    with pytest.raises(TypeError, match="a defect"):
        weights.download_imagenet("vgg19", (32, 32))

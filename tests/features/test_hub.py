"""Small random networks of Keras Hub, saved as presets, as a user's own folder would be."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import PipelineError
from pipeline.features import backbones, weights

SIZE = (32, 32)
SMALL = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8, "patch_size": 8}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("keras_hub") is None, reason="the extra hub is not installed"
    ),
]


def make(kind: str, side: int = 32) -> Any:
    import keras
    import keras_hub

    keras.utils.set_random_seed(0)
    models, shape = keras_hub.models, {"image_shape": (side, side, 3)}
    if kind == "dinov2":
        positions = {"position_embedding_shape": (48, 48, 3), "num_register_tokens": 2}
        return models.DINOV2Backbone(**SMALL, **shape, **positions, intermediate_dim=16)
    if kind == "dinov3":
        return models.DINOV3Backbone(**SMALL, **shape, intermediate_dim=16)
    if kind == "vit":
        return models.ViTBackbone(**SMALL, **shape, mlp_dim=16)
    if kind == "resnet":
        return models.ResNetBackbone(
            input_conv_filters=[64],
            input_conv_kernel_sizes=[3],
            stackwise_num_filters=[64, 8],
            stackwise_num_blocks=[1, 1],
            stackwise_num_strides=[1, 2],
            block_type="basic_block",
            image_shape=(None, None, 3),
        )
    text = {"vocabulary_size": 5, "num_layers": 1, "num_heads": 2, "intermediate_dim": 8}
    if kind == "siglip":
        return models.SigLIPBackbone(
            models.SigLIPVisionEncoder(**SMALL, **shape, intermediate_dim=16),
            models.SigLIPTextEncoder(**text, embedding_dim=8, hidden_dim=8, max_sequence_length=4),
        )
    assert kind == "clip"
    return models.CLIPBackbone(
        models.CLIPVisionEncoder(
            **SMALL, **shape, intermediate_dim=16, intermediate_activation="gelu"
        ),
        models.CLIPTextEncoder(
            **text,
            embedding_dim=8,
            hidden_dim=8,
            max_sequence_length=4,
            intermediate_activation="gelu",
        ),
        projection_dim=4,
    )


@pytest.fixture(scope="module")
def presets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("presets")
    for kind in ("dinov2", "dinov3", "vit", "resnet", "siglip", "clip"):
        make(kind).save_to_preset(str(folder / kind))
    return folder


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (3, *SIZE, 3)).astype("float32")


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("dinov2", (4, 4, 8)),
        ("dinov3", (4, 4, 8)),
        ("vit", (4, 4, 8)),
        ("resnet", (4, 4, 8)),
        ("siglip", (1, 1, 8)),
        ("clip", (4, 4, 8)),
    ],
)
def test_a_preset_gives_a_map_and_is_written_and_read_without_the_preset(
    kind: str, shape: tuple[int, ...], presets: Path, pictures: np.ndarray, tmp_path: Path
) -> None:
    name = f"hub:{presets / kind}"
    backbones.check(name, SIZE, "imagenet")
    model = weights.download_imagenet(name, SIZE)
    maps = model(pictures).numpy()
    assert maps.shape == (3, *shape)
    assert maps.std(axis=0).max() > 0
    assert model.trainable_variables == []
    weights.save(model, tmp_path)
    folder = presets / kind
    folder.rename(folder.with_name("away"))
    try:
        again = weights.load(name, SIZE, "float32", tmp_path)
        assert again(pictures).numpy() == pytest.approx(maps, rel=1e-5, abs=1e-6)
        half = weights.load(name, SIZE, "bfloat16", tmp_path)
        assert np.corrcoef(np.asarray(half(pictures), "f4").ravel(), maps.ravel())[0, 1] > 0.98
    finally:
        folder.with_name("away").rename(folder)


def test_the_map_is_that_of_the_network_by_itself(presets: Path, pictures: np.ndarray) -> None:
    import keras_hub

    alone = keras_hub.models.Backbone.from_preset(str(presets / "vit"))
    tokens = np.asarray(alone(pictures))
    model = weights.download_imagenet(f"hub:{presets / 'vit'}", SIZE)
    assert model(pictures).numpy().reshape(3, 16, 8) == pytest.approx(tokens[:, 1:], abs=1e-6)


def test_the_converter_of_the_preset_is_inside(presets: Path, pictures: np.ndarray) -> None:
    import keras_hub

    folder = presets / "scaled"
    make("vit").save_to_preset(str(folder))
    converter = keras_hub.layers.ViTImageConverter(
        image_size=SIZE, scale=[0.01, 0.02, 0.03], offset=[-1.0, -2.0, -3.0]
    )
    converter.save_to_preset(str(folder))
    scaled = weights.download_imagenet(f"hub:{folder}", SIZE)
    plain = weights.download_imagenet(f"hub:{presets / 'vit'}", SIZE)
    ready = pictures * np.array([0.01, 0.02, 0.03], "f4") - np.array([1, 2, 3], "f4")
    assert scaled(pictures).numpy() == pytest.approx(plain(ready).numpy(), abs=1e-5)


@pytest.mark.parametrize(
    ("kind", "size", "taken"),
    [
        ("dinov2", (48, 48), True),
        ("dinov2", (48, 32), False),
        ("dinov3", (64, 64), True),
        ("resnet", (48, 32), True),
        ("vit", (64, 64), False),
        ("clip", (64, 64), False),
        ("siglip", (64, 64), False),
    ],
)
def test_other_sizes_are_taken_or_refused_in_one_line(
    kind: str, size: tuple[int, int], taken: bool, presets: Path
) -> None:
    name = f"hub:{presets / kind}"
    if taken:
        model = weights.download_imagenet(name, size)
        assert np.isfinite(model(np.full((1, *size, 3), 99, "f4")).numpy()).all()
        return
    with pytest.raises(PipelineError, match=r"image_size: got .*expected \[32, 32\]") as caught:
        weights.download_imagenet(name, size)
    assert "\n" not in str(caught.value)


def test_random_weights_are_made_of_the_seed(
    presets: Path, pictures: np.ndarray, tmp_path: Path
) -> None:
    maps = []
    for seed in (1, 1, 2):
        model = backbones.build(f"hub:{presets / 'dinov2'}", SIZE)
        weights.randomise(model, seed)
        weights.save(model, tmp_path)
        again = weights.load(f"hub:{presets / 'dinov2'}", SIZE, "float32", tmp_path)
        maps.append(again(pictures).numpy())
    assert (maps[0] == maps[1]).all()
    assert not np.allclose(maps[0], maps[2])
    assert np.isfinite(maps[0]).all()
    assert maps[0].std(axis=0).max() > 0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("class", "keras>Dense"),
        ("class", "keras_hub>NoSuchBackbone"),
        ("class", "builtins>eval"),
        ("config", {"image_shape": [32, 32, 3], "patch_size": {"class_name": "Lambda"}}),
    ],
)
def test_an_architecture_of_anything_else_is_refused(
    key: str, value: Any, presets: Path, tmp_path: Path
) -> None:
    model = weights.download_imagenet(f"hub:{presets / 'vit'}", SIZE)
    weights.save(model, tmp_path)
    file = tmp_path / weights.ARCHITECTURE
    file.write_text(json.dumps({**json.loads(file.read_text()), key: value}))
    with pytest.raises(PipelineError, match=r"backbone\.architecture\.json: got class"):
        weights.load(f"hub:{presets / 'vit'}", SIZE, "float32", tmp_path)


def test_what_is_no_preset_of_images(presets: Path) -> None:
    import keras_hub

    with pytest.raises(PipelineError, match=r"hub:.*gone: can't be had .*efficientnet_lite0"):
        weights.download_imagenet(f"hub:{presets / 'gone'}", SIZE)
    text = keras_hub.models.BertBackbone(
        vocabulary_size=5, num_layers=1, num_heads=2, hidden_dim=8, intermediate_dim=8
    )
    text.save_to_preset(str(presets / "text"))
    with pytest.raises(PipelineError, match=r"BertBackbone, which encodes no images"):
        weights.download_imagenet(f"hub:{presets / 'text'}", SIZE)

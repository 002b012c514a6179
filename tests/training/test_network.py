from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.features import backbones, extract, weights
from pipeline.training import heads, network
from pipeline.training.network import Branch, WholeNetwork
from tests.conftest import needs_bfloat16

SIZE = (32, 32)
CHANNELS = 8
UNIT = (np.zeros(CHANNELS, "float32"), np.ones(CHANNELS, "float32"))


def config(kind: str = "conv", outputs: int = 4) -> heads.HeadConfig:
    shape = (CHANNELS,) if heads.HEADS[kind].pooled else (8, 8, CHANNELS)
    return heads.HeadConfig(kind, shape, outputs, dropout=0.5, units=6)


def branch(spans: list[tuple[int, int]], seed: int = 1, kind: str = "conv") -> Branch:
    backbone = backbones.build("cnn-4-8", SIZE)
    weights.randomise(backbone, seed)
    made = network.make_branch(backbone, config(kind), spans)
    for head, (start, _) in zip(made.heads, spans, strict=True):
        heads.reset(head, (seed, start), UNIT)
        # A linear head is born as zeros, which would hide its place.
        head.set_weights([w + 0.01 * (start + 1) for w in head.get_weights()])
    return made


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *SIZE, 3), dtype=np.uint8)


@pytest.mark.parametrize("kind", sorted(heads.HEADS))
def test_heads_give_their_columns(kind: str) -> None:
    one, two = branch([(0, 1), (3, 4)], 1, kind), branch([(1, 3)], 2, kind)
    whole = WholeNetwork([one, two], SIZE)
    pictures = noise(3)
    logits = whole(pictures)
    assert (logits.shape, logits.dtype) == ((3, 4), np.dtype("float32"))
    padded = np.zeros((whole.batch, *SIZE, 3), np.uint8)
    padded[:3] = pictures
    for made in (one, two):
        for (start, stop), head in zip(made.spans, made.heads, strict=True):
            maps = made.backbone(padded.astype("float32")).numpy()
            features = maps.mean(axis=(1, 2)) if heads.HEADS[kind].pooled else maps
            own = head(features, training=False).numpy()[:3]
            assert own.shape == (3, stop - start)
            assert logits[:, start:stop] == pytest.approx(own, abs=1e-4)


def test_agrees_with_the_frozen_backbone_and_its_head() -> None:
    made = branch([(0, 4)])
    pictures = noise(5)
    maps = extract.Encoder(made.backbone, SIZE)(pictures)
    apart = made.heads[0](maps, training=False).numpy()
    assert WholeNetwork([made], SIZE)(pictures) == pytest.approx(apart, abs=1e-5)


@pytest.mark.identical_bytes
def test_a_picture_has_the_same_bytes_wherever_it_stands() -> None:
    whole = WholeNetwork([branch([(0, 4)])], SIZE)
    pictures = noise(7)
    together = whole(pictures)
    assert (whole(pictures[::-1])[::-1] == together).all()
    for i in range(7):
        assert (whole(pictures[i : i + 1]) == together[i]).all()
    assert whole(pictures[:0]).shape == (0, 4)


@pytest.mark.parametrize("kind", ["dense", "linear"])
def test_saved_and_loaded_it_is_the_same(kind: str, tmp_path: Path) -> None:
    branches = [branch([(0, 1), (3, 4)], 1, kind), branch([(1, 3)], 2, kind)]
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        network.save(branches, tmp_path / folder)
    files = sorted(p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*.h5"))
    assert [str(f) for f in files] == [
        "branch_0/backbone.weights.h5",
        "branch_0/head_0.weights.h5",
        "branch_0/head_1.weights.h5",
        "branch_1/backbone.weights.h5",
        "branch_1/head_0.weights.h5",
    ]
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    spans = [one.spans for one in branches]
    loaded = network.load(tmp_path / "one", "cnn-4-8", config(kind), spans, SIZE, "float32")
    pictures = noise(6)
    assert (loaded(pictures) == WholeNetwork(branches, SIZE)(pictures)).all()


def test_new_heads_have_the_outputs_of_their_columns() -> None:
    backbone = backbones.build("cnn-4-8", SIZE)
    made = network.make_branch(backbone, config("dense"), [(2, 3), (3, 7)])
    assert [head.output_shape for head in made.heads] == [(None, 1), (None, 4)]
    again = network.make_branch(backbone, config("dense"), made.spans, made.heads)
    assert all(a is b for a, b in zip(again.heads, made.heads, strict=True))


def test_dropout_is_on_in_training_alone() -> None:
    made = branch([(0, 4)])
    pictures = noise(4)
    (first,), (second,) = (made.logits(pictures, training=True) for _ in range(2))
    assert (first.numpy() != second.numpy()).any()
    (first,), (second,) = (made.logits(pictures, training=False) for _ in range(2))
    assert (first.numpy() == second.numpy()).all()


@needs_bfloat16
def test_bfloat16_backbone_gives_float32_logits(tmp_path: Path) -> None:
    made = branch([(0, 4)])
    network.save([made], tmp_path)
    loaded = network.load(tmp_path, "cnn-4-8", config(), [made.spans], SIZE, "bfloat16")
    pictures = noise(4)
    logits = loaded(pictures)
    assert logits.dtype == np.dtype("float32")
    assert logits == pytest.approx(WholeNetwork([made], SIZE)(pictures), rel=0.1, abs=0.1)

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.data.categories import Attribute
from pipeline.errors import PipelineError
from pipeline.features.store import FeatureStore
from pipeline.training import heads, saved_model

CONFIG = heads.HeadConfig("conv", (2, 2, 3), outputs=2, dropout=0.1)
CARD = saved_model.Card(
    head=CONFIG,
    attributes=("has hat", "b"),
    thresholds=(0.25, 0.5),
    image_size=(64, 32),
    backbone={"name": "vgg19", "sha256": "ab"},
    precision="float32",
    missing="impute",
)


def test_round_trip(tmp_path: Path, make_store: Callable[..., FeatureStore]) -> None:
    head = heads.build(CONFIG)
    heads.reset(head, (1,), (np.zeros(3, "float32"), np.ones(3, "float32")))
    saved_model.save(head, CARD, tmp_path)
    loaded, card = saved_model.load(tmp_path)
    assert card == CARD
    store = make_store(np.random.default_rng(0).normal(size=(1, 7, 2, 2, 3)))
    rows = np.arange(7)
    p = saved_model.probabilities(loaded, card, store, rows, batch=3)
    direct = head(store.maps(rows).astype("float32")).numpy()
    assert p == pytest.approx(1 / (1 + np.exp(-direct)), abs=1e-6)
    assert json.loads((tmp_path / "model.json").read_text())["attributes"] == ["has hat", "b"]


def test_no_model_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="train the classifier first with `dvc repro`"):
        saved_model.load(tmp_path)


def test_a_card_comes_back_as_it_was(tmp_path: Path) -> None:
    full = dataclasses.replace(
        CARD,
        head=heads.HeadConfig("dense", (2, 2, 3), outputs=4, dropout=0.1, units=7),
        attributes=("has hat", "colour=red", "colour=größer", "b"),
        thresholds=(0.25, 0.5, 0.5, 0.123456),
        grid=3,
        categories=(Attribute("colour", ("red", "größer"), 1),),
        branches=(((0, 1), (1, 3)), ((3, 4),)),
        parameters=12,
        trainable=5,
    )
    for card in (CARD, full):
        saved_model.write_card(card, tmp_path)
        first = (tmp_path / "model.json").read_bytes()
        found = saved_model.read_card(tmp_path)
        assert found == card
        assert hash(found.branches) == hash(card.branches)
        saved_model.write_card(found, tmp_path)
        assert (tmp_path / "model.json").read_bytes() == first


def test_a_card_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    saved_model.write_card(CARD, tmp_path)
    content = json.loads((tmp_path / "model.json").read_text())
    for key in ("categories", "branches", "grid", "parameters", "trainable"):
        del content[key]
    del content["head"]["units"]
    (tmp_path / "model.json").write_text(json.dumps(content))
    assert saved_model.read_card(tmp_path) == CARD


def test_a_card_that_lacks_something_is_one_line(tmp_path: Path) -> None:
    saved_model.write_card(CARD, tmp_path)
    content = json.loads((tmp_path / "model.json").read_text())
    del content["head"]["dropout"]
    (tmp_path / "model.json").write_text(json.dumps(content))
    with pytest.raises(PipelineError, match=r"model\.json: head\.dropout: Field required; train"):
        saved_model.read_card(tmp_path)


def test_the_fine_tuned_network_is_in_use_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert saved_model.current() == saved_model.FOLDER
    saved_model.FINE_TUNED.mkdir(parents=True)
    (saved_model.FINE_TUNED / "fine_tune.json").write_text("{}")
    assert saved_model.current() == saved_model.FOLDER
    saved_model.write_card(CARD, saved_model.FINE_TUNED)
    assert saved_model.current() == saved_model.FINE_TUNED


def test_of_logits_is_the_sigmoid_and_within_a_group_the_softmax() -> None:
    logits = np.random.default_rng(0).normal(scale=4, size=(50, 6)).astype("float32")
    groups = (Attribute("a", ("x", "y", "z"), 1), Attribute("only", ("one",), 5))
    p = saved_model.of_logits(logits, groups)
    assert p.dtype == np.dtype("float64")
    assert p[:, [0, 4]] == pytest.approx(1 / (1 + np.exp(-logits[:, [0, 4]].astype("f8"))))
    powers = np.exp(logits[:, 1:4].astype("f8"))
    assert p[:, 1:4] == pytest.approx(powers / powers.sum(axis=1, keepdims=True), abs=1e-9)
    assert p[:, 5] == pytest.approx(1)
    assert saved_model.of_logits(logits, ()) == pytest.approx(
        1 / (1 + np.exp(-logits.astype("f8")))
    )
    far = saved_model.of_logits(np.array([[1e4, -1e4, 0.0]]), (Attribute("a", ("x", "y", "z"), 0),))
    assert np.isfinite(far).all()
    assert far[0] == pytest.approx([1, 0, 0], abs=1e-9)

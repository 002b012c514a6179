from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path

import h5py
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


FULL = dataclasses.replace(
    CARD,
    head=heads.HeadConfig("conv", (2, 2, 3), outputs=4, dropout=0.1),
    attributes=("hat", "colour=red", "colour=blue", "b"),
    thresholds=(0.25, 0.5, 0.5, 1.0),
    categories=(Attribute("colour", ("red", "blue"), 1),),
    learnable=("yes", "no", "no", "too few labels"),
)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attributes": ("hat", "colour=red", "colour=blue")}, "thresholds: 4 of them for 3"),
        ({"attributes": ("hat", "colour=red", "colour=blue", "hat")}, "attributes: expected names"),
        ({"attributes": (), "thresholds": ()}, "attributes: expected names, each once"),
        ({"thresholds": (0.25, 0.5, 0.5, 2.0)}, "thresholds: expected numbers from 0 to 1"),
        ({"thresholds": (0.25, 0.5, 0.5)}, "thresholds: 3 of them for 4 attributes"),
        ({"learnable": ("yes", "no", "no", "maybe")}, "learnable: expected one of yes, no, too"),
        ({"learnable": ("yes",)}, "learnable: expected one of"),
        ({"head": heads.HeadConfig("conf", (2, 2, 3), 4, 0.1)}, "head.kind: got 'conf', expected"),
        ({"head": heads.HeadConfig("conv", (3,), 4, 0.1)}, "head.input_shape: got"),
        ({"head": heads.HeadConfig("conv", (2, 2, 10**9), 4, 0.1)}, "from 1 to 65536"),
        ({"head": heads.HeadConfig("conv", (2, 2, 3), 3, 0.1)}, "head: expected 4 outputs"),
        ({"image_size": (64, 0)}, "image_size: got [64, 0]"),
        ({"backbone": {"name": "vgg19"}}, "backbone: expected name and sha256"),
        ({"precision": "float8"}, "precision: got 'float8', expected one of float32, bfloat16"),
        ({"grid": 0}, "grid: got 0"),
        ({"categories": (Attribute("colour", ("blue", "red"), 1),)}, "the values of 'colour'"),
        ({"categories": (Attribute("colour", ("red", "blue"), 9),)}, "the values of 'colour'"),
        ({"categories": FULL.categories * 2}, "the values of 'colour'"),
        ({"branches": (((0, 1), (2, 4)),)}, "branches: expected spans"),
        ({"branches": (((0, 3),), ((0, 4),))}, "branches: expected spans"),
    ],
)
def test_a_card_that_does_not_go_together_is_one_line(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    saved_model.write_card(FULL, tmp_path)
    assert saved_model.read_card(tmp_path) == FULL
    saved_model.write_card(dataclasses.replace(FULL, **changes), tmp_path)  # type: ignore[arg-type]
    with pytest.raises(PipelineError, match=re.escape(message)) as error:
        saved_model.read_card(tmp_path)
    assert str(error.value).endswith("`dvc checkout`")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "\x00", "[" * 10_000, '{"thresholds": [NaN]}', "3"]
)
def test_what_is_no_card_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(PipelineError, match=r"model\.json: .*`dvc checkout`$"):
        saved_model.read_card(tmp_path)


def test_a_threshold_that_is_no_number_is_refused(tmp_path: Path) -> None:
    saved_model.write_card(FULL, tmp_path)
    path = tmp_path / "model.json"
    path.write_text(path.read_text().replace("0.25", "NaN"))
    with pytest.raises(PipelineError, match="thresholds"):
        saved_model.read_card(tmp_path)


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    """A finished classifier, as far as its hashes go."""
    saved_model.write_card(FULL, tmp_path)
    for name in ("head.weights.h5", "backbone/backbone.json", "backbone/backbone.weights.h5"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"weights")
    for name in ("history.csv", "variants/mask/model.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"shown")
    saved_model.seal(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["model.json", "head.weights.h5", "backbone/backbone.json"])
@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "absent"])
def test_a_finished_classifier_is_used_with_the_bytes_that_were_written(
    sealed: Path, name: str, damage: str
) -> None:
    saved_model.check(sealed)
    content = (sealed / name).read_bytes()
    if damage == "absent":
        (sealed / name).unlink()
    else:
        new = {"flipped": b" " + content[1:], "cut": content[:-1], "empty": b""}[damage]
        (sealed / name).write_bytes(new)
    with pytest.raises(PipelineError, match=r".*`dvc checkout`$"):
        saved_model.check(sealed)


def test_attributes_in_another_order_are_refused(sealed: Path) -> None:
    """Each name is there once, and yet every probability would stand under another's name."""
    content = json.loads((sealed / "model.json").read_text())
    content["attributes"][0], content["attributes"][3] = "b", "hat"
    (sealed / "model.json").write_text(json.dumps(content))
    saved_model.read_card(sealed)
    with pytest.raises(PipelineError, match="has other bytes than were written"):
        saved_model.check(sealed)


def test_what_is_shown_only_may_change(sealed: Path) -> None:
    (sealed / "history.csv").unlink()
    (sealed / "variants/mask/model.json").write_text("")
    saved_model.check(sealed)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"model.json": 3}'])
def test_damaged_hashes_are_no_sound_model(sealed: Path, content: bytes) -> None:
    (sealed / saved_model.SUMS).write_bytes(content)
    with pytest.raises(PipelineError, match=r".*`dvc checkout`$"):
        saved_model.check(sealed)


def test_damaged_weights_of_a_head_are_one_line(tmp_path: Path) -> None:
    head = heads.build(CONFIG)
    path = tmp_path / "head.weights.h5"
    for content in (None, b"", b"no weights", "other", "nan"):
        path.unlink(missing_ok=True)
        if content == "other":
            heads.save(heads.build(dataclasses.replace(CONFIG, outputs=3)), path)
        elif content == "nan":
            heads.save(head, path)
            with h5py.File(path, "a") as file:
                file["layers/dense/vars/1"][0] = np.nan
        elif content is not None:
            path.write_bytes(content)
        with pytest.raises(PipelineError, match=r"head\.weights\.h5: .*`dvc checkout`$"):
            heads.load(CONFIG, path)

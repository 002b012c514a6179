"""Which networks are trained for a kind of final network, from what, and what they share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.data.loading import Pictures
from pipeline.features import backbones
from pipeline.features import weights as backbone_weights
from pipeline.training import fine_tuning, heads, network
from pipeline.training.fine_tuning import Trainer, floored
from pipeline.training.fitting import Fit, Settings, Task
from pipeline.training.saved_model import Card

SIZE = (16, 16)
ATTRIBUTES = [(0, 1), (1, 3), (3, 4)]
"""The middle one is categorical, of two values."""
CHANNELS = 8
HEAD = heads.HeadConfig("dense", (4, 4, CHANNELS), outputs=4, dropout=0.0, units=6)
MOMENTS = (np.arange(CHANNELS, dtype="float32"), np.full(CHANNELS, 4, dtype="float32"))


class Fits:
    """In place of `fine_tuning.fit`: notes how it was called, and trains nothing."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def __call__(self, branch: network.Branch, *args: Any, **options: Any) -> list[Fit]:
        branch.backbone.network.trainable = options["train_backbone"]
        self.calls.append({"branch": branch, "spans": list(branch.spans), **options})
        return [Fit(weights=head.get_weights()) for head in branch.heads]


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> Fits:
    def load(name: str, size: tuple[int, int], precision: str) -> Any:
        assert (name, size, precision) == (f"cnn-4-{CHANNELS}", SIZE, "float32")
        backbone = backbones.build(name, size)
        backbone_weights.randomise(backbone, 1)
        return backbone

    monkeypatch.setattr(backbone_weights, "load", load)
    instead = Fits()
    monkeypatch.setattr(fine_tuning, "fit", instead)
    return instead


def trainer(**changes: Any) -> Trainer:
    rows, nothing = np.arange(3), np.zeros((3, 4), dtype="float32")
    options: dict[str, Any] = {
        "card": Card(
            head=HEAD,
            attributes=("a", "b=x", "b=y", "c"),
            thresholds=(0.5,) * 4,
            image_size=SIZE,
            backbone={"name": f"cnn-4-{CHANNELS}"},
            precision="float32",
            missing="mask",
        ),
        "pictures": Pictures(Path(), ["a", "b", "c"], ["", "", ""], SIZE, seed=0),
        "task": Task(rows, nothing, rows, nothing, seed=(5, 4)),
        "settings": Settings(epochs=1, batch_size=2, learning_rate=0.1, patience=1),
        "moments": MOMENTS,
        "batch_statistics": True,
        "views": False,
    }
    return Trainer(**(options | changes))


def weights(head: Any) -> list[np.ndarray]:
    return [np.array(value) for value in head.get_weights()]


def same(one: Any, other: Any) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


def test_a_single_network_has_one_head_for_all_columns(fits: Fits) -> None:
    train = trainer(views=True)
    (branch,) = train.of_kind("single", ATTRIBUTES)
    assert branch.spans == train.spans == [(0, 4)]
    assert [head.output_shape for head in branch.heads] == [(None, 4)]
    assert len(train.fits) == 1
    (call,) = fits.calls
    assert (call["train_backbone"], call["batch_statistics"], call["views"]) == (True, True, True)


def test_what_is_being_trained_is_logged(fits: Fits, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "fine_tune"):
        trainer().of_kind("shared", ATTRIBUTES)
    assert caplog.messages == [
        "a backbone with its head for a",
        "heads on a frozen backbone for b=x and 2 more",
    ]


def test_a_single_network_starts_from_the_head_that_it_is_given(fits: Fits) -> None:
    built = heads.build(HEAD)
    (branch,) = trainer().of_kind("single", ATTRIBUTES, built)
    assert branch.heads == [built]
    (fresh,) = trainer().of_kind("single", ATTRIBUTES)
    assert not same(fresh.heads[0], built)


def test_independent_networks_share_nothing_and_start_alike(fits: Fits) -> None:
    train = trainer()
    branches = train.of_kind("independent", ATTRIBUTES)
    assert [branch.spans for branch in branches] == [[span] for span in ATTRIBUTES]
    assert [branch.heads[0].output_shape[1] for branch in branches] == [1, 2, 1]
    assert train.spans == ATTRIBUTES and len(train.fits) == 3
    assert all(call["train_backbone"] for call in fits.calls)
    networks = [branch.backbone for branch in branches]
    assert len({id(one) for one in networks}) == 3
    assert all(same(one, networks[0]) for one in networks[1:])
    # A head does not depend on which others there are: alone it starts from the same weights.
    alone = trainer().train(ATTRIBUTES[2])
    assert same(alone.heads[0], branches[2].heads[0])
    assert not same(branches[0].heads[0], branches[2].heads[0])


def test_a_shared_backbone_is_trained_once_and_then_frozen(fits: Fits) -> None:
    train = trainer()
    (branch,) = train.of_kind("shared", ATTRIBUTES)
    assert branch.spans == train.spans == ATTRIBUTES
    assert len(branch.heads) == len(train.fits) == 3
    assert [call["spans"] for call in fits.calls] == [ATTRIBUTES[:1], ATTRIBUTES[1:]]
    assert [call["train_backbone"] for call in fits.calls] == [True, False]
    # Moments of batches are learnt with the backbone or not at all.
    assert [call["batch_statistics"] for call in fits.calls] == [True, False]
    assert fits.calls[0]["branch"].backbone is branch.backbone
    # Of what was fitted, the backbone's weights are a part.
    own = heads.counts(branch.backbone.network)[1]
    assert own > 0
    assert branch.trainable == own + sum(heads.counts(head)[1] for head in branch.heads)


def test_of_one_attribute_there_is_nothing_to_share(fits: Fits) -> None:
    (branch,) = trainer().of_kind("shared", ATTRIBUTES[:1])
    assert branch.spans == [(0, 1)]
    assert len(fits.calls) == 1


def test_batch_moments_are_left_alone_where_asked(fits: Fits) -> None:
    trainer(batch_statistics=False).of_kind("single", ATTRIBUTES)
    assert [call["batch_statistics"] for call in fits.calls] == [False]


def test_another_kind_is_an_error(fits: Fits) -> None:
    with pytest.raises(ValueError, match="unknown kind of network 'twin'"):
        trainer().of_kind("twin", ATTRIBUTES)
    assert not fits.calls


def test_the_floor_of_the_variance_is_a_hundredth_of_its_mean() -> None:
    mean, variance = floored(np.array([1.0, 2, 3]), np.array([0.0, 0.01, 5.99]))
    assert mean.tolist() == [1, 2, 3]
    assert variance == pytest.approx([0.02, 0.02, 5.99])

from __future__ import annotations

import dataclasses
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.data.categories import Attribute
from pipeline.data.loading import Pictures
from pipeline.errors import PipelineError
from pipeline.features import backbones
from pipeline.features import weights as backbone_weights
from pipeline.features.weights import randomise
from pipeline.training import fine_tuning, heads, network, saved_model, schedules
from pipeline.training.fine_tuning import NetworkTrainer
from pipeline.training.fitting import Fit, FitSettings, Task
from pipeline.training.losses import Objective
from pipeline.training.network import Branch, WholeNetwork
from pipeline.training.saved_model import Card

SIZE = (32, 32)
N, TRAINING = 40, 28
LABELS = np.stack([np.arange(N) % 2, np.arange(N) // 2 % 2], axis=1).astype("float32")
"""Whether the left half is bright, and whether the right half is red."""
UNIT = (np.zeros(8, "float32"), np.ones(8, "float32"))
SETTINGS = FitSettings(epochs=3, batch_size=8, learning_rate=0.005, patience=9)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Pictures:
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    names, sha256 = [], []
    for i in range(N):
        values = rng.integers(40, 160, (*SIZE, 3))
        values[:, :16] += 80 * int(LABELS[i, 0])
        values[:, 16:, 0] += 80 * int(LABELS[i, 1])
        content = io.BytesIO()
        Image.fromarray(values.astype("uint8")).save(content, "PNG")
        names.append(f"{i}.png")
        sha256.append(hashlib.sha256(content.getvalue()).hexdigest())
        (folder / names[-1]).write_bytes(content.getvalue())
    return Pictures(folder, names, sha256, SIZE, seed=1)


def branch(*spans: tuple[int, int], kind: str = "conv") -> Branch:
    """The same backbone each time, and heads with seeds of their own."""
    backbone = backbones.build("cnn-4-8", SIZE)
    randomise(backbone, 1)
    shape = (8,) if kind == "linear" else (8, 8, 8)
    config = heads.HeadConfig(kind, shape, outputs=9, dropout=0.2, units=8)
    made = network.make_branch(backbone, config, spans)
    for head, (start, _) in zip(made.heads, spans, strict=True):
        heads.reset(head, (1, start), UNIT)
    return made


def task(labels: np.ndarray = LABELS, **changes: Any) -> Task:
    rows, held = np.arange(TRAINING), np.arange(TRAINING, N)
    return dataclasses.replace(Task(rows, labels[rows], held, labels[held], seed=(5,)), **changes)


def fit(
    made: Branch,
    pictures: Pictures,
    of: Task,
    train_backbone: bool = True,
    views: bool = False,
    fitted: bool = False,
    **settings: Any,
) -> list[Fit]:
    return fine_tuning.fit(
        made,
        pictures,
        of,
        dataclasses.replace(SETTINGS, **settings),
        train_backbone=train_backbone,
        batch_statistics=train_backbone,
        views=views,
        fitted=fitted,
    )


def weights(made: Branch) -> list[np.ndarray]:
    return [*made.backbone.get_weights(), *(w for head in made.heads for w in head.get_weights())]


def same(one: list[np.ndarray], two: list[np.ndarray]) -> bool:
    return all((a == b).all() for a, b in zip(one, two, strict=True))


@pytest.mark.identical_bytes
def test_learns_what_is_seen_and_twice_the_same(pictures: Pictures, tmp_path: Path) -> None:
    files = []
    for run in ("one", "two"):
        made = branch((0, 2))
        (found,) = fit(made, pictures, task(), views=True, epochs=6, learning_rate=0.01)
        (tmp_path / run).mkdir()
        network.save([made], tmp_path / run)
        files.append([p.read_bytes() for p in sorted((tmp_path / run).rglob("*.h5"))])
    assert files[0] == files[1]
    assert len(files[0]) == 2
    best = found.history[found.best_epoch]
    assert best["val_auc"] > 0.95
    assert found.history[-1]["loss"] < found.history[0]["loss"]
    born = branch((0, 2))
    kernels = [w for w in born.backbone.get_weights() if w.ndim == 4]
    trained = [w for w in made.backbone.get_weights() if w.ndim == 4]
    assert all((a != b).any() for a, b in zip(kernels, trained, strict=True))


@pytest.fixture(scope="module")
def plain(pictures: Pictures) -> Fit:
    """Two epochs of one head and its backbone, without any extra."""
    (found,) = fit(branch((0, 2)), pictures, task(), epochs=2)
    return found


def test_history_and_steps(plain: Fit) -> None:
    found = plain
    assert [set(entry) for entry in found.history] == [
        {"loss", "val_loss", "val_auc", "val_binary_accuracy"}
    ] * 2
    # 28 rows are three batches of 8 and one filled up from the front.
    assert len(found.iterations) == 2 * 4
    assert found.history[1]["loss"] == pytest.approx(np.mean(found.iterations[4:]))


def test_fewer_rows_than_half_a_batch_and_every_epoch_is_logged(
    pictures: Pictures, caplog: pytest.LogCaptureFixture
) -> None:
    few = task(rows=np.arange(3), targets=LABELS[:3])
    with caplog.at_level("INFO", "fine_tune"):
        (found,) = fit(branch((0, 2)), pictures, few, epochs=2, batch_size=8)
    assert len(found.iterations) == 2
    assert len(caplog.messages) == 2
    last = found.history[1]
    expected = (
        f"epoch 2 of at most 2: loss {last['loss']:.4f}, validation AUC {last['val_auc']:.3f}"
    )
    assert caplog.messages[1].startswith(f"{expected}, ")


def test_best_weights_of_head_and_backbone_are_kept(pictures: Pictures) -> None:
    made = branch((0, 2))
    # A rate that swings past the best epoch.
    (found,) = fit(made, pictures, task(), epochs=6, learning_rate=0.05)
    ranks = [(entry["val_auc"], -entry["val_loss"]) for entry in found.history]
    assert found.best_epoch == ranks.index(max(ranks)) < 5
    assert same(found.weights, weights(made))
    held = np.arange(TRAINING, N)
    logits = fine_tuning.predict(WholeNetwork([made], SIZE), pictures, held, 2)
    loss = np.logaddexp(0, np.where(LABELS[held] == 1, -logits, logits)).mean()
    assert found.history[found.best_epoch]["val_loss"] == pytest.approx(loss, rel=1e-5)
    shorter = branch((0, 2))
    fit(shorter, pictures, task(), epochs=found.best_epoch + 1, learning_rate=0.05)
    assert same(weights(made), weights(shorter))


def test_what_was_good_already_stays_where_no_epoch_is_better(pictures: Pictures) -> None:
    made = branch((0, 2))
    (first,) = fit(made, pictures, task(), epochs=6, learning_rate=0.01)
    before = weights(made)
    # On wrong labels it can but get worse.
    wrong = dataclasses.replace(task(), targets=1 - LABELS[:TRAINING])
    (found,) = fit(made, pictures, wrong, epochs=2, learning_rate=0.05, fitted=True)
    assert found.best_epoch == -1
    assert found.best_auc == first.best_auc
    assert same(weights(made), before)
    (again,) = fit(made, pictures, wrong, epochs=2, learning_rate=0.05)
    assert again.best_epoch >= 0
    assert not same(weights(made), before)


def test_patience_ends_it(pictures: Pictures) -> None:
    one_class = task(val_targets=np.ones((N - TRAINING, 2)))
    hopeless = dataclasses.replace(one_class, targets=np.zeros((TRAINING, 2), "float32"))
    (found,) = fit(branch((0, 2)), pictures, hopeless, epochs=20, patience=2)
    assert (found.best_epoch, len(found.history)) == (0, 3)


def test_without_validation_labels_all_epochs_run(pictures: Pictures) -> None:
    unknown = task(val_targets=np.full((N - TRAINING, 2), np.nan))
    (found,) = fit(branch((0, 2)), pictures, unknown, epochs=4, patience=1)
    assert (found.best_epoch, len(found.history)) == (3, 4)


def test_validation_decides_on_the_epoch_alone(pictures: Pictures) -> None:
    """Other validation images, other labels: the same weights after the same epochs."""
    ends = []
    for held, labels in (
        (np.arange(TRAINING, N), LABELS[TRAINING:]),
        (np.arange(3), np.full((3, 2), np.nan)),
    ):
        made = branch((0, 2))
        (found,) = fit(made, pictures, task(val_rows=held, val_targets=labels))
        ends.append((weights(made), found))
    assert ends[0][1].iterations == ends[1][1].iterations
    assert ends[0][1].best_epoch == ends[1][1].best_epoch == 2
    assert same(ends[0][0], ends[1][0])


def test_unknown_cells_have_no_influence(pictures: Pictures) -> None:
    unknown = np.random.default_rng(2).random((TRAINING, 2)) < 0.4
    targets = np.where(unknown, np.nan, LABELS[:TRAINING]).astype("float32")
    ends = []
    for mass in (1.0, 1e6):
        made = branch((0, 2))
        load = np.where(unknown, mass, 1.0).astype("float32")
        fit(made, pictures, task(targets=targets, weights=load), epochs=2)
        ends.append(weights(made))
    assert same(ends[0], ends[1])
    # No weight at all is as good as unknown.
    made = branch((0, 2))
    load = np.where(unknown, 0.0, 1.0).astype("float32")
    fit(made, pictures, task(weights=load), epochs=2)
    assert same(ends[0], weights(made))


def test_nothing_known_moves_nothing(pictures: Pictures) -> None:
    made = branch((0, 2))
    born = weights(made)
    nothing = task(targets=np.full((TRAINING, 2), np.nan, "float32"))
    (found,) = fit(made, pictures, nothing, epochs=2)
    assert same(born, weights(made))
    assert set(found.iterations) == {0.0}


def test_an_unknown_column_moves_nothing_of_its_own(pictures: Pictures) -> None:
    made = branch((0, 2))
    kernel_born, bias_born = made.heads[0].get_layer("logits").get_weights()
    targets = LABELS[:TRAINING].copy()
    targets[:, 1] = np.nan
    fit(made, pictures, task(targets=targets), epochs=2)
    kernel, bias = made.heads[0].get_layer("logits").get_weights()
    assert (kernel[:, 1] == kernel_born[:, 1]).all()
    assert bias[1] == bias_born[1]
    assert (kernel[:, 0] != kernel_born[:, 0]).any()


# Clipping and the plateau would tie heads together if they had one optimiser or one schedule.
@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("dense", {"clip_norm": 0.05}),
        ("dense", {"schedule": "plateau", "epochs": 5, "learning_rate": 0.05}),
        ("linear", {"patience": 1, "epochs": 8, "learning_rate": 0.3}),
    ],
)
def test_heads_on_a_frozen_backbone_are_as_if_alone(
    pictures: Pictures, kind: str, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedules, "WAIT", 1)
    spans = [(0, 1), (1, 2)]
    labels = LABELS.copy()
    # The second is never better than at first, while the first goes on.
    labels[:, 1] = np.arange(N) >= TRAINING
    together = branch(*spans, kind=kind)
    frozen = together.backbone.get_weights()
    fits = fit(together, pictures, task(labels), train_backbone=False, **settings)
    assert same(frozen, together.backbone.get_weights())
    for i, span in enumerate(spans):
        alone = branch(span, kind=kind)
        (found,) = fit(alone, pictures, task(labels), train_backbone=False, **settings)
        assert found.best_epoch == fits[i].best_epoch
        assert found.history == fits[i].history
        assert found.iterations == fits[i].iterations
        assert same(found.weights, together.heads[i].get_weights())


def test_a_backbone_is_trained_with_one_head(pictures: Pictures) -> None:
    with pytest.raises(ValueError, match="one head"):
        fit(branch((0, 1), (1, 2)), pictures, task())


def test_a_clipped_step_and_a_schedule_change_the_steps(pictures: Pictures, plain: Fit) -> None:
    ends = {"plain": plain.iterations}
    for name, settings in (
        ("clipped", {"clip_norm": 1e-6}),
        ("exponential", {"schedule": "exponential"}),
    ):
        (found,) = fit(branch((0, 2)), pictures, task(), epochs=2, **settings)
        ends[name] = found.iterations
    # The rate of the first epoch is the same, and clipping comes after the first loss.
    assert ends["plain"][:5] == ends["exponential"][:5]
    assert ends["plain"][5:] != ends["exponential"][5:]
    assert ends["plain"][0] == ends["clipped"][0]
    assert ends["plain"][1:] != ends["clipped"][1:]


@pytest.mark.parametrize("size", [8, 32])
def test_a_diverging_fit_names_the_param(pictures: Pictures, size: int) -> None:
    # With a single step its loss is still finite, and the network after it is not.
    with pytest.raises(
        PipelineError,
        match=r"fine_tune\.learning_rate: 3e\+38 let the fit diverge in epoch 1; try a tenth",
    ):
        made = branch((0, 2), kind="linear")
        fit(made, pictures, task(), epochs=1, batch_size=size, learning_rate=3e38)


def test_views_change_from_epoch_to_epoch(
    pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []
    original = Pictures.batches

    def spy(self: Pictures, rows: np.ndarray, batch: int, view: int = 0) -> Any:
        seen.append((len(rows), view))
        return original(self, rows, batch, view)

    monkeypatch.setattr(Pictures, "batches", spy)
    fit(branch((0, 2)), pictures, task(), views=True)
    assert [view for count, view in seen if count == 32] == [0, 1, 2]
    assert {view for count, view in seen if count == N - TRAINING} == {0}
    seen.clear()
    fit(branch((0, 2)), pictures, task(), views=False)
    assert {view for _, view in seen} == {0}


def test_softmax_groups(pictures: Pictures) -> None:
    colour = Attribute("colour", ("red", "blue", "grey"), 1)
    group = np.random.default_rng(0).integers(0, 3, N)
    group[LABELS[:, 1] == 1] = 0
    group[(LABELS[:, 1] == 0) & (group == 0)] = 1
    labels = np.concatenate([LABELS[:, :1], np.eye(3, dtype="float32")[group]], axis=1)
    labels[:5, 1:] = np.nan
    for spans in ([(0, 4)], [(1, 4)]):
        made = branch(*spans)
        (found,) = fit(
            made, pictures, task(labels), epochs=4, objective=Objective(softmax=((1, 4),))
        )
        best = found.history[found.best_epoch]
        assert {"val_accuracy_0", "val_f1_0"} <= best.keys()
        assert best["val_accuracy_0"] > 0.5
        whole = WholeNetwork([made], SIZE)
        logits = fine_tuning.predict(whole, pictures, np.arange(N), 4)
        probability = saved_model.of_logits(logits, (colour,))
        assert probability[:, 1:].sum(axis=1) == pytest.approx(1)
        assert probability[:, 0] == pytest.approx(1 / (1 + np.exp(-logits[:, 0])))


def test_predict_in_order_whatever_the_batches(pictures: Pictures) -> None:
    whole = WholeNetwork([branch((1, 2))], SIZE)
    rows = np.array([7, 3, 3, 39, 0])
    logits = fine_tuning.predict(whole, pictures, rows, 3)
    assert (logits.shape, logits.dtype) == ((5, 3), np.dtype("float32"))
    assert (logits[:, [0, 2]] == 0).all()
    assert (logits[1] == logits[2]).all()
    many = fine_tuning.predict(whole, pictures, np.tile(np.arange(N), 3), 3)
    assert len(many) > whole.batch
    for row, own in zip(rows, logits, strict=True):
        assert (many[row] == own).all()
        assert (many[2 * N + row] == own).all()


def test_running_moments_keep_up_with_a_few_steps(pictures: Pictures) -> None:
    """Or a network of batch normalisation is scored with moments that it never trained with."""
    import keras

    samples = keras.Input((*SIZE, 3))
    x = keras.layers.Conv2D(4, 3, strides=8, name="conv")(samples)
    inner = keras.Model(samples, keras.layers.BatchNormalization(momentum=0.999, name="norm")(x))
    outer = keras.Model(samples, inner(samples))
    outer.network = inner
    config = heads.HeadConfig("linear", (4,), 2, 0.0)
    norm = inner.get_layer("norm")
    for batches, momentum in ((False, 0.999), (True, fine_tuning.MOMENTUM)):
        made = network.make_branch(outer, config, [(0, 2)])
        heads.reset(made.heads[0], (1,), (np.zeros(4, "f4"), np.ones(4, "f4")))
        settings = dataclasses.replace(SETTINGS, epochs=1)
        fine_tuning.fit(made, pictures, task(), settings, True, batches, False)
        assert norm.momentum == momentum
        assert bool(np.abs(norm.moving_mean.numpy()).max() > 1) is batches


# Which networks are trained for a kind of final network, from what, and what they share.

ATTRIBUTES = [(0, 1), (1, 3), (3, 4)]
"""The middle one is categorical, of two values."""
SMALL = (16, 16)
HEAD = heads.HeadConfig("dense", (4, 4, 8), outputs=4, dropout=0.0, units=6)
MOMENTS = (np.arange(8, dtype="float32"), np.full(8, 4, dtype="float32"))


class Fits:
    """In place of `fine_tuning.fit`: notes how it was called, and trains nothing."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def __call__(self, branch: network.Branch, *args: Any, **options: Any) -> list[Fit]:
        branch.backbone.network.trainable = options["train_backbone"]
        self.calls.append({"branch": branch, "spans": list(branch.spans), **options})
        return [Fit(weights=head.get_weights()) for head in branch.heads]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Fits:
    def load(name: str, size: tuple[int, int], precision: str) -> Any:
        assert (name, size, precision) == ("cnn-4-8", SMALL, "float32")
        backbone = backbones.build(name, size)
        randomise(backbone, 1)
        return backbone

    monkeypatch.setattr(backbone_weights, "load", load)
    instead = Fits()
    monkeypatch.setattr(fine_tuning, "fit", instead)
    return instead


def trainer(**changes: Any) -> NetworkTrainer:
    rows, nothing = np.arange(3), np.zeros((3, 4), dtype="float32")
    options: dict[str, Any] = {
        "card": Card(
            head=HEAD,
            attributes=("a", "b=x", "b=y", "c"),
            thresholds=(0.5,) * 4,
            image_size=SMALL,
            backbone={"name": "cnn-4-8"},
            precision="float32",
            missing="mask",
        ),
        "pictures": Pictures(Path(), ["a", "b", "c"], ["", "", ""], SMALL, seed=0),
        "task": Task(rows, nothing, rows, nothing, seed=(5, 4)),
        "settings": FitSettings(epochs=1, batch_size=2, learning_rate=0.1, patience=1),
        "moments": MOMENTS,
        "batch_statistics": True,
        "views": False,
    }
    return NetworkTrainer(**(options | changes))


def alike(one: Any, other: Any) -> bool:
    return same(one.get_weights(), other.get_weights())


def trained(
    kind: str, attributes: Sequence[network.Span] = ATTRIBUTES, built: Any = None, **changes: Any
) -> list[fine_tuning.Trained]:
    return fine_tuning.NETWORKS[kind](trainer(**changes), attributes, built)


def test_a_single_network_has_one_head_for_all_columns(calls: Fits) -> None:
    ((branch, fits),) = trained("single", views=True)
    assert branch.spans == [(0, 4)]
    assert [head.output_shape for head in branch.heads] == [(None, 4)]
    assert len(fits) == 1
    (call,) = calls.calls
    assert (call["train_backbone"], call["batch_statistics"], call["views"]) == (True, True, True)


def test_what_is_being_trained_is_logged(calls: Fits, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "fine_tune"):
        trained("shared")
    assert caplog.messages == [
        "a backbone with its head for a",
        "heads on a frozen backbone for b=x and 2 more",
    ]


def test_a_single_network_starts_from_the_head_that_it_is_given(calls: Fits) -> None:
    built = heads.build(HEAD)
    ((branch, _),) = trained("single", built=built)
    assert branch.heads == [built]
    ((fresh, _),) = trained("single")
    assert not alike(fresh.heads[0], built)
    assert [call["fitted"] for call in calls.calls] == [True, False]


def test_independent_networks_share_nothing_and_start_alike(calls: Fits) -> None:
    branches, fits = zip(*trained("independent"), strict=True)
    assert [branch.spans for branch in branches] == [[span] for span in ATTRIBUTES]
    assert [branch.heads[0].output_shape[1] for branch in branches] == [1, 2, 1]
    assert [len(own) for own in fits] == [1, 1, 1]
    assert all(call["train_backbone"] for call in calls.calls)
    networks = [branch.backbone for branch in branches]
    assert len({id(one) for one in networks}) == 3
    assert all(alike(one, networks[0]) for one in networks[1:])
    # A head does not depend on which others there are: alone it starts from the same weights.
    alone, _ = trainer().train(ATTRIBUTES[2])
    assert alike(alone.heads[0], branches[2].heads[0])
    assert not alike(branches[0].heads[0], branches[2].heads[0])


def test_a_shared_backbone_is_trained_once_and_then_frozen(calls: Fits) -> None:
    ((branch, fits),) = trained("shared")
    assert branch.spans == ATTRIBUTES
    assert len(branch.heads) == len(fits) == 3
    assert [call["spans"] for call in calls.calls] == [ATTRIBUTES[:1], ATTRIBUTES[1:]]
    assert [call["train_backbone"] for call in calls.calls] == [True, False]
    # Moments of batches are learnt with the backbone or not at all.
    assert [call["batch_statistics"] for call in calls.calls] == [True, False]
    assert calls.calls[0]["branch"].backbone is branch.backbone
    # Of what was fitted, the backbone's weights are a part.
    own = heads.counts(branch.backbone.network)[1]
    assert own > 0
    assert branch.trainable == own + sum(heads.counts(head)[1] for head in branch.heads)


def test_of_one_attribute_there_is_nothing_to_share(calls: Fits) -> None:
    ((branch, _),) = trained("shared", ATTRIBUTES[:1])
    assert branch.spans == [(0, 1)]
    assert len(calls.calls) == 1


def test_batch_moments_are_left_alone_where_asked(calls: Fits) -> None:
    trained("single", batch_statistics=False)
    assert [call["batch_statistics"] for call in calls.calls] == [False]


def test_another_kind_is_an_error(calls: Fits) -> None:
    with pytest.raises(KeyError, match="twin"):
        trained("twin")
    assert not calls.calls


def test_the_lower_bound_of_the_variance_is_a_hundredth_of_its_mean() -> None:
    mean, variance = fine_tuning.bounded_variance(
        np.array([1.0, 2, 3]), np.array([0.0, 0.01, 5.99])
    )
    assert mean.tolist() == [1, 2, 3]
    assert variance == pytest.approx([0.02, 0.02, 5.99])

"""Label models: what they read, and that neither the own label nor its fold is among it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from pipeline.impute import label_models, related
from pipeline.impute.label_models import ClassModels, Inputs, chained_logistic
from pipeline.impute.related import most_related
from pipeline.metrics.ranking import auc

NAN = float("nan")
FOLDS = 3
Factory = Callable[[Inputs], label_models.LabelModel]
FACTORIES: dict[str, Factory] = {
    **{n: make for n, make in label_models.LABEL_MODELS.items() if "classes" not in n},
    "classes": partial(ClassModels, classes=4),
}


def one_read(factory: Factory) -> Factory:
    """As in a wide table: of the other attributes only the one that is most related is read."""

    def narrowed(inputs: Inputs) -> Inputs:
        return replace(inputs, related=most_related(inputs.labels, inputs.fold, most=1))

    def make(inputs: Inputs) -> label_models.LabelModel:
        model = factory(narrowed(inputs))
        return lambda given, context, target: model(narrowed(given), context, target)

    return make


FACTORIES |= {f"{name}, one other": one_read(factory) for name, factory in FACTORIES.items()}
EVERY = pytest.mark.parametrize("factory", FACTORIES.values(), ids=list(FACTORIES))


def table(n: int = 90, attributes: int = 3, unknown: float = 0.25, seed: int = 0) -> Inputs:
    """Pictures of noise; columns 0 and 1 agree nine times in ten."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, (n, attributes)).astype(float)
    labels[:, 1] = np.where(rng.random(n) < 0.9, labels[:, 0], 1 - labels[:, 0])
    labels[rng.random(labels.shape) < unknown] = NAN
    fold = rng.permutation(n) % (FOLDS + 1) - 1
    return Inputs(
        rng.normal(size=(n, 4)).astype(np.float32),
        rng.normal(0, 0.3, (FOLDS + 1, n, attributes)),
        labels,
        fold,
        (seed,),
    )


def with_labels(inputs: Inputs, labels: np.ndarray) -> Inputs:
    return replace(inputs, labels=labels)


def score(factory: Factory, inputs: Inputs, target: int) -> np.ndarray:
    return factory(inputs)(inputs, inputs.labels, target)


@EVERY
def test_labels_of_a_fold_do_not_score_it(factory: Factory) -> None:
    inputs = table()
    before = score(factory, inputs, 0)
    assert np.isfinite(before).all()
    for k in range(FOLDS):
        labels = inputs.labels.copy()
        labels[inputs.fold == k, 0] = 1 - labels[inputs.fold == k, 0]
        after = score(factory, with_labels(inputs, labels), 0)
        own = (inputs.fold == k) & ~np.isnan(labels[:, 0])
        np.testing.assert_allclose(after[own], before[own], rtol=0, atol=1e-9)
        assert (after != before)[~own].mean() > 0.5


@EVERY
def test_target_labels_outside_training_shape_nothing(factory: Factory) -> None:
    inputs = table()
    labels = inputs.labels.copy()
    labels[inputs.fold < 0, 0] = 1 - labels[inputs.fold < 0, 0]
    before, after = score(factory, inputs, 0), score(factory, with_labels(inputs, labels), 0)
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-9)


@EVERY
def test_a_cells_own_label_does_not_score_it(factory: Factory) -> None:
    inputs = table()
    before = score(factory, inputs, 0)
    for row in (0, 7, 20, 33):
        labels = inputs.labels.copy()
        labels[row, 0] = 1 - labels[row, 0]
        after = score(factory, with_labels(inputs, labels), 0)
        assert after[row] == pytest.approx(before[row], abs=1e-9)


@EVERY
def test_scores_from_the_pictures_are_read_in_the_own_refit_alone(factory: Factory) -> None:
    inputs = table()
    before = score(factory, inputs, 0)
    known = ~np.isnan(inputs.labels[:, 0])
    for refit in range(FOLDS + 1):
        image = inputs.image_logits.copy()
        image[refit] = -image[refit] + 1
        changed = replace(inputs, image_logits=image)
        after = score(factory, changed, 0)
        scored = known & (inputs.fold >= 0)
        own = scored & (inputs.fold == refit) if refit < FOLDS else ~scored
        np.testing.assert_allclose(after[~own], before[~own], rtol=0, atol=1e-9)
        assert (after != before)[own].any()


@EVERY
def test_another_label_that_tells_is_used(factory: Factory) -> None:
    inputs = table(n=360, unknown=0.1)
    out = score(factory, inputs, 0)
    with_other = ~np.isnan(inputs.labels[:, 1]) & ~np.isnan(inputs.labels[:, 0])
    assert auc(inputs.labels[with_other, 0], out[with_other]) > 0.75
    without = np.isnan(inputs.labels[:, 1]) & ~np.isnan(inputs.labels[:, 0])
    assert auc(inputs.labels[without, 0], out[without]) < 0.75


@EVERY
def test_hidden_labels_of_the_context_are_not_read(factory: Factory) -> None:
    """Where all others are hidden around known cells, they say nothing of them."""
    inputs = table(n=360, unknown=0.1)
    context = np.full(inputs.labels.shape, NAN)
    out = factory(inputs)(inputs, context, 0)
    known = ~np.isnan(inputs.labels[:, 0]) & (inputs.fold >= 0)
    assert auc(inputs.labels[known, 0], out[known]) < 0.6


@EVERY
def test_one_class_or_no_label_is_still_scored(factory: Factory) -> None:
    inputs = table()
    labels = inputs.labels.copy()
    labels[:, 0] = np.where(np.isnan(labels[:, 0]), NAN, 1)
    labels[:, 2] = NAN
    inputs.image_logits[..., 0] = 3.0
    changed = with_labels(inputs, labels)
    for target, sign in ((0, 1), (2, 0)):
        out = score(factory, changed, target)
        assert np.isfinite(out).all()
        assert (out > 0).mean() > 0.9 if sign else np.abs(out).max() < 2


def test_the_chain_reads_picture_scores_and_the_others_from_minus_one_to_one() -> None:
    inputs = table()
    out = chained_logistic(inputs, inputs.labels, 0)
    image = inputs.image_logits[1]
    others = np.where(np.isnan(inputs.labels), expit(image), inputs.labels)[:, 1:]
    x, y = np.hstack([image, 2 * others - 1]), inputs.labels[:, 0]
    known = ~np.isnan(y) & (inputs.fold >= 0)
    model = LogisticRegression(C=1.0, max_iter=300, tol=1e-3)
    model.fit(x[known & (inputs.fold != 1)], y[known & (inputs.fold != 1)])
    cells = known & (inputs.fold == 1)
    np.testing.assert_allclose(out[cells], model.decision_function(x[cells]), atol=1e-9)


def test_neighbours_vote_with_a_prior_of_two() -> None:
    n = 24
    inputs = Inputs(
        np.tile(np.eye(2), (n // 2, 1)),
        np.zeros((3, n, 2)),
        np.stack([np.arange(n) % 2, np.ones(n)], axis=1).astype(float),
        np.arange(n) // 2 % 2,
        (0,),
    )
    out = label_models.neighbours(inputs, inputs.labels, 0, k=4)
    # Four alike images vote as one; half of the labels are positive.
    assert out == pytest.approx(np.where(np.arange(n) % 2, np.log(5), -np.log(5)))


def test_a_registered_model_is_a_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = table(n=60)
    constant = label_models.at_once(lambda inputs, context, target: np.full(60, float(target)))
    monkeypatch.setattr(label_models, "LABEL_MODELS", {"constant": constant})
    scores = label_models.score(inputs)
    assert list(scores) == ["constant"]
    assert (scores["constant"] == [0, 1, 2]).all()


def test_class_models_add_what_the_picture_says() -> None:
    inputs = table(n=120)
    model = ClassModels(inputs, classes=3)
    before = model(inputs, inputs.labels, 0)
    image = inputs.image_logits.copy()
    image[..., 0] += 2.5
    moved = replace(inputs, image_logits=image)
    after = model(moved, inputs.labels, 0)
    np.testing.assert_allclose(after - before, 2.5, atol=1e-9)


def test_in_a_wide_table_labels_that_are_not_related_are_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inputs = table(n=200, attributes=8, unknown=0.1)
    monkeypatch.setattr(related, "MOST_READ", 1)
    before = label_models.score(inputs)
    labels = inputs.labels.copy()
    labels[:, 7] = 1 - labels[:, 7]
    after = label_models.score(with_labels(inputs, labels))
    for name in ("chain", "shrunk chain", "ridge", "neighbours"):
        assert np.isfinite(before[name]).all()
        np.testing.assert_allclose(after[name][:, 0], before[name][:, 0], rtol=0, atol=1e-9)
        other = auc_of(inputs, before[name])
        assert other > 0.75, name


def auc_of(inputs: Inputs, scores: np.ndarray) -> float:
    """Of column 0, where column 1, which tells of it, is known."""
    both = ~np.isnan(inputs.labels[:, :2]).any(axis=1) & (inputs.fold >= 0)
    return auc(inputs.labels[both, 0], scores[both, 0])

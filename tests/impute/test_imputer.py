"""The whole imputation of a table: no leak at any depth, and a filled table that holds together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.data.labels import LabelTable
from pipeline.data.splits import balanced_folds
from pipeline.impute import components, image_scores, imputer, label_models, self_training
from pipeline.impute.fill import EVIDENCE, ONE_CLASS, PICTURE, PRIOR
from pipeline.impute.imputer import Imputation, Settings
from pipeline.metrics.ranking import auc
from pipeline.stages.impute import plain, summary
from tests.impute.small import candidates_of, fix_penalties, impute, make_small

NAN = float("nan")
FOLDS = 3


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


@pytest.fixture
def stacked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, np.ndarray]]:
    return candidates_of(monkeypatch)


def table(
    n: int = 120, signal: float = 3.0, unknown: float = 0.3, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features [n, 6], labels [n, 3] with holes, and the truth: the first two go together and the
    pictures tell them, nothing tells the third."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6))
    truth = np.stack(
        [
            signal * x[:, 0] + rng.normal(size=n) > 0,
            signal * x[:, 0] + signal * x[:, 1] + rng.normal(size=n) > 0,
            rng.random(n) < 0.4,
        ],
        axis=1,
    ).astype(float)
    return 4 * x, np.where(rng.random(truth.shape) < unknown, NAN, truth), truth


def within(y: np.ndarray, score: np.ndarray, fold: np.ndarray) -> float:
    """AUC over the pairs of the same fold: a model without a fold expects less of what is frequent
    in it, which pulls the AUC over all pairs below .5 and would hide a leak."""
    parts = [(y[fold == k], score[fold == k]) for k in np.unique(fold)]
    areas = [(auc(a, b), (a == 1).sum() * (a == 0).sum()) for a, b in parts]
    defined = [(area, pairs) for area, pairs in areas if pairs]
    return float(sum(a * n for a, n in defined) / sum(n for _, n in defined))


def run(features: np.ndarray, labels: np.ndarray, **settings: Any) -> Imputation:
    fold = np.random.default_rng(9).permutation(len(labels)) % (FOLDS + 1) - 1
    return impute(features, labels, fold=fold, settings=Settings(rounds=1, **settings))


Example = tuple[np.ndarray, np.ndarray, np.ndarray, Imputation]


@pytest.fixture(scope="module")
def example() -> Example:
    """Features, labels, truth and the filled table, for whoever changes none of them."""
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        features, labels, truth = table()
        return features, labels, truth, run(features, labels)


def test_where_every_label_is_a_coin_nothing_ranks_it(
    stacked: list[dict[str, np.ndarray]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last stack's weights are learned from scores that are not nested: they may see a little
    of coins, but no more than a hundredth or so; everything before them nothing."""
    monkeypatch.setattr(imputer.missingness, "examine", lambda *_: [])
    monkeypatch.setattr(imputer.missingness, "exchangeable", lambda *_: ({}, {}))
    areas: dict[str, list[float]] = {}
    learnable = 0
    tables, n = 6, 200
    for seed in range(tables):
        rng = np.random.default_rng([4, seed])
        labels = rng.integers(0, 2, (n, 4)).astype(float)
        labels[rng.random(labels.shape) < 0.2] = NAN
        fold = balanced_folds(labels, np.arange(n), 5, rng)
        settings = Settings(rounds=1)
        features = rng.normal(size=(n, 5))
        filled = impute(features, labels, seed=seed, settings=settings, fold=fold)
        learnable += filled.learnable.any()
        scores = {"scores": filled.scores, "pictures": filled.image_scores}
        scores |= {f"candidate {name}": one for name, one in stacked[-1].items()}
        for name, score in scores.items():
            columns = zip(labels.T, score.T, strict=True)
            areas.setdefault(name, []).append(np.mean([within(y, z, fold) for y, z in columns]))
    assert len(areas) >= 2 + 6
    assert np.mean(areas.pop("scores")) < 0.515
    too_high = {}
    for name, found in areas.items():
        error = np.std(found, ddof=1) / np.sqrt(len(found))
        if np.mean(found) > 0.5 + 2.5 * error:
            too_high[name] = (float(np.mean(found)), float(error))
    # Binomial(6, .05): more than 2 has a chance of 1 in 450.
    assert (too_high, learnable <= 2) == ({}, True), learnable


@pytest.fixture
def fixed_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    """What all labels choose among a few: penalty and calibration."""
    fix_penalties(monkeypatch)
    monkeypatch.setattr(imputer.calibration, "select", lambda *_: ("platt", {"platt": 0.0}))
    for module in (image_scores, imputer):
        monkeypatch.setattr(module, "worth_it", lambda *_: True)


def flips(labels: np.ndarray, held_out: np.ndarray, number: int) -> list[tuple[int, int]]:
    """Known training cells of the two learnable attributes."""
    cells = np.argwhere(~np.isnan(held_out[:, :2]))
    return [(int(i), int(a)) for i, a in cells[:: len(cells) // number][:number]]


@pytest.mark.usefixtures("fixed_choices")
def test_a_cells_own_label_does_not_change_its_candidates_from_labels(
    stacked: list[dict[str, np.ndarray]],
) -> None:
    features, labels, _ = table(n=80)
    filled = run(features, labels)
    before = stacked[-1]
    for row, column in flips(labels, filled.held_out, 3):
        flipped = labels.copy()
        flipped[row, column] = 1 - flipped[row, column]
        run(features, flipped)
        after = stacked[-1]
        moved = {name: np.abs(after[name] - before[name]) for name in label_models.LABEL_MODELS}
        assert max(one[row, column] for one in moved.values()) <= 1e-6
        assert max(one.max() for one in moved.values()) > 1e-3


@pytest.mark.usefixtures("fixed_choices")
def test_a_cells_own_label_hardly_changes_its_own_estimate() -> None:
    """The score of the picture not at all. The last stack's weights, a handful of numbers, are
    learned from scores of other folds whose models have seen the label: they may move a little."""
    features, labels, _ = table(n=200, signal=1.0)
    before = run(features, labels)
    moved = []
    names = ("image_scores", "scores", "held_out")
    for row, column in flips(labels, before.held_out, 5):
        flipped = labels.copy()
        flipped[row, column] = 1 - flipped[row, column]
        after = run(features, flipped)
        one, two = (
            [getattr(done, name)[row, column] for name in names] for done in (before, after)
        )
        moved.append(np.abs(np.subtract(one, two)))
    image, scores, held_out = np.transpose(moved)
    assert image.max() <= 1e-6
    assert np.median(scores) < 0.2, scores
    assert np.median(held_out) < 0.05, held_out


def test_a_filled_table_holds_together(example: Example) -> None:
    _, labels, truth, filled = example
    known = ~np.isnan(labels)
    assert (filled.values[known] == labels[known]).all(), "known cells never change"
    assert filled.learnable.tolist() == [True, True, False]
    assert filled.learnable.tolist() == [one.learnable for one in filled.learnability]
    assert ((filled.probability >= 0) & (filled.probability <= 1)).all()
    assert np.isin(filled.evidence[~known], EVIDENCE).all()
    assert (filled.evidence[known] == "").all()
    for a in range(2):
        hidden = ~known[:, a]
        assert auc(truth[hidden, a], filled.probability[hidden, a]) > 0.85
    hidden = ~known[:, 2]
    assert set(filled.evidence[hidden, 2]) == {PRIOR}
    assert (filled.weight[hidden, 2] == 0).all()
    assert filled.audit["filled"].tolist() == (~known).sum(axis=0).tolist()
    assert len(filled.missingness) == len(filled.self_training) == 3
    assert filled.scores.shape == filled.image_scores.shape == labels.shape
    assert np.isfinite(filled.scores).all()
    assert all(weight >= 0 for weight in filled.candidates.values())
    assert filled.calibration[0] in filled.calibration[1]


def test_labels_outside_training_are_kept_and_shape_no_score_of_theirs(example: Example) -> None:
    features, labels, _, one = example
    fold = np.random.default_rng(9).permutation(len(labels)) % (FOLDS + 1) - 1
    flipped = np.where((fold < 0)[:, None], 1 - labels, labels)
    two = run(features, flipped)
    inside = fold >= 0
    np.testing.assert_array_equal(one.scores[inside], two.scores[inside])
    np.testing.assert_array_equal(one.threshold, two.threshold)
    np.testing.assert_array_equal(one.held_out, two.held_out)
    np.testing.assert_array_equal(one.image_scores, two.image_scores)
    outside = ~inside[:, None] & ~np.isnan(labels)
    assert (two.values[outside] == 1 - labels[outside]).all()


def test_same_seed_same_table() -> None:
    features, labels, _ = table(n=80)
    settings = Settings(folds=FOLDS, rounds=1)
    one, two, other = (impute(features, labels, seed=seed, settings=settings) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.probability, two.probability)
    assert one.audit.equals(two.audit)
    assert (one.probability != other.probability).any()


def test_a_large_table_is_filled_alike_from_components_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    features, labels, _ = table()
    monkeypatch.setattr(components, "BLOCK", 50)
    before = impute(features, labels, spatial=features[:, :4])
    monkeypatch.setattr(components, "IN_MEMORY", 10)
    after = impute(features, labels, spatial=features[:, :4], settings=Settings(folder=tmp_path))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["map.npy", "pooled.npy"]
    assert (after.probability == before.probability).all()
    pd.testing.assert_frame_equal(after.audit, before.audit)


def test_a_single_attribute_has_the_pictures_alone() -> None:
    features, labels, _ = table(n=100)
    filled = run(features, labels[:, :1])
    unknown = np.isnan(labels[:, 0])
    assert set(filled.evidence[unknown, 0]) == {PICTURE}
    assert next(iter(filled.candidates)) == "pictures"
    assert set(filled.candidates) <= {"pictures", "self-trained"}


def test_the_other_labels_help_where_the_pictures_are_silent() -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(0, 2, 240).astype(float)
    labels = np.stack([first, np.where(rng.random(240) < 0.95, first, 1 - first)], axis=1)
    truth = labels.copy()
    labels[rng.random(labels.shape) < 0.2] = NAN
    filled = run(rng.normal(size=(240, 4)), labels)
    assert filled.learnable.all()
    hidden = np.isnan(labels[:, 0]) & ~np.isnan(labels[:, 1])
    assert auc(truth[hidden, 0], filled.probability[hidden, 0]) > 0.85
    assert set(filled.candidates) > {"pictures"}


def test_whole_rows_unknown_are_audited_by_the_pictures_alone() -> None:
    """Where all or nothing of a row is known, other labels must not make the audit too good."""
    rng = np.random.default_rng(0)
    first = rng.integers(0, 2, 200).astype(float)
    labels = np.stack([first, first], axis=1)
    labels[rng.random(200) < 0.3] = NAN
    filled = run(rng.normal(size=(200, 4)), labels)
    assert not filled.learnable.any()
    assert filled.audit["accuracy"].max() < 0.65


def test_one_class_and_wholly_unknown_attributes_are_filled() -> None:
    features, labels, _ = table(n=80)
    labels[:, 1] = np.where(np.isnan(labels[:, 1]), NAN, 1)
    labels[:, 2] = NAN
    filled = run(features, labels)
    assert set(filled.evidence[np.isnan(labels[:, 1]), 1]) == {ONE_CLASS}
    assert (filled.values[:, 1] == 1).all()
    assert set(filled.evidence[:, 2]) == {PRIOR}
    assert (filled.probability[:, 2] == 0.5).all()
    assert not filled.learnable[1:].any()


def test_the_summary_of_columns_without_holes_labels_or_both_classes_is_valid_json() -> None:
    features, labels, truth = table(n=90)
    fold = np.random.default_rng(9).permutation(90) % (FOLDS + 1) - 1
    labels = np.stack(
        [
            truth[:, 0],
            np.where(fold >= 0, NAN, truth[:, 1]),
            np.where(np.isnan(labels[:, 2]), NAN, 0),
            np.where(np.isnan(labels[:, 0]), NAN, truth[:, 0]),
        ],
        axis=1,
    ).astype(np.float32)
    names = ["full", "unlabelled", "never", "usual"]
    filled = impute(features, labels, fold=fold, attributes=names, settings=Settings(rounds=1))
    unknown = np.isnan(labels)
    assert (filled.values[:, 0] == truth[:, 0]).all()
    assert filled.learnable.tolist() == [True, False, False, True]
    assert set(filled.evidence[unknown[:, 1], 1]) == {PRIOR}
    assert (filled.values[unknown[:, 1], 1] == 0).all()
    assert set(filled.evidence[unknown[:, 2], 2]) == {ONE_CLASS}
    assert filled.audit["filled"].tolist() == unknown.sum(axis=0).tolist()
    assert filled.audit.loc[1, "audited"] == 0
    for name in ("probability", "correctness", "weight", "threshold", "scores"):
        assert np.isfinite(getattr(filled, name)).all()

    split = ["train" if k >= 0 else "test" for k in fold]
    images = [f"{i}.png" for i in range(90)]
    content = plain(summary(LabelTable.binary(images, names, labels, split), filled, unknown))
    again = json.loads(json.dumps(content, allow_nan=False))
    assert list(again["attributes"]) == names
    assert again["attributes"]["full"]["unknown"] == 0
    assert again["attributes"]["full"]["evidence"] == {}
    assert again["attributes"]["unlabelled"]["auc"] is None
    assert again["attributes"]["never"]["learnable"] == "too few labels"
    assert again["attributes"]["never"]["filled_positive"] == 0


def test_rounds_count_self_training_only_where_it_has_a_share() -> None:
    features, labels, _ = table(n=150)
    once = impute(features, labels, settings=Settings(folds=FOLDS, rounds=0))
    assert once.rounds.tolist() == [1, 1, 1]
    histories = [self_training.History(np.zeros(0), n, "no_gain") for n in (3, 3, 1, 0)]
    share = np.array([0.5, 0.0, 0.5, 0.5])
    assert self_training.rounds_behind(histories, share).tolist() == [3, 1, 1, 1]
    assert self_training.rounds_behind(histories, None).tolist() == [1] * 4


def test_the_audit_leaves_out_cells_that_will_be_left_empty(example: Example) -> None:
    features, labels, _, every = example
    some = run(features, labels, policy="abstain", min_confidence=0.8)
    np.testing.assert_array_equal(every.probability, some.probability)
    left = (np.isnan(labels) & (some.correctness >= 0.8)).sum(axis=0)
    assert some.audit["filled"].tolist() == left.tolist()
    assert (some.audit["audited"] < every.audit["audited"]).all()
    assert some.audit.loc[0, "accuracy"] > every.audit.loc[0, "accuracy"]


def test_priors_are_taken_by_name() -> None:
    features, labels, _ = table(n=100)
    filled = run(features, labels, prior={"attribute 0": 0.8, "attribute 2": 0.3})
    unknown = np.isnan(labels)
    assert filled.probability[unknown[:, 0], 0].mean() == pytest.approx(0.8, abs=1e-6)
    assert filled.probability[unknown[:, 2], 2] == pytest.approx(0.3, abs=0.01)
    assert filled.probability[unknown[:, 2], 2].mean() == pytest.approx(0.3)


def test_further_models_and_maps_are_candidates() -> None:
    features, labels, truth = table(n=100, signal=0.5)
    heads = 4.0 * (2 * truth.T - 1) + np.random.default_rng(3).normal(size=truth.T.shape)
    fold = np.random.default_rng(9).permutation(100) % (FOLDS + 1) - 1
    filled = impute(
        np.random.default_rng(1).normal(size=(100, 5)),
        labels,
        fold=fold,
        spatial=features,
        heads=heads,
        settings=Settings(rounds=0),
    )
    assert list(filled.candidates)[:2] == ["pictures", "heads"]
    assert max(filled.candidates, key=filled.candidates.__getitem__) == "heads"
    for a in range(3):
        hidden = np.isnan(labels[:, a])
        assert auc(truth[hidden, a], filled.probability[hidden, a]) > 0.95
    assert {history.stop for history in filled.self_training} == {"no_rounds"}


def test_identical_images_share_a_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels, _ = table(n=60)
    groups = np.arange(60) // 3
    seen: list[np.ndarray] = []
    duplicates: list[np.ndarray] = []
    score, train = image_scores.score, image_scores.self_trained

    def spy(sets: Any, y: np.ndarray, fold: np.ndarray) -> Any:
        seen.append(fold)
        return score(sets, y, fold)

    def spy_on_duplicates(*arguments: Any) -> Any:
        duplicates.append(arguments[-1])
        return train(*arguments)

    monkeypatch.setattr(image_scores, "score", spy)
    monkeypatch.setattr(image_scores, "self_trained", spy_on_duplicates)
    impute(features, labels, groups=groups, settings=Settings(folds=FOLDS, rounds=1))
    (fold,) = seen
    assert sorted(set(fold)) == [0, 1, 2]
    assert (fold.reshape(20, 3) == fold.reshape(20, 3)[:, :1]).all()
    known = (~np.isnan(labels)).reshape(20, 3, 3).any(axis=1)
    assert (duplicates[0] == np.repeat(known, 3, axis=0)).all()


def test_a_promise_is_not_of_cells_that_are_unlike_the_known_ones() -> None:
    rng = np.random.default_rng(3)
    features = rng.normal(size=(400, 6)).astype(np.float32)
    labels = (features[:, :2] + rng.normal(0, 0.3, (400, 2)) > 0).astype(np.float32)
    labels[features[:, 2] > 0, 0] = np.nan
    labels[rng.random(400) < 0.3, 1] = np.nan
    promised = Settings(threshold={"default": {"recall": 0.8}})
    found = impute(features, labels, settings=promised, attributes=["hat", "coat"])
    told = [warning for warning in found.warnings if "it is not promised" in warning]
    assert len(told) == 1
    assert told[0].startswith("hat: so impute.threshold keeps a recall of 0.8")
    for a in range(2):
        known = ~np.isnan(labels[:, a]) & (labels[:, a] == 1)
        assert (found.held_out[known, a] >= found.threshold[a]).mean() >= 0.8


def test_where_people_looked_says_nothing_of_which_labels_were_missing() -> None:
    x, labels, truth = table(n=300, unknown=0.5)
    looked_at = np.isnan(labels) & (x[:, [2]] > 0)  # of the half of the pictures that they chose
    labels[looked_at] = truth[looked_at]

    def depends(looked: np.ndarray | None) -> list[bool]:
        found = impute(x, labels, seed=1, looked_at=looked)
        return [one.depends_on_picture for one in found.missingness]

    assert all(depends(None))
    assert not any(depends(looked_at))

"""The benchmark of the final classifier on a tiny data set with a stub for the imputation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import missing, missing_results
from benchmarks.datasets import Dataset
from benchmarks.linear_head import Grid
from benchmarks.missing_methods import CHOOSERS, MEANING
from benchmarks.missing_scores import (
    mean_average_precision,
    mean_log_loss,
    scores,
    weighted_scores,
)
from benchmarks.missing_tables import difference, over_seeds
from benchmarks.significance import image_weights
from pipeline.errors import PipelineError
from pipeline.metrics.ranking import auc, average_precision

GRID = Grid(strengths=(1e-3, 1e-2), epochs=(4, 12))


@dataclass
class Filled:
    probability: np.ndarray
    values: np.ndarray
    weight: np.ndarray


class Perfect:
    """Fills each hole with the truth, found by the features; keeps what it was given."""

    def __init__(self, data: Dataset, right: bool = True):
        pairs = zip(data.features, data.labels, strict=True)
        self.truth = {row.tobytes(): labels for row, labels in pairs}
        self.right = right
        self.calls: list[tuple[np.ndarray, np.ndarray, int]] = []

    def __call__(self, features: np.ndarray, labels: np.ndarray, *, seed: int) -> Filled:
        self.calls.append((features, labels, seed))
        truth = np.array([self.truth[row.tobytes()] for row in features])
        filled = truth if self.right else 1 - truth
        return Filled(filled, filled, np.ones(labels.shape))


@pytest.fixture(scope="module")
def data() -> Dataset:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(240, 20)).astype(np.float32)
    labels = (features @ rng.normal(size=(20, 3)) > 0.3).astype(np.float32)
    labels = np.c_[labels, np.zeros(240, np.float32)]  # never positive: has no score
    names = [f"{i}.jpg" for i in range(240)]
    light = rng.random(240).astype(np.float32)
    return Dataset("tiny", names, list("abcd"), labels, features, light, Path())


def make(tmp_path: Path, resume: bool = False, **more: object) -> missing_results.Results:
    settings = {"dataset": "tiny", "images": 240, "labels": 4, "features": "noise"}
    settings |= {"pattern": "random", "source": "train+val", **more}
    return missing_results.Results(
        tmp_path / "out" / "missing_tiny", tmp_path / "cache", settings, resume
    )


def test_all_methods(data: Dataset, tmp_path: Path) -> None:
    imputer = Perfect(data)
    options = {"fractions": (0.6,), "seeds": 2, "grid": GRID, "imputer": imputer}
    rows = missing.benchmark(data, make(tmp_path), **options)
    table = rows.pivot_table(index=["seed", "method"], columns="score", values="value")
    assert set(rows["method"]) == set(CHOOSERS) == set(MEANING)
    for seed in (0, 1):
        # Filled with the truth, all is as if it had been known.
        for score in ("map", "auc", "brier", "epochs", "strength"):
            assert table.loc[(seed, "impute"), score] == table.loc[(seed, "oracle"), score]
        assert table.loc[(seed, "oracle"), "map"] > table.loc[(seed, "mask"), "map"]
    assert (table["labels_left_out"] == 1).all() and (table["labels_scored"] == 3).all()
    written = pd.read_csv(tmp_path / "out" / "missing_tiny.csv")
    means = written[written["seed"] == "all"].set_index(["method", "score"])
    assert means.loc[("impute", "map_share"), "value"] == 1
    page = (tmp_path / "out" / "missing_tiny.md").read_text()
    assert "## 60% of the cells hidden" in page and "labels left out: 1." in page
    assert all(f"| `{method}` |" in page for method in CHOOSERS)
    assert "nan" not in page.lower()


def test_imputer_sees_no_test_image(data: Dataset, tmp_path: Path) -> None:
    for source, images in (("train+val", 192), ("train", 168)):
        imputer = Perfect(data)
        options = {"fractions": (0.6,), "seeds": 1, "grid": GRID, "imputer": imputer}
        methods = ["impute", "impute_checked"]
        missing.benchmark(data, make(tmp_path), methods=methods, source=source, **options)
        ((features, labels, seed),) = imputer.calls  # once for both methods
        assert len(features) == len(labels) == images and seed == 0
        assert 0.5 < np.isnan(labels).mean() < 0.7
        setting = missing.divided(data, "random", 0.6, 0, source=source)
        test = {row.tobytes() for row in data.features[setting.test]}
        assert not test & {row.tobytes() for row in features}


def test_checked_falls_back_to_mask(data: Dataset, tmp_path: Path) -> None:
    options = {"fractions": (0.6,), "seeds": 1, "grid": GRID}
    options["imputer"] = Perfect(data, right=False)
    rows = missing.benchmark(data, make(tmp_path), methods=["impute", "impute_checked"], **options)
    maps = rows[rows["score"] == "map"].set_index("method")["value"]
    assert maps["impute_checked"] == maps["mask"] > maps["impute"]
    differences = rows[rows["score"] == "map_difference"].set_index("method")
    assert tuple(differences.loc["impute_checked", ["value", "low", "high"]]) == (0, 0, 0)


def test_division_and_hidden_cells(data: Dataset) -> None:
    s = missing.divided(data, "random", 0.8, 3)
    assert sorted(np.r_[s.train, s.val, s.test]) == list(range(240))
    assert [len(s.train), len(s.val), len(s.test)] == [168, 24, 48]
    assert np.isnan(s.observed[s.test]).all()
    for rows in (s.train, s.val):
        hidden = np.isnan(s.observed[rows])
        assert 0.7 < hidden.mean() < 0.9
        np.testing.assert_array_equal(s.observed[rows][~hidden], s.truth[rows][~hidden])
    again = missing.divided(data, "random", 0.8, 3)
    np.testing.assert_array_equal(s.observed, again.observed)
    other = missing.divided(data, "random", 0.8, 4)
    assert not np.array_equal(s.test, other.test)


def test_resume(data: Dataset, tmp_path: Path) -> None:
    options = {"seeds": 1, "grid": GRID, "methods": ["negative"]}
    missing.benchmark(data, make(tmp_path), fractions=(0.5,), **options)
    path = tmp_path / "out" / "missing_tiny.csv"
    first = pd.read_csv(path)
    results = make(tmp_path, resume=True)
    assert set(results.draws) == {(0.5, 0, m) for m in ("mask", "oracle", "negative")}
    missing.benchmark(data, results, fractions=(0.5, 0.8), **options)
    both = pd.read_csv(path)
    pd.testing.assert_frame_equal(
        both[(both["fraction"] == 0.5) & (both["seed"] != "all")].reset_index(drop=True),
        first[first["seed"] != "all"].reset_index(drop=True),
    )
    assert not both.duplicated(["fraction", "seed", "method", "score"]).any()
    with pytest.raises(PipelineError, match="--resume"):
        make(tmp_path, resume=True, pattern="block")
    assert set(make(tmp_path).draws) == set()


def test_share_has_an_interval_only_where_there_is_a_distance() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.01, (1000, 3))
    for distance, wide in ((0.2, True), (0.0, False)):
        draws, rows = {}, []
        for method, gain in (("mask", 0.0), ("oracle", distance), ("impute", distance / 2)):
            for seed in (0, 1):
                own = 0.5 + gain + noise + rng.normal(0, 0.01, (1000, 3))
                draws[0.5, seed, method] = own
                common = {"fraction": 0.5, "seed": seed, "method": method}
                rows += [
                    {**common, "score": score, "value": 0.5 + gain}
                    for score in ("map", "auc", "brier")
                ]
        means = over_seeds(pd.DataFrame(rows), draws).set_index(["method", "score"])
        share = means.loc[("impute", "map_share")]
        if wide:
            assert share["value"] == pytest.approx(0.5)
            assert 0.3 < share["low"] < 0.5 < share["high"] < 0.7
        else:
            assert share[["value", "low", "high"]].isna().all()


def test_scores_are_the_pipelines() -> None:
    rng = np.random.default_rng(5)
    y = (rng.random((60, 3)) < 0.3).astype(float)
    z = np.round(rng.normal(size=(60, 3)) + y, 1)  # with ties
    y[rng.random(y.shape) < 0.2] = np.nan
    y[:, 2] = np.where(np.isnan(y[:, 2]), np.nan, 1.0)
    value = scores(y, z)
    assert value[0] == pytest.approx(np.mean([average_precision(y[:, a], z[:, a]) for a in (0, 1)]))
    assert value[1] == pytest.approx(np.mean([auc(y[:, a], z[:, a]) for a in (0, 1)]))
    square = (1 / (1 + np.exp(-z)) - y) ** 2
    assert value[2] == pytest.approx(np.nanmean(square[:, :2], axis=0).mean())
    assert mean_average_precision(y, z) == pytest.approx(value[0])
    p = 1 / (1 + np.exp(-z))
    expected = -np.nanmean(y * np.log(p) + (1 - y) * np.log(1 - p))
    assert mean_log_loss(y, z) == pytest.approx(expected)
    assert np.isnan(scores(np.ones((4, 2)), np.zeros((4, 2)))).all()
    assert np.isnan(mean_average_precision(np.ones((4, 2)), np.zeros((4, 2))))


def test_bootstrap_draws_are_scores_of_repeated_images() -> None:
    rng = np.random.default_rng(6)
    y = (rng.random((40, 2)) < 0.4).astype(float)
    z = rng.normal(size=(40, 2)) + y
    weights = image_weights(40, 20, 1)
    draws = weighted_scores(y, z, weights)
    for draw, weight in zip(draws, weights, strict=True):
        rows = np.repeat(np.arange(40), weight.astype(int))
        np.testing.assert_allclose(draw, scores(y[rows], z[rows]), rtol=1e-5)
    low, high = difference(draws + np.array([0.1, 0, 0]), draws)
    np.testing.assert_allclose(low, [0.1, 0, 0], atol=1e-9)
    np.testing.assert_allclose(high, [0.1, 0, 0], atol=1e-9)


def test_bootstrap_in_parts_is_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(7)
    y = (rng.random((30, 2)) < 0.5).astype(float)
    z, weights = rng.normal(size=(30, 2)), image_weights(30, 11, 1)
    whole = weighted_scores(y, z, weights)
    monkeypatch.setattr("benchmarks.missing_scores.CHUNK", 100)
    np.testing.assert_allclose(weighted_scores(y, z, weights), whole, rtol=1e-6)

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from benchmarks import imputation, imputation_report, ours, significance, verdicts
from benchmarks.datasets import Dataset
from benchmarks.results import PERMUTED, Results

METHODS = [ours.NAME, "mode", "knn_imputer"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(120, 6)).astype(np.float32)
    labels = (features[:, :2] > 0).astype(np.float32)
    brightness = rng.random(120).astype(np.float32)
    images = [f"{number}.jpg" for number in range(120)]
    store = tmp_path_factory.mktemp("store")
    return Dataset("toy", images, ["left", "right"], labels, features, brightness, store)


@pytest.fixture(autouse=True)
def oracle(monkeypatch):
    """Ours is nearly right here, and sure of it."""

    def impute(features, labels, seed):
        probability = 1 / (1 + np.exp(-8.0 * features[:, : labels.shape[1]]))
        audit = pd.DataFrame({name: [0.9] * labels.shape[1] for name in ours.AUDITED})
        audit["accuracy_high"] = 1.0
        return SimpleNamespace(
            probability=probability,
            values=(probability > 0.5).astype(float),
            correctness=np.maximum(probability, 1 - probability),
            learnable=np.ones(labels.shape[1], dtype=bool),
            audit=audit,
            warnings=[],
        )

    monkeypatch.setattr(ours, "impute", impute)


def run(data, tmp_path, cells, *, resume):
    results = Results(tmp_path / "toy", tmp_path / "draws", resume=resume)
    weights = significance.image_weights(120, 50)
    done = results.done()
    for cell in cells:
        if cell not in done:
            results.add(cell, *imputation.compare(data, cell, METHODS, weights))
    return results, done


def test_the_report_has_every_table(data, tmp_path):
    cells = [("random", 0.5, 0), ("random", 0.5, 1), ("block", 0.3, 0)]
    results, _ = run(data, tmp_path, cells, resume=False)
    flags = ours.learnable_without_signal(data.features, data.labels, data.attributes, 0, 0.3)
    results.add((PERMUTED, 0.3, 0), flags.assign(method=ours.NAME), {})
    imputation_report.write(data, results, tmp_path / "toy")
    text = (tmp_path / "toy.md").read_text()
    for heading in ("Scores", "Ours against each peer", "Every loss", "Audit", "Abstention"):
        assert f"# {heading}" in text
    assert "| left | 2/2 | 1/1 |" in text
    assert "2 of 2 attributes are called learnable over 1 permutations" in text
    compared = verdicts.comparisons(results)
    assert len(compared) == 2 * 3 * 3  # patterns, two peers and the best, metrics
    assert set(compared.loc[compared["peer"] == "mode", "verdict"]) == {"win"}
    best = compared[compared["peer"] == verdicts.BEST].reset_index(drop=True)
    knn = compared[compared["peer"] == "knn_imputer"].reset_index(drop=True)
    pd.testing.assert_series_equal(best["theirs"], knn["theirs"])


def test_an_interrupted_run_goes_on_where_it_was(data, tmp_path):
    first, second = ("random", 0.5, 0), ("random", 0.5, 1)
    results, _ = run(data, tmp_path, [first], resume=False)
    before = results.frame()
    results, done = run(data, tmp_path, [first, second], resume=True)
    assert done == {first}
    pd.testing.assert_frame_equal(
        results.frame().head(len(before)).dropna(axis=1, how="all"),
        before.dropna(axis=1, how="all"),
    )
    (tmp_path / "draws" / "random_0.5_0.npz").unlink()
    assert Results(tmp_path / "toy", tmp_path / "draws", resume=True).done() == {second}
    assert Results(tmp_path / "toy", tmp_path / "draws", resume=False).done() == set()


def test_promises_count_hidden_cells_only(data):
    hidden = np.zeros(data.labels.shape, dtype=bool)
    hidden[:10, 0] = True
    imputed = ours.impute(data.features, data.labels, 0)
    imputed.correctness = np.full(data.labels.shape, 0.96)
    imputed.values[0, 0] = 1 - data.labels[0, 0]
    row = ours.promises(data.attributes, data.labels, hidden, imputed).iloc[0]
    assert (row["kept_0.95"], row["right_0.95"], row["kept_0.99"]) == (10, 9, 0)
    assert row["promised_0.95"] == pytest.approx(9.6)


def test_permuted_labels_keep_their_prevalence(data, monkeypatch):
    seen = []

    def impute(features, labels, seed):
        seen.append(labels)
        return SimpleNamespace(learnable=np.zeros(2, dtype=bool))

    monkeypatch.setattr(ours, "impute", impute)
    found = ours.learnable_without_signal(data.features, data.labels, ["a", "b"], 0, 0.3)
    assert found["learnable"].sum() == 0
    known = ~np.isnan(seen[0])
    assert known.mean() == pytest.approx(0.7, abs=0.08)
    assert (seen[0] != data.labels)[known].any()


def test_the_command_line_has_defaults():
    args = imputation.arguments(["--labels=a", "--images=b", "--weights=random", "--out=c"])
    assert args.methods[0] == ours.NAME
    assert args.image_size == (224, 224)
    assert not args.resume


def test_shares_count_tables_and_single_attributes() -> None:
    scores = {"ours": [0.9, 0.6], "first": [0.8, 0.65], "second": [0.2, 0.6]}
    rows = [
        {"pattern": "random", "fraction": 0.3, "seed": 0, "method": method, "attribute": attribute}
        | {"ap": value, "mcc": value, "brier": 1 - value}
        for method, values in scores.items()
        for attribute, value in zip(("a", "b"), values, strict=True)
    ]
    shown = verdicts.shares(pd.DataFrame(rows)).set_index(["peer", "metric"])
    for metric in significance.METRICS:
        for peer, share in (("first", 0.5), ("second", 1.0), (verdicts.BEST, 0.5)):
            row = shown.loc[(peer, metric)]
            assert (row["tables"], row["attributes"]) == (1, 2)
            assert (row["table share"], row["attribute share"]) == (1.0, share)

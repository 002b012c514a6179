"""All tables for people together, from a small imputation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.data.labels import LabelTable
from pipeline.impute import budget, guarantees, review
from pipeline.impute.guarantees import Wishes
from pipeline.impute.imputer import Settings
from pipeline.plots.guarantees import budget as plot_budget
from pipeline.stages.impute import in_words, provenance
from tests.impute.small import impute, make_small

NAN = float("nan")


@pytest.mark.parametrize("policy", ["fill", "guarantee", "abstain"])
def test_tables_of_a_filled_table_agree(policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)
    rng = np.random.default_rng(0)
    n = 240
    x = rng.normal(size=(n, 6))
    truth = np.c_[3 * x[:, 0] + rng.normal(size=n) > 0, rng.random(n) < 0.4].astype(float)
    labels = np.where(rng.random((n, 2)) < 0.4, NAN, truth)
    split = ["train"] * 200 + ["test"] * 40
    fold = np.r_[rng.integers(0, 3, 200), np.full(40, -1)]
    images = [f"{i:03d}.jpg" for i in range(n)]
    table = LabelTable.binary(images, ["hat", "coin"], labels, split)
    settings = Settings(rounds=0, policy=policy, max_wrong=0.1)
    names = table.attributes
    filled = impute(4 * x, labels, attributes=names, fold=fold, settings=settings)
    kept = np.isnan(labels) & filled.kept
    cells = provenance(table, filled, kept)
    nothing = np.full((n, 2), NAN)
    out = guarantees.tables(
        *(filled, table.values, images, split, table.layout, cells),
        *(np.zeros((n, 2), dtype=bool), nothing, Wishes(0.05, 0.2, None, (0,))),
    )
    assert list(out) == [
        *("promises", "budget", "prevalence", "suspects", "label_noise", "review"),
    ]
    listed = out["review"]
    filled_in = cells[cells["value"] != ""].set_index(["image", "attribute"])
    assert len(filled_in) == kept.sum()
    own = listed.set_index(["image", "attribute"])
    assert own.index.isin(filled_in.index).all()
    assert not own.index.duplicated().any()
    assert (own["guess"] == filled_in.loc[own.index, "value"]).all()
    curve = out["budget"]
    whole = curve[(curve["scope"] == budget.TABLE) & (curve["chosen"] == 1)].iloc[0]
    # The coin's cells are guesses, in no bound of the table and on no list.
    assert whole["of"] == kept[:, 0].sum()
    assert set(listed["attribute"]) == {"hat"}
    doubtful = listed[listed["queue"] == review.DOUBTFUL]
    assert len(doubtful) == whole["looked_at"]
    assert doubtful["worth"].is_monotonic_decreasing
    # What is not listed is no more doubtful than what is.
    rest = filled_in.drop(own.index).query("attribute == 'hat'")["expected_correctness"]
    if len(doubtful) and len(rest):
        assert rest.min() >= 1 - doubtful["worth"].min() - 1e-6
    q = cells[cells["attribute"] == "hat"].set_index("image")["q_value"]
    assert q.between(0, 1).all()
    assert cells[cells["attribute"] == "coin"]["q_value"].isna().all()
    if policy == "guarantee":
        assert ((q <= 0.1) == (cells[cells["attribute"] == "hat"]["value"] != "").to_numpy()).all()
        assert (cells[cells["attribute"] == "coin"]["value"] == "").all()
    lines = in_words(out, 0.05, 0.1, policy, ["coin"])
    assert lines[0].startswith(f"look at {whole['looked_at']:,} of {whole['of']:,} filled cells")
    told = "; without coin, whose cells are guesses" in lines[0]
    assert told == (policy == "fill")
    assert ("coin: no promise for 0: not shown to be learnable" in lines) == (policy == "guarantee")


def test_nothing_is_filled_by_a_guarantee_where_nothing_is_learnable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_small(monkeypatch)
    rng = np.random.default_rng(1)
    n = 150
    labels = np.where(rng.random((n, 2)) < 0.3, NAN, rng.random((n, 2)) < 0.4)
    split = ["train"] * n
    table = LabelTable.binary([f"{i:03d}.jpg" for i in range(n)], ["heads", "tails"], labels, split)
    settings = Settings(rounds=0, policy="guarantee")
    x, fold = rng.normal(size=(n, 6)), rng.integers(0, 3, n)
    filled = impute(x, labels, attributes=table.attributes, fold=fold, settings=settings)
    assert not filled.learnable.any()
    kept = np.isnan(labels) & filled.kept
    assert not kept.any()
    out = guarantees.tables(
        *(filled, table.values, table.images, split, table.layout),
        *(provenance(table, filled, kept), np.zeros((n, 2), dtype=bool), np.full((n, 2), NAN)),
        Wishes(0.05, 0.2, None, (0,)),
    )
    assert tuple(out["budget"].columns) == budget.COLUMNS
    assert [len(out[name]) for name in ("budget", "review")] == [0, 0]
    assert tuple(out["review"].columns) == review.COLUMNS
    assert set(out["suspects"]["called"]) <= {"no"}
    shares = out["prevalence"]
    assert (shares["share_low"] == shares["known_share_low"]).all()
    assert (shares["share_high"] == shares["known_share_high"]).all()
    lines = in_words(out, 0.05, 0.05, "guarantee", table.attributes)
    assert lines[0].startswith(f"0 of {np.isnan(labels).sum()} unknown cells filled")
    plot_budget(out["budget"], 0.05, tmp_path / "budget.png")
    assert (tmp_path / "budget.png").is_file()


def test_an_empty_table_says_nothing() -> None:
    frames = {
        "budget": pd.DataFrame(columns=list(budget.COLUMNS)),
        "promises": pd.DataFrame(columns=["promised", "unknown", "kept"]),
        "suspects": pd.DataFrame(columns=["called"]),
    }
    assert in_words(frames, 0.05, 0.05, "fill") == []


def test_cells_that_buy_a_verdict_are_listed_though_nothing_is_filled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_small(monkeypatch)
    rng = np.random.default_rng(1)
    labels = np.full((60, 1), NAN)
    labels[:12, 0] = [1] * 2 + [0] * 10
    images = [f"{i:03d}.jpg" for i in range(60)]
    table = LabelTable.binary(images, ["hat"], labels, ["train"] * 60)
    filled = impute(
        *(rng.normal(size=(60, 4)), labels),
        attributes=["hat"],
        fold=np.arange(60) % 3,
        settings=Settings(rounds=0, policy="guarantee"),
    )
    kept = np.isnan(labels) & filled.kept
    assert not kept.any()
    scores = np.where(np.isnan(labels), rng.normal(size=(60, 1)), NAN)
    out = guarantees.tables(
        *(filled, labels, images, ["train"] * 60, table.layout, provenance(table, filled, kept)),
        *(np.zeros((60, 1), dtype=bool), scores, Wishes()),
    )
    listed = out["review"]
    assert listed["queue"].unique().tolist() == [review.TOO_FEW]
    best = np.argsort(-np.nan_to_num(scores[:, 0], nan=-9))[: review.MOST_SOUGHT]
    assert listed["image"].tolist() == [images[i] for i in best]
    assert set(listed["guess"]) == {""}
    promised = out["promises"]
    assert set(promised["reason"]) == {"2 known positive labels, 5 needed"}

"""The files that a finished run leaves, made up: for what only reads them, at any size at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from benchmarks.workshop import params
from pipeline.data import cleaning
from pipeline.data.clean_table import write_clean
from pipeline.data.labels import SPLITS, LabelTable, written
from pipeline.files import write_csv, write_json
from pipeline.metrics import baselines, tables

DRAWN = 40
"""Different pictures; further images are copies of these."""


def write(
    folder: Path,
    images: int,
    names: Sequence[str],
    seed: int = 0,
    unknown: float = 0.1,
    changes: Mapping[str, Any] | None = None,
    size: tuple[int, int] = (90, 120),
) -> LabelTable:
    """Write params.yaml, pictures and what clean, impute, train and evaluate would into ``folder``;
    returns the clean table.

    The last attribute is not learnable, the others are more and more so.

    Parameters
    ----------
    names : of the attributes; unknown : share of their cells; changes : of params, by dotted key.
    size : (width, height) of the pictures.
    """
    rng = np.random.default_rng([seed, images])
    files = [f"image {i}.jpg" for i in range(images)]
    (folder / "mine/images").mkdir(parents=True)
    for name in files[:DRAWN]:
        noise = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(noise).resize(size).save(folder / "mine/images" / name, quality=90)
    for i, name in enumerate(files[DRAWN:]):
        (folder / "mine/images" / name).symlink_to(files[i % DRAWN])
    own = {"data.labels": "mine/labels.csv", "data.images": "mine/images"}
    params(folder, {**own, **(changes or {})})

    truth = (rng.random((images, len(names))) < rng.uniform(0.1, 0.9, len(names))).astype(float)
    hole = rng.random(truth.shape) < unknown
    split = rng.choice(SPLITS, images, p=(0.7, 0.1, 0.2)).tolist()
    table = LabelTable.binary(files, names, np.where(hole, np.nan, truth), split)
    order = sorted(range(images), key=files.__getitem__)
    table, truth, hole = table.take(order), truth[order], hole[order]
    signal = np.linspace(4, 1, len(names))
    signal[-1] = 0
    logits = (2 * truth - 1) * signal + rng.normal(0, 1, truth.shape)
    probability = 1 / (1 + np.exp(-2 * signal * logits))
    value = (probability >= 0.5).astype(int)

    _clean(folder, table)
    row, column = np.nonzero(hole)
    right = np.maximum(probability, 1 - probability)[row, column]
    cells = pd.DataFrame(
        {
            "image": [table.images[i] for i in row],
            "attribute": [table.attributes[a] for a in column],
            "value": value[row, column],
            "probability": probability[row, column].round(6),
            "round": 1,
            "evidence": np.where(signal[column] > 0, "picture+labels", "prior"),
            "expected_correctness": right.round(6),
        }
    )
    (folder / "data/imputed").mkdir()
    write_csv(cells, folder / "data/imputed/provenance.csv")
    known = pd.DataFrame(
        {
            "image": [table.images[i] for i in np.nonzero(~hole)[0]],
            "attribute": [table.attributes[a] for a in np.nonzero(~hole)[1]],
            "label": truth[~hole].astype(int),
            "probability": probability[~hole].round(6),
            "value": value[~hole],
        }
    )
    write_csv(known, folder / "data/imputed/held_out.csv")
    write_clean(table.filled(value.astype(np.float32)), folder / "data/imputed/labels.csv")
    _reports(folder, table, probability, cells, signal)
    return table


def _clean(folder: Path, table: LabelTable) -> None:
    clean = folder / "data/clean"
    clean.mkdir(parents=True)
    write_clean(table, clean / "labels.csv")
    subset = np.array([SPLITS.index(name) for name in table.split or []])
    write_csv(cleaning.count_labels(table, subset), clean / "attributes.csv")
    dropped = [("away.jpg", "missing", "no such file")]
    write_csv(pd.DataFrame(dropped, columns=["image", "reason", "detail"]), clean / "dropped.csv")
    columns = ["group", "image", "sha256", "conflicting"]
    write_csv(pd.DataFrame(columns=columns), clean / "duplicates.csv")
    content = {name: written(own) for name, own in table.cells.items()}
    write_csv(pd.DataFrame({"image": table.images, **content}), folder / "mine/labels.csv")


def _reports(
    folder: Path,
    table: LabelTable,
    probability: np.ndarray,
    cells: pd.DataFrame,
    signal: np.ndarray,
) -> None:
    reports = folder / "reports"
    reports.mkdir()
    names, split = table.attributes, np.array(table.split)
    train, test = split == "train", split == "test"
    cut = np.full(len(names), 0.5)
    own = cells.groupby("attribute")["expected_correctness"]
    filled = own.size().reindex(names, fill_value=0).to_numpy()
    right = own.mean().reindex(names).to_numpy()
    extra = {
        "learnable": np.where(signal > 0, "yes", "no").tolist(),
        "filled": filled.tolist(),
        "expected_accuracy": right.tolist(),
        "expected_accuracy_low": (right - 0.05).tolist(),
        "expected_accuracy_high": np.minimum(right + 0.05, 1).tolist(),
        "missing_at_random": ["not refuted"] * len(names),
    }
    heads = tables.attribute_table(names, table.values[train], probability[train], cut, extra)
    write_csv(heads, reports / "attributes.csv")
    shares = np.nanmean(table.values[train], axis=0)
    tested = tables.attribute_table(names, table.values[test], probability[test], cut)
    tested = baselines.with_guesses(tested, shares)
    write_csv(tested, reports / "test.csv")
    scores = {"model": ["classifier", "plain"], "map": [0.9, 0.8], "brier": [0.1, 0.2]}
    against = pd.DataFrame({**scores, "map_gain_high": 0.2, "brier_gain_high": 0.2})
    compared = baselines.compare(tested, against, "classifier", "plain")
    write_csv(compared, reports / "baselines.csv")
    write_csv(pd.DataFrame(columns=["attribute"]), reports / "categories.csv")
    write_csv(pd.DataFrame(columns=list(tables.TRUTH_COLUMNS)), reports / "imputation_truth.csv")
    doubt = cells.sort_values("expected_correctness", kind="stable").head(200)
    listed = doubt.drop(columns="round").rename(columns={"value": "guess"})
    listed = listed.assign(reason="not sure enough", queue="doubtful")
    write_csv(listed, reports / "review.csv")
    metrics = {
        "backbone": {"pretrained": 1},
        "table": {
            "images": len(table.images),
            "filled_cells": len(cells),
            "attributes": len(names),
            "learnable": int((signal > 0).sum()),
        },
        "expected": {"accuracy": tables.weighted(heads, "expected_accuracy")},
        "missing": {"imputing_kept": 1},
    }
    write_json(tables.finite(metrics), reports / "metrics.json")
    _findings(folder, table, cells)


def _findings(folder: Path, table: LabelTable, filled: pd.DataFrame) -> None:
    """Bounded errors, shares, suspects, the budget of looks, what people found."""
    reports, names = folder / "reports", table.attributes
    groups = filled.groupby(["attribute", "value"], sort=False).size().reset_index(name="unknown")
    groups["promised"] = np.where(groups["attribute"] == names[-1], "no", "yes")
    groups["kept"] = np.where(groups["promised"] == "yes", groups["unknown"] // 2, 0)
    groups["reason"] = np.where(groups["promised"] == "no", "nothing tells of it", "")
    write_csv(groups.rename(columns={"value": "filled_value"}), reports / "promises.csv")
    share = np.nanmean(table.values, axis=0)
    ends = {"share": share, "share_low": share - 0.02, "share_high": share + 0.02}
    prevalence = pd.DataFrame(
        {
            **{"by": "", "group": "", "attribute": names, "value": 1},
            **{"images": len(table.images), "known": (~np.isnan(table.values)).sum(axis=0)},
            **ends,
            **{f"known_{name}": own for name, own in ends.items()},
            **{"lambda": 0.5, "counted_share": share + 0.01},
            **{"warning": "a count of guesses: it carries no interval", "reason": ""},
        }
    )
    prevalence.loc[len(names) - 1, ["share_low", "share_high"]] = np.nan
    prevalence.loc[len(names) - 1, "reason"] = "nothing tells of it"
    by_shop = prevalence.assign(by="shop", group="north")
    write_csv(pd.concat([prevalence, by_shop]).round(6), reports / "prevalence.csv")
    known = np.argwhere(~np.isnan(table.values))[:20]
    suspects = pd.DataFrame(
        {
            "image": [table.images[row] for row, _ in known],
            "attribute": [names[column] for _, column in known],
            "correct_value": "",
            "label": [int(table.values[row, column]) for row, column in known],
            "suggested": [1 - int(table.values[row, column]) for row, column in known],
            "split": "train",
            "label_probability": 0.1,
            "wrong_probability": np.linspace(0.9, 0.02, len(known)).round(6),
            "called": np.where(np.arange(len(known)) < 3, "yes", "no"),
            "reason": "picture and other labels speak against the label",
        }
    )
    write_csv(suspects, reports / "suspects.csv")
    listed = suspects.groupby("attribute").size().reindex(names, fill_value=0).to_numpy()
    noise = {"attribute": names, "known": prevalence["known"], "wrong": 3.25, "wrong_low": 1}
    noise |= {"wrong_high": 7, "listed": listed, "called": 1}
    write_csv(pd.DataFrame(noise), reports / "label_noise.csv")
    looked_at = np.linspace(0, len(filled), 21).round().astype(int)
    left = 0.1 * (1 - looked_at / max(len(filled), 1)) ** 2
    curve = {"looked_at": looked_at, "of": len(filled), "wrong_left": left}
    curve |= {"wrong_left_high": left * 1.5, "chosen": (np.arange(21) == 6).astype(int)}
    parts = [
        pd.DataFrame({"scope": scope, "attribute": name, **curve})
        for scope, name in (("table", ""), *(("attribute", name) for name in names))
    ]
    write_csv(pd.concat(parts).round(6), reports / "budget.csv")
    people = {"queue": ["doubtful", "doubtful", "audit"], "attribute": ["", names[0], ""]}
    people |= {"looked_at": [13, 5, 20], "wrong": [4, 1, 3], "promised": [0.65, 0.7, 0.97]}
    people |= {"found": [0.69, 0.8, 0.85], "found_low": [0.39, 0.28, 0.62]}
    people |= {"found_high": [0.91, 0.99, 0.968], "holds": ["yes", "yes", "no"]}
    write_csv(pd.DataFrame(people), reports / "audit_by_people.csv")

"""Stage impute: every unknown cell with its probability, evidence and expected correctness."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipeline import params, progress
from pipeline.data import categories, corrections, imputed_arrays, splits, verdicts
from pipeline.data.categories import Attribute
from pipeline.data.clean_table import read_clean, read_groups, write_clean
from pipeline.data.imputed_arrays import ImputedArrays
from pipeline.data.labels import LabelTable, written
from pipeline.errors import run
from pipeline.features.matrices import Grid, MeanOfViews
from pipeline.features.store import FeatureStore
from pipeline.files import replace_directory, temporary_directory, write_csv, write_json
from pipeline.impute import audit_by_people, budget, guarantees
from pipeline.impute.imputer import Imputation, Imputer, Settings, Table
from pipeline.impute.learnable import LEAST, lacking

log = logging.getLogger("impute")
SHOWN = 3
"""Images that are named where an attribute has too few labels."""


@progress.task("impute")
def main() -> None:
    p = params.load()
    logging.basicConfig(level="INFO", format="%(name)s: %(message)s")
    table = read_clean("data/clean/labels.csv")
    wishes = guarantees.Wishes(
        p.review.target, p.review.audit_share, _by(p.prevalence.by, table), (p.seed,)
    )
    account = corrections.read_account("data/clean")
    looked_at = corrections.looked_at(table, account)
    store = FeatureStore("data/features")
    rows = store.rows(table.images)
    settings = Settings(
        rounds=p.impute.rounds,
        confidence=p.impute.confidence,
        threshold=p.impute.threshold,
        seed=p.seed,
        prior=p.impute.prior or {},
        policy=p.impute.policy,
        min_confidence=p.impute.min_confidence,
        max_wrong=p.impute.max_wrong,
    )
    with temporary_directory(imputed_arrays.FOLDER.parent) as large:
        imputer = Imputer(dataclasses.replace(settings, folder=large))
        filled = imputer.fill(
            Table(
                MeanOfViews(store, rows),
                table.values,
                table.attributes,
                fold=splits.read_folds(),
                groups=read_groups("data/clean", table.images),
                spatial=Grid(store, rows),
                heads=np.nanmean(np.load(splits.FOLDS / "logits.npy"), axis=1),
                categories=table.categories,
                looked_at=looked_at,
            )
        )
    unknown = np.isnan(table.values)
    kept = unknown & filled.kept
    values = np.where(unknown & ~kept, np.nan, filled.values).astype(np.float32)
    cells = provenance(table, filled, kept)
    undecided = corrections.undecided("data/clean")
    told_by_none = pd.MultiIndex.from_frame(cells[["image", "attribute"]]).isin(undecided)
    reports = guarantees.tables(
        *(filled, table.values, table.images, table.split or [], table.layout),
        *(cells[~told_by_none], looked_at, sought(table, filled), wishes),
    )
    reports["audit_by_people"] = audit_by_people.table(account[account["given"] == ""])
    with replace_directory(imputed_arrays.FOLDER) as folder:
        write_clean(table.filled(values), folder / "labels.csv")
        write_csv(cells.drop(columns=["row", "column"]), folder / "provenance.csv")
        for name, frame in reports.items():
            write_csv(frame.round(6), folder / f"{name}.csv")
        write_csv(held_out(table, filled, looked_at), folder / "held_out.csv")
        write_csv(filled.audit.round(6), folder / "audit.csv")
        write_json(plain(summary(table, filled, kept)), folder / "summary.json")
        write_csv(filled.categorical.round(6), folder / "categorical.csv")
        imputed_arrays.write(arrays(table, filled, kept), folder)
    _report(table, filled, kept)
    if told_by_none.any():
        log.info(
            "%d cells are answered with ? or left unknown by people: filled as before, on no list",
            told_by_none.sum(),
        )
    for line in [
        *in_words(
            *(reports, p.review.target, p.impute.max_wrong, p.impute.policy),
            [one.name for one in table.layout if not filled.learnable[one.start]],
        ),
        *audit_by_people.in_words(
            audit_by_people.gain(filled, table.values, table.images, table.layout, account)
        ),
    ]:
        log.info("%s", line)


def _by(name: str | None, table: LabelTable) -> tuple[str, np.ndarray] | None:
    """The column whose values group the shares."""
    return None if name is None else (name, written(table.cells[name]))


def in_words(
    reports: dict[str, pd.DataFrame],
    target: float,
    max_wrong: float,
    policy: str,
    guesses: Sequence[str] = (),
) -> list[str]:
    """What people can rely on, a line each; guesses : attributes that are not learnable."""
    lines = []
    curves, promises = reports["budget"], reports["promises"]
    chosen = curves[(curves["scope"] == budget.TABLE) & (curves["chosen"] == 1)]
    if len(chosen):
        row = chosen.iloc[0]
        without = sorted({*promises["attribute"]} - {*curves["attribute"]})
        guessed = sorted({*curves["attribute"]} & {*guesses})
        lines.append(
            f"look at {row['looked_at']:,} of {row['of']:,} filled cells, and at most "
            f"{100 * target:g} % of them are wrong (95 % confidence): reports/review.csv"
            + (f"; without {', '.join(guessed)}, whose cells are guesses" if guessed else "")
            + (f"; no bound for {', '.join(without)}" if without else "")
        )
    withheld = promises[(promises["promised"] == "no") & (promises["unknown"] > 0)]
    if policy == "guarantee":
        lines.append(
            f"{promises['kept'].sum():,} of {promises['unknown'].sum():,} unknown cells filled: at "
            f"most {100 * max_wrong:g} % of each attribute's filled 1s and of its filled 0s are "
            "expected to be wrong"
        )
        lines += [
            f"{row['attribute']}: no promise for {row['filled_value']}: {row['reason']}"
            for _, row in withheld.iterrows()
        ]
    called = int((reports["suspects"]["called"] == "yes").sum())
    if called:
        lines.append(
            f"{called:,} known labels are called wrong: reports/suspects.csv; of an attribute that "
            "pictures tell little of they may be right: look before you correct them"
        )
    return lines


def provenance(table: LabelTable, filled: Imputation, kept: np.ndarray) -> pd.DataFrame:
    """One row per originally unknown cell; the value is empty where the policy abstains."""
    rows, columns, names, values = [], [], [], []
    for one in table.layout:
        row = np.flatnonzero(np.isnan(table.values[:, one.start]))
        # Of a categorical attribute the column of the value that is filled in.
        best = categories.chosen(filled.probability[row, one.start : one.stop])
        own = filled.values[row, one.start].astype(str)
        value = np.array(one.values, dtype=object)[best] if one.values else own
        rows.append(row)
        columns.append(one.start + best)
        names += [one.name] * len(row)
        values.append(value.astype(object))
    row, column = np.concatenate(rows), np.concatenate(columns)
    at = row, column
    frame = pd.DataFrame(
        {
            "image": [table.images[i] for i in row],
            "attribute": names,
            "value": np.where(kept[at], np.concatenate(values), ""),
            "probability": filled.probability[at].round(6),
            "round": np.where(filled.learnable[column], filled.rounds[column], 1),
            "evidence": filled.evidence[at],
            "expected_correctness": filled.correctness[at].round(6),
            "q_value": filled.promises.q_value[at].round(6),
            "row": row,
            "column": column,
        }
    )
    return frame.sort_values(["image", "attribute"], kind="stable", ignore_index=True)


def sought(table: LabelTable, filled: Imputation) -> np.ndarray:
    """[N, A], by what pictures tell: the higher, the likelier is an image to be of the class that a
    binary attribute has too few labels of; NaN where it has enough, and outside training, where a
    label would not count."""
    scores = np.full(table.values.shape, np.nan)
    training = np.array(table.split) == "train"
    for one in table.layout:
        few = lacking(table.values[training, one.start])
        if few is not None and not one.values:
            scores[:, one.start] = filled.image_scores[:, one.start] * (1 if few[0] else -1)
    scores[~training] = np.nan
    return scores


def arrays(table: LabelTable, filled: Imputation, kept: np.ndarray) -> ImputedArrays:
    """What the next stages read; cells that stay empty have weight 0."""
    weight = np.where(np.isnan(table.values) & ~kept, 0, filled.weight)
    return ImputedArrays(
        scores=filled.scores.astype(np.float32),
        image_scores=filled.image_scores.astype(np.float32),
        probability=filled.probability.astype(np.float32),
        weight=weight.astype(np.float32),
        verdicts=np.array(filled.verdicts),
    )


def held_out(table: LabelTable, filled: Imputation, looked_at: np.ndarray) -> pd.DataFrame:
    """The known training cells with the probability and the value made without their label; but for
    those that people looked at, which are harder than others."""
    row, column = np.nonzero(~np.isnan(filled.held_out) & ~looked_at)
    names = table.attributes
    return pd.DataFrame(
        {
            "image": [table.images[i] for i in row],
            "attribute": [names[a] for a in column],
            "label": table.values[row, column].astype(int),
            "probability": filled.held_out[row, column].round(6),
            "value": filled.decided[row, column].astype(int),
        }
    ).sort_values(["attribute", "image"], kind="stable")


def summary(table: LabelTable, filled: Imputation, kept: np.ndarray) -> dict[str, object]:
    unknown = np.isnan(table.values)
    attributes = {}
    for a, name in enumerate(table.attributes):
        cells = unknown[:, a]
        names, counts = np.unique(filled.evidence[cells, a], return_counts=True)
        history, test = filled.self_training[a], filled.learnability[a]
        attributes[name] = {
            "learnable": test.verdict,
            "auc": test.auc,
            "permutation_p": test.p_value,
            "threshold": float(filled.threshold[a]),
            "unknown": int(cells.sum()),
            "filled": int(kept[:, a].sum()),
            "filled_positive": int(filled.values[kept[:, a], a].sum()),
            "evidence": {str(n): int(c) for n, c in zip(names, counts, strict=True)},
            "missingness": dataclasses.asdict(filled.missingness[a]),
            "self_training": {
                "rounds_kept": max(0, history.scorings - 1),
                "stop": history.stop,
                "rounds": history.log,
            },
        }
    return {
        "attributes": attributes,
        "candidates": filled.candidates,
        "calibration": {"method": filled.calibration[0], "log_loss": filled.calibration[1]},
        "categorical": filled.categorical.set_index("attribute").to_dict("index"),
        "warnings": filled.warnings,
    }


def plain(content: Any) -> Any:
    """``content`` with undefined numbers as None: JSON has no NaN."""
    if isinstance(content, dict):
        return {key: plain(value) for key, value in content.items()}
    if isinstance(content, list):
        return [plain(value) for value in content]
    return None if isinstance(content, float) and np.isnan(content) else content


def _report(table: LabelTable, filled: Imputation, kept: np.ndarray) -> None:
    unknown = np.isnan(table.values)
    for one in table.layout:
        a, name = one.start, one.name
        cells = unknown[:, a]
        if one.values:
            _report_categorical(one, filled, kept, cells.sum())
            continue
        if not filled.learnable[a]:
            log.warning("%s: %s", name, not_learnable(table, filled, kept, a))
            continue
        row = filled.audit.iloc[a]
        if not kept[:, a].any():
            log.info("%s: 0 of %d unknown cells filled", name, cells.sum())
            continue
        log.info(
            "%s: %d of %d unknown cells filled, expected accuracy %.3f (%.3f to %.3f)",
            *(name, kept[:, a].sum(), cells.sum(), row["accuracy"]),
            *(row["accuracy_low"], row["accuracy_high"]),
        )
    for warning in filled.warnings:
        log.warning("%s", warning)


def not_learnable(table: LabelTable, filled: Imputation, kept: np.ndarray, a: int) -> str:
    """Why binary attribute ``a`` is not called learnable, and what its unknown cells take.

    With too few labels nothing was tested: that is said, and which images are most likely to be of
    the class that lacks them, by what pictures tell.
    """
    unknown, training = np.isnan(table.values[:, a]), np.array(table.split) == "train"
    taken = f"{kept[:, a].sum()} of {unknown.sum()} unknown cells take its prevalence"
    if unknown.any() and not kept[:, a].any():
        taken = f"its {unknown.sum()} unknown cells stay empty"
    few = lacking(table.values[training, a])
    found = filled.learnability[a]
    if few is None:
        chance = f"AUC {found.auc:.3f} within folds, not told from chance (p {found.p_value:.2g})"
        return f"NOT LEARNABLE: {chance}; {taken}"
    value, count = few
    rows = np.flatnonzero(unknown & training)
    likely = rows[np.argsort(-sought(table, filled)[rows, a], kind="stable")][:SHOWN]
    look = (
        f"look first at {', '.join(table.images[row] for row in likely)}; " if len(likely) else ""
    )
    return (
        f"TOO FEW LABELS: {count} known {'positive' if value else 'negative'}"
        f"{'' if count == 1 else 's'} among training images, {LEAST} needed to test it; "
        f"{look}{taken}"
    )


def _report_categorical(one: Attribute, filled: Imputation, kept: np.ndarray, unknown: int) -> None:
    row = filled.categorical.set_index("attribute").loc[one.name]
    found = filled.learnable[one.start : one.stop]
    if not found.any():
        why = f"NOT LEARNABLE: none of its {len(found)} values can be told from chance"
        if filled.verdicts[one.start] == verdicts.TOO_FEW:
            why = f"TOO FEW LABELS: none of its {len(found)} values has {LEAST}, needed to test it"
        taken = f"{kept[:, one.start].sum()} of {unknown} unknown cells take the most frequent one"
        if unknown and not kept[:, one.start].any():
            taken = f"its {unknown} unknown cells stay empty"
        log.warning("%s: %s; %s", one.name, why, taken)
        return
    if not kept[:, one.start].any():
        log.info("%s: 0 of %d unknown cells filled", one.name, unknown)
        return
    log.info(
        "%s: %d of %d unknown cells filled, expected accuracy %.3f (%.3f to %.3f), %.3f by the "
        "most frequent value; %d of its %d values can be told from chance",
        *(one.name, kept[:, one.start].sum(), unknown, row["accuracy"], row["accuracy_low"]),
        *(row["accuracy_high"], row["majority_accuracy"], found.sum(), len(found)),
    )


if __name__ == "__main__":
    run(main)

"""Stage impute: every unknown cell filled, with its probability, its round and its evidence."""

from __future__ import annotations

import dataclasses
import logging

import numpy as np
import pandas as pd

from pipeline import attribute_heads, params, runtime, splits
from pipeline.errors import run
from pipeline.features import FeatureStore
from pipeline.files import replace_directory, write_csv, write_json
from pipeline.impute.fill import ONE_CLASS, Filled, fill
from pipeline.impute.learnable import is_learnable
from pipeline.impute.selftrain import SelfTraining, self_train
from pipeline.labels import read_clean, write_clean
from pipeline.out_of_fold import out_of_fold

OUTPUT = "data/imputed"
log = logging.getLogger("impute")


def main() -> None:
    p = params.load()
    logging.basicConfig(level="INFO", format="%(name)s: %(message)s")
    runtime.prepare(p.seed)
    table = read_clean("data/clean/labels.csv")
    fold = attribute_heads.read_folds()
    logits = np.load(attribute_heads.FOLDER / "logits.npy")
    ensemble: attribute_heads.AttributeHeads | None = None
    values = table.values.copy()
    scores = np.empty(values.shape, dtype=np.float32)
    groups = _groups(table.images)
    provenance: list[pd.DataFrame] = []
    held_out: list[pd.DataFrame] = []
    summary: dict[str, dict[str, object]] = {}
    for number, attribute in enumerate(table.attributes):
        column = table.values[:, number]

        def refit(pseudo: np.ndarray, attribute: str = attribute) -> np.ndarray:
            nonlocal ensemble
            if ensemble is None:
                store = FeatureStore("data/features")
                ensemble = attribute_heads.AttributeHeads.prepare(p, table, store, fold)
            return ensemble.fit(attribute, pseudo).logits

        first = out_of_fold(logits[number], fold)
        trained = ~np.isnan(column) & (fold >= 0)
        learnable = is_learnable(first[trained], column[trained], len(table.attributes))
        course = self_train(
            column,
            fold,
            logits[number],
            refit,
            p.impute.rounds,
            p.impute.confidence,
            learnable,
            _twin_known(column, groups),
        )
        filled = fill(
            column,
            fold,
            course.logits,
            p.impute.threshold,
            p.impute.confidence,
            learnable,
        )
        values[:, number] = filled.values
        scores[:, number] = out_of_fold(course.logits[-1], fold)
        provenance.append(_provenance(table.images, attribute, column, filled))
        held_out.append(_held_out(table.images, attribute, column, fold, filled))
        summary[attribute] = _summary(column, course, filled)
        log.info("%s", _sentence(attribute, course, filled))
    with replace_directory(OUTPUT) as folder:
        write_clean(dataclasses.replace(table, values=values), folder / "labels.csv")
        cells = pd.concat(provenance).sort_values(["image", "attribute"], kind="stable")
        cells["probability"] = cells["probability"].round(6)
        write_csv(cells, folder / "provenance.csv")
        write_csv(pd.concat(held_out), folder / "held_out.csv")
        write_json(summary, folder / "summary.json")
        np.save(folder / "scores.npy", scores)


def _groups(images: list[str]) -> np.ndarray:
    """The same number for byte-identical images."""
    frame = pd.read_csv("data/clean/images.csv", dtype=str, keep_default_na=False)
    sha256 = dict(zip(frame["image"], frame["sha256"], strict=True))
    return splits.duplicate_groups([sha256[image] for image in images])


def _twin_known(column: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """bool [N]: whether a byte-identical image, or the image itself, has a known label."""
    known = np.zeros(groups.max() + 1, dtype=bool)
    known[groups[~np.isnan(column)]] = True
    return known[groups]


def _provenance(
    images: list[str], attribute: str, column: np.ndarray, filled: Filled
) -> pd.DataFrame:
    unknown = np.flatnonzero(np.isnan(column))
    return pd.DataFrame(
        {
            "image": [images[i] for i in unknown],
            "attribute": attribute,
            "value": filled.values[unknown],
            "probability": filled.probability[unknown],
            "round": filled.round[unknown],
            "evidence": filled.evidence[unknown],
        }
    )


def _held_out(
    images: list[str], attribute: str, column: np.ndarray, fold: np.ndarray, filled: Filled
) -> pd.DataFrame:
    """The known training cells with the probability that has not seen their label."""
    cells = np.flatnonzero(~np.isnan(filled.held_out))
    return pd.DataFrame(
        {
            "image": [images[i] for i in cells],
            "attribute": attribute,
            "fold": fold[cells],
            "label": column[cells].astype(int),
            "probability": filled.held_out[cells].round(6),
        }
    )


def _summary(column: np.ndarray, course: SelfTraining, filled: Filled) -> dict[str, object]:
    unknown = np.isnan(column)
    names, counts = np.unique(filled.evidence[unknown], return_counts=True)
    return {
        "learnable": "yes" if filled.learnable else "no",
        "threshold": filled.threshold,
        "filled": int(unknown.sum()),
        "filled_positive": int(filled.values[unknown].sum()),
        "evidence": {str(n): int(c) for n, c in zip(names, counts, strict=True)},
        "rounds_kept": len(course.logits) - 1,
        "stop": course.stop,
        "rounds": course.log,
    }


def _sentence(attribute: str, course: SelfTraining, filled: Filled) -> str:
    count = int((filled.round > 0).sum())
    if not filled.learnable:
        why = "only class" if ONE_CLASS in filled.evidence else "prevalence"
        return f"{attribute}: NOT LEARNABLE from the pictures; {count} cells take its {why}"
    kept = len(course.logits) - 1
    return f"{attribute}: {count} cells filled, {kept} rounds kept, stopped by {course.stop}"


if __name__ == "__main__":
    run(main)

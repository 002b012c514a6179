"""Stage evaluate: test scores, tables, curves and pictures."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from pipeline import params, progress, runtime
from pipeline.data import categories, corrections, imputed_arrays
from pipeline.data.clean_table import read_clean, read_hashes
from pipeline.data.labels import LabelTable
from pipeline.data.loading import Pictures
from pipeline.data.verdicts import IN_WORDS, LEARNABLE, TOO_FEW
from pipeline.demo import paths
from pipeline.demo.generate import COIN, VISUAL_ATTRIBUTES
from pipeline.errors import run
from pipeline.features import weights
from pipeline.features.store import FeatureStore
from pipeline.files import read_csv, without_formulas, write_csv, write_json
from pipeline.metrics import baselines, bootstrap, tables
from pipeline.metrics.scores import multilabel_scores, pr_curve_points, roc_curve_points
from pipeline.plots import evaluation, gallery, training
from pipeline.plots import guarantees as pictures
from pipeline.training import fitting, saved_model, targets
from pipeline.training.inference import Predictor
from pipeline.training.saved_model import LOGISTIC

REPORTS = Path("reports")
HEADLINES = (
    *("binary_accuracy", "auc_macro", "auc_micro", "map", "f1_macro", "f1_samples"),
    *("accuracy_macro", "hamming_loss", "jaccard", "cosine_similarity", "subset_accuracy"),
    *("n_cells", "n_scored_attributes"),
)
OF_ALL = ("binary_accuracy", "auc_macro", "map", "n_cells")
"""Said of all attributes, too, those that nothing tells of among them."""
HEADLINE = {
    "expected": ("accuracy",),
    "test": ("auc_macro", "map", "binary_accuracy"),
}
"""What `dvc metrics` and `dvc exp show` have room for, of metrics.json."""
COMES_BACK = ("review", "suspects")
FINE_TUNED = "fine_tuned"
log = logging.getLogger("evaluate")


@progress.task("evaluate")
def main() -> None:
    p = params.load()
    logging.basicConfig(level="INFO", format="%(name)s: %(message)s")
    runtime.prepare(p.seed)
    clean = read_clean("data/clean/labels.csv")
    provenance = read_csv(imputed_arrays.FOLDER / "provenance.csv")
    provenance["score"] = _scores_of(clean, provenance)
    summary = json.loads(Path("data/imputed/summary.json").read_text(encoding="utf-8"))
    # As train had it: the columns of a categorical attribute are learnable if one of them is.
    arrays = imputed_arrays.read()
    learnable = arrays.learnable
    backbone = weights.description(saved_model.BACKBONE)
    card = saved_model.read_card(saved_model.current())
    test = np.flatnonzero(np.array(clean.split) == "test")
    outputs = _outputs(p, clean, test, card)

    heads_table, held_out = _attribute_heads(clean, summary["attributes"])
    of_columns = provenance[provenance["attribute"].isin(clean.attributes)]
    truth = _demo_truth(p, of_columns)
    # What people looked at they were sent to, as it is hard: no sample of test cells.
    looked_at = corrections.looked_at(clean, corrections.read_account("data/clean"))
    known = np.where(looked_at, np.nan, clean.values)[test]
    probability = outputs[FINE_TUNED if card.branches else card.missing]
    thresholds = np.array(card.thresholds)
    softmax = categories.spans(clean.categories)
    decided = categories.decide(probability, thresholds, softmax)
    test_table = tables.attribute_table(
        clean.attributes, known, probability, thresholds, decided=decided
    )
    learned = clean.values[np.array(clean.split) == "train"]
    cells = (~np.isnan(learned)).sum(axis=0)
    shares = np.nansum(learned, axis=0) / np.where(cells, cells, np.nan)
    test_table = baselines.with_guesses(test_table, shares).assign(learnable=arrays.verdicts)
    scored = targets.of_learnable(known, learnable)
    scores = multilabel_scores(scored, probability, thresholds, softmax)
    of_all = multilabel_scores(known, probability, thresholds, softmax)
    judged = test_table[learnable] if learnable.any() else test_table
    verdict = {one.name: str(arrays.verdicts[one.start]) for one in clean.layout}
    guessed = {name: told for name, told in verdict.items() if told != LEARNABLE}
    variants = bootstrap.compare(scored, outputs, targets.MASK, p.seed)
    plain = {"classifier": probability, LOGISTIC: outputs[LOGISTIC]}
    against_plain = bootstrap.compare(scored, plain, LOGISTIC, p.seed)
    compared = baselines.compare(judged, against_plain, "classifier", LOGISTIC)
    audited = read_csv(imputed_arrays.FOLDER / "categorical.csv")
    by_category = tables.category_table(clean, known, probability, audited)
    content = {
        "backbone": {"pretrained": int(backbone.pretrained)},
        "model": {
            "parameters": card.parameters + (0 if card.branches else backbone.parameters),
            "trainable_parameters": card.trainable,
        },
        "table": {
            "images": len(clean.images),
            "filled_cells": int((provenance["value"] != "").sum()),
            "abstained_cells": int((provenance["value"] == "").sum()),
            "attributes": len(clean.layout),
            "learnable": len(verdict) - len(guessed),
            "too_few_labels": list(verdict.values()).count(TOO_FEW),
        },
        **_imputation_scores(heads_table, learnable),
        "demo_truth": tables.of_demo(truth, VISUAL_ATTRIBUTES, COIN),
        "test": {name: scores.get(name) for name in HEADLINES},
        "test_all": {name: of_all.get(name) for name in OF_ALL},
        # Beside the accuracy of the test scores.
        "guesses": {
            name: score
            for name, score in baselines.against_guesses(judged).items()
            if name != "binary_accuracy"
        },
        "categories": {
            name: by_category[name].mean() for name in ("expected_accuracy", "accuracy", "f1_macro")
        },
        "missing": tables.of_variants(variants, card.missing),
    }

    REPORTS.mkdir(exist_ok=True)
    reports = {
        **{"missing": variants, "categories": by_category, "attributes": heads_table},
        **{"imputation_truth": truth, "test": test_table, "baselines": compared},
    }
    # These are for people; what comes back as corrections is to the letter.
    as_shown = without_formulas if p.reports.escape_formulas else lambda table: table
    for name, table in reports.items():
        table["pretrained"] = "yes" if backbone.pretrained else "no"
        write_csv(as_shown(table), REPORTS / f"{name}.csv")
    for name, points in (("roc", roc_curve_points), ("precision_recall", pr_curve_points)):
        curves = tables.curve_table(clean.attributes, known, probability, points)
        write_csv(as_shown(curves), REPORTS / f"{name}.csv")
    for name in imputed_arrays.TABLES:
        table = pd.read_csv(imputed_arrays.FOLDER / f"{name}.csv", dtype=str, keep_default_na=False)
        write_csv(table if name in COMES_BACK else as_shown(table), REPORTS / f"{name}.csv")
    for history in (fitting.CURVES, fitting.STEPS):
        shutil.copyfile(saved_model.current() / history, REPORTS / history)
    _pictures(clean, known, probability, test_table, held_out, p.title)
    pictures.budget(
        read_csv(imputed_arrays.FOLDER / "budget.csv"), p.review.target, REPORTS / "budget.png"
    )
    texts = ("by", "group", "attribute", "value", "warning", "reason")
    shares = read_csv(imputed_arrays.FOLDER / "prevalence.csv", texts)
    pictures.prevalence(shares, REPORTS / "prevalence.png")
    items = gallery.choose(
        clean, test, provenance, probability, thresholds, Path(p.data.images), p.seed
    )
    gallery.gallery(items, REPORTS / "gallery.png", guessed)
    metrics = tables.finite(content)
    write_json(metrics, REPORTS / "metrics.json")
    write_json(tables.some(metrics, HEADLINE), REPORTS / "headline.json")
    if not backbone.pretrained:
        log.warning("the backbone's weights are random, not pretrained: scores are a demo's")
    given = {*provenance.loc[provenance["value"] != "", "attribute"]}
    for name, told in guessed.items():
        what = "its filled cells and the" if name in given else "the"
        log.warning("%s: %s: %s classifier's decisions are guesses", name, IN_WORDS[told], what)
    for warning in summary["warnings"]:
        log.warning("%s", warning)
    log.info("%s", tables.effect_of_imputing(variants, card.missing))
    for line in baselines.in_words(compared):
        log.warning("%s", line)
    shown = ", ".join(f"{name} {scores[name]:.4g}" for name in HEADLINE["test"] if name in scores)
    log.info("final classifier, test cells of %s: %s", targets.compared(learnable), shown)


def _imputation_scores(heads_table: pd.DataFrame, learnable: np.ndarray) -> dict[str, Any]:
    """What metrics.json says of the imputation, of its held-out cells and of what it expects."""
    return {
        "held_out": {
            "auc_learnable": heads_table["auc"][learnable].mean(),
            "brier_learnable": heads_table["brier"][learnable].mean(),
        },
        "expected": {
            "accuracy": tables.weighted(heads_table, "expected_accuracy"),
            "brier": tables.weighted(heads_table, "expected_brier"),
            "not_missing_at_random": int(heads_table["missing_at_random"].eq("no").sum()),
        },
    }


def _scores_of(clean: LabelTable, cells: pd.DataFrame) -> np.ndarray:
    """The imputation's logit for each row of ``cells``; NaN for categorical attributes."""
    row = {image: i for i, image in enumerate(clean.images)}
    column = {attribute: i for i, attribute in enumerate(clean.attributes)}
    binary = cells["attribute"].isin(column).to_numpy()
    chosen = cells[binary]
    at = chosen["image"].map(row).to_numpy(int), chosen["attribute"].map(column).to_numpy(int)
    out = np.full(len(cells), np.nan)
    out[binary] = imputed_arrays.read().scores[at]
    return out


def _attribute_heads(
    clean: LabelTable, summary: dict[str, Any]
) -> tuple[pd.DataFrame, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The table of the imputation, and its labels, probabilities and logits out of fold."""
    cells = read_csv(imputed_arrays.FOLDER / "held_out.csv")
    training = [i for i, split in enumerate(clean.split or []) if split == "train"]
    images = [clean.images[i] for i in training]
    labels, probability, decided = tables.held_out_arrays(clean.attributes, cells, images)
    ranking = imputed_arrays.read().scores[training]
    entries = [summary[attribute] for attribute in clean.attributes]
    expected = pd.read_csv("data/imputed/audit.csv", dtype={"attribute": str})
    table = tables.attribute_table(
        clean.attributes,
        labels,
        probability,
        [entry["threshold"] for entry in entries],
        tables.imputation_columns(entries, expected),
        ranking,
        decided,
    )
    return table, (labels, probability, ranking)


def _outputs(
    p: params.Params, clean: LabelTable, rows: np.ndarray, card: saved_model.Card
) -> dict[str, np.ndarray]:
    """Probabilities [n, A] for ``rows`` of the table by the heads with unknown cells imputed,
    masked and taken for 0, by the plain logistic regression, and by the fine-tuned network where
    there is one."""
    store = FeatureStore("data/features")
    stored = store.rows([clean.images[row] for row in rows])
    outputs = {}
    for variant in (*targets.VARIANTS, LOGISTIC):
        head, own = saved_model.load(saved_model.FOLDER / saved_model.VARIANTS / variant)
        outputs[variant] = saved_model.probabilities(head, own, store, stored)
    if card.branches:
        outputs[FINE_TUNED] = _fine_tuned(p, clean, rows)
    return outputs


def _fine_tuned(p: params.Params, clean: LabelTable, rows: np.ndarray) -> np.ndarray:
    """Probabilities [n, A] of the fine-tuned network for ``rows`` of the table."""
    names = [clean.images[row] for row in rows]
    predictor = Predictor()
    hashes = read_hashes("data/clean", names)
    pictures = Pictures(Path(p.data.images), names, hashes, p.image_size, p.seed)
    return np.concatenate(
        [
            predictor.probabilities(batch)
            for batch in pictures.batches(np.arange(len(names)), predictor.batch)
        ]
    )


def _demo_truth(p: params.Params, provenance: pd.DataFrame) -> pd.DataFrame:
    """The filled cells against the demo's truth; no rows for any other data."""
    if not paths.is_demo(p.data.labels, p.data.images):
        return pd.DataFrame(columns=list(tables.TRUTH_COLUMNS))
    return tables.truth_table(pd.read_csv(paths.TRUTH, dtype={"image": str}), provenance)


def _pictures(
    clean: LabelTable,
    known: np.ndarray,
    probability: np.ndarray,
    test_table: pd.DataFrame,
    held_out: tuple[np.ndarray, np.ndarray, np.ndarray],
    title_of_loss: str,
) -> None:
    attributes = clean.attributes

    def curves(y: np.ndarray, p: np.ndarray) -> list[tuple[str, np.ndarray, np.ndarray]]:
        return [(name, y[:, i], p[:, i]) for i, name in enumerate(attributes)]

    evaluation.roc_pr(curves(known, probability), REPORTS / "roc_pr.png")
    title = "Imputation: ranking of known training cells, out of fold"
    evaluation.roc_pr(curves(held_out[0], held_out[2]), REPORTS / "roc_pr_heads.png", title)
    evaluation.calibration(curves(held_out[0], held_out[1]), REPORTS / "calibration.png")
    test_table = test_table.copy()
    for one in clean.categories:
        # Of its columns the most probable one is decided.
        test_table.loc[one.start : one.stop - 1, "threshold"] = np.nan
    counts = test_table[["attribute", "tp", "fp", "tn", "fn", "threshold"]].to_dict("records")
    evaluation.confusion_grid(cast(list[dict[str, Any]], counts), REPORTS / "confusion.png")
    folder = saved_model.current()
    names = tuple(one.name for one in clean.categories)
    history = pd.read_csv(folder / fitting.CURVES)
    training.learning_curves(history, REPORTS / "learning_curves.png", names)
    steps = pd.read_csv(folder / fitting.STEPS)
    training.training_loss(steps, REPORTS / "training_loss.png", title_of_loss)


if __name__ == "__main__":
    run(main)

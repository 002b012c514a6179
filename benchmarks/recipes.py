"""python -m benchmarks.recipes: published systems side by side on the same data and splits.

Cells of the table are hidden at random; every recipe of `benchmarks.recipe_list` runs through the
pipeline's stages and is scored on all labels of the test images, the hidden ones too, which no
stage has seen. Differences to the first recipe are paired over images. Writes
docs/recipes.csv and docs/recipes.png and the results in docs/recipes.md, again after each recipe;
--resume keeps those that are there.

The budget: --side for networks without weights, --epochs as upper bound of every fit. Without them
fits are as each author states, which may take hours. In any case a backbone without a file of
weights gets random ones, the first recipe gets the first backbone that has one, and recipes that
mask unknown cells fill the table with two folds and no rounds, since they use no more of it than
which attributes can be learned: their seconds to impute are not those of the line.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import recipe_report
from benchmarks.recipe_list import BY_NAME, Recipe
from benchmarks.workshop import measure, params, run_in
from pipeline.data.clean_table import read_clean
from pipeline.data.labels import LabelTable
from pipeline.data.read_table import read_table
from pipeline.files import write_csv
from pipeline.metrics import bootstrap
from pipeline.metrics.scores import multilabel_scores
from pipeline.report.machine import machine

RESULT = Path("docs/recipes.csv")
STAGES = ("check", "clean", "backbone", "embed", "classify", "impute", "train", "fine_tune")
BINARY = [name for name in BY_NAME if name != "fashion-efficientnet"]


def hidden(table: LabelTable, fraction: float, seed: int) -> LabelTable:
    """A table of binary attributes with each known cell unknown with probability ``fraction``."""
    drawn = np.random.default_rng([seed, 1]).random(table.values.shape) < fraction
    values = np.where(drawn, np.nan, table.values)
    return LabelTable.binary(table.images, table.attributes, values, table.split)


def budget(
    recipe: Recipe, weights: dict[str, str], side: int | None, epochs: int | None
) -> dict[str, Any]:
    """The recipe's params within the budget, with the weights that there are."""
    changes = dict(recipe.changes)
    name = changes.setdefault("backbone.name", "vgg19")
    if recipe.name == "default" and weights:
        # The project's own way with a backbone that knows something.
        name = changes["backbone.name"] = next(iter(weights))
        changes["image_size"] = [224, 224]
    changes["backbone.weights"] = weights.get(name, "random")
    if changes.get("missing") == "mask":
        # The table is filled in any case, but only which attributes are learnable is used here.
        changes |= {"impute.folds": 2, "impute.rounds": 0}
    if side is not None and name not in weights:
        changes["image_size"] = [side, side]
    if epochs is not None:
        changes["epochs"] = min(changes.get("epochs", 20), epochs)
        if changes.get("fine_tune.epochs"):
            changes["fine_tune.epochs"] = min(changes["fine_tune.epochs"], epochs)
    return changes


def run(folder: Path, images: Path, changes: dict[str, Any]) -> dict[str, float]:
    """Run the stages in ``folder``, which has labels.csv; seconds and megabytes."""
    params(folder, {**changes, "data.labels": "labels.csv", "data.images": str(images)})
    seconds, megabytes = {}, 0.0
    for stage in STAGES:
        seconds[stage], peak, _ = measure(folder, stage)
        megabytes = max(megabytes, peak)
    return {
        "embed_seconds": seconds["embed"],
        "impute_seconds": seconds["classify"] + seconds["impute"],
        # The heads of a fresh network's start are no part of it.
        "train_seconds": seconds["fine_tune"]
        + (0.0 if changes.get("fine_tune.start") == "fresh" else seconds["train"]),
        "peak_mb": megabytes,
    }


def predictions(folder: Path, images: Path, table: LabelTable) -> tuple[np.ndarray, float]:
    """Probabilities [n, A] of the table's images by the command line, and milliseconds of each."""
    place = folder / "all"
    for image in table.images:
        (place / image).parent.mkdir(parents=True, exist_ok=True)
        (place / image).symlink_to(images.absolute() / image)
    run_in(folder, "pipeline.predict", "all", "--out", "all.csv")
    found = pd.read_csv(folder / "all.csv", dtype={"image": str}).set_index("image")
    found.index = [str(Path(name).relative_to("all")) for name in found.index]
    columns = [f"{attribute}_probability" for attribute in table.attributes]
    probability = found.loc[table.images, columns].to_numpy(dtype=np.float64)
    return probability, float(run_in(folder, "benchmarks.latency", "all"))


def scores(folder: Path, truth: np.ndarray, probability: np.ndarray) -> dict[str, Any]:
    """Quality on the test images, and size of the model."""
    card = json.loads((classifier_of(folder) / "model.json").read_text(encoding="utf-8"))
    backbone = json.loads((folder / "models/backbone/backbone.json").read_text(encoding="utf-8"))
    found = multilabel_scores(truth, probability, np.array(card["thresholds"]))
    decided = probability >= np.array(card["thresholds"])
    right = np.where(np.isnan(truth), np.nan, decided == truth)
    accuracy = pd.Series(np.nanmean(right, axis=0), card["attributes"])
    files = [*classifier_of(folder).glob("*.h5"), *classifier_of(folder).glob("branch_*/*.h5")]
    frozen = not card["branches"]
    if frozen:
        files.append(folder / "models/backbone/backbone.weights.h5")
    return {
        **{name: found[name] for name in ("f1_samples", "subset_accuracy", "accuracy_macro")},
        **{name: found[name] for name in ("cosine_similarity", "f1_macro", "auc_macro")},
        "best_label": accuracy.idxmax(),
        "worst_label": accuracy.idxmin(),
        "parameters": card["parameters"] + frozen * backbone["parameters"],
        "trainable": card["trainable"],
        "size": "x".join(map(str, card["image_size"])),
        "size_mb": sum(file.stat().st_size for file in files) / 1e6,
    }


def classifier_of(folder: Path) -> Path:
    """Where the classifier in use lies."""
    fine_tuned = folder / "models/fine_tuned"
    return fine_tuned if (fine_tuned / "model.json").is_file() else folder / "models/multilabel"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--recipes", nargs="+", choices=BINARY, default=BINARY)
    parser.add_argument("--weights", nargs="*", default=[], metavar="BACKBONE=FILE")
    parser.add_argument("--hide", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--side", type=int, help="pixels, for all but backbones with weights")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--resume", action="store_true")
    a = parser.parse_args()
    weights = dict(item.split("=", 1) for item in a.weights)
    table = read_table(a.labels)
    setting = f"{a.labels.resolve()} {a.hide} {a.seed} {a.side} {a.epochs}"
    rows, outputs = ([], {}) if not a.resume else recipe_report.earlier(RESULT, setting)
    for name in a.recipes:
        if name in outputs:
            continue
        changes = budget(BY_NAME[name], weights, a.side, a.epochs)
        with tempfile.TemporaryDirectory() as space:
            folder = Path(space)
            given = hidden(table, a.hide, a.seed)
            frame = pd.DataFrame(given.values, columns=given.attributes)
            frame.insert(0, "image", given.images)
            write_csv(frame, folder / "labels.csv")
            cost = run(folder, a.images.absolute(), changes)
            clean = read_clean(folder / "data/clean/labels.csv")
            test = clean.take([i for i, s in enumerate(clean.split or []) if s == "test"])
            place = {image: i for i, image in enumerate(table.images)}
            truth = table.values[[place[image] for image in test.images]].astype(np.float64)
            probability, each = predictions(folder, a.images, test)
            row = {"recipe": name, **scores(folder, truth, probability), **cost}
        row |= {
            "ms_per_image": each,
            "size": "x".join(map(str, changes.get("image_size", ["", ""]))),
        }
        row |= {"backbone": changes["backbone.name"], "machine": machine()}
        row["pretrained"] = "no" if changes["backbone.weights"] == "random" else "yes"
        rows.append(row)
        outputs[name] = probability
        compared = bootstrap.compare(truth, outputs, next(iter(outputs)), a.seed)
        recipe_report.write(pd.DataFrame(rows), compared, outputs, RESULT, setting)
        print(f"{name}: done", flush=True)
    print(RESULT.with_suffix(".md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()

"""Stage report: reports/report.html, one page that tells it all."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Any

from pipeline import params, progress, runtime
from pipeline.data import corrections, imputed_arrays
from pipeline.data.clean_table import read_clean
from pipeline.data.labels import SPLITS, meanings
from pipeline.errors import run
from pipeline.files import read_csv, replace_file
from pipeline.metrics import baselines
from pipeline.report import ending, page, sections, thumbnails
from pipeline.report.attributes import Sources, summaries
from pipeline.report.figures import Source
from pipeline.report.findings import Findings
from pipeline.report.machine import machine

OUTPUT = Path("reports/report.html")
TABLE = imputed_arrays.FOLDER / "labels.csv"
TEXTS = (
    *("image", "attribute", "value", "guess", "label", "suggested", "filled_value", "by", "group"),
    *("queue", "scope", "called", "promised", "holds", "learnable", "reason"),
    *("baseline", "score", "worse", "worse_attributes"),
)
"""Columns of text in the tables that are read."""
MOST_BYTES = 5_000_000
"""Of the page: what goes by mail."""
MOST_OF_PICTURES = 3_000_000
PACKAGES = ("dvc", "keras", "numpy", "pandas", "pillow", "scikit-learn", "scipy", "tensorflow")
log = logging.getLogger("report")


def main() -> None:
    print("\n".join(write()))


@progress.task("report")
def write() -> list[str]:
    """Write the page; returns what a run says at its end."""
    p = params.load()
    logging.basicConfig(level="INFO", format="%(name)s: %(message)s")
    table = read_clean("data/clean/labels.csv")
    filled = read_csv(imputed_arrays.FOLDER / "provenance.csv", TEXTS)
    review = read_csv("reports/review.csv", ("image", "attribute", "guess", "reason"))
    sources = Sources(
        counts=_source("data/clean/attributes.csv"),
        attributes=_source("reports/attributes.csv"),
        categories=_source("reports/categories.csv"),
        test=_source("reports/test.csv"),
        baselines=_source("reports/baselines.csv"),
        truth=_source("reports/imputation_truth.csv"),
    )
    split = Counter(table.split)
    content = sections.Content(
        images=len(table.images),
        splits={name: split[name] for name in SPLITS},
        dropped=read_csv("data/clean/dropped.csv"),
        duplicates=read_csv("data/clean/duplicates.csv", ("image", "conflicting")),
        corrections=len(
            corrections.read(categorical=p.categorical.columns, meaning=meanings(p.data.minus_one))
        ),
        attributes=summaries(table, filled, review, sources, _withheld(p.impute.policy)),
        filled=filled,
        held_out=read_csv(imputed_arrays.FOLDER / "held_out.csv"),
        review=review,
        findings=Findings(*(_source(f"reports/{one.name}.csv") for one in fields(Findings))),
        max_wrong=p.impute.max_wrong,
        sources=sources,
        metrics=json.loads(Path("reports/metrics.json").read_text(encoding="utf-8")),
        made=sections.Made(
            params=_leaves(p.model_dump()),
            files=[(str(path), what, _md5(path)) for path, what in _files(p)],
            machine=machine(),
            versions=runtime.versions(PACKAGES),
        ),
    )
    bare = len(page.render(content, {}).encode("utf-8"))
    budget = max(0, min(MOST_OF_PICTURES, MOST_BYTES - bare))
    pictures = thumbnails.within(budget, Path(p.data.images), page.wanted(content))
    html = page.render(content, pictures)
    with replace_file(OUTPUT) as staging:
        staging.write_text(html, encoding="utf-8")
    log.info("%s: %.1f MB, opens without a network", OUTPUT, len(html.encode("utf-8")) / 1e6)
    warnings = baselines.in_words(sources.baselines.table)
    asked = sections.asked(review)
    return ["", *ending.lines(content.attributes, str(TABLE), str(OUTPUT), asked, warnings)]


def _withheld(policy: str) -> dict[str, str]:
    """Attributes whose cells stay empty as nothing can be promised of them, and why."""
    promises = read_csv("reports/promises.csv", TEXTS)
    if policy != "guarantee":
        return {}
    none = promises[(promises["promised"] == "no") & (promises["unknown"] > 0)]
    return dict(zip(none["attribute"], none["reason"], strict=True))


def _source(path: str) -> Source:
    return Source(path, read_csv(path, TEXTS))


def _files(p: params.Params) -> list[tuple[Path, str]]:
    """The files that a run goes back to, and what came of it; those that are there."""
    files = [
        (Path(p.data.labels), "the label table"),
        (corrections.PATH, "labels corrected by hand"),
        (Path("data/clean/images.csv"), "the hash of every image"),
        (Path("models/backbone/backbone.weights.h5"), "the frozen backbone"),
        (TABLE, "the filled table"),
        (Path("data/imputed/provenance.csv"), "the evidence of each filled cell"),
        (Path("models/multilabel/model.json"), "the classifier"),
        (Path("models/multilabel/head.weights.h5"), "its weights"),
        (Path("models/fine_tuned/model.json"), "the fine-tuned classifier"),
    ]
    return [(path, what) for path, what in files if path.is_file()]


def _md5(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "md5").hexdigest()


def _leaves(content: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Params as lines: dotted key and value as in the file."""
    found: list[tuple[str, str]] = []
    for key, value in content.items():
        if isinstance(value, dict) and key != "prior":
            found += _leaves(value, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", json.dumps(value, ensure_ascii=False)))
    return found


if __name__ == "__main__":
    run(main)

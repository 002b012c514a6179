"""Stage clean: the usable rows of the label table, split, with an account of all others."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline import params, progress
from pipeline.data import cleaning, corrections, read_table
from pipeline.data.clean_table import write_clean
from pipeline.data.cleaning import Cleaned, Unusable
from pipeline.data.image_files import resolve
from pipeline.data.image_names import ImageNames
from pipeline.data.images import ImageError, read
from pipeline.data.labels import SPLITS, LabelTable, meanings
from pipeline.errors import PipelineError, listed, run
from pipeline.files import FORMULA, replace_directory, write_csv
from pipeline.metrics import risk_control, thresholds
from pipeline.metrics.risk_control import UnkeptError, is_target

OUTPUT = "data/clean"
NAMED = 5  # images or attributes that a line of the log names
CHECKED = 64  # pixels in height and in width that an image is decoded to, to see that it can be
MOST_COLUMNS = 1_000  # of labels: each takes seconds in impute and in train, for a thousand images
CHUNK = 256  # images handed to the threads at once
log = logging.getLogger("clean")


@progress.task("clean")
def main() -> None:
    p = params.load()
    logging.basicConfig(level="INFO", format="%(name)s: %(message)s")
    folder = Path(p.data.images)
    if not folder.is_dir():
        found = "a file" if folder.exists() else "no such folder"
        raise PipelineError(
            f"{folder}: {found}, expected the folder of the images that {p.data.labels} names; "
            "set data.images in params.yaml"
        )
    names = ImageNames(folder)
    table = read_table.read_table(
        *(p.data.labels, p.attributes, p.categorical.columns, p.categorical.min_count),
        names=names,
        exclude=p.exclude,
        image_column=p.data.image_column,
        split_column=p.split.column,
        group_column=p.split.group_column,
        encoding=p.data.encoding,
        blank=p.data.blank,
        minus_one=p.data.minus_one,
    )
    if (columns := len(table.attributes)) > MOST_COLUMNS:
        raise PipelineError(
            f"{p.data.labels}: {columns:,} columns of labels, expected {MOST_COLUMNS:,} at most: "
            "each has models of its own that take seconds to fit; name those to fill in attributes "
            "in params.yaml, or raise categorical.min_count for fewer values, and fill the others "
            "in a run of their own"
        )
    binary = [name for name in table.cells if name not in table.vocabulary]
    _check_names("impute.prior", p.impute.prior or {}, binary)
    if isinstance(p.impute.threshold, dict) and not is_target(p.impute.threshold):
        named = [name for name in p.impute.threshold if name != thresholds.DEFAULT]
        _check_names("impute.threshold", named, binary)
    _check_by(p.prevalence.by, table)
    resolved = _resolved(names)
    _check_any_found(p.data.labels, names, table.images)
    # A mistyped name ends here, and not after all pictures have been read.
    corrections.check(table, _corrections(p, names, table))
    bits: dict[str, int] = {}
    results = list(
        progress.track(
            _examine_all(names, table.images, bits), "pictures", "image", len(table.images)
        )
    )
    _check_still_there(names, table.images, results)
    _check_missing(p.data.labels, folder, table.images, results, p.data.max_missing)
    cleaned = cleaning.clean(
        *(table, results, p.split.test, p.split.val, p.seed),
        fold=p.split.fold,
        source=p.data.labels,
    )
    # After the split, which a correction leaves as it is: the test images stay the same ones.
    given = _corrections(p, names, cleaned.table)
    corrected, changed = corrections.apply(cleaned.table, given)
    account = corrections.account(cleaned.table, given)
    cleaned = cleaning.with_labels(cleaned, corrected)
    alike = cleaning.about_one_class(cleaned.attributes, p.data.labels)
    _check_promises(p.impute.threshold, p.impute.prior or {}, cleaned.table)
    from pipeline.plots import evaluation  # here, so that an error does not wait for Matplotlib

    with replace_directory(OUTPUT) as staging:
        write_clean(cleaned.table, staging / "labels.csv")
        for name in ("images", "dropped", "duplicates", "attributes"):
            write_csv(getattr(cleaned, name), staging / f"{name}.csv")
        write_csv(resolved, staging / "resolved.csv")
        write_csv(account, staging / corrections.CORRECTED)
        counts = cleaning.class_counts(cleaned.attributes)
        write_csv(counts, staging / "class_distribution.csv")
        evaluation.class_distribution(cleaned.table, staging / "class_distribution.png")
        if cleaned.table.categories:
            evaluation.pies(cleaned.table, staging / "pies.png")
    _report(table, cleaned, resolved)
    formulas = [n for n in (*table.attributes, *table.images) if n.startswith(FORMULA)]
    if formulas:
        log.warning(
            "%d names begin as a formula of spreadsheets, which may compute it when they open a "
            "table: %s; see reports.escape_formulas in params.yaml",
            *(len(formulas), _first(formulas)),
        )
    for used in sorted({*bits.values()}):
        same = sorted(name for name, own in bits.items() if own == used)
        log.info(
            "pictures of 16 bits with samples up to %d are scaled by %d bits, %d of them: %s",
            *((1 << used) - 1, used, len(same), _first(same)),
        )
    for line in alike:
        log.warning("%s", line)
    if changed:
        log.info("%d cells changed by %s", changed, corrections.PATH)


def _corrections(
    p: params.Params, names: ImageNames, table: LabelTable
) -> list[corrections.Correction]:
    known = {*table.images}
    return corrections.read(
        categorical=p.categorical.columns,
        image_of=lambda name: name if name in known else names.locate([name])[name].file,
        meaning=meanings(p.data.minus_one),
    )


def _check_names(param: str, named: Iterable[str], attributes: Sequence[str]) -> None:
    # Here, where the attributes are first known, and not in the stage that would lose its output.
    for name in named:
        if name not in attributes:
            raise PipelineError(
                f"params.yaml: {param}: no binary attribute {name!r}; expected some of "
                f"{listed(attributes)}"
            )


def _check_by(name: str | None, table: LabelTable) -> None:
    if name is not None and name not in table.cells:
        raise PipelineError(
            f"params.yaml: prevalence.by: no attribute {name!r}; expected one of "
            f"{listed(table.cells)}, the columns that are filled"
        )


def _check_promises(setting: Any, prior: Mapping[str, float], table: LabelTable) -> None:
    """Raise a `PipelineError` where the training images have too few positives for what is promised
    of an attribute, or where a known prior makes held-out precision another than that to come."""
    training = np.array(table.split) == "train"
    rules, unkept = thresholds.of_columns(setting, table.layout), {}
    for one in table.layout:
        rule = rules[one.start]
        if not isinstance(rule, Mapping):
            continue
        if risk_control.PRECISION in rule and one.name in prior:
            raise PipelineError(
                f"params.yaml: impute.threshold: got {dict(rule)} for {one.name}, whose share of 1 "
                f"among unknown cells impute.prior gives as {prior[one.name]}: precision among "
                "known cells does not say what it is there; expected another rule, or no prior"
            )
        found = int((table.values[training, one.start] == 1).sum())
        if found < (needed := risk_control.fewest(*rule.values())):
            unkept[one.name] = UnkeptError(
                f"{found} known positives among training images, {needed} needed at the least"
            )
    if unkept:
        thresholds.refuse(setting, unkept)


def _resolved(names: ImageNames) -> pd.DataFrame:
    """image, name (in the table) and how they differ, of images not named to the letter."""
    rows = [(one.file, name, one.how) for name, one in names.found.items() if one.how]
    return pd.DataFrame(sorted(rows), columns=["image", "name", "how"])


def _examine_all(
    names: ImageNames, images: Sequence[str], bits: dict[str, int]
) -> Iterator[str | Unusable]:
    """Hash or reason of each image, in order; of the images only a few are in memory at a time.

    Those of 16 bits with fewer in use are added to ``bits``.
    """

    def examine(name: str) -> str | Unusable:
        problem = names.found[name].problem if name in names.found else None
        if problem is not None:
            return Unusable(*problem)
        try:
            # All pixels, though small: a truncated file has a sound header.
            picture, sha256 = read(resolve(names.folder, name), CHECKED)
        except OSError as error:
            return Unusable("missing", f"{name!r}: {error.strerror}")
        except ImageError as error:
            return Unusable(error.reason, error.detail)
        if "bits" in picture.info:
            bits[name] = picture.info["bits"]
        return sha256

    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        for start in range(0, len(images), CHUNK):
            yield from pool.map(examine, images[start : start + CHUNK])


def _check_any_found(table: str, names: ImageNames, images: Sequence[str]) -> None:
    """Refuse a table none of whose images is in the folder: it is probably another folder's."""
    problems = [names.found[image].problem if image in names.found else None for image in images]
    if any(problem is None for problem in problems):
        return
    tried, (reason, why) = next(
        (image, problem)
        for image, problem in zip(images, problems, strict=True)
        if problem is not None
    )
    files = names.files
    holds = "it holds no image"
    if files:  # the name that a table would give it, not its last part alone
        holds = f"it holds {len(files)} others, as {files[0]}"
    tried = why if reason == "ambiguous" else f"tried {names.folder / tried[:60]}"
    raise PipelineError(
        f"{names.folder}: none of the {len(images)} images that {table} names is there "
        f"({tried}; {holds}); set data.images in params.yaml, or write the names as in the folder"
    )


def _check_still_there(
    names: ImageNames, images: Sequence[str], results: Sequence[str | Unusable]
) -> None:
    """Refuse to go on where images went while they were read, as with a mount that was lost: they
    would seem to be missing from the folder."""
    gone = []
    for name, result in zip(images, results, strict=True):
        was = name not in names.found or names.found[name].problem is None
        if isinstance(result, Unusable):
            was = was and result.reason in ("missing", "unreadable")
        if was and not names.folder.joinpath(name).exists():
            gone.append(name)
    if gone:
        raise PipelineError(
            f"{names.folder}: {len(gone)} of {len(images)} images were there when this run began "
            f"and are gone, {gone[0][:60]!r} first; see that the folder is mounted and nobody "
            "removes files, and run again"
        )


def _check_missing(
    table: str, folder: Path, images: Sequence[str], results: Sequence[str | Unusable], most: float
) -> None:
    missing = [
        name
        for name, result in zip(images, results, strict=True)
        if isinstance(result, Unusable) and result.reason in ("missing", "ambiguous")
    ]
    if len(missing) > most * len(images):
        raise PipelineError(
            f"{folder}: {len(missing)} of {len(images)} images that {table} names are missing, "
            f"or fit several files, {missing[0][:60]!r} first; see that data.images is their "
            f"folder and holds all, or raise data.max_missing, now {most:g}, to do without them"
        )


def _report(table: LabelTable, cleaned: Cleaned, resolved: pd.DataFrame) -> None:
    dropped, kept, split = cleaned.dropped, cleaned.table, cleaned.table.split or []
    log.info(
        "%d rows read (%d of them merged into another row of their image), %d attributes",
        *(len(table.images) + table.merged, table.merged, len(table.attributes)),
    )
    for line in table.notes:
        log.info("%s", line)
    if table.split is not None and "val" not in table.split:
        log.info("the table's split has no images for validation: split.val of those for training")
    for how, count in resolved["how"].value_counts().items():
        log.info(
            "%d images named in another way than their file, which alone fits: %s (as %s)",
            *(count, how, _renaming(resolved[resolved["how"] == how])),
        )
    sizes = ", ".join(f"{name} {split.count(name)}" for name in SPLITS)
    log.info("%d images kept: %s", len(kept.images), sizes)
    for reason, rows in dropped.groupby("reason", sort=True):
        log.warning("%d dropped, %s: %s", len(rows), reason, _first(rows["image"].tolist()))
    if groups := cleaned.duplicates["group"].nunique():
        conflicts = cleaned.duplicates.loc[cleaned.duplicates["conflicting"] != "", "group"]
        log.info(
            "groups of byte-identical images: %d (%d images); groups whose labels disagree: %d",
            *(groups, len(cleaned.duplicates), conflicts.nunique()),
        )
        of = dict(zip(kept.images, split, strict=True))
        splits = cleaned.duplicates["image"].map(of).groupby(cleaned.duplicates["group"]).nunique()
        if (splits > 1).any():  # never in a split that is drawn here
            log.warning(
                "%d of these groups are in two splits of the table's own: scores of test images "
                "whose twins were learned from say too much",
                (splits > 1).sum(),
            )


def _renaming(rows: pd.DataFrame) -> str:
    row = rows.iloc[0]
    return f"{row['name']} for {row['image']}"


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")


if __name__ == "__main__":
    run(main)

"""What the clean stage decides: which rows are usable, which are duplicates, and the split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from pipeline.data.labels import SPLITS, LabelTable
from pipeline.data.splits import Indices, duplicate_groups, iterative_split, linked_groups
from pipeline.errors import PipelineError, listed

MIN_IMAGES = 10


@dataclass(frozen=True)
class Unusable:
    """Why an image can't be used: a short reason and its detail."""

    reason: str
    detail: str


@dataclass(frozen=True, eq=False)
class Cleaned:
    """The usable rows, sorted by image name, and the account of all others.

    ``table`` has the split; ``images`` one row per image: image, sha256, group (equal numbers stay
    in one split and fold); ``dropped`` one per image
    left out: image, reason, detail; ``duplicates`` one per image whose file another image repeats
    byte by byte: group, image, sha256, conflicting (attributes that the group's known labels
    disagree about, joined by "; "); ``attributes`` one per attribute: rows, known, positive,
    negative, unknown, prevalence (of the known; NaN if none is), missing_rate, then positive,
    negative and unknown per split.
    """

    table: LabelTable
    images: pd.DataFrame
    dropped: pd.DataFrame
    duplicates: pd.DataFrame
    attributes: pd.DataFrame


def clean(
    table: LabelTable,
    found: Sequence[str | Unusable],
    test: float,
    val: float,
    seed: int,
    fold: int | None = None,
    source: str = "the label table",
) -> Cleaned:
    """Keep the usable rows, find duplicates and split, or keep the split that the table has.

    Where the table has one without images for validation, these are drawn among those for training.

    Parameters
    ----------
    found
        For each of the table's N images the hash of its bytes, or why it is unusable.
    test, val
        Shares of the usable images; the rest is for training.
    fold
        Which of round(1 / test) parts of about equal size is for testing; None draws one of its
        own. All folds of a table and seed together test every image once.
    seed
        Of the split. It depends on the usable rows alone, not on their order.
    source
        The table's name, for messages.

    Raises
    ------
    PipelineError
        If fewer than `MIN_IMAGES` images are usable, if no label of an attribute is known for
        them, if a split would have no image, or if a group of the table is in two of its splits.
    """
    order = sorted(range(len(table.images)), key=table.images.__getitem__)
    drops, kept, hashes = [], [], []
    for row in order:
        result = found[row]
        if isinstance(result, Unusable):
            drops.append((table.images[row], result.reason, result.detail))
        else:
            kept.append(row)
            hashes.append(result)
    if len(kept) < MIN_IMAGES:
        raise PipelineError(
            f"{source}: {len(kept)} usable images of {len(table.images)}, expected at least "
            f"{MIN_IMAGES} to split them; add images{_example(drops)}"
        )
    usable = table.take(kept)
    if np.isnan(usable.values).all():
        raise PipelineError(
            f"{source}: no label is known of the {len(kept)} usable images, expected some 1 and 0; "
            f"label a few{_example(drops)}"
        )
    if empty := without_labels(usable):
        raise PipelineError(
            f"{source}: no label of {listed(empty)} is known among the {len(kept)} usable "
            "images, so there is nothing to learn or to fill it from; label some images with 1 "
            "and 0, or leave it out with the param attributes"
        )
    groups = linked_groups(hashes, usable.group)
    rng = np.random.default_rng(seed)
    if usable.split is None:
        subset = _subsets(usable.values, groups, test, val, fold, rng)
        _check_sizes(subset, groups, test, val)
    else:
        subset = _given(usable, groups, val, rng, source)
    return Cleaned(
        table=replace(usable, split=[SPLITS[number] for number in subset]),
        images=pd.DataFrame({"image": usable.images, "sha256": hashes, "group": groups}),
        dropped=pd.DataFrame(drops, columns=["image", "reason", "detail"]),
        duplicates=find_duplicates(usable, hashes),
        attributes=count_labels(usable, subset),
    )


def with_labels(cleaned: Cleaned, table: LabelTable) -> Cleaned:
    """``cleaned`` with other labels: the same images and splits, everything else counted anew.

    Raises
    ------
    PipelineError
        If an attribute has no known label left.
    """
    if empty := without_labels(table):
        raise PipelineError(
            f"data/corrections.csv: it leaves no known label of {listed(empty)}; remove the "
            "rows that make its last labels unknown, or leave it out with the param attributes"
        )
    subset = np.array([SPLITS.index(split) for split in table.split or []], dtype=np.int64)
    return replace(
        cleaned,
        table=table,
        duplicates=find_duplicates(table, cleaned.images["sha256"].tolist()),
        attributes=count_labels(table, subset),
    )


def find_duplicates(table: LabelTable, hashes: Sequence[str]) -> pd.DataFrame:
    """The frame `Cleaned` describes; groups numbered from 1 in order of first appearance."""
    groups = duplicate_groups(hashes)
    repeated = np.bincount(groups)[groups] > 1
    rows = np.flatnonzero(repeated)
    values = pd.DataFrame(table.values[rows]).groupby(groups[rows])
    differs = (values.min() < values.max()).to_numpy(dtype=bool)  # never true of NaN
    members = np.unique(groups[rows], return_inverse=True)[1]
    conflicting = [
        "; ".join(name for name, one in zip(table.attributes, line, strict=True) if one)
        for line in differs
    ]
    frame = pd.DataFrame(
        {
            "group": members + 1,
            "image": [table.images[row] for row in rows],
            "sha256": [hashes[int(row)] for row in rows],
            "conflicting": [conflicting[member] for member in members],
        }
    )
    return frame.sort_values("group", kind="stable", ignore_index=True)


def count_labels(table: LabelTable, subset: Indices) -> pd.DataFrame:
    """The counts per attribute that `Cleaned` describes; ``subset`` indexes SPLITS, [N]."""
    states = {
        "positive": table.values == 1,
        "negative": table.values == 0,
        "unknown": np.isnan(table.values),
    }
    total = {name: state.sum(axis=0) for name, state in states.items()}
    known = total["positive"] + total["negative"]
    frame = pd.DataFrame(
        {
            "attribute": table.attributes,
            "rows": len(table.images),
            "known": known,
            **total,
            "prevalence": np.where(known > 0, total["positive"] / np.maximum(known, 1), np.nan),
            "missing_rate": total["unknown"] / len(table.images),
        }
    )
    for number, split in enumerate(SPLITS):
        for name, state in states.items():
            frame[f"{split}_{name}"] = state[subset == number].sum(axis=0)
    return frame.round({"prevalence": 6, "missing_rate": 6})


def class_counts(attributes: pd.DataFrame) -> pd.DataFrame:
    """Long form of `count_labels`, for plotting: attribute, value, count."""
    values = ["positive", "negative", "unknown"]
    long = attributes.melt("attribute", values, "value", "count", ignore_index=False)
    return long.sort_index(kind="stable").reset_index(drop=True)


def one_class(attributes: pd.DataFrame) -> dict[str, int]:
    """Attributes whose known labels are all alike, and that label: nothing to learn a difference
    from."""
    alike = (attributes["known"] > 0) & (
        (attributes["positive"] == 0) | (attributes["negative"] == 0)
    )
    found = attributes[alike]
    return dict(zip(found["attribute"], (found["positive"] > 0).astype(int), strict=True))


def about_one_class(attributes: pd.DataFrame, source: str) -> list[str]:
    """A line for each label that is the only one of some attributes.

    Parameters
    ----------
    attributes : counts, see `count_labels`; source : the table's name, for messages.

    Raises
    ------
    PipelineError
        If all attributes are such: there is nothing to learn at all.
    """
    alike = one_class(attributes)
    told = []
    for value, absent in ((1, "absent"), (0, "present")):
        names = [name for name, only in alike.items() if only == value]
        if not names:
            continue
        advice = f"write {1 - value} where it is {absent}"
        if value and attributes.set_index("attribute").loc[names, "unknown"].any():
            advice += ", or set data.blank in params.yaml to negative if empty cells mean that"
        told.append(
            f"{listed(names, 5)}: only {value}s are known, an empty cell is unknown, and nothing "
            f"tells the classes apart; {advice}"
        )
    if told and len(alike) == len(attributes):
        raise PipelineError(f"{source}: every attribute has one class only: {told[0]}")
    return told


def without_labels(table: LabelTable) -> list[str]:
    """Attributes of which no label is known."""
    known = (~np.isnan(table.values)).sum(axis=0)
    return [name for name, count in zip(table.attributes, known, strict=True) if not count]


def _subsets(
    values: np.ndarray,
    groups: Indices,
    test: float,
    val: float,
    fold: int | None,
    rng: np.random.Generator,
) -> Indices:
    """int64 [N]: the index in SPLITS of each row."""
    if fold is None:
        return iterative_split(values, groups, [1 - test - val, val, test], rng)
    parts = round(1 / test)
    # The same division for every fold, which is why it comes first.
    tested = iterative_split(values, groups, [1 / parts] * parts, rng) == fold
    subset = np.full(len(values), SPLITS.index("test"), dtype=np.int64)
    share = val / (1 - test)
    subset[~tested] = iterative_split(values[~tested], groups[~tested], [1 - share, share], rng)
    return subset


def _given(
    table: LabelTable, groups: Indices, val: float, rng: np.random.Generator, source: str
) -> Indices:
    """int64 [N]: the index in SPLITS of each row, as the table's own split has it."""
    subset = np.array([SPLITS.index(split) for split in table.split or []], dtype=np.int64)
    if table.group is not None:
        splits = pd.Series(table.split).groupby(np.array(table.group, dtype=object)).unique()
        for group, found in splits.items():
            if group and len(found) > 1:
                raise PipelineError(
                    f"{source}: group {group!r} is in {' and '.join(sorted(found))}, expected one "
                    "split for each group; correct the columns that split.column and "
                    "split.group_column in params.yaml name"
                )
    training = subset == SPLITS.index("train")
    if "val" not in (table.split or []) and training.any():
        inner = iterative_split(table.values[training], groups[training], [1 - val, val], rng)
        subset[training] = inner
    for number, split in enumerate(SPLITS):
        if not (subset == number).any():
            raise PipelineError(
                f"{source}: no usable image for {split} by the column that split.column in "
                "params.yaml names, expected at least one; add some, or set it to null"
            )
    return subset


def _example(drops: list[tuple[str, str, str]]) -> str:
    if not drops:
        return ""
    image, reason, detail = drops[0]
    return f", or repair the {len(drops)} unusable ones, as {image} ({reason}: {detail})"


def _check_sizes(subset: Indices, groups: Indices, test: float, val: float) -> None:
    for number, split in enumerate(SPLITS):
        if (subset == number).any():
            continue
        key, share = {"val": ("split.val", val), "test": ("split.test", test)}.get(
            split, ("split.test and split.val", test + val)
        )
        raise PipelineError(
            f"params.yaml: {key}: got {share:g}, which leaves no image for {split} out of "
            f"{len(subset)} usable ones ({groups.max() + 1} different); expected at least one; "
            f"{'lower' if split == 'train' else 'raise'} it or add images"
        )
